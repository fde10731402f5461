"""What plugins may bring: each kind with its record class, and the records that the core brings itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inferbench.discovery.entries import Entry
from inferbench.discovery.pools import INLINE, PROCESSES, Executor
from inferbench.records.chip import Chip
from inferbench.records.figure import Plot
from inferbench.records.interfaces import Architecture, Fabric, PowerModel, Renderer, Workload
from inferbench.records.measurement import Importer
from inferbench.records.network import Network
from inferbench.records.node import Node
from inferbench.records.published import PublishedTable
from inferbench.records.run import Metric
from inferbench.records.scenario import Scenario, Suite
from inferbench.records.stack import Stack

__all__ = ["ANY", "BROUGHT", "IDEAL", "KINDS", "expanded"]

# Kind -> (record class, singular for messages); the hook is `inferbench_<kind>`.
KINDS: dict[str, tuple[type | None, str]] = {
    "chips": (Chip, "chip"),
    "networks": (Network, "network"),
    "stacks": (Stack, "stack"),
    "systems": (Node, "system"),
    "scenarios": (Scenario, "scenario"),
    "suites": (Suite, "suite"),
    "claims": (None, "set of claims"),
    "architectures": (Architecture, "architecture"),
    "workloads": (Workload, "workload"),
    "fabrics": (Fabric, "fabric"),
    "power_models": (PowerModel, "power model"),
    "metrics": (Metric, "metric"),
    "importers": (Importer, "importer"),
    "measurements": (None, "measurement set"),
    "tables": (PublishedTable, "table"),
    "executors": (Executor, "executor"),
    "renderers": (Renderer, "renderer"),
    "plots": (Plot, "plot"),
    "commands": (None, "command"),
}
IDEAL = Stack(
    name="ideal", title="Ideal software: efficiency 1, full overlap, no launch, no host", origin="inferbench"
)
ANY = "*"
"""In the table `[systems]` of the aliases: the node of every chip that stands in none of its own."""
BROUGHT: dict[str, tuple[Any, ...]] = {"stacks": (IDEAL,), "executors": (INLINE, PROCESSES)}


def expanded(kind: str, record: Any, owner: str, version: str) -> Iterator[Entry]:
    """Yield the entries of what a hook gave: a record, or the files of a folder.

    Args:
        kind: `chips`, …
        record: As given.
        owner, version: Of the distribution.

    Raises:
        TypeError: It is no record of the kind, or has no name.
    """
    expected, singular = KINDS[kind]
    if hasattr(record, "iterdir") and hasattr(record, "joinpath"):
        for file in sorted(record.iterdir(), key=lambda f: f.name):
            if file.name.endswith(".toml"):
                yield Entry(file.name.removesuffix(".toml"), owner, version, file=file)
    elif expected is not None and not isinstance(record, expected):
        raise TypeError(f"expected {expected.__name__}, got {type(record).__name__} ({record!r:.60})")
    elif getattr(record, "name", None) is None:
        raise TypeError(f"this {singular} has no name: {record!r:.60}")
    else:
        yield Entry(str(record.name), owner, version, record)
