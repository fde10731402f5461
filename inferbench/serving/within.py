"""Points of a frontier at limits: how likely they hold, and the loads between those of the grid."""

from __future__ import annotations

import math

import attrs
import numpy as np

from inferbench.model.chances import normal
from inferbench.records.system import System
from inferbench.serving.frontier import Frontier, frontier, goodput
from inferbench.serving.points import Points
from inferbench.serving.replica import Question

__all__ = ["meets", "refined"]

# Loads that are tried between two of the grid where a limit lies between them.
REFINED = 15


def meets(points: Points, i: int, tpot: float, ttft: float) -> float:
    """Probability that a point meets both limits, errors independent; NaN without an interval."""
    chance = 1.0
    for value, error, limit in (
        (points.tpot_s[i], points.log_error[i], tpot),
        (points.ttft_s[i], points.ttft_log_error[i], ttft),
    ):
        if math.isfinite(limit):
            chance *= float(normal(math.log(limit / value) / error)) if error > 0 else math.nan
    return chance


def refined(asked: Question, system: System, found: Frontier, tpot: float, ttft: float) -> Frontier:
    """Add the loads between the best within limits and the next one that was tried, up to the limits.

    Args:
        asked: As for `frontier`; loads that were given one by one stay as they are.
        system: Whose frontier.
        found: What was found for the loads of the grid.
        tpot, ttft: Limits, seconds; infinity for none.
    """
    best = goodput(found, tpot, ttft)
    if best is None or not asked.open_ended or not (math.isfinite(tpot) or math.isfinite(ttft)):
        return found
    between = _between(found.points, float(found.points.tokens_per_s_per_chip[best]), tpot, ttft)
    if not between:
        return found
    more = frontier(attrs.evolve(asked, batches=between, open_ended=False), system)
    return attrs.evolve(found, points=found.points.joined(more.points)) if more.count else found


def _between(points: Points, rate: float, tpot: float, ttft: float) -> tuple[float, ...]:
    """Whole loads between the last that meets the limits and the first that doesn't, of every layout and
    policy that could be the best there.
    """
    within = (points.tpot_s <= tpot) & (points.ttft_s <= ttft)
    kinds = np.array(
        [
            f"{a} {b} {c} {d} {e:g}"
            for a, b, c, d, e in zip(
                points.policy,
                points.layout,
                points.prompt_layout,
                points.precision,
                points.chunk,
                strict=True,
            )
        ],
        dtype=object,
    )
    loads: set[float] = set()
    for kind in dict.fromkeys(kinds.tolist()):
        mine = kinds == kind
        low = points.batch[mine & within]
        high = points.batch[mine & ~within & (points.tokens_per_s_per_chip >= rate)]
        if low.size and high.size and high.max() > low.max():
            ends = float(low.max()), float(high[high > low.max()].min())
            loads |= set(np.round(np.linspace(*ends, REFINED + 2)[1:-1]).tolist()) - set(ends)
    return tuple(sorted(loads))
