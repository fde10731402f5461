"""`TiledKernel`: the time model of kernels that tile their results over equal units, as GPU libraries do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import attrs
import numpy as np

import inferbench as ib

__all__ = ["Parts", "Rates", "TiledFigures", "TiledKernel", "Unfitted", "moving", "per_byte"]

LATENT = "attention.generation.mla"
# What a tile's loop runs over: the reduced dimension, the keys, the positions of a recurrence.
LOOPS = ("k", "keys", "tokens")
_SHARE = ib.Unit("", "a share", "0.5", zero=True, top=1.0)
_STEPS = ib.Unit("", "a number of steps", "512")
_BYTES = ib.Unit("B", "a number of bytes", "20 MB")
_RATE = ib.Unit("", "an efficiency", "0.85", top=1.0)

Shares = Annotated[ib.PerKernel, ib.ByKernel(_SHARE, neutral=None, lasting=False)]
Steps = Annotated[ib.PerKernel, ib.ByKernel(_STEPS, neutral=None, least=1.0, lasting=False)]
Halves = Annotated[ib.PerKernel, ib.ByKernel(_BYTES, neutral=None, lasting=False)]
Parts = Annotated[ib.PerKernel, ib.ByKernel(_SHARE)]
Rates = Annotated[ib.PerKernel, ib.ByKernel(_RATE, neutral=None)]


@ib.frozen
class Unfitted(ib.Unfitted):
    """How far kernels of GPUs are off that a stack was not fitted on, as log standard errors.

    The defaults are figures of ai-dynamo/aiconfigurator's tables (Apache-2.0; A100, H100, B200).

    Attributes:
        kernel: Of a kernel that computes and has no figure. It runs at the roofline, which no software beats:
            the error is one-sided. Over 14,000 rows of 64 kinds of kernels, measured over roofline is 1.3 to
            17 in the median of a kind, and below 10.0 in nine of ten rows: ln 10 / 1.645 = 1.40; the rms of
            the logs is 1.45.
        movement: Of one that only moves data. Fitted stacks reach 0.19 to 0.53 of the bandwidth in such
            kernels (weighted sums of experts, element-wise kernels of diffusers): up to 5.3 times the
            roofline, ln 5.3 / 1.645 = 1.0.
        other: Of generation attention with more query heads per key head than `group`: libraries switch to
            another kernel, and its rows were left out of the fits. Where the tables have 64 and 32 query
            heads on one key head and the same keys, the former take 7.5 (A100, bf16, 31 pairs) and 5.4 times
            (B200, 37) as long in the median; rms of the logs 2.1 and 2.4.
        group: Query heads per key head up to which the fitted kernel runs.
    """

    kernel: ib.Deviation = 1.4
    movement: ib.Deviation = 1.0
    other: ib.Deviation = 2.2
    group: ib.Count = 32.0


@ib.frozen
class TiledFigures(ib.RooflineFigures):
    """What a tiled kernel adds to the roofline.

    Attributes:
        quantize: Fractions of the memory's bandwidth at which a pass before the kernel quantises its
            activations; no entry, or `false`, no pass.
        min_time: Seconds that a kernel takes at least, beside its engines' busy times.
        loop_overlapped: Seconds per step of the main loop that each tile runs through (the reduced dimension,
            the keys), beside busy times: with few tiles the loop is longer than the work shared by all
            multiprocessors.
        loop_exposed: The same, after the busy times: what the loop leaves uncovered.
        tail_share: Shares, 0 to 1, of one tile's loop by which the last tile outlasts the mean where there
            are more tiles than units (Graham 1969). With an entry arithmetic and loop don't overlap: up to
            one wave the longer of both counts, beyond it `compute + tail_share loop`. Needs an architecture
            that says how it tiles.
        min_split: Fewest steps of the loop that are worth a unit of their own. Where tiles are fewer than
            units, the loop of n steps is split (split-K, flash decoding), which leaves `n / (1 + n /
            (min_split + n waves))` to each; no entry, or `false`, never.
        ramp_time: Seconds lost until bandwidth is reached: `ramp_time b / (b + ramp_bytes)` for b bytes.
        ramp_bytes: Bytes at which half of `ramp_time` is lost.
        tile_time: Seconds that a unit needs for each tile beside its arithmetic, to fill and empty its
            pipeline. Needs an architecture that says how it tiles.
        reread: Shares, 0 to 1, of the memory's time that each further reading of the same state takes, which
            the cache answers. Needs an architecture that says how often tiles read it.
        unfitted: How far kernels are off that the stack was not fitted on.
    """

    quantize: Rates = ib.field(factory=dict)
    min_time: ib.SecondsByKernel = ib.field(factory=dict)
    loop_overlapped: ib.SecondsByKernel = ib.field(factory=dict)
    loop_exposed: ib.SecondsByKernel = ib.field(factory=dict)
    tail_share: Shares = ib.field(factory=dict)
    min_split: Steps = ib.field(factory=dict)
    ramp_time: ib.SecondsByKernel = ib.field(factory=dict)
    ramp_bytes: Halves = ib.field(factory=dict)
    tile_time: ib.SecondsByKernel = ib.field(factory=dict)
    reread: Parts = ib.field(factory=dict)
    unfitted: Unfitted = Unfitted()


class TiledKernel(ib.Roofline):
    """The roofline, and what tiles, their loop and the memory's ramp add to it.

    `|busy_i / efficiency_i, min_time, loop_overlapped n|_p + exposed + launch + loop_exposed n +
    ramp_time b / (b + ramp_bytes) + tile_time waves + quantize` with n the steps of a tile's loop and b the
    bytes touched. State that tiles read several times takes the memory `1 + reread (readings - 1)` times.
    """

    name: ClassVar[str] = "tiled-kernel"
    title: ClassVar[str] = "the roofline, tiles and their loop, and the memory's ramp"
    figures: ClassVar[type] = TiledFigures

    def time(self, cost: ib.Cost, figures: Any, at: ib.Lookup) -> ib.Numeric:
        """Return the seconds of one execution."""
        cost = _read_again(cost, figures, at)
        loop = _loop(cost, figures, at)
        parts = self._parts(cost, loop, figures, at)
        if figures.min_time:
            parts.append(at.find("min_time", figures.min_time, 0.0))
        together = self.joined(parts, cost, figures, at)
        if figures.loop_exposed:
            together = together + at.find("loop_exposed", figures.loop_exposed, 0.0) * loop
        if figures.ramp_time:
            moved = at.op.bytes.total
            half = at.find("ramp_bytes", figures.ramp_bytes, 0.0)
            share = moved / np.maximum(moved + half, 1e-300)
            together = together + at.find("ramp_time", figures.ramp_time, 0.0) * share
        if figures.tile_time and cost.waves is not None:
            together = together + at.find("tile_time", figures.tile_time, 0.0) * cost.waves
        if figures.quantize:
            together = together + _pass(cost, at.op) / at.find("quantize", figures.quantize, math.inf)
        return together

    def unfitted(self, figures: Any) -> Unfitted:
        """Say how far kernels are off that the stack was not fitted on."""
        found: Unfitted = figures.unfitted
        return found

    def other_kernel(self, op: ib.Op, figures: Any) -> tuple[ib.Mask, str]:
        """Attention of one new token with many query heads per key head runs in another kernel.

        Example:
            >>> op = ib.Gemm(name="up", precision=ib.Precision.of(["bf16"]), m=1.0, n=8.0, k=8.0)
            >>> bool(TiledKernel().other_kernel(op, TiledFigures())[0])
            False
        """
        limit = figures.unfitted.group
        said = f"more than {limit:g} query heads per KV head"
        if not isinstance(op, ib.Attention) or not op.cached:
            return np.asarray(False), said
        if op.latent and self._has_latents(figures):
            return np.asarray(False), said
        group = np.asarray(op.heads) / np.asarray(op.kv_heads)
        return (group > limit) & (np.asarray(op.queries) <= 1), said

    def _has_latents(self, figures: Any) -> bool:
        """Whether attention beside a latent has a kernel of its own, which takes any number of heads; in a
        fit, where there is no figure yet, it has.
        """
        tables = [table for table, _ in self.tables(figures).values()]
        return not tables or any(key.startswith(LATENT) for table in tables for key in table)

    def frees(self, variant: str, narrow: bool = False, tiled: bool = False) -> tuple[ib.Free, ...]:
        """The form of a kind: its own, or that of what it is a kind of.

        Example:
            >>> [free.table for free in TiledKernel().frees("gemm", narrow=True)][-1]
            'quantize'
        """
        name = variant
        while name not in FORMS and "." in name:
            name = name.rpartition(".")[0]
        common = super().frees(variant, narrow, tiled)
        if name.startswith("elementwise"):
            # No arithmetic to speak of; a convolution of prompts takes strips.
            return (*common[1:4], *((STRIP,) if variant.endswith(".context") else ()))
        first, weighted = common[:4], common[4:]
        own = (*first, *FORMS.get(name, ()), *weighted)
        if not name.startswith("gemm"):
            return own
        waves = (TILE,) if name == "gemm.experts" else (PROLOGUE, TAIL, SHRINK)
        return (*own, *((QUANTIZE,) if narrow else ()), *(waves if tiled else ()))

    def _parts(
        self, cost: ib.Cost, loop: ib.Numeric, figures: TiledFigures, at: ib.Lookup
    ) -> list[ib.Numeric]:
        """Seconds of what runs side by side: engines, and the loop that a tile runs through."""
        busy = self.engines(cost, figures, at)
        if not figures.loop_overlapped:
            return list(busy.values())
        deep = at.find("loop_overlapped", figures.loop_overlapped, 0.0) * loop
        tailed = at.has("tail_share", figures.tail_share)
        if cost.waves is None or "compute" not in busy or not np.any(tailed):
            return [*busy.values(), deep]
        work, tail = busy["compute"], at.find("tail_share", figures.tail_share, 0.0)
        tiled = np.where(cost.waves <= 1.0, np.maximum(work, deep), work + tail * deep)
        busy["compute"] = np.where(tailed, tiled, work)
        return [*busy.values(), np.where(tailed, 0.0, deep)]


def _loop(cost: ib.Cost, figures: TiledFigures, at: ib.Lookup) -> ib.Numeric:
    """Steps of the loop that one unit runs through: all of one tile's, or a part where units would idle; of
    element-wise work its tiles.
    """
    whole: ib.Numeric = next((getattr(at.op, name) for name in LOOPS if hasattr(at.op, name)), 0.0)
    if isinstance(at.op, ib.Elementwise):
        return 0.0 if cost.waves is None else cost.waves
    if not figures.min_split or cost.waves is None:
        return whole
    least = at.find("min_split", figures.min_split, math.inf)
    return whole / (1.0 + whole / (least + whole * cost.waves))


def _read_again(cost: ib.Cost, figures: TiledFigures, at: ib.Lookup) -> ib.Cost:
    """The cost with what reading state again takes, where tiles of a sequence do so each by itself."""
    readings = cost.detail.get("readings")
    if not figures.reread or readings is None:
        return cost
    share = at.find("reread", figures.reread, 0.0)
    return moving(cost, at.op.bytes.state * share * (readings - 1.0))


def moving(cost: ib.Cost, more: ib.Numeric) -> ib.Cost:
    """The cost of an operator whose memory moves so many bytes more.

    Args:
        cost: Of the operator.
        more: Bytes.
    """
    longer = per_byte(cost) * more
    busy = {
        engine: seconds + longer if engine.startswith("memory.") else seconds
        for engine, seconds in cost.busy.items()
    }
    return attrs.evolve(cost, busy=busy)


def per_byte(cost: ib.Cost) -> ib.Numeric:
    """Seconds per byte of the memory that an operator reads, at its full bandwidth.

    Args:
        cost: Of the operator; 0 where it reads no memory.
    """
    for engine, seconds in cost.busy.items():
        family, _, level = engine.partition(".")
        moved = cost.actions.get(f"bytes.{level}")
        if family == "memory" and moved is not None:
            found: ib.Numeric = seconds / np.where(np.asarray(moved) > 0, moved, 1.0)
            return found
    return 0.0


def _pass(cost: ib.Cost, op: ib.Op) -> ib.Numeric:
    """Seconds to read the activations as 16 bits and to write them as they are stored, at the memory's
    bandwidth.
    """
    return per_byte(cost) * op.bytes.inputs * (1.0 + 2.0 / op.precision.activations)


_MEGABYTES = "shapes of a few to hundreds of megabytes"
LEAST = ib.Free("min_time", 5e-6, 0.0, 1e-3, 0.0, "small shapes of different sizes", unit="s")
LOOP = ib.Free("loop_overlapped", 2.5e-10, 0.0, 1e-7, 0.0, "small results with long inner loops", unit="s")
EXPOSED = ib.Free("loop_exposed", 1e-10, 0.0, 1e-7, 0.0, "one sequence of each of many lengths", unit="s")
RAMP = ib.Free("ramp_time", 5e-6, 0.0, 1e-3, 0.0, _MEGABYTES, needs="ramp_bytes", unit="s")
RAMP_BYTES = ib.Free("ramp_bytes", 2e7, 1e5, 1e9, None, _MEGABYTES, needs="ramp_time", unit="B")
STRIP = ib.Free("loop_overlapped", 1e-7, 0.0, 1e-5, 0.0, "many short sequences", unit="s")
LAST = ib.Free("tail_share", 0.5, 0.0, 1.0, None, "a few waves of tiles beside many", needs="loop_overlapped")
SPLIT = ib.Free(
    "min_split", 1e3, 64.0, 1e6, None, "few sequences of each of many lengths", needs="loop_exposed"
)
TILE = ib.Free("tile_time", 1e-6, 0.0, 1e-4, 0.0, "many short sequences", unit="s")
REREAD = ib.Free("reread", 0.5, 0.0, 1.0, 0.0, "few sequences of many heads and many of few heads")
QUANTIZE = ib.Free("quantize", 0.5, 0.02, 1.0, None, "large activations")

PROLOGUE = ib.Free("tuning.prologue", 100.0, 0.0, 3000.0, 0.0, "short inner loops beside long ones")
TAIL = ib.Free("tuning.tail", 0.5, 0.0, 1.0, 1.0, "results just above and just below a whole number of waves")
SHRINK = ib.Free("tuning.shrink", 0.2, 0.0, 2.0, 0.0, "small results beside large ones")

# What a kind frees beside the roofline's own parameters.
FORMS: Mapping[str, tuple[ib.Free, ...]] = {
    "gemm": (LOOP,),
    "gemm.experts": (LOOP,),
    "attention.context": (LOOP, LAST, QUANTIZE),
    "attention.encoder": (LOOP, LAST),
    "attention.generation": (LEAST, EXPOSED, SPLIT, RAMP, RAMP_BYTES),
    "attention.generation.mla": (LEAST, EXPOSED, SPLIT, RAMP, RAMP_BYTES, TILE, REREAD),
    "recurrence.context": (EXPOSED,),
    "collective": (LEAST, RAMP, RAMP_BYTES),
}
