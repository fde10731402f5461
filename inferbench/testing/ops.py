"""Random operators, grids and sites for the contracts."""

from __future__ import annotations

import copy

import attrs
import numpy as np
from hypothesis import strategies as st

from inferbench.num import Numeric
from inferbench.records.attention import Attention
from inferbench.records.chip import Chip
from inferbench.records.cost import Cost
from inferbench.records.grid import Grid, Point
from inferbench.records.interfaces import Architecture
from inferbench.records.op import Elementwise, Gemm, Move, Op, Reduce
from inferbench.records.overlap import maximum_of
from inferbench.records.placement import Footprint, Graph, Site

__all__ = ["at_points", "ideal_time", "ops_at", "recipes", "site_for", "snapshot"]

Recipe = tuple[str, tuple[float, ...]]
_SIZE = st.integers(1, 8192).map(float)


def recipes() -> st.SearchStrategy[Recipe]:
    """Draw a kind and four sizes; `ops_at` makes an operator of it."""
    return st.tuples(
        st.sampled_from(["gemm", "attention", "elementwise", "reduce", "move"]),
        st.tuples(_SIZE, _SIZE, _SIZE, _SIZE),
    )


def ops_at(recipe: Recipe, at: Point) -> Op:
    """Build the operator of a recipe at a point whose `batch` and `context` are arrays."""
    kind, (n, k, heads, _) = recipe
    batch, context, precision = at["batch"], at["context"], at.precision
    if kind == "gemm":
        return Gemm(name="gemm", precision=precision, m=batch, n=n, k=k)
    if kind == "attention":
        groups = float(1 + int(heads) % 64)
        return Attention(
            name="attention",
            precision=precision,
            batch=batch,
            heads=4.0 * groups,
            kv_heads=groups,
            queries=1.0,
            keys=context,
            pairs=context,
            qk_dim=128.0,
            v_dim=128.0,
        )
    if kind == "elementwise":
        return Elementwise(name="elementwise", precision=precision, elements=batch * n, reads=2.0)
    if kind == "reduce":
        return Reduce(name="reduce", precision=precision, elements=batch * n, results=batch)
    return Move(name="move", precision=precision, elements=batch * n, stored=n * k)


def at_points(
    batches: list[float], contexts: list[float], precisions: list[str]
) -> tuple[Grid, list[tuple[Grid, tuple[int, ...]]]]:
    """Return a grid and each of its points as a grid of its own, with the index where it lies."""
    grid = Grid.of({"batch": batches, "context": contexts}, precisions)
    points: list[tuple[Grid, tuple[int, ...]]] = []
    for i, batch in enumerate(batches):
        for j, context in enumerate(contexts):
            for k, precision in enumerate(precisions):
                points.append((Grid.of({"batch": [batch], "context": [context]}, [precision]), (i, j, k)))
    return grid, points


def site_for(architecture: Architecture, chip: Chip, tuning: object = None, weights: float = 0.0) -> Site:
    """Place a graph that needs `weights` bytes on one chip."""
    return architecture.site(chip, Graph((), Footprint(weights, 0.0, 0.0), 1), tuning=tuning)


def ideal_time(cost: Cost) -> Numeric:
    """Time under the ideal stack: the longest engine, then what is exposed."""
    return maximum_of(list(cost.busy.values())) + sum(cost.exposed.values())


def snapshot(op: Op) -> dict[str, object]:
    """A deep copy of an operator's fields, to see that nobody changed them."""
    return {
        field.name: copy.deepcopy(getattr(op, field.name))
        for field in attrs.fields(type(op))
        if field.name != "precision"
    }


def same(left: Numeric, right: Numeric) -> bool:
    """Equal to 1e-12, NaN equal to NaN."""
    return bool(np.allclose(left, right, rtol=1e-12, atol=0.0, equal_nan=True))
