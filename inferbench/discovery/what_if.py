"""What if: a registry in which chips, networks, nodes or a scenario have other facts than their specs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.records.chip import Chip
from inferbench.records.network import Network
from inferbench.records.node import Node, NodeFile
from inferbench.records.scenario import Scenario, ScenarioFile
from inferbench.specs.override import override, override_table, override_values

__all__ = ["Subjects", "what_if"]

MARK = "*"
"""Stands behind the title of what was changed."""


@attrs.frozen
class Subjects:
    """Whose facts a change may be of.

    Attributes:
        chips: Names, aliases or paths.
        networks: The same.
        scenario: Name or path of the economics; empty for none.
    """

    chips: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    scenario: str = ""


def what_if(
    registry: Registry, changes: Mapping[str, str], subjects: Subjects, where: str = "changes"
) -> Registry:
    """Return a copy of a registry in which some facts are others; `provenance` says which.

    A path is of all chips (`power.tdp`), of one (`b200.power.tdp`), of the node that the chips sit in
    (`system.factor`, or `system` for another node by name or file), of the networks
    (`network.num_hidden_layers`), or of the economics (`scenario.electricity`).

    Args:
        registry: Stays as it is.
        changes: Key path to text with a unit.
        subjects: What is asked about.
        where: What messages call the changes.

    Raises:
        InferBenchError: A path that nothing has, a wrong unit.

    Example:
        >>> import inferbench as ib
        >>> changes = {"power.tdp": "1.2 kW", "scenario.electricity": "0.2 USD/kWh"}
        >>> known = what_if(ib.installed(), changes, Subjects(("b200",), scenario="reference"))
        >>> known.chip("b200").power.tdp, known.get("scenarios", "reference").electricity
        (1200.0, 0.2)
        >>> ib.installed().chip("b200").power.tdp
        1000.0
    """
    if not changes:
        return registry
    chips = {name: registry.chip(name) for name in dict.fromkeys(subjects.chips)}
    networks = {name: registry.network(name) for name in dict.fromkeys(subjects.networks)}
    parts = _Parts({}, {}, {}, {}, {name: {} for name in chips})
    for path, text in changes.items():
        parts.take(path, text, chips)
    found = registry
    if parts.scenario:
        found = _with_scenario(found, subjects.scenario, parts.scenario, where)
    if parts.network:
        given = {"network": parts.network}
        found = _with(found, "networks", networks, lambda one, name: _network(one, given, where))
    if parts.chip or parts.node or any(parts.own.values()):
        found = _with(found, "chips", chips, lambda one, name: _chip(one, name, parts, registry, where))
    found.changes = {**registry.changes, **parts.noted(subjects.scenario, networks, chips)}
    return found


@attrs.frozen
class _Parts:
    """Changes by what they are of."""

    chip: dict[str, str]
    node: dict[str, str]
    network: dict[str, str]
    scenario: dict[str, str]
    own: dict[str, dict[str, str]]

    def take(self, path: str, text: str, chips: Mapping[str, Chip]) -> None:
        """Sort a change in."""
        head, _, rest = path.partition(".")
        groups = {"system": self.node, "network": self.network, "scenario": self.scenario}
        named = next((name for name, chip in chips.items() if head in (name, chip.name)), None)
        if head in groups:
            groups[head][rest] = text
        elif named is not None and rest:
            self.own[named][rest] = text
        else:
            self.chip[path] = text

    def noted(self, scenario: str, networks: Mapping[str, Any], chips: Mapping[str, Any]) -> Any:
        """The same by record: `chips/b200` to paths and texts."""
        node = {f"system.{path}".rstrip("."): text for path, text in self.node.items()}
        named = {f"chips/{name}": {**self.chip, **self.own[name], **node} for name in chips}
        named |= {f"networks/{name}": self.network for name in networks}
        named[f"scenarios/{scenario}"] = self.scenario
        return {name: dict(texts) for name, texts in named.items() if texts}


def _with(registry: Registry, kind: str, records: Mapping[str, Any], change: Any) -> Registry:
    """Put changed records in the places of those of their names; a file keeps its path as its name."""
    if not records:
        singular = kind.removesuffix("s")
        raise InferBenchError.at("--set", f"no {singular} is asked about", f"name a {singular}")
    changed = []
    for written, record in records.items():
        name = written if written.endswith((".toml", ".json")) else record.name
        new = change(record, written)
        title = record.title if record.title.endswith(MARK) else f"{record.title}{MARK}"
        changed.append(new if new is record else attrs.evolve(new, name=name, title=title))
    return registry.with_records(kind, changed)


def _chip(chip: Chip, written: str, parts: _Parts, registry: Registry, where: str) -> Chip:
    facts = {**parts.chip, **parts.own[written]}
    new = override(chip, facts, where) if facts else chip
    return attrs.evolve(new, node=_node(chip, parts.node, registry, where)) if parts.node else new


def _node(chip: Chip, facts: Mapping[str, str], registry: Registry, where: str) -> Node:
    """Another node, or the chip's own with other facts."""
    node = registry.get("systems", facts[""]) if "" in facts else chip.node
    if node is None:
        remedy = "name one: system=dgx-h200, or the path of its file"
        raise InferBenchError.at(f"{where}.system", f"no node of {chip.name} is known", remedy)
    return override_table(
        node, NodeFile, {path: text for path, text in facts.items() if path}, f"{where}.system"
    )


def _network(network: Network, given: Mapping[str, Mapping[str, str]], where: str) -> Network:
    params = override_values(network.params, given["network"], f"{where}.network")
    return attrs.evolve(network, params=params)


def _with_scenario(registry: Registry, name: str, facts: Mapping[str, str], where: str) -> Registry:
    if not name:
        raise InferBenchError.at(f"{where}.scenario", "no economics are asked for", "name a scenario")
    old: Scenario = registry.get("scenarios", name)
    new = override_table(old, ScenarioFile, facts, f"{where}.scenario")
    changed = attrs.evolve(new, name=name, title=f"{old.title}{MARK}")
    return registry.with_records("scenarios", [changed])


def chips_of(systems: Iterable[str]) -> tuple[str, ...]:
    """Names of the chips of systems as they were written: `8xb200:tp8@vllm` is of `b200`."""
    from inferbench.records.system import SystemName

    return tuple(SystemName.parse(one).chip for one in systems)
