"""`Row`: one figure of a measurement beside its prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs

from inferbench.evidence.operators import regime
from inferbench.records.measurement import Measurement
from inferbench.specs.figures import Target

__all__ = ["KINDS", "Row", "bare"]

# What a figure shares its interval with; every other one is a time.
KINDS: Mapping[str, str] = {"power_w": "power", "energy_j": "energy"}


@attrs.frozen(kw_only=True)
class Row:
    """One figure of a measurement beside its prediction; SI units, NaN where unknown.

    Attributes:
        set: Measurement set or file.
        source: Citation with the row's place.
        metric: `latency_s`, `ttft_s`, `tpot_s`, `power_w` or `energy_j`; `tokens_per_s` where nothing else is
            given.
        software: As the source writes it; `stack` is what scores it.
        phase: Of a network, with its regime where batches are not static (`decode (closed loop)`); of an
            operator the name under which a stack knows it (`attention.generation`).
        boundary: Where power and energy were counted.
        statistic: Of times.
        regime: `closed loop` or `steady state` of a server, empty for static batches.
        caveats: What the importer says of the row.
        low, high: Between which nine in ten were expected.
        inside: Whether the point lies in the box in which the stack was fitted.
        fitted: Whether the stack was fitted on this row; None where that can't be known.
        trivial: What predictors without a model say: `bandwidth` (weights over bandwidth), `tdp`.
        code, why: Why the row is not scored; empty if it is. A prediction may stand all the same.
    """

    set: str
    source: str
    chip: str
    chips: int
    software: str
    stack: str
    network: str
    phase: str
    op: str
    metric: str
    precision: str
    axes: Mapping[str, float]
    measured: float
    boundary: str = "board"
    statistic: str = "mean"
    regime: str = ""
    caveats: tuple[str, ...] = ()
    predicted: float = math.nan
    low: float = math.nan
    high: float = math.nan
    inside: bool = False
    fitted: bool | None = False
    trivial: Mapping[str, float] = attrs.field(factory=dict)
    code: str = ""
    why: str = ""

    @property
    def scored(self) -> bool:
        """Whether it counts."""
        return not self.code

    @property
    def domain(self) -> str:
        """Whether the row is `inside` the box in which its stack was fitted or `extrapolated`; empty without
        such a stack.
        """
        if not self.stack or self.stack == "ideal":
            return ""
        return "inside" if self.inside else "extrapolated"

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted / self.measured - 1.0

    @property
    def covered(self) -> bool:
        """Whether the measurement lies in the interval."""
        return self.low <= self.measured <= self.high


def bare(name: str, m: Measurement, target: Target) -> Row:
    """Build the row of a figure that nothing was predicted for yet.

    Args:
        name: Of the set.
        m: The measurement.
        target: Its figure; a rule that it carries is the row's.
    """
    phase = regime(m) if m.op else f"{target.phase} ({target.regime})" if target.regime else target.phase
    return Row(
        set=name,
        source=m.source,
        chip=m.chip,
        chips=m.chips,
        software=m.software,
        stack="",
        network=m.network,
        phase=phase,
        op=m.op,
        metric=target.metric,
        precision=m.precision,
        axes=target.axes,
        measured=target.measured,
        boundary=m.boundary,
        statistic=m.statistic,
        caveats=m.caveats,
        regime=target.regime,
        fitted=m.fitted,
        code=target.code,
        why=target.why,
    )
