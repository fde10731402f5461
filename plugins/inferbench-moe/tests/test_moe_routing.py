"""Distinct experts against draws, and configs against published counts."""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_moe import (
    MixtureOfExperts,
    MoeOptions,
    MoeParams,
    distinct_experts,
    distinct_parts,
    inclusion,
)

import inferbench as ib

MIXTRAL = {
    "model_type": "mixtral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
    "sliding_window": None,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 32768,
}
QWEN2 = {
    "model_type": "qwen2_moe",
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "vocab_size": 151936,
    "use_sliding_window": False,
    "sliding_window": 32768,
    "num_experts": 60,
    "num_experts_per_tok": 4,
    "moe_intermediate_size": 1408,
    "shared_expert_intermediate_size": 5632,
    "decoder_sparse_step": 1,
}
QWEN3 = {
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "vocab_size": 151936,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 768,
    "mlp_only_layers": [],
}
LITE = {
    "model_type": "deepseek_v2",
    "hidden_size": 2048,
    "intermediate_size": 10944,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "vocab_size": 102400,
    "q_lora_rank": None,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "n_routed_experts": 64,
    "num_experts_per_tok": 6,
    "moe_intermediate_size": 1408,
    "n_shared_experts": 2,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
}
OSS = {
    "model_type": "gpt_oss",
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_hidden_layers": 24,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 201088,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
    "num_local_experts": 32,
    "num_experts_per_tok": 4,
    "quantization_config": {"quant_method": "mxfp4"},
}


@pytest.mark.parametrize(("tokens", "expected"), [(1.0, 2.0), (2.0, 3.5), (3.0, 4.625), (4.0, 5.46875)])
def test_mixtral_by_hand(tokens, expected):
    """8 (1 - 0.75^B), the powers written out."""
    assert distinct_experts(8.0, 2.0, tokens) == expected


def test_one_token_touches_what_it_chooses():
    for exponent in (0.0, 0.5, 1.2, 3.0):
        assert distinct_experts(128.0, 8.0, 1.0, exponent) == pytest.approx(8.0, rel=1e-12)


def draws(probabilities, tokens, rng):
    """Mean of distinct experts over many steps; a token's experts by systematic sampling, all distinct."""
    edges, found = np.cumsum(probabilities), []
    chosen = round(float(edges[-1]))
    for _ in range(2000):
        ticks = rng.random((tokens, 1)) + np.arange(chosen)
        found.append(len(np.unique(np.searchsorted(edges, ticks - 1e-12))))
    return np.mean(found)


@pytest.mark.parametrize("exponent", [0.0, 0.8, 1.5])
@pytest.mark.parametrize("tokens", [2, 8, 32])
def test_distinct_experts_against_draws(exponent, tokens):
    probabilities = inclusion(16, 4, exponent)
    mean = draws(probabilities, tokens, np.random.default_rng(7))
    assert distinct_experts(16.0, 4.0, float(tokens), exponent) == pytest.approx(mean, rel=0.01)


def test_popularity_lowers_the_number_of_distinct_experts():
    counts = [distinct_experts(128.0, 8.0, 16.0, s) for s in (0.0, 0.5, 1.0, 2.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] >= 8.0


def test_probabilities_are_capped_and_add_up():
    for exponent in (0.0, 1.0, 4.0):
        chances = inclusion(64, 6, exponent)
        assert sum(chances) == pytest.approx(6.0, rel=1e-12)
        assert max(chances) <= 1.0
        assert list(chances) == sorted(chances, reverse=True)
    assert inclusion(4, 4, 2.0) == (1.0, 1.0, 1.0, 1.0)


def build(config):
    table = dict(MixtureOfExperts().read_config(config) or {})
    assert table.pop("type") == "moe"
    stored = {key: table.pop(key) for key in ("precision", "formats") if key in table}
    return ib.Network(name="n", title="n", type="moe", params=MoeParams(**table), **stored)


@pytest.mark.parametrize(
    ("config", "published"),
    [
        (MIXTRAL, 46_702_792_704),  # safetensors count of Mixtral-8x7B-v0.1
        (QWEN2, 14_315_784_192),  # of Qwen1.5-MoE-A2.7B
        (QWEN3, 30_532_122_624),  # of Qwen3-30B-A3B
        (LITE, 15_706_484_224),  # of DeepSeek-V2-Lite
        (OSS, 20_914_757_184),  # of gpt-oss-20b, MXFP4 counted as elements
    ],
    ids=lambda value: value.get("model_type") if isinstance(value, dict) else "",
)
def test_parameter_counts_of_configs(config, published):
    at = ib.Grid.of({"batch": [1.0], "context": [1.0]}, ["bf16"]).at
    ops = MixtureOfExperts().graph(build(config), at, "decode", MoeOptions())
    assert float(np.squeeze(sum(op.parameters * op.instances for op in ops))) == published


def test_gpt_oss_config_has_windows_and_mxfp4():
    params = build(OSS).params
    assert (params.sliding_window, params.global_layers, params.expert_format) == (128, 12.0, "mxfp4")


def test_what_is_not_ours_is_left_to_others():
    read = MixtureOfExperts().read_config
    assert read({"model_type": "llama", "hidden_size": 4096}) is None
    assert read({**QWEN3, "mlp_only_layers": [3]}) is None
    assert read({**QWEN2, "decoder_sparse_step": 2}) is None
    assert read({**QWEN3, "num_experts": 0}) is None


@pytest.mark.parametrize("experts", ["eight", 8.5, [8]])
def test_experts_are_counted_in_whole_numbers(experts):
    with pytest.raises(
        ib.InferBenchError, match=r"config\.json: num_local_experts: .* is not a whole number"
    ):
        MixtureOfExperts().read_config({**MIXTRAL, "num_local_experts": experts})


@pytest.mark.parametrize(
    ("parts", "experts", "chosen", "groups", "allowed"),
    [
        (8, 64, 4, 1, 1),
        (64, 64, 4, 1, 1),
        (32, 256, 8, 8, 4),  # DeepSeek-V3 on 32 chips: those of four of eight groups
        (8, 256, 8, 8, 4),
        (4, 256, 8, 8, 4),  # two groups to a node
        (2, 16, 3, 4, 2),
    ],
)
def test_parts_that_a_token_visits_agree_with_draws(parts, experts, chosen, groups, allowed):
    """20,000 tokens that choose groups, then experts in them, without replacement."""
    draw = np.random.default_rng(0)
    visited, of = 0, experts // groups
    for _ in range(20_000):
        open_groups = draw.choice(groups, allowed, replace=False)
        able = np.concatenate([np.arange(g * of, (g + 1) * of) for g in open_groups])
        visited += len(set((draw.choice(able, chosen, replace=False) * parts // experts).tolist()))
    expected = visited / 20_000
    assert distinct_parts(parts, experts, chosen, groups, allowed) == pytest.approx(expected, rel=0.01)


def test_limited_groups_never_visit_more_than_they_allow():
    for parts in (2, 3, 4, 6, 8, 9, 16, 18, 32, 72):
        free, limited = distinct_parts(parts, 256, 8), distinct_parts(parts, 256, 8, 8, 4)
        assert 1.0 <= limited <= free <= min(parts, 8)
        assert parts > 8 or limited <= 4


@pytest.mark.parametrize(
    ("option", "low", "high", "said"),
    [
        ("routing", 0.0, 10.0, "an exponent between 0 and 10"),
        ("imbalance", 1.0, 1000.0, "a ratio between 1 and 1000"),
        ("redundant", 0.0, 10_000.0, "a number between 0 and 10,000"),
    ],
)
def test_options_have_ends_that_are_within(option, low, high, said):
    for value in (low, high):
        assert getattr(MoeOptions(**{option: value}), option) == value
    for value in (low - 0.01, high * 1.01):
        with pytest.raises(ValueError, match=f"{option} is .*; {said} was expected"):
            MoeOptions(**{option: value})
