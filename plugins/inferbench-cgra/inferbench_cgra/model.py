"""What a fused kernel costs on an array that is configured for it.

For one execution of a kernel with parts i, on one chip:

    t = sum_i max(useful_i / rate, bytes_i / BW)          no part overlaps with the next: they depend on each
    other
        + tau * configurations                             waiting of the software; a layer is one kernel
        by default + reconfiguration * loads

`bytes_i` are weights and state of the part, and of its activations those that do not stay in the on-chip
buffer. The kernel is bisected until the intermediates of every piece fit the buffer together (all parts
are on the array at the same time), so that what is spilled grows with the batch and never shrinks; every
cut is one more configuration.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np

import inferbench as ib
from inferbench_cgra.kernel import Fused, kernels

__all__ = ["Cgra", "CgraParams", "CgraTuning"]

# Unfused attention writes the scores, reads and writes them in the softmax, and reads them for the weighted
# sum.
SCORE_PASSES = 4.0


@ib.frozen
class CgraParams:
    """The `[architecture]` table of a reconfigurable array.

    Attributes:
        units: Compute units, for the record: peaks are stored.
        clock: Of the array, for the record.
        buffer: Memory level that holds what fused operators hand to each other.
        reconfiguration: Seconds to load one configuration; missing counts as 0, which flatters the chip.
        home: Memory level of weights and state; empty: the fastest one beside the buffer.

    Example:
        >>> CgraParams(units=1040, reconfiguration=10e-6).buffer
        'sram'
    """

    units: int = attrs.field(default=1)
    clock: ib.Hertz = math.nan
    buffer: str = "sram"
    reconfiguration: ib.Seconds = math.nan
    home: str = ""

    @units.validator
    def _at_least_one(self, _: Any, value: int) -> None:
        if value < 1:
            raise ValueError(f"units is {value}; at least 1 was expected")


@ib.frozen
class CgraTuning:
    """The `[tuning.cgra]` table of a stack.

    Attributes:
        tau: Seconds per execution of a layer's kernel beyond its work: synchronisation, exchange, pipeline
            fill.
        kernel_looping: One call runs all layers of a shape: a layer that is a single configuration is
            loaded once per step. False: loaded for every layer anew.
        groups: Kernels that a layer is cut into.
        fusion: False: the baseline in which every operator is a kernel of its own and hands over through
            memory.

    Example:
        The 10 us x 80 layers x 3 configurations of the worst case:

        >>> CgraTuning(kernel_looping=False, groups=3).fusion
        True
    """

    tau: ib.Seconds = 0.0
    kernel_looping: bool = True
    groups: int = attrs.field(default=1)
    fusion: bool = True

    @groups.validator
    def _at_least_one(self, _: Any, value: int) -> None:
        if value < 1:
            raise ValueError(f"groups is {value}; at least 1 kernel per layer was expected")


class Cgra(ib.Architecture):
    """A reconfigurable array: whole layers become one kernel, intermediates stay on chip."""

    name = "cgra"
    title = "reconfigurable array"
    params = CgraParams
    tuning = CgraTuning

    def refit(self, stack: str) -> Mapping[str, float] | None:
        """The tuning of this package's stacks, fitted again to the rows that it ships."""
        from inferbench_cgra.fit import shipped

        return shipped(stack)

    def place(self, graph: ib.Graph, chip: ib.Chip, layout: ib.Layout) -> ib.Placement:
        """Put everything into `home`; activations that fit stay in the buffer while a kernel runs.

        Raises:
            InferBenchError: `home` or `buffer` names no memory level of the chip.
        """
        _level(chip, "buffer", chip.architecture.buffer)
        return ib.Placement.everything_in(home(chip), graph, chip)

    def plan(self, ops: tuple[ib.Op, ...], site: ib.Site) -> list[ib.Op]:
        """Fuse: one kernel per layer, `groups` if the stack says so, one per operator without fusion.

        Exchanges between chips are left to the fabric. Where the link's bandwidth is not published no
        fabric can cost them; they stream inside of the kernels then and `tau`, fitted with them, holds
        their time.
        """
        primitives = [part for op in ops for part in self._primitives(op, site)]
        planned = kernels(primitives, site.tuning.groups, site.tuning.fusion)
        return [op for op in planned if not (isinstance(op, ib.Collective) and _unpublished(op, site))]

    def fused(self, op: Fused, site: ib.Site) -> ib.Cost:
        """Cost one execution of a kernel; see the module for the formula."""
        kept = _kept(op, site)
        level = site.chip.architecture.buffer
        work: ib.Numeric = 0.0
        busy: dict[str, ib.Numeric] = {}
        actions: dict[str, ib.Numeric] = {"ops": op.useful}
        for i, (part, times) in enumerate(zip(op.parts, op.times, strict=True)):
            before = kept[i - 1] if i else 0.0
            after = kept[i] if i < len(kept) else 0.0
            moved = _traffic(part, site, before, after, op.fused)
            parts: dict[str, ib.Numeric] = {}
            if not _none(part.useful):
                parts["compute"] = part.useful / site.rate(part)
            for name, amount in moved.items():
                actions[f"bytes.{name}"] = actions.get(f"bytes.{name}", 0.0) + amount * times
                if name != level or not math.isnan(site.bandwidth(name)):
                    parts[f"memory.{name}"] = amount / site.bandwidth(name)
            work = work + _longest(parts) * times
            for engine, seconds in parts.items():
                busy[engine] = busy.get(engine, 0.0) + seconds * times
        configurations = 1.0 + sum((1.0 - keep for keep in kept), 0.0)
        exposed = {"dependency": ib.maximum(work - _longest(busy), 0.0), **_waits(op, site, configurations)}
        return ib.Cost(busy=busy, exposed=exposed, actions=actions, detail={"configurations": configurations})

    def gemm(self, op: ib.Gemm, site: ib.Site) -> ib.Cost:
        """Cost matrix products as a kernel of their own."""
        return self._alone(op, site)

    def attention(self, op: ib.Attention, site: ib.Site) -> ib.Cost:
        """Cost attention as a kernel of its own."""
        return self._alone(op, site)

    def elementwise(self, op: ib.Elementwise, site: ib.Site) -> ib.Cost:
        """Cost element by element work as a kernel of its own: its memory traffic."""
        return self._alone(op, site)

    def reduce(self, op: ib.Reduce, site: ib.Site) -> ib.Cost:
        """Cost a reduction as a kernel of its own: its memory traffic."""
        return self._alone(op, site)

    def move(self, op: ib.Move, site: ib.Site) -> ib.Cost:
        """Cost a lookup or a copy as a kernel of its own."""
        return self._alone(op, site)

    def _primitives(self, op: ib.Op, site: ib.Site) -> Iterator[ib.Op]:
        """Yield what a kernel can be built of: the op, or what it lowers to; raise as `cost` does if it does
        not.
        """
        if isinstance(op, ib.Collective) or callable(getattr(self, op.kind, None)):
            yield op
            return
        parts = tuple(op.lower())
        if parts == (op,):
            self.cost(op, site)
        for part in parts:
            whole = attrs.evolve(part, repeat=part.repeat * op.repeat, unit=op.unit)
            yield from self._primitives(whole, site)

    def _alone(self, op: ib.Op, site: ib.Site) -> ib.Cost:
        kernel = Fused(
            name=op.name,
            precision=op.precision,
            repeat=op.repeat,
            unit=op.unit,
            parts=(op,),
            times=(1.0,),
            fused=site.tuning.fusion,
        )
        return self.fused(kernel, site)


def home(chip: ib.Chip) -> str:
    """Return the level that weights and state live in: the one named, else the fastest beside the buffer."""
    params: CgraParams = chip.architecture
    if params.home:
        return _level(chip, "home", params.home)
    others = {name: level.bandwidth for name, level in chip.memory.items() if name != params.buffer}
    known = {name: rate for name, rate in others.items() if not math.isnan(rate)}
    return max(known, key=lambda name: known[name]) if known else next(iter(others), params.buffer)


def _level(chip: ib.Chip, key: str, name: str) -> str:
    if name not in chip.memory:
        close = difflib.get_close_matches(name, chip.memory, n=1, cutoff=0.5) or list(chip.memory)
        raise ib.InferBenchError.at(
            f"{chip.name}: architecture.{key}",
            f"'{name}' is no memory level of this chip; one of {', '.join(chip.memory)} was expected",
            f'write {key} = "{close[0]}"',
        )
    return name


def _unpublished(op: ib.Collective, site: ib.Site) -> bool:
    link = site.link(op.group)
    return link is not None and math.isnan(link.bandwidth)


def _kept(op: Fused, site: ib.Site) -> list[ib.Numeric]:
    """Say for each hand-over between two parts whether it stays on chip, as 1.0 or 0.0 per grid point.

    Bisection: all of them if they fit together; else the middle one is spilled and both halves are asked
    again.
    """
    capacity = site.chip.memory[site.chip.architecture.buffer].capacity
    budget = math.inf if math.isnan(capacity) else capacity
    sizes = [part.bytes.outputs for part in op.parts[:-1]]
    kept: list[ib.Numeric] = [0.0] * len(sizes)

    def bisect(low: int, high: int, asked: Any) -> None:
        if low >= high:
            return
        fits = np.asarray(sum(sizes[low:high], 0.0) <= budget)
        for i in range(low, high):
            kept[i] = ib.where(asked & fits, 1.0, kept[i])
        if np.any(asked & ~fits):
            middle = (low + high) // 2
            bisect(low, middle, asked & ~fits)
            bisect(middle + 1, high, asked & ~fits)

    bisect(0, len(sizes), np.asarray(True))
    return kept


def _traffic(
    part: ib.Op, site: ib.Site, before: ib.Numeric, after: ib.Numeric, fused: bool
) -> dict[str, ib.Numeric]:
    """Bytes of one execution of a part per memory level; `before`, `after`: whether its ends stay on chip."""
    homes, buffer = site.placement.homes, site.chip.architecture.buffer
    touched = part.bytes
    moved: dict[str, ib.Numeric] = {}

    def add(level: str | None, amount: ib.Numeric) -> None:
        if level is not None and not _none(amount):
            moved[level] = moved.get(level, 0.0) + amount

    add(homes.get("weights"), touched.weights)
    add(homes.get("state"), touched.state)
    for role, amount, kept in (("inputs", touched.inputs, before), ("outputs", touched.outputs, after)):
        if not _none(amount):
            add(homes.get(role), amount * (1.0 - kept))
            if not _none(kept):
                add(buffer, amount * kept)
    if not fused and isinstance(part, ib.Attention):
        scores = part.batch * part.heads * part.pairs * part.precision.activations
        add(homes.get("outputs"), SCORE_PASSES * scores)
    return moved


def _waits(op: Fused, site: ib.Site, configurations: ib.Numeric) -> dict[str, ib.Numeric]:
    """Seconds of waiting and of loading configurations, per execution of a kernel.

    Looping over layers helps only where a layer is one configuration; otherwise each is pushed out by the
    next.
    """
    tuning: CgraTuning = site.tuning
    load = site.chip.architecture.reconfiguration
    load = 0.0 if math.isnan(load) else load
    loads = configurations
    if tuning.kernel_looping and op.share == 1.0 and op.entries is not None:
        loads = ib.where(configurations == 1.0, op.entries / op.repeat, configurations)
    wait = tuning.tau if op.unit == "layer" else 0.0
    return {"sync": wait * configurations, "reconfiguration": load * loads}


def _none(amount: ib.Numeric) -> bool:
    return isinstance(amount, float) and amount == 0.0


def _longest(parts: dict[str, ib.Numeric]) -> ib.Numeric:
    longest: ib.Numeric = 0.0
    for seconds in parts.values():
        longest = ib.maximum(longest, seconds)
    return longest
