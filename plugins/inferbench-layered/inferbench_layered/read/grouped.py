"""Configs of grouped attention in any pattern: Llama 4, Gemma 4, MiniMax, MiMo, Step, GLM-4, and irregular
Llamas and Qwens.
"""

from __future__ import annotations

from typing import Any

from inferbench_layered.read.config import Config, counted
from inferbench_layered.read.deepseek import prediction
from inferbench_layered.read.parts import Table, dense_table, experts_table, feeds, head_dim, scattered, trunk

__all__ = ["read_gemma4", "read_grouped", "read_llama4", "read_mimo", "read_minimax", "read_step"]

_KINDS = {"full_attention": "full", "sliding_attention": "local"}
_MTP_KEYS = ("num_nextn_predict_layers", "mtp_num_hidden_layers")


def _heads(config: Config, **changes: Any) -> Table:
    heads = config.count("num_attention_heads")
    return {
        "num_attention_heads": heads,
        "num_key_value_heads": config.count("num_key_value_heads", default=heads),
        "head_dim": head_dim(config),
        **changes,
    }


def _feeds(config: Config, layers: float, **changes: Any) -> tuple[Table, list[str]]:
    """Return the feed-forward tables and the kind of each layer."""
    many = config.count("num_experts", "num_local_experts", "n_routed_experts", default=0.0, least=0.0)
    parts = scattered(config, layers) if many > 1 else ["dense"] * int(layers)
    experts = experts_table(config, layers, **changes) if "experts" in parts else {}
    dense = dense_table(config, layers) if "dense" in parts else {}
    return feeds(config, parts, dense, experts), parts


def read_grouped(config: Config, traits: Table) -> Table:
    """Read a plain network whose layers form a pattern that the workloads of equal layers can't say.

    Args:
        config: The file.
        traits: What its family implies: biases, norms of queries and keys, sinks, router biases.
    """
    layers = config.count("num_hidden_layers")
    kinds = config.kinds("layer_types", layers, {**_KINDS, "chunked_attention": "chunked"}) or _windowed(
        config, int(layers)
    )
    shape = _heads(config, **traits.get("attention", {}))
    if config.has("attention_bias"):
        shape["attention_bias"] = config.flag("attention_bias")
    blocks: Table = {}
    for (kind,), count in counted(kinds).items():
        limit = {"local": ("window", "sliding_window"), "chunked": ("chunk", "attention_chunk_size")}.get(
            kind
        )
        blocks[kind] = {"layers": count, **shape, **({limit[0]: config.count(limit[1])} if limit else {})}
    found, parts = _feeds(config, layers, **traits.get("experts", {}))
    table = {**trunk(config, layers, tied=traits.get("tied", False)), "attention": blocks, **found}
    main = next(iter(blocks))
    return table | prediction(config, ["full" if "full" in blocks else main, parts[-1]], parts)


def _windowed(config: Config, layers: int) -> list[str]:
    """Say which layers have a window where no list does: those from `max_window_layers` on."""
    if not config.flag("use_sliding_window", config.has("sliding_window")) or not config.has(
        "sliding_window"
    ):
        return ["full"] * layers
    first = int(config.count("max_window_layers", default=0.0, least=0.0))
    return ["local" if i >= first else "full" for i in range(layers)]


def read_llama4(config: Config) -> Table:
    """Read Llama 4: chunks in three of four layers, experts in all or every second."""
    layers = config.count("num_hidden_layers")
    config.only({"attention_bias": [False]})
    words = {"full_attention": "full", "chunked_attention": "chunked"}
    kinds = config.kinds("layer_types", layers, words) or _without_rope(config, int(layers))
    shape = _heads(config)
    chunk = config.count("attention_chunk_size", default=8192.0)
    norm = "plain" if config.flag("use_qk_norm", True) else "none"
    forms: Table = {"full": shape, "chunked": {**shape, "chunk": chunk, "qk_norm": norm}}
    blocks = {kind: {"layers": count, **forms[kind]} for (kind,), count in counted(kinds).items()}
    parts = scattered(config, layers)
    width = config.count("intermediate_size")
    experts = experts_table(config, layers, moe_intermediate_size=width, shared_width=width)
    dense = dense_table(config, layers, "intermediate_size_mlp") if "dense" in parts else {}
    return {**trunk(config, layers), "attention": blocks, **feeds(config, parts, dense, experts)}


def _without_rope(config: Config, layers: int) -> list[str]:
    """Layers without rotation see everything: those listed with 0 in `no_rope_layers`, or every fourth."""
    listed = config.values.get("no_rope_layers")
    if listed:
        return config.kinds("no_rope_layers", layers, {0: "full", 1: "chunked"}) or []
    step = int(config.count("no_rope_layer_interval", default=4.0))
    return ["full" if (i + 1) % step == 0 else "chunked" for i in range(layers)]


def read_gemma4(config: Config) -> Table:
    """Read Gemma 4: windows and global layers with heads of their own; a dense part and perhaps experts
    beside it.
    """
    layers = config.count("num_hidden_layers")
    config.only(
        {
            "attention_bias": [False],
            "num_kv_shared_layers": [0],
            "hidden_size_per_layer_input": [0],
            "use_double_wide_mlp": [False],
        }
    )
    kinds = config.kinds("layer_types", layers, _KINDS)
    if kinds is None:
        kinds = ["full" if (i + 1) % 6 == 0 else "local" for i in range(int(layers))]
    groups = config.count("num_key_value_heads")
    local = _heads(config, qk_norm="head", norms=2.0, window=config.count("sliding_window"))
    alike = config.flag("attention_k_eq_v")
    full = _heads(
        config,
        qk_norm="head",
        norms=2.0,
        head_dim=config.count("global_head_dim", "head_dim"),
        keys_as_values=alike,
        num_key_value_heads=config.count("num_global_key_value_heads", default=groups) if alike else groups,
    )
    forms = {"local": local, "full": full}
    blocks = {kind: {"layers": count, **forms[kind]} for (kind,), count in counted(kinds).items()}
    table = {**trunk(config, layers, tied=True), "attention": blocks}
    table["dense"] = {"dense": {**dense_table(config, layers), "norms": 2.0}}
    if config.flag("enable_moe_block"):
        # Beside the dense part: norms of its result, of the experts' input and of their result.
        scales = config.count("hidden_size") + config.count("num_experts")
        experts = experts_table(config, layers, scales=scales, norms=3.0)
        table["experts"] = {"experts": experts}
    return table


def read_minimax(config: Config) -> Table:
    """Read MiniMax M2, and M3 with its choice of blocks of positions."""
    layers = config.count("num_hidden_layers")
    config.only({"attention_output_gate": [False]})
    kinds = config.values.get("attn_type_list")
    if isinstance(kinds, list) and set(kinds) != {1}:
        config.refuse("attn_type_list", "layers of lightning attention can't be represented")
    per = {"per_layer": "width", "per_head": "head"}
    norm = per.get(config.text("qk_norm_type", "per_layer"), "")
    if not norm:
        config.refuse("qk_norm_type", f"'{config.text('qk_norm_type')}' is none of {', '.join(per)}")
    shape = _heads(config, qk_norm=norm if config.flag("use_qk_norm", True) else "none")
    sparse = config.table("sparse_attention_config")
    chosen = ["full"] * int(layers)
    if sparse.flag("use_sparse_attention", sparse.has("sparse_topk_blocks")):
        chosen = sparse.kinds("sparse_attention_freq", layers, {0: "full", 1: "chosen"}) or chosen
    forms = {
        "full": shape,
        "chosen": {**shape, "indexer": _block_indexer(sparse) if "chosen" in chosen else {}},
    }
    blocks = {kind: {"layers": count, **forms[kind]} for (kind,), count in counted(chosen).items()}
    parts = scattered(config, layers)
    experts = experts_table(config, layers, router_bias=config.flag("use_routing_bias", True))
    dense = dense_table(config, layers, "dense_intermediate_size") if "dense" in parts else {}
    table = {**trunk(config, layers), "attention": blocks, **feeds(config, parts, dense, experts)}
    modules = config.count("num_mtp_modules", default=0.0, least=0.0)
    count = modules * config.count("mtp_transformer_layers", default=1.0)
    names = ["chosen" if "chosen" in blocks else "full", "experts"]
    return {**table, "prediction": {"blocks": names, "layers": count}} if count else table


def _block_indexer(sparse: Config) -> Table:
    sparse.only({"sparse_init_block": [0]})
    width = sparse.count("sparse_index_dim")
    return {
        "num_heads": sparse.count("sparse_num_index_heads"),
        "head_dim": width,
        "top_k": sparse.count("sparse_topk_blocks"),
        "block": sparse.count("sparse_block_size"),
        "weighted": False,
        "norms": 2.0 * width,
    }


def read_mimo(config: Config) -> Table:
    """Read MiMo V2: windows and global layers with heads of their own, values narrower than keys."""
    layers = config.count("num_hidden_layers")
    kinds = config.kinds("layer_types", layers, _KINDS)
    kinds = kinds or config.kinds("hybrid_layer_pattern", layers, {0: "full", 1: "local"})
    if kinds is None:
        config.refuse("hybrid_layer_pattern", "missing; it says which layers have a window")
    full = _heads(
        config,
        v_head_dim=config.count("v_head_dim"),
        attention_sinks=config.flag("add_full_attention_sink_bias"),
    )
    local = {
        "num_attention_heads": config.count("swa_num_attention_heads", "num_attention_heads"),
        "num_key_value_heads": config.count("swa_num_key_value_heads", "num_key_value_heads"),
        "head_dim": config.count("swa_head_dim", "head_dim"),
        "v_head_dim": config.count("swa_v_head_dim", "v_head_dim"),
        "window": config.count("sliding_window", "sliding_window_size"),
        "attention_sinks": config.flag("add_swa_attention_sink_bias", True),
    }
    forms = {"full": full, "local": local}
    blocks = {kind: {"layers": count, **forms[kind]} for (kind,), count in counted(kinds).items()}
    found, parts = _feeds(config, layers, router_bias=True)
    return {**trunk(config, layers), "attention": blocks, **found} | prediction(
        config, ["full", "experts"], parts
    )


def read_step(config: Config) -> Table:
    """Read Step 3.5 and 3.7 Flash: windows in three of four layers, a gate per head, experts but for the
    first layers.
    """
    layers = config.count("num_hidden_layers")
    kinds = config.kinds("layer_types", layers, _KINDS)
    if kinds is None:
        config.refuse("layer_types", "missing; it says which layers have a window")
    shape = _heads(config, qk_norm="head", output_gate="head")
    if config.has("num_attention_groups"):
        shape["num_key_value_heads"] = config.count("num_attention_groups")
    forms = {"full": shape, "local": {**shape, "window": config.count("sliding_window")}}
    other = config.table("attention_other_setting")
    if other.values:
        forms["local"] |= {
            "num_attention_heads": other.count("num_attention_heads"),
            "num_key_value_heads": other.count("num_attention_groups"),
        }
    blocks = {kind: {"layers": count, **forms[kind]} for (kind,), count in counted(kinds).items()}
    found, parts = _feeds(config, layers, router_bias=config.flag("use_moe_router_bias", True))
    return {**trunk(config, layers), "attention": blocks, **found} | prediction(
        config, ["full", "experts"], parts
    )
