"""Configs of encoders and of Whisper against published parameter counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

import inferbench as ib


def read(tmp_path: Any, config: dict[str, Any]) -> ib.Network:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    return ib.installed().network(str(path))


def parameters(network: ib.Network) -> float:
    workload = ib.installed().workload(network.type)
    phase = workload.phases[0]
    at = ib.Grid.of({axis: [value] for axis, value in phase.axes.items()}, ["bf16"]).at
    ops = workload.graph(network, at, phase.name, workload.options())
    return float(sum(op.parameters * op.instances for op in ops))


WHISPER_SMALL = {
    "model_type": "whisper",
    "d_model": 768,
    "encoder_layers": 12,
    "decoder_layers": 12,
    "encoder_attention_heads": 12,
    "decoder_attention_heads": 12,
    "encoder_ffn_dim": 3072,
    "decoder_ffn_dim": 3072,
    "num_mel_bins": 80,
    "vocab_size": 51865,
    "torch_dtype": "float32",
}
CLIP_L = {
    "model_type": "clip",
    "projection_dim": 768,
    "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
    "vision_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "patch_size": 14,
    },
}
VIT_L = {
    "model_type": "vit",
    "architectures": ["ViTForImageClassification"],
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "id2label": {str(i): f"class {i}" for i in range(1000)},
}


class TestCounts:
    def test_whisper_small(self, tmp_path):
        # 244 M in the paper's table 1, which counts the encoder's fixed positions and the head's rows once.
        assert parameters(read(tmp_path, WHISPER_SMALL)) == pytest.approx(241.7e6, rel=1e-3)

    def test_clip_l(self, tmp_path):
        # The published count, less the logit scale.
        assert parameters(read(tmp_path, CLIP_L)) == 427616512

    def test_what_is_left_out_is_the_smallest_published_network_s(self, tmp_path):
        """Of the classes: Whisper tiny, CLIP B/32 less its logit scale, ViT B/16 with 1,000 labels."""
        assert parameters(read(tmp_path, {"model_type": "whisper"})) == 37760640
        assert parameters(read(tmp_path, {"model_type": "clip"})) == 151277312
        assert parameters(read(tmp_path, {"model_type": "vit", "num_labels": 1000})) == 86567656

    def test_siglip_base(self, tmp_path):
        # The published count, less scale and bias of the logits.
        assert parameters(read(tmp_path, {"model_type": "siglip"})) == 203155968

    def test_vit_l(self, tmp_path):
        assert parameters(read(tmp_path, VIT_L)) == pytest.approx(304.3e6, rel=1e-3)

    def test_resnet_50(self, tmp_path):
        config = {"model_type": "resnet", "id2label": {str(i): "" for i in range(1000)}}
        assert parameters(read(tmp_path, config)) == 25557032


def test_a_file_without_classes_has_no_classifier(tmp_path):
    bare = {key: value for key, value in VIT_L.items() if key not in ("id2label", "architectures")}
    assert parameters(read(tmp_path, VIT_L)) - parameters(read(tmp_path, bare)) == 1000 * 1025


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({**WHISPER_SMALL, "encoder_layers": 1.5}, "encoder_layers: 1.5 is not a whole number of at least 1"),
        ({**VIT_L, "qkv_bias": False}, "qkv_bias: False can't be represented"),
        ({"model_type": "resnet", "layer_type": "basic"}, "layer_type: 'basic' can't be represented"),
        ({**VIT_L, "quantization_config": {"bits": 8}}, "quantised encoders can't be represented"),
        ({**CLIP_L, "text_config": {"hidden_size": 0}}, "text_config: hidden_size: 0 is not a whole number"),
    ],
)
def test_what_can_t_be_represented_is_named(tmp_path, config, named):
    with pytest.raises(ib.InferBenchError) as caught:
        read(tmp_path, config)
    assert named in str(caught.value)
