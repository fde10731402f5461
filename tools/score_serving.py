"""Score the replay on tables of servers under load, which ship with inferbench-data.

    python tools/score_serving.py [STEP]     every STEP-th row (5)

Trivial predictors beside: of a first token a prompt alone (no waiting), of a time per token weights and
caches over the bandwidth, and of both the geometric mean of the other rows of a group.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import numpy as np

import inferbench as ib
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import Situation, read_rows, situate
from inferbench.evidence.served import load_of, plan_for
from inferbench.model.evaluate import evaluate
from inferbench.num import Array
from inferbench.records.grid import Grid
from inferbench.records.measurement import Measurement
from inferbench.records.system import System
from inferbench.serving.simulate import Plan, simulate
from inferbench.specs.figures import served

TABLES = ("serving_current", "serving")


@attrs.frozen
class Seen:
    """One row: what it is of, and measured and predicted seconds with the ends of their intervals.

    Attributes:
        alone: A prompt without waiting; `floor` a token at the bandwidth.
    """

    group: tuple[str, str, str]
    ttft: tuple[float, float, float, float]
    tpot: tuple[float, float, float, float]
    alone: float
    floor: float


def rows(step: int, registry: Registry) -> Iterator[Measurement]:
    """Every step-th row of the tables."""
    with tempfile.TemporaryDirectory() as folder:
        for name in TABLES:
            found = read_rows(registry.get("tables", name).write(Path(folder)), registry)
            yield from found[::step]


def score(m: Measurement, registry: Registry) -> Seen | None:
    """Replay a row as its benchmark ran: ten requests a user; None where it can't be said or doesn't fit."""
    s = situate(m, registry)
    if not isinstance(s, Situation) or s.network is None:
        return None
    axes = next((target.axes for target in served(m)), None)
    if axes is None:
        return None
    load = load_of(axes)
    try:
        plan = plan_for(s, load, registry, m.software, m.extra)
        found = simulate(plan, load)
    except InferBenchError:
        return None
    times = found.found.times
    first, each = found.interval("ttft_s", "mean"), found.interval("tpot_s", "mean")
    return Seen(
        (s.system.chip.name, m.software.lower().partition("-")[0], s.network.name),
        (m.ttft_s, times["ttft_s"]["mean"], *first),
        (m.tpot_s, times["tpot_s"]["mean"], *each),
        _evaluated(plan, "prompt", 1.0, float(load.prompt.mean()))[0],
        _evaluated(plan, "token", max(found.found.batch, 1.0), plan.asked.traffic.context)[1],
    )


def _evaluated(plan: Plan, role: str, batch: float, context: float) -> tuple[float, float]:
    """Seconds of one step alone, and those of its roofline."""
    system = System(plan.system.chip, plan.layout.chips, plan.layout)
    case = attrs.evolve(plan.asked.case(system, role), ignore_capacity=True)  # type: ignore[arg-type]
    run = evaluate(
        case, Grid.of({"batch": [batch], "context": [context]}, plan.asked.precisions), [plan.layout]
    )
    return float(np.ravel(run.values(run.seconds))[0]), float(np.ravel(run.values(run.roofline))[0])


def _errors(some: Sequence[tuple[float, float, float, float]], simple: Sequence[float]) -> list[float]:
    """MAPE, median, bias, share in 90%, and the MAPE of the simple predictor and of the constant."""
    found: Array = np.array(some)
    measured, predicted = found[:, 0], found[:, 1]
    error = predicted / measured - 1.0
    covered = (found[:, 2] <= measured) & (measured <= found[:, 3])
    logs = np.log(measured)
    others = np.exp((logs.sum() - logs) / max(len(logs) - 1, 1))
    constant = np.mean(np.abs(others / measured - 1.0)) if len(some) > 1 else math.nan
    return [
        float(np.mean(np.abs(error))),
        float(np.median(np.abs(error))),
        float(np.mean(error)),
        float(np.mean(covered)),
        float(np.mean(np.abs(np.array(simple) / measured - 1.0))),
        float(constant),
    ]


def line(name: str, some: Sequence[Seen], what: str) -> str:
    """One line of a table."""
    times = [getattr(one, what) for one in some]
    simple = [one.alone if what == "ttft" else one.floor for one in some]
    cells = " | ".join("–" if math.isnan(x) else f"{100 * x:.0f}" for x in _errors(times, simple))
    return f"| {name} | {len(some)} | {cells} |"


def main() -> None:
    """Print a table of times per token, and one of first tokens."""
    registry = ib.installed()
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    groups: dict[tuple[str, str, str], list[Seen]] = {}
    for m in rows(step, registry):
        seen = score(m, registry)
        if seen is not None:
            groups.setdefault(seen.group, []).append(seen)
    every = [one for some in groups.values() for one in some]
    for what, simple in (("tpot", "bandwidth"), ("ttft", "prompt alone")):
        print(
            f"\n| {what}: chip, engine, network | n | MAPE | median | bias | in 90% | {simple} | constant |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for group, some in sorted(groups.items()):
            print(line(", ".join(group), some, what))
        print(line("**all**", every, what))


if __name__ == "__main__":
    main()
