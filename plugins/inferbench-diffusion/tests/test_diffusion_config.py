"""Configs of diffusers against the shipped networks, whose parameter counts are published."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

import inferbench as ib

pytest.importorskip("inferbench_specs", reason="the package of specs is not installed")

FLUX = {
    "_class_name": "FluxTransformer2DModel",
    "attention_head_dim": 128,
    "guidance_embeds": True,
    "in_channels": 64,
    "joint_attention_dim": 4096,
    "num_attention_heads": 24,
    "num_layers": 19,
    "num_single_layers": 38,
    "patch_size": 1,
    "pooled_projection_dim": 768,
}
SD3 = {
    "_class_name": "SD3Transformer2DModel",
    "attention_head_dim": 64,
    "in_channels": 16,
    "joint_attention_dim": 4096,
    "num_attention_heads": 24,
    "num_layers": 24,
    "out_channels": 16,
    "patch_size": 2,
    "pooled_projection_dim": 2048,
    "sample_size": 128,
}
SDXL = {
    "_class_name": "UNet2DConditionModel",
    "addition_embed_type": "text_time",
    "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280],
    "cross_attention_dim": 2048,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "in_channels": 4,
    "layers_per_block": 2,
    "projection_class_embeddings_input_dim": 2816,
    "sample_size": 128,
    "transformer_layers_per_block": [1, 2, 10],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
}
SD15 = {
    "_class_name": "UNet2DConditionModel",
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "cross_attention_dim": 768,
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "sample_size": 64,
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
}
PIXART = {
    "_class_name": "PixArtTransformer2DModel",
    "sample_size": 128,
    "out_channels": 8,
    "attention_bias": True,
}
WAN = {"_class_name": "WanTransformer3DModel", "ffn_dim": 13824, "num_layers": 40, "num_attention_heads": 40}
HUNYUAN = {"_class_name": "HunyuanVideoTransformer3DModel", "guidance_embeds": True, "num_refiner_layers": 2}


def read(tmp_path: Any, config: dict[str, Any]) -> ib.Network:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    return ib.installed().network(str(path))


@pytest.mark.parametrize(
    ("config", "shipped"),
    [
        (FLUX, "flux1-dev"),
        ({**FLUX, "guidance_embeds": False}, "flux1-schnell"),
        (SD3, "sd3-medium"),
        (SDXL, "sdxl"),
        (SD15, "sd1.5"),
        (PIXART, "pixart-sigma"),
        (WAN, "wan2.1-14b"),
        (HUNYUAN, "hunyuan-video"),
    ],
)
def test_the_network_is_the_shipped_one_without_text_encoders(tmp_path, config, shipped):
    found, known = read(tmp_path, config), ib.installed().network(shipped)
    assert found.type == known.type
    pipeline = {"text_encoders", "vae", "steps", "text_tokens"}
    same = {field.name for field in attrs.fields(type(known.params))} - pipeline
    for name in same:
        assert getattr(found.params, name) == getattr(known.params, name), name


@pytest.mark.parametrize(
    ("config", "shipped"),
    [
        ({"_class_name": "FluxTransformer2DModel", "guidance_embeds": True}, "flux1-dev"),
        (
            {"_class_name": "SD3Transformer2DModel", "num_layers": 24, "num_attention_heads": 24},
            "sd3-medium",
        ),
        ({"_class_name": "PixArtTransformer2DModel"}, "pixart-sigma"),
        ({"_class_name": "WanTransformer3DModel"}, "wan2.1-14b"),
        ({"_class_name": "HunyuanVideoTransformer3DModel"}, "hunyuan-video"),
    ],
)
def test_what_a_config_leaves_out_is_the_published_network_s(tmp_path, config, shipped):
    """The defaults of diffusers' classes are those networks; steps and prompt are their pipelines'."""
    found, known = (one.params for one in (read(tmp_path, config), ib.installed().network(shipped)))
    same = {field.name for field in attrs.fields(type(known))} - {"text_encoders", "vae"}
    assert {name for name in same if getattr(found, name) != getattr(known, name)} == set()


def test_a_unet_s_defaults_are_those_of_its_class(tmp_path):
    """UNet2DConditionModel: 64 latents a side, widths 320 to 1280, two blocks a level, 1,280 of the text."""
    levels = {key: SD15[key] for key in ("_class_name", "down_block_types", "up_block_types")}
    params = read(tmp_path, levels).params
    assert (params.block_out_channels, params.layers_per_block) == ((320, 640, 1280, 1280), 2)
    assert (params.pixels, params.cross_attention_dim, params.latent_channels) == (512, 1280, 4)
    assert (params.added_dim, params.attention_heads) == (0, (8, 8, 8, 8))


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({**FLUX, "in_channels": 63}, "in_channels: 63 is not four latent channels packed together"),
        ({**SD3, "dual_attention_layers": [0, 1]}, "dual_attention_layers: [0, 1] can't be represented"),
        ({**SD15, "up_block_types": ["UpBlock2D"] * 4}, "levels with attention differ on the way up"),
        ({**SDXL, "attention_head_dim": [5, 10]}, "attention_head_dim: 2 entries contradict the 3 levels"),
        ({"_class_name": "AutoencoderKL"}, "no installed workload reads configs of class AutoencoderKL"),
    ],
)
def test_what_can_t_be_represented_is_named(tmp_path, config, named):
    with pytest.raises(ib.InferBenchError) as caught:
        read(tmp_path, config)
    assert named in str(caught.value)
