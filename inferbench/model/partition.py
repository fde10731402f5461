"""How a graph is cut over chips: shard sizes from `split`, pipeline stages, and what a stage must hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import attrs
import numpy as np

from inferbench.num import Numeric, ceil_div
from inferbench.records.grid import Point
from inferbench.records.op import Attention, Collective, Op
from inferbench.records.placement import Footprint, Graph
from inferbench.records.system import Layout

__all__ = ["Stages", "candidates", "cut", "microbatch", "replica", "shard", "stages", "widest_tp"]


@attrs.frozen
class Stages:
    """Layers per pipeline stage: the first also holds the embedding, the last the head.

    Attributes:
        first, middle, last: Layers of each kind of stage; with one stage `first` has all. Arrays where the
            cut depends on the point (bytes of a layer and of the head differ by precision).
        count: Number of stages.
    """

    first: Any
    middle: Any
    last: Any
    count: int


@attrs.frozen(eq=False)
class Sums:
    """An amount added up by unit: what the embedding, all layers and the head take."""

    embedding: Any = 0.0
    layer: Any = 0.0
    head: Any = 0.0

    @property
    def total(self) -> Any:
        """All units."""
        return self.embedding + self.layer + self.head

    def per_stage(self, cut: Stages, layers: int) -> list[Any]:
        """The amount in each kind of stage."""
        if cut.count == 1:
            return [self.total]
        one = self.layer / layers
        parts = [self.embedding + cut.first * one, self.head + cut.last * one]
        return parts if cut.count == 2 else [*parts, cut.middle * one]


def add_up(ops: Sequence[Op], amounts: Sequence[Any]) -> Sums:
    """Add amounts by the unit of their operators."""
    sums: dict[str, Any] = {"embedding": 0.0, "layer": 0.0, "head": 0.0}
    for op, amount in zip(ops, amounts, strict=True):
        sums[op.unit] = sums[op.unit] + amount
    return Sums(**sums)


@lru_cache(maxsize=4096)
def stages(layers: int, count: int, embedding: float, layer: float, head: float) -> Stages:
    """Cut layers into stages so that the heaviest is as light as possible.

    Args:
        layers: Whole layers to spread; embedding and head are units of their own at the two ends.
        count: Stages.
        embedding, layer, head: Weight (bytes) of each unit.

    Example:
        80 layers of 0.86 GB between an embedding and a head of 1.05 GB, over 42 stages:

        >>> stages(80, 42, 1.05, 0.86, 1.05)
        Stages(first=0, middle=2, last=0, count=42)
    """
    if count == 1:
        return Stages(layers, 0, 0, 1)
    best: tuple[float, Stages] | None = None
    inner = count - 2
    for middle in range(layers // inner + 1) if inner else (0,):
        rest = layers - inner * middle
        even = round((rest * layer + head - embedding) / (2 * layer)) if layer else rest // 2
        first = max(0, min(rest, even))
        heaviest = max(embedding + first * layer, middle * layer, head + (rest - first) * layer)
        if best is None or heaviest < best[0] - 1e-9:
            best = (heaviest, Stages(first, middle, rest - first, count))
    assert best is not None
    return best[1]


def cut(sums: Sums, layers: int, count: int) -> Stages:
    """Cut layers into stages at every point by itself, so that no point depends on its neighbours.

    Args:
        sums: Bytes of weights of the embedding, of all layers and of the head; broadcast to each other.
        layers: Layers to spread.
        count: Stages.
    """
    if count == 1:
        return Stages(layers, 0, 0, 1)
    units = np.broadcast_arrays(sums.embedding, np.asarray(sums.layer) / layers, sums.head)
    rows, where = np.unique(np.stack([np.ravel(unit) for unit in units], axis=1), axis=0, return_inverse=True)
    cuts = [stages(layers, count, *(float(unit) for unit in row)) for row in rows]
    if len(cuts) == 1:
        return cuts[0]
    index = np.reshape(where, np.shape(units[0]))
    first, middle, last = (
        np.array([getattr(one, part) for one in cuts], dtype=np.float64)[index]
        for part in ("first", "middle", "last")
    )
    return Stages(first, middle, last, count)


def microbatch(at: Point, layout: Layout) -> tuple[Point, Numeric]:
    """Return the point one pipeline pass sees, and how many of them a step takes.

    Microbatches are as many as stages, or as sequences per replica where those are fewer. Where they don't
    divide evenly, passes see the mean: nine sequences over eight stages go in eight microbatches of 1.125,
    seven of one sequence and one of two. A further sequence never shortens the step.
    """
    if layout.dp == 1 and layout.pp == 1:
        return at, 1.0
    sequences = replica(at, layout)["batch"]
    passes = np.minimum(float(layout.pp), sequences)
    return at.replace(batch=sequences / passes), passes


def replica(at: Point, layout: Layout) -> Point:
    """Return the point that the fullest data-parallel rank sees, all microbatches together."""
    if layout.dp == 1:
        return at
    return at.replace(batch=np.maximum(1.0, ceil_div(at["batch"], layout.dp)))


def shard(ops: Sequence[Op], layout: Layout) -> tuple[Op, ...]:
    """Return what one chip of each stage does, collectives after the operators that need them."""
    if layout.tp == 1:
        return tuple(ops)
    return tuple(part for op in ops for part in _with_exchanges(op, layout))


def _with_exchanges(op: Op, layout: Layout) -> Iterator[Op]:
    mine = op.shard(layout)
    yield mine
    yield from mine.exchanges(layout)


def local_graph(ops: tuple[Op, ...], layout: Layout, layers: int, passes: Numeric) -> tuple[Graph, Stages]:
    """Cut the sharded operators into stages and say what the fullest one must hold."""
    weights = add_up(ops, [op.parameters * op.precision.weights * op.instances for op in ops])
    state = add_up(ops, [_state(op) for op in ops])
    activations = _largest(
        [op.bytes.inputs + op.bytes.outputs for op in ops if not isinstance(op, Collective)]
    )
    pieces = cut(weights, layers, layout.pp)
    held = zip(weights.per_stage(pieces, layers), state.per_stage(pieces, layers), strict=True)
    footprint = _fullest([Footprint(w, s * passes, activations) for w, s in held])
    return Graph(ops, footprint, layers), pieces


def _state(op: Op) -> Any:
    state = op.resident.state
    return 0.0 if isinstance(state, float) and state == 0.0 else state * op.instances


def _largest(amounts: Sequence[Any]) -> Any:
    largest: Any = 0.0
    for amount in amounts:
        largest = np.maximum(largest, amount)
    return largest


def _fullest(candidates: list[Footprint]) -> Footprint:
    fullest = candidates[0]
    for other in candidates[1:]:
        more = other.total > fullest.total
        fullest = Footprint(
            np.where(more, other.weights, fullest.weights),
            np.where(more, other.state, fullest.state),
            fullest.activations,
        )
    return fullest


def widest_tp(ops: Sequence[Op]) -> int:
    """Largest tensor-parallel degree that makes sense: the number of query heads, where there is
    attention.
    """
    heads = [float(np.max(op.heads)) for op in ops if isinstance(op, Attention) and "heads" in op.split]
    return int(max(heads)) if heads else (1024 if any(op.split for op in ops) else 1)


def candidates(count: int, layers: int, widest: int, experts: bool) -> list[Layout]:
    """All layouts of a number of chips: tp in powers of two, pp up to a unit per stage, dp the rest."""
    found = []
    tp = 1
    while tp <= min(count, widest):
        if count % tp == 0:
            for pp in range(1, min(count // tp, layers + 2) + 1):
                if (count // tp) % pp == 0:
                    dp = count // tp // pp
                    found.append(Layout(tp=tp, pp=pp, dp=dp))
                    if experts and tp > 1:
                        found.append(Layout(tp=tp, pp=pp, dp=dp, ep=tp))
        tp *= 2
    return found
