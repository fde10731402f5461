"""Sums over a workload space, part by part: what a summary says, without holding all points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs
import numpy as np

from inferbench.num import Array, Column, Mask
from inferbench.records.choice import GRADES
from inferbench.records.roles import Role
from inferbench.records.run import Metric
from inferbench.space.flexibility import DEFINITIONS, Space, passes
from inferbench.space.texts import Text
from inferbench.space.winners import TERMS, TOKENS, Dominated, Equal, beaten, comparable, divisor, winners

__all__ = ["Contest", "Doubts", "Sums", "Totals"]

THRESHOLD = 0.5
_WIDTH, _BINS = 1e-4, 100_000


@attrs.define(eq=False)
class Contest:
    """Who is best on some terms, counted over the points; all arrays of shape (systems,).

    Attributes:
        points: In all.
        won: Points won; equals share one.
        fits: Feasible points.
        no_score: Feasible points without a score.
        no_rival: Points with a score, where no rival that fits has one.
        lost: (systems, systems): whether the second beats the first wherever that one has a score.
        scored: Whether it has a score anywhere.
        divided: Whether what its rate is divided by is known anywhere.
    """

    points: int
    won: Array
    fits: Array
    no_score: Array
    no_rival: Array
    lost: Mask
    scored: Mask
    divided: Mask

    @classmethod
    def of(cls, space: Space, equal: Equal) -> Contest:
        """Count the points of a space."""
        found, fits = winners(space, TOKENS, equal), space.feasible.sum(axis=1).astype(np.float64)
        missing, least = divisor(equal), np.maximum(fits, 1)
        return cls(
            space.count,
            found.shares * space.count,
            fits,
            found.unknown * least,
            found.alone * least,
            beaten(found.scores),
            _known(found.scores),
            _known(space.of(missing)) if missing else np.ones(len(fits), dtype=bool),
        )

    def add(self, other: Contest) -> None:
        """Count the points of another part too."""
        self.points += other.points
        for name in ("won", "fits", "no_score", "no_rival"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.lost &= other.lost
        self.scored |= other.scored
        self.divided |= other.divided

    @property
    def unknown(self) -> Array:
        """Share of each system's feasible points without a score."""
        return self.no_score / np.maximum(self.fits, 1)

    @property
    def alone(self) -> Array:
        """Share of them with a score that no rival was compared with."""
        return self.no_rival / np.maximum(self.fits, 1)

    @property
    def shares(self) -> Array:
        """Share of all points that each system wins; NaN for one that is compared with nobody."""
        return np.where(self.unknown + self.alone < 1, self.won / self.points, np.nan)

    def dominated(self, systems: Sequence[str]) -> tuple[Dominated, ...]:
        """The systems that win nowhere although they run somewhere, and who beats each everywhere."""
        none = [row for row in range(len(systems)) if self.scored[row] and not self.won[row] > 0]
        by = {row: next((systems[int(one)] for one in np.flatnonzero(self.lost[row])), "") for row in none}
        return tuple(Dominated(systems[row], name) for row, name in by.items())


def _known(values: Array) -> Mask:
    return np.asarray(~np.isnan(values).all(axis=1))


@attrs.define(eq=False)
class _OwnBest:
    """How many values exceed a share of the best one, told while they come: a value that fails once fails
    for good, because the best only grows.
    """

    best: float = -np.inf
    kept: list[Array] = attrs.field(factory=list)

    def add(self, values: Array) -> None:
        top = float(values.max(initial=-np.inf))
        if top > self.best:
            self.best = top
            self.kept = [one[one > THRESHOLD * top] for one in self.kept]
        self.kept.append(values[values > THRESHOLD * self.best])

    @property
    def count(self) -> int:
        return sum(map(len, self.kept))


@attrs.define(eq=False)
class Totals:
    """What a summary says of each system.

    Attributes:
        systems: Names.
        points: In all.
        fits: Feasible points, (systems,).
        peak: Points above half of the peak, (systems,); None where no metric says it.
        contests: Who is best, on each kind of terms that the space has the quantities for.

    Example:
        >>> rates = {"utilization": np.array([[0.6, 0.1]]), "useful": np.array([[6.0, 1.0]])}
        >>> roles = {name: Metric(name, name, "", "higher", lambda run: 0.0, role=name) for name in rates}
        >>> space = Space(("a",), np.ones((1, 1)), {}, np.ones((1, 2), bool), rates, roles)
        >>> Totals.of([space]).shares()
        {'feasible': [1.0], 'flexibility_peak': [0.5], 'flexibility_best': [0.5]}
    """

    systems: tuple[str, ...]
    points: int
    fits: Array
    peak: Array | None
    contests: Mapping[Equal, Contest]
    _best: list[_OwnBest]

    @classmethod
    def of(cls, parts: Sequence[Space]) -> Totals:
        """Sum over parts of a space."""
        made = cls._one(parts[0])
        for part in parts[1:]:
            made.add(cls._one(part))
        return made

    @classmethod
    def _one(cls, space: Space) -> Totals:
        several = len(space.systems) > 1
        whole = cls(
            space.systems,
            space.count,
            space.feasible.sum(axis=1).astype(np.float64),
            _peak(space),
            {one: Contest.of(space, one) for one in TERMS if several and comparable(space, one)},
            [_OwnBest() for _ in space.systems],
        )
        if whole.peak is not None:
            useful = np.where(space.feasible, space.of("useful"), -np.inf)
            for one, values in zip(whole._best, useful, strict=True):
                one.add(values[np.isfinite(values)])
        return whole

    def add(self, other: Totals) -> None:
        """Count the points of another part: of the same systems, no point twice."""
        self.points += other.points
        self.fits = self.fits + other.fits
        self.peak = None if self.peak is None or other.peak is None else self.peak + other.peak
        for equal, contest in self.contests.items():
            contest.add(other.contests[equal])
        for one, best in zip(self._best, other._best, strict=True):
            for values in best.kept:
                one.add(values)

    def shares(self) -> dict[str, list[float]]:
        """Shares of all points, a list over systems each."""
        found = {"feasible": self.fits / self.points}
        if self.peak is not None:
            found["flexibility_peak"] = self.peak / self.points
            found["flexibility_best"] = np.array([one.count for one in self._best]) / self.points
        return {name: values.tolist() for name, values in found.items()}


def _peak(space: Space) -> Array | None:
    if not space.has("utilization", "useful"):
        return None
    return np.asarray(passes(space, DEFINITIONS["peak"], THRESHOLD).sum(axis=1), dtype=np.float64)


@attrs.define(eq=False)
class Doubts:
    """What the feasible points of each system rest on, and how wide their intervals are."""

    grades: dict[str, Column] = attrs.field(factory=dict)
    _counts: dict[str, Column] = attrs.field(factory=dict)
    _sums: dict[str, Column] = attrs.field(factory=dict)

    def add(self, columns: Mapping[str, Column | Text]) -> None:
        """Count rows.

        Args:
            columns: `system`, `grade`, `feasible`, `log_error`.
        """
        named, graded = columns["system"], columns["grade"]
        assert isinstance(named, Text)
        assert isinstance(graded, Text)
        numbers = np.array([*map(GRADES.index, graded.words), len(GRADES)])[graded.codes]
        fits, errors = np.asarray(columns["feasible"], dtype=bool), np.asarray(columns["log_error"])
        for system, code in named.words.items():
            mine = fits if len(named.words) == 1 else fits & (named.codes == code)
            seen = np.bincount(numbers[mine], minlength=len(GRADES) + 1)[: len(GRADES)]
            known = errors[mine & np.isfinite(errors)]
            places = np.minimum((np.abs(known) / _WIDTH).astype(np.intp), _BINS - 1)
            self._count(system, seen, np.bincount(places), np.bincount(places, known))

    def merge(self, other: Doubts) -> None:
        """Count the rows of another part too."""
        for system, seen in other.grades.items():
            self._count(system, seen, other._counts[system], other._sums[system])

    def _count(self, system: str, seen: Column, counts: Column, sums: Column) -> None:
        """Count grades, and log errors by bins with the sum of each: equal ones come out as they are."""
        self.grades[system] = self.grades.get(system, 0) + seen
        self._counts[system] = _longer(self._counts.get(system, np.zeros(0, np.intp)), counts)
        self._sums[system] = _longer(self._sums.get(system, np.zeros(0)), sums)

    def grade(self, system: str) -> str | None:
        """What most points rest on; None where none fits."""
        seen = self.grades.get(system, np.zeros(1))
        return GRADES[int(seen.argmax())] if seen.any() else None

    def error(self, system: str) -> float | None:
        """The median log error, within 1e-4; None where none is known."""
        counts = self._counts.get(system, np.zeros(1))
        if not counts.any():
            return None
        middle = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
        return float(self._sums[system][middle] / counts[middle])


def _longer(one: Column, other: Column) -> Column:
    """The sum of two arrays that begin at the same bin, as long as the longer."""
    whole = np.zeros(max(len(one), len(other)), np.result_type(one, other))
    whole[: len(one)] = one
    whole[: len(other)] += other
    return whole


@attrs.frozen(eq=False)
class Sums:
    """All that a summary says of some points: plain numbers, which travel between processes."""

    totals: Totals
    doubts: Doubts

    @classmethod
    def of(cls, columns: Mapping[str, Column | Text], metrics: Mapping[Role, Metric]) -> Sums:
        """Sum over all systems at the same points.

        Args:
            columns: As `Space.of_columns` and `Doubts.add` want them.
            metrics: By their roles.
        """
        doubts = Doubts()
        doubts.add(columns)
        return cls(Totals.of([Space.of_columns(columns, metrics)]), doubts)

    @classmethod
    def over(cls, parts: Iterable[Sums]) -> Sums | None:
        """Put parts together, in their order: each of the same systems, no point twice; None out of none."""
        waiting = iter(parts)
        first = next(waiting, None)
        if first is None:
            return None
        for other in waiting:
            first.totals.add(other.totals)
            first.doubts.merge(other.doubts)
        return first
