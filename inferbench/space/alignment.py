"""Rows of several systems put beside each other: every system on the same points, in the same order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from inferbench.errors import InferBenchError
from inferbench.num import Column, Indices, numbered
from inferbench.space.texts import Text

__all__ = ["aligned", "codes", "dependent", "keys"]

MOST = 1 << 62


def codes(values: Column | Text) -> tuple[Indices, int]:
    """A whole number per row, equal where the values are, and how many there may be.

    Example:
        >>> codes(np.array([8.0, 2.0, 8.0]))[0].tolist()
        [1, 0, 1]
    """
    if not isinstance(values, Text) and values.dtype == object:
        values = Text.of(values.tolist())
    if isinstance(values, Text):
        return values.codes.astype(np.intp) + 1, len(values.words) + 1
    firsts, numbers = numbered(values)
    return numbers, len(firsts)


def keys(axes: Mapping[str, Column | Text]) -> tuple[Indices, int]:
    """A whole number per row that two rows share if all their coordinates agree, and the end of the range."""
    key: Indices = np.zeros(len(next(iter(axes.values()))), dtype=np.intp)
    size = 1
    for values in axes.values():
        numbers, count = codes(values)
        if size * count > MOST:
            firsts, key = numbered(key)
            size = len(firsts)
        key, size = key * count + numbers, size * count
    return key, size


def dependent(axes: Mapping[str, Column | Text], systems: int) -> bool:
    """Whether the batch is no axis of its own but what each system can hold at the other coordinates."""
    batch = axes["batch"]
    assert not isinstance(batch, Text)
    if not len(batch) or batch.min() == batch.max():
        return False
    others = {name: values for name, values in axes.items() if name != "batch"}
    return bool(others) and len(numbered(keys(others)[0])[0]) * systems == len(batch)


def aligned(systems: Sequence[str], numbers: Indices, key: Indices, size: int) -> list[Indices]:
    """Rows of each system, ordered by their points.

    Args:
        systems: Names.
        numbers: Which of them a row is of.
        key: Which point a row is of.
        size: End of the range of the keys.

    Raises:
        InferBenchError: A system or a point that stands twice, systems that don't cover the same points.
    """
    rows = [np.flatnonzero(numbers == number) for number in range(len(systems))]
    for system, mine in zip(systems, rows, strict=True):
        if _twice(key[mine], size):
            raise InferBenchError.at(
                system,
                "stands twice, or its points do",
                "name every system (8xb200, or 8xb200:tp8 for one layout) and every point once",
            )
    if all(np.array_equal(key[mine], key[rows[0]]) for mine in rows[1:]):
        return rows  # a sweep writes all systems in one order
    rows = [mine[np.argsort(key[mine], kind="stable")] for mine in rows]
    for system, mine in zip(systems, rows, strict=True):
        if not np.array_equal(key[mine], key[rows[0]]):
            raise InferBenchError.at(
                system,
                f"covers other points than {systems[0]}",
                "sweep all systems over one grid, in one command",
            )
    order = np.argsort(rows[0])
    return [mine[order] for mine in rows]


def _twice(key: Indices, size: int) -> bool:
    """Whether a key stands twice: ticked off where the range is narrow enough."""
    if size <= 32 * len(key) + (1 << 16):
        seen = np.zeros(size, dtype=bool)
        seen[key] = True
        return int(np.count_nonzero(seen)) < len(key)
    return len(np.unique(key)) < len(key)
