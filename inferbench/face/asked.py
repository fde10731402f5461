"""What verbs read alike: names, times, whole numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.records.interfaces import Phase
from inferbench.records.network import Network
from inferbench.records.scenario import Scenario
from inferbench.specs.ranges import Axis, points_of
from inferbench.units import Unit
from inferbench.units import parse as quantity

__all__ = ["duration", "find", "listed", "one_number", "one_phase", "scenario_of", "served", "split_workload"]

T = TypeVar("T")
_TIME = Unit("s", "a time", "20 ms", zero=True)
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
    return find("scenario", name, lambda one: known.get("scenarios", one)) if name else None


def split_workload(workload: str) -> tuple[str, str]:
    """Split `network/phase`.

    Raises:
        InferBenchError: There is no slash in it.
    """
    name, _, phase = workload.rpartition("/")
    if not name:
        found = "a workload is written network/phase"
        remedy = f"for example {workload or 'llama3-70b'}/decode"
        raise InferBenchError.of_argument("workload", found, remedy, workload)
    return name, phase


def one_phase(workload: str, known: Registry) -> tuple[Network, Phase]:
    """Look up the network and the phase of `network/phase`.

    Raises:
        InferBenchError: Either is not known.
    """
    name, phase = split_workload(workload)
    network = find("workload", name, known.network)
    phases = {one.name: one for one in known.workload(network.type).phases}
    if phase not in phases:
        found = f"'{phase}' is no phase of {network.type}"
        raise InferBenchError.of_argument("workload", found, f"phases are {', '.join(phases)}", workload)
    return network, phases[phase]


def served(workload: str, known: Registry) -> Network:
    """Look up a network that has prompts and tokens; a phase beside its name is refused."""
    name, _, phase = workload.rpartition("/")
    if name and phase in ("prefill", "decode", "generate"):
        found = "serving has all phases at once"
        raise InferBenchError.of_argument("workload", found, "", workload, workload=name)
    network = find("workload", workload, known.network)
    phases = [one.name for one in known.workload(network.type).phases]
    if not {"prefill", "decode"} <= set(phases):
        found = f"{network.title} has no prompts and tokens to serve: its phases are {', '.join(phases)}"
        remedy = "name a language model, for example llama3-70b"
        raise InferBenchError.of_argument("workload", found, remedy, workload)
    return network


def duration(time: str | float | None, argument: str) -> float:
    """Read seconds or text like `20ms`, of a time per token also a rate per user; infinity if none is given.

    Example:
        >>> duration("20ms", "tpot"), duration("50tok/s", "tpot"), duration(None, "tpot")
        (0.02, 0.02, inf)
    """
    if time is None:
        return math.inf
    rate = _RATE.fullmatch(time.strip()) if isinstance(time, str) and "tpot" in argument else None
    if rate and float(rate["rate"]) > 0:
        return 1.0 / float(rate["rate"])
    try:
        return quantity(time if isinstance(time, str) else f"{time!r} s", _TIME)
    except ValueError as error:
        raise InferBenchError.of_argument(argument, str(error), **{argument: "20ms"}) from None


def one_number(value: Axis | None, argument: str, default: float) -> float:
    """Read a single whole number of at least 1."""
    if value is None:
        return default
    points = points_of(value, argument)
    if points.count != 1 or points.largest:
        found = f"'{points}' is not one whole number of at least 1"
        raise InferBenchError.of_argument(argument, found, **{argument: int(default)})
    return float(points.values()[0])
