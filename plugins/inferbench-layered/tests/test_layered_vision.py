"""Image encoders of published configs: parameters to the last one, and what windows leave of attention."""

from __future__ import annotations

import pytest
from inferbench_layered import LayeredOptions

QWEN25_VL_7B = {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "model_type": "qwen2_5_vl",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "tie_word_embeddings": False,
    "max_position_embeddings": 128000,
    "sliding_window": 32768,
    "use_sliding_window": False,
    "max_window_layers": 28,
    "vision_config": {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "in_chans": 3,
        "out_hidden_size": 3584,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "temporal_patch_size": 2,
    },
}
MISTRAL_SMALL_31 = {
    "architectures": ["Mistral3ForConditionalGeneration"],
    "model_type": "mistral3",
    "spatial_merge_size": 2,
    "text_config": {
        "model_type": "mistral",
        "hidden_size": 5120,
        "intermediate_size": 32768,
        "num_attention_heads": 32,
        "num_hidden_layers": 40,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 131072,
        "tie_word_embeddings": False,
        "sliding_window": None,
    },
    "vision_config": {
        "model_type": "pixtral",
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "patch_size": 14,
        "image_size": 1540,
    },
}


@pytest.mark.parametrize(
    ("config", "parameters"),
    # The counts of the stored tensors, as Hugging Face states them.
    [(QWEN25_VL_7B, 8_292_166_656), (MISTRAL_SMALL_31, 24_011_361_280)],
)
def test_parameters_are_those_that_are_published(read, config, parameters):
    assert read(config).parameters("prefill") == parameters


def test_windows_leave_four_layers_that_see_the_whole_image(read):
    """1,024 pixels a side are 72 x 72 patches, 1,296 tokens; 28 layers see 64 patches, 4 all 5,184."""
    graph = read(QWEN25_VL_7B)
    heads = 4 * 16 * 80
    pairs = graph.total(
        "prefill",
        lambda op: op.useful * op.repeat if op.name.startswith("vision") and "attention" in op.name else 0.0,
        options=LayeredOptions(images=1.0),
        context=[1296.0],
    )
    assert pairs == heads * 5184 * (28 * 64 + 4 * 5184)
