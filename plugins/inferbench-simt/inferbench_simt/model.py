"""The SIMT model: compute time from operations, memory time from bytes, tiles rounded up to waves of SMs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

import inferbench as ib

__all__ = ["Params", "Simt", "Tuning", "exponentials_per_second"]

# The level that all multiprocessors of a GPU share.
CACHE = "l2"
# Keys that a unit takes at a time beside a latent, and up to which it does so in small tiles.
LATENT_STEP, LATENT_KEYS = 256, 1024
# Vector instructions per pair of a softmax, and per exponential computed in place of a special unit.
SOFTMAX, EMULATED = 3.0, 6.0


@attrs.frozen
class Params:
    """A GPU's `[architecture]` table.

    Attributes:
        sms: Multiprocessors (NVIDIA SMs, AMD compute units) that work on tiles side by side.
        clock: Boost clock in Hz, for the record: the stored peaks already contain it.
        exponentials: Exponentials per clock and multiprocessor of the special function units; not given:
            softmax takes no time.

    Example:
        >>> Params(sms=132).sms
        132
    """

    sms: int
    clock: ib.Hertz = math.nan
    exponentials: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.exponentials is not None and self.exponentials < 1:
            raise ValueError(f"exponentials is {self.exponentials}; expected at least 1 per clock")
        if self.sms < 1:
            raise ValueError(f"sms is {self.sms}; a GPU has at least 1 multiprocessor")


@attrs.frozen
class Tuning:
    """A stack's `[tuning.simt]` table: the tiles of the result that SMs compute, one tile per SM at a time.

    Attributes:
        tile_m, tile_n: Rows and columns of the tile; both 0 (the default, and the `ideal` stack): work is
            spread over the SMs without remainder.
        tiles: More tiles, as (rows, columns): the library takes whichever is fastest.
        splits: Into how many parts the library may cut the reduced dimension, to occupy more SMs.
        prologue: Steps of the reduced dimension that filling and emptying an SM's pipeline takes, per tile.
        tail: Share of the last wave's idle time that is really lost; the rest is filled with what comes next.
        shrink: How much longer small tiles take per operation: `1 + shrink (64/rows + 64/columns)`.
        precisions: Names of the precisions whose kernels are tiled so; empty: all.
        attention_rows: Query rows of a tile of attention, one tile per SM at a time; heads that share
            keys fill a tile together. 0: attention is not tiled.
        attention_keys: Keys that such a tile takes at a time; what is masked or beyond the end is computed
            with it.
        head_multiple: Head widths are rounded up to a multiple of it.
        packs_heads: Whether heads that share keys fill a tile of several queries together; else every head
            has tiles of its own.
        shares_keys: Whether attention of one new token reads keys once for all query heads that share
            them. Where not, each query head reads them for itself: once from their home, every time from
            the level `l2`.
        expert_tile: Rows and columns of a tile of grouped experts' products; 0 and 0: they are not tiled.
        latent_rows: Query heads of a tile of one new token beside a latent (MLA). Every tile reads the latent
            by itself. 0: as other attention.
        latent_pair: Query heads of a tile that two SMs share, which read the latent once: of what has more
            than twice `latent_rows` heads, unless keys are short and tiles few. 0: there is none.
        strip: Positions of one channel that a short convolution takes at a time: 128 threads of 8 in Tri
            Dao's causal-conv1d, which TensorRT-LLM and SGLang have taken over.

    Example:
        >>> Tuning(tile_m=128, tile_n=256).tiled
        True
    """

    tile_m: int = 0
    tile_n: int = 0
    tiles: tuple[tuple[int, int], ...] = ()
    splits: tuple[int, ...] = (1,)
    prologue: float = 0.0
    tail: float = 1.0
    shrink: float = 0.0
    precisions: tuple[str, ...] = ()
    attention_rows: int = 0
    attention_keys: int = 1
    head_multiple: int = 1
    shares_keys: bool = True
    packs_heads: bool = True
    expert_tile: tuple[int, int] = (0, 0)
    latent_rows: int = 0
    latent_pair: int = 0
    strip: int = 1024

    def __attrs_post_init__(self) -> None:
        for rows, columns in (*self.shapes, *((self.expert_tile,) if any(self.expert_tile) else ())):
            _check_tile(rows, columns)
        if not self.splits or min(self.splits) < 1:
            raise ValueError(f"splits are {list(self.splits)}; expected at least one, each of at least 1")
        if self.prologue < 0 or self.shrink < 0 or not 0 <= self.tail <= 1:
            raise ValueError("expected prologue and shrink of at least 0, and a tail between 0 and 1")
        if self.attention_rows < 0 or min(self.attention_keys, self.head_multiple, self.strip) < 1:
            raise ValueError(
                "expected attention_rows of at least 0, and attention_keys, head_multiple and strip of at"
                " least 1"
            )
        if min(self.latent_rows, self.latent_pair) < 0 or (self.latent_pair and not self.latent_rows):
            raise ValueError("expected latent_rows of at least 0, and no latent_pair without latent_rows")

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """All tiles to choose from."""
        first = ((self.tile_m, self.tile_n),) if self.tile_m or self.tile_n else ()
        return (*first, *self.tiles)

    @property
    def tiled(self) -> bool:
        """Whether tiles and waves are counted at all."""
        return bool(self.shapes)


def _check_tile(rows: int, columns: int) -> None:
    if min(rows, columns) < 0:
        raise ValueError(f"tile is {rows} x {columns}; expected sizes of at least 1, or 0 for none")
    if 0 in (rows, columns):
        raise ValueError(
            f"tile is {rows} x {columns}; expected both sizes at least 1, or both 0 for no tiles"
        )


class Simt(ib.Architecture):
    """A GPU: every matrix product at the format's peak, every byte at its level's bandwidth.

    How smoothly compute and memory overlap, launches and efficiencies belong to the stack.
    """

    name = "simt"
    title = "SIMT (GPU)"
    params = Params
    reserve = 0.1  # what vLLM and TensorRT-LLM keep unless told otherwise
    tuning = Tuning
    # What fits TensorRT-LLM's fused attention on the H100 and B200 best among 64, 128 and 256 rows, and
    # widths of 64, 72 and 80 best among steps of 1, 16, 32 and 64 (docs/results/calibration.md); an
    # assumption for
    # other libraries.
    time_model = "tiled-kernel"
    usual = {"attention_rows": 128, "attention_keys": 128, "head_multiple": 32}  # noqa: RUF012

    def gemm(self, op: ib.Gemm, site: ib.Site) -> ib.Cost:
        """Cost a matrix product.

        Untiled: `2 m n k count / peak`. Tiled: `ceil(m/tile_m) ceil(n/tile_n) count` tiles run in
        `ceil(tiles/sms)` waves, and every SM of every wave takes the time of a full tile: `waves * sms *
        2 tile_m tile_n k / peak`, never below the untiled time. Where a stack lists several tiles and
        splits, the fastest is taken, as a library does.

        Args:
            op: One execution, already sharded.
            site: The chip, with the stack's `Tuning`.

        Returns:
            Seconds for `compute` and `memory.<level>`; `detail` has `tiles` and `waves` if tiled. Shapes
            broadcast from the op's fields and the precision axis. NaN where the chip has no peak.

        Example:
            132 SMs, tiles of 128 x 128, an 8192 x 2048 result: 1024 tiles in 8 waves of which 7.76 are
            needed.
        """
        tuning: Tuning = site.tuning
        names = op.precision.names
        # The kernels of grouped experts have tiles of their own, and so has what is a part of another kernel.
        if "experts" in op.split and tuning.expert_tile[0]:
            rows, columns = tuning.expert_tile
            tiles = ib.ceil_div(op.m, rows) * ib.ceil_div(op.n, columns) * op.count
            return _cost(op, site, op.useful, {"tiles": tiles}, tiles / site.chip.architecture.sms)
        if not tuning.tiled or "experts" in op.split or not op.whole:
            return _cost(op, site, op.useful, {})
        if tuning.precisions and not set(names) & set(tuning.precisions):
            return _cost(op, site, op.useful, {})
        occupied, detail = _tiled(op, site.chip.architecture.sms, tuning)
        if tuning.precisions:
            mine = op.precision.along_axis([float(name in tuning.precisions) for name in names]) > 0
            occupied = ib.where(mine, occupied, op.useful)
        return _cost(op, site, ib.maximum(op.useful, occupied), detail)

    def attention(self, op: ib.Attention, site: ib.Site) -> ib.Cost:
        """Cost attention whose scores stay on chip: useful operations at peak, KV cache and activations once.

        Tiled (`attention_rows`): `batch kv_heads ceil(queries heads/kv_heads / rows)` tiles, of which
        every SM has one at a time. Several queries per sequence fill whole tiles: rows and keys are
        rounded up, and half a tile of keys per row is computed and masked along a causal diagonal. One
        query per sequence is computed without padding.

        Every pair takes an exponential. Where the special function units, helped by multiply-adds, are slower
        than the matrix units, `compute.exp` is what they take. A stack that tiles attention was fitted on
        kernels that include it.

        Tiles of one new token beside a latent (`latent_rows`) have heads of their own, and read the latent by
        themselves: `detail` has the `readings` of it.

        Where query heads don't share the reading of keys (`shares_keys = false`), one query of every head
        is a tile, and the keys and values of a group pass through the cache once per query head:
        `memory.l2 = state bytes * heads / kv_heads / bandwidth of l2`.

        Example:
            Causal, 128 queries on 128 keys, tiles of 128 x 128: 16,384 pairs are computed of which 8,256 are
            used. Eight query heads on two of keys, 4 GB of keys and values, an L2 of 8 TB/s, not shared:
            16 GB in 2 ms.
        """
        tuning: Tuning = site.tuning
        width = op.qk_dim + op.v_dim
        wide = sum(ib.ceil_div(d, tuning.head_multiple) * tuning.head_multiple for d in (op.qk_dim, op.v_dim))
        occupied = op.useful * (wide / width)
        detail: dict[str, ib.Numeric] = {}
        waves: ib.Numeric | None = None
        group = op.heads / op.kv_heads
        # A latent that all heads share (MLA) has a kernel of its own.
        apart: Any = (op.queries <= 1) & (not tuning.shares_keys and op.cached and op.width is None)
        if tuning.attention_rows:
            apart = apart | ((op.queries > 1) & (not tuning.packs_heads))
            together = ib.where(apart, 1.0, group)
            tiles = (
                op.batch
                * ib.where(apart, op.heads, op.kv_heads)
                * ib.ceil_div(op.queries * together, tuning.attention_rows)
            )
            occupied = ib.where(op.queries > 1, occupied * _padding(op, tuning), op.useful)
            detail, waves = {"tiles": tiles}, tiles / site.chip.architecture.sms
        if tuning.latent_rows and op.latent:
            detail, waves = _beside_a_latent(op, site.chip.architecture.sms, tuning, detail)
        cost = _with_exponentials(op, site, _cost(op, site, occupied, detail, waves))
        return cost if tuning.shares_keys else _read_by_each(op, site, cost, apart & (group > 1))

    def elementwise(self, op: ib.Elementwise, site: ib.Site) -> ib.Cost:
        """Cost element-wise work: its bytes; vector units keep up with memory.

        A short convolution is tiled: `sequences channels ceil(positions / strip)` strips, whatever they are
        filled with.
        """
        cost, channels = _moved(op, site), getattr(op, "channels", 0.0)
        if not np.any(np.asarray(channels) > 0):
            return cost
        each = getattr(op, "sequences", 1.0) * channels
        strips = each * ib.ceil_div(op.elements / each, site.tuning.strip)
        return attrs.evolve(cost, waves=strips / site.chip.architecture.sms)

    def reduce(self, op: ib.Reduce, site: ib.Site) -> ib.Cost:
        """Cost a reduction: its bytes."""
        return _moved(op, site)

    def move(self, op: ib.Move, site: ib.Site) -> ib.Cost:
        """Cost moved bytes."""
        return _moved(op, site)


def _tiled(op: ib.Gemm, sms: int, tuning: Tuning) -> tuple[ib.Numeric, dict[str, ib.Numeric]]:
    """Operations for which all SMs are occupied under the fastest choice of tile and split, its tiles and
    waves.
    """
    best: ib.Numeric = math.inf
    detail: dict[str, ib.Numeric] = {"tiles": 0.0, "waves": 0.0}
    for rows, columns in tuning.shapes:
        slower = 1.0 + tuning.shrink * (64.0 / rows + 64.0 / columns)
        whole = ib.ceil_div(op.m, rows) * ib.ceil_div(op.n, columns) * op.count
        for split in tuning.splits:
            tiles = whole * split
            waves = ib.ceil_div(tiles, sms)
            if tuning.tail < 1.0:
                waves = tuning.tail * waves + (1.0 - tuning.tail) * ib.maximum(tiles / sms, 1.0)
            occupied = waves * (2.0 * sms * rows * columns * slower) * (op.k / split + tuning.prologue)
            better = occupied < best
            found = {"tiles": tiles, "waves": waves}
            detail = {name: ib.where(better, found[name], kept) for name, kept in detail.items()}
            best = ib.minimum(best, occupied)
    return best, detail


def _padding(op: ib.Attention, tuning: Tuning) -> ib.Numeric:
    """Pairs that whole tiles compute, over the pairs that count; at least 1."""
    rows, keys = tuning.attention_rows, tuning.attention_keys
    masked = ib.minimum(op.queries * rows / 2.0, ib.maximum(op.queries * op.keys - op.pairs, 0.0))
    group = op.heads / op.kv_heads if tuning.packs_heads else 1.0
    rounded = ib.ceil_div(op.queries * group, rows) * rows / (op.queries * group)
    return (1.0 + masked / op.pairs) * rounded * (ib.ceil_div(op.keys, keys) * keys / op.keys)


def _beside_a_latent(
    op: ib.Attention, units: int, tuning: Tuning, detail: Mapping[str, ib.Numeric]
) -> tuple[dict[str, ib.Numeric], ib.Numeric]:
    """Tiles of one new token's heads and how many of a sequence read its latent, and the waves of tiles.

    TensorRT-LLM's dispatcher for Blackwell (`fmhaKernels.h`: `useSwapsMmaAbMlaGenKernel`, Apache-2.0) takes
    tiles of 16 heads up to 32 heads, and beyond where units would idle and none has more than 1,024 keys.
    Else two units share tiles of 128. FlashMLA on Hopper has tiles of 64.
    """
    few = ib.ceil_div(op.heads, tuning.latent_rows)
    tiles, readings = op.batch * few, few
    if tuning.latent_pair:
        parts = ib.minimum(
            ib.ceil_div(op.keys, LATENT_STEP), ib.maximum(np.floor(units / np.asarray(tiles)), 1.0)
        )
        short = (ib.ceil_div(op.keys, parts) <= LATENT_KEYS) & (tiles <= units)
        alone = (op.heads <= 2 * tuning.latent_rows) | short
        tiles = ib.where(alone, tiles, op.batch * ib.ceil_div(op.heads, tuning.latent_pair / 2))
        readings = ib.where(alone, few, ib.ceil_div(op.heads, tuning.latent_pair))
    one = np.asarray(op.queries) <= 1
    tiles = ib.where(one, tiles, detail.get("tiles", 0.0))
    return {"tiles": tiles, "readings": ib.where(one, readings, 1.0)}, tiles / units


def exponentials_per_second(special: float, vector: float) -> float:
    """Pairs of a softmax that a GPU takes per second.

    A pair needs three vector instructions (scale and subtract, maximum, sum) and an exponential: one result
    of a special function unit, or six instructions of a polynomial (range reduction, three multiply-adds,
    exponent), as FlashAttention-4 mixes them.

    Args:
        special: Results of special function units per second.
        vector: Vector instructions per second; NaN: special units only.

    Example:
        A B200: 148 x 16 x 1.965 GHz = 4.65 T/s, and 40 T instructions per second.

        >>> round(exponentials_per_second(4.65e12, 40e12) / 1e12, 2)
        7.54
    """
    if math.isnan(vector):
        return special
    mixed = (vector + EMULATED * special) / (SOFTMAX + EMULATED)
    return mixed if mixed >= special else min(special, vector / SOFTMAX)


def _with_exponentials(op: ib.Attention, site: ib.Site, cost: ib.Cost) -> ib.Cost:
    """Add what the exponentials take where that is longer than the products."""
    params: Params = site.chip.architecture
    if params.exponentials is None or math.isnan(params.clock) or site.tuning.attention_rows:
        return cost
    special = params.sms * params.exponentials * params.clock
    rate = exponentials_per_second(special, site.chip.peak.get("fp32", math.nan) / 2.0)
    seconds = op.batch * op.heads * op.pairs / rate
    longer = seconds > cost.busy["compute"]
    if not np.any(longer):
        return cost
    return attrs.evolve(cost, busy={**cost.busy, "compute.exp": ib.where(longer, seconds, 0.0)})


def _read_by_each(op: ib.Attention, site: ib.Site, cost: ib.Cost, apart: Any) -> ib.Cost:
    """Add what passes through the cache where (`apart`) every query head reads the keys of its group by
    itself.
    """
    cache = site.chip.memory.get(CACHE)
    if cache is None or math.isnan(cache.bandwidth):
        return cost
    moved = ib.where(apart, op.bytes.state * (op.heads / op.kv_heads), 0.0)
    return attrs.evolve(
        cost,
        busy={**cost.busy, f"memory.{CACHE}": moved / cache.bandwidth},
        actions={**cost.actions, f"bytes.{CACHE}": moved},
    )


def _cost(
    op: ib.Op,
    site: ib.Site,
    occupied: ib.Numeric,
    detail: dict[str, ib.Numeric],
    waves: ib.Numeric | None = None,
) -> ib.Cost:
    """Cost from the operations for which the matrix units are occupied, padding included."""
    busy, actions = _memory(op, site)
    return ib.Cost(
        busy={"compute": occupied / site.rate(op), **busy},
        actions={"ops": op.useful, **actions},
        detail=detail,
        waves=waves,
    )


def _moved(op: ib.Op, site: ib.Site) -> ib.Cost:
    busy, actions = _memory(op, site)
    return ib.Cost(busy=busy, actions=actions)


def _memory(op: ib.Op, site: ib.Site) -> tuple[dict[str, ib.Numeric], dict[str, ib.Numeric]]:
    """Seconds of each level of memory, and the bytes that it moves."""
    moved = site.traffic(op)
    busy = {f"memory.{level}": amount / site.bandwidth(level) for level, amount in moved.items()}
    return busy, {f"bytes.{level}": amount for level, amount in moved.items()}
