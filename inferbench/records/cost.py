"""`Cost`: parts, not a time. Time belongs to the stack."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from inferbench.num import Numeric
from inferbench.records.immutable import frozen
from inferbench.records.overlap import maximum_of

__all__ = ["SEQUENCE", "Cost", "add"]

SEQUENCE = "sequence"
"""What is exposed where parts of one operator run one after the other, beside their longest engine."""

_NONE: Mapping[str, Numeric] = {}


@frozen(eq=False)
class Cost:
    """What one execution of one operator keeps busy on one chip, if nothing is wasted by software.

    Attributes:
        busy: Seconds per engine; engines overlap. Names are closed: `compute`, `compute.<part>`,
            `memory.<level>`, `network`.
        exposed: Seconds that overlap with nothing, by cause (`fill`, `hops`, `reconfigure`).
        actions: Counts for the power model: `ops`, `bytes.<level>`, `bytes.network`, and an
            architecture's own (`adc.conversions`). Precision is an axis, never part of a key.
        detail: Figures an architecture can tell beside them (`cycles`, `passes`, `tiles`); shown, never
            summed.
        waves: Tiles of the result over the units that work on one each at a time, not rounded; None where
            work is not said to be tiled. Up to 1, one tile's inner loop is the whole kernel.

    Example:
        >>> Cost(busy={"compute": 1e-6, "memory.hbm": 3e-6}, actions={"ops": 2e9}).bound
        'memory.hbm'
    """

    busy: Mapping[str, Numeric] = _NONE
    exposed: Mapping[str, Numeric] = _NONE
    actions: Mapping[str, Numeric] = _NONE
    detail: Mapping[str, Numeric] = _NONE
    waves: Numeric | None = None

    @property
    def bound(self) -> str:
        """Engine with the longest busy time of a single point."""
        return max(self.busy, key=lambda engine: float(np.max(self.busy[engine])))


def add(parts: list[tuple[Cost, Numeric]]) -> Cost:
    """Add costs that run one after the other, each so many times.

    Engines of one part do not overlap with another's: what the sum of maxima exceeds the maximum of sums by
    is exposed.
    """
    merged: dict[str, dict[str, Numeric]] = {"busy": {}, "exposed": {}, "actions": {}, "detail": {}}
    serial: Numeric = 0.0
    for cost, repeat in parts:
        serial = serial + maximum_of(list(cost.busy.values())) * repeat
        for group, into in merged.items():
            for key, value in getattr(cost, group).items():
                into[key] = into.get(key, 0.0) + value * repeat
    merged["exposed"][SEQUENCE] = np.maximum(serial - maximum_of(list(merged["busy"].values())), 0.0)
    return Cost(merged["busy"], merged["exposed"], merged["actions"], merged["detail"])
