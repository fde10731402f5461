"""Configs with gated delta rules: Qwen3-Next, Qwen3.5, Kimi Linear, Kimi K3."""

from __future__ import annotations

from typing import Any

from inferbench_layered.read.config import Config
from inferbench_layered.read.deepseek import prediction
from inferbench_layered.read.parts import (
    Table,
    dense_table,
    experts_table,
    feeds,
    latent_table,
    scattered,
    trunk,
)

__all__ = ["read_kimi", "read_qwen"]

_KINDS = {"linear_attention": "linear", "full_attention": "full"}
_DTYPES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def state_format(config: Config, key: str, default: str = "") -> str:
    """Return the format of a recurrent state; empty where nobody says: that of activations.

    Args:
        config: The file.
        key: That may say it.
        default: What the family's class in `transformers` says where the file does not.
    """
    word = config.text(key, default)
    if word and word not in _DTYPES:
        config.refuse(key, f"'{word}' is no format of a state; {', '.join(_DTYPES)} was expected")
    return _DTYPES.get(word, "")


def read_qwen(config: Config) -> Table:
    """Read Qwen3-Next and Qwen3.5: gated delta net, and full attention with a gate in every fourth layer."""
    layers = config.count("num_hidden_layers")
    config.only({"attention_bias": [False], "hidden_act": ["silu"]})
    kinds = config.kinds("layer_types", layers, _KINDS) or _every(config, int(layers))
    mixers = {
        "full": {
            "num_attention_heads": config.count("num_attention_heads"),
            "num_key_value_heads": config.count("num_key_value_heads"),
            "head_dim": config.count("head_dim", default=256.0),
            "qk_norm": "head",
            "output_gate": "channel" if config.flag("attn_output_gate", True) else "none",
        },
        "linear": {
            "key_heads": config.count("linear_num_key_heads"),
            "value_heads": config.count("linear_num_value_heads"),
            "key_dim": config.count("linear_key_head_dim"),
            "value_dim": config.count("linear_value_head_dim"),
            "conv_kernel": config.count("linear_conv_kernel_dim", default=4.0),
            "state_format": state_format(config, "mamba_ssm_dtype"),
        },
    }
    table = {**trunk(config, layers), **by_kind(kinds, mixers, {"full": "attention", "linear": "delta"})}
    if config.has("num_experts"):
        parts = scattered(config, layers)
        experts = experts_table(config, layers, shared_gate=True)
        dense = dense_table(config, layers) if "dense" in parts else {}
        feed = "experts"
        table |= feeds(config, parts, dense, experts)
    else:
        feed = "dense"
        table |= {"dense": {"dense": dense_table(config, layers)}}
    return table | prediction(config, ["full", feed], ["experts"])


def by_kind(kinds: list[str], blocks: Table, homes: dict[str, str]) -> Table:
    """Sort blocks into the tables of their kinds, each with the number of layers that a list gives it."""
    found: dict[str, dict[str, Any]] = {}
    for kind in dict.fromkeys(kinds):
        found.setdefault(homes[kind], {})[kind] = {**blocks[kind], "layers": float(kinds.count(kind))}
    return found


def _every(config: Config, layers: int) -> list[str]:
    step = int(config.count("full_attention_interval", default=4.0))
    return ["full" if (i + 1) % step == 0 else "linear" for i in range(layers)]


def read_kimi(config: Config) -> Table:
    """Read Kimi Linear and Kimi K3: Kimi delta attention, and latent attention in the layers that are
    listed.
    """
    layers = config.count("num_hidden_layers")
    linear = config.table("linear_attn_config")
    kinds = config.kinds("layer_types", layers, _KINDS) or _listed(linear, int(layers))
    heads, dim = linear.count("num_heads"), linear.count("head_dim")
    full_rank = linear.flag("use_full_rank_gate")
    mixers = {
        "full": {
            **latent_table(config, layers),
            "output_gate": config.flag("mla_use_output_gate"),
        },
        "linear": {
            "key_heads": heads,
            "value_heads": heads,
            "key_dim": dim,
            "value_dim": dim,
            "decay": "channel",
            "decay_rank": dim,
            "gate_rank": 0.0 if full_rank else dim,
            "conv_kernel": linear.count("short_conv_kernel_size", default=4.0),
        },
    }
    table = {**trunk(config, layers), **by_kind(kinds, mixers, {"full": "latent", "linear": "delta"})}
    parts = scattered(config, layers)
    latent = config.count("routed_expert_hidden_size", default=0.0, least=0.0)
    experts = experts_table(
        config,
        layers,
        router_bias=True,
        latent_size=latent,
        active_counts="no input embedding",
        latent_norm=bool(latent) and config.flag("latent_moe_use_norm"),
    )
    table |= feeds(config, parts, dense_table(config, layers), experts)
    return {**table, "lookback": config.count("attn_res_block_size", default=0.0, least=0.0)}


def _listed(linear: Config, layers: int) -> list[str]:
    """Read the lists of layers, which count from 1."""
    kinds = [""] * layers
    for key, kind in (("full_attn_layers", "full"), ("kda_layers", "linear")):
        places = linear.values.get(key)
        if not isinstance(places, list) or not all(isinstance(i, int) and 0 < i <= layers for i in places):
            linear.refuse(key, f"{places!r} is not a list of layers from 1 to {layers}")
        for place in places:
            if kinds[place - 1]:
                linear.refuse(
                    "full_attn_layers, kda_layers",
                    f"layer {place} stands in both",
                    "they contradict each other",
                )
            kinds[place - 1] = kind
    if "" in kinds:
        linear.refuse(
            "full_attn_layers, kda_layers",
            f"layer {kinds.index('') + 1} stands in neither",
            "add it to one of them",
        )
    return kinds
