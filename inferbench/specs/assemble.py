"""From spec files to records: what each kind of file must satisfy beyond its keys and units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from inferbench.errors import Fault, InferBenchError, raise_if, suggest
from inferbench.records.network import Network, NetworkFile
from inferbench.records.node import Node, NodeFile
from inferbench.records.precision import FORMATS, PrecisionName
from inferbench.records.scenario import Scenario, ScenarioFile, Suite, SuiteFile
from inferbench.specs.ranges import axis_fault
from inferbench.specs.structure import structure
from inferbench.specs.toml import Find, Walked, read_toml, walk

__all__ = [
    "assembled_network",
    "network_from",
    "node_from",
    "scenario_from",
    "suite_from",
    "walk_typed",
]


def walk_typed(
    raw: Mapping[str, Any], section: str, where: str, find: Find, walked: Walked, partial: bool = False
) -> tuple[str, Any, Walked]:
    """Walk `[architecture]` or `[network]` along the class of the plugin that `type` names.

    Args:
        raw: The file.
        section: Which of the two.
        where: How messages call the file.
        find: The plugin by name.
        walked: The file but for this table.
        partial: Whether keys of the table may be absent, since another file has them.

    Raises:
        InferBenchError: No such table or plugin, with what was wrong with the rest of the file.
    """
    table = raw.get(section, {})
    faults = list(walked.faults)
    if section not in raw or not isinstance(table, Mapping):
        raise InferBenchError(faults)
    kind = table.get("type")
    if not isinstance(kind, str):
        plugins = "architecture" if section == "architecture" else "workload"
        remedy = f"add `type`, the name of an installed {plugins} plugin"
        raise InferBenchError([*faults, Fault(f"{where}: {section}.type", "missing key", remedy)])
    try:
        plugin = find(kind)
    except InferBenchError as error:
        named = (attrs.evolve(fault, where=f"{where}: {section}.type = '{kind}'") for fault in error.faults)
        raise InferBenchError([*faults, *named]) from None
    rest = {key: value for key, value in table.items() if key != "type"}
    inner = walk(
        rest,
        plugin.params,
        where,
        sources=walked.sources,
        default=walked.default,
        path=section,
        partial=partial,
    )
    return kind, plugin, inner


def network_from(text: bytes, name: str, where: str, find: Find) -> Network:
    """Build a network; `find` gives the workload plugin by name."""
    raw, _ = read_toml(text, where)
    return assembled_network(raw, name, where, find)


def assembled_network(raw: Mapping[str, Any], name: str, where: str, find: Find) -> Network:
    """Build a network from a raw table; `find` gives the workload plugin by name.

    Raises:
        InferBenchError: With every fault of the table.
    """
    outer = walk(raw, NetworkFile, where)
    kind, plugin, inner = walk_typed(raw, "network", where, find, outer)
    raise_if([*outer.faults, *inner.faults, *_format_faults(outer.values, where)])
    file: NetworkFile = structure(outer.values, NetworkFile, where)
    return Network(
        name=name,
        title=file.title,
        type=kind,
        params=structure(inner.values, plugin.params, where, "network"),
        precision=file.precision,
        block_scales=file.block_scales,
        formats=file.formats,
        published=file.published,
        facts={**outer.facts, **inner.facts},
        note=file.note,
        origin=where,
    )


def _format_faults(values: Mapping[str, Any], where: str) -> Iterable[Fault]:
    """Yield what is wrong with a network's precision and with the formats of its parts."""
    precision, formats = values.get("precision", ""), values.get("formats", {})
    if precision:
        try:
            PrecisionName.parse(precision)
        except InferBenchError as error:
            yield from (attrs.evolve(fault, where=f"{where}: precision") for fault in error.faults)
    elif formats:
        yield Fault(
            f"{where}: formats",
            "given without precision, that of all other parts",
            'add precision = "bf16", or leave formats out',
        )
    for part, name in formats.items():
        if name not in FORMATS:
            remedy = suggest(name, FORMATS, models=False) or f"known: {', '.join(FORMATS)}"
            yield Fault(f"{where}: formats.{part}", f"unknown number format '{name}'", remedy)


def scenario_from(text: bytes, name: str, where: str) -> Scenario:
    """Build an economic scenario."""
    raw, _ = read_toml(text, where)
    walked = walk(raw, ScenarioFile, where)
    raise_if(walked.faults)
    file: ScenarioFile = structure(walked.values, ScenarioFile, where)
    return Scenario(
        name=name,
        title=file.title,
        depreciation=file.depreciation,
        electricity=file.electricity,
        pue=file.pue,
        system_factor=file.system_factor,
        utilization=file.utilization,
        carbon_intensity=file.carbon_intensity,
        facts=walked.facts,
        note=file.note,
        origin=where,
    )


def node_from(text: bytes, name: str, where: str) -> Node:
    """Build a node: what a server adds to its chips."""
    raw, _ = read_toml(text, where)
    walked = walk(raw, NodeFile, where)
    raise_if(walked.faults)
    file: NodeFile = structure(walked.values, NodeFile, where)
    known = {field.name: getattr(file, field.name) for field in attrs.fields(NodeFile)}
    rest = {key: value for key, value in known.items() if key not in ("source", "sources")}
    return Node(name=name, facts=walked.facts, origin=where, **rest)


def suite_from(text: bytes, name: str, where: str) -> Suite:
    """Build a suite of workload points."""
    raw, _ = read_toml(text, where)
    walked = walk(raw, SuiteFile, where)
    raise_if(walked.faults)
    file: SuiteFile = structure(walked.values, SuiteFile, where)
    raise_if(
        Fault(f"{where}: points.{i}.{name}", fault.found, fault.remedy.partition(";")[0])
        for i, point in enumerate(file.points)
        for name, value in (("batch", point.batch), ("context", point.context))
        if not isinstance(value, str) and (fault := axis_fault(value, name)) is not None
    )
    return Suite(
        name=name, title=file.title, points=file.points, space=file.space, note=file.note, origin=where
    )
