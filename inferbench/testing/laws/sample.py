"""A small world for trying metrics: a chip of round figures, a network of four layers, power and a scenario.

Everything is known: 100 TOP/s in bf16, 200 in fp8, 1 TB/s, 10 GB, 100 W. Times follow the roofline.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import attrs
import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.model.case import prepare
from inferbench.model.evaluate import evaluate
from inferbench.num import Numeric
from inferbench.records.chip import Chip, Link, MemoryLevel, Power, Price, Rental
from inferbench.records.cost import Cost
from inferbench.records.energy import ActivityCounts, Energy
from inferbench.records.grid import Grid, Point
from inferbench.records.interfaces import Architecture, NoParams, Phase, PowerModel, Workload
from inferbench.records.network import Network
from inferbench.records.op import Gemm, Op
from inferbench.records.placement import Site
from inferbench.records.run import Run
from inferbench.records.scenario import Scenario, Suite, SuitePoint
from inferbench.records.system import System
from inferbench.units import Range

__all__ = ["CHIP", "installed_runs", "sample_runs", "sample_world"]


class Sample(Architecture):
    """A roofline."""

    name, title, params = "sample", "Sample", NoParams

    def gemm(self, op: Op, site: Site) -> Cost:
        """Operations over the peak beside bytes over the bandwidth."""
        busy = {"compute": op.useful / site.rate(op), **site.memory_time(op)}
        moved = {f"bytes.{level}": count for level, count in site.traffic(op).items()}
        return Cost(busy=busy, actions={"ops": op.useful, **moved})


@attrs.frozen
class Layers:
    """Equal square products."""

    layers: int = 4
    width: int = 4096


class SampleWorkload(Workload):
    """Products, in three phases."""

    name, title, params = "sample", "Sample", Layers
    phases = (
        Phase("decode", "tpot_s", "token", {"batch": 1.0, "context": 1024.0}, role="token"),
        Phase("prefill", "ttft_s", "token", {"batch": 1.0, "context": 1024.0}, role="prompt"),
        Phase("forward", "latency_s", "image", {"batch": 1.0}),
    )

    def graph(self, network: Network, at: Point, phase: str, options: Any) -> Iterator[Op]:
        """One operator for all layers."""
        rows = at["batch"] * (at["context"] if phase == "prefill" else 1.0)
        width = float(network.params.width)
        yield Gemm(name="layer", precision=at.precision, repeat=4.0, m=rows, n=width, k=width, split=("n",))

    def items(self, network: Network, at: Point, phase: str) -> Numeric:
        """Tokens or images."""
        return at["batch"] * (at["context"] if phase == "prefill" else 1.0)

    def layers(self, network: Network) -> int:
        """Four."""
        return 4


class SamplePower(PowerModel):
    """Half of the limit, always."""

    name, title = "sample", "Sample"

    def accepts(self, chip: Chip) -> str:
        """Every chip."""
        return ""

    def energy(self, counts: ActivityCounts, system: System) -> Energy:
        """Fifty watts a chip."""
        watts = 50.0 * counts.chips + 0.0 * np.asarray(counts.seconds)
        return Energy(joules=watts * counts.seconds, watts=watts)


CHIP = Chip(
    name="sample",
    title="Sample",
    vendor="Nobody",
    architecture_type="sample",
    architecture=NoParams(),
    peak={"bf16": 100e12, "fp8": 200e12},
    memory={"hbm": MemoryLevel(10e9, 1e12)},
    interconnect={"scale_up": Link("sample", 100e9, 1e-6, 8)},
    power=Power(tdp=100.0, idle=10.0),
    price=Price(
        purchase=Range(10e3, 10e3),
        ownership=Range(1.0, 1.0),
        rental=Rental(*(Range(dollars, dollars) for dollars in (1.0, 0.8, 0.5))),
    ),
)
NETWORK = Network(name="sample", title="Sample", type="sample", params=Layers())
SCENARIO = Scenario(
    name="sample",
    title="Sample",
    depreciation=1e8,
    electricity=0.1,
    pue=1.2,
    system_factor=1.2,
    utilization=0.8,
    carbon_intensity=100.0,
)
DECODE = SuitePoint(title="decode", network="sample", phase="decode")
SUITE = Suite(name="sample", title="Sample", points=(DECODE,))


def sample_world(known: Registry) -> Registry:
    """Everything of a registry, and the sample beside it.

    Args:
        known: What is installed; it stays as it is.

    Example:
        >>> sample_world(Registry(load=False)).names("chips")
        ['sample']
    """
    for kind, record in (
        ("architectures", Sample()),
        ("workloads", SampleWorkload()),
        ("power_models", SamplePower()),
        ("chips", CHIP),
        ("networks", NETWORK),
        ("scenarios", SCENARIO),
        ("suites", SUITE),
    ):
        known = known.with_records(kind, [record])
    return known


@cache
def sample_runs() -> tuple[Run, ...]:
    """One run per phase over two batches and two formats, and one whose chip lacks power and prices."""
    known = sample_world(Registry(load=False))
    stack = known.stack("ideal")
    runs = []
    bare = attrs.evolve(CHIP, power=Power(), price=Price())
    cases = [*((CHIP, phase) for phase in SampleWorkload.phases), (bare, SampleWorkload.phases[0])]
    for chip, phase in cases:
        case = prepare(System(chip, 1), NETWORK, phase.name, stack=stack, registry=known, scenario=SCENARIO)
        axes = {name: [1.0, 8.0] if name == "batch" else [value] for name, value in phase.axes.items()}
        runs.append(evaluate(case, Grid.of(axes, ["bf16", "fp8"])))
    return tuple(runs)


def installed_runs(known: Registry) -> Iterator[Run]:
    """A run of one step on an installed chip of each vendor, for metrics of some chips alone.

    Args:
        known: What is installed. The network is the first one that writes tokens.
    """
    stack, served = known.stack("ideal"), _served(known)
    if served is None:
        return
    network, phase = served
    vendors: set[tuple[str, frozenset[str]]] = set()
    for name in known.names("chips"):
        with suppress(InferBenchError):
            chip = known.chip(name)
            sort = chip.vendor, frozenset(chip.memory)
            if sort in vendors:
                continue
            vendors.add(sort)
            system = System(chip, 1)
            case = prepare(system, network, phase.name, stack=stack, registry=known, ignore_capacity=True)
            axes = {axis: [value] for axis, value in phase.axes.items()}
            yield evaluate(case, Grid.of(axes, [next(iter(chip.peak), "bf16")]))


def _served(known: Registry) -> tuple[Network, Phase] | None:
    """The first network that can be read and writes tokens, and the phase in which it does."""
    for name in known.names("networks"):
        with suppress(InferBenchError):
            network = known.network(name)
            phases = known.workload(network.type).phases
            token = next((phase for phase in phases if phase.role == "token"), None)
            if token is not None:
                return network, token
    return None
