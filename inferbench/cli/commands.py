"""The core's commands by name: each is imported when it is called, and its name has an owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from inferbench.discovery.registry import Registry

__all__ = ["COMMANDS", "keep_records", "registry_with_commands"]

COMMANDS = {
    "compare": "Compare systems on the same work: what one would get, how sure, and the bound.",
    "card": "The four metrics of each system together, at the reference workloads.",
    "run": "Run one workload on one system over a grid.",
    "sweep": "Evaluate systems over a whole space of workload points.",
    "query": "Ask a sweep's result in SQL.",
    "list": "List what is installed, and who provides it.",
    "show": "Show every number of a spec, with unit, basis and source.",
    "op": "Cost single operators on one chip.",
    "calibrate": "Fit a stack to measurements, and score it on rows left out.",
    "frontier": "Speed per user against throughput, cost and energy of a serving system.",
    "size": "Find the fewest chips and the cheapest layout that meet a limit.",
    "simulate": "Replay requests on a system: percentiles, goodput, power over time.",
    "validate": "Compare predictions with measurements, row by row.",
    "explain": "Say where a measured time goes: algorithm, hardware, software.",
    "doctor": "Say what is broken, missing or shadowed, and what to do.",
    "check": "Judge a package, a wheel or a spec by the laws of every hook.",
    "plugins": "Say which plugins are installed, whose they are and what they bring.",
    "new": "Write the skeleton of a plugin package.",
}


class CoreCommand(NamedTuple):
    """A command of the core, by its name alone."""

    name: str


CORE = tuple(CoreCommand(name) for name in COMMANDS)


def registry_with_commands() -> Registry:
    """The registry, in which the core's commands own their names."""
    from inferbench.discovery.registry import installed

    registry = installed()
    registry.bring("commands", CORE)
    return registry


def keep_records() -> None:
    """Keep what was read of specs for the next start, if a registry was asked at all."""
    from inferbench.discovery.registry import installed

    if installed.cache_info().currsize:
        installed().keep()
