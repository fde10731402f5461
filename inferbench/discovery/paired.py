"""A record and the plugin that reads its table: a chip and its architecture, a network and its workload."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.records.chip import Chip
from inferbench.records.interfaces import Architecture, Workload
from inferbench.records.network import Network

__all__ = ["architecture_of", "workload_of"]


def architecture_of(chip: Chip, registry: Registry) -> Architecture:
    """The plugin of a chip's architecture.

    Args:
        chip: Of a spec, or made in Python.
        registry: Of plugins.

    Raises:
        InferBenchError: No such architecture; a chip whose own table is none of this architecture.

    Example:
        >>> import inferbench
        >>> known = inferbench.installed()
        >>> architecture_of(known.chip("tpu-v5p"), known).name
        'systolic'
    """
    found = registry.architecture(chip.architecture_type)
    _refuse_strange(f"{chip.name}: architecture", chip.architecture, found.params, found.name)
    return found


def workload_of(network: Network, registry: Registry) -> Workload:
    """The plugin of a network's family.

    Args:
        network: Of a spec, or made in Python.
        registry: Of plugins.

    Raises:
        InferBenchError: No such workload; a network whose own table is none of this workload.

    Example:
        >>> import inferbench
        >>> known = inferbench.installed()
        >>> workload_of(known.network("llama3-8b"), known).name
        'transformer'
    """
    found = registry.workload(network.type)
    _refuse_strange(f"{network.name}: params", network.params, found.params, found.name)
    return found


def _refuse_strange(where: str, table: object, expected: type, plugin: str) -> None:
    """Raise unless a record's own table is of the class that its plugin reads, or of one with its fields: a
    notebook that runs a cell again makes another class of it.
    """
    if not isinstance(table, expected) and _fields(type(table)) != _fields(expected):
        given = "dict" if isinstance(table, Mapping) else type(table).__name__
        found = f"{given} is not what '{plugin}' reads"
        raise InferBenchError.at(where, found, f"give a {expected.__module__}.{expected.__qualname__}")


def _fields(kind: type) -> tuple[str, ...] | None:
    return tuple(attrs.fields_dict(kind)) if attrs.has(kind) else None
