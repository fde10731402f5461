"""Axes written as lists and ranges: `1,8,32`, `1:512:x2`, `128:32768:+128`, mixed with commas.

A range knows its length without being written out, so that 10^12 points are counted before they are made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from inferbench.errors import Fault, InferBenchError
from inferbench.num import Array
from inferbench.records.immutable import frozen
from inferbench.units import count

__all__ = [
    "LARGEST",
    "MAX",
    "MOST",
    "MOST_LISTED",
    "Axis",
    "Points",
    "Segment",
    "axis_fault",
    "parse",
    "points_of",
]

WHOLE = 2.0**53
MOST_LISTED = 10_000_000
MOST = 1e9
LIMITED = ("batch", "context")
MAX = "max"


@frozen
class Segment:
    """One item between commas: a number, or a range with both ends included where the step meets them.

    Attributes:
        first, last: Ends.
        step: Added, or multiplied by.
        times: Whether the step multiplies.

    Example:
        >>> Segment(1.0, 512.0, 2.0, times=True).count
        10
    """

    first: float
    last: float
    step: float = 1.0
    times: bool = False

    @property
    def count(self) -> int:
        """Number of points; 0 if the last lies before the first."""
        if self.last < self.first:
            return 0
        if not self.times:
            return int((self.last - self.first) // self.step) + 1
        value, found = int(self.first), 0
        while value <= self.last:
            value, found = value * int(self.step), found + 1
        return found

    def values(self, start: int, stop: int) -> Array:
        """Points `start` to `stop` (excluded), float64."""
        index = np.arange(start, stop, dtype=np.float64)
        return self.first * self.step**index if self.times else self.first + self.step * index

    def __str__(self) -> str:
        if self.first == self.last:
            return f"{self.first:.0f}"
        return f"{self.first:.0f}:{self.last:.0f}:{'x' if self.times else '+'}{self.step:.0f}"


@frozen
class Points:
    """The points of one axis, in the order given, or the largest batch that fits.

    Attributes:
        segments: Numbers and ranges.
        largest: Whether the axis has one point that is found at every point of the others: the largest batch
            that fits. It stands at 1 until then.

    Example:
        >>> parse("1:8:x2,100", "batch").values().tolist()
        [1.0, 2.0, 4.0, 8.0, 100.0]
    """

    segments: tuple[Segment, ...]
    largest: bool = False

    @classmethod
    def of(cls, values: Iterable[float]) -> Points:
        """Build from plain numbers."""
        return cls(tuple(Segment(float(value), float(value)) for value in values))

    @property
    def count(self) -> int:
        """Number of points."""
        return sum(segment.count for segment in self.segments)

    def values(self, start: int = 0, stop: int | None = None) -> Array:
        """Points `start` to `stop` (excluded) as float64; all of them by default."""
        return np.concatenate([np.empty(0), *self._parts(start, self.count if stop is None else stop)])

    def _parts(self, start: int, stop: int) -> Iterator[Array]:
        for segment in self.segments:
            count = segment.count
            if start < count and stop > 0:
                yield segment.values(max(0, start), min(count, stop))
            start, stop = start - count, stop - count

    def __str__(self) -> str:
        return MAX if self.largest else ",".join(str(segment) for segment in self.segments)


Axis: TypeAlias = float | Sequence[float] | str | Points
"""How an axis is given: `8`, `[1, 8]`, `"1:512:x2"`, or, of the batch, `"max"`."""

LARGEST = Points((Segment(1.0, 1.0),), largest=True)


def points_of(values: Axis, argument: str) -> Points:
    """Read an axis that is given as a number, numbers, or text.

    Args:
        values: `8`, `[1, 8]`, `"1:512:x2"`, `"max"` (of the batch).
        argument: Its name, for messages.

    Raises:
        InferBenchError: As `parse`; something that is no number.

    Example:
        >>> points_of([1, 8], "batch").values().tolist(), str(points_of("max", "batch"))
        ([1.0, 8.0], 'max')
    """
    if isinstance(values, Points):
        return values
    if isinstance(values, str):
        return parse(values, argument)
    try:
        listed = np.atleast_1d(np.asarray(values, dtype=np.float64)).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        found = f"{values!r:.60} is not a number or a list of numbers"
        raise _fault(argument, found, "", {argument: [1, 8, 32]}) from None
    if not listed.size:
        raise _fault(argument, "the axis has no points", "", {argument: [1, 8, 32]})
    for value in listed.tolist():
        _check(value, argument)
    return Points.of(listed.tolist())


def parse(text: str, argument: str, least: float = 1.0) -> Points:
    """Read an axis.

    Args:
        text: `1,8,32`, `1:512:x2` (doubling), `128:32768:+128` (steps of 128), a mix (`8k` is 8,192), or
            `max` of the batch.
        argument: Its name, for messages.
        least: Smallest number that is allowed.

    Raises:
        InferBenchError: No points, not a number, not whole, a step that leads nowhere, a point that stands
            twice.

    Example:
        >>> parse("128:512:+128", "context").values().tolist()
        [128.0, 256.0, 384.0, 512.0]
    """
    if text.strip() == MAX and argument == "batch":
        return LARGEST
    segments = tuple(
        _segment(part.strip(), text, argument, least) for part in text.split(",") if part.strip()
    )
    if not segments:
        raise _fault(argument, "the axis has no points", "", {argument: "1,8,32"})
    points = Points(segments)
    if len(segments) > 1 and points.count <= MOST_LISTED:
        values, counts = np.unique(points.values(), return_counts=True)
        if np.any(counts > 1):
            found = f"{values[counts > 1][0]:.0f} stands twice in '{text}'"
            raise _fault(argument, found, "give every point once", {})
    return points


def _fault(argument: str, found: str, remedy: str, give: Mapping[str, object]) -> InferBenchError:
    return InferBenchError.of_argument(argument, found, remedy, **give)


def _segment(part: str, text: str, argument: str, least: float) -> Segment:
    if ":" not in part:
        value = _number(part, text, argument, least)
        return Segment(value, value)
    ends = part.split(":")
    if len(ends) != 3 or ends[2][:1] not in ("x", "+"):
        raise _fault(argument, f"'{part}' is not a range", "", {argument: "1:512:x2"})
    first, last = (_number(end, text, argument, least) for end in ends[:2])
    times = ends[2][0] == "x"
    step = float(ends[2][1:]) if ends[2][1:].isdecimal() else 0.0
    if step < (2 if times else 1) or (times and first == 0):
        wanted = (
            "a whole factor of at least 2 from a start of at least 1" if times else "a step of at least 1"
        )
        raise _fault(argument, f"'{part}' leads nowhere", f"{wanted} was expected", {})
    segment = Segment(first, last, step, times)
    if not segment.count:
        found = f"the range '{part}' has no points: it starts beyond its end"
        raise _fault(argument, found, "", {argument: f"{ends[1]}:{ends[0]}:{ends[2]}"})
    return segment


def _number(part: str, text: str, argument: str, least: float) -> float:
    try:
        value = count(part)
    except ValueError:
        raise _fault(argument, f"'{text}' is not a list of numbers", "", {argument: "1,8,32"}) from None
    # Nobody means to write more sequences or positions than this.
    _check(value, argument, least, MOST if argument in LIMITED else WHOLE)
    return value


def axis_fault(value: float, axis: str, least: float = 1.0, most: float = WHOLE) -> Fault | None:
    """Say what is wrong with a point of an axis: not whole, too small or too large.

    Args:
        value: The point.
        axis: Its name.
        least, most: Smallest and largest number that is allowed.

    Example:
        >>> axis_fault(8.0, "batch"), axis_fault(0.5, "context").found
        (None, '0.5 is out of range')
    """
    found = f"{value:g} is out of range"
    if math.isfinite(value) and value > most:
        return Fault("", found, f"at most {most:,.0f} was expected", axis)
    if math.isfinite(value) and value >= least and value == int(value):
        return None
    remedy = f"whole numbers of at least {least:.0f} were expected"
    if axis != "batch":
        return Fault("", found, remedy, axis)
    return Fault("", found, f"{remedy}; {{give}} takes the largest that fits", axis, (("batch", MAX),))


def _check(value: float, argument: str, least: float = 1.0, most: float = WHOLE) -> None:
    fault = axis_fault(value, argument, least, most)
    if fault is not None:
        raise InferBenchError([fault])
