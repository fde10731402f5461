"""What plugins may bring: each kind with its record class, and the records that the core brings itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

from inferbench._version import DISTRIBUTION
from inferbench.discovery.entries import Entry
from inferbench.discovery.pools import INLINE, PROCESSES
from inferbench.discovery.shield import shielded
from inferbench.errors import Fault, InferBenchError, closest
from inferbench.records.roofline import ROOFLINE
from inferbench.records.stack import IDEAL
from inferbench.text import visible

__all__ = ["ANY", "BROUGHT", "KINDS", "expanded", "record_class", "unknown"]

# Kind -> (record class below `inferbench.records`, singular for messages); the hook is `inferbench_<kind>`.
# A class is imported when a record of its kind is asked for.
KINDS: dict[str, tuple[str, str]] = {
    "chips": ("chip.Chip", "chip"),
    "networks": ("network.Network", "network"),
    "stacks": ("stack.Stack", "stack"),
    "systems": ("node.Node", "system"),
    "scenarios": ("scenario.Scenario", "scenario"),
    "suites": ("scenario.Suite", "suite"),
    "claims": ("", "set of claims"),
    "architectures": ("interfaces.Architecture", "architecture"),
    "workloads": ("interfaces.Workload", "workload"),
    "fabrics": ("interfaces.Fabric", "fabric"),
    "power_models": ("interfaces.PowerModel", "power model"),
    "time_models": ("time_model.TimeModel", "time model"),
    "metrics": ("run.Metric", "metric"),
    "importers": ("measurement.Importer", "importer"),
    "measurements": ("", "measurement set"),
    "tables": ("published.PublishedTable", "table"),
    "executors": ("executor.Executor", "executor"),
    "renderers": ("interfaces.Renderer", "renderer"),
    "plots": ("figure.Plot", "plot"),
    "commands": ("", "command"),
}
_APART = " \t\n/,"
"""What parts names from each other, or from what follows them."""
ANY = "*"
"""In the table `[systems]` of the aliases: the node of every chip that stands in none of its own."""
BROUGHT: dict[str, tuple[Any, ...]] = {
    "stacks": (IDEAL,),
    "executors": (INLINE, PROCESSES),
    "time_models": (ROOFLINE,),
}


@cache
def record_class(kind: str) -> type | None:
    """Return the class of a kind's records; None where plugins may bring any.

    Example:
        >>> record_class("chips")
        <class 'inferbench.records.chip.Chip'>
    """
    module, _, name = KINDS[kind][0].partition(".")
    found: type | None = getattr(import_module(f"inferbench.records.{module}"), name) if name else None
    return found


def expanded(kind: str, record: Any, owner: str, version: str) -> Iterator[Entry]:
    """Yield the entries of what a hook gave: a record, or the files of a folder.

    Args:
        kind: `chips`, …
        record: As given.
        owner, version: Of the distribution.

    Raises:
        TypeError: It is no record of the kind, or has no name.
    """
    expected, singular = record_class(kind), KINDS[kind][1]
    if hasattr(record, "iterdir") and hasattr(record, "joinpath"):
        for file in sorted(record.iterdir(), key=lambda f: f.name):
            if file.name.endswith(".toml"):
                yield Entry(_typed(file.name.removesuffix(".toml"), singular), owner, version, file=file)
    elif expected is not None and not isinstance(record, expected):
        raise TypeError(f"expected {expected.__name__}, got {type(record).__name__} ({record!r:.60})")
    elif getattr(record, "name", None) is None:
        raise TypeError(f"this {singular} has no name: {record!r:.60}")
    else:
        name, title = _typed(record.name, singular), getattr(record, "title", "")
        if not isinstance(title, str):
            raise TypeError(f"the title of the {singular} '{name}' is no text: {title!r:.60}")
        yield Entry(name, owner, version, shielded(kind, record, owner))


def _typed(name: Any, singular: str) -> str:
    """A name, which people type in one word and read."""
    if not isinstance(name, str) or not name or name != visible(name) or set(name) & set(_APART):
        raise TypeError(f"the name of a {singular} is no word that can be typed: {name!r:.60}")
    return name


def unknown(kind: str, name: str, installed: list[str], problems: int) -> InferBenchError:
    """The error for a name that no record of a kind has: what is installed, and the closest spelling.

    Args:
        kind: `chips`, …
        name: As written.
        installed: Names of the kind.
        problems: How many were found while loading.
    """
    singular = KINDS[kind][1]
    if not installed:
        package = "inferbench-specs" if kind in ("chips", "networks") else f"{DISTRIBUTION}[all]"
        return InferBenchError.at(name, f"no {singular} is installed", f"pip install '{package}'")
    near = closest(name, installed) or closest(name.lower(), installed)
    hint = f"did you mean '{near}'?" if near else ""
    shown = ", ".join(installed[:12]) + (", …" if len(installed) > 12 else "")
    doctor = f"problems found: {problems}, see inferbench doctor" if problems else ""
    fault = Fault(
        name,
        f"unknown {singular}",
        " · ".join(p for p in (hint, f"inferbench list {kind}", doctor) if p),
        code="unknown-name",
        detail=f"installed are {shown}",
        near=near,
    )
    return InferBenchError([fault])
