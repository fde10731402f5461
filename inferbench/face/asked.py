"""What verbs read alike: names, times, whole numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs

from inferbench.discovery.paired import workload_of
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.records.interfaces import Phase
from inferbench.records.network import Network
from inferbench.records.scenario import Scenario
from inferbench.specs.ranges import Axis, points_of
from inferbench.units import Unit
from inferbench.units import parse as quantity

__all__ = [
    "duration",
    "example_chips",
    "example_workload",
    "find",
    "listed",
    "one_number",
    "one_phase",
    "phases_of",
    "refuse_many",
    "scenario_of",
    "served",
    "serves",
    "split_workload",
]

T = TypeVar("T")
_TIME = Unit("s", "a time", "20 ms", zero=True)
SPEED = "speed"
"""The argument that is a rate of tokens; a time per token says the same."""
_RATE = re.compile(r"(?P<rate>[0-9]+(?:\.[0-9]+)?)\s*(?:tok|token|tokens)/s")


def listed(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Read one name, several, or none.

    Example:
        >>> listed("b200"), listed(None)
        (('b200',), ())
    """
    return (names,) if isinstance(names, str) else tuple(names or ())


def find(argument: str, name: str, get: Callable[[str], T]) -> T:
    """Look a name up; what says that it is not known also says which argument it was given for.

    Example:
        >>> find("stack", "ideal", installed().stack).name                      # doctest: +SKIP
        'ideal'
    """
    try:
        return get(name)
    except InferBenchError as error:
        faults = [
            attrs.evolve(fault, argument=argument) if (fault.where, fault.argument) == (name, "") else fault
            for fault in error.faults
        ]
        raise type(error)(faults) from None


def scenario_of(known: Registry, name: str | None) -> Scenario | None:
    """Look up an economic scenario; None where none is wanted."""
    return None if name is None else find("scenario", name, lambda one: known.get("scenarios", one))


def refuse_many(points: int, most: int) -> None:
    """Refuse a grid that would fill memory or a screen for minutes, before it is evaluated."""
    if points > most:
        found = f"{points:,} points are too many at once; {most:,} are the most here"
        remedy = "take fewer points of an axis, or inferbench sweep, which writes to disk"
        raise InferBenchError.at("grid", found, remedy)


def example_chips(known: Registry, count: int = 1) -> list[str]:
    """Chips that are installed, for what a message proposes."""
    return known.names("chips")[:count] or ["CHIP"]


def example_workload(known: Registry | None, network: str = "") -> str:
    """A phase of a network, or else the first point of an installed suite, for what a message proposes."""
    if known is None:
        return f"{network or 'NETWORK'}/PHASE"
    if network:
        phases = phases_of(network, known)
        return f"{network}/{phases[0] if phases else 'PHASE'}"
    suites = (known.get("suites", name) for name in known.names("suites"))
    point = next((one for suite in suites for one in suite.points), None)
    return f"{point.network}/{point.phase}" if point else "NETWORK/PHASE"


def phases_of(network: str, known: Registry) -> list[str]:
    """Phases of a network; none where no network has this name."""
    try:
        return [one.name for one in known.workload(known.network(network).type).phases]
    except InferBenchError:
        return []


def split_workload(workload: str, known: Registry | None = None) -> tuple[str, str]:
    """Split `network/phase`.

    Args:
        workload: As written.
        known: Where an example is taken from.

    Raises:
        InferBenchError: There is no slash in it.
    """
    name, _, phase = workload.rpartition("/")
    if not name:
        found = "a workload is written network/phase"
        remedy = f"for example {example_workload(known, workload)}"
        raise InferBenchError.of_argument("workload", found, remedy, workload)
    return name, phase


def one_phase(workload: str, known: Registry) -> tuple[Network, Phase]:
    """Look up the network and the phase of `network/phase`.

    Raises:
        InferBenchError: Either is not known.
    """
    name, phase = split_workload(workload, known)
    network = find("workload", name, known.network)
    phases = {one.name: one for one in workload_of(network, known).phases}
    if phase not in phases:
        found = f"'{phase}' is no phase of {network.type}"
        raise InferBenchError.of_argument("workload", found, f"phases are {', '.join(phases)}", workload)
    return network, phases[phase]


def served(workload: str, known: Registry) -> Network:
    """Look up a network that has prompts and tokens; a phase beside its name is refused."""
    name, _, phase = workload.rpartition("/")
    if name and phase in phases_of(name, known):
        found = "serving has all phases at once"
        raise InferBenchError.of_argument("workload", found, "", workload, workload=name)
    network = find("workload", workload, known.network)
    serves = workload_of(network, known)
    if serves.of_role("prompt") is None or serves.of_role("token") is None:
        phases = ", ".join(one.name for one in serves.phases)
        found = f"{network.title} has no prompts and tokens to serve: its phases are {phases}"
        remedy = f"name a language model, for example {example_workload(known).rpartition('/')[0]}"
        raise InferBenchError.of_argument("workload", found, remedy, workload)
    return network


def serves(network: Network, known: Registry) -> bool:
    """Whether a network has prompts and tokens to serve."""
    workload = workload_of(network, known)
    return workload.of_role("prompt") is not None and workload.of_role("token") is not None


def duration(time: str | float | None, argument: str) -> float:
    """Read seconds or text like `20ms`, of a time per token also a rate per user; infinity if none is given.

    Example:
        >>> duration("20ms", "tpot"), duration("50tok/s", "tpot"), duration(None, "tpot")
        (0.02, 0.02, inf)
    """
    if time is None:
        return math.inf
    rate = (
        _RATE.fullmatch(time.strip())
        if isinstance(time, str) and ("tpot" in argument or argument == SPEED)
        else None
    )
    if rate and float(rate["rate"]) > 0:
        return 1.0 / float(rate["rate"])
    example = "30tok/s" if argument == SPEED else "20ms"
    try:
        found = quantity(time if isinstance(time, str) else f"{float(time)!r} s", _TIME)
        if found > 0:
            return found
        raise ValueError(f"{time} is no limit")
    except ValueError as error:
        raise InferBenchError.of_argument(argument, str(error), **{argument: example}) from None


def one_number(value: Axis | None, argument: str, default: float) -> float:
    """Read a single whole number of at least 1."""
    if value is None:
        return default
    points = points_of(value, argument)
    if points.count != 1 or points.largest:
        found = f"'{points}' is not one whole number of at least 1"
        raise InferBenchError.of_argument(argument, found, **{argument: int(default)})
    return float(points.values()[0])
