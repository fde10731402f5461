"""What a worker does: evaluate a chunk into columns, and write or return it as Parquet."""

from __future__ import annotations

import ctypes
import hashlib
import pickle
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import cache, lru_cache

import attrs
import numpy as np

from inferbench._version import DISTRIBUTION, __version__
from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError, UnsupportedOp
from inferbench.model.capacity import at_largest_batch
from inferbench.model.case import Case
from inferbench.model.evaluate import evaluate
from inferbench.model.rows import fixed
from inferbench.num import Column
from inferbench.records.grid import Grid
from inferbench.records.run import Metric, Run
from inferbench.space.flexibility import label
from inferbench.space.totals import Sums
from inferbench.sweeping.columns import Columns, Text
from inferbench.sweeping.plan import Chunk, Plan

__all__ = ["Bench", "Done", "Job", "forget", "keep", "keep_memory", "work"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of <malloc.h>


@attrs.frozen(eq=False, slots=False)
class Bench:
    """A plan beside the plugins it needs; cases are looked up once.

    Attributes:
        wanted: Names of columns that a summary reads of chunks that are written in this process.
        kept: Those columns, by the chunk's index.
    """

    plan: Plan
    registry: Registry
    wanted: Sequence[str] = ()
    kept: dict[int, Mapping[str, Column | Text]] = attrs.field(factory=dict, init=False)
    _cases: dict[int, Case] = attrs.field(factory=dict, init=False)

    @property
    def metrics(self) -> Sequence[Metric]:
        """The metrics that become columns."""
        return self.registry.metrics()

    def columns(self, chunk: Chunk, only: Collection[str] | None = None) -> Columns:
        """Evaluate a chunk: all columns, or some alone."""
        metrics = self.metrics
        names = [metric.name for metric in metrics]
        filled = Columns.empty(chunk.points, self.plan.axes, names, only)
        start = 0
        for piece in chunk.pieces:
            chosen = self.plan.works[piece.work]
            case, grid, labels = self._case(piece.work), chosen.grid(piece.block), chosen.labels(piece.block)
            if "bound" not in filled.order:  # nothing else tells what a step's time goes to
                case = attrs.evolve(case, causes=False)
            try:
                filled.fill(start, self._run(case, grid, chosen.largest_batch), metrics, labels)
            except UnsupportedOp as error:
                fault = error.faults[0]
                texts = fixed(
                    label(case.system), case.system, case.network.name, case.phase.name, case.choice
                )
                why = {"reason_code": "unsupported", "reason": f"{fault.place}: {fault.found}"}
                filled.refuse(start, grid, {**texts, **why}, case.system.count, labels)
            start += piece.points
        return filled

    def sums(self, chunk: Chunk, columns: Columns, names: Sequence[str]) -> tuple[Sums, ...]:
        """What a summary says of each block of a chunk, of a plan of one system.

        Args:
            chunk: Of the plan.
            columns: Of the chunk.
            names: Of the columns that a summary reads.
        """
        ends = np.cumsum([piece.points for piece in chunk.pieces])
        blocks = [slice(end - piece.points, end) for end, piece in zip(ends, chunk.pieces, strict=True)]
        read = {name: columns.kept(name) for name in names if name in columns.order}
        roles = self.registry.roles()
        return tuple(Sums.of({name: column[rows] for name, column in read.items()}, roles) for rows in blocks)

    def first(self, work: int) -> Run:
        """Evaluate the first point of a work.

        Raises:
            UnsupportedOp: The architecture can't do an operator of it.
        """
        chosen = self.plan.works[work]
        axes = {name: points.values(0, 1) for name, points in chosen.axes.items()}
        return self._run(self._case(work), Grid.of(axes, chosen.formats[:1]), chosen.largest_batch)

    def _run(self, case: Case, grid: Grid, largest: bool) -> Run:
        if largest:
            return at_largest_batch(case, grid)
        return evaluate(case, grid, prefer=self.plan.request.prefer)

    def _case(self, work: int) -> Case:
        if work not in self._cases:
            self._cases[work] = self.plan.case(self.plan.works[work], self.registry)
        return self._cases[work]


@attrs.frozen
class Job:
    """What travels to a worker.

    Attributes:
        hash: Of the plan: a worker opens it once.
        pickled: The plan; empty where it stays in this process.
        summed: Names of columns that a summary reads: each block is summed where it is evaluated.
    """

    hash: str
    pickled: bytes = b""
    summed: tuple[str, ...] = ()


@attrs.frozen
class Done:
    """What comes back.

    Attributes:
        index: Of the chunk.
        digest: SHA-256 of its file, as it stood in the worker's memory.
        data: Parquet, where the worker could not write it.
        sums: Of each block, where they were asked for.
    """

    index: int
    digest: str
    data: bytes = b""
    sums: tuple[Sums, ...] = ()


_HERE: dict[str, Bench] = {}


@cache
def keep_memory() -> None:
    """Ask glibc to keep freed memory for the next array instead of handing it back to the system.

    Every evaluation frees and allocates the same arrays; a third of the time went into fetching their pages
    again.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
                mallopt(option, 1 << 30)


def keep(bench: Bench, summed: tuple[str, ...]) -> Job:
    """Hold a bench for the workers of this process."""
    _HERE[bench.plan.hash] = bench
    return Job(bench.plan.hash, summed=summed)


def forget(job: Job) -> None:
    """Let go of a bench."""
    _HERE.pop(job.hash, None)


@lru_cache(maxsize=4)
def _opened(job: Job) -> Bench:
    registry = installed()
    files, inner = pickle.loads(job.pickled)
    for file in files:
        if f"file:{file.rpartition('/')[2]}" not in registry.plugins:
            registry.load_file(file)
    plan: Plan = pickle.loads(inner)
    _same(plan.basis["packages"], registry)
    return Bench(plan, registry)


def _same(wanted: Mapping[str, str], registry: Registry) -> None:
    """Refuse a worker that would compute with other packages."""
    mine = {DISTRIBUTION: __version__, "numpy": np.__version__, **dict(registry.plugins.values())}
    for name in sorted({*wanted, *mine}):
        if wanted.get(name) != mine.get(name):
            raise InferBenchError.at(
                f"worker: {name}",
                f"has {mine.get(name, 'none')}, the sweep was started with {wanted.get(name, 'none')}",
                "install the same packages for all workers",
            )


def work(job: Job, chunk: Chunk, target: str | None) -> Done:
    """Evaluate a chunk and write it to `target`, or return it where that is None.

    Raises:
        InferBenchError: Bad input that only shows at a point; a worker with other packages; a full disk.
    """
    from inferbench.sweeping import parquet

    keep_memory()
    parquet.keep_memory()
    bench = _HERE.get(job.hash) or _opened(job)
    columns = bench.columns(chunk)
    if bench.wanted:
        names = [name for name in bench.wanted if name in columns.order]
        bench.kept[chunk.index] = {name: columns.kept(name) for name in names}
    sums = bench.sums(chunk, columns, job.summed) if job.summed else ()
    data = parquet.encode(columns, bench.plan)
    digest = hashlib.sha256(data).hexdigest()
    if target is None:
        return Done(chunk.index, digest, data.to_pybytes(), sums)
    parquet.write(data, target)
    return Done(chunk.index, digest, sums=sums)
