"""Closed loops of servers as lines: what tokens take by kernels alone, and what each further second per step
adds to that.

A loop is replayed under the stack of its kernels: as it is, with every step a little longer, and with those
alone that process prompts. What a token's time grows by is how many steps it waits for.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import attrs
import numpy as np

from inferbench.calibration.line import Line
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import Situation
from inferbench.evidence.served import load_of, plan_for
from inferbench.model.evaluate import evaluate
from inferbench.num import Numeric
from inferbench.records.grid import Grid
from inferbench.records.host import Host
from inferbench.records.measurement import Measurement
from inferbench.records.op import Collective
from inferbench.records.system import System
from inferbench.serving.simulate import Plan, waited
from inferbench.specs.figures import Target

__all__ = ["LONGER", "loop_line"]

# Lines of earlier fits: several chips' stacks are fitted on the same loops.
_SEEN: WeakKeyDictionary[Registry, dict[object, Line | str]] = WeakKeyDictionary()

# Share of a token's time by which steps are made longer to see how many of them it waits for.
LONGER = 0.1


def loop_line(file: str, m: Measurement, s: Situation, target: Target, registry: Registry) -> Line | str:
    """Replay a closed loop on kernels alone.

    Args:
        file: Name of the measurement's file.
        m: The measurement.
        s: What it is of, under the stack of its kernels.
        target: Its time per token.
        registry: Of plugins.

    Returns:
        The line, or why there is none.
    """
    seen = _SEEN.setdefault(registry, {})
    key = file, m.source, m.software, target.measured, s.key, tuple(sorted(target.axes.items()))
    if key not in seen:
        seen[key] = _replayed(file, m, s, target, registry)
    return seen[key]


def _replayed(file: str, m: Measurement, s: Situation, target: Target, registry: Registry) -> Line | str:
    assert s.network is not None
    bare = attrs.evolve(s, stack=attrs.evolve(s.stack, host=Host(reserve=s.stack.host.reserve)))
    try:
        load = load_of(target.axes)
        plan = plan_for(bare, load, registry, m.software, m.extra)
        first, steps, prompts = waited(plan, load, LONGER)
    except InferBenchError as error:
        return f"not replayed: {error.faults[0].found}"
    mean = float(load.prompt.mean() + 0.5 * load.output.mean())
    kernels, joined, exchanges, floor = _counted(plan, max(first.batch, 1.0), mean)
    if target.measured < floor:
        return "faster than the roofline"
    axes = {"batch": target.axes["concurrency"], "context": mean, "output": float(load.output.mean())}
    return Line.of(
        file,
        m,
        s,
        target,
        axes=axes,
        groups={},
        seconds=np.array([first.times["tpot_s"]["mean"]]),
        kernels=steps * kernels,
        passes=steps,
        floor=floor,
        power=None,
        exchanges=steps * exchanges,
        eager=prompts * kernels,
        joined=steps * joined,
        together=first.batch,
    )


def _counted(plan: Plan, batch: float, context: float) -> tuple[float, float, float, float]:
    """Kernels of a decode step, those with no gap before them, its exchanges and its roofline."""
    case = plan.asked.case(System(plan.system.chip, plan.layout.chips, plan.layout), "token")
    grid = Grid.of({"batch": [batch], "context": [context]}, plan.asked.precisions)
    run = evaluate(attrs.evolve(case, breakdown=True, ignore_capacity=True), grid, [plan.layout])
    exchanges = sum(_one(op.repeat) for op in run.ops if op.kind == Collective.kind)
    joined = sum(_one(op.repeat) for op in case.graph(grid.at) if op.joined)
    return sum(_one(op.repeat) for op in run.ops), joined, exchanges, _one(run.roofline)


def _one(value: Numeric) -> float:
    return float(np.ravel(value)[0])
