"""Hugging Face `config.json` of encoders and of Whisper, turned into our `[network]` tables.

Defaults are those of the classes of each name in the transformers library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import inferbench as ib

__all__ = ["read_clip", "read_resnet", "read_siglip", "read_vit", "read_whisper"]

Table = dict[str, Any]

_WHISPER = {
    "d_model": 384,
    "encoder_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
    "decoder_layers": 4,
    "decoder_attention_heads": 6,
    "decoder_ffn_dim": 1536,
    "num_mel_bins": 80,
    "vocab_size": 51865,
    "max_source_positions": 1500,
    "max_target_positions": 448,
}
_VIT = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "patch_size": 16,
    "image_size": 224,
    "num_channels": 3,
}
_CLIP_VISION = {**_VIT, "patch_size": 32}
_CLIP_TEXT = {
    "hidden_size": 512,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "intermediate_size": 2048,
    "vocab_size": 49408,
    "max_position_embeddings": 77,
}
_SIGLIP_TEXT = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "vocab_size": 32000,
    "max_position_embeddings": 64,
}
_TOWER = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")


def _refuse(where: str, key: str, found: str) -> NoReturn:
    remedy = "take the complete config.json that the network was published with"
    raise ib.InferBenchError.at(f"{where}: {key}", found, remedy)


def _counts(config: Mapping[str, Any], defaults: Mapping[str, int], where: str = "config.json") -> Table:
    """Return whole numbers of at least 1 by the names of `defaults`.

    Raises:
        InferBenchError: Something else stands there.
    """
    found = {}
    for key, default in defaults.items():
        value = config.get(key)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            _refuse(where, key, f"{value!r} is not a whole number of at least 1")
        found[key] = value
    return found


def _stored(config: Mapping[str, Any]) -> Table:
    """Return the precision of a file's dtype; a quantised encoder can't be represented."""
    if config.get("quantization_config"):
        _refuse("config.json", "quantization_config", "quantised encoders can't be represented")
    word = str(config.get("dtype") or config.get("torch_dtype") or "").removeprefix("torch.")
    form = {"bfloat16": "bf16", "float16": "fp16"}.get(word)
    return {"precision": form} if form else {}


def read_whisper(config: Mapping[str, Any]) -> Table | None:
    """Read `model_type` whisper, else None."""
    if config.get("model_type") != "whisper":
        return None
    return {"type": "whisper", **_counts(config, _WHISPER), **_stored(config)}


def _labels(config: Mapping[str, Any]) -> int:
    """Classes of the classifier; 0 where the file names no classifier."""
    listed = config.get("id2label")
    if isinstance(listed, Mapping):
        return len(listed)
    if config.get("num_labels") is not None:
        return int(config["num_labels"])
    named = any("Classification" in str(name) for name in config.get("architectures") or ())
    return 2 if named else 0


def read_vit(config: Mapping[str, Any]) -> Table | None:
    """Read `model_type` vit, else None."""
    if config.get("model_type") != "vit":
        return None
    if config.get("qkv_bias") is False:
        _refuse("config.json", "qkv_bias", "False can't be represented; True can")
    return {"type": "vit", **_counts(config, _VIT), "num_labels": _labels(config), **_stored(config)}


def read_clip(config: Mapping[str, Any]) -> Table | None:
    """Read `model_type` clip, else None."""
    if config.get("model_type") != "clip":
        return None
    pair = _pair(config, _CLIP_VISION, _CLIP_TEXT)
    return {"type": "clip", **pair, **_counts(config, {"projection_dim": 512}), **_stored(config)}


def read_siglip(config: Mapping[str, Any]) -> Table | None:
    """Read `model_type` siglip, else None."""
    if config.get("model_type") != "siglip":
        return None
    pair = _pair(config, _VIT, _SIGLIP_TEXT)
    text = config.get("text_config") or {}
    size = _counts(text, {"projection_size": pair["text"]["hidden_size"]}, "config.json: text_config")
    return {"type": "siglip", **pair, **size, **_stored(config)}


def _pair(config: Mapping[str, Any], vision: Mapping[str, int], text: Mapping[str, int]) -> Table:
    """Return the towers of an image-text encoder, with the defaults of each."""
    found = {}
    for name, defaults in (("vision", vision), ("text", text)):
        nested = config.get(f"{name}_config") or {}
        if not isinstance(nested, Mapping):
            _refuse("config.json", f"{name}_config", f"{nested!r} is not a table")
        found[name] = _counts(nested, defaults, f"config.json: {name}_config")
    images, words = found["vision"], found["text"]
    return {
        "vision": {key: images[key] for key in _TOWER},
        "text": {key: words[key] for key in _TOWER},
        **{key: images[key] for key in ("patch_size", "image_size", "num_channels")},
        **{key: words[key] for key in ("vocab_size", "max_position_embeddings")},
    }


def read_resnet(config: Mapping[str, Any]) -> Table | None:
    """Read `model_type` resnet, else None; blocks without a bottleneck can't be represented."""
    if config.get("model_type") != "resnet":
        return None
    for key, allowed in (("layer_type", "bottleneck"), ("downsample_in_first_stage", False)):
        value = config.get(key, allowed)
        if value != allowed:
            _refuse("config.json", key, f"{value!r} can't be represented; {allowed!r} can")
    sizes, depths = (
        config.get("hidden_sizes") or [256, 512, 1024, 2048],
        config.get("depths") or [3, 4, 6, 3],
    )
    if len(sizes) != len(depths):
        _refuse("config.json", "hidden_sizes, depths", f"{len(sizes)} widths contradict {len(depths)} depths")
    rest = _counts(config, {"embedding_size": 64, "num_channels": 3})
    return {
        "type": "resnet",
        "hidden_sizes": sizes,
        "depths": depths,
        **rest,
        "num_labels": _labels(config),
        **_stored(config),
    }
