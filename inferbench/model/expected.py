"""What one would really get at a point: rates, cost and energy with intervals, and the chance to be the best.

Errors are log-normal, as the stacks state them. A range of prices counts as a 90% interval of its own. A
point that rests on a bound alone has no expected value: it is never ranked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from inferbench.model.intervals import INTERVAL, bounds, error_of
from inferbench.num import Array
from inferbench.records.choice import BOUND, GRADES
from inferbench.records.immutable import frozen
from inferbench.records.run import Run
from inferbench.records.scenario import Term, term_beside

__all__ = ["Estimate", "Expected", "chances", "expected", "ranks"]


@frozen
class Estimate:
    """A figure with its 90% interval.

    Attributes:
        value: The expected figure; NaN where it is not known.
        low, high: Ends of the interval; NaN where nobody knows how far it may be off.
        limit: The best that is possible at all, at which the interval ends; NaN: none is known.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    limit: float = math.nan

    @property
    def known(self) -> bool:
        """Whether there is a figure at all."""
        return math.isfinite(self.value)

    @property
    def log_error(self) -> float:
        """Log standard error that the interval says; by its wider side where a limit may have cut the other.
        NaN where it has none.

        Example:
            >>> round(Estimate(10.0, 5.0, 20.0).log_error, 3)
            0.421
            >>> round(Estimate(10.0, 5.0, 12.0, limit=12.0).log_error, 3)
            0.421
        """
        if not (self.low > 0 and math.isfinite(self.high)):
            return math.nan
        if math.isnan(self.limit):
            return math.log(self.high / self.low) / (2.0 * INTERVAL)
        return float(error_of(self.low / self.value, self.high / self.value))

    def chance_below(self, limit: float) -> float:
        """Probability that the figure is at most a limit.

        Example:
            >>> round(Estimate(10.0, 5.0, 20.0).chance_below(20.0), 2), Estimate(1.0).chance_below(2.0)
            (0.95, 1.0)
        """
        if not math.isfinite(self.log_error) or self.log_error == 0.0:
            return float(self.value <= limit)
        if self.limit <= self.value and limit < self.limit:
            return 0.0
        if self.limit >= self.value and limit >= self.limit:
            return 1.0
        return _phi((math.log(limit) - math.log(self.value)) / self.log_error)


@frozen
class Expected:
    """The figures of one point that a buyer decides by.

    Attributes:
        seconds: Of a step, a prompt or an item.
        per_user: Items per second that one user sees.
        per_chip: Items per second and chip, all users together.
        dollars: US dollars per million items.
        term: On what terms; None where no price is known.
        joules: Per item, at the wall.
        bound: Seconds that no schedule beats.
        grade: Place in `GRADES`.
    """

    seconds: Estimate
    per_user: Estimate
    per_chip: Estimate
    dollars: Estimate
    term: Term | None
    joules: Estimate
    bound: float
    grade: int

    @property
    def figures(self) -> Mapping[str, Estimate]:
        """All figures by name."""
        names = ("seconds", "per_user", "per_chip", "dollars", "joules")
        return {name: getattr(self, name) for name in names}


def expected(run: Run, index: tuple[int, ...], shared: Term | None = None) -> Expected:
    """Read the figures of one point of a run.

    Args:
        run: Under any stack.
        index: Into `run.values(...)`.
        shared: The term of prices that the systems beside it have; None: the run's own.
    """
    seconds, items, batch = (float(run.values(a)[index]) for a in (run.seconds, run.items, run.batch))
    fits, grade = bool(run.values(run.feasible)[index]), int(run.grade[index])
    bound = float(run.values(run.bound_seconds)[index])
    demoted = grade == BOUND and run.choice.grade != GRADES[BOUND]
    if demoted:  # nothing is left of the software's figures
        seconds = bound
    watts = float(run.values(run.energy.watts)[index])
    slow, fast = (float(end[index]) for end in reversed(bounds(run, "time")))
    energy = [float(end[index]) for end in bounds(run, "wall_energy")]
    at_wall = float(run.values(run.wall_watts)[index]) * seconds / items
    rate = items / seconds
    least = bound / seconds if bound <= seconds else math.nan
    term, dollars = _dollars(run, watts, rate, (least, fast, slow), shared)
    nothing = Estimate(math.nan)
    return Expected(
        seconds=_between(seconds, fast, slow, least) if fits else nothing,
        per_user=_between(rate / batch, 1.0 / slow, 1.0 / fast, 1.0 / least) if fits else nothing,
        per_chip=_between(rate / run.system.count, 1.0 / slow, 1.0 / fast, 1.0 / least) if fits else nothing,
        dollars=dollars if fits else nothing,
        term=term,
        joules=_between(at_wall, *energy) if fits and not demoted else nothing,
        bound=bound if fits else math.nan,
        grade=grade,
    )


def _between(value: float, low: float, high: float, limit: float = math.nan) -> Estimate:
    return Estimate(value, value * low, value * high, value * limit)


def _dollars(
    run: Run, watts: float, rate: float, times: tuple[float, float, float], shared: Term | None
) -> tuple[Term | None, Estimate]:
    """Dollars per million items, on the shared term or the proxy; a range of prices widens it.

    The factors on the time are the bound's and both ends' of its interval.
    """
    if run.scenario is None:
        return None, Estimate(math.nan)
    cost = run.scenario.cost(run.system, watts, run.energy.limit)
    term = term_beside(cost.terms, shared)
    if term is None:
        return None, Estimate(math.nan)
    low, mid, high = (float(np.ravel(cost.per_million(term, rate, end))[0]) for end in ("low", "mid", "high"))
    of_price = math.log(high / low) / (2.0 * INTERVAL) if low > 0 else math.nan
    wide = math.exp(INTERVAL * math.hypot(float(error_of(*times[1:])), of_price))
    least = low * times[0]
    return term, Estimate(mid, max(mid / wide, least if least <= mid else 0.0), mid * wide, least)


def chances(estimates: Sequence[Estimate], higher: bool, ranked: Sequence[bool]) -> list[float]:
    """Probability of each figure to be the best, errors independent of each other.

    Args:
        estimates: One per system.
        higher: Whether more is better.
        ranked: Which take part; those that rest on a bound, or have no figure, don't.

    Returns:
        One per system, which add up to 1; NaN for those that don't take part, and for all where fewer than
        two do.

    Example:
        >>> a, b = Estimate(100.0, 80.0, 125.0), Estimate(100.0, 80.0, 125.0)
        >>> [round(p, 3) for p in chances([a, b], True, [True, True])]
        [0.5, 0.5]
    """
    places = [i for i, one in enumerate(estimates) if ranked[i] and one.known]
    found = [math.nan] * len(estimates)
    if len(places) < 2:
        return found
    sign = 1.0 if higher else -1.0
    middles = np.array([sign * math.log(estimates[i].value) for i in places])
    errors = np.array([max(_or_zero(estimates[i].log_error), 1e-6) for i in places])
    ends = [_best(estimates[i], sign) for i in places]
    for row, i in enumerate(places):
        # The chance that all others lie below, averaged over where this one lies: 401 quantiles of it.
        here = np.minimum(middles[row] + errors[row] * _normal_quantiles(401), ends[row])
        below = [
            np.where(here >= ends[k], 1.0, _phis((here - middles[k]) / errors[k]))
            for k in range(len(places))
            if k != row
        ]
        found[i] = float(np.mean(np.prod(below, axis=0)))
    total = sum(found[i] for i in places)
    return [one / total for one in found]


def _best(one: Estimate, sign: float) -> float:
    """The best a figure can be, as logarithms are ranked: its bound, else any."""
    if not math.isfinite(one.log_error):
        return math.inf
    return sign * math.log(one.limit) if one.limit > 0 else math.inf


def ranks(point: Expected) -> bool:
    """Whether a point may be ranked: it rests on more than a bound, and its error is known."""
    return point.grade != BOUND and math.isfinite(point.seconds.log_error)


def _or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def _phis(values: Array) -> Array:
    """Normal distribution function of each value."""
    return 0.5 * np.array(_ERFC(values * -math.sqrt(0.5)), dtype=np.float64)


_ERFC = np.frompyfunc(math.erfc, 1, 1)


@cache
def _normal_quantiles(count: int) -> Array:
    """That many quantiles of the normal distribution, each in the middle of an equal share."""
    from statistics import NormalDist

    found = np.array([NormalDist().inv_cdf((k + 0.5) / count) for k in range(count)])
    found.setflags(write=False)
    return found
