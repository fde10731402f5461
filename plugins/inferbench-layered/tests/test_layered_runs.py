"""New operators on every architecture: the identity of utilization, capacity, what a bound must satisfy."""

from __future__ import annotations

import json

import numpy as np
import pytest

import inferbench as ib

pytest.importorskip("inferbench_specs", reason="the package of specs is not installed")

CHIPS = {
    "b200": "inferbench_simt",
    "tpu-v5p": "inferbench_systolic",
    "groq-lpu": "inferbench_dataflow",
    "sn40l": "inferbench_cgra",
    "corsair": "inferbench_imc",
}
NETWORKS = ("nemotron3-nano-30b", "qwen3-next-80b", "deepseek-v4-flash", "glm-5")


def one(value: object) -> float:
    return float(np.squeeze(np.asarray(value)))


@pytest.mark.parametrize("chip", sorted(CHIPS))
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("phase", ["decode", "prefill"])
def test_utilization_is_the_product_of_its_factors(chip, network, phase):
    pytest.importorskip(CHIPS[chip])
    precision = "int8" if chip == "corsair" else "bf16"
    run = ib.run(
        f"8x{chip}:tp8",
        f"{network}/{phase}",
        precision=precision,
        batch=2,
        context=4096,
        ignore_capacity=True,
    )
    factors = [one(run[name]) for name in ("algorithm", "hardware", "software")]
    assert one(run["utilization"]) == pytest.approx(np.prod(factors), rel=1e-9)
    assert all(0 < factor <= 1 + 1e-9 for factor in factors)


def test_a_decode_step_is_at_least_its_bytes_over_the_bandwidth():
    run = ib.run("8xh200:tp8", "qwen3.5-397b/decode", precision="fp8", batch=64, context=2**17)
    # 64 sequences of 2^17 positions at 15,360 B, and states read and written.
    moved = 64 * (2**17 * 15360 + 2 * 45 * (64 * 128 * 128 * 4 + 3 * 12288))
    assert one(run["tpot_s"]) > moved / (8 * 4.8e12)


def test_states_take_room_and_contexts_hardly_any():
    def largest(context: float) -> float:
        run = ib.run(
            "1xh200@ideal", "nemotron3-nano-30b/decode", precision="fp8", batch="max", context=context
        )
        return one(run.batch)

    short, long = largest(2.0**12), largest(2.0**16)
    # 49.1 MB of state; 3,072 B of fp8 cache per position: a factor of 16 in context costs one of about 4.1.
    assert short / long == pytest.approx((49.1 + 3.072 * 65.536) / (49.1 + 3.072 * 4.096), rel=0.02)


DEEPSEEK = {
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "n_group": 8,
    "topk_group": 4,
    "first_k_dense_replace": 3,
    "vocab_size": 129280,
    "tie_word_embeddings": False,
}


@pytest.mark.parametrize("layout", ["8xh200:tp8", "8xh200:dp8ep8", "8xh200:cp8ep8", "16xh200:tp2dp8ep16"])
@pytest.mark.parametrize(("phase", "metric"), [("decode", "tpot_s"), ("prefill", "ttft_s")])
def test_the_same_network_takes_the_same_time_as_equal_layers(tmp_path, layout, phase, metric):
    found = {}
    for drafts in (0, 1):
        path = tmp_path / f"{drafts}.json"
        path.write_text(json.dumps({**DEEPSEEK, "num_nextn_predict_layers": drafts}))
        found[ib.installed().network(str(path)).type] = ib.run(
            layout, f"{path}/{phase}", precision="fp8", batch=[8, 64], context=4096
        )
    mixture, layered = found["moe"], found["layered"]
    assert layered[metric] == pytest.approx(mixture[metric], rel=1e-9)
    assert np.squeeze(layered.needed) == pytest.approx(np.squeeze(mixture.needed), rel=1e-9)


def test_a_config_with_a_prediction_module_drafts_with_it(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**DEEPSEEK, "num_nextn_predict_layers": 1}))
    at = {"precision": "fp8", "batch": 8, "context": 4096}
    plain = ib.run("8xh200:tp8", f"{path}/decode", **at)
    drafted = ib.run(
        "8xh200:tp8", f"{path}/decode", options={"mtp": True, "draft": 1, "acceptance": 0.85}, **at
    )
    # One more layer over 8 chips: experts, shared part, router; attention's heads. On each of them whole:
    # the projections to latents, the product that joins hidden state and embedding, the cache of 8 sequences
    # (norms, and positions drafted in other layers, are the rest).
    experts = 257 * 3 * 7168 * 2048 + 256 * 7168 * 8
    heads = 1536 * 128 * 192 + 512 * 128 * 256 + 128 * 128 * 7168
    whole = 7168 * (1536 + 576) + 2 * 7168 * 7168 + 8 * 4096 * 576
    grown = one(drafted.needed) - one(plain.needed)
    assert grown * 8 == pytest.approx(experts + heads + 8 * whole, rel=1e-3)
    assert one(drafted["tpot_s"]) < one(plain["tpot_s"])
