"""Print the tables of docs/howto/sweeps.md: points per second against the size of the grid, and where
the time
goes.

    python tools/sweep_speed.py

Processor time of one core, the best of five; the machine should be quiet.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from inferbench.discovery.registry import installed
from inferbench.model.evaluate import evaluate
from inferbench.specs.ranges import parse
from inferbench.sweeping import parquet
from inferbench.sweeping.plan import Plan, plan
from inferbench.sweeping.request import Request
from inferbench.sweeping.work import Bench, keep_memory

STACK = str(Path(__file__).parent.parent / "tests" / "data" / "speed.toml")
SIZES = (("270", 10, 9), ("10^4", 34, 99), ("10^5", 34, 1000), ("10^6", 334, 1000))


def bench(
    batches: int, contexts: int, phase: str, stack: str = STACK, system: str = "8xh100-sxm:tp8"
) -> Bench:
    """Prepare a sweep of `batches x contexts x 3` points."""
    axes = {
        "batch": parse(f"1:{batches}:+1", "--batch"),
        "context": parse(f"32:{32 * contexts}:+32", "--context"),
    }
    asked = Request(
        systems=(system,),
        workloads=(f"llama3-70b/{phase}",),
        axes=axes,
        precisions=("bf16", "fp8", "int4"),
        stack=stack,
    )
    return Bench(plan(asked, installed()), installed())


def rate(made: Plan, work: Callable[[], object]) -> float:
    """Points per second of processor time, the best of five."""
    work()
    taken = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(repeats := max(1, 30_000 // made.size)):
            work()
        taken.append((time.process_time() - began) / repeats)
    return made.size / min(taken)


def evaluated(one: Bench) -> None:
    """Evaluate all points into arrays, nothing more."""
    for chunk in one.plan.chunks:
        for piece in chunk.pieces:
            work = one.plan.works[piece.work]
            evaluate(one.plan.case(work, one.registry), work.grid(piece.block))


def filled(one: Bench) -> None:
    """Evaluate all points into columns: every metric, bound, layout, flags and reasons."""
    for chunk in one.plan.chunks:
        one.columns(chunk)


def written(one: Bench) -> None:
    """Evaluate all points into Parquet, in memory."""
    for chunk in one.plan.chunks:
        parquet.encode(one.columns(chunk), one.plan)


def main() -> None:
    """Print the tables."""
    keep_memory()
    print("| points | decode, ideal | decode, fitted | prefill, fitted | all columns | Parquet |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, batches, contexts in SIZES:
        ideal = bench(batches, contexts, "decode", "ideal")
        fitted, prompt = bench(batches, contexts, "decode"), bench(batches, contexts, "prefill")
        tried = (
            (ideal, evaluated),
            (fitted, evaluated),
            (prompt, evaluated),
            (fitted, filled),
            (fitted, written),
        )
        rates = [rate(one.plan, partial(work, one)) for one, work in tried]
        print(f"| {name} | {' | '.join(f'{one / 1e6:.2f}' for one in rates)} |")
    one = bench(334, 1000, "decode")
    written(one)
    profile = cProfile.Profile()
    profile.runcall(written, one)
    print()
    pstats.Stats(profile).sort_stats("tottime").print_stats(14)


if __name__ == "__main__":
    main()
