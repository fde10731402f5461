"""`Grid`: every axis in a dimension of its own, so that ordinary arithmetic broadcasts over all points at
once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.num import Array, Indices, Mask, Numeric
from inferbench.records.immutable import frozen
from inferbench.records.precision import Precision

__all__ = ["Grid", "Point", "span"]


@frozen(eq=False)
class Point:
    """What a workload's graph is asked at: named coordinates, each an array of its own dimension.

    Attributes:
        coordinates: Axis name to float64 array; absent axes take the workload's default.
        precision: The precision axis.
    """

    coordinates: Mapping[str, Numeric]
    precision: Precision

    def __getitem__(self, name: str) -> Numeric:
        return self.coordinates[name]

    @property
    def shape(self) -> tuple[int, ...]:
        """What an answer about all its points may be broadcast to."""
        return np.broadcast_shapes(
            *(np.shape(one) for one in self.coordinates.values()), self.precision.weights.shape
        )

    def replace(self, **coordinates: Numeric) -> Point:
        """Return the point with other coordinates: a microbatch instead of the batch, say."""
        return Point({**self.coordinates, **coordinates}, self.precision)


@frozen(eq=False)
class Grid:
    """Axes and their values; the longest lies last in memory, results are shown in the order given.

    Attributes:
        axes: Axis name to values (float64), in the order given.
        precisions: Names along the precision axis.
        solved: Dependent coordinates (the largest batch that fits), broadcastable to `shape`.

    Example:
        >>> grid = Grid.of({"batch": [1, 8], "context": [2048.0]}, ["bf16", "fp8"])
        >>> grid.size, grid.at["batch"].shape
        (4, (1, 1, 2))
    """

    axes: Mapping[str, Array]
    precisions: tuple[str, ...]
    dims: tuple[str, ...]
    solved: Mapping[str, Array] = attrs.field(factory=dict)

    @classmethod
    def of(cls, axes: Mapping[str, Sequence[float] | Array], precisions: Sequence[str]) -> Grid:
        """Build a grid; an empty axis is an error."""
        try:
            values = {name: np.asarray(points, dtype=np.float64).reshape(-1) for name, points in axes.items()}
        except OverflowError:
            raise InferBenchError.at(
                ", ".join(axes), "a value has more digits than a number can hold"
            ) from None
        lengths = {"precision": len(precisions), **{name: len(points) for name, points in values.items()}}
        for name, length in lengths.items():
            if length == 0:
                raise InferBenchError.of_argument(name, "the axis has no points", "give at least one value")
        for points in values.values():  # views: an array of the caller's stays as it is
            points.flags.writeable = False
        dims = tuple(sorted(lengths, key=lambda name: lengths[name]))
        return cls(values, tuple(precisions), dims)

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each dimension, in memory order."""
        return tuple(len(self.precisions) if dim == "precision" else len(self.axes[dim]) for dim in self.dims)

    @property
    def size(self) -> int:
        """Number of points."""
        return int(np.prod(self.shape))

    @property
    def at(self) -> Point:
        """Coordinates shaped for broadcasting."""
        coordinates: dict[str, Any] = {
            name: values.reshape(self._shape(name)) for name, values in self.axes.items()
        }
        return Point({**coordinates, **self.solved}, Precision.of(self.precisions, self._shape("precision")))

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(-1 if dim == name else 1 for dim in self.dims)

    def solve(self, **coordinates: Array) -> Grid:
        """Return the grid with dependent coordinates set."""
        return attrs.evolve(self, solved={**self.solved, **coordinates})

    @overload
    def full(self, values: Mask) -> Mask: ...

    @overload
    def full(self, values: Indices) -> Indices: ...

    @overload
    def full(self, values: Numeric) -> Array: ...

    def full(self, values: Numeric | Mask | Indices) -> Array | Mask | Indices:
        """Broadcast to the full shape (a view), axes in the order given to `of` and precision last."""
        order = [self.dims.index(name) for name in (*self.axes, "precision")]
        return np.broadcast_to(np.asarray(values), self.shape).transpose(order)


def span(values: Array) -> str:
    """Write an axis: its only point, or the first, the last and how many.

    Example:
        >>> span(np.array([1.0, 2.0, 4.0]))
        '1…4 (3)'
    """
    if len(values) == 1:
        return f"{values[0]:,.0f}"
    return f"{values[0]:,.0f}…{values[-1]:,.0f} ({len(values)})"
