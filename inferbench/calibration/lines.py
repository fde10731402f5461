"""Measured whole steps as lines: what the kernels take, how often the host is waited for, what was measured.

All rows of one chip, network, phase and software that differ in batch alone are evaluated in one call.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import attrs
import numpy as np

from inferbench.calibration.forms import SHARE
from inferbench.calibration.line import Line, Power, nodes
from inferbench.calibration.loops import loop_line
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import Situation, situate
from inferbench.evidence.names import chip_of
from inferbench.model.case import Case, prepare
from inferbench.model.evaluate import evaluate
from inferbench.num import Array, Mask, Numeric
from inferbench.records.grid import Grid
from inferbench.records.host import Host
from inferbench.records.measurement import Measurement
from inferbench.records.op import Collective
from inferbench.records.run import Run
from inferbench.records.stack import Stack
from inferbench.records.variants import GENERATION, variants
from inferbench.specs.figures import LOOP, Target, served, targets

__all__ = ["lines_of"]

SPENT = ("power_w", "energy_j")
NO_LIMIT = 1e9
Sorted = tuple[int, str, Measurement, Situation, Target]


def lines_of(
    rows: Sequence[tuple[str, Measurement]],
    stacks: Mapping[str, str],
    software: Sequence[str],
    shared: bool,
    registry: Registry,
    networks: Sequence[str] = (),
) -> tuple[list[Line], dict[str, int]]:
    """Turn rows into lines.

    Args:
        rows: Each with its file's name.
        stacks: Chip to the stack of its kernels: rows of other chips are not taken.
        software: Beginnings of the software's names, any case; none: all.
        shared: Whether the share of the bandwidth that kernels without a figure reach is to be fitted.
        registry: For aliases, networks and plugins.
        networks: Whose rows to take; none: all.

    Returns:
        Lines in the order of the rows, and how many rows were not taken, by reason.
    """
    left: Counter[str] = Counter()
    groups: dict[object, list[Sorted]] = {}
    for i, (file, m) in enumerate(rows):
        for key, one in _sorted(i, file, m, stacks, software, left, registry):
            network = one[3].network
            if networks and (network is None or network.name not in networks):
                left[f"of {network.name if network else 'no network'}"] += 1
            else:
                groups.setdefault(key, []).append(one)
    found: list[tuple[int, Line]] = []
    for key, group in groups.items():
        found += _looped(group, left, registry) if key == LOOP else _evaluated(group, shared, left, registry)
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
    chip = _chip(m.chip, registry)
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
    for target in served(m):
        if target.metric == "tpot_s" and target.regime == LOOP:
            yield LOOP, (i, file, m, s, target)


def _chip(written: str, registry: Registry) -> str:
    """Our name of a chip, or what the row has where none is meant by it."""
    try:
        return chip_of(written, registry).name
    except InferBenchError:
        return written


def _looped(group: Sequence[Sorted], left: Counter[str], registry: Registry) -> Iterator[tuple[int, Line]]:
    """Closed loops, each replayed by itself."""
    for i, file, m, s, target in group:
        found = loop_line(file, m, s, target, registry)
        if isinstance(found, Line):
            yield i, found
        else:
            left[found] += 1


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
    feasible, floor, kernels, passes, exchanges, eager, joined = (
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
            power = _power(runs[-1], spent, m, k, seconds[-1, k])
            counted = tuple(float(values[k]) for values in (kernels, passes, floor, exchanges, eager, joined))
            yield i, _line(file, m, one, figure, groups, seconds[:, k], counted, power)


def _line(
    file: str,
    m: Measurement,
    s: Situation,
    target: Target,
    groups: Mapping[str, float],
    seconds: Array,
    counted: Sequence[float],
    power: Power | None,
) -> Line:
    names = ("kernels", "passes", "floor", "exchanges", "eager", "joined")
    steps = dict(zip(names, counted, strict=True))
    own = {"axes": target.axes, "groups": groups, "seconds": seconds, "power": power}
    return Line.of(file, m, s, target, **own, **steps)


def _runs(
    s: Situation, target: Target, batches: Sequence[float], shared: bool, registry: Registry
) -> tuple[list[Run], Case, Grid]:
    """Runs of the kernels alone, at each share of the bandwidth where that is fitted."""
    assert s.network is not None
    axes = {**registry.workload(s.network.type).defaults(s.network, target.phase), **target.axes}
    grid = Grid.of({name: [value] for name, value in axes.items()} | {"batch": batches}, [s.precision])
    bare = attrs.evolve(s.stack, host=Host(), energy={})
    case = prepare(
        s.system,
        s.network,
        target.phase,
        stack=bare,
        registry=registry,
        options=s.options,
        reserve=0,
        breakdown=s.system.count > 1,
    )
    case = attrs.evolve(case, causes=False, bare=True, graphs={})  # of a run its times are taken
    runs = []
    for stack in [at_share(bare, float(share)) for share in nodes()] if shared else [bare]:
        case = attrs.evolve(case, choice=attrs.evolve(case.choice, stack=stack))
        runs.append(evaluate(case, grid))
    return runs, case, grid


def at_share(stack: Stack, share: float) -> Stack:
    """The stack with kernels that it has no figure of at a share of the memory's bandwidth."""
    figures = stack.time_model.with_entry(stack.figures, SHARE.table, SHARE.of, share)
    return attrs.evolve(stack, figures=figures)


def _counted(run: Run, case: Case, grid: Grid) -> tuple[Mask, Array, Array, Array, Array, Array, Array]:
    """Whether points are feasible, seconds of the roofline, kernels, passes over the network, exchanges
    between chips, kernels of passes that process prompts, and those with no gap before them.
    """
    exchanges: Numeric = sum((op.repeat for op in run.ops if op.kind == Collective.kind), start=0.0)
    graph = case.graph(grid.at)
    kernels: Numeric = sum((op.repeat for op in graph), start=0.0) + exchanges
    joined: Numeric = sum((op.repeat for op in graph if op.joined), start=0.0)
    asked = case.network, grid.at, case.phase.name, case.options
    passes = np.asarray(case.workload.passes(*asked))
    eager = kernels * case.workload.eager(*asked) / passes
    return (
        run.feasible,
        run.roofline,
        np.asarray(kernels),
        passes,
        np.asarray(exchanges),
        np.asarray(eager),
        np.asarray(joined),
    )


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
