"""In which number formats a `config.json` says that a network is stored: one precision, and parts that differ
from it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import inferbench as ib

__all__ = ["PARTS", "stored"]

PARTS = ("embedding", "head", "attention", "dense", "experts", "shared", "vision")
"""Parts of a network that may be stored in a format of their own."""

_WHERE = "config.json: quantization_config"
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
_GROUPS = {32: "int4g32", 64: "int4g64", 128: "int4g128"}
# What NVIDIA's Model Optimizer calls them: formats of weights and of activations.
_ALGORITHMS = {
    "FP8": ("fp8", "fp8"),
    "FP8_PB_WO": ("fp8", "fp8"),
    "FP8_PER_CHANNEL_PER_TOKEN": ("fp8", "fp8"),
    "INT8_SQ": ("int8", "int8"),
    "MXFP8": ("mxfp8", "mxfp8"),
    "NVFP4": ("nvfp4", "nvfp4"),
    "W4A16_AWQ": ("int4g128", "bf16"),
    "W4A16_NVFP4": ("nvfp4", "bf16"),
}
# Modules to parts, the first match taken; routers, norms and small projections beside large ones are none.
_MODULES: Sequence[tuple[str, str]] = (
    (r"(^|\.)mtp|router|[._]gate($|[^_d])|e_score|norm|conv1d|indexer|kv_[ab]_|weights_proj", ""),
    (r"vis(ion|ual)|mm_projector|multi_modal|patch_merge", "vision"),
    (r"shared_expert", "shared"),
    (r"lm_head|^head$", "head"),
    (r"embed", "embedding"),
    (r"experts|block_sparse_moe", "experts"),
    (r"attn|mixer\.[a-z]+_proj|attention", "attention"),
    (r"mlp|feed_forward|ffn", "dense"),
)

Stored = tuple[str, dict[str, str]]


def stored(config: Mapping[str, Any], text: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `precision` and `formats` of a network's table; nothing where a config says neither format nor
    dtype.

    A part counts as kept in 16 bits if its modules are in most of the layers. Source of the words: the
    classes in `transformers.utils.quantization_config`, compressed-tensors, and NVIDIA's Model Optimizer.

    Args:
        config: The whole file.
        text: Its text part.

    Raises:
        InferBenchError: A method, or a form of it, that can't be represented, by name.

    Example:
        >>> table = {"quant_method": "awq", "bits": 4, "group_size": 128}
        >>> stored({}, {"quantization_config": table})["precision"]
        'wint4g128a16'
    """
    table = config.get("quantization_config") or text.get("quantization_config")
    word = str(
        text.get("dtype") or text.get("torch_dtype") or config.get("dtype") or config.get("torch_dtype") or ""
    )
    if not isinstance(table, Mapping) or not table:
        plain = _DTYPES.get(word.removeprefix("torch."), "")
        return {"precision": plain} if plain else {}
    method = str(table.get("quant_method") or ("modelopt" if "quant_algo" in table else "")).lower()
    layers = text.get("num_hidden_layers")
    reader = _METHODS.get("modelopt" if "quant_algo" in table and method != "fp8" else method)
    if reader is None:
        _refuse("quant_method", f"'{method}' is not known; known are {', '.join(_METHODS)}")
    precision, formats = reader(table, layers if isinstance(layers, int) else 1)
    if text.get("expert_dtype") == "fp4":
        formats = {"experts": "mxfp4", **formats}
    if text is not config and not config.get("quantization_config"):
        formats = {**formats, "vision": "bf16"}
    return {"precision": precision, "formats": formats}


def _refuse(key: str, found: str) -> NoReturn:
    raise ib.InferBenchError.at(
        f"{_WHERE}: {key}",
        found,
        "take the config of the network before it was quantised, and give --precision",
    )


def _sixteen(parts: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(parts, "bf16")


def _part(module: str) -> str:
    """Return the part that a module, or a pattern over modules, belongs to; empty for none."""
    name = module.replace("\\", "")
    return next((part for pattern, part in _MODULES if re.search(pattern, name)), "")


def _kept(patterns: Any, layers: int) -> dict[str, str]:
    """Return the parts that are kept in 16 bits: named for the whole network, or for most of its layers."""
    covered: dict[str, set[int]] = {}
    for pattern in patterns or ():
        text, every = str(pattern), set(range(layers))
        place = re.search(r"layers\.(\d+)(.*)", text)
        where = {int(place[1])} if place else every
        whole = bool(place) and not re.search(r"[a-z]", place[2] if place else "")
        parts = ("attention", "dense", "experts", "shared") if whole else (_part(text),)
        for part in parts:
            covered.setdefault(part, set()).update(where)
    return _sixteen(part for part in PARTS if 2 * len(covered.get(part, ())) >= layers)


def _fp8(table: Mapping[str, Any], layers: int) -> Stored:
    kept = _kept(table.get("modules_to_not_convert"), layers)
    formats = {**_sixteen(("embedding", "head")), **kept}
    experts = table.get("moe_quant_algo")
    if experts:
        formats["experts"] = _algorithm(str(experts))[0]
    return "fp8kv16", formats


def _mxfp4(table: Mapping[str, Any], layers: int) -> Stored:
    return "bf16", {"experts": "mxfp4"}


def _named(weights: str, activations: str, cache: bool) -> str:
    """Write a precision; `cache`: keys and values are in 8 bits."""
    short = {"bf16": "16"}
    name = weights if weights == activations else f"w{weights}a{short.get(activations, activations)}"
    kept = "fp8" if cache else "bf16"
    return name if kept == activations else f"{name}kv{'8' if cache else '16'}"


def _groups(table: Mapping[str, Any], layers: int) -> Stored:
    """AWQ and GPTQ: integers of 4 or 8 bits in groups, activations in 16."""
    bits, group = table.get("bits", 4), table.get("group_size", 128)
    if bits == 8:
        return "w8a16", _sixteen(("embedding", "head"))
    if bits != 4 or group not in _GROUPS:
        _refuse(
            "bits, group_size",
            f"{bits!r} bits in groups of {group!r} can't be represented; 4 in groups of 32, 64, 128 can",
        )
    kept = _kept(table.get("modules_to_not_convert"), layers)
    return f"w{_GROUPS[group]}a16", {**_sixteen(("embedding", "head")), **kept}


def _compressed(table: Mapping[str, Any], layers: int) -> Stored:
    """compressed-tensors: one group of settings for all modules that are not ignored."""
    groups = table.get("config_groups")
    if not isinstance(groups, Mapping) or not groups:
        _refuse("config_groups", f"{groups!r} is not a table of settings")
    found = {_weights(group) for group in groups.values()}
    if len(found) > 1:
        _refuse(
            "config_groups",
            f"modules in different formats ({', '.join(sorted(map(str, found)))}) can't be represented",
        )
    weights, activations = found.pop()
    name = _named(weights, activations, bool(table.get("kv_cache_scheme")))
    return name, {**_sixteen(("embedding",)), **_kept(table.get("ignore"), layers)}


def _weights(group: Any) -> tuple[str, str]:
    """Return the formats of weights and activations of one group of settings."""
    weights = group.get("weights") if isinstance(group, Mapping) else None
    if not isinstance(weights, Mapping):
        _refuse("config_groups", f"{group!r} says nothing of weights")
    bits, kind, size = weights.get("num_bits"), str(weights.get("type", "float")), weights.get("group_size")
    table = {(8, "float"): "fp8", (8, "int"): "int8", (4, "int"): _GROUPS.get(size or 0, "")}
    table[4, "float"] = {16: "nvfp4", 32: "mxfp4"}.get(size or 0, "")
    found = table.get((bits or 0, kind), "")
    if not found:
        _refuse("config_groups", f"{bits!r} bits of type '{kind}' in groups of {size!r} can't be represented")
    inputs = group.get("input_activations")
    if not inputs:
        return found, "bf16"
    return found, found if inputs.get("num_bits") == bits else {8: "fp8", 16: "bf16"}.get(
        inputs.get("num_bits"), found
    )


def _modelopt(table: Mapping[str, Any], layers: int) -> Stored:
    """NVIDIA's Model Optimizer: one algorithm, or one per module."""
    algorithm = str(table.get("quant_algo"))
    cache = bool(table.get("kv_cache_scheme") or table.get("kv_cache_quant_algo"))
    kept = {**_sixteen(("embedding",)), **_kept(table.get("ignore") or table.get("exclude_modules"), layers)}
    if algorithm != "MIXED_PRECISION":
        return _named(*_algorithm(algorithm), cache), kept
    modules = table.get("quantized_layers")
    if not isinstance(modules, Mapping):
        _refuse("quantized_layers", f"{modules!r} is not a table of modules")
    votes: dict[str, Counter[str]] = {}
    for module, said in modules.items():
        votes.setdefault(_part(str(module)), Counter())[str(said.get("quant_algo"))] += 1
    forms = {part: _algorithm(count.most_common(1)[0][0])[0] for part, count in votes.items() if part}
    main = forms.get("experts") or forms.get("dense") or next(iter(forms.values()), "bf16")
    rest = {part: forms.get(part, kept.get(part, "bf16")) for part in PARTS if part != "vision"}
    return _named(main, main, cache), {part: form for part, form in rest.items() if form != main}


def _algorithm(name: str) -> tuple[str, str]:
    if name not in _ALGORITHMS:
        _refuse("quant_algo", f"'{name}' is not known; known are {', '.join(_ALGORITHMS)}")
    return _ALGORITHMS[name]


_METHODS = {
    "fp8": _fp8,
    "fbgemm_fp8": _fp8,
    "mxfp4": _mxfp4,
    "awq": _groups,
    "gptq": _groups,
    "compressed-tensors": _compressed,
    "modelopt": _modelopt,
}
