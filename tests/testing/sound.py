"""A package that keeps all laws, with a record of every kind that a law is about."""

from contextlib import contextmanager
from functools import cached_property
from importlib.resources import files

import attrs
import click
import numpy as np

import inferbench as ib


class Sound(ib.Architecture):
    name = "sound"
    title = "Sound"
    params = ib.NoParams

    def gemm(self, op, site):
        moved = site.traffic(op)
        return ib.Cost(
            busy={"compute": op.useful / site.rate(op), **site.memory_time(op)},
            exposed={"setup": 1e-6},
            actions={"ops": op.useful, **{f"bytes.{level}": count for level, count in moved.items()}},
        )

    attention = elementwise = reduce = move = gemm


@attrs.frozen(kw_only=True, slots=False, eq=False)
class Block(ib.Op):
    rows: float
    width: float

    kind = "soundblock"

    @cached_property
    def useful(self):
        return 2.0 * self.rows * self.width * self.width

    @cached_property
    def parameters(self):
        return self.width * self.width

    @cached_property
    def bytes(self):
        return ib.Bytes(
            weights=self.parameters * self.precision.weights,
            inputs=self.rows * self.width * self.precision.activations,
            outputs=self.rows * self.width * self.precision.activations,
        )

    def lower(self):
        yield ib.Gemm(name="block", precision=self.precision, m=self.rows, n=self.width, k=self.width)


@ib.frozen
class Params:
    layers: int = 4
    width: int = 1000


class SoundWorkload(ib.Workload):
    name = "sound"
    title = "Sound"
    params = Params
    phases = (ib.Phase("forward", "latency_s", "item", {"batch": 1.0}),)

    def graph(self, network, at, phase, options):
        width = float(network.params.width)
        common = {"precision": at.precision, "rows": at["batch"], "width": width}
        yield Block(name="layer", repeat=float(network.params.layers), **common)
        yield ib.Elementwise(name="head", precision=at.precision, elements=at["batch"] * width)

    def items(self, network, at, phase):
        return at["batch"]


class SoundFabric(ib.Fabric):
    name = "sound"
    title = "Sound"

    def cost(self, collective, link, layout):
        return ib.Cost(
            busy={"network": 2.0 * collective.payload / link.bandwidth},
            exposed={"hops": link.latency},
            actions={"bytes.network": collective.payload},
        )


class SoundPower(ib.PowerModel):
    name = "sound"
    title = "Sound"

    def accepts(self, chip):
        return "" if chip.vendor == "Sound" else "made for Sound's chips"

    def energy(self, counts, system):
        limit = 600.0 * counts.chips
        wanted = 60.0 * counts.chips + 1e-12 * counts.actions["ops"] / counts.seconds
        watts = np.minimum(wanted, limit)
        throttle = np.maximum(1.0, wanted / limit)
        return ib.Energy(joules=watts * counts.seconds * throttle, watts=watts, throttle=throttle)


def sniff(path, text):
    return "" if text.startswith("#sound") else "no line #sound"


def read(path):
    why = sniff(path, path.read_text(errors="replace"))
    if why:
        raise ib.InferBenchError.at(path.name, why, "give a log of Sound")
    yield ib.Measurement(source=path.name, chip="sound-1")


class Pool:
    workers = 1

    def submit(self, work, /, *arguments):
        from concurrent.futures import Future

        future = Future()
        try:
            future.set_result(work(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def as_completed(self, futures):
        yield from futures


@contextmanager
def opened(options):
    yield Pool()


@click.command("sound-hello")
def hello():
    """Say hello.

    Example: inferbench sound-hello
    """


@ib.hookimpl
def inferbench_architectures():
    yield Sound()


@ib.hookimpl
def inferbench_workloads():
    yield SoundWorkload()


@ib.hookimpl
def inferbench_networks():
    published = ib.Published(parameters=4e6)
    yield ib.Network(name="sound-net", title="Sound", type="sound", params=Params(), published=published)


@ib.hookimpl
def inferbench_fabrics():
    yield SoundFabric()


@ib.hookimpl
def inferbench_power_models():
    yield SoundPower()


@ib.hookimpl
def inferbench_metrics():
    yield ib.Metric("sound_per_s", "sounds", "", "higher", lambda run: run.items / run.seconds)


@ib.hookimpl
def inferbench_importers():
    yield ib.Importer("sound", "Sound's log", sniff, read)


@ib.hookimpl
def inferbench_renderers():
    yield ib.Renderer("sound", lambda report, width: "".join(f"{t.title}\n" for t in report.tables))


@ib.hookimpl
def inferbench_executors():
    yield ib.Executor("sound", "one after the other", opened)


@ib.hookimpl
def inferbench_commands():
    yield hello


@ib.hookimpl
def inferbench_stacks():
    figures = ib.RooflineFigures(efficiency={"compute": {"default": 0.5}})
    yield ib.Stack(name="sound-1", title="Sound", architectures=("sound",), figures=figures)


@ib.frozen
class Figures:
    launch: ib.SecondsByKernel = ib.field(factory=dict)


class SoundTimes(ib.TimeModel):
    name = "sound"
    title = "Sound"
    figures = Figures

    def time(self, cost, figures, at):
        busy = ib.maximum(*cost.busy.values())
        return busy + sum(cost.exposed.values()) + at.find("launch", figures.launch, 0.0)

    def frees(self, variant, narrow=False, tiled=False):
        return (ib.Free("launch", 5e-6, 0.0, 1e-3, 0.0, "small shapes", unit="s"),)


@ib.hookimpl
def inferbench_time_models():
    yield SoundTimes()


@ib.hookimpl
def inferbench_aliases():
    yield files(__name__) / "aliases.toml"


@ib.hookimpl
def inferbench_chips():
    yield files(__name__) / "chips"
    yield ib.Chip(
        name="sound-2",
        title="Sound 2",
        vendor="Sound",
        architecture_type="sound",
        architecture=ib.NoParams(),
        peak={"bf16": 1e15},
        memory={"hbm": ib.MemoryLevel(capacity=96e9, bandwidth=4e12)},
        power=ib.Power(tdp=600.0),
        price=ib.Price(purchase=ib.Range(5000.0, 9000.0)),
        facts={"peak.bf16": ib.Fact("peak.bf16", 1e15, "OP/s", ib.Source("Invented", "estimate"))},
    )


@ib.hookimpl
def inferbench_measurements():
    yield files(__name__) / "measurements"


@ib.hookimpl
def inferbench_claims():
    yield files(__name__) / "claims"


def ask(systems, workload, registry, **settings):
    return ib.run(systems[0], workload[0], registry=registry, stack="ideal", scenario=settings["scenario"])


def draw(run):
    line = ib.Line(run.system.chip.title, [1.0], run.seconds.ravel())
    panel = ib.Panel(ib.Scale("batch"), ib.Scale("time", "s"), (line,))
    return ib.Figure("sound", "Time of a step", (panel,))


@ib.hookimpl
def inferbench_plots():
    yield ib.Plot("sound", "time of a step", ask, draw, ("Run",))
