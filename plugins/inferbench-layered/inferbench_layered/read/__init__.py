"""Hugging Face `config.json` of networks with layers of several kinds, turned into our `[network]` table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from inferbench_llm import completed, family_of, refuse_unread, stored, text_part, unread_parts

from inferbench_layered.read import deepseek, gated, grouped, mamba, vision
from inferbench_layered.read.config import Config
from inferbench_layered.read.parts import Table, scattered

__all__ = ["read_layered"]

_OWN: Mapping[str, Callable[[Config], Table]] = {
    "deepseek_v32": deepseek.read_latent,
    "deepseek_v4": deepseek.read_v4,
    "falcon_h1": mamba.read_falcon,
    "gemma4_text": grouped.read_gemma4,
    "glm_moe_dsa": deepseek.read_latent,
    "granitemoehybrid": mamba.read_granite,
    "jamba": mamba.read_jamba,
    "kimi_linear": gated.read_kimi,
    "llama4_text": grouped.read_llama4,
    "mimo_v2_flash": grouped.read_mimo,
    "minimax_m2": grouped.read_minimax,
    "minimax_m3": grouped.read_minimax,
    "minimax_m3_vl_text": grouped.read_minimax,
    "nemotron-nas": mamba.read_nas,
    "nemotron_h": mamba.read_nemotron,
    "qwen3_5_moe_text": gated.read_qwen,
    "qwen3_5_text": gated.read_qwen,
    "qwen3_next": gated.read_qwen,
    "step3p5": grouped.read_step,
    "step3p7": grouped.read_step,
}
"""Model types that only this workload can say."""

_NORMED: Table = {"attention": {"qk_norm": "head"}}
_SHARED: Mapping[str, Table] = {
    "glm4_moe": {"experts": {"router_bias": True}},
    "gpt_oss": {
        "attention": {"attention_bias": True, "output_bias": True, "attention_sinks": True},
        "experts": {"router_bias": True, "expert_bias": True},
    },
    "llama": {},
    "mimo": {"attention": {"attention_bias": True}},
    "mistral": {},
    "mixtral": {},
    "qwen2": {"attention": {"attention_bias": True}},
    "qwen2_moe": {"attention": {"attention_bias": True}, "experts": {"shared_gate": True}},
    "qwen3": _NORMED,
    "qwen3_moe": _NORMED,
    "qwen3_vl_moe_text": _NORMED,
    "qwen3_vl_text": _NORMED,
}
"""Model types that the workloads of equal layers read where the layers are equal, and what each implies."""

_ALWAYS = ("glm4_moe", "mimo", "qwen3_vl_moe_text", "qwen3_vl_text")
_VISION: Mapping[str, Callable[[Config, float], Table]] = {
    "gemma4": vision.gemma_vision,
    "kimi_k25": vision.kimi_vision,
    "llama4": vision.llama_vision,
    "minimax_m3_vl": vision.minimax_vision,
    "mistral3": vision.pixtral_vision,
    "qwen2_5_vl": vision.qwen25_vision,
    "qwen3_5": vision.qwen_vision,
    "qwen3_5_moe": vision.qwen_vision,
    "qwen3_vl": vision.qwen_vision,
    "qwen3_vl_moe": vision.qwen_vision,
}


def read_layered(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the raw `[network]` table, or None where the file is not of a known family or all its layers are
    equal.

    Raises:
        InferBenchError: A known family, and a key that is missing, contradicts another or can't be
            represented.

    Example:
        >>> read_layered({"model_type": "llama"}) is None
        True
    """
    text = text_part(config)
    kind = family_of(text, {*_OWN, *_SHARED, "deepseek_v3"})
    pictures = (
        _VISION.get(str(config.get("model_type")))
        if isinstance(config.get("vision_config"), Mapping)
        else None
    )
    drafts = kind == "deepseek_v3" and text.get("num_nextn_predict_layers")
    if not kind or not (kind in _OWN or kind in _ALWAYS or pictures or drafts or _irregular(text)):
        return None
    where = "config.json: text_config" if text is not config and "text_config" in config else "config.json"
    read = Config(completed(text), where)
    if kind in _OWN:
        table = _OWN[kind](read)
    elif kind == "deepseek_v3":
        table = deepseek.read_latent(read)
    else:
        refuse_unread(text, ("attention_chunk_size",))
        table = grouped.read_grouped(read, _traits(kind, read))
    if pictures:
        table["vision"] = pictures(Config(config).table("vision_config"), table["hidden_size"])
    unread = unread_parts(config, ("vision_config",) if pictures else ())
    return {"type": "layered", **table, **stored(config, text), **unread}


def _traits(kind: str, config: Config) -> Table:
    traits = dict(_SHARED[kind])
    if kind == "glm4_moe" and config.flag("use_qk_norm"):
        traits["attention"] = {"qk_norm": "head"}
    return traits


def _irregular(text: Mapping[str, Any]) -> bool:
    """Whether the layers differ in a way that one in so many, or the first so many, does not say."""
    layers = text.get("num_hidden_layers")
    if not isinstance(layers, int) or layers < 1:
        return False
    kinds = text.get("layer_types")
    if isinstance(kinds, list) and text.get("use_sliding_window") is not False:
        if len(kinds) != layers or set(kinds) - {"full_attention", "sliding_attention"}:
            return True
        full = kinds.count("full_attention")
        if full and not any(layers // step == full for step in range(1, layers + 1)):
            return True
    elif text.get("use_sliding_window") and text.get("max_window_layers"):
        return True
    return _scattered(text, layers)


def _scattered(text: Mapping[str, Any], layers: int) -> bool:
    """Whether there are dense layers that `first_k_dense_replace` does not say."""
    experts = Config(text).count(
        "num_experts", "num_local_experts", "n_routed_experts", default=0.0, least=0.0
    )
    if experts <= 1:
        return False
    parts = scattered(Config(text), float(layers))
    return "dense" in parts and (parts != sorted(parts) or not text.get("first_k_dense_replace"))
