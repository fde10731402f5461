"""Hugging Face configs, abridged to the keys that matter, against published parameter counts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from inferbench_llm import Options, Transformer, TransformerParams, read_dense

import inferbench as ib

LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
    "max_position_embeddings": 8192,
}
QWEN = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "sliding_window": 131072,
    "use_sliding_window": False,
}
OPT = {
    "model_type": "opt",
    "hidden_size": 768,
    "ffn_dim": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "vocab_size": 50272,
    "max_position_embeddings": 2048,
    "word_embed_proj_dim": 768,
}
BLOOM = {
    "model_type": "bloom",
    "n_embed": 1024,
    "n_layer": 24,
    "num_attention_heads": 16,
    "vocab_size": 250880,
}
NEOX = {
    "model_type": "gpt_neox",
    "hidden_size": 6144,
    "intermediate_size": 24576,
    "num_hidden_layers": 44,
    "num_attention_heads": 64,
    "vocab_size": 50432,
    "max_position_embeddings": 2048,
}
GPT2 = {
    "model_type": "gpt2",
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_inner": None,
    "n_positions": 1024,
    "vocab_size": 50257,
}
PHI2 = {
    "model_type": "phi",
    "hidden_size": 2560,
    "intermediate_size": 10240,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "vocab_size": 51200,
}
GPTJ = {"model_type": "gptj", "n_embd": 4096, "n_layer": 28, "n_head": 16, "vocab_size": 50400}
GEMMA3 = {
    "model_type": "gemma3",
    "text_config": {
        "model_type": "gemma3_text",
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_hidden_layers": 34,
        "sliding_window": 1024,
    },
}


def network(config):
    table = dict(Transformer().read_config(config) or {})
    assert table.pop("type") == "transformer"
    return ib.Network(name="n", title="n", type="transformer", params=TransformerParams(**table))


def parameters(config):
    at = ib.Grid.of({"batch": [1.0], "context": [1.0]}, ["bf16"]).at
    ops = Transformer().graph(network(config), at, "decode", Options())
    return float(np.squeeze(sum(op.parameters * op.instances for op in ops)))


@pytest.mark.parametrize(
    ("config", "published"),
    [
        (LLAMA, 8_030_261_248),  # safetensors count of Meta-Llama-3-8B
        (QWEN, 7_615_616_512),  # of Qwen2.5-7B
        (OPT, 125_239_296),  # of OPT-125M
        (BLOOM, 559_214_592),  # of BLOOM-560M
        (NEOX, 20_554_567_680),  # GPT-NeoX-20B, Black et al. 2022 (arXiv 2204.06745), section 2.1
        (GPT2, 124_439_808),  # of GPT-2 small
        (PHI2, 2_779_683_840),  # of Phi-2
        (GPTJ, 6_050_882_784),  # of GPT-J-6B, model card
        (GEMMA3, 3.88e9),  # Gemma 3 technical report, table 1: 675M embedding + 3,209M
    ],
    ids=lambda value: value.get("model_type") if isinstance(value, dict) else "",
)
def test_parameter_counts(config, published):
    exact = published != 3.88e9
    assert parameters(config) == pytest.approx(published, rel=1e-12 if exact else 0.002)


def test_what_is_not_ours_is_left_to_others():
    read = Transformer().read_config
    assert read({"model_type": "mixtral", "num_local_experts": 8}) is None
    assert read({**LLAMA, "num_local_experts": 16}) is None
    assert read({"model_type": "vit", "hidden_size": 768}) is None
    assert read({**OPT, "word_embed_proj_dim": 512}) is None  # OPT-350M
    assert read({}) is None


WHOLE = "take the complete config.json that the network was published with"
NOT_READ = [
    ({"hidden_size": "big"}, "hidden_size: 'big' is not a whole number of at least 1", WHOLE),
    ({"hidden_size": [4096]}, "hidden_size: [4096] is not a whole number of at least 1", WHOLE),
    ({"hidden_size": float("nan")}, "hidden_size: nan is not a whole number of at least 1", WHOLE),
    ({"num_hidden_layers": 32.5}, "num_hidden_layers: 32.5 is not a whole number of at least 1", WHOLE),
    ({"num_attention_heads": 0}, "num_attention_heads: 0 is not a whole number of at least 1", WHOLE),
    ({"vocab_size": True}, "vocab_size: True is not a whole number of at least 1", WHOLE),
    ({"sliding_window": -1}, "sliding_window: -1 is not a whole number of at least 0", WHOLE),
    ({"tie_word_embeddings": "yes"}, "tie_word_embeddings: 'yes' is not true or false", WHOLE),
    ({"layer_types": 3}, "layer_types: 3 is not a list of the kinds of layers", WHOLE),
    (
        {"num_attention_heads": 33},
        "num_attention_heads: 33 heads do not divide hidden_size 4096, and no head_dim is given",
        "add head_dim, or correct one of the two",
    ),
    (
        {"num_key_value_heads": 7},
        "network: num_key_value_heads is 7; a divisor of the 32 attention heads was expected",
        "write 32 where every head has keys of its own",
    ),
]


@pytest.fixture
def saved(tmp_path):
    def save(config):
        path = tmp_path / "mine.json"
        path.write_text(json.dumps(config))
        return str(path)

    return save


@pytest.mark.parametrize(("change", "found", "remedy"), NOT_READ, ids=lambda value: "")
def test_a_bad_value_is_told_with_the_path_the_key_and_what_to_do(saved, change, found, remedy):
    path = saved({**LLAMA, **change})
    with pytest.raises(ib.InferBenchError) as caught:
        ib.installed().network(path)
    assert str(caught.value) == f"{path}: {found}\n  {remedy}"


def test_missing_keys_are_named(saved):
    path = saved({key: value for key, value in LLAMA.items() if key not in ("hidden_size", "vocab_size")})
    with pytest.raises(ib.InferBenchError) as caught:
        ib.installed().network(path)
    assert str(caught.value) == (
        f"{path}: hidden_size, vocab_size: missing; model type 'llama' needs them\n  {WHOLE}"
    )


def test_learned_positions_need_their_number():
    bare = {key: value for key, value in OPT.items() if key != "max_position_embeddings"}
    with pytest.raises(
        ib.InferBenchError, match="max_position_embeddings: missing; model type 'opt' needs it"
    ):
        Transformer().read_config(bare)


def test_layers_come_whole():
    with pytest.raises(
        ValueError, match=r"num_hidden_layers is 32\.5; a whole number was expected\nwrite it like 32"
    ):
        TransformerParams(
            hidden_size=1.0,
            num_hidden_layers=32.5,
            num_attention_heads=1.0,
            num_key_value_heads=1.0,
            head_dim=1.0,
            intermediate_size=1.0,
            vocab_size=1.0,
        )


@pytest.mark.parametrize(
    ("change", "window", "every"),
    [
        ({}, 0, 0),
        ({"sliding_window": None}, 0, 0),
        ({"sliding_window": 4096}, 4096, 0),
        ({"sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] * 16}, 128, 2),
        ({"sliding_window": 128, "layer_types": ["full_attention"] * 32}, 0, 0),
        ({"sliding_window": 128, "layer_types": ["sliding_attention"] * 32}, 128, 0),
        ({"sliding_window": 512, "sliding_window_pattern": 6}, 512, 6),
        ({"sliding_window": 512, "use_sliding_window": False}, 0, 0),
    ],
)
def test_windows(change, window, every):
    params = network({**LLAMA, **change}).params
    assert (params.sliding_window, params.global_every) == (window, every)


def test_biases_of_llama_are_of_all_four_projections():
    assert parameters({**LLAMA, "attention_bias": True}) - parameters(LLAMA) == 32 * (48 * 128 + 4096)


@pytest.mark.parametrize(
    ("key", "value"), [("kv_lora_rank", 512), ("num_kv_shared_layers", 4), ("linear_num_key_heads", 16)]
)
def test_keys_of_another_structure_are_not_passed_over(key, value):
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 100,
    }
    assert read_dense({**config, key: 0}) is not None
    with pytest.raises(ib.InferBenchError, match=f"config.json: {key}: {value} is not read for model"):
        read_dense({**config, key: value})


@pytest.mark.needs_plugins
def test_a_run_says_which_encoder_its_figures_leave_out(saved):
    path = saved({"model_type": "llava", "vision_config": {"hidden_size": 1024}, "text_config": LLAMA})
    assert ib.installed().network(path).unread == ("vision_config",)
    notes = ib.run("h100", f"{path}/decode", batch=1, context=1024).notes.values()
    assert f"{path}: vision_config is not read; the figures leave it out" in notes
