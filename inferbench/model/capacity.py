"""What fits: the largest batch by bisection on the mask, and the smallest system that holds a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.model import partition
from inferbench.model.case import Case, prepare
from inferbench.model.evaluate import REMEMBERED, evaluate, layouts_of
from inferbench.model.step import placed
from inferbench.num import Array, Mask
from inferbench.records.grid import Grid
from inferbench.records.run import Run
from inferbench.records.system import Layout, System

__all__ = ["UnknownCapacity", "at_largest_batch", "largest_batch", "smallest_layout", "smallest_system"]

MOST = 2.0**20
MANY = 64
"""Batches that a search tries at once."""


def fits(case: Case, grid: Grid, layout: Layout) -> Mask:
    """Mask of the points whose footprint fits, without costing anything."""
    site, *_ = placed(case, grid.at, layout)
    return np.broadcast_to(np.asarray(site.placement.fits), grid.shape)


def largest_batch(case: Case, grid: Grid, layout: Layout) -> Array:
    """Largest batch that fits at every point of the other axes, all at once; 1 where not even that fits.

    Args:
        case: What to place.
        grid: With a `batch` axis of length one, which is the dependent coordinate.
        layout: How it is spread.

    Returns:
        Float64 array of whole numbers, of the grid's shape.
    """
    along = grid.dims.index("batch")
    many = max(1, min(MANY, REMEMBERED // grid.size))
    powers = 2.0 ** np.arange(1.0, np.log2(MOST) + 1.0)
    low, high = np.ones(grid.shape), np.full(grid.shape, np.inf)
    for some in np.array_split(powers, -(-len(powers) // many)):
        tried = np.broadcast_to(_along(some, along, grid), _times(grid, along, len(some)))
        low, high = _narrowed(case, grid, layout, tried, low, high)
        if np.all(np.isfinite(high)):
            break
    high = np.where(np.isfinite(high), high, low)
    while np.any(high - low > 1.0):
        width = high - low
        parts = min(many, int(np.max(width)) - 1)
        tried = low + np.floor(width * _along(np.arange(1.0, parts + 1.0) / (parts + 1.0), along, grid))
        low, high = _narrowed(case, grid, layout, tried, low, high)
    return low


def _along(values: Array, dimension: int, grid: Grid) -> Array:
    """Values in one of the dimensions of a grid."""
    return values.reshape([-1 if at == dimension else 1 for at in range(len(grid.shape))])


def _times(grid: Grid, dimension: int, many: int) -> tuple[int, ...]:
    """Shape of a grid with so many values in a dimension of length one."""
    return tuple(many if at == dimension else size for at, size in enumerate(grid.shape))


def _narrowed(
    case: Case, grid: Grid, layout: Layout, tried: Array, low: Array, high: Array
) -> tuple[Array, Array]:
    """The largest batch that is known to fit and the smallest that is known not to, after trying more, which
    rise along the dimension of the batch.
    """
    along = grid.dims.index("batch")
    site, *_ = placed(case, grid.solve(batch=tried).at, layout)
    fit = np.logical_and.accumulate(np.broadcast_to(site.placement.fits, tried.shape), axis=along)
    low = np.maximum(low, np.max(np.where(fit, tried, 0.0), axis=along, keepdims=True))
    return low, np.minimum(high, np.min(np.where(fit, np.inf, tried), axis=along, keepdims=True))


class UnknownCapacity(InferBenchError):
    """A chip whose memory's size is not known, so that nobody can say what fits."""

    lacks: str = ""
    """Which figure is missing, and of which chip."""


def at_largest_batch(case: Case, grid: Grid) -> Run:
    """Evaluate every layout at its own largest batch and keep, point by point, the highest throughput."""
    best: Run | None = None
    if np.isnan(case.chip.capacity):
        path = f"memory.{case.chip.main}.capacity"
        lacks = f"{case.chip.name}.toml lacks {path}"
        said = case.chip.missing(path)
        why = f"the largest is not known: {lacks}{f' ({said})' if said else ''}"
        error = UnknownCapacity.of_argument("batch", why, batch=1)
        error.lacks = lacks
        raise error
    if grid.size <= REMEMBERED // MANY:  # layouts that differ in their stages alone share what a chip does
        case = attrs.evolve(case, graphs={})
    for layout in layouts_of(case, case.graph(grid.at)):
        if best is not None and not fits(case, grid.solve(batch=np.ones(grid.shape)), layout).any():
            continue
        batch = largest_batch(case, grid, layout)
        run = evaluate(case, grid.solve(batch=batch), [layout])
        if best is None or _better(run, best):
            best = run
    assert best is not None
    if np.max(np.asarray(best.batch)) < MOST:
        return best
    ended = f"the search for the largest batch ends at {MOST:,.0f}: more may fit"
    return attrs.evolve(best, notes={**best.notes, "largest-batch": ended})


def _better(run: Run, than: Run) -> bool:
    """Compare total throughput over the points; layouts that fit nowhere lose."""

    def total(one: Run) -> float:
        rate = np.where(one.feasible, np.asarray(one.items) / np.asarray(one.seconds), 0.0)
        return float(np.nansum(np.broadcast_to(rate, one.grid.shape)))

    return total(run) > total(than)


@attrs.frozen
class Smallest:
    """The fewest chips over tensor-parallel degrees in powers of two, stages of whole layers."""

    chips: int
    layout: Layout


def smallest_layout(case: Case, grid: Grid) -> Smallest | None:
    """Find the smallest valid layout for a single-point grid, or None if no degree helps.

    KV heads are replicated above their number; embedding and head are units of their own.
    """
    case = attrs.evolve(case, graphs={})
    whole = case.graph(grid.at)
    best: Smallest | None = None
    tp = 1
    while tp <= partition.widest_tp(whole):
        for pp in _depths(case, grid, tp):
            if best is not None and tp * pp >= best.chips:
                break
            layout = Layout(tp=tp, pp=pp)
            if bool(fits(_sized(case, layout), grid, layout).all()):
                best = Smallest(layout.chips, layout)
                break
        tp *= 2
    return best


def smallest_system(run: Run, registry: Registry, options: Mapping[str, Any] | None) -> System | None:
    """Find the smallest system of a run's chip that holds the largest point of its grid; None if none does.
    Its layout is the first that holds it, not the fastest of that size.

    Args:
        run: On one chip, too small for it.
        registry: Where the plugins are looked up.
        options: The workload's options, as they were given.
    """
    case = prepare(
        run.system,
        run.network,
        run.phase,
        stack=run.stack,
        registry=registry,
        options=options,
        scenario=run.scenario,
        reserve=run.reserve,
    )
    largest = {name: [max(1.0, float(np.max(values)))] for name, values in run.grid.axes.items()}
    found = smallest_layout(case, Grid.of(largest, [run.grid.precisions[0]]))
    return System(run.system.chip, found.chips, found.layout) if found else None


def _sized(case: Case, layout: Layout) -> Case:
    return attrs.evolve(case, system=attrs.evolve(case.system, count=layout.chips, layout=layout))


def _depths(case: Case, grid: Grid, tp: int) -> Sequence[int]:
    """Numbers of stages worth trying for a degree: from the bytes' bound to a unit per stage."""
    _, graph, *_ = placed(_sized(case, Layout(tp=tp)), grid.at, Layout(tp=tp))
    has = case.room.capacity
    need = float(np.max(np.asarray(graph.footprint.weights + graph.footprint.state)))
    least = max(1, int(np.ceil(need / has)))
    return range(least, case.layers + 3)
