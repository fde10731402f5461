"""Situations that a claim describes: a run on a chip with the claim's own facts, weights and options."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

import inferbench as ib
from inferbench_claims.records import ClaimRun

__all__ = ["Situation"]


@attrs.define(eq=False)
class Situation:
    """A run that is evaluated only if a column needs it; its operators cost far less.

    Attributes:
        described: As the file has it.
        system: With the facts that the claim gives.
        network, workload: The work; weights as wide as the claim makes them.
        phase: What the workload does.
        axes: Axis to value.
        registry: Of plugins; its workloads as above.
    """

    described: ClaimRun
    system: ib.System
    network: ib.Network
    workload: ib.Workload
    phase: str
    axes: Mapping[str, float]
    registry: ib.Registry
    _run: ib.Run | None = None
    _ops: tuple[ib.Op, ...] | None = None

    @classmethod
    def of(cls, run: ClaimRun, at: Mapping[str, float], registry: ib.Registry, where: str) -> Situation:
        """Look everything up, put in what the claim gives.

        Raises:
            InferBenchError: Unknown names, facts or axes.
        """
        parsed = ib.SystemName.parse(run.system)
        chip = ib.override(registry.chip(parsed.chip), run.chip, f"{where}: chip")
        name, _, phase = run.workload.rpartition("/")
        network = registry.network(name)
        workload = registry.workload(network.type)
        if not math.isnan(run.weights):
            workload = _WeightsGiven(workload, run.weights)
            registry = registry.with_records("workloads", [workload])
        system = ib.System(chip, parsed.count or 1, parsed.layout)
        axes = _axes(run, {one.name: one.axes for one in workload.phases}, phase, at, where)
        return cls(run, system, network, workload, phase, axes, registry)

    @property
    def run(self) -> ib.Run:
        """The evaluated run."""
        if self._run is None:
            described = self.described
            self._run = ib.run(
                self.system,
                described.workload,
                precision=described.precision,
                stack=described.stack,
                scenario="reference" if self.registry.names("scenarios") else "",
                options=described.options,
                ignore_capacity=True,
                breakdown=False,
                registry=self.registry,
                **self.axes,
            )
        return self._run

    @property
    def ops(self) -> tuple[ib.Op, ...]:
        """The operators of the whole network."""
        if self._ops is None:
            cls, given = self.workload.options, self.described.options
            options = ib.read_spec(given, cls, f"options of {self.workload.name}") if given else cls()
            at = ib.Grid.of(
                {axis: [value] for axis, value in self.axes.items()}, [self.described.precision]
            ).at
            self._ops = tuple(self.workload.graph(self.network, at, self.phase, options))
        return self._ops


def _axes(
    run: ClaimRun,
    phases: Mapping[str, Mapping[str, float]],
    phase: str,
    at: Mapping[str, float],
    where: str,
) -> dict[str, float]:
    """The point: the phase's own values, then the situation's, then those of the expression."""
    if phase not in phases:
        known = ib.suggest(phase, phases) or f"phases are {', '.join(phases)}"
        raise ib.InferBenchError.at(where, f"'{run.workload}' has no phase '{phase}'", known)
    own = phases[phase]
    axes = {**own, **run.at, **at}
    for axis in axes:
        if axis not in own:
            raise ib.InferBenchError.at(
                where,
                f"'{run.workload}' has no axis '{axis}'",
                ib.suggest(axis, own) or f"its axes are {', '.join(own)}",
            )
    return axes


class _WeightsGiven(ib.Workload):
    """A workload whose weights take as many bytes per step as somebody says: every element is as wide as that
    needs. In all else it is the workload that it is made of.
    """

    def __init__(self, inner: ib.Workload, weights: float) -> None:
        self._inner, self._weights = inner, weights

    def __getattribute__(self, name: str) -> Any:
        if name in ("_inner", "_weights", "graph"):
            return object.__getattribute__(self, name)
        return getattr(self._inner, name)

    def graph(self, network: ib.Network, at: ib.Point, phase: str, options: Any) -> Iterator[ib.Op]:
        """Yield the operators with the width of a weight adapted."""
        ops = tuple(self._inner.graph(network, at, phase, options))
        width = self._weights / sum(op.bytes.weights * op.repeat for op in ops)
        adapted: dict[int, Any] = {}
        for op in ops:
            wide = adapted.setdefault(
                id(op.precision), attrs.evolve(op.precision, weights=op.precision.weights * width)
            )
            yield attrs.evolve(op, precision=wide)

    def items(self, network: ib.Network, at: ib.Point, phase: str) -> ib.Numeric:
        """The workload's own."""
        return self._inner.items(network, at, phase)
