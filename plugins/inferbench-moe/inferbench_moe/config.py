"""Hugging Face `config.json` of mixture-of-experts transformers, turned into our `[network]` table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inferbench_llm import (
    completed,
    family_of,
    given,
    is_mixture,
    read_table,
    refuse_unread,
    stored,
    text_part,
    unread_parts,
)

__all__ = ["read_moe"]

_GPT_OSS = {
    "attention_bias": True,
    "output_bias": True,
    "attention_sinks": True,
    "router_bias": True,
    "expert_bias": True,
    "global_every": 2,
    "active_counts": "no input embedding",
}
# What a model type implies without saying so; the source of each is the class of that name in transformers.
_TRAITS: Mapping[str, Mapping[str, Any]] = {
    "mixtral": {},
    "qwen2_moe": {"attention_bias": True, "shared_expert_gate": True},
    "qwen3_moe": {"qk_norm": True},
    "deepseek_v2": {},
    "deepseek_v3": {"router_bias": True, "active_counts": "no input embedding"},
    "gpt_oss": _GPT_OSS,
}
_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "num_experts": ("num_experts", "num_local_experts", "n_routed_experts"),
    "num_experts_per_tok": ("num_experts_per_tok",),
    "moe_intermediate_size": ("moe_intermediate_size", "intermediate_size"),
    "n_shared_experts": ("n_shared_experts",),
    "shared_expert_intermediate_size": ("shared_expert_intermediate_size",),
    "first_k_dense_replace": ("first_k_dense_replace",),
    "n_group": ("n_group",),
    "topk_group": ("topk_group",),
    "q_lora_rank": ("q_lora_rank",),
    "kv_lora_rank": ("kv_lora_rank",),
    "qk_nope_head_dim": ("qk_nope_head_dim",),
    "qk_rope_head_dim": ("qk_rope_head_dim",),
    "v_head_dim": ("v_head_dim",),
}


def read_moe(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the raw `[network]` table of a mixture of experts, or None if it is not one that is known.

    Networks whose dense layers are not the first ones (`mlp_only_layers`, `decoder_sparse_step`) are not.

    Raises:
        InferBenchError: The model type is known, and a key that it needs is missing or no count.

    Example:
        >>> read_moe({"model_type": "llama"}) is None
        True
    """
    text = text_part(config)
    traits = _TRAITS.get(family_of(text, _TRAITS))
    scattered = text.get("mlp_only_layers") or any(
        text.get(key, 1) not in (1, None) for key in ("decoder_sparse_step", "moe_layer_freq")
    )
    if traits is None or not is_mixture(text) or scattered:
        return None
    refuse_unread(text, ("kv_lora_rank",) if "deepseek" in family_of(text, _TRAITS) else ())
    text = completed(text)
    table = read_table(text, {"tie_word_embeddings": False, **traits})
    table |= {key: value for key, value in given(text, _SPELLINGS).items() if value is not None}
    quantization = text.get("quantization_config")
    if isinstance(quantization, Mapping) and quantization.get("quant_method") == "mxfp4":
        table["expert_format"] = "mxfp4"
    return {"type": "moe", **table, **stored(config, text), **unread_parts(config)}
