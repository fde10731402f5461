"""`Fused`: operators that run as one kernel, and how a graph is cut into such kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise

import attrs
import numpy as np

import inferbench as ib

__all__ = ["Fused", "kernels"]


@attrs.frozen(kw_only=True, slots=False, eq=False)
class Fused(ib.Op):
    """Consecutive operators laid out on the array together; what one hands to the next may stay on chip.

    Attributes:
        parts: The operators, in order.
        times: Executions of each part per execution of the kernel: 2 for a norm that a layer has twice,
            0.1 for an attention that every tenth layer has.
        share: What part of a layer the kernel is: 1/3 where a layer is cut into three.
        entries: How often per step the array turns to this kernel from another one; its executions in
            between can follow each other without loading anything. None: `repeat`, nothing follows.
        fused: False: a baseline kernel, which also writes out what a fused one never materialises (scores).

    Example:
        >>> p = ib.Precision.of(["bf16"])
        >>> up = ib.Gemm(name="up", precision=p, m=1.0, n=8.0, k=4.0)
        >>> Fused(name="up", precision=p, parts=(up,), times=(1.0,)).useful
        64.0
    """

    parts: tuple[ib.Op, ...]
    times: tuple[ib.Numeric, ...]
    share: float = 1.0
    entries: ib.Numeric | None = None
    fused: bool = True

    @cached_property
    def useful(self) -> ib.Numeric:
        """Those of the parts."""
        return sum((part.useful * times for part, times in self._timed), 0.0)

    @cached_property
    def bytes(self) -> ib.Bytes:
        """Those of the parts, as if each ran alone: what is touched, wherever it lies."""
        total = ib.Bytes()
        for part, times in self._timed:
            each = part.bytes
            total = ib.Bytes(
                weights=total.weights + each.weights * times,
                state=total.state + each.state * times,
                inputs=total.inputs + each.inputs * times,
                outputs=total.outputs + each.outputs * times,
            )
        return total

    @cached_property
    def parameters(self) -> ib.Numeric:
        """Those of the parts."""
        return sum((part.parameters * times for part, times in self._timed), 0.0)

    @cached_property
    def resident(self) -> ib.Bytes:
        """Weights and state of the parts."""
        weights: ib.Numeric = 0.0
        state: ib.Numeric = 0.0
        for part, times in self._timed:
            weights = weights + part.resident.weights * times
            state = state + part.resident.state * times
        return ib.Bytes(weights=weights, state=state)

    @property
    def _timed(self) -> Iterator[tuple[ib.Op, ib.Numeric]]:
        return zip(self.parts, self.times, strict=True)

    def lower(self) -> Iterator[ib.Op]:
        """Yield the parts, for architectures that fuse nothing."""
        for part, times in self._timed:
            yield attrs.evolve(part, repeat=times)


def kernels(ops: Sequence[ib.Op], cuts: int, fusion: bool) -> Iterator[ib.Op]:
    """Cut operators into kernels, greedily in order; collectives stay what they are and do not end a kernel.

    Args:
        ops: Of one chip, in execution order.
        cuts: Kernels per layer, at least 1; a group of fewer operators has as many as it has operators.
        fusion: False: every operator is a kernel of its own.

    Yields:
        `Fused` operators whose parts are the given ones, each once, and the collectives.
    """
    groups = list(_groups([op for op in ops if not isinstance(op, ib.Collective)]))
    for i, group in enumerate(groups):
        pieces = _pieces(group, len(group) if not fusion else cuts if group[0].unit == "layer" else 1)
        for piece in pieces:
            yield _kernel(piece, group if fusion else piece, 1.0 / len(pieces), _entries(groups, i), fusion)
    yield from (op for op in ops if isinstance(op, ib.Collective))


def _kernel(piece: list[ib.Op], group: list[ib.Op], share: float, entries: ib.Numeric, fusion: bool) -> Fused:
    repeat = _executions(group)
    return Fused(
        name=piece[0].name if len(piece) == 1 else f"{piece[0].name}..{piece[-1].name}",
        precision=piece[0].precision,
        repeat=repeat,
        unit=piece[0].unit,
        graph_bytes=sum((op.graph_bytes for op in piece), 0.0),
        parts=tuple(piece),
        times=tuple(_ratio(op.repeat, repeat) for op in piece),
        share=share,
        entries=entries,
        fused=fusion,
    )


def _groups(ops: Sequence[ib.Op]) -> Iterator[list[ib.Op]]:
    """Yield runs of operators of one unit that one kernel can hold.

    A matrix operator that runs more often than those before it belongs to other layers and opens a new
    group; one that runs less often (every sixth layer's global attention) joins. Element-wise work joins
    whatever is there.
    """
    group: list[ib.Op] = []
    for op in ops:
        if group and (op.unit != group[0].unit or _outruns(op, group)):
            yield group
            group = []
        group.append(op)
    if group:
        yield group


def _entries(groups: Sequence[Sequence[ib.Op]], index: int) -> ib.Numeric:
    """How often the array turns to a group: with every token that its neighbour at an end of the network
    sees.

    A group of layers runs as often as there are layers between two runs of the embedding or the head.
    """
    if groups[index][0].unit != "layer":
        return _executions(groups[index])
    nearest = sorted(range(len(groups)), key=lambda other: (abs(other - index), other))
    ends = (groups[other] for other in nearest if groups[other][0].unit != "layer")
    return next((_executions(group) for group in ends), 1.0)


def _heavy(op: ib.Op) -> bool:
    return not isinstance(op, ib.Elementwise | ib.Reduce | ib.Move)


def _outruns(op: ib.Op, group: Sequence[ib.Op]) -> bool:
    before = [other.repeat for other in group if _heavy(other)]
    if not before or not _heavy(op):
        return False
    return bool(np.any(np.asarray(op.repeat) > np.asarray(before[0]) * (1.0 + 1e-9)))


def _executions(group: Sequence[ib.Op]) -> ib.Numeric:
    """Executions of a group: of its first matrix operator, which runs most often; else of its first
    operator.
    """
    return next((op.repeat for op in group if _heavy(op)), group[0].repeat)


def _ratio(repeat: ib.Numeric, executions: ib.Numeric) -> ib.Numeric:
    return 1.0 if repeat is executions else repeat / executions


def _pieces(group: list[ib.Op], count: int) -> list[list[ib.Op]]:
    """Cut a list into `count` contiguous pieces, as even as can be, none empty."""
    count = min(count, len(group))
    bounds = [len(group) * i // count for i in range(count + 1)]
    return [group[low:high] for low, high in pairwise(bounds)]
