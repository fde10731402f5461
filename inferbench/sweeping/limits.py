"""What a sweep would take, told before it starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import attrs

from inferbench.discovery.registry import Registry
from inferbench.errors import Fault, InferBenchError
from inferbench.model import partition
from inferbench.records.grid import Grid
from inferbench.sweeping.plan import BYTES_PER_POINT, Plan, chunk_points
from inferbench.units import show

__all__ = ["Estimate", "ask", "estimate"]

# Rates and sizes of docs/howto/sweeps.md, rounded down and up: one worker evaluates so many layouts of
# a point
# per second and writes so many points; a point takes so many bytes on disk.
LAYOUTS_PER_S = 2e6
POINTS_PER_S = 5e5
BYTES_ON_DISK = 210.0
MOST = 1_000_000_000


@attrs.frozen
class Estimate:
    """What a sweep would take.

    Attributes:
        points: In all.
        disk: Bytes.
        seconds: With so many workers.
        memory: Bytes per worker.
        workers: How many.
    """

    points: int
    disk: float
    seconds: float
    memory: float
    workers: int

    def __str__(self) -> str:
        each = "" if self.workers == 1 else " per worker"
        return (
            f"{self.points:,} points take about {show(self.disk, 'B')} on disk, {_duration(self.seconds)} on"
            f" {self.workers} worker{'s' if self.workers > 1 else ''} and {show(self.memory, 'B')} of"
            f" memory{each}"
        )


def _duration(seconds: float) -> str:
    for size, name in ((86400.0 * 365.25, "years"), (86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {name}"
    return f"{max(1.0, seconds):.0f} s"


def estimate(plan: Plan, registry: Registry, workers: int) -> Estimate:
    """Reckon disk, time and memory from measured rates, without evaluating anything.

    Example:
        >>> print(Estimate(10**9, 2.1e11, 5e5, 512e6, 2))
        1,000,000,000 points take about 210 GB on disk, 6 days on 2 workers and 512 MB of memory per worker
    """
    size = plan.size
    tried = sum(work.size * _layouts(plan, i, registry) for i, work in enumerate(plan.works))
    seconds = (size / POINTS_PER_S + tried / LAYOUTS_PER_S) / workers
    memory = min(size, chunk_points(plan.request.memory)) * BYTES_PER_POINT
    return Estimate(size, size * BYTES_ON_DISK, seconds, memory, workers)


def _layouts(plan: Plan, work: int, registry: Registry) -> int:
    """Layouts searched at every point of a work."""
    chosen = plan.works[work]
    if chosen.system.layout or chosen.system.count == 1:
        return 1
    case = plan.case(chosen, registry)
    first = Grid.of({name: points.values(0, 1) for name, points in chosen.axes.items()}, chosen.formats[:1])
    whole = case.graph(first.at)
    experts = any("experts" in op.split for op in whole)
    return len(partition.candidates(case.system.count, case.layers, partition.widest_tp(whole), experts))


def ask(plan: Plan, registry: Registry, out: str | None, workers: int, yes: bool) -> None:
    """Refuse a sweep that is huge, or larger than the disk, unless the user has said yes.

    Raises:
        InferBenchError: With points, disk, time and memory.
    """
    size = plan.size
    if yes:
        return
    if size > MOST:
        told, remedy = str(estimate(plan, registry, workers)), "add {give} if that is what you want"
        raise InferBenchError([Fault("sweep", told, remedy, give=(("yes", True),))])
    if out is None:  # a summary alone needs no disk
        return
    free = _free(Path(out))
    if size * BYTES_ON_DISK > free:
        told = f"{estimate(plan, registry, workers)}, and {show(free, 'B')} are free"
        remedy = "add {give} to try nevertheless"
        raise InferBenchError.of_argument("out", told, remedy, str(out), yes=True)


def _free(path: Path) -> float:
    """Bytes free where a path would lie."""
    there = path.absolute()
    while not there.exists():
        there = there.parent
    return float(shutil.disk_usage(there).free)
