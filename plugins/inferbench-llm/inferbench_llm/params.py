"""Hyper-parameters of a dense transformer and the options of its workloads."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import attrs

import inferbench as ib

__all__ = ["Options", "Size", "TransformerParams"]

Size = Annotated[float, ib.Unit("", "a count, 0 for none", "1024", zero=True)]
"""A count that may be zero, zero meaning that the network has no such thing."""


@attrs.frozen(kw_only=True)
class TransformerParams:
    """A decoder-only transformer, spelled as in a Hugging Face `config.json` where that has a word for it.

    Attributes:
        hidden_size: Width of the residual stream.
        num_hidden_layers: Layers.
        num_attention_heads, num_key_value_heads: Query heads and key/value heads.
        head_dim: Width of a query, a key and a value.
        intermediate_size: Width inside the feed-forward part.
        gated_mlp: Three matrices (gate, up, down) instead of two.
        vocab_size: Rows of the embedding and of the output head.
        tie_word_embeddings: The head reads the embedding's table.
        max_position_embeddings: Longest context it was made for; beyond it a warning.
        attention_bias, output_bias, mlp_bias, lm_head_bias: Biases of q, k, v; of o; of the feed-forward; of
            the head.
        qk_norm: Queries and keys are normalised per head.
        attention_sinks: A learned logit per head that takes up attention (gpt-oss).
        norm: `rms` has a scale per channel, `layer` a scale and a shift.
        norms_per_layer: 2, or 4 where the results of attention and feed-forward are normalised too.
        learned_positions: Rows of a table of positions.
        embedding_norm, final_norm: A norm after the embedding; before the head.
        parallel_mlp: Attention and feed-forward read the same input (GPT-NeoX).
        sliding_window: Positions that a local layer attends to; 0: no local layers.
        global_every: With a window: one layer in so many is global; 0: all are local.
        q_lora_rank, kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim: Multi-head latent attention
            (DeepSeek V2 and V3); `kv_lora_rank` 0: ordinary heads.

    Example:
        >>> TransformerParams(hidden_size=64.0, num_hidden_layers=2.0, num_attention_heads=4.0,
        ...     num_key_value_heads=2.0, head_dim=16.0, intermediate_size=128.0,
        ...     vocab_size=1000.0).global_layers
        2.0
    """

    hidden_size: ib.Count
    num_hidden_layers: ib.Count
    num_attention_heads: ib.Count
    num_key_value_heads: ib.Count
    head_dim: ib.Count
    intermediate_size: ib.Count
    vocab_size: ib.Count
    gated_mlp: bool = True
    tie_word_embeddings: bool = False
    max_position_embeddings: Size = 0.0
    attention_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    lm_head_bias: bool = False
    qk_norm: bool = False
    attention_sinks: bool = False
    norm: Literal["rms", "layer"] = "rms"
    norms_per_layer: ib.Count = 2.0
    learned_positions: Size = 0.0
    embedding_norm: bool = False
    final_norm: bool = True
    parallel_mlp: bool = False
    sliding_window: Size = 0.0
    global_every: Size = 0.0
    q_lora_rank: Size = 0.0
    kv_lora_rank: Size = 0.0
    qk_nope_head_dim: Size = 0.0
    qk_rope_head_dim: Size = 0.0
    v_head_dim: Size = 0.0

    def __attrs_post_init__(self) -> None:
        """Check what no single value shows; the second line of a message is the remedy.

        Raises:
            ValueError: A count that is not whole; values that contradict each other.
        """
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if isinstance(value, float) and value % 1 > 0:
                raise ValueError(
                    f"{field.name} is {value:g}; a whole number was expected\nwrite it like {value // 1:.0f}"
                )
        heads, groups = self.num_attention_heads, self.num_key_value_heads
        if heads % groups:
            raise ValueError(
                f"num_key_value_heads is {groups:g}; a divisor of the {heads:g} attention heads was"
                f" expected\nwrite {heads:g} where every head has keys of its own"
            )
        if self.global_every and not self.sliding_window:
            raise ValueError(
                "global_every is given without sliding_window; local layers need a window\n"
                "add sliding_window, or leave global_every out"
            )
        if self.kv_lora_rank and not (self.qk_nope_head_dim and self.qk_rope_head_dim and self.v_head_dim):
            raise ValueError(
                "kv_lora_rank is given; qk_nope_head_dim, qk_rope_head_dim and v_head_dim were expected too\n"
                "add them, or leave kv_lora_rank out: 0 means ordinary heads"
            )

    @property
    def norm_width(self) -> float:
        """Weights of one norm over the residual stream."""
        return self.hidden_size * (2.0 if self.norm == "layer" else 1.0)

    @property
    def global_layers(self) -> float:
        """Layers whose attention sees every position."""
        if not self.sliding_window:
            return float(self.num_hidden_layers)
        return float(self.num_hidden_layers // self.global_every) if self.global_every else 0.0

    @property
    def local_layers(self) -> float:
        """Layers whose attention sees a window."""
        return float(self.num_hidden_layers) - self.global_layers


def _share(low: float, high: float, open_top: bool = False) -> Any:
    def check(_: Any, attribute: attrs.Attribute[float], value: float) -> None:
        if not low <= value <= high or (open_top and value == high):
            bracket = ")" if open_top else "]"
            raise ValueError(
                f"{attribute.name} is {value:g}; a number in [{low:g}, {high:g}{bracket} was expected"
            )

    return check


def _whole(least: float, most: float) -> Any:
    def check(_: object, attribute: attrs.Attribute[float], value: float) -> None:
        if not least <= value <= most or value % 1:
            span = f"from {least:.0f} to {most:,.0f}"
            raise ValueError(f"{attribute.name} is {value:g}; a whole number {span} was expected")

    return check


@attrs.frozen(kw_only=True)
class Options:
    """Which parts count, and how a prompt is processed; whatever differs from the defaults is named in
    results.

    Attributes:
        attention: Count the products of queries, keys and values.
        kv: Count the bytes of the KV cache, touched and resident.
        lm_head: Count the output head.
        embedding: Count the input embedding.
        elementwise: Count norms and activations.
        causal: A prompt token attends to itself and what came before; false: to the whole prompt.
        lm_head_all: Prefill computes logits of every token, not of the last only.
        top_p: Tokens are drawn by sorting all logits, as vLLM does for top-p: its energy counts.
        prefix_hit: Share of the prompt whose keys and values are cached already.
        cached: Positions of the prompt whose keys and values, or states, are there already: earlier turns of
            a conversation, a prefix that it shares.
        turns: Turns of a conversation that a generation goes through, each with `context` new tokens of a
            prompt and `output` tokens of an answer; what came before stays cached. A step is the mean turn.
        chunk: Prompt tokens per chunk; 0: all at once.
        draft: Tokens drafted per step of speculative decoding; 0: plain decoding.
        acceptance: Probability that a drafted token is accepted.
        draft_cost: Cost of drafting one token as a share of one plain decode step of the network.
    """

    attention: bool = True
    kv: bool = True
    lm_head: bool = True
    embedding: bool = True
    elementwise: bool = True
    causal: bool = True
    lm_head_all: bool = False
    top_p: bool = False
    prefix_hit: float = attrs.field(default=0.0, validator=_share(0.0, 1.0, open_top=True))
    cached: float = attrs.field(default=0.0, validator=_share(0.0, 1e9))
    turns: float = attrs.field(default=1.0, validator=_whole(1.0, 256.0))
    chunk: float = attrs.field(default=0.0, validator=_whole(0.0, 1e9))
    draft: float = attrs.field(default=0.0, validator=_whole(0.0, 1e3))
    acceptance: float = attrs.field(default=0.0, validator=_share(0.0, 1.0))
    draft_cost: float = attrs.field(default=0.0, validator=_share(0.0, 1.0))

    def __attrs_post_init__(self) -> None:
        """Check what no single value shows.

        Raises:
            ValueError: Two ways to say what is cached; the second line is the remedy.
        """
        if self.cached and self.prefix_hit:
            raise ValueError(
                "cached and prefix_hit are given together; one of them was expected\n"
                "cached counts positions, prefix_hit is a share of the prompt"
            )

    @property
    def accepted(self) -> float:
        """Mean tokens per speculative step: (1 - a^(g+1)) / (1 - a), Leviathan et al. 2023 (arXiv
        2211.17192), eq. 1.

        Example:
            >>> round(Options(draft=5.0, acceptance=0.8).accepted, 3)
            3.689
        """
        tries, rate = self.draft + 1.0, self.acceptance
        return tries if rate == 1.0 else (1.0 - rate**tries) / (1.0 - rate)
