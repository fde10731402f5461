"""Tenstorrent's chips: a mesh of cores that compute tiles of 32 x 32."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

import inferbench as ib

__all__ = ["TILE", "Params", "Tensix", "inferbench_architectures", "inferbench_chips"]

# tt-metal, tech_reports/tensor_layouts: the matrix unit of a core computes tiles of 32 x 32.
TILE = 32.0


@ib.frozen
class Params:
    """A chip's `[architecture]` table.

    Attributes:
        cores: Tensix cores that compute.
        clock: For the record: the stored peaks contain it.
    """

    cores: int
    clock: ib.Hertz = float("nan")


class Tensix(ib.Architecture):
    """Products as tiles over cores, everything else a roofline."""

    name = "tensix"
    title = "Mesh of Tensix cores"
    params = Params

    def gemm(self, op: ib.Gemm, site: ib.Site) -> ib.Cost:
        """Whole tiles, each on one core: `ceil(tiles / cores)` rounds of a tile's time.

        A core has the share 1 / cores of the peak; a tile of the result takes `2 x 32 x 32 x k` operations.
        """
        cores = float(site.chip.architecture.cores)
        rows, columns = ib.ceil_div(op.m, TILE), ib.ceil_div(op.n, TILE)
        tiles = rows * columns * op.count
        rounds = ib.ceil_div(tiles, cores)
        padded = 2.0 * TILE * TILE * ib.round_up(op.k, TILE)
        moved = {f"bytes.{level}": amount for level, amount in site.traffic(op).items()}
        return ib.Cost(
            busy={"compute": rounds * padded * cores / site.rate(op), **site.memory_time(op)},
            actions={"ops": tiles * padded, **moved},
            detail={"tiles": tiles, "rounds": rounds},
        )

    def attention(self, op: ib.Attention, site: ib.Site) -> ib.Cost:
        """A roofline: rows of heads are spread over the cores."""
        return self.roofline(op, site)

    def elementwise(self, op: ib.Elementwise, site: ib.Site) -> ib.Cost:
        """Its bytes."""
        return self.roofline(op, site)

    def reduce(self, op: ib.Reduce, site: ib.Site) -> ib.Cost:
        """Its bytes."""
        return self.roofline(op, site)

    def move(self, op: ib.Move, site: ib.Site) -> ib.Cost:
        """Its bytes."""
        return self.roofline(op, site)


@ib.hookimpl
def inferbench_architectures() -> Iterator[ib.Architecture]:
    """Yield the model."""
    yield Tensix()


@ib.hookimpl
def inferbench_chips() -> Iterator[Traversable]:
    """Yield the card with its own model."""
    yield files(__name__) / "chips"
