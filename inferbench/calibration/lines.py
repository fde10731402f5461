"""Measured whole steps as lines: what the kernels take, how often the host is waited for, what was measured.

All rows of one chip, network, phase and software that differ in batch alone are evaluated in one call.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import attrs
import numpy as np

from inferbench.calibration.forms import NODES, SHARE
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import Situation, situate
from inferbench.model.case import Case, prepare
from inferbench.model.evaluate import evaluate
from inferbench.num import Array, Mask, Numeric
from inferbench.records.grid import Grid
from inferbench.records.host import Host
from inferbench.records.measurement import Measurement
from inferbench.records.run import Run
from inferbench.records.stack import Stack
from inferbench.records.variants import GENERATION, variants
from inferbench.specs.figures import Target, targets

__all__ = ["Line", "Power", "lines_of"]

SPENT = ("power_w", "energy_j")
NO_LIMIT = 1e9
Sorted = tuple[int, str, Measurement, Situation, Target]


@attrs.frozen
class Power:
    """Power of one step: watts measured, watts of the baseline, joules of operations and of everything else,
    watts at most.
    """

    measured: float
    baseline: float
    ops: float
    rest: float
    limit: float

    def watts(self, factor: float, seconds: float) -> float:
        """Mean power of a step that lasts so long, each operation's energy times a factor."""
        return min(self.baseline + (factor * self.ops + self.rest) / seconds, self.limit)


@attrs.frozen(eq=False)
class Line:
    """One measured figure of a whole step.

    Attributes:
        file: Name of its file.
        chip, network, software: What was measured.
        chips: How many worked together.
        phase: Of the workload, as the model predicts the figure.
        axes: Of the point.
        groups: Query heads per KV head, by variant, of attention of one new token.
        seconds: Of the kernels, at each of the shares where the memory's share is fitted; else one.
        kernels: Launched in the step.
        passes: Over the network in the step.
        measured: Seconds.
        floor: Seconds of the roofline.
        precision: Our name.
        power: Where power was measured and is modelled.
    """

    file: str
    chip: str
    chips: int
    network: str
    software: str
    phase: str
    axes: Mapping[str, float]
    groups: Mapping[str, float]
    seconds: Array
    kernels: float
    passes: float
    measured: float
    floor: float
    precision: str
    power: Power | None

    @property
    def batch(self) -> float:
        """Sequences or images together."""
        return self.axes["batch"]

    def at(self, shares: Array) -> Array:
        """Seconds of the kernels at other shares of the memory's bandwidth."""
        return np.asarray(np.exp(np.interp(np.log(shares), np.log(_nodes()), np.log(self.seconds))))


def _nodes() -> Array:
    return np.geomspace(SHARE.low, SHARE.high, NODES)


def lines_of(
    rows: Sequence[tuple[str, Measurement]],
    stacks: Mapping[str, str],
    software: Sequence[str],
    shared: bool,
    registry: Registry,
) -> tuple[list[Line], dict[str, int]]:
    """Turn rows into lines.

    Args:
        rows: Each with its file's name.
        stacks: Chip to the stack of its kernels: rows of other chips are not taken.
        software: Beginnings of the software's names, any case; none: all.
        shared: Whether the share of the bandwidth that kernels without a figure reach is to be fitted.
        registry: For aliases, networks and plugins.

    Returns:
        Lines in the order of the rows, and how many rows were not taken, by reason.
    """
    left: Counter[str] = Counter()
    groups: dict[object, list[Sorted]] = {}
    for i, (file, m) in enumerate(rows):
        for key, one in _sorted(i, file, m, stacks, software, left, registry):
            groups.setdefault(key, []).append(one)
    found: list[tuple[int, Line]] = []
    for group in groups.values():
        found += _evaluated(group, shared, left, registry)
    return [line for _, line in sorted(found, key=lambda pair: pair[0])], dict(left)


def _sorted(
    i: int,
    file: str,
    m: Measurement,
    stacks: Mapping[str, str],
    software: Sequence[str],
    left: Counter[str],
    registry: Registry,
) -> Iterator[tuple[object, Sorted]]:
    """The figures of a row, each with what it can be evaluated together with."""
    chip = registry.alias("chips", m.chip)
    if chip not in stacks:
        left[f"of the chip {m.chip}"] += 1
        return
    if software and not any(m.software.lower().startswith(one.lower()) for one in software):
        left[f"under {m.software or 'software that is not named'}"] += 1
        return
    s = situate(m, registry, stacks[chip])
    if not isinstance(s, Situation):
        left[s[1]] += 1
        return
    if s.op:
        left["of a single operator"] += 1
        return
    for target in targets(m):
        if target.metric not in SPENT and not target.regime:
            other = tuple(sorted((name, value) for name, value in target.axes.items() if name != "batch"))
            yield (s.key, m.software, target.phase, other), (i, file, m, s, target)


def _evaluated(
    group: Sequence[Sorted], shared: bool, left: Counter[str], registry: Registry
) -> Iterator[tuple[int, Line]]:
    """Figures of one network, chip, phase and software at all their batches."""
    _, _, _, s, target = group[0]
    batches = sorted({one[4].axes["batch"] for one in group})
    try:
        runs, case, grid = _runs(s, target, batches, shared, registry)
    except InferBenchError as error:
        left[f"not modelled: {error.faults[0].found}"] += len(group)
        return
    seconds = np.array([np.ravel(run.values(run.seconds)) for run in runs])
    feasible, floor, kernels, passes = (
        np.ravel(runs[-1].values(value)) for value in _counted(runs[-1], case, grid)
    )
    groups = _heads(case, grid)
    spent = (
        evaluate(_without_limit(case), grid)
        if any(not math.isnan(m.power_w) for _, _, m, *_ in group)
        else None
    )
    for i, file, m, one, figure in group:
        k = batches.index(figure.axes["batch"])
        if not feasible[k]:
            left["that do not fit, by the model"] += 1
        elif figure.measured < floor[k]:
            left["faster than the roofline"] += 1
        else:
            assert one.network is not None
            power = _power(runs[-1], spent, m, k, seconds[-1, k])
            yield (
                i,
                Line(
                    file,
                    s.system.chip.name,
                    s.system.count,
                    one.network.name,
                    m.software,
                    figure.phase,
                    figure.axes,
                    groups,
                    seconds[:, k],
                    float(kernels[k]),
                    float(passes[k]),
                    figure.measured,
                    float(floor[k]),
                    s.precision,
                    power,
                ),
            )


def _runs(
    s: Situation, target: Target, batches: Sequence[float], shared: bool, registry: Registry
) -> tuple[list[Run], Case, Grid]:
    """Runs of the kernels alone, at each share of the bandwidth where that is fitted."""
    assert s.network is not None
    axes = {**registry.workload(s.network.type).defaults(s.network, target.phase), **target.axes}
    grid = Grid.of({name: [value] for name, value in axes.items()} | {"batch": batches}, [s.precision])
    bare = attrs.evolve(s.stack, host=Host(), energy={})
    runs = []
    for stack in [at_share(bare, float(share)) for share in _nodes()] if shared else [bare]:
        case = prepare(
            s.system, s.network, target.phase, stack=stack, registry=registry, options=s.options, reserve=0
        )
        runs.append(evaluate(case, grid))
    return runs, case, grid


def at_share(stack: Stack, share: float) -> Stack:
    """The stack with kernels that it has no figure of at a share of the memory's bandwidth."""
    figures = stack.time_model.with_entry(stack.figures, SHARE.table, SHARE.of, share)
    return attrs.evolve(stack, figures=figures)


def _counted(run: Run, case: Case, grid: Grid) -> tuple[Mask, Array, Array, Array]:
    """Whether points are feasible, seconds of the roofline, kernels, and passes over the network."""
    kernels: Numeric = sum((op.repeat for op in case.graph(grid.at)), start=0.0)
    passes = case.workload.passes(case.network, grid.at, case.phase.name, case.options)
    return run.feasible, run.roofline, np.asarray(kernels), np.asarray(passes)


def _heads(case: Case, grid: Grid) -> dict[str, float]:
    """Query heads per KV head where attention of one new token is in the graph, by its variant."""
    name = GENERATION[0]
    for op in case.graph(grid.at):
        if any(name in names and np.any(mask) for names, mask in variants(op)):
            return {name: float(np.ravel(getattr(op, "heads", 1.0) / getattr(op, "kv_heads", 1.0))[0])}
    return {}


def _without_limit(case: Case) -> Case:
    """The case with a power limit that nothing reaches: at the model's pace a limit clips what is spent."""
    power = attrs.evolve(case.chip.power, tdp=NO_LIMIT)
    system = attrs.evolve(case.system, chip=attrs.evolve(case.chip, power=power))
    return attrs.evolve(case, system=system)


def _power(run: Run, spent: Run | None, m: Measurement, k: int, seconds: float) -> Power | None:
    """Power of the k-th point, where it was measured and is modelled.

    Args:
        run: On the chip as it is.
        spent: The same without a power limit; None where nothing was measured.
        m: The measurement.
        k: The point.
        seconds: Of the point in `run`.
    """
    if math.isnan(m.power_w) or spent is None or not run.energy.parts:
        return None
    parts = {name: np.ravel(run.values(joules)) for name, joules in spent.energy.parts.items()}
    rest = sum(float(joules[k]) for name, joules in parts.items() if name not in ("idle", "ops"))
    limit = run.system.chip.power.tdp * run.system.count
    ops = float(parts["ops"][k]) if "ops" in parts else 0.0
    idle = float(np.ravel(run.values(run.energy.parts["idle"]))[k])
    return Power(m.power_w, idle / seconds, ops, rest, limit)
