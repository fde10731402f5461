"""Operators, points and sites on which records are tried: few, fixed, and at the edges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from inferbench.errors import UnsupportedOp
from inferbench.num import Array, Numeric
from inferbench.records.attention import Attention
from inferbench.records.chip import Chip
from inferbench.records.cost import Cost
from inferbench.records.grid import Grid, Point
from inferbench.records.interfaces import Architecture
from inferbench.records.op import Elementwise, Gemm, Move, Op, Reduce
from inferbench.records.overlap import maximum_of
from inferbench.records.placement import Site

__all__ = [
    "BATCHES",
    "CONTEXTS",
    "Tried",
    "at_each",
    "grid_of",
    "ideal_time",
    "operators",
    "parts",
    "site_on",
    "tried",
]

BATCHES = (1.0, 3.0, 4096.0, 4.096e9)
CONTEXTS = (1.0, 4096.0, 131072.0)
CLOSE = 1e-9
FORMATS = ("bf16", "fp16", "fp8", "int8")


def operators(at: Point) -> Iterator[Op]:
    """Yield one operator of each primitive kind and two more products, at all points of a grid."""
    batch, context, precision = at["batch"], at["context"], at.precision
    yield Gemm(name="small product", precision=precision, m=batch, n=16.0, k=48.0)
    yield Gemm(name="product", precision=precision, m=batch, n=16384.0, k=16384.0)
    yield Gemm(name="product of experts", precision=precision, m=batch, n=512.0, k=2048.0, count=8.0)
    for groups in (1.0, 8.0):
        yield Attention(
            name=f"attention of {groups:g} KV heads",
            precision=precision,
            batch=batch,
            heads=8.0 * groups,
            kv_heads=groups,
            queries=1.0,
            keys=context,
            pairs=context,
            qk_dim=128.0,
            v_dim=128.0,
        )
    yield Elementwise(name="elementwise", precision=precision, elements=batch * 4096.0, reads=2.0)
    yield Reduce(name="reduction", precision=precision, elements=batch * 4096.0, results=batch)
    yield Move(name="move", precision=precision, elements=batch * 4096.0, stored=4096.0 * 4096.0)


def grid_of(chip: Chip, architecture: Architecture) -> Grid:
    """The grid of edges, in the formats that the chip computes; in bf16 where its peaks are not known."""
    known = [name for name in FORMATS if math.isfinite(architecture.peak(chip, name))]
    return Grid.of({"batch": BATCHES, "context": CONTEXTS}, known[:2] or ["bf16"])


def site_on(architecture: Architecture, chip: Chip) -> Site:
    """One chip under ideal software, everything placed where the architecture wants it."""
    return architecture.site(chip)


def ideal_time(cost: Cost) -> Numeric:
    """Time under the ideal stack: the longest engine, then what is exposed."""
    return maximum_of(list(cost.busy.values())) + sum(cost.exposed.values())


def parts(cost: Cost) -> Iterator[tuple[str, Numeric]]:
    """Yield every figure of a cost by its name: `busy[compute]`."""
    groups: Mapping[str, Mapping[str, Numeric]] = {
        "busy": cost.busy,
        "exposed": cost.exposed,
        "actions": cost.actions,
    }
    for group, figures in groups.items():
        yield from ((f"{group}[{name}]", value) for name, value in figures.items())


@attrs.frozen
class Tried:
    """One operator on one chip, at all points.

    Attributes:
        chip: On which.
        site: One chip, ideal.
        grid: The points.
        op: The operator.
        cost: What it costs.
    """

    chip: Chip
    site: Site
    grid: Grid
    op: Op
    cost: Cost

    @property
    def place(self) -> str:
        """How findings call it."""
        return f"{self.op.name} on {self.chip.name}"

    def full(self, value: Numeric) -> Array:
        """Over the whole grid: batch, context, precision."""
        return self.grid.full(value)

    def at(self, index: tuple[int, ...]) -> str:
        """A point in words."""
        batch, context, precision = index
        return f"batch {BATCHES[batch]:g}, context {CONTEXTS[context]:g}, {self.grid.precisions[precision]}"

    def first(self, mask: Any) -> tuple[int, ...]:
        """Index of the first point where something is wrong."""
        return tuple(int(i) for i in np.argwhere(mask)[0])


def tried(architecture: Architecture, chip: Chip) -> Iterator[Tried]:
    """Cost every operator on a chip; those that the architecture refuses are left out."""
    grid, site = grid_of(chip, architecture), site_on(architecture, chip)
    for op in operators(grid.at):
        try:
            cost = architecture.cost(op, site)
        except UnsupportedOp:
            continue
        yield Tried(chip, site, grid, op, cost)


def at_each(grid: Grid) -> Iterator[tuple[Grid, tuple[int, int, int]]]:
    """Yield each point of the grid of edges as a grid of its own, with its index."""
    for i, batch in enumerate(BATCHES):
        for j, context in enumerate(CONTEXTS):
            for k, precision in enumerate(grid.precisions):
                yield Grid.of({"batch": [batch], "context": [context]}, [precision]), (i, j, k)
