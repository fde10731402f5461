"""The operators of a transformer, part by part; the mixture-of-experts package builds on these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

import inferbench as ib
from inferbench_llm.ops import CachedAttention
from inferbench_llm.params import Options, TransformerParams
from inferbench_llm.sweep import Sweep

__all__ = ["Layers"]

TOKEN_ID_BYTES = 4.0


@attrs.frozen(eq=False)
class Layers:
    """Builds the operators of one sweep.

    Attributes:
        params: The network's hyper-parameters.
        sweep: Tokens, context and executions.
        precision: The precision axis.
        options: Which parts count.
        published: Precision in which the network is published; empty where nobody says.
        formats: Parts whose weights are published in another format than that precision's.

    Example:
        >>> [op.name for op in Layers(params, sweep, precision, Options()).mlp(80.0,
        ...     28672.0)]  # doctest: +SKIP
        ['gate_up', 'activation', 'down']
    """

    params: TransformerParams
    sweep: Sweep
    precision: ib.Precision
    options: Options
    published: str = ""
    formats: Mapping[str, str] = attrs.field(factory=dict)

    def of(self, part: str) -> Layers:
        """Return the builder of one part, in the format that it is published in where the run's is the
        network's.

        Args:
            part: `embedding`, `head`, `attention`, `dense`, `experts`, `shared` or `vision`.
        """
        other = self.formats.get(part)
        if other is None:
            return self
        return attrs.evolve(self, precision=self.precision.with_weights(self.published, other))

    def gemm(self, name: str, layers: float, n: ib.Numeric, k: ib.Numeric, **fields: Any) -> ib.Gemm:
        """Return a product of the sweep's rows with a weight matrix, in so many layers."""
        return ib.Gemm(
            name=self.sweep.prefix + name,
            precision=self.precision,
            repeat=layers * self.sweep.executions,
            copies=layers if self.sweep.weights else 0.0,
            n=n,
            k=k,
            **{"m": self.sweep.rows, **fields},
        )

    def elementwise(
        self, name: str, repeat: float, width: float, stored: float = 0.0, **fields: Any
    ) -> ib.Op:
        """Return per-element work on `width` elements of every row."""
        return ib.Elementwise(
            name=self.sweep.prefix + name,
            precision=self.precision,
            repeat=repeat * self.sweep.executions,
            copies=repeat if self.sweep.weights else 0.0,
            elements=self.sweep.rows * width,
            stored=stored,
            **fields,
        )

    def embed(self) -> Iterator[ib.Op]:
        """Yield the lookup of token embeddings (and positions), one row per token."""
        p, sweep = self.params, self.sweep
        if not self.options.embedding:
            return
        table = p.hidden_size * (p.vocab_size + p.learned_positions)
        table += p.norm_width if p.embedding_norm else 0.0
        yield ib.Move(
            name=sweep.prefix + "embed",
            precision=self.of("embedding").precision,
            repeat=sweep.executions,
            copies=1.0 if sweep.weights else 0.0,
            unit="embedding",
            split=("vocab",),
            elements=sweep.rows * p.hidden_size,
            stored=table,
            graph_bytes=sweep.rows * TOKEN_ID_BYTES,
        )

    def norms(self) -> Iterator[ib.Op]:
        """Yield all norms of the layers as one op, residual additions folded in.

        A norm reads and writes its tensor; each of a layer's two additions reads the other summand and writes
        the sum.
        """
        p = self.params
        if self.options.elementwise:
            passes = (p.norms_per_layer + 2.0) / p.norms_per_layer
            repeat = p.norms_per_layer * p.num_hidden_layers
            yield self.elementwise("norm", repeat, p.hidden_size, p.norm_width, reads=passes, writes=passes)

    def attention(self) -> Iterator[ib.Op]:
        """Yield projections and attention of all layers: ordinary, grouped or latent heads."""
        mine = self.of("attention")
        yield from mine._latent() if self.params.kv_lora_rank else mine._grouped()

    def _grouped(self) -> Iterator[ib.Op]:
        p, layers = self.params, float(self.params.num_hidden_layers)
        width = (p.num_attention_heads + 2.0 * p.num_key_value_heads) * p.head_dim
        bias = (width if p.attention_bias else 0.0) + (p.num_attention_heads if p.attention_sinks else 0.0)
        yield self.gemm("qkv", layers, width, p.hidden_size, split=("n",), bias=bias)
        if p.qk_norm and self.options.elementwise:
            normed = (p.num_attention_heads + p.num_key_value_heads) * p.head_dim
            yield self.elementwise("qk_norm", layers, normed, 2.0 * p.head_dim, split=("n",))
        yield from self._scores(p.num_key_value_heads, p.head_dim, p.head_dim, None)
        yield self._output(p.num_attention_heads * p.head_dim)

    def _output(self, width: float) -> ib.Op:
        p = self.params
        bias = p.hidden_size if p.output_bias else 0.0
        return self.gemm("o", float(p.num_hidden_layers), p.hidden_size, width, split=("k",), bias=bias)

    def _scores(self, kv_heads: float, qk: float, v: float, width: float | None) -> Iterator[ib.Op]:
        p = self.params
        if p.global_layers:
            yield from self._attend("attention", p.global_layers, 0.0, (kv_heads, qk, v, width))
        if p.local_layers:
            yield from self._attend(
                "attention_local", p.local_layers, p.sliding_window, (kv_heads, qk, v, width)
            )

    def _attend(
        self, name: str, layers: float, window: float, heads: tuple[float, float, float, float | None]
    ) -> Iterator[ib.Op]:
        sweep, options = self.sweep, self.options
        if not (options.attention or options.kv):
            return
        kv_heads, qk, v, width = heads
        yield CachedAttention(
            name=sweep.prefix + name,
            precision=self.precision,
            repeat=layers * sweep.executions,
            copies=layers if sweep.cache else 0.0,
            split=("heads",),
            batch=sweep.batch,
            heads=self.params.num_attention_heads,
            kv_heads=kv_heads,
            queries=sweep.queries,
            keys=sweep.keys(window),
            pairs=sweep.pairs(window) if options.attention else 0.0,
            qk_dim=qk,
            v_dim=v,
            width=width if options.kv else 0.0,
            stored=sweep.stored(window),
        )

    def _latent(self) -> Iterator[ib.Op]:
        p, layers = self.params, float(self.params.num_hidden_layers)
        heads, latent = p.num_attention_heads, p.kv_lora_rank + p.qk_rope_head_dim
        query = heads * (p.qk_nope_head_dim + p.qk_rope_head_dim)
        if p.q_lora_rank:
            yield self.gemm("qkv_a", layers, p.q_lora_rank + latent, p.hidden_size)
            yield self.gemm("q_b", layers, query, p.q_lora_rank, split=("n",))
        else:
            yield self.gemm("kv_a", layers, latent, p.hidden_size)
            yield self.gemm("q", layers, query, p.hidden_size, split=("n",))
        if self.options.elementwise:
            normed = p.q_lora_rank + p.kv_lora_rank
            yield self.elementwise("latent_norm", layers, normed, normed)
        yield from self._expanded(layers, latent) if self._many_queries else self._absorbed(layers, latent)
        yield self._output(heads * p.v_head_dim)

    @property
    def _many_queries(self) -> bool:
        """Whether a prompt is processed, for which keys and values are expanded once and shared by its
        queries.
        """
        return not self.sweep.decoding

    def _expanded(self, layers: float, latent: float) -> Iterator[ib.Op]:
        p, sweep = self.params, self.sweep
        wide = p.qk_nope_head_dim + p.v_head_dim
        rows = sweep.batch * sweep.keys(p.sliding_window)
        fields: dict[str, Any] = {"split": ("n",), "m": rows, "all_rows": True}  # latents go round, not keys
        yield self.gemm("kv_b", layers, p.num_attention_heads * wide, p.kv_lora_rank, **fields)
        query = p.qk_nope_head_dim + p.qk_rope_head_dim
        yield from self._scores(p.num_attention_heads, query, p.v_head_dim, latent)

    def _absorbed(self, layers: float, latent: float) -> Iterator[ib.Op]:
        p = self.params
        yield self._per_head("k_absorb", layers, p.kv_lora_rank, p.qk_nope_head_dim)
        yield from self._scores(1.0, latent, p.kv_lora_rank, latent)
        yield self._per_head("v_absorb", layers, p.v_head_dim, p.kv_lora_rank)

    def _per_head(self, name: str, layers: float, n: float, k: float) -> ib.Op:
        return self.gemm(name, layers, n, k, count=self.params.num_attention_heads, split=("heads",))

    def mlp(self, layers: float, intermediate: float, prefix: str = "") -> Iterator[ib.Op]:
        """Yield the feed-forward part of so many layers, `intermediate` wide."""
        p, inner = self.params, intermediate * (2.0 if self.params.gated_mlp else 1.0)
        up = prefix + ("gate_up" if p.gated_mlp else "up")
        hidden, mine = p.hidden_size, self.of("shared" if prefix == "shared_" else "dense")
        yield mine.gemm(up, layers, inner, hidden, split=("n",), bias=inner if p.mlp_bias else 0.0)
        if self.options.elementwise:
            reads = inner / intermediate
            yield mine.elementwise(prefix + "activation", layers, intermediate, reads=reads, split=("n",))
        bias = hidden if p.mlp_bias else 0.0
        yield mine.gemm(prefix + "down", layers, hidden, intermediate, split=("k",), bias=bias)

    def head(self) -> Iterator[ib.Op]:
        """Yield the final norm and the output head, on the rows whose logits are wanted."""
        p, sweep = self.params, self.sweep
        rows, copies = sweep.batch * sweep.logits, 1.0 if sweep.weights else 0.0
        precision = self.of("head").precision
        if p.final_norm and self.options.elementwise:
            yield ib.Elementwise(
                name=sweep.prefix + "final_norm",
                precision=self.precision,
                repeat=sweep.head_times,
                copies=copies,
                unit="head",
                elements=rows * p.hidden_size,
                stored=p.norm_width,
            )
        if self.options.lm_head:
            yield ib.Gemm(
                name=sweep.prefix + "lm_head",
                precision=precision,
                repeat=sweep.head_times,
                copies=copies,
                unit="head",
                split=("vocab",),
                m=rows,
                n=p.vocab_size,
                k=p.hidden_size,
                stored=0.0 if p.tie_word_embeddings else None,
                bias=p.vocab_size if p.lm_head_bias else 0.0,
                graph_bytes=rows * p.vocab_size * precision.activations,
                drawn=self.options.top_p,
            )
