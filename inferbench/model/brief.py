"""A step of one layout in brief: its time, power and room, for searches that read no more of it."""

from __future__ import annotations

import attrs
import numpy as np

from inferbench.model.case import Case
from inferbench.model.evaluate import whole_chip
from inferbench.model.step import one_layout
from inferbench.num import Mask, Numeric
from inferbench.records.grid import Grid
from inferbench.records.system import Layout

__all__ = ["Brief", "brief"]


@attrs.frozen(eq=False)
class Brief:
    """A step at all points of a grid; arrays broadcast to its shape.

    Attributes:
        grid: The points.
        seconds: Under the software, within the power limit.
        watts: Mean power of all chips.
        feasible: Where it fits and its time is known.
        log_error: Log standard error of the time; NaN where none is known, or nobody asks.
    """

    grid: Grid
    seconds: Numeric
    watts: Numeric
    feasible: Mask
    log_error: Numeric


def brief(case: Case, grid: Grid, layout: Layout) -> Brief:
    """Evaluate one layout at every point of a grid: the figures of `evaluate`, without the rest of a run.

    Args:
        case: With graphs that are kept.
        grid: Axes and precisions.
        layout: How the network is spread.

    Raises:
        InferBenchError: As `evaluate` does.
    """
    at = grid.at
    done = one_layout(case, at, case.graph(at), layout)
    known = np.isfinite(whole_chip(case).rate_at(at.precision))
    fits = np.asarray(done.fits) & known
    return Brief(grid, done.seconds, done.energy.watts, fits, done.log_error)
