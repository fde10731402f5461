"""Configs with Mamba: Nemotron-H and Nemotron 3, Granite 4, Falcon-H1, Jamba; and Nemotron-NAS's layers of
any shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inferbench_layered.read.config import Config, counted
from inferbench_layered.read.gated import by_kind, state_format
from inferbench_layered.read.parts import Table, dense_table, experts_table, feeds, head_dim, trunk

__all__ = ["read_falcon", "read_granite", "read_jamba", "read_nas", "read_nemotron"]

_LETTERS = {"M": "mamba", "-": "mlp", "*": "attention", "E": "moe"}
_WORDS = {
    "mamba": "mamba",
    "linear_attention": "mamba",
    "attention": "attention",
    "full_attention": "attention",
    "mlp": "mlp",
    "moe": "moe",
}


def _grouped(config: Config, **changes: Any) -> Table:
    heads = config.count("num_attention_heads")
    bias = config.flag("attention_bias")
    return {
        "num_attention_heads": heads,
        "num_key_value_heads": config.count("num_key_value_heads", default=heads),
        "head_dim": head_dim(config),
        "attention_bias": bias,
        "output_bias": bias,
        **changes,
    }


def read_nemotron(config: Config) -> Table:
    """Read Nemotron-H and Nemotron 3: every layer is one part alone, Mamba-2, attention, a dense part or
    experts.
    """
    letters = config.kinds("hybrid_override_pattern", 0, _LETTERS)
    words = config.kinds("layers_block_type", 0, _WORDS) or config.kinds("layer_types", 0, _WORDS)
    kinds = words or letters
    if kinds is None:
        config.refuse("hybrid_override_pattern", "missing; it says which layer is of which kind")
    said = config.count("num_hidden_layers", default=float(len(kinds)))
    if len(kinds) != said or (words and letters and words != letters):
        config.refuse(
            "num_hidden_layers, hybrid_override_pattern, layers_block_type",
            f"{len(kinds)} kinds of layers are listed for {said:g} layers"
            if len(kinds) != said
            else "the pattern and the list differ",
            "correct one of them: they contradict each other",
        )
    config.only({"sliding_window": [0], "mlp_hidden_act": ["relu2"], "use_bias": [False]})
    plain = {"gated": False, "bias": config.flag("mlp_bias")}
    blocks = {
        "attention": _grouped(config),
        "mamba": _mamba(config),
        "mlp": {"intermediate_size": config.count("intermediate_size"), **plain},
    }
    if "moe" in kinds:
        blocks["moe"] = _nemotron_experts(config)
    homes = {"attention": "attention", "mamba": "mamba", "mlp": "dense", "moe": "experts"}
    table = {**trunk(config, said), **by_kind(kinds, blocks, homes)}
    if config.count("num_nextn_predict_layers", default=0.0, least=0.0):
        letters = config.kinds("mtp_hybrid_override_pattern", 0, _LETTERS)
        mine = config.kinds("mtp_layers_block_type", 0, _WORDS) or letters or ["attention", "moe"]
        table["prediction"] = {"blocks": mine, "layers": config.count("num_nextn_predict_layers")}
    return table


def _mamba(config: Config) -> Table:
    return {
        "heads": config.count("mamba_num_heads"),
        "head_dim": config.count("mamba_head_dim"),
        "state_size": config.count("ssm_state_size"),
        "groups": config.count("n_groups", "mamba_n_groups", default=1.0),
        "conv_kernel": config.count("conv_kernel", "mamba_d_conv", default=4.0),
        "conv_bias": config.flag("use_conv_bias", True),
        "proj_bias": config.flag("mamba_proj_bias"),
        "state_format": state_format(config, "mamba_ssm_cache_dtype", "float32"),
    }


def _nemotron_experts(config: Config) -> Table:
    shared = config.count("moe_shared_expert_intermediate_size", default=0.0, least=0.0)
    return experts_table(
        config,
        1.0,
        gated=False,
        router_bias=True,
        shared_width=shared * config.count("n_shared_experts", default=1.0, least=0.0),
        latent_size=config.count("moe_latent_size", default=0.0, least=0.0),
    )


def read_granite(config: Config) -> Table:
    """Read Granite 4: Mamba-2 or attention in each layer, then experts and a shared part, or the shared part
    alone.
    """
    layers = config.count("num_hidden_layers")
    words = {
        "mamba": "mamba",
        "linear_attention": "mamba",
        "attention": "attention",
        "full_attention": "attention",
    }
    kinds = config.kinds("layer_types", layers, words) or config.kinds("layers_block_type", layers, words)
    if kinds is None:
        config.refuse("layer_types", "missing; it says which layer has Mamba and which attention")
    inner = config.count("mamba_expand", default=2.0) * config.count("hidden_size")
    heads = config.count("mamba_n_heads")
    width = inner / heads if config.text("mamba_d_head") in ("", "auto") else config.count("mamba_d_head")
    if width * heads != inner:
        config.refuse(
            "mamba_n_heads, mamba_d_head", f"{heads:g} heads of {width:g} are not {inner:g} channels"
        )
    mixers = {
        "attention": _grouped(config, output_bias=config.flag("attention_bias")),
        "mamba": {
            "heads": heads,
            "head_dim": width,
            "state_size": config.count("mamba_d_state"),
            "groups": config.count("mamba_n_groups", default=1.0),
            "conv_kernel": config.count("mamba_d_conv", default=4.0),
            "conv_bias": config.flag("mamba_conv_bias", True),
            "proj_bias": config.flag("mamba_proj_bias"),
        },
    }
    table = {**trunk(config, layers), **by_kind(kinds, mixers, {"attention": "attention", "mamba": "mamba"})}
    if config.count("num_local_experts", default=0.0, least=0.0):
        experts = experts_table(config, layers, moe_intermediate_size=config.count("intermediate_size"))
        return {**table, "experts": {"experts": experts}}
    return {**table, "dense": {"dense": dense_table(config, layers, "shared_intermediate_size")}}


def read_falcon(config: Config) -> Table:
    """Read Falcon-H1: attention and Mamba-2 side by side in every layer."""
    layers = config.count("num_hidden_layers")
    expanded = config.count("mamba_expand", default=2.0) * config.count("hidden_size")
    inner, heads = config.count("mamba_d_ssm", default=expanded), config.count("mamba_n_heads")
    if inner % heads:
        config.refuse("mamba_n_heads", f"{heads:g} heads do not divide mamba_d_ssm {inner:g}")
    mamba = {
        "layers": layers,
        "norms": 0.0,
        "heads": heads,
        "head_dim": inner / heads,
        "state_size": config.count("mamba_d_state"),
        "groups": config.count("mamba_n_groups", default=1.0),
        "conv_kernel": config.count("mamba_d_conv", default=4.0),
        "conv_bias": config.flag("mamba_conv_bias", True),
        "proj_bias": config.flag("mamba_proj_bias") or config.flag("projectors_bias"),
        "gated_norm": config.flag("mamba_rms_norm"),
    }
    attention = {"layers": layers, **_grouped(config)}
    return {
        **trunk(config, layers),
        "attention": {"attention": attention},
        "mamba": {"mamba": mamba},
        "dense": {"dense": dense_table(config, layers)},
    }


def read_jamba(config: Config) -> Table:
    """Read Jamba: Mamba-1 in most layers, attention in one of a period, experts in one of another period."""
    layers = int(config.count("num_hidden_layers"))

    def places(what: str, yes: str, no: str) -> list[str]:
        period = int(config.count(f"{what}_layer_period"))
        offset = int(config.count(f"{what}_layer_offset", least=0.0))
        if offset >= period:
            config.refuse(f"{what}_layer_offset", f"{offset} is not below {what}_layer_period, {period}")
        return [yes if i % period == offset else no for i in range(layers)]

    kinds = places("attn", "attention", "mamba")
    parts = places("expert", "experts", "dense")
    if config.count("num_experts") == 1:
        parts = ["dense"] * layers
    hidden = config.count("hidden_size")
    rank = hidden / 16 if config.text("mamba_dt_rank") in ("", "auto") else config.count("mamba_dt_rank")
    mixers = {
        "attention": _grouped(config),
        "mamba": {
            "channels": config.count("mamba_expand", default=2.0) * hidden,
            "state_size": config.count("mamba_d_state", default=16.0),
            "step_rank": rank,
            "step_norms": True,
            "conv_kernel": config.count("mamba_d_conv", default=4.0),
            "conv_bias": config.flag("mamba_conv_bias", True),
            "proj_bias": config.flag("mamba_proj_bias"),
        },
    }
    table = {
        **trunk(config, float(layers)),
        **by_kind(kinds, mixers, {"attention": "attention", "mamba": "scan"}),
    }
    experts = experts_table(config, 1.0, moe_intermediate_size=config.count("intermediate_size"))
    return table | feeds(config, parts, dense_table(config, 1.0), experts)


def read_nas(config: Config) -> Table:
    """Read Nemotron-NAS: each layer has attention of its own grouping or none, and a dense part of its own
    width or none.
    """
    layers = config.count("num_hidden_layers")
    blocks = config.values.get("block_configs")
    if (
        not isinstance(blocks, list)
        or len(blocks) != layers
        or not all(isinstance(b, Mapping) for b in blocks)
    ):
        config.refuse("block_configs", f"not a list of {layers:g} tables, one per layer")
    heads, width = config.count("num_attention_heads"), head_dim(config)
    table: Table = {**trunk(config, layers), "attention": {}, "dense": {}}
    found = [
        _nas_layer(Config(block, f"config.json: block_configs.{i}"), config) for i, block in enumerate(blocks)
    ]
    for (group, window), count in counted([one[0] for one in found], [one[1] for one in found]).items():
        if group == "none":
            continue
        name = f"attention-{float(heads) / float(group):g}" + (f"-{window}" if float(window) else "")
        table["attention"][name] = {
            "layers": count,
            "num_attention_heads": heads,
            "num_key_value_heads": heads / float(group),
            "head_dim": width,
            "window": float(window),
        }
    for (inner,), count in counted([one[2] for one in found]).items():
        if inner != "none":
            table["dense"][f"dense-{inner}"] = {"layers": count, "intermediate_size": float(inner)}
    return table


def _nas_layer(block: Config, config: Config) -> tuple[str, str, str]:
    """Return group, window and inner width of a layer, as words; `none` where it has no such part."""
    attention, feed = block.table("attention"), block.table("ffn")
    for part in (attention, feed):
        part.only({"replace_with_linear": [False], "sparsify": [[], ""]})
    attention.only({"num_sink_tokens": [0], "unshifted_sink": [False]})
    group = "none" if attention.flag("no_op") else f"{attention.count('n_heads_in_group'):g}"
    window = f"{attention.count('window_length', default=0.0, least=0.0):g}"
    if feed.flag("no_op"):
        return group, window, "none"
    factor = feed.values.get("ffn_mult")
    if isinstance(factor, bool) or not isinstance(factor, int | float):
        feed.refuse("ffn_mult", f"{factor!r} is not a number")
    # Rounded up to a multiple of 256, as DeciLM does.
    inner = int(2 * factor * config.count("hidden_size") / 3)
    return group, window, f"{-(-inner // 256) * 256}"
