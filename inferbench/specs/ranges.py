"""Axes written as lists and ranges: `1,8,32`, `1:512:x2`, `128:32768:+128`, mixed with commas.

A range knows its length without being written out, so that 10^12 points are counted before they are made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.num import Array
from inferbench.units import count

__all__ = ["MOST", "MOST_LISTED", "Points", "Segment", "parse"]

WHOLE = 2.0**53
MOST_LISTED = 10_000_000
MOST = 1e9
LIMITED = ("batch", "context")


@attrs.frozen
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


@attrs.frozen
class Points:
    """The points of one axis, in the order given.

    Example:
        >>> parse("1:8:x2,100", "--batch").values().tolist()
        [1.0, 2.0, 4.0, 8.0, 100.0]
    """

    segments: tuple[Segment, ...]

    @classmethod
    def of(cls, values: list[float]) -> Points:
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
        return ",".join(str(segment) for segment in self.segments)


def parse(text: str, flag: str) -> Points:
    """Read an axis.

    Args:
        text: `1,8,32`, `1:512:x2` (doubling), `128:32768:+128` (steps of 128), or a mix; `8k` is 8,192.
        flag: The option's name, for messages.

    Raises:
        InferBenchError: No points, not a number, not whole, a step that leads nowhere, a point that stands
            twice.

    Example:
        >>> parse("128:512:+128", "--context").values().tolist()
        [128.0, 256.0, 384.0, 512.0]
    """
    segments = tuple(_segment(part.strip(), text, flag) for part in text.split(",") if part.strip())
    if not segments:
        raise InferBenchError.at(flag, "the axis has no points", f"write {flag} 1,8,32")
    for segment in segments:
        _check_top(segment.last, flag)
    points = Points(segments)
    if len(segments) > 1 and points.count <= MOST_LISTED:
        values, counts = np.unique(points.values(), return_counts=True)
        if np.any(counts > 1):
            twice = values[counts > 1][0]
            raise InferBenchError.at(flag, f"{twice:.0f} stands twice in '{text}'", "give every point once")
    return points


def _check_top(value: float, flag: str) -> None:
    """Refuse a batch or a context that nobody can mean.

    Raises:
        InferBenchError: The value is above 10^9, and `flag` is one of those two.
    """
    if value > MOST and flag.removeprefix("--axis ").removeprefix("--") in LIMITED:
        raise InferBenchError.at(flag, f"{value:g} is out of range", f"at most {MOST:,.0f} was expected")


def _segment(part: str, text: str, flag: str) -> Segment:
    if ":" not in part:
        value = _number(part, text, flag)
        return Segment(value, value)
    ends = part.split(":")
    if len(ends) != 3 or ends[2][:1] not in ("x", "+"):
        raise InferBenchError.at(
            flag, f"'{part}' is not a range", f"write {flag} 1:512:x2 or {flag} 128:32768:+128"
        )
    first, last = _number(ends[0], text, flag), _number(ends[1], text, flag)
    step, times = _number(ends[2][1:], text, flag), ends[2][0] == "x"
    if step < (2 if times else 1) or (times and first == 0):
        least = "a factor of at least 2 and a start of at least 1" if times else "a step of at least 1"
        raise InferBenchError.at(flag, f"'{part}' leads nowhere", f"{least} was expected")
    segment = Segment(first, last, step, times)
    if not segment.count:
        raise InferBenchError.at(
            flag,
            f"the range '{part}' has no points: it starts beyond its end",
            f"write {flag} {ends[1]}:{ends[0]}:{ends[2]}",
        )
    return segment


def _number(part: str, text: str, flag: str) -> float:
    try:
        value = count(part)
    except ValueError:
        raise InferBenchError.at(flag, f"'{text}' is not a list of numbers", f"write {flag} 1,8,32") from None
    if math.isfinite(value):
        _check_top(value, flag)
    if not math.isfinite(value) or value < 0 or value != int(value) or value > WHOLE:
        raise InferBenchError.at(
            flag, f"{value:g} is out of range", "whole numbers of at least 1 were expected"
        )
    return value
