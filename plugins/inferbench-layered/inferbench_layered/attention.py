"""Attention blocks: ordinary heads over everything, a window, a chunk or chosen positions, and latent
heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import attrs
import numpy as np
from inferbench_llm import Layers, Size, Sweep, TransformerParams

import inferbench as ib
from inferbench_layered.block import Block, Indexer, attend, per_head

__all__ = ["Attention", "Latent", "chosen"]


@attrs.frozen(kw_only=True)
class Attention(Block):
    """Attention with ordinary or grouped heads.

    Attributes:
        num_attention_heads, num_key_value_heads: Query heads and key/value heads.
        head_dim, v_head_dim: Width of queries and keys; of values (0: the same).
        window: Positions that a token attends to at most; 0: all.
        chunk: Length of the pieces of the sequence inside which tokens attend (Llama 4); 0: none.
        keys_as_values: No projection for values: they are the keys before their norm and rotation (Gemma 4).
        qk_norm: Norms of queries and keys: per `head`, over the whole `width`, without weights (`plain`), or
            `none`.
        attention_bias, output_bias: Biases of q, k, v; of o.
        attention_sinks: A learned logit per head.
        output_gate: Results are multiplied by a gate per `channel` or per `head`.
        indexer: Chooses the positions that a token attends to (MiniMax M3).
    """

    num_attention_heads: ib.Count
    num_key_value_heads: ib.Count
    head_dim: ib.Count
    v_head_dim: Size = 0.0
    window: Size = 0.0
    chunk: Size = 0.0
    keys_as_values: bool = False
    qk_norm: Literal["none", "head", "width", "plain"] = "none"
    attention_bias: bool = False
    output_bias: bool = False
    attention_sinks: bool = False
    output_gate: Literal["none", "head", "channel"] = "none"
    indexer: Indexer | None = None

    def __attrs_post_init__(self) -> None:
        """Check what no single value shows.

        Raises:
            ValueError: Values that contradict each other; the second line is the remedy.
        """
        super().__attrs_post_init__()
        heads, groups = self.num_attention_heads, self.num_key_value_heads
        if heads % groups:
            raise ValueError(
                f"num_key_value_heads is {groups:g}; a divisor of {heads:g} attention heads was expected\n"
                f"write {heads:g} where every head has keys of its own"
            )
        if sum(bool(limit) for limit in (self.window, self.chunk, self.indexer)) > 1:
            raise ValueError(
                "window, chunk and indexer are given together; one of them was expected\n"
                "a layer limits what a token sees in one way"
            )

    def ops(self, build: Layers) -> Iterator[ib.Op]:
        """Yield projection, norms of queries and keys, attention, output."""
        hidden, v = build.params.hidden_size, self.v_head_dim or self.head_dim
        q_width, k_width = self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        v_width, out = self.num_key_value_heads * v, self.num_attention_heads * v
        gates = {"none": 0.0, "head": self.num_attention_heads, "channel": out}[self.output_gate]
        width = q_width + k_width + (0.0 if self.keys_as_values else v_width) + gates
        bias = (width if self.attention_bias else 0.0) + (
            self.num_attention_heads if self.attention_sinks else 0.0
        )
        yield build.gemm("qkv", self.layers, width, hidden, split=("n",), bias=bias)
        if self.qk_norm != "none" and build.options.elementwise:
            stored = {"head": 2.0 * self.head_dim, "width": q_width + k_width, "plain": 0.0}[self.qk_norm]
            yield build.elementwise("qk_norm", self.layers, q_width + k_width, stored, split=("n",))
        if self.indexer:
            yield from self.indexer.ops(build, self.layers, hidden)
        if build.options.attention or build.options.kv:
            heads = (self.num_attention_heads, self.num_key_value_heads, self.head_dim, v, None)
            yield attend(build, "attention", self.layers, heads, self._amounts(build.sweep))
        if gates and build.options.elementwise:
            yield build.elementwise("gate", self.layers, out, reads=1.0 + gates / out, split=("n",))
        bias = hidden if self.output_bias else 0.0
        yield build.gemm("o", self.layers, hidden, out, split=("k",), bias=bias)

    def _amounts(self, sweep: Sweep) -> tuple[ib.Numeric, ib.Numeric, ib.Numeric]:
        """Pairs, positions touched and positions held."""
        if self.chunk:
            return chunked(sweep, self.chunk)
        if self.indexer:
            return chosen(sweep, self.indexer.reach)
        return sweep.pairs(self.window), sweep.keys(self.window), sweep.stored(self.window)


def _pairs_in_chunks(position: ib.Numeric, chunk: float) -> ib.Numeric:
    """Pairs of the first `position` tokens, each seeing itself and what came before it in its own chunk."""
    whole = np.floor(position / chunk)
    rest = position - whole * chunk
    return whole * 0.5 * chunk * (chunk + 1.0) + 0.5 * rest * (rest + 1.0)


def chunked(sweep: Sweep, chunk: float) -> tuple[ib.Numeric, ib.Numeric, ib.Numeric]:
    """Pairs, positions touched and positions held of attention inside chunks.

    A single token touches what it sees. A prompt's piece touches its tokens and what came before them in the
    chunk that it starts in: exact for a prompt in one piece, half a chunk for the pieces after the first of
    several.

    Example:
        A prompt of 6 in chunks of 4: 4 x 5 / 2 + 2 x 3 / 2 pairs; all 6 positions are touched, 4 held.

        >>> [float(x) for x in chunked(Sweep(batch=1.0, start=0.0, tokens=6.0, decoding=False), 4.0)]
        [13.0, 6.0, 4.0]
    """
    seen = (_pairs_in_chunks(sweep.end, chunk) - _pairs_in_chunks(sweep.start, chunk)) / sweep.times
    if not sweep.causal:
        seen = sweep.tokens * ib.minimum(sweep.end, chunk)
    if sweep.decoding:
        touched = seen + sweep.drafted
        pairs = (1.0 + sweep.drafted) * seen + 0.5 * (1.0 + sweep.drafted) * sweep.drafted
    else:
        before = sweep.start - np.floor(sweep.start / chunk) * chunk
        later = ib.minimum(sweep.keys(0.0) - sweep.tokens, 0.5 * chunk)
        touched = sweep.tokens + before / sweep.times + later * (1.0 - 1.0 / sweep.times)
        pairs = seen
    return pairs, touched, ib.minimum(sweep.end + sweep.drafted, chunk)


def chosen(sweep: Sweep, reach: float) -> tuple[ib.Numeric, ib.Numeric, ib.Numeric]:
    """Pairs, positions touched and positions held where every query attends to at most `reach` chosen
    positions.

    A new token touches what it chose, and drafted tokens choose for themselves. The queries of a prompt
    choose differently, so that together they touch everything.
    """
    everything = sweep.keys(0.0)
    touched = (
        ib.minimum(everything, sweep.keys(reach) * (1.0 + sweep.drafted)) if sweep.decoding else everything
    )
    return sweep.pairs(reach), touched, sweep.stored(0.0)


@attrs.frozen(kw_only=True)
class Latent(Block):
    """Multi-head latent attention (DeepSeek V2 and later), over everything or over chosen positions.

    Over everything, a prompt expands its latents to keys and values once and a new token absorbs the
    projections into its query. Over chosen positions the queries of a prompt absorb them too, as DeepSeek's
    kernels do, unless attending to everything with a mask is less work, as it is for short prompts (the paper
    on V3.2 describes such a mode): the pairs then are so many of absorbed heads as make that work.

    Attributes:
        num_attention_heads: Query heads.
        q_lora_rank, kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim: As in a `config.json`.
        output_gate: Results are multiplied by a gate per channel, projected from the input (Kimi K3).
        indexer: Chooses the positions that a token attends to.
    """

    num_attention_heads: ib.Count
    q_lora_rank: Size = 0.0
    kv_lora_rank: ib.Count
    qk_nope_head_dim: ib.Count
    qk_rope_head_dim: ib.Count
    v_head_dim: ib.Count
    output_gate: bool = False
    indexer: Indexer | None = None

    def ops(self, build: Layers) -> Iterator[ib.Op]:
        """Yield projections, attention and output."""
        if self.output_gate:
            out = self.num_attention_heads * self.v_head_dim
            yield build.gemm("gate", self.layers, out, build.params.hidden_size, split=("n",))
            if build.options.elementwise:
                yield build.elementwise("gated", self.layers, out, reads=2.0, split=("n",))
        if self.indexer:
            yield from self._sparse(build, self.indexer)
        else:
            yield from attrs.evolve(build, params=self._shape(build.params)).attention()

    def _shape(self, params: TransformerParams) -> TransformerParams:
        """The block as a network of its own layers, for the builder of dense networks."""
        return attrs.evolve(
            params,
            num_hidden_layers=self.layers,
            num_attention_heads=self.num_attention_heads,
            num_key_value_heads=self.num_attention_heads,
            q_lora_rank=self.q_lora_rank,
            kv_lora_rank=self.kv_lora_rank,
            qk_nope_head_dim=self.qk_nope_head_dim,
            qk_rope_head_dim=self.qk_rope_head_dim,
            v_head_dim=self.v_head_dim,
        )

    def _sparse(self, build: Layers, indexer: Indexer) -> Iterator[ib.Op]:
        hidden, layers, heads = build.params.hidden_size, self.layers, self.num_attention_heads
        latent = self.kv_lora_rank + self.qk_rope_head_dim
        query = heads * (self.qk_nope_head_dim + self.qk_rope_head_dim)
        yield build.gemm("qkv_a", layers, self.q_lora_rank + latent, hidden)
        yield build.gemm("q_b", layers, query, self.q_lora_rank or hidden, split=("n",))
        if build.options.elementwise:
            normed = self.q_lora_rank + self.kv_lora_rank
            yield build.elementwise("latent_norm", layers, normed, normed)
        yield from indexer.ops(build, layers, self.q_lora_rank or hidden)
        yield per_head(build, "k_absorb", layers, heads, self.kv_lora_rank, self.qk_nope_head_dim)
        if build.options.attention or build.options.kv:
            shape = (heads, 1.0, latent, self.kv_lora_rank, latent)
            yield attend(build, "attention", layers, shape, self._least(build.sweep, indexer.reach))
        yield per_head(build, "v_absorb", layers, heads, self.v_head_dim, self.kv_lora_rank)
        yield build.gemm("o", layers, hidden, heads * self.v_head_dim, split=("k",))

    def _least(self, sweep: Sweep, reach: float) -> tuple[ib.Numeric, ib.Numeric, ib.Numeric]:
        """What `chosen` returns, its pairs no more work than all pairs of expanded keys and values."""
        pairs, touched, stored = chosen(sweep, reach)
        if sweep.decoding:
            return pairs, touched, stored
        expanded = self.qk_nope_head_dim + self.qk_rope_head_dim + self.v_head_dim
        absorbed = 2.0 * self.kv_lora_rank + self.qk_rope_head_dim
        return ib.minimum(pairs, sweep.pairs(0.0) * expanded / absorbed), touched, stored
