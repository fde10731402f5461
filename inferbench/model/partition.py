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

__all__ = ["Stages", "candidates", "microbatch", "shard", "stages", "widest_tp"]


@attrs.frozen
class Stages:
    """Layers per pipeline stage: the first also holds the embedding, the last the head.

    Attributes:
        first, middle, last: Layers of each kind of stage; with one stage `first` has all.
        count: Number of stages.
    """

    first: int
    middle: int
    last: int
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


def microbatch(at: Point, layout: Layout) -> tuple[Point, Numeric]:
    """Return the point one pipeline pass sees, and how many of them a step takes.

    Microbatches are as many as stages, or as sequences per replica where those are fewer; where they don't
    divide evenly, the fewest of that size: nine sequences over eight stages go in five microbatches of two.
    """
    if layout.dp == 1 and layout.pp == 1:
        return at, 1.0
    replica = np.maximum(1.0, ceil_div(at["batch"], layout.dp))
    size = ceil_div(replica, np.minimum(float(layout.pp), replica))
    return at.replace(batch=size), ceil_div(replica, size)


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
    first = [float(np.max(part)) for part in (weights.embedding, weights.layer, weights.head)]
    cut = stages(layers, layout.pp, first[0], first[1] / layers, first[2])
    held = zip(weights.per_stage(cut, layers), state.per_stage(cut, layers), strict=True)
    footprint = _fullest([Footprint(w, s * passes, activations) for w, s in held])
    return Graph(ops, footprint, layers), cut


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
