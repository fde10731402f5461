"""`GroupedKernel`: paged kernels, and layers of experts as libraries fuse them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import inferbench as ib
from inferbench_simt.paged_kernel import PagedFigures, PagedKernel
from inferbench_simt.tiled_kernel import LEAST, TILE, Parts, moving

__all__ = ["GroupedFigures", "GroupedKernel"]

Tokens = Annotated[ib.PerKernel, ib.ByKernel(ib.Unit("", "a number of tokens", "8", zero=True))]
# Arithmetic for so long that a chip comes to its power limit.
SUSTAINED = 5e-3


@ib.frozen
class GroupedFigures(PagedFigures):
    """What fused layers of experts add to paged kernels.

    Attributes:
        elsewhere: Shares, 0 to 1, of the rows of experts that other chips hold which are moved all the same:
            written as zeros, activated and summed. Triton's fused layer of vLLM and SGLang does so with the
            rows of every token that the chip has, where each has experts of its own and no tokens are sent.
        loop_tokens: Tokens of a layer of experts at which half of `loop_overlapped` is reached: `tokens /
            (tokens + loop_tokens)`. For few tokens libraries take deeper steps of the reduced dimension:
            without a tuned shape, Triton's layer takes 64 where there are no more tokens than experts, and 32
            beyond.
        throttle: Shares, 0 to 1, by which arithmetic takes longer in kernels that hold the chip at its power
            limit: `throttle x / (1 + x)` with x the square of its seconds over 5 ms.
    """

    elsewhere: Parts = ib.field(factory=dict)
    loop_tokens: Tokens = ib.field(factory=dict)
    throttle: Parts = ib.field(factory=dict)


class GroupedKernel(PagedKernel):
    """Paged kernels; tiles of experts, their loop for few tokens, and rows of experts elsewhere.

    `paged-kernel`, with `loop_overlapped n tokens / (tokens + loop_tokens)` and `tile_time waves` in layers
    of experts, and with the bytes of rows elsewhere in their sum.
    """

    name: ClassVar[str] = "grouped-kernel"
    title: ClassVar[str] = "paged kernels, and layers of experts in tiles, with rows of experts elsewhere"
    figures: ClassVar[type] = GroupedFigures

    def time(self, cost: ib.Cost, figures: Any, at: ib.Lookup) -> ib.Numeric:
        """Return the seconds of one execution."""
        if figures.elsewhere and isinstance(at.op, ib.ExpertSum):
            cost = moving(cost, at.find("elsewhere", figures.elsewhere, 0.0) * at.op.elsewhere)
        return super().time(cost, figures, at)

    def engines(self, cost: ib.Cost, figures: Any, at: ib.Lookup) -> dict[str, ib.Numeric]:
        """Busy seconds of each engine; long arithmetic at the clock that the power limit leaves."""
        busy = super().engines(cost, figures, at)
        if not figures.throttle or "compute" not in busy:
            return busy
        long = (busy["compute"] / SUSTAINED) ** 2
        share = at.find("throttle", figures.throttle, 0.0) * long / (1.0 + long)
        return {**busy, "compute": busy["compute"] * (1.0 + share)}

    def frees(self, variant: str, narrow: bool = False, tiled: bool = False) -> tuple[ib.Free, ...]:
        """The form of a kind; of prompts' attention and convolutions and of layers of experts also what this
        model adds.

        Example:
            >>> [free.table for free in GroupedKernel().frees("gemm.experts")][-3:]
            ['elsewhere', 'tile_time', 'loop_tokens']
        """
        experts = variant.startswith("gemm.experts")
        common = super().frees(variant, narrow, tiled and not experts)
        if variant == "attention.context":
            return (*common, THROTTLE)
        if variant.startswith("elementwise") and variant.endswith(".context"):
            return (*common, LEAST)
        if not experts:
            return common
        if variant == "gemm.experts":
            return (*common, ELSEWHERE, TILE, LOOP_TOKENS)
        # Tokens are sent to their experts: no rows are elsewhere.
        return (*common, LEAST, TILE)

    def _parts(self, cost: ib.Cost, loop: ib.Numeric, figures: Any, at: ib.Lookup) -> list[ib.Numeric]:
        """Seconds of what runs side by side; the loop of experts in deeper steps for few tokens."""
        tokens = getattr(at.op, "routed", None)
        if figures.loop_tokens and tokens is not None:
            loop = loop * tokens / (tokens + at.find("loop_tokens", figures.loop_tokens, 0.0))
        return super()._parts(cost, loop, figures, at)


ELSEWHERE = ib.Free(
    "elsewhere", 0.5, 0.0, 1.0, 0.0, "many tokens to experts of many chips", of="elementwise.experts"
)
LOOP_TOKENS = ib.Free(
    "loop_tokens", 8.0, 0.0, 1e4, 0.0, "one to some hundred tokens", needs="loop_overlapped"
)
THROTTLE = ib.Free("throttle", 0.1, 0.0, 1.0, 0.0, "kernels of tens of milliseconds")
