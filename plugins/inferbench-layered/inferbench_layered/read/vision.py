"""Image encoders of vision-language configs, turned into the table `vision`."""

from __future__ import annotations

from inferbench_layered.read.config import Config
from inferbench_layered.read.parts import Table

__all__ = [
    "gemma_vision",
    "kimi_vision",
    "llama_vision",
    "minimax_vision",
    "pixtral_vision",
    "qwen25_vision",
    "qwen_vision",
]

_SIDE = 1024.0  # pixels of the square image that is the default where the resolution is free


def qwen_vision(vision: Config, text_width: float) -> Table:
    """Read Qwen3-VL's and Qwen3.5's encoder: two frames to a patch, two by two patches to a token, mergers at
    some depths.
    """
    width, side = vision.count("hidden_size"), vision.count("patch_size")
    merge = vision.count("spatial_merge_size") ** 2
    joined, out = width * merge, vision.count("out_hidden_size", default=text_width)
    deep = vision.values.get("deepstack_visual_indexes") or []
    mergers = 1.0 + float(len(deep))
    norms = 2.0 * (width + joined * (mergers - 1.0)) / mergers
    channels = vision.count("in_channels", default=3.0) * vision.count("temporal_patch_size", default=2.0)
    return {
        "layers": vision.count("depth"),
        "hidden_size": width,
        "num_attention_heads": vision.count("num_heads"),
        "intermediate_size": vision.count("intermediate_size"),
        "bias": True,
        "patch_elements": channels * side**2,
        "position_elements": vision.count("num_position_embeddings", default=0.0, least=0.0) * width,
        "patches": (_SIDE // side) ** 2,
        "merge": merge,
        "projections": {
            "merge_up": {
                "inputs": joined,
                "outputs": joined,
                "count": mergers,
                "bias": True,
                "norm": round(norms * mergers),
            },
            "merge_down": {"inputs": joined, "outputs": out, "count": mergers, "bias": True},
        },
    }


def qwen25_vision(vision: Config, text_width: float) -> Table:
    """Read Qwen2.5-VL's encoder: windows in most layers, three matrices, two by two patches to a token."""
    width, side = vision.count("hidden_size"), vision.count("patch_size")
    across = vision.count("spatial_merge_size", default=2.0)
    merge, joined = across**2, width * across**2
    out = vision.count("out_hidden_size", default=text_width)
    channels = vision.count("in_chans", "in_channels", default=3.0)
    full = vision.values.get("fullatt_block_indexes") or []
    return {
        "layers": vision.count("depth"),
        "hidden_size": width,
        "num_attention_heads": vision.count("num_heads"),
        "intermediate_size": vision.count("intermediate_size"),
        "gated_mlp": True,
        "bias": True,
        "patch_bias": False,
        "norm": "rms",
        "patch_elements": channels * vision.count("temporal_patch_size", default=2.0) * side**2,
        "patches": (_SIDE // (side * across) * across) ** 2,
        "window": (vision.count("window_size", default=112.0) / side) ** 2,
        "full_layers": float(len(full)),
        "merge": merge,
        "projections": {
            "merge_up": {"inputs": joined, "outputs": joined, "bias": True, "norm": width},
            "merge_down": {"inputs": joined, "outputs": out, "bias": True},
        },
    }


def pixtral_vision(vision: Config, text_width: float) -> Table:
    """Read Mistral 3's encoder (Pixtral): no biases, three matrices, two by two patches joined to a token."""
    width, side = vision.count("hidden_size"), vision.count("patch_size")
    merge = 4.0
    return {
        "layers": vision.count("num_hidden_layers"),
        "hidden_size": width,
        "num_attention_heads": vision.count("num_attention_heads"),
        "intermediate_size": vision.count("intermediate_size"),
        "gated_mlp": True,
        "norm": "rms",
        "patch_elements": vision.count("num_channels", default=3.0) * side**2,
        "position_elements": width,  # the norm before the first layer
        "patches": (_SIDE // (side * 2.0) * 2.0) ** 2,
        "merge": merge,
        "projections": {
            "merge": {"inputs": width * merge, "outputs": width, "norm": width},
            "project_up": {"inputs": width, "outputs": text_width},
            "project_down": {"inputs": text_width, "outputs": text_width},
        },
    }


def kimi_vision(vision: Config, text_width: float) -> Table:
    """Read Kimi K2.5's encoder."""
    width, side = vision.count("vt_hidden_size"), vision.count("patch_size")
    rows, columns = vision.values.get("merge_kernel_size") or (2, 2)
    merge = float(rows * columns)
    joined = width * merge
    grid = vision.count("init_pos_emb_height") * vision.count("init_pos_emb_width")
    return {
        "layers": vision.count("vt_num_hidden_layers"),
        "hidden_size": width,
        "num_attention_heads": vision.count("vt_num_attention_heads"),
        "intermediate_size": vision.count("vt_intermediate_size"),
        "bias": True,
        "patch_elements": 3.0 * side**2,
        "position_elements": grid * width + 2.0 * width,
        "patches": (_SIDE // side) ** 2,
        "merge": merge,
        "projections": {
            "merge_up": {"inputs": joined, "outputs": joined, "bias": True, "norm": 2.0 * width},
            "merge_down": {"inputs": joined, "outputs": text_width, "bias": True},
        },
    }


def gemma_vision(vision: Config, text_width: float) -> Table:
    """Read Gemma 4's encoder, whose patches are averaged to the tokens of an image."""
    width, side = vision.count("hidden_size"), vision.count("patch_size")
    head = vision.count("head_dim", default=width / vision.count("num_attention_heads"))
    merge = vision.count("pooling_kernel_size", default=3.0) ** 2
    return {
        "layers": vision.count("num_hidden_layers"),
        "hidden_size": width,
        "num_attention_heads": vision.count("num_attention_heads"),
        "intermediate_size": vision.count("intermediate_size"),
        "gated_mlp": True,
        "norm": "rms",
        "norms_per_layer": 4.0,
        "qk_norm": 2.0 * head,
        "patch_elements": 3.0 * side**2,
        "position_elements": 2.0 * vision.count("position_embedding_size", default=0.0, least=0.0) * width,
        "patches": vision.count("default_output_length", default=280.0) * merge,
        "merge": merge,
        "projections": {"embed": {"inputs": width, "outputs": text_width}},
    }


def llama_vision(vision: Config, text_width: float) -> Table:
    """Read Llama 4's encoder: tiles of one size, two by two patches to a token, a feed-forward part before
    the projection.
    """
    width, side = vision.count("hidden_size"), vision.count("patch_size")
    tile = vision.count("image_size")
    patches = (tile // side) ** 2
    inner, out = vision.count("projector_input_dim"), vision.count("projector_output_dim")
    return {
        "layers": vision.count("num_hidden_layers"),
        "hidden_size": width,
        "num_attention_heads": vision.count("num_attention_heads"),
        "intermediate_size": vision.count("intermediate_size"),
        "bias": True,
        "patch_elements": 3.0 * side**2,
        "position_elements": (patches + 2.0) * width + 4.0 * width,
        "patches": patches,
        "merge": 4.0,
        "projections": {
            "adapter_up": {"inputs": vision.count("intermediate_size"), "outputs": inner},
            "adapter_down": {"inputs": inner, "outputs": out},
            "project": {"inputs": vision.count("vision_output_dim"), "outputs": text_width},
        },
    }


def minimax_vision(vision: Config, text_width: float) -> Table:
    """Read MiniMax M3's encoder: two frames to a patch, each patch projected, then two by two joined."""
    width, side = vision.count("hidden_size"), vision.count("patch_size")
    merge = vision.count("spatial_merge_size", default=2.0) ** 2
    return {
        "layers": vision.count("num_hidden_layers"),
        "hidden_size": width,
        "num_attention_heads": vision.count("num_attention_heads"),
        "intermediate_size": vision.count("intermediate_size"),
        "bias": True,
        "patch_elements": 3.0 * vision.count("temporal_patch_size", default=2.0) * side**2,
        "position_elements": 2.0 * width,
        "patches": (_SIDE // side) ** 2,
        "merge": merge,
        "projections": {
            "project_up": {"inputs": width, "outputs": text_width, "rows": "patch", "bias": True},
            "project_down": {"inputs": text_width, "outputs": text_width, "rows": "patch", "bias": True},
            "merge_up": {"inputs": text_width * merge, "outputs": text_width, "bias": True},
            "merge_down": {"inputs": text_width, "outputs": text_width, "bias": True},
        },
    }
