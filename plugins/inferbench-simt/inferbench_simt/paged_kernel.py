"""`PagedKernel`: tiled kernels of libraries that write new keys and values in a pass of their own."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import inferbench as ib
from inferbench_simt.tiled_kernel import Rates, TiledFigures, TiledKernel, per_byte

__all__ = ["PagedFigures", "PagedKernel"]


@ib.frozen
class PagedFigures(TiledFigures):
    """What paged caches add to tiled kernels.

    Attributes:
        store: Fractions of the memory's bandwidth at which a pass before attention writes new keys and
            values to the cache; no entry, or `false`, no pass.
        tile_time: Seconds that a unit needs for each tile beside its arithmetic, to fill and empty its
            pipeline. Needs an architecture that says how it tiles.
    """

    store: Rates = ib.field(factory=dict)
    tile_time: ib.SecondsByKernel = ib.field(factory=dict)


class PagedKernel(TiledKernel):
    """Tiled kernels, the time of each tile, and the writing of new keys and values.

    `tiled-kernel + tile_time waves + store`.
    """

    name: ClassVar[str] = "paged-kernel"
    title: ClassVar[str] = "tiled kernels, and a pass that writes new keys and values to the cache"
    figures: ClassVar[type] = PagedFigures

    def time(self, cost: ib.Cost, figures: Any, at: ib.Lookup) -> ib.Numeric:
        """Return the seconds of one execution."""
        together = super().time(cost, figures, at)
        if figures.tile_time and cost.waves is not None:
            together = together + at.find("tile_time", figures.tile_time, 0.0) * cost.waves
        if figures.store:
            together = together + _written(cost, at.op) / at.find("store", figures.store, math.inf)
        return together

    def frees(self, variant: str, narrow: bool = False, tiled: bool = False) -> tuple[ib.Free, ...]:
        """The form of a kind; of prompts' attention also what this model adds.

        Example:
            >>> [free.table for free in PagedKernel().frees("attention.context")][-2:]
            ['store', 'tile_time']
        """
        common = super().frees(variant, narrow, tiled)
        return (*common, STORE, TILE) if variant == "attention.context" else common


def _written(cost: ib.Cost, op: ib.Op) -> ib.Numeric:
    """Seconds to read new keys and values as computed and to write them as stored."""
    if not isinstance(op, ib.Attention) or not op.cached:
        return 0.0
    wide = op.precision.activations + op.precision.kv
    return per_byte(cost) * op.batch * op.queries * op.state_width * wide


STORE = ib.Free("store", 0.5, 0.02, 1.0, None, "many keys and values beside few queries")
TILE = ib.Free("tile_time", 1e-6, 0.0, 1e-4, 0.0, "many short sequences", unit="s")
