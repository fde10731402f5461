"""Laws of workloads and networks: the work is counted once, whoever cuts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from inferbench.errors import InferBenchError, UnsupportedOp
from inferbench.num import Numeric
from inferbench.records.grid import Grid
from inferbench.records.interfaces import Phase, Workload
from inferbench.records.network import Network
from inferbench.records.op import Op
from inferbench.records.system import Layout
from inferbench.testing.laws.law import Broken, Subject, law

__all__: list[str] = []

KIND = "workloads"
FORMATS = ("bf16", "fp8", "w4a16")
FIGURES: Mapping[str, Callable[[Op], Numeric]] = {
    "useful operations": lambda op: op.useful,
    "bytes": lambda op: op.bytes.total,
    "parameters": lambda op: op.parameters,
    "resident bytes": lambda op: op.resident.total,
    "repeat": lambda op: op.repeat,
}
KEPT: Mapping[str, Callable[[Op], Numeric]] = {
    "operations": lambda op: op.useful,
    "bytes of weights": lambda op: op.bytes.weights,
    "bytes of state": lambda op: op.bytes.state,
    "state held": lambda op: op.resident.state,
}


def _networks(subject: Subject, most: int = 3) -> list[Network]:
    """Networks of the workload, the package's own first; those that can't be read are judged themselves."""
    entries = sorted(
        subject.registry.entries("networks").values(),
        key=lambda entry: (entry.owner != subject.owner, entry.name),
    )
    found: list[Network] = []
    for entry in entries:
        try:
            network = subject.registry.network(entry.name)
        except InferBenchError:
            continue
        found += [network] if network.type == subject.name else []
        if len(found) == most:
            break
    if not found:
        said = f"no installed network is of type '{subject.name}'"
        raise UnsupportedOp.at(subject.name, said, "bring one, or depend on a package that does")
    return found


def _grid(defaults: Mapping[str, float]) -> Grid:
    """The defaults of a phase, with two values of the batch."""
    axes = {name: [1.0, 6.0] if name == "batch" else [value] for name, value in defaults.items()}
    return Grid.of(axes, FORMATS)


def _ops(workload: Workload, network: Network, grid: Grid, phase: Phase) -> list[Op]:
    return list(workload.graph(network, grid.at, phase.name, workload.options()))


def _cases(subject: Subject) -> Iterator[tuple[Network, Phase, Grid, list[Op]]]:
    for network in _networks(subject):
        for phase in subject.record.phases:
            grid = _grid(subject.record.defaults(network, phase.name))
            yield network, phase, grid, _ops(subject.record, network, grid, phase)


@law(KIND, quick=True)
def figures_of_operators_are_numbers(subject: Subject) -> Iterator[Broken]:
    """Operations, bytes, parameters and repeats are float64, finite and at least zero."""
    for network, phase, _, ops in _cases(subject):
        for op in ops:
            for what, get in FIGURES.items():
                array = np.asarray(get(op))
                place = f"{network.name}/{phase.name}, {op.name}"
                if array.dtype != np.float64:
                    yield Broken(place, f"{what}: {array.dtype}", "write float(network.params.layers)")
                elif not np.isfinite(array).all() or (array < 0).any():
                    bad = array[~np.isfinite(array) | (array < 0)].flat[0]
                    yield Broken(place, f"{what}: {bad:g}", "every figure is finite and at least zero")


@law(KIND)
def a_graph_over_a_grid_equals_its_points(subject: Subject) -> Iterator[Broken]:
    """Operations and bytes of a grid equal those of its points one by one."""
    for network, phase, grid, ops in _cases(subject):
        whole = [grid.full(op.useful * op.repeat + op.bytes.total * op.repeat) for op in ops]
        for index in np.ndindex(*whole[0].shape) if whole else ():
            axes = {name: [float(v[i])] for (name, v), i in zip(grid.axes.items(), index[:-1], strict=True)}
            point = Grid.of(axes, [grid.precisions[index[-1]]])
            alone = _ops(subject.record, network, point, phase)
            for op, mine, one in zip(ops, whole, alone, strict=True):
                value = float(np.max(one.useful * one.repeat + one.bytes.total * one.repeat))
                if not np.isclose(mine[index], value, rtol=1e-9):
                    yield Broken(
                        f"{network.name}/{phase.name}, {op.name}",
                        f"{mine[index]:.6g} operations and bytes in a grid, {value:.6g} alone ({axes})",
                        "formulas see whole grids: no if, max or int on a quantity",
                    )


@law(KIND)
def names_are_unique(subject: Subject) -> Iterator[Broken]:
    """Operators of a graph have names of their own, so that a breakdown can name each."""
    for network, phase, _, ops in _cases(subject):
        names = [op.name for op in ops]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            place = f"{network.name}/{phase.name}"
            yield Broken(place, f"{', '.join(twice)} stands twice", "name operators apart; repeat equal ones")


@law(KIND)
def shards_keep_the_work(subject: Subject) -> Iterator[Broken]:
    """The chips of a layout together do at least the whole model's work, and hold all weights."""
    for network, phase, _, ops in _cases(subject):
        for degree, op in ((degree, op) for degree in (2, 3) for op in ops):
            mine = op.shard(Layout(tp=degree))
            for what, get in (
                ("operations", FIGURES["useful operations"]),
                ("weights", FIGURES["parameters"]),
            ):
                together, all_of_it = np.asarray(get(mine)) * degree, np.asarray(get(op))
                if np.any(together < all_of_it * (1 - 1e-9)):
                    done, whole = float(np.max(together)), float(np.max(all_of_it))
                    yield Broken(
                        f"{network.name}/{phase.name}, {op.name}",
                        f"{degree} chips have {done:.6g} {what} of {whole:.6g}",
                        "say in `split` and `divides` what may be cut; a chip's share is rounded up",
                    )


@law(KIND)
def lowering_keeps_the_work(subject: Subject) -> Iterator[Broken]:
    """An operator lowers to primitives that do as much, read as much and hold as much in one execution."""
    for network, phase, _, ops in _cases(subject):
        for op in ops:
            lowered: tuple[Op, ...] = tuple(op.lower())
            if lowered == (op,):
                continue
            for what, get in KEPT.items():
                total: Any = sum(get(part) * part.repeat for part in lowered)
                if not np.allclose(total, get(op), rtol=1e-9):
                    yield Broken(
                        f"{network.name}/{phase.name}, {op.name}",
                        f"its parts have {float(np.max(total)):.6g} {what},"
                        f" itself {float(np.max(get(op))):.6g} (repeat {float(np.max(op.repeat)):g})",
                        "parts are of one execution: leave `repeat` of the operator out of `lower`",
                    )


@law(KIND)
def parameters_equal_the_published_count(subject: Subject) -> Iterator[Broken]:
    """Weights in the graph add up to the published count, to half a per cent or its rounding."""
    for network, phase, _, ops in _cases(subject):
        published = network.published.parameters
        if np.isnan(published) or phase.name != subject.record.phases[0].name:
            continue
        total = float(np.max(sum(op.parameters * op.instances for op in ops)))
        allowed = max(0.005, network.published.rounding)
        if abs(total / published - 1) > allowed:
            yield Broken(
                network.name,
                f"the graph holds {total:.6g} parameters, published are {published:.6g}"
                f" ({total / published - 1:+.2%})",
                "compare with the publisher's shapes, layer by layer",
            )


@law(KIND)
def a_step_yields_something(subject: Subject) -> Iterator[Broken]:
    """A step yields a positive number of items, and a network has at least one layer."""
    for network, phase, grid, _ in _cases(subject):
        items = np.asarray(subject.record.items(network, grid.at, phase.name), dtype=np.float64)
        place = f"{network.name}/{phase.name}"
        if not np.isfinite(items).all() or (items <= 0).any():
            yield Broken(place, f"items are {float(items.min()):g}", "yield tokens, images or sequences")
        if subject.record.layers(network) < 1:
            yield Broken(place, f"{subject.record.layers(network)} layers", "pipeline stages divide layers")


@law(KIND, quick=True)
def phases_say_what_they_measure(subject: Subject) -> Iterator[Broken]:
    """A phase has a name, axes with a batch, and one of the durations tpot_s, ttft_s and latency_s."""
    for phase in subject.record.phases:
        if phase.latency not in ("tpot_s", "ttft_s", "latency_s"):
            yield Broken(phase.name, f"its duration is '{phase.latency}'", "tpot_s, ttft_s or latency_s")
        if "batch" not in phase.axes:
            yield Broken(
                phase.name, f"axes {', '.join(phase.axes) or 'none'}", "add batch: layouts divide it"
            )
