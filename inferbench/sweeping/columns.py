"""`Columns`: the rows of a chunk as arrays, filled run by run; names are those of the JSON results,
flattened.

Rows stand in memory order of the grid (the longest axis fastest), never point by point in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import attrs
import numpy as np

from inferbench.model.rows import COUNTS, DOMAINS, FLAGS, HEAD, MEMORY, TAIL, TEXTS, domain_code, fixed
from inferbench.num import Array, Column, Mask, Numeric
from inferbench.records.choice import GRADES
from inferbench.records.grid import Grid
from inferbench.records.run import Metric, Run
from inferbench.space.flexibility import label
from inferbench.space.texts import Text
from inferbench.sweeping.reasons import reasons

__all__ = ["Columns", "Text", "schema"]


def schema(axes: Sequence[str], metrics: Sequence[str]) -> tuple[str, ...]:
    """All column names: the head, further axes, the metrics, the bound, the bytes per chip, the flags.

    Example:
        >>> schema(["batch", "context"], ["tpot_s"])[-3:]
        ('reserve_bytes', 'capacity_bytes', 'flags')
    """
    more = [axis for axis in axes if axis not in HEAD]
    return (*HEAD, *more, *metrics, *TAIL)


@attrs.define(eq=False)
class Columns:
    """Rows of a chunk. Numbers are computed for infeasible points too; `known` and `values` leave them out.

    Attributes:
        rows: Number of rows.
        numbers: Name to float64; a name in `order` that is in none of the three is known nowhere.
        texts: Name to `Text`.
        counts: Name to int64.
        feasible: Boolean.
        axes: Names of the axes among the numbers.
        order: All names in the order of the file.
    """

    rows: int
    numbers: dict[str, Array]
    texts: dict[str, Text]
    counts: dict[str, Column]
    feasible: Mask
    axes: tuple[str, ...]
    order: tuple[str, ...]

    @classmethod
    def empty(
        cls, rows: int, axes: Sequence[str], metrics: Sequence[str], only: Collection[str] | None = None
    ) -> Columns:
        """Room for so many rows: of all columns, or of some alone, and the others are not evaluated."""
        order = schema(axes, metrics)
        if only is not None:
            order = tuple(name for name in order if name in only)
        return cls(
            rows,
            {},
            {name: Text(np.full(rows, -1, np.int32)) for name in TEXTS if name in order},
            {name: np.zeros(rows, np.int64) for name in COUNTS},
            np.zeros(rows, bool),
            tuple(axis for axis in axes if axis in order),
            order,
        )

    def known(self, name: str) -> Column:
        """Mask of the rows in which a number is known: finite, and of a metric only where the point is
        feasible; what a point needs is known where it doesn't fit too.
        """
        finite = np.isfinite(self.numbers[name])
        return finite if name in self.axes or name in MEMORY else finite & self.feasible

    def kept(self, name: str) -> Column | Text:
        """One column as it is kept: texts each written once, NaN where a number is not known."""
        return self.texts[name] if name in self.texts else self.values(name)

    def values(self, name: str) -> Column:
        """One column as an array: texts spelled out, NaN where a number is not known."""
        if name in self.texts:
            return np.asarray(self.texts[name].values())
        if name in self.numbers:
            return np.where(self.known(name), self.numbers[name], np.nan)
        if name in COUNTS:
            return self.counts[name]
        return self.feasible if name in FLAGS else np.full(self.rows, np.nan)

    def fill(self, start: int, run: Run, metrics: Sequence[Metric], labels: Sequence[str] = ()) -> None:
        """Write a run's points into the rows from `start` on, with their precisions' names as asked for."""
        rows = slice(start, start + run.grid.size)
        shape = run.grid.shape
        feasible = np.broadcast_to(run.feasible, shape).reshape(-1)
        self.feasible[rows] = feasible
        names = fixed(label(run.system), run.system, run.network.name, run.phase, run.choice)
        self._names(rows, names, run.system.count)
        self._fill(rows, shape, "precision", _precisions(self.texts["precision"], run.grid, labels))
        self._coordinates(rows, run.grid)
        for metric in metrics:
            if metric.name in self.order:
                self._number(rows, shape, metric.name, metric.of(run))
        for name, column in run.memory.items():
            if name in self.order:
                self._number(rows, shape, name, column)
        self._number(rows, shape, "log_error", run.log_error)
        self._marks(rows, run, feasible)
        if "reason" in self.order and not feasible.all():
            reasons(run, feasible, self.texts["reason_code"], self.texts["reason"], rows)

    def refuse(
        self, start: int, grid: Grid, texts: Mapping[str, str], chips: int, labels: Sequence[str] = ()
    ) -> None:
        """Write points that an architecture refuses as a whole.

        Args:
            start: First row.
            grid: The points.
            texts: Names of the system and the workload, `reason_code` and `reason`.
            chips: Of the system.
            labels: Names of its precisions as asked for.
        """
        rows = slice(start, start + grid.size)
        self._names(rows, {**texts, "flags": ""}, chips)
        self._fill(rows, grid.shape, "precision", _precisions(self.texts["precision"], grid, labels))
        for numbers in self.numbers.values():
            numbers[rows] = np.nan
        self._coordinates(rows, grid)

    def _names(self, rows: slice, texts: Mapping[str, str], chips: int) -> None:
        for name, word in texts.items():
            if name in self.texts:
                self.texts[name].codes[rows] = self.texts[name].code(word)
        self.counts["chips"][rows] = chips

    def _fill(self, rows: slice, shape: tuple[int, ...], name: str, codes: Column | int) -> None:
        self.texts[name].codes[rows].reshape(shape)[...] = codes

    def _coordinates(self, rows: slice, grid: Grid) -> None:
        at = grid.at.coordinates
        for name in self.axes:
            self._number(rows, grid.shape, name, at.get(name, np.nan))

    def _number(self, rows: slice, shape: tuple[int, ...], name: str, values: Numeric) -> None:
        """Write numbers; a column is made when something is first known in it."""
        column = self.numbers.get(name)
        if column is None:
            if np.size(values) == 1 and np.all(np.isnan(values)):
                return
            column = self.numbers[name] = np.empty(self.rows)
            column[: rows.start] = np.nan
        column[rows].reshape(shape)[...] = values

    def _marks(self, rows: slice, run: Run, feasible: Mask) -> None:
        """Layout, grade, domain, bound and flags."""
        for name, codes in _MARKS.items():
            if name in self.texts:
                self._fill(rows, run.grid.shape, name, codes(self.texts[name], run))
        if "bound" in self.texts:
            self.texts["bound"].codes[rows][~feasible] = -1


def _layout(column: Text, run: Run) -> Column:
    return np.asarray(column.many([str(one) for one in run.layouts])[run.layout])


def _grade(column: Text, run: Run) -> Column:
    return np.asarray(column.many(GRADES)[run.grade_code])


def _precisions(column: Text, grid: Grid, labels: Sequence[str]) -> Column:
    return np.asarray(column.many(labels or grid.precisions).reshape(grid.at.precision.weights.shape))


def _bound(column: Text, run: Run) -> Column | int:
    """Code of what most of the time goes to; the first of equals, as `Run.bound`."""
    codes = column.many(list(run.binding))
    longest: Array | None = None
    for code, seconds in zip(codes, run.binding.values(), strict=True):
        seconds = np.asarray(seconds, dtype=np.float64)
        if longest is None:
            longest, chosen = seconds, np.asarray(code)
            continue
        more = seconds > longest
        longest, chosen = np.maximum(longest, seconds), np.where(more, code, chosen)
    return -1 if longest is None else chosen


def _domain(column: Text, run: Run) -> Column:
    """What each point rests on; only the words that occur are kept."""
    places = domain_code(run)
    codes = np.full(len(DOMAINS), -1, dtype=np.int32)
    for place in np.unique(places).tolist():
        codes[place] = column.code(DOMAINS[place])
    return np.asarray(codes[places])


def _flags(column: Text, run: Run) -> Column:
    """Names of the flags raised, joined by semicolons: the combinations are numbered, not the points."""
    bits: Column = np.zeros((), dtype=np.intp)
    names = list(run.flags)
    for i, name in enumerate(names):
        bits = bits + (np.asarray(run.flags[name]).astype(np.intp) << i)
    seen = np.flatnonzero(np.bincount(np.ravel(bits), minlength=1 << len(names)))
    words = {int(one): ";".join(name for i, name in enumerate(names) if int(one) >> i & 1) for one in seen}
    table = np.full(1 << len(names), -1, dtype=np.int32)
    table[list(words)] = column.many(list(words.values()))
    return table[bits]


_MARKS: Mapping[str, Callable[[Text, Run], Column | int]] = {
    "layout": _layout,
    "grade": _grade,
    "domain": _domain,
    "bound": _bound,
    "flags": _flags,
}
"""Texts that depend on the point, and what numbers their words."""
