"""A key that a config leaves out has the value that it has in Hugging Face's configuration classes
(transformers, `configuration_*.py` of each model).
"""

from __future__ import annotations

from typing import Any

import pytest
from inferbench_layered.read import vision
from inferbench_layered.read.config import Config

TRUNK: dict[str, Any] = {
    "hidden_size": 256,
    "num_hidden_layers": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 512,
    "vocab_size": 1000,
    "tie_word_embeddings": False,
}
EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2}
LINEAR = {
    "linear_num_key_heads": 4,
    "linear_num_value_heads": 8,
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
}
PERIODS = {
    "attn_layer_period": 4,
    "attn_layer_offset": 1,
    "expert_layer_period": 2,
    "expert_layer_offset": 1,
}
MAMBA = {"mamba_n_heads": 16, "mamba_d_state": 64}
FAMILIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "granitemoehybrid": (
        {**MAMBA, "layer_types": ["mamba"] * 6 + ["attention"] * 2, "shared_intermediate_size": 128},
        {"mamba_expand": 2, "mamba_n_groups": 1, "mamba_d_conv": 4, "mamba_conv_bias": True},
    ),
    "falcon_h1": (
        MAMBA,
        {"mamba_expand": 2, "mamba_n_groups": 1, "mamba_d_conv": 4, "mamba_conv_bias": True},
    ),
    "jamba": (
        {**EXPERTS, **PERIODS},
        {"mamba_expand": 2, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_dt_rank": "auto"},
    ),
    "qwen3_next": (
        {**LINEAR, **EXPERTS, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 64},
        {
            "head_dim": 256,
            "linear_conv_kernel_dim": 4,
            "full_attention_interval": 4,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
        },
    ),
    "llama4_text": (
        {**EXPERTS, "intermediate_size_mlp": 1024, "interleave_moe_layer_step": 1, "head_dim": 64},
        {"attention_chunk_size": 8192, "no_rope_layer_interval": 4, "use_qk_norm": True},
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_s_missing_keys_have_their_published_defaults(read, family):
    more, defaults = FAMILIES[family]
    config = {"model_type": family, **TRUNK, **more}
    bare = read(config).network.params
    assert read(config, **defaults).network.params == bare
    for key in defaults:
        assert read(config, **{**defaults, key: None}).network.params == bare


TOWER = {
    "depth": 4,
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "num_heads": 4,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "patch_size": 16,
}
READERS: dict[Any, tuple[dict[str, Any], dict[str, Any]]] = {
    vision.qwen_vision: ({"spatial_merge_size": 2}, {"in_channels": 3, "temporal_patch_size": 2}),
    vision.qwen25_vision: (
        {},
        {"in_channels": 3, "temporal_patch_size": 2, "spatial_merge_size": 2, "window_size": 112},
    ),
    vision.pixtral_vision: ({}, {"num_channels": 3}),
    vision.minimax_vision: ({}, {"spatial_merge_size": 2, "temporal_patch_size": 2}),
    vision.gemma_vision: ({}, {"pooling_kernel_size": 3, "default_output_length": 280}),
}


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_an_encoder_s_missing_keys_have_their_published_defaults(reader):
    more, defaults = READERS[reader]
    bare = reader(Config({**TOWER, **more}), 256.0)
    assert reader(Config({**TOWER, **more, **defaults}), 256.0) == bare
    for key, value in defaults.items():  # and the key counts
        assert reader(Config({**TOWER, **more, **defaults, key: 2 * value}), 256.0) != bare


def test_a_gate_behind_latent_attention_is_one_more_product(read):
    """Two of eight layers attend: 4 heads of 64 values each, from a width of 256."""
    config = {
        "model_type": "kimi_linear",
        **TRUNK,
        "kv_lora_rank": 64,
        "qk_nope_head_dim": 64,
        "qk_rope_head_dim": 32,
        "v_head_dim": 64,
        "moe_intermediate_size": 64,
        "num_experts": 4,
        "num_experts_per_token": 2,
        "num_shared_experts": 1,
        "first_k_dense_replace": 1,
        "linear_attn_config": {
            "full_attn_layers": [4, 8],
            "kda_layers": [1, 2, 3, 5, 6, 7],
            "head_dim": 32,
            "num_heads": 4,
        },
    }
    plain, gated = read(config), read(config, mla_use_output_gate=True)
    assert gated.parameters() - plain.parameters() == 2 * 256 * 4 * 64
    one = {"batch": [1.0], "context": [16.0]}
    assert gated.flops("decode", **one) - plain.flops("decode", **one) >= 2 * 2 * 256 * 4 * 64
    assert (
        read(
            config, linear_attn_config={**config["linear_attn_config"], "short_conv_kernel_size": 4}
        ).network.params
        == plain.network.params
    )
