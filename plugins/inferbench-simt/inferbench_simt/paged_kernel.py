"""`PagedKernel`: tiled kernels of libraries that write new keys and values in a pass of their own."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import inferbench as ib
from inferbench_simt.tiled_kernel import LEAST, TILE, Rates, TiledFigures, TiledKernel, per_byte

__all__ = ["PagedFigures", "PagedKernel"]

# Threads of the largest block that vLLM takes for a token.
THREADS = 512.0


@ib.frozen
class PagedFigures(TiledFigures):
    """What paged caches add to tiled kernels.

    Attributes:
        store: Fractions of the memory's bandwidth at which a pass before attention writes new keys and
            values to the cache; no entry, or `false`, no pass.
        store_time: Seconds of that pass per new token whose keys are at least 512 numbers, beside its bytes;
            in proportion for fewer. vLLM's `reshape_and_cache_flash` starts a block of as many threads for
            each token, up to 512, whatever they have to do.
    """

    store: Rates = ib.field(factory=dict)
    store_time: ib.SecondsByKernel = ib.field(factory=dict)


class PagedKernel(TiledKernel):
    """Tiled kernels, and the writing of new keys and values.

    `tiled-kernel + store + store_time tokens`; in context attention the time of each tile is fitted too.
    """

    name: ClassVar[str] = "paged-kernel"
    title: ClassVar[str] = "tiled kernels, and a pass that writes new keys and values to the cache"
    figures: ClassVar[type] = PagedFigures

    def time(self, cost: ib.Cost, figures: Any, at: ib.Lookup) -> ib.Numeric:
        """Return the seconds of one execution."""
        together = super().time(cost, figures, at)
        if figures.store:
            together = together + _written(cost, at.op) / at.find("store", figures.store, math.inf)
        if figures.store_time:
            together = together + _blocks(at.op) * at.find("store_time", figures.store_time, 0.0)
        return together

    def frees(self, variant: str, narrow: bool = False, tiled: bool = False) -> tuple[ib.Free, ...]:
        """The form of a kind; of prompts' attention also what this model adds.

        Example:
            >>> [free.table for free in PagedKernel().frees("attention.context")][-2:]
            ['store_time', 'tile_time']
        """
        common = super().frees(variant, narrow, tiled)
        if variant == "attention.context":
            return (*common, LEAST, STORE, STORE_TIME, TILE)
        one = variant.startswith("attention.generation") and TILE not in common
        return (*common, TILE) if one else common


def _written(cost: ib.Cost, op: ib.Op) -> ib.Numeric:
    """Seconds to read new keys and values as computed and to write them as stored."""
    if not isinstance(op, ib.Attention) or not op.cached:
        return 0.0
    wide = op.precision.activations + op.precision.kv
    return per_byte(cost) * op.batch * op.queries * op.state_width * wide


def _blocks(op: ib.Op) -> ib.Numeric:
    """Blocks of threads that write new keys and values, one per token; small ones count in proportion."""
    if not isinstance(op, ib.Attention) or not op.cached:
        return 0.0
    keys = op.state_width * op.qk_dim / (op.qk_dim + op.v_dim)
    return op.batch * op.queries * ib.minimum(keys / THREADS, 1.0)


STORE = ib.Free("store", 0.5, 0.02, 1.0, None, "many keys and values beside few queries")
STORE_TIME = ib.Free("store_time", 1e-9, 0.0, 1e-6, 0.0, "tokens of few and of many heads of keys", unit="s")
