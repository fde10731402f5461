"""What a step draws, and how a power cap stretches it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from inferbench.model.case import Case
from inferbench.num import Numeric
from inferbench.records.energy import ActivityCounts, Energy
from inferbench.records.grid import Point
from inferbench.records.returned import refuse_other_shape

__all__ = ["powered"]


def powered(
    case: Case,
    at: Point,
    actions: Mapping[str, Numeric],
    formats: tuple[str, ...],
    model: Numeric,
    seconds: Numeric,
) -> tuple[Energy, Numeric, Numeric]:
    """Ask the power model; a cap that binds stretches both the ideal step and the stack's.

    Args:
        case: What runs where.
        at: All points.
        actions: Counts of all chips.
        formats: What products are computed in.
        model: Seconds of the step on ideal software; not looked at where nobody asks for it.
        seconds: The same under the stack; the same array under ideal software.

    Returns:
        Energy under the stack, and both durations stretched.
    """
    if case.power is None:
        return Energy(np.nan, np.nan, 1.0, case.power_why), model, seconds
    counts = ActivityCounts(actions, model, case.system.count, at.precision, formats)
    if case.asks_ideal:
        ideal = _asked(case, at, counts)
        model = model * ideal.throttle
        if case.stack.ideal:
            return ideal, model, model
    counts = attrs.evolve(counts, seconds=seconds, factors=case.stack.energy)
    real = _asked(case, at, counts)
    if case.intervals and case.stack.fit.rows and not case.bare:
        real = attrs.evolve(real, log_error=case.power.log_error(counts, case.system, real))
    return real, model, seconds * real.throttle


def _asked(case: Case, at: Point, counts: ActivityCounts) -> Energy:
    """What the power model says, at the points that it was asked for."""
    assert case.power is not None
    energy = case.power.energy(counts, case.system)
    where = f"{type(case.power).__module__}: {case.power.name}.energy"
    refuse_other_shape(energy.joules * energy.watts * energy.throttle, at.shape, where)
    return energy
