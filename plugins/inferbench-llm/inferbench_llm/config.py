"""Hugging Face `config.json` of dense decoder-only transformers, turned into our `[network]` table.

What a model type implies without saying so in its file (biases, norms, tied tables, default sizes) stands in
`TRAITS`; the source of each is the class of that name in the transformers library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import inferbench as ib
from inferbench_llm.architectures import family_of, text_part, unread_parts
from inferbench_llm.hf import completed
from inferbench_llm.quantization import stored

__all__ = ["TRAITS", "given", "is_mixture", "read_dense", "read_table", "refuse_unread"]

_ALL_BIASES = {"attention_bias": True, "output_bias": True, "mlp_bias": True}
_CLASSIC = {**_ALL_BIASES, "norm": "layer", "gated_mlp": False, "tie_word_embeddings": True}
_LLAMA = {"tie_word_embeddings": False}
_GEMMA2 = {"tie_word_embeddings": True, "norms_per_layer": 4, "sliding_window": 4096, "global_every": 2}
_GEMMA3 = {
    **_GEMMA2,
    "qk_norm": True,
    "global_every": 6,
    "vocab_size": 262208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 131072,
}

TRAITS: Mapping[str, Mapping[str, Any]] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "granite": _LLAMA,
    "phi3": _LLAMA,
    "qwen2": {**_LLAMA, "attention_bias": True},
    "qwen3": {**_LLAMA, "qk_norm": True},
    "gemma": {"tie_word_embeddings": True},
    "gemma2": _GEMMA2,
    "gemma3_text": _GEMMA3,
    "opt": {**_CLASSIC, "position_padding": 2},
    "bloom": {**_CLASSIC, "embedding_norm": True},
    "gpt2": {**_CLASSIC, "position_padding": 0},
    "gpt_neox": {**_CLASSIC, "tie_word_embeddings": False, "parallel_mlp": True},
    "gptj": {
        "norm": "layer",
        "norms_per_layer": 1,
        "gated_mlp": False,
        "mlp_bias": True,
        "parallel_mlp": True,
        "lm_head_bias": True,
        "tie_word_embeddings": False,
    },
    "phi": {
        **_CLASSIC,
        "tie_word_embeddings": False,
        "norms_per_layer": 1,
        "parallel_mlp": True,
        "lm_head_bias": True,
    },
    "starcoder2": _CLASSIC,
}
"""Model type to what it implies; a value the file gives wins."""

# Our key to the spellings found in files, first match taken.
_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "hidden_size": ("hidden_size", "n_embed", "n_embd"),
    "num_hidden_layers": ("num_hidden_layers", "n_layer"),
    "num_attention_heads": ("num_attention_heads", "n_head"),
    "num_key_value_heads": ("num_key_value_heads",),
    "head_dim": ("head_dim",),
    "intermediate_size": ("intermediate_size", "ffn_dim", "n_inner"),
    "vocab_size": ("vocab_size",),
    "max_position_embeddings": ("max_position_embeddings", "n_positions", "seq_length"),
    "tie_word_embeddings": ("tie_word_embeddings",),
    "attention_bias": ("attention_bias",),
    "mlp_bias": ("mlp_bias",),
    "sliding_window": ("sliding_window",),
    "global_every": ("sliding_window_pattern",),
}
_MIXTURE = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_NEEDED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
_FLAGS = ("tie_word_embeddings", "attention_bias", "mlp_bias")
# Counts that may be 0: there is no such thing in the network.
_NONE_OF = (
    "sliding_window",
    "global_every",
    "n_shared_experts",
    "first_k_dense_replace",
    "q_lora_rank",
    "kv_lora_rank",
    "shared_expert_intermediate_size",
    "max_position_embeddings",
)
# Keys that no reader may pass over: they change what a layer is, or which layers are alike.
_STRUCTURE = (
    "attn_type_list",
    "attention_chunk_size",
    "block_configs",
    "compress_ratios",
    "hybrid_layer_pattern",
    "hybrid_override_pattern",
    "index_topk",
    "kv_lora_rank",
    "layers_block_type",
    "linear_attn_config",
    "linear_num_key_heads",
    "mamba_d_state",
    "num_kv_shared_layers",
    "hidden_size_per_layer_input",
    "routed_expert_hidden_size",
    "moe_latent_size",
    "sparse_attention_config",
    "ssm_state_size",
)
_WHERE = "config.json"  # the core puts the real path here
_COMPLETE = "take the complete config.json that the network was published with"


def is_mixture(config: Mapping[str, Any]) -> bool:
    """Say whether a config describes routed experts."""
    return any(_many(config.get(key)) for key in _MIXTURE)


def _many(value: Any) -> bool:
    """More than one; what is no number is told of when it is read."""
    return value > 1 if isinstance(value, int | float) else value is not None


def read_dense(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the raw `[network]` table of a dense transformer, or None if it is not one that is known.

    Raises:
        InferBenchError: The model type is known and a key that it needs is missing.

    Example:
        >>> read_dense({"model_type": "mixtral"}) is None
        True
    """
    text = text_part(config)
    traits = TRAITS.get(family_of(text, TRAITS))
    # OPT-350M projects its embedding to another width, which no key of ours says.
    odd = "word_embed_proj_dim" in text and text["word_embed_proj_dim"] != text.get("hidden_size")
    if traits is None or is_mixture(text) or odd:
        return None
    refuse_unread(text)
    table = read_table(completed(text), traits)
    return {"type": "transformer", **table, **stored(config, text), **unread_parts(config)}


def refuse_unread(config: Mapping[str, Any], reads: Iterable[str] = ()) -> None:
    """Refuse keys that mean another structure than the one that a reader builds.

    Args:
        config: A text config.
        reads: Those of the keys that the reader understands.

    Raises:
        InferBenchError: Each such key, with its value.

    Example:
        >>> refuse_unread({"num_kv_shared_layers": 0, "kv_lora_rank": 512}, ["kv_lora_rank"])
    """
    known = set(reads)
    unread = [
        ib.Fault(
            f"{_WHERE}: {key}",
            f"{config[key]!r} is not read for model type '{config.get('model_type')}'",
            "leave it to another tool, or take it out if it means nothing",
        )
        for key in _STRUCTURE
        if key not in known and config.get(key) not in (None, False, 0, [], {}, "")
    ]
    if unread:
        raise ib.InferBenchError(unread)


def given(config: Mapping[str, Any], spellings: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the values that a config has for our keys, of each the first spelling that is not null.

    Raises:
        InferBenchError: Values that are no counts or flags, each with the key that the file spells.

    Example:
        >>> given({"n_layer": 12, "n_inner": None}, {"layers": ("layers", "n_layer"), "width": ("n_inner",)})
        {'layers': 12, 'width': None}
    """
    found: dict[str, Any] = {}
    faults = []
    for key, names in spellings.items():
        spelled = [name for name in names if name in config]
        if not spelled:
            continue
        name = next((name for name in spelled if config[name] is not None), spelled[0])
        found[key] = config[name]
        expected = _objection(key, config[name])
        if expected:
            faults.append(ib.Fault(f"{_WHERE}: {name}", f"{config[name]!r} is not {expected}", _COMPLETE))
    if faults:
        raise ib.InferBenchError(faults)
    return found


def _objection(key: str, value: Any) -> str:
    """What was expected instead of a value; empty if it will do."""
    if value is None:
        return ""
    if key in _FLAGS:
        return "" if isinstance(value, bool) else "true or false"
    least = 0 if key in _NONE_OF else 1
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
    return "" if whole and value >= least else f"a whole number of at least {least}"


def read_table(config: Mapping[str, Any], traits: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of `TransformerParams` that a config and its model type's traits give.

    Raises:
        InferBenchError: A key that is needed is missing, or a value is not what it should be.
    """
    found = given(config, _SPELLINGS)
    table = {**traits, **{key: value for key, value in found.items() if value is not None}}
    needed = (*_NEEDED, "max_position_embeddings") if "position_padding" in table else _NEEDED
    missing = [key for key in needed if key not in table]
    if missing:
        said = (
            f"missing; model type '{config.get('model_type')}' needs {'it' if len(missing) == 1 else 'them'}"
        )
        raise ib.InferBenchError.at(f"{_WHERE}: {', '.join(missing)}", said, _COMPLETE)
    if "sliding_window" in found and found["sliding_window"] is None:
        table.pop("sliding_window", None)
    width, heads = table["hidden_size"], table["num_attention_heads"]
    if width % heads and "head_dim" not in table:
        said = f"{heads:g} heads do not divide hidden_size {width:g}, and no head_dim is given"
        raise ib.InferBenchError.at(
            f"{_WHERE}: num_attention_heads", said, "add head_dim, or correct one of the two"
        )
    table.setdefault("num_key_value_heads", heads)
    table.setdefault("head_dim", width // heads)
    table.setdefault("intermediate_size", 4 * width)
    if "position_padding" in table:
        table["learned_positions"] = table["max_position_embeddings"] + table.pop("position_padding")
    if config.get("model_type") == "llama" and table.get("attention_bias"):
        table["output_bias"] = True
    return _windows(table, config)


def _windows(table: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Settle which layers have a window: `layer_types` where given, switched off where the file says so."""
    layers, kinds = int(table["num_hidden_layers"]), config.get("layer_types")
    if kinds is not None and not isinstance(kinds, list):
        said = f"{kinds!r} is not a list of the kinds of layers"
        raise ib.InferBenchError.at(f"{_WHERE}: layer_types", said, _COMPLETE)
    if kinds and table.get("sliding_window"):
        full = sum(kind == "full_attention" for kind in kinds)
        table["global_every"] = next((n for n in range(1, layers + 1) if layers // n == full), 0)
        if full == layers:
            table["sliding_window"] = 0
    if config.get("use_sliding_window") is False:
        table["sliding_window"] = 0
    if not table.get("sliding_window"):
        table.pop("sliding_window", None)
        table.pop("global_every", None)
    elif not table.get("global_every"):
        table.pop("global_every", None)
    return table
