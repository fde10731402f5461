"""Who wins where: the best system at every point of a space on equal terms, and who is beaten everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs
import numpy as np

from inferbench.errors import InferBenchError, suggest
from inferbench.num import Array, Indices, Mask
from inferbench.records.roles import Role
from inferbench.records.run import Metric
from inferbench.space.flexibility import Space, above

__all__ = [
    "TERMS",
    "Dominated",
    "Equal",
    "Winners",
    "TOKENS",
    "beaten",
    "comparable",
    "divisor",
    "dominated",
    "ranked_by",
    "winners",
]

Equal = Literal["chips", "power", "cost", "nothing"]


@attrs.frozen(eq=False)
class Winners:
    """Who is best at every point.

    Attributes:
        scores: (systems, points); NaN where infeasible or not known.
        best: Row of the winner per point; the first of equals, -1 where no system has a score, or only one
            has because no price or power of its rivals is known: that is no win.
        shares: Share of all points that each system wins, equals sharing a point; with `nobody` they add up
            to 1.
        nobody: Share of the points at which no system has a score.
        unknown: Share of each system's feasible points at which it has no score all the same, (systems,).
        alone: Share of them at which it has a score and no rival that fits has one, (systems,).
    """

    scores: Array
    best: Indices
    shares: Array
    nobody: float
    unknown: Array
    alone: Array

    @property
    def known_shares(self) -> Array:
        """`shares`, NaN for a system that is compared with nobody: that is no share of zero."""
        return np.where(self.unknown + self.alone < 1, self.shares, np.nan)


TOKENS = "tokens"
"""What systems are ranked by unless another metric is named: items per second of the whole system."""
TERMS: tuple[Equal, ...] = ("chips", "power", "cost")
"""On what terms a sweep compares."""

_TERMS: Mapping[Equal, Role] = {"power": "power", "cost": "cost"}


def winners(space: Space, metric: str = TOKENS, equal: Equal = "cost") -> Winners:
    """Find the best system at every point.

    Args:
        space: The points.
        metric: `tokens` (per second; images and other items where a step yields those), or the name of a
            metric of the space, higher is better.
        equal: What a rate is divided by: chips, watts at the wall, dollars per hour of ownership, or
            nothing. A quantity that isn't a rate of the whole system is compared as it is.

    Raises:
        InferBenchError: A quantity that the space hasn't; a fraction under equal something.
    """
    known = (TOKENS, *space.values)
    if metric not in known:
        raise InferBenchError.of_argument(
            "metric",
            f"unknown metric '{metric}'",
            suggest(metric, known) or f"known are {', '.join(known)}",
        )
    if metric == TOKENS:
        scores = _items(space)
    else:
        scores = space.values[metric]
    if metric not in ranked_by(space.metrics) and equal != "nothing":
        found = f"'{metric}' is no rate to divide by {equal}"
        raise InferBenchError.of_argument("equal", found, "use it with {give}", equal="nothing")
    if equal == "chips":
        scores = scores / space.chips
    elif equal != "nothing":
        scores = scores / space.of(_TERMS[equal])
    return _ranked(np.where(space.feasible, scores, np.nan), space.feasible)


def ranked_by(metrics: Mapping[Role, Metric]) -> tuple[str, ...]:
    """Name the rates of the whole system that may be divided by chips, watts or dollars: `tokens` first."""
    return (TOKENS, *(metric.name for role, metric in metrics.items() if role == "useful"))


def divisor(equal: Equal) -> Role | None:
    """The role of the quantity that rates are divided by; None for chips and nothing."""
    return _TERMS.get(equal)


def _items(space: Space) -> Array:
    """Items per second of the whole system: tokens where it yields tokens."""
    tokens = space.of("tokens") * space.chips
    return np.where(np.isnan(tokens), space.of("items"), tokens) if space.has("items") else tokens


def comparable(space: Space, equal: Equal) -> bool:
    """Whether the space has the quantities that tokens per second on these terms need."""
    return space.has("tokens", _TERMS.get(equal, "tokens"))


def _ranked(scores: Array, feasible: Mask) -> Winners:
    filled = np.where(np.isnan(scores), -np.inf, scores)
    top = filled.max(axis=0)
    contested = _contested(scores, feasible)
    anyone = np.isfinite(top) & contested
    first = (filled == top) & anyone
    shares = (first / np.maximum(first.sum(axis=0), 1)).mean(axis=1)
    best = np.where(anyone, np.argmax(filled, axis=0), -1)
    points = np.maximum(feasible.sum(axis=1), 1)
    unknown = (feasible & np.isnan(scores)).sum(axis=1) / points
    alone = (~np.isnan(scores) & ~contested).sum(axis=1) / points
    return Winners(scores, best, shares, float(1.0 - anyone.mean()), unknown, alone)


def _contested(scores: Array, feasible: Mask) -> Mask:
    """Whether a best score beat another one, or was the only one because no other system fits.

    A system that alone has a price beats nobody.
    """
    known = ~np.isnan(scores)
    return np.asarray((known.sum(axis=0) > 1) | ~(feasible & ~known).any(axis=0))


@attrs.frozen
class Dominated:
    """A system that is never best, and the one that beats it wherever it runs at all (empty: no single one
    does).
    """

    system: str
    by: str


def beaten(scores: Array) -> Mask:
    """Whether the second system beats the first wherever the first has a score, (systems, systems)."""
    lost = np.zeros((len(scores), len(scores)), dtype=bool)
    for row, mine in enumerate(scores):
        here = ~np.isnan(mine)
        lost[row] = np.all(above(scores[:, here], mine[here]), axis=1)
    return lost


def dominated(space: Space, found: Winners) -> tuple[Dominated, ...]:
    """Name the systems that win nowhere although they run somewhere, and who beats each of them
    everywhere.
    """
    scores = found.scores
    lost, by = [], beaten(scores)
    for row, name in enumerate(space.systems):
        if found.shares[row] > 0 or np.isnan(scores[row]).all():
            continue
        lost.append(Dominated(name, next((space.systems[other] for other in np.flatnonzero(by[row])), "")))
    return tuple(lost)
