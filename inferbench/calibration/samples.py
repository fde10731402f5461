"""`Sample`: a measured time of a whole step, beside what its operators need at the datasheet's rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from inferbench.num import Array
from inferbench.records.measurement import DECODE, PREFILL
from inferbench.records.run import Run

__all__ = ["ENGINES", "PHASES", "Sample", "sample"]

ENGINES = ("memory", "compute", "network")
PHASES = (DECODE, PREFILL)
"""Kinds of steps that err apart: one token at a time, and all else."""


@attrs.frozen(eq=False)
class Sample:
    """One measured time beside what it is made of.

    Attributes:
        chip, vendor, architecture: Where it was measured.
        software: With its version.
        network: What ran.
        phase: One of `PHASES`.
        table: Where the row is from.
        measured: Seconds.
        work: Shape (operators, 6): seconds of memory, arithmetic, links at the datasheet's rates, exposed
            seconds, kernels, exchanges between chips.
        precision: Our name.
        count: Chips at once.
        axes: Of the point; images have no `context`.
    """

    chip: str
    vendor: str
    architecture: str
    software: str
    network: str
    phase: str
    table: str
    measured: float
    work: Array
    precision: str = ""
    count: int = 1
    axes: Mapping[str, float] = attrs.field(factory=dict)


def sample(
    measured: float,
    parts: Sequence[tuple[float, Run]],
    software: str,
    phase: str,
    table: str,
    precision: str = "",
    axes: Mapping[str, float] | None = None,
) -> Sample:
    """Part a measured time into what its operators need at the datasheet's rates.

    Args:
        measured: Seconds.
        parts: Runs under ideal software, with a row per operator, and how often each counts.
        software: With its version.
        phase: One of `PHASES`.
        table: Where the row is from.
        precision: Our name.
        axes: Of the point.
    """
    rows = [_work(weight, run) for weight, run in parts]
    run = parts[0][1]
    chip = run.system.chip
    return Sample(
        chip=chip.name,
        vendor=chip.vendor,
        architecture=chip.architecture_type,
        software=software,
        network=run.network.name,
        phase=phase,
        table=table,
        measured=measured,
        work=np.concatenate(rows),
        precision=precision,
        count=run.system.count,
        axes=dict(axes or {}),
    )


def _work(weight: float, run: Run) -> Array:
    def one(value: object) -> float:
        return float(np.ravel(value)[0])  # type: ignore[call-overload]

    found = []
    for op in run.ops:
        busy = {engine: one(seconds) for engine, seconds in op.busy.items()}
        engines = [
            max((seconds for engine, seconds in busy.items() if engine.split(".")[0] == family), default=0.0)
            for family in ENGINES
        ]
        count, together = one(op.repeat), op.kind == "collective"
        exposed = sum(one(seconds) for seconds in op.exposed.values())
        found.append([*engines, exposed, 0.0 if together else count, count if together else 0.0])
    return weight * np.asarray(found)
