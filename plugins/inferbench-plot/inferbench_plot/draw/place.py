"""Where labels go: beside what they name, never on each other and, where there is room, on nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs
import numpy as np

__all__ = ["Box", "Label", "place", "sampled"]

REACH = (4.0, 9.0, 15.0, 23.0, 34.0, 48.0, 66.0)
"""Distances from the mark to try, as multiples of `unit`."""
AROUND = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
MOST_COVERED = 2


@attrs.frozen
class Box:
    """A rectangle with its lower left corner."""

    x: float
    y: float
    width: float
    height: float

    def meets(self, other: Box) -> bool:
        """Whether two rectangles share any area."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )

    def holds(self, other: Box) -> bool:
        """Whether another rectangle lies inside."""
        return (
            other.x >= self.x
            and other.y >= self.y
            and other.x + other.width <= self.x + self.width
            and other.y + other.height <= self.y + self.height
        )


@attrs.frozen
class Label:
    """A text to be placed.

    Attributes:
        width, height: Of the text.
        anchors: Places that it may stand beside, the best first.
        lead: Distance beyond which a line joins it to its mark; that line crosses no other label.
    """

    width: float
    height: float
    anchors: tuple[tuple[float, float], ...]
    lead: float = math.inf

    def line(self, box: Box) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """The line from the nearest anchor to where the text stands; None where none is needed."""
        ends = [
            ((x, y), (min(max(x, box.x), box.x + box.width), min(max(y, box.y), box.y + box.height)))
            for x, y in self.anchors
        ]
        mark, near = min(ends, key=lambda e: math.dist(*e))
        return (mark, near) if math.dist(mark, near) > self.lead else None


def place(
    labels: Sequence[Label],
    inside: Box,
    covered: np.ndarray,
    taken: Sequence[Box] = (),
    unit: float = 1.0,
) -> list[Box | None]:
    """Find a place for each label, in order; None where it would cover another label or too much else.

    Args:
        labels: Texts.
        inside: Where they may stand.
        covered: Points of lines and marks, shape (points, 2), that should stay free.
        taken: Rectangles that must stay free.
        unit: Size of a step away from the anchor.

    Example:
        >>> one = Label(10.0, 4.0, ((50.0, 50.0),))
        >>> found = place([one, one], Box(0, 0, 100, 100), np.empty((0, 2)))
        >>> found[0].meets(found[1])
        False
    """
    fixed = list(taken)
    found: list[Box | None] = []
    for label in labels:
        best: Box | None = None
        least = MOST_COVERED + 1
        for box in _candidates(label, unit):
            if not inside.holds(box) or any(box.meets(other) for other in fixed):
                continue
            joined = sampled(label.line(box))
            if any(_inside(joined, other) for other in fixed):
                continue
            count = _inside(covered, box)
            if count < least:
                best, least = box, count
                if count == 0:
                    break
        found.append(best)
        if best is not None:
            fixed.append(best)
            covered = np.concatenate((covered, sampled(label.line(best))))
    return found


def sampled(line: tuple[tuple[float, float], tuple[float, float]] | None, step: float = 6.0) -> np.ndarray:
    """Points every few pixels along a line, its ends included; none of no line.

    Args:
        line: Its ends.
        step: Distance between points.

    Example:
        >>> sampled(((0.0, 0.0), (12.0, 0.0))).tolist()
        [[0.0, 0.0], [6.0, 0.0], [12.0, 0.0]]
    """
    if line is None:
        return np.empty((0, 2))
    a, b = np.asarray(line[0]), np.asarray(line[1])
    count = max(2, math.ceil(math.dist(*line) / step) + 1)
    return np.asarray(a + (b - a) * np.linspace(0.0, 1.0, count)[:, None])


def _inside(points: np.ndarray, box: Box) -> int:
    if not len(points):
        return 0
    x, y = points[:, 0], points[:, 1]
    return int(np.sum((x > box.x) & (x < box.x + box.width) & (y > box.y) & (y < box.y + box.height)))


def _candidates(label: Label, unit: float) -> Iterator[Box]:
    for reach in REACH:
        for x, y in label.anchors:
            for right, up in AROUND:
                far = reach * unit / (math.sqrt(2.0) if right and up else 1.0)
                left = x + right * far - (label.width if right < 0 else 0.0 if right else label.width / 2)
                low = y + up * far - (label.height if up < 0 else 0.0 if up else label.height / 2)
                yield Box(left, low, label.width, label.height)
