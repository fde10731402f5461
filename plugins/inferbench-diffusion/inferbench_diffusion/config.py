"""Configs of diffusers transformers and UNets (`_class_name`), turned into our `[network]` tables.

A config describes one network of a pipeline. Steps, size of the image and length of the prompt are the
pipeline's, and taken as its class in the diffusers library has them; text encoders and decoder have files of
their own and are not counted. Defaults of keys that a file leaves out are those of the class that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import inferbench as ib

__all__ = ["read_dit", "read_mmdit", "read_unet", "read_video_dit", "read_video_mmdit"]

Table = dict[str, Any]

_FLUX = {
    "num_layers": 19,
    "num_single_layers": 38,
    "num_attention_heads": 24,
    "attention_head_dim": 128,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 768,
    "in_channels": 64,
}
_SD3 = {
    "num_layers": 18,
    "num_attention_heads": 18,
    "attention_head_dim": 64,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 2048,
    "in_channels": 16,
    "patch_size": 2,
    "sample_size": 128,
}
_HUNYUAN_VIDEO = {
    "num_layers": 20,
    "num_single_layers": 40,
    "num_refiner_layers": 2,
    "num_attention_heads": 24,
    "attention_head_dim": 128,
    "text_embed_dim": 4096,
    "pooled_projection_dim": 768,
    "in_channels": 16,
    "patch_size": 2,
}
_PIXART = {
    "num_layers": 28,
    "num_attention_heads": 16,
    "attention_head_dim": 72,
    "in_channels": 4,
    "out_channels": 8,
    "patch_size": 2,
    "sample_size": 128,
    "caption_channels": 4096,
    "cross_attention_dim": 1152,
}
_WAN = {
    "num_layers": 40,
    "num_attention_heads": 40,
    "attention_head_dim": 128,
    "ffn_dim": 13824,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": 4096,
}
_UNET = {"in_channels": 4, "layers_per_block": 2}
_SIZE = 8  # pixels per latent position


def _is(config: Mapping[str, Any], name: str) -> bool:
    return config.get("_class_name") == name


def _refuse(key: str, found: str) -> NoReturn:
    remedy = "take the complete config.json that the network was published with"
    raise ib.InferBenchError.at(f"config.json: {key}", found, remedy)


def _counts(config: Mapping[str, Any], defaults: Mapping[str, int]) -> Table:
    """Return whole numbers of at least 0 by the names of `defaults`.

    Raises:
        InferBenchError: Something else stands there.
    """
    found = {}
    for key, default in defaults.items():
        value = config.get(key)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            _refuse(key, f"{value!r} is not a whole number")
        found[key] = value
    return found


def _only(config: Mapping[str, Any], allowed: Mapping[str, Any]) -> None:
    """Refuse values that the generators can't represent."""
    for key, one in allowed.items():
        value = config.get(key)
        if value is not None and value != one:
            _refuse(key, f"{value!r} can't be represented; {one!r} can")


def read_mmdit(config: Mapping[str, Any]) -> Table | None:
    """Read FLUX.1's and Stable Diffusion 3's transformers, else None."""
    if _is(config, "FluxTransformer2DModel"):
        _only(config, {"patch_size": 1})
        found = _counts(config, _FLUX)
        channels = found.pop("in_channels")
        if channels % 4:
            _refuse("in_channels", f"{channels} is not four latent channels packed together")
        guided = bool(config.get("guidance_embeds"))
        return {
            "type": "mmdit",
            **found,
            "qk_norm": "rms_norm",
            "rotary": True,
            "guidance_embeds": guided,
            "latent_channels": channels // 4,
            "text_tokens": 512,
            "steps": 28,
        }
    if _is(config, "SD3Transformer2DModel"):
        _only(config, {"dual_attention_layers": [], "out_channels": 16})
        found = _counts(config, _SD3)
        norm = config.get("qk_norm")
        if norm not in (None, "rms_norm"):
            _refuse("qk_norm", f"{norm!r} can't be represented; 'rms_norm' or none can")
        return {
            "type": "mmdit",
            **{key: value for key, value in found.items() if key not in ("in_channels", "sample_size")},
            "context_pre_only": True,
            "qk_norm": norm or "none",
            "latent_channels": found["in_channels"],
            "text_tokens": 333,
            "steps": 28,
            "pixels": found["sample_size"] * _SIZE,
        }
    return None


def read_video_mmdit(config: Mapping[str, Any]) -> Table | None:
    """Read HunyuanVideo's transformer, else None."""
    if not _is(config, "HunyuanVideoTransformer3DModel"):
        return None
    _only(config, {"patch_size_t": 1, "mlp_ratio": 4.0, "qk_norm": "rms_norm", "image_condition_type": ""})
    found = _counts(config, _HUNYUAN_VIDEO)
    refiner, text, channels = (found.pop(k) for k in ("num_refiner_layers", "text_embed_dim", "in_channels"))
    return {
        "type": "video-mmdit",
        **found,
        "refiner_layers": refiner,
        "joint_attention_dim": text,
        "latent_channels": channels,
        "qk_norm": "rms_norm",
        "rotary": True,
        "guidance_embeds": bool(config.get("guidance_embeds", True)),
        "text_tokens": 256,
        "steps": 50,
        "vae": "other",
    }


def read_dit(config: Mapping[str, Any]) -> Table | None:
    """Read PixArt's transformer, else None."""
    if not _is(config, "PixArtTransformer2DModel"):
        return None
    _only(
        config, {"attention_bias": True, "norm_type": "ada_norm_single", "use_additional_conditions": False}
    )
    found = _counts(config, _PIXART)
    width = found["num_attention_heads"] * found["attention_head_dim"]
    channels, sample = found.pop("in_channels"), found.pop("sample_size")
    return {
        "type": "dit",
        **found,
        "ffn_dim": 4 * width,
        "modulation": "single",
        "latent_channels": channels,
        "text_tokens": 300,
        "steps": 20,
        "pixels": sample * _SIZE,
    }


def read_video_dit(config: Mapping[str, Any]) -> Table | None:
    """Read Wan's text-to-video transformer, else None."""
    if not _is(config, "WanTransformer3DModel"):
        return None
    _only(config, {"image_dim": 0, "added_kv_proj_dim": 0, "patch_size": [1, 2, 2], "cross_attn_norm": True})
    _only(config, {"qk_norm": "rms_norm_across_heads"})
    found = _counts(config, _WAN)
    text, channels = found.pop("text_dim"), found.pop("in_channels")
    return {
        "type": "video-dit",
        **found,
        "modulation": "single",
        "qk_norm": "rms_norm_across_heads",
        "rotary": "halves",
        "rescales": False,
        "affine": "cross",
        "fp32_norms": True,
        "caption_channels": text,
        "cross_attention_dim": found["num_attention_heads"] * found["attention_head_dim"],
        "latent_channels": channels,
        "text_tokens": 512,
        "steps": 50,
        "vae": "other",
    }


def read_unet(config: Mapping[str, Any]) -> Table | None:
    """Read a conditional UNet whose levels are plain or have cross attention, else None."""
    if not _is(config, "UNet2DConditionModel"):
        return None
    _only(
        config,
        {
            "class_embed_type": "",
            "encoder_hid_dim": 0,
            "num_class_embeds": 0,
            "resnet_time_scale_shift": "default",
        },
    )
    found = _counts(config, _UNET)
    widths = config.get("block_out_channels") or [320, 640, 1280, 1280]
    levels = len(widths)
    heads = _heads(config, widths)
    depths = _per_level(config, "transformer_layers_per_block", 1, levels)
    crossed = [_crossed(kind) for kind in _per_level(config, "down_block_types", None, levels)]
    up = [_crossed(kind) for kind in _per_level(config, "up_block_types", None, levels)][::-1]
    if up != crossed:
        _refuse("down_block_types, up_block_types", "levels with attention differ on the way up")
    runs = found["layers_per_block"]
    down = [[depth if has else 0] * runs for depth, has in zip(depths, crossed, strict=True)]
    back = [[depth if has else 0] * (runs + 1) for depth, has in zip(depths, crossed, strict=True)]
    added = config.get("addition_embed_type")
    if added not in (None, "text_time"):
        _refuse("addition_embed_type", f"{added!r} can't be represented; 'text_time' can")
    cross = _counts(config, {"cross_attention_dim": 1280})["cross_attention_dim"]
    extra = _counts(config, {"projection_class_embeddings_input_dim": 0})
    return {
        "type": "unet",
        "block_out_channels": list(widths),
        "attention_heads": heads,
        "down_transformers": down,
        "up_transformers": back,
        "mid_transformers": depths[-1],
        "cross_attention_dim": cross,
        "added_dim": extra["projection_class_embeddings_input_dim"],
        "latent_channels": found["in_channels"],
        "layers_per_block": runs,
        "pixels": _counts(config, {"sample_size": 64})["sample_size"] * _SIZE,
    }


def _per_level(config: Mapping[str, Any], key: str, default: Any, levels: int) -> list[Any]:
    """Return one value per level, given once or as a list."""
    value = config.get(key, default)
    if value is None:
        _refuse(key, "missing; it says which levels have attention")
    values = list(value) if isinstance(value, list | tuple) else [value] * levels
    if len(values) != levels:
        _refuse(key, f"{len(values)} entries contradict the {levels} levels of block_out_channels")
    return values


def _crossed(kind: str) -> bool:
    """Whether a level has cross attention."""
    known = {
        "CrossAttnDownBlock2D": True,
        "CrossAttnUpBlock2D": True,
        "DownBlock2D": False,
        "UpBlock2D": False,
    }
    if kind not in known:
        _refuse("down_block_types, up_block_types", f"{kind!r} can't be represented; {', '.join(known)} can")
    return known[kind]


def _heads(config: Mapping[str, Any], widths: list[int]) -> list[int]:
    """Heads per level. Files without `num_attention_heads` give heads under the name of their width."""
    key = "num_attention_heads" if config.get("num_attention_heads") is not None else "attention_head_dim"
    return [int(value) for value in _per_level(config, key, 8, len(widths))]
