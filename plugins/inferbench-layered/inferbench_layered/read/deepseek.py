"""Configs of DeepSeek V3, V3.2 and V4, and of networks of those forms: GLM-5, Kimi K2, Mistral Large 3."""

from __future__ import annotations

from inferbench_layered.read.config import Config
from inferbench_layered.read.parts import (
    Table,
    dense_table,
    experts_table,
    feeds,
    latent_table,
    scattered,
    trunk,
)

__all__ = ["read_latent", "read_v4"]

_V4_KINDS = {
    "sliding_attention": "window",
    "compressed_sparse_attention": "chosen",
    "heavily_compressed_attention": "pooled",
}
_V4_RATIOS = {0: "window", 4: "chosen", 128: "pooled"}


def read_latent(config: Config) -> Table:
    """Read multi-head latent attention with experts, and with an indexer where the file has one."""
    layers = config.count("num_hidden_layers")
    config.only({"attention_bias": [False], "mlp_bias": [False]})
    latent = latent_table(config, layers)
    if config.has("index_topk"):
        latent["indexer"] = _indexer(config, layers)
    kinds = scattered(config, layers)
    experts = experts_table(config, layers, router_bias=True, active_counts="no input embedding")
    dense = dense_table(config, layers) if "dense" in kinds else {}
    table = {**trunk(config, layers), "latent": {"attention": latent}}
    table |= feeds(config, kinds, dense, experts)
    return table | prediction(config, ["attention", "experts"], kinds)


def prediction(config: Config, blocks: list[str], kinds: list[str]) -> Table:
    """Return the multi-token-prediction module, where the file has one and its blocks are there."""
    count = config.count("num_nextn_predict_layers", "mtp_num_hidden_layers", default=0.0, least=0.0)
    present = [block for block in blocks if block != "experts" or "experts" in kinds]
    return {"prediction": {"blocks": present, "layers": count}} if count else {}


def _indexer(config: Config, layers: float) -> Table:
    """Read the lightning indexer; layers of type `shared` reuse the choice of one before (GLM-5.2)."""
    kinds = config.kinds("indexer_types", layers, {"full": "full", "shared": "shared"})
    own = float(sum(kind == "full" for kind in kinds)) if kinds else layers
    if kinds is None and config.count("index_topk_freq", default=1.0) > 1:
        config.refuse("index_topk_freq", "given without indexer_types, which says the layers that score")
    width = config.count("index_head_dim")
    return {
        "num_heads": config.count("index_n_heads"),
        "head_dim": width,
        "top_k": config.count("index_topk"),
        "layers": own if own < layers else 0.0,
        "norms": 2.0 * width,
        "key_bytes": width + 4.0,
    }


def read_v4(config: Config) -> Table:
    """Read DeepSeek V4: windows, pooled positions, chosen pooled positions; streams; experts in every
    layer.
    """
    layers = config.count("num_hidden_layers")
    config.only(
        {"attention_bias": [False], "mlp_bias": [False], "num_key_value_heads": [1], "n_shared_experts": [1]}
    )
    kinds = config.kinds("layer_types", layers, _V4_KINDS) or _ratios(config, layers)
    shape = {
        "num_attention_heads": config.count("num_attention_heads"),
        "head_dim": config.count("head_dim"),
        "q_lora_rank": config.count("q_lora_rank"),
        "o_groups": config.count("o_groups"),
        "o_lora_rank": config.count("o_lora_rank"),
        "window": config.count("sliding_window"),
    }
    indexer = {
        "num_heads": config.count("index_n_heads"),
        "head_dim": config.count("index_head_dim"),
        "top_k": config.count("index_topk"),
        "key_bytes": config.count("index_head_dim") + 4.0,
    }
    forms: dict[str, Table] = {
        "window": {},
        "pooled": {"ratio": 128.0},
        "chosen": {"ratio": 4.0, "overlap": True, "indexer": indexer},
    }
    blocks = {
        kind: {"layers": float(kinds.count(kind)), **shape, **form}
        for kind, form in forms.items()
        if kind in kinds
    }
    formats = {"fp4": "mxfp4"}
    stored = formats.get(config.text("expert_dtype"), "")
    experts = experts_table(
        config, layers, router_bias=True, active_counts="no input embedding", expert_format=stored
    )
    table = {**trunk(config, layers), "compressed": blocks, "experts": {"experts": experts}}
    return {**table, "streams": config.count("hc_mult", default=4.0)}


def _ratios(config: Config, layers: float) -> list[str]:
    """Read `compress_ratios`, which may go on with the ratios of the prediction module's layers."""
    given = config.values.get("compress_ratios")
    if not isinstance(given, list):
        config.refuse("compress_ratios", f"{given!r} is not a list with a ratio for each layer")
    extra = config.count("num_nextn_predict_layers", default=0.0, least=0.0)
    if len(given) not in (layers, layers + extra):
        config.refuse(
            "compress_ratios",
            f"{len(given)} entries; one for each of the {layers:g} layers was expected",
            "correct the list or num_hidden_layers: they contradict each other",
        )
    cut = Config({"compress_ratios": given[: int(layers)]}, config.where)
    return cut.kinds("compress_ratios", layers, _V4_RATIOS) or []
