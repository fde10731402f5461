"""Hugging Face `config.json` files -> networks: the file, what lies beside it, the workload that reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from inferbench.errors import InferBenchError, passes
from inferbench.files import read_text
from inferbench.records.interfaces import Workload
from inferbench.records.network import Network
from inferbench.specs.assemble import assembled_network

__all__ = ["network_from_config", "read_config_file"]

_BESIDE = "hf_quant_config.json"


def read_config_file(path: str) -> dict[str, Any]:
    """Read a config; how NVIDIA's tools quantised the network may stand in a file beside it.

    Raises:
        InferBenchError: It can't be read, or is no JSON object.
    """
    config = _json_object(path)
    beside = Path(path).with_name(_BESIDE)
    if not config.get("quantization_config") and beside.is_file():
        table = _json_object(str(beside)).get("quantization")
        if isinstance(table, dict):
            config["quantization_config"] = {"quant_method": "modelopt", **table}
    return config


def _json_object(path: str) -> dict[str, Any]:
    try:
        config = json.loads(read_text(path))
    except OSError as error:
        raise InferBenchError.at(
            path, f"can't be read: {error.strerror}", "give the path of a Hugging Face config.json"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InferBenchError.at(path, f"not valid JSON: {error}", "download the file again") from None
    if not isinstance(config, dict):
        raise InferBenchError.at(path, "no JSON object", "give the path of a Hugging Face config.json")
    return config


def network_from_config(config: Mapping[str, Any], path: str, workloads: Iterable[Workload]) -> Network:
    """Build a network from a config that some workload plugin understands.

    Besides the keys of `[network]` a workload may return `precision` and `formats`, those of the whole file,
    and `unread`, the parts that it leaves out.

    Raises:
        InferBenchError: Nobody reads it, or its reader finds a fault.
    """
    for workload in workloads:
        table = _ask(workload, config, path)
        if table is not None:
            title = str(config.get("_name_or_path") or path)
            stored = {key: table[key] for key in ("precision", "formats") if key in table}
            shape = {key: value for key, value in table.items() if key not in {*stored, "unread"}}
            raw = {"title": title, **stored, "network": {"type": workload.name, **shape}}
            built = assembled_network(raw, path, path, lambda _, found=workload: found)  # type: ignore[misc]
            return attrs.evolve(built, unread=tuple(table.get("unread", ())))
    raise InferBenchError.at(
        path, f"no installed workload reads configs of {_what(config)}", "see `inferbench list workloads`"
    )


def _what(config: Mapping[str, object]) -> str:
    """Name what kind of network a config is of, as far as it says."""
    classes = config.get("architectures") or config.get("_class_name")
    listed = ", ".join(map(str, classes)) if isinstance(classes, list) else str(classes or "")
    kind = config.get("model_type")
    if kind is None and listed:
        return f"class {listed}"
    return f"model_type '{kind or '(none)'}'" + (f" ({listed})" if listed else "")


def _ask(workload: Workload, config: Mapping[str, object], path: str) -> Mapping[str, Any] | None:
    """Ask one workload; its faults name the file that was given, and nothing in a file is our bug."""
    try:
        return workload.read_config(config)
    except InferBenchError as error:
        named = (
            attrs.evolve(fault, where=fault.where.replace("config.json", path, 1)) for fault in error.faults
        )
        raise InferBenchError(named) from None
    except BaseException as error:
        if passes(error):
            raise
        whose = f"the workload '{workload.name}' of {type(workload).__module__.partition('.')[0]}"
        said = f"{whose} can't read it: {type(error).__name__}: {error}"
        raise InferBenchError.at(
            path, said, "take the complete config.json that the network was published with"
        ) from error
