"""How a graph is cut over chips: shard sizes from `split`, pipeline stages, and what a stage must hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import attrs
import numpy as np

from inferbench.num import Numeric, ceil_div
from inferbench.records.attention import Attention
from inferbench.records.grid import Point
from inferbench.records.op import Collective, Op
from inferbench.records.placement import Footprint, Graph
from inferbench.records.system import Layout

__all__ = [
    "Share",
    "Stages",
    "attends",
    "candidates",
    "cut",
    "held",
    "duration",
    "joint",
    "microbatch",
    "replica",
    "shard",
    "share",
    "stages",
    "widest_tp",
]


@attrs.frozen
class Stages:
    """Layers per pipeline stage: the first also holds the embedding, the last the head.

    Attributes:
        first, middle, last: Layers of each kind of stage; with one stage `first` has all. Arrays where the
            cut depends on the point (bytes of a layer and of the head differ by precision).
        count: Number of stages.
    """

    first: Numeric
    middle: Numeric
    last: Numeric
    count: int


@attrs.frozen(eq=False)
class Sums:
    """An amount added up by unit: what the embedding, all layers and the head take."""

    embedding: Numeric = 0.0
    layer: Numeric = 0.0
    head: Numeric = 0.0

    @property
    def total(self) -> Numeric:
        """All units."""
        return self.embedding + self.layer + self.head

    def per_stage(self, cut: Stages, layers: int) -> list[Numeric]:
        """The amount in each kind of stage."""
        if cut.count == 1:
            return [self.total]
        one = self.layer / layers
        parts = [self.embedding + cut.first * one, self.head + cut.last * one]
        return parts if cut.count == 2 else [*parts, cut.middle * one]


def add_up(ops: Sequence[Op], amounts: Sequence[Numeric]) -> Sums:
    """Add amounts by the unit of their operators."""
    sums: dict[str, Numeric] = {"embedding": 0.0, "layer": 0.0, "head": 0.0}
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
    weights = (sums.embedding, sums.layer / layers, sums.head)
    if all(np.size(unit) == 1 for unit in weights):
        return stages(layers, count, *(float(np.squeeze(unit)) for unit in weights))
    units = np.broadcast_arrays(*weights)
    points = list(zip(*(np.ravel(unit).tolist() for unit in units), strict=True))
    known = {point: stages(layers, count, *point) for point in dict.fromkeys(points)}
    first, middle, last = (
        np.array([getattr(known[point], part) for point in points], dtype=np.float64).reshape(units[0].shape)
        for part in ("first", "middle", "last")
    )
    return Stages(first, middle, last, count)


def duration(
    by_unit: Mapping[str, Numeric], cut: Stages, layers: int, passes: Numeric, send: Numeric
) -> Numeric:
    """Duration of a step: one microbatch through all stages, or the fullest stage for every microbatch,
    whichever is longer.
    """
    sums = Sums(**by_unit)
    if cut.count == 1:
        return sums.total * passes
    through = sums.total + (cut.count - 1) * send
    slowest: Numeric = 0.0
    for stage in sums.per_stage(cut, layers):
        slowest = np.maximum(slowest, stage + send)
    return np.maximum(through, passes * slowest)


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


def joint(at: Point, layout: Layout, passes: Numeric) -> Point:
    """Return the point that shared experts see in one pass: the sequences of all `ranks` that share them."""
    batch = ceil_div(at["batch"], layout.replicas) / passes
    return at.replace(batch=batch, ranks=float(layout.sharing))


def shard(ops: Sequence[Op], layout: Layout) -> tuple[Op, ...]:
    """Return what one chip of each stage does, collectives after the operators that need them."""
    if layout.tp * layout.cp * layout.ep == 1:
        return tuple(ops)
    return tuple(part for op in ops for part in _with_exchanges(op, layout))


def _with_exchanges(op: Op, layout: Layout) -> Iterator[Op]:
    mine = op.shard(layout)
    yield mine
    yield from mine.exchanges(layout)


@attrs.frozen(eq=False)
class Share:
    """What one chip of a stage does, and what it must hold, by unit: the same for any number of stages.

    Attributes:
        ops: Sharded operators with their collectives.
        weights: Bytes of all layers, of the embedding and of the head.
        state: The same of one microbatch.
        activations: Bytes of the largest operator.
    """

    ops: Sequence[Op]
    weights: Sums
    state: Sums
    activations: Numeric


def share(ops: Sequence[Op], layout: Layout) -> Share:
    """Shard operators and add up what they hold; the stages of the layout play no part."""
    return held(shard(ops, layout))


def held(mine: tuple[Op, ...]) -> Share:
    """Add up what sharded operators hold."""
    return Share(
        mine,
        add_up(mine, [op.parameters * op.precision.weights * op.instances for op in mine]),
        add_up(mine, [_state(op) for op in mine]),
        _largest([op.bytes.inputs + op.bytes.outputs for op in mine if not isinstance(op, Collective)]),
    )


def local_graph(mine: Share, stages: int, layers: int, passes: Numeric) -> tuple[Graph, Stages]:
    """Cut the sharded operators into stages and say what the fullest one must hold."""
    pieces = cut(mine.weights, layers, stages)
    weights, state = mine.weights.per_stage(pieces, layers), mine.state.per_stage(pieces, layers)
    each = [Footprint(w, s * passes, mine.activations) for w, s in zip(weights, state, strict=True)]
    if len(each) == 1:
        return Graph(mine.ops, each[0], layers), pieces
    most = Footprint(_largest(weights), _largest(state) * passes, mine.activations)
    return Graph(mine.ops, _fullest(each), layers, most), pieces


def _state(op: Op) -> Numeric:
    state = op.resident.state
    return 0.0 if isinstance(state, float) and state == 0.0 else state * op.instances


def _largest(amounts: Sequence[Numeric]) -> Numeric:
    largest: Numeric = 0.0
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


def attends(ops: Sequence[Op]) -> bool:
    """Whether a network has a context that chips can share."""
    return any(isinstance(op, Attention) for op in ops)


def candidates(count: int, layers: int, widest: int, experts: bool, context: bool = True) -> list[Layout]:
    """All layouts of a number of chips worth trying.

    Degrees of tensor and context parallelism are powers of two, pipelines have up to a unit per stage, data
    parallelism takes the rest.

    Args:
        count: Chips.
        layers: Layers of the network.
        widest: Largest degree of tensor parallelism.
        experts: Whether the network has experts.
        context: Whether there is a context to share: attention.
    """
    found = []
    for tp in _powers(min(count, widest)):
        if count % tp:
            continue
        rest = count // tp
        for pp in (n for n in range(1, min(rest, layers + 2) + 1) if rest % n == 0):
            ranks = rest // pp
            for cp in _powers(ranks) if context else (1,):
                if ranks % cp == 0:
                    each = Layout(tp=tp, cp=cp, pp=pp, dp=ranks // cp)
                    found += [attrs.evolve(each, ep=ep) for ep in _spreads(each, experts)]
    return found


def _spreads(layout: Layout, experts: bool) -> Iterable[int]:
    """Degrees of expert parallelism worth trying: none, over a tensor-parallel group, over a stage; where
    positions are shared, over a stage only, since weights would be copied; in pipelines not over a group.
    """
    if not experts:
        return (1,)
    if layout.cp > 1:
        return (layout.stage,)
    return dict.fromkeys((1, layout.stage) if layout.pp > 1 else (1, layout.tp, layout.stage))


def _powers(most: int) -> list[int]:
    return [1 << k for k in range(most.bit_length())]
