"""A plugin in a single file: a chip, its architecture, a network, its workload, a fabric, a metric and a
scenario.

The core's tests run on it, so that they pass with nothing else installed; it is also what `-p FILE.py` loads.
Numbers are round so that expected values can be reckoned by hand: 100 TOP/s in bf16, 200 in fp8, 1 TB/s, 600
MB.
"""

import numpy as np

import inferbench as ib


@ib.frozen
class Params:
    units: int = 1


class Toy(ib.Architecture):
    name = "toy"
    title = "Toy architecture"
    params = Params

    def gemm(self, op, site):
        return ib.Cost(
            busy={"compute": op.useful / site.rate(op), **site.memory_time(op)}, actions={"ops": op.useful}
        )


@ib.frozen
class Mlp:
    layers: int
    width: int


@ib.frozen
class Options:
    head: bool = True


class ToyWorkload(ib.Workload):
    """`layers` square products of `width`, cut along k, and a head of the same size."""

    name = "toy-mlp"
    title = "Toy MLP"
    params = Mlp
    options = Options
    phases = (ib.Phase("decode", "tpot_s", "token", {"batch": 1.0, "context": 16.0}),)

    def graph(self, network, at, phase, options):
        p, width = network.params, float(network.params.width)
        common = {"precision": at.precision, "m": at["batch"], "n": width, "k": width}
        yield ib.Gemm(name="layer", repeat=float(p.layers), split=("k",), **common)
        if options.head:
            yield ib.Gemm(name="head", unit="head", split=("vocab",), **common)

    def items(self, network, at, phase):
        return at["batch"]

    def layers(self, network):
        return network.params.layers

    def warnings(self, network, at, phase):
        if at["context"] > 32:
            yield f"context {at['context']:,.0f} is beyond the 32 positions of {network.title}"


class ToyFabric(ib.Fabric):
    """Every collective moves its payload once and waits one hop."""

    name = "toy-bus"
    title = "Toy bus"

    def cost(self, collective, link, layout):
        return ib.Cost(
            busy={"network": collective.payload / link.bandwidth},
            exposed={"hops": link.latency * np.ones(())},
        )


@ib.hookimpl
def inferbench_architectures():
    yield Toy()


@ib.hookimpl
def inferbench_workloads():
    yield ToyWorkload()


@ib.hookimpl
def inferbench_fabrics():
    yield ToyFabric()


TOY = ib.Source(title="Made up for tests", basis="estimate")
FIGURES = (
    ("peak.bf16", 100e12, "OP/s"),
    ("peak.fp8", 200e12, "OP/s"),
    ("memory.hbm.capacity", 600e6, "B"),
    ("memory.hbm.bandwidth", 1e12, "B/s"),
    ("interconnect.scale_up.bandwidth", 100e9, "B/s"),
    ("interconnect.scale_up.latency", 1e-6, "s"),
)


@ib.hookimpl
def inferbench_chips():
    yield ib.Chip(
        name="toy-chip",
        title="Toy chip",
        vendor="Toy",
        architecture_type="toy",
        architecture=Params(),
        peak={"bf16": 100e12, "fp8": 200e12},
        memory={"hbm": ib.MemoryLevel(600e6, 1e12)},
        interconnect={"scale_up": ib.Link("toy-bus", 100e9, 1e-6, 8)},
        facts={path: ib.Fact(path, value, unit, TOY) for path, value, unit in FIGURES},
    )


@ib.hookimpl
def inferbench_networks():
    yield ib.Network(name="toy-net", title="Toy net", type="toy-mlp", params=Mlp(layers=4, width=10000))


@ib.hookimpl
def inferbench_metrics():
    yield ib.Metric("tpot_s", "time per token", "s", "lower", lambda run: run.seconds, order=10)


@ib.hookimpl
def inferbench_scenarios():
    yield ib.Scenario(
        name="toy",
        title="Toy",
        depreciation=1e8,
        electricity=0.1,
        pue=1.0,
        system_factor=1.0,
        utilization=1.0,
    )
