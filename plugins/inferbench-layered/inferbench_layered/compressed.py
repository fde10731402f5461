"""Attention over compressed positions, with a window of plain ones (DeepSeek V4)."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np
from inferbench_llm import Layers, Size

import inferbench as ib
from inferbench_layered.block import Block, Indexer, attend, resident_here
from inferbench_layered.ops import StatefulElementwise

__all__ = ["Compressed"]


@attrs.frozen(kw_only=True)
class Compressed(Block):
    """One key of `head_dim` per position, which is its value too, for all query heads; older positions are
    pooled.

    A token attends to the last `window` positions and to pooled entries, one per `ratio` positions: to all of
    them, or to those an indexer chooses, whose keys are pooled alike. Where `overlap`, an entry pools `2
    ratio` positions.
    Source: the classes DeepseekV4Attention, DeepseekV4HCACompressor and DeepseekV4CSACompressor of
    transformers 5.24.

    Attributes:
        num_attention_heads, head_dim: Query heads and their width.
        q_lora_rank: Width that queries are projected from.
        o_groups, o_lora_rank: Groups of heads that share a projection of the result, and its width per group.
        window: Last positions kept as they are.
        ratio: Positions per pooled entry; 0: the window alone.
        overlap: Entries pool the positions of the one before as well.
        indexer: Chooses entries; its keys are pooled.
    """

    num_attention_heads: ib.Count
    head_dim: ib.Count
    q_lora_rank: ib.Count
    o_groups: ib.Count
    o_lora_rank: ib.Count
    window: ib.Count
    ratio: Size = 0.0
    overlap: bool = False
    indexer: Indexer | None = None

    def __attrs_post_init__(self) -> None:
        """Check what no single value shows.

        Raises:
            ValueError: An indexer without entries to choose from; the second line is the remedy.
        """
        super().__attrs_post_init__()
        if self.indexer and not self.ratio:
            raise ValueError(
                "an indexer is given without ratio; it chooses among pooled entries\n"
                "add ratio, the positions per entry, or leave the indexer out"
            )

    def ops(self, build: Layers) -> Iterator[ib.Op]:
        """Yield projections, pooling, choice, attention and the grouped output."""
        hidden, layers, heads, dim = (
            build.params.hidden_size,
            self.layers,
            self.num_attention_heads,
            self.head_dim,
        )
        yield build.gemm("qkv_a", layers, self.q_lora_rank + dim, hidden)
        yield build.gemm("q_b", layers, heads * dim, self.q_lora_rank, split=("n",), bias=heads)
        if build.options.elementwise:
            normed = self.q_lora_rank + dim
            yield build.elementwise("latent_norm", layers, normed, normed)
        if self.ratio:
            yield from self._pool(build, "pool", dim)
        if self.indexer:
            yield from self._pool(build, "index_pool", self.indexer.head_dim)
            yield from self.indexer.ops(build, layers, self.q_lora_rank, self.ratio)
        if build.options.attention or build.options.kv:
            yield attend(build, "attention", layers, (heads, 1.0, dim, dim, dim), self._amounts(build))
        a_input = heads * dim / self.o_groups
        yield build.gemm("o_a", layers, self.o_lora_rank, a_input, count=self.o_groups, split=("heads",))
        yield build.gemm("o_b", layers, hidden, self.o_groups * self.o_lora_rank, split=("k",))

    def _pool(self, build: Layers, name: str, dim: float) -> Iterator[ib.Op]:
        """Values and gates of every position, and their weighted sums, one per `ratio` positions."""
        sweep, width = build.sweep, dim * (2.0 if self.overlap else 1.0)
        bias = self.ratio * width + dim  # per position of an entry; the norm
        yield build.gemm(f"{name}_in", self.layers, 2.0 * width, build.params.hidden_size, bias=bias)
        if not build.options.elementwise:
            return
        slots = self.ratio * (2.0 if self.overlap else 1.0)
        yield StatefulElementwise(
            name=sweep.prefix + name,
            precision=build.precision,
            repeat=self.layers * sweep.executions,
            copies=self.layers,
            elements=sweep.rows * dim / self.ratio,
            reads=2.0 * width * self.ratio / dim,
            state=sweep.batch * slots * 2.0 * dim if build.options.kv else 0.0,
            holds=resident_here(sweep),
        )

    def _amounts(self, build: Layers) -> tuple[ib.Numeric, ib.Numeric, ib.Numeric]:
        """Pairs, positions touched and positions held: the window's and the entries'."""
        sweep, ratio = build.sweep, self.ratio
        pairs, keys, stored = sweep.pairs(self.window), sweep.keys(self.window), sweep.stored(self.window)
        if not ratio:
            return pairs, keys, stored
        reach = self.indexer.top_k * ratio if self.indexer else 0.0
        entries = sweep.keys(0.0) / ratio
        if self.indexer and sweep.decoding:
            entries = ib.minimum(entries, sweep.keys(reach) / ratio * (1.0 + sweep.drafted))
        kept = np.floor(sweep.stored(0.0) / ratio)
        return pairs + sweep.pairs(reach) / ratio, keys + entries, stored + kept
