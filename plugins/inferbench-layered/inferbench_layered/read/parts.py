"""Tables of blocks that families share: latent attention, indexers, experts, plain attention, the trunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inferbench_layered.read.config import Config

__all__ = ["dense_table", "experts_table", "feeds", "head_dim", "latent_table", "scattered", "trunk"]

Table = dict[str, Any]


def trunk(config: Config, layers: float, *, tied: bool = False) -> Table:
    """Return the keys of the network itself; `tied` is the family's default."""
    return {
        "hidden_size": config.count("hidden_size"),
        "num_hidden_layers": layers,
        "vocab_size": config.count("vocab_size"),
        "tie_word_embeddings": config.flag("tie_word_embeddings", tied),
        "max_position_embeddings": config.count(
            "max_position_embeddings", "model_max_length", default=0.0, least=0.0
        ),
    }


def head_dim(config: Config) -> float:
    """Return the width of a head: given, or the network's over its heads."""
    width, heads = config.count("hidden_size"), config.count("num_attention_heads")
    if not config.has("head_dim") and not config.has("attention_head_dim") and width % heads:
        config.refuse(
            "num_attention_heads",
            f"{heads:g} heads do not divide hidden_size {width:g}, and no head_dim is given",
            "add head_dim, or correct one of the two",
        )
    return config.count("head_dim", "attention_head_dim", default=width // heads)


def latent_table(config: Config, layers: float) -> Table:
    """Return multi-head latent attention, spelled as by DeepSeek."""
    return {
        "layers": layers,
        "num_attention_heads": config.count("num_attention_heads"),
        "q_lora_rank": config.count("q_lora_rank", default=0.0, least=0.0),
        "kv_lora_rank": config.count("kv_lora_rank"),
        "qk_nope_head_dim": config.count("qk_nope_head_dim"),
        "qk_rope_head_dim": config.count("qk_rope_head_dim", least=0.0),
        "v_head_dim": config.count("v_head_dim"),
    }


def dense_table(config: Config, layers: float, *keys: str) -> Table:
    """Return a dense feed-forward part; its width stands under the first of `keys` that is there."""
    width = config.count(*(keys or ("intermediate_size",)))
    return {"layers": layers, "intermediate_size": width, "bias": config.flag("mlp_bias")}


def experts_table(config: Config, layers: float, **changes: Any) -> Table:
    """Return routed experts and shared ones, spelled in any of the usual ways."""
    width = config.count("moe_intermediate_size", "intermediate_size")
    shared = config.count("n_shared_experts", "num_shared_experts", default=0.0, least=0.0) * width
    given = config.count(
        "shared_expert_intermediate_size",
        "shared_intermediate_size",
        "share_expert_dim",
        default=shared,
        least=0.0,
    )
    groups = config.count("n_group", default=1.0)
    if groups > 1.0:
        changes |= {"n_group": groups, "topk_group": config.count("topk_group", default=groups)}
    return {
        "layers": layers,
        "num_experts": config.count("num_experts", "num_local_experts", "n_routed_experts"),
        "num_experts_per_tok": config.count("num_experts_per_tok", "num_experts_per_token", "top_k_experts"),
        "moe_intermediate_size": width,
        "shared_width": given,
        **changes,
    }


def scattered(config: Config, layers: float) -> list[str]:
    """Say of each layer whether its feed-forward part is `dense` or `experts`, by whatever key the file uses.

    Raises:
        InferBenchError: Keys that contradict each other, or values that can't be represented.
    """
    count = int(layers)
    said: dict[str, list[str]] = {}
    words = {"dense": "dense", "sparse": "experts", "moe": "experts", "hash_moe": "experts"}
    listed = config.kinds("mlp_layer_types", layers, words)
    if listed:
        said["mlp_layer_types"] = listed
    freq = config.values.get("moe_layer_freq")
    first = int(config.count("first_k_dense_replace", default=0.0, least=0.0))
    if isinstance(freq, list):
        said["moe_layer_freq"] = config.kinds("moe_layer_freq", layers, {0: "dense", 1: "experts"}) or []
    elif first or config.has("first_k_dense_replace"):
        step = int(config.count("moe_layer_freq", default=1.0))
        said["first_k_dense_replace"] = [
            "experts" if i >= first and i % step == 0 else "dense" for i in range(count)
        ]
    if config.has("decoder_sparse_step") or config.values.get("mlp_only_layers"):
        said["mlp_only_layers, decoder_sparse_step"] = _qwen(config, count)
    if config.has("interleave_moe_layer_step") or config.has("moe_layers"):
        said["interleave_moe_layer_step"] = _llama(config, count)
    for (key, one), (other, two) in zip(list(said.items()), list(said.items())[1:], strict=False):
        if one != two:
            config.refuse(
                f"{key}, {other}",
                "they name different layers as dense",
                "correct one of the two: they contradict each other",
            )
    return next(iter(said.values()), ["experts"] * count)


def _qwen(config: Config, layers: int) -> list[str]:
    """Layers in `mlp_only_layers` are dense, and of the others one in `decoder_sparse_step` has experts."""
    step = int(config.count("decoder_sparse_step", default=1.0))
    plain = config.values.get("mlp_only_layers") or []
    if not isinstance(plain, list) or not all(isinstance(i, int) and 0 <= i < layers for i in plain):
        config.refuse("mlp_only_layers", f"{plain!r} is not a list of layers from 0 to {layers - 1}")
    return ["experts" if i not in plain and (i + 1) % step == 0 else "dense" for i in range(layers)]


def _llama(config: Config, layers: int) -> list[str]:
    """One layer in `interleave_moe_layer_step` has experts, or those in `moe_layers`."""
    listed = config.values.get("moe_layers")
    if listed is not None:
        if not isinstance(listed, list) or not all(isinstance(i, int) and 0 <= i < layers for i in listed):
            config.refuse("moe_layers", f"{listed!r} is not a list of layers from 0 to {layers - 1}")
        return ["experts" if i in listed else "dense" for i in range(layers)]
    step = int(config.count("interleave_moe_layer_step"))
    return ["experts" if (i + 1) % step == 0 else "dense" for i in range(layers)]


def feeds(config: Config, kinds: Sequence[str], dense: Table, experts: Table) -> Table:
    """Return the tables `dense` and `experts` of the network, with the layers that a list gives each."""
    found: Table = {}
    for kind, table in (("dense", dense), ("experts", experts)):
        layers = float(sum(one == kind for one in kinds))
        if layers:
            found[kind] = {kind: {**table, "layers": layers}}
    return found
