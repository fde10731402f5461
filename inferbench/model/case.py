"""`Case`: everything an evaluation needs, looked up once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from inferbench.discovery.paired import architecture_of, workload_of
from inferbench.errors import InferBenchError, blamed_on
from inferbench.records.chip import Chip
from inferbench.records.choice import Choice
from inferbench.records.grid import Point
from inferbench.records.immutable import frozen
from inferbench.records.interfaces import Architecture, Phase, PowerModel, Workload
from inferbench.records.network import Network
from inferbench.records.op import Op
from inferbench.records.reserve import Reserve
from inferbench.records.scenario import Scenario
from inferbench.records.stack import Stack
from inferbench.records.system import Layout, System

if TYPE_CHECKING:
    from inferbench.discovery.registry import Registry

__all__ = ["Case", "prepare"]


@frozen(eq=False)
class Case:
    """Everything an evaluation needs, looked up once.

    Attributes:
        choice: The software, and why this one.
        layers: Layers that pipeline stages divide.
        fabric: Fabric plugin by name.
        ignore_capacity: Whether everything fits by decree.
        reserve: Memory that the engine keeps for itself.
        breakdown: Whether to keep a row per operator.
        intervals: Whether to ask how far power may be off; sweeps, which write no intervals, don't.
        bare: Whether time, power and room are all that is asked: no errors, and nothing of what lies outside
            the stack's box. Searches don't read these of every step.
        causes: Whether to ask what a step's time goes to.
        boxed: Whether to ask which points lie outside the stack's box.
        ideal: Whether to ask what the step takes on ideal software: its duration, the bound, and what one
            chip does alone; NaN where nobody asks and nothing rests on it.
        graphs: Graphs built already, by work and point, and what a layout makes of them, under one network
            and its options; None to remember none.
        beside: Layouts that a search asks for too: their operators are costed in one call, where graphs are
            kept.
        asked_at: What each of these is asked at, arrays of one shape; None: all at the same points.
        rooms: Chips with the memory that is left, by chip and reserve: each is made and checked once.
    """

    system: System
    network: Network
    workload: Workload
    phase: Phase
    options: Any
    architecture: Architecture
    choice: Choice
    tuning: Any
    power: PowerModel | None
    power_why: str
    scenario: Scenario | None
    layers: int
    registry: Registry
    ignore_capacity: bool = False
    reserve: Reserve = attrs.field(factory=Reserve)
    breakdown: bool = False
    intervals: bool = True
    bare: bool = False
    causes: bool = True
    boxed: bool = True
    ideal: bool = True
    graphs: dict[Any, Any] | None = attrs.field(default=None, repr=False)
    beside: tuple[Layout, ...] = attrs.field(default=(), repr=False)
    asked_at: Callable[[Layout], Point] | None = attrs.field(default=None, repr=False)
    rooms: dict[tuple[int, Reserve], tuple[Chip, Chip]] = attrs.field(factory=dict, repr=False)

    @property
    def chip(self) -> Chip:
        """The chip."""
        return self.system.chip

    @property
    def room(self) -> Chip:
        """The chip with the memory that the engine leaves to weights, cache and activations."""
        if not self.reserve:
            return self.chip
        known = self.rooms.get((id(self.chip), self.reserve))
        if known is None:
            known = self.rooms[id(self.chip), self.reserve] = self.chip, self._room()
        return known[1]

    def _room(self) -> Chip:
        level = self.chip.memory[self.chip.main]
        left = attrs.evolve(level, capacity=level.capacity - self.reserve.of(level.capacity))
        return attrs.evolve(self.chip, memory={**self.chip.memory, self.chip.main: left})

    @property
    def stack(self) -> Stack:
        """The software."""
        return self.choice.stack

    @property
    def asks_ideal(self) -> bool:
        """Whether somebody reads what ideal software takes, or the stack's own times rest on it."""
        return self.ideal or self.stack.ideal or self.stack.overlap_across.share > 0

    def graph(self, at: Point) -> tuple[Op, ...]:
        """The whole model's operators at a point."""
        if self.graphs is None:
            return self._graph(at)
        key = self.built_at(at)
        if key not in self.graphs:
            self.graphs[key] = self._graph(at)
        found: tuple[Op, ...] = self.graphs[key]
        return found

    def built_at(self, at: Point) -> tuple[Any, ...]:
        """What tells graphs apart under the same options: the work, precisions and coordinates."""
        named = ((name, np.shape(x), np.asarray(x).tobytes()) for name, x in at.coordinates.items())
        return self.workload, self.phase.name, at.precision.points, at.precision.weights.shape, *named

    def _graph(self, at: Point) -> tuple[Op, ...]:
        with blamed_on(f"{type(self.workload).__module__}: {self.workload.name}.graph"):
            return tuple(self.workload.graph(self.network, at, self.phase.name, self.options))


def prepare(
    system: System,
    network: Network,
    phase: str,
    *,
    stack: Stack | Choice,
    registry: Registry,
    options: Mapping[str, Any] | None = None,
    scenario: Scenario | None = None,
    ignore_capacity: bool = False,
    reserve: Reserve | str | float | None = None,
    breakdown: bool = False,
) -> Case:
    """Look up the plugins that a system and a network name, and type the options.

    Args:
        system: With its chip.
        network: What runs.
        phase: Of the network's workload.
        stack: The software, or the choice of it.
        registry: Of plugins.
        options: Of the workload.
        scenario: Economics.
        ignore_capacity: Whether everything fits by decree.
        reserve: Memory that the engine keeps for itself, `0.1` or `"8 GB"` of each chip; None: what such
            software usually keeps.
        breakdown: Whether to keep a row per operator.

    Raises:
        InferBenchError: Unknown phase or option; a stack that does not apply to the architecture.
    """
    from inferbench.specs.options import structured, structured_tuning

    workload = workload_of(network, registry)
    phases = {one.name: one for one in workload.phases}
    if phase not in phases:
        found, remedy = f"'{phase}' is no phase of {workload.name}", f"phases are {', '.join(phases)}"
        raise InferBenchError.at(f"{network.name}/{phase}", found, remedy)
    architecture = architecture_of(system.chip, registry)
    choice = stack if isinstance(stack, Choice) else Choice.of(stack, system.chip.name)
    stack = choice.stack
    if stack.architectures and architecture.name not in stack.architectures:
        runs_on = ", ".join(stack.architectures)
        found = f"'{stack.name}' applies to {runs_on}; {system.chip.name} is {architecture.name}"
        remedy = "use {give}, or a stack fitted for this architecture"
        raise InferBenchError.of_argument("stack", found, remedy, stack.name, stack="ideal")
    power, why = _power(system.chip, stack, registry)
    return Case(
        system,
        network,
        workload,
        phases[phase],
        structured(workload, options or {}),
        architecture,
        choice,
        structured_tuning(architecture, stack, registry.kept),
        power,
        why,
        scenario,
        workload.layers(network),
        registry,
        ignore_capacity,
        _reserve(reserve, stack, architecture, system),
        breakdown,
    )


def _reserve(
    asked: Reserve | str | float | None, stack: Stack, architecture: Architecture, system: System
) -> Reserve:
    """What an engine keeps: what was asked for; else nothing under ideal software, what its stack says, or
    what engines on such chips usually do, and their workspace where several chips work together.
    """
    if asked is not None:
        return asked if isinstance(asked, Reserve) else Reserve.parse(asked)
    if stack.ideal:
        return Reserve()
    share = architecture.reserve if stack.host.reserve is None else stack.host.reserve
    link = system.chip.interconnect.get("scale_up") if system.count > 1 else None
    known = link is not None and not math.isnan(link.workspace)
    return Reserve(share, link.workspace if link is not None and known else 0.0)


def _power(chip: Chip, stack: Stack, registry: Registry) -> tuple[PowerModel | None, str]:
    """The power model that serves a chip, with the stack's figures in it, or why none does."""
    from inferbench.specs.options import power_under

    model, why = registry.power_model(chip)
    return (None if model is None else power_under(model, chip, stack, registry.kept)), why
