"""From an entry's file to its record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from inferbench.discovery.border import fixed
from inferbench.discovery.entries import Entry
from inferbench.discovery.kept import KEPT, Kept
from inferbench.errors import Fault
from inferbench.records.interfaces import Architecture, Workload
from inferbench.records.stack import Stack
from inferbench.records.time_model import TimeModel
from inferbench.specs import assemble
from inferbench.specs.assemble_chip import chip_from
from inferbench.specs.assemble_stack import stack_from

if TYPE_CHECKING:
    from inferbench.specs.measurement_sets import MeasurementSet

__all__ = ["FILES", "Known", "parsed", "recalled"]


def _set_from(text: bytes, name: str, where: str) -> MeasurementSet:
    from inferbench.specs.measurement_sets import set_from

    return set_from(text, name, where)


FILES: dict[str, Callable[[bytes, str, str], Any]] = {
    "measurements": _set_from,
    "scenarios": assemble.scenario_from,
    "suites": assemble.suite_from,
    "systems": assemble.node_from,
}
"""Kinds whose files need no other record to be read; a name that ends in .toml is the path of one."""


class Known(Protocol):
    """What a spec may name, and where doubts about it are kept: the registry."""

    warnings: list[Fault]
    kept: Kept | None

    def chip_file(self, name: str) -> bytes:
        """The file of a chip by name."""

    def architecture(self, name: str) -> Architecture:
        """An architecture by name."""

    def workload(self, name: str) -> Workload:
        """A workload by name."""

    def time_model(self, name: str) -> TimeModel:
        """A time model by name."""

    def stack(self, name: str) -> Stack:
        """A stack by name."""


def parsed(kind: str, entry: Entry, registry: Known) -> Any:
    """Parse the file of an entry; the file itself where the core does not read this kind.

    Args:
        kind: `chips`, …
        entry: With a file.
        registry: Knows the architectures, workloads, time models and stacks that specs name.

    Raises:
        InferBenchError: A faulty file.
    """
    text, where = entry.file.read_bytes(), f"{entry.file.name}"
    if kind == "chips":
        warn = registry.warnings.append
        return chip_from(text, entry.name, where, registry.architecture, warn, registry.chip_file)
    if kind == "networks":
        return assemble.network_from(text, entry.name, where, registry.workload)
    if kind == "stacks":
        return stack_from(text, entry.name, where, registry.stack, registry.time_model)
    return FILES[kind](text, entry.name, where) if kind in FILES else entry.file


def recalled(kind: str, entry: Entry, registry: Known) -> Any:
    """The record of an entry with a file: what was kept of an earlier start, else parsed and kept.

    Args:
        kind, entry, registry: As in `parsed`.

    Raises:
        InferBenchError: A faulty file.
    """
    kept = registry.kept if kind in KEPT else None
    found = None if kept is None else kept.get(kind, entry.name, entry.file)
    if found is not None:
        registry.warnings.extend(found[1])
        return found[0]
    before = len(registry.warnings)
    record = fixed(parsed(kind, entry, registry))
    if kept is not None:
        kept.add(kind, entry.name, entry.file, record, tuple(registry.warnings[before:]))
    return record
