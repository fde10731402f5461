"""Runs the missing chunks of a plan on an executor and stores them; or evaluates all of them in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import attrs

from inferbench.discovery.registry import Registry
from inferbench.errors import Fault, InferBenchError
from inferbench.num import Column
from inferbench.records.executor import Executor, ExecutorOptions, Pool
from inferbench.space.totals import Sums
from inferbench.sweeping import parquet
from inferbench.sweeping.columns import Columns, Text
from inferbench.sweeping.plan import Chunk, Plan
from inferbench.sweeping.store import Store
from inferbench.sweeping.work import Bench, Done, Job, forget, keep, keep_memory, work

__all__ = ["Watch", "in_memory", "sweep"]

Watch = Callable[[int, int], None]
"""Told points done since the start (those of an earlier run included) and points in all, after every chunk.
"""

TRIES = 3
_PLAIN = ExecutorOptions()


@attrs.frozen
class Outcome:
    """What a sweep did.

    Attributes:
        path: File or folder.
        points: In all.
        reused: Points found finished.
        kept: Columns that were wanted, chunk by chunk, where this process evaluated all of them.
        sums: Of all points, where they were asked for and all were evaluated now.
    """

    path: Path
    points: int
    reused: int
    kept: tuple[Mapping[str, Column | Text], ...] = ()
    sums: Sums | None = None


def sweep(
    plan: Plan,
    registry: Registry,
    out: str,
    *,
    executor: str = "inline",
    opening: ExecutorOptions = _PLAIN,
    watch: Watch = lambda done, total: None,
    wanted: Sequence[str] = (),
    summed: Sequence[str] = (),
) -> Outcome:
    """Evaluate a plan into Parquet, or go on where an interrupted run of the same plan stopped.

    Args:
        plan: From `plan`.
        registry: Where it was planned.
        out: `NAME.parquet` for one file, any other name for a folder of chunks with a manifest.
        executor: Name of an installed executor.
        opening: Workers, scheduler.
        watch: Told of progress.
        wanted: Columns to keep in memory too; of points that other processes evaluate none are kept.
        summed: Columns that a summary reads: each block is summed by who evaluates it. For one system alone.

    Raises:
        InferBenchError: The place holds another sweep, can't be written to or is full; workers die again and
            again.

    Example:
        >>> sweep(plan(request, registry), registry, "space.parquet").points            # doctest: +SKIP
        87480
    """
    parquet.needed("pyarrow.parquet")
    found: Executor = registry.get("executors", executor)
    store = Store.at(out, plan)
    if store.finished():
        return Outcome(store.result, plan.size, plan.size)
    with store.locked(), _tidied(store):
        missing = store.begin()
        reused = plan.size - sum(chunk.points for chunk in missing)
        bench = Bench(plan, registry, tuple(wanted) if executor == "inline" and not reused else ())
        asked, sums = () if reused else tuple(summed), None
        if missing:
            job = keep(bench, asked) if executor == "inline" else Job(plan.hash, plan.dumps(), asked)
            results = _run(found, opening, job, store, missing, lambda done: watch(reused + done, plan.size))
            with closing(results):
                sums = Sums.over(_in_order(results))
        store.end(tuple(metric.name for metric in registry.metrics()))
    kept = tuple(bench.kept[i] for i in sorted(bench.kept))
    return Outcome(store.result, plan.size, reused, kept, sums)


def _in_order(results: Iterable[Done]) -> Iterator[Sums]:
    """Sums of blocks in the order of the chunks, whichever is done first: then each sum has the same bits."""
    waiting, following = dict[int, tuple[Sums, ...]](), 0
    for result in results:
        waiting[result.index] = result.sums
        while following in waiting:
            yield from waiting.pop(following)
            following += 1


@contextmanager
def _tidied(store: Store) -> Iterator[None]:
    try:
        yield
    except BaseException:
        store.tidy()
        raise


def _run(
    executor: Executor,
    opening: ExecutorOptions,
    job: Job,
    store: Store,
    missing: Sequence[Chunk],
    watch: Callable[[int], None],
) -> Generator[Done, None, None]:
    """Keep every worker busy, with a chunk in hand for each, until all chunks are stored."""
    done = 0
    try:
        with executor.open(opening) as pool:
            shared = getattr(pool, "shared", executor.shared)
            for chunk, result in _completed(pool, job, store, missing, shared):
                done += chunk.points
                watch(done)
                yield result
    finally:
        forget(job)


def _completed(
    pool: Pool, job: Job, store: Store, missing: Sequence[Chunk], shared: bool
) -> Iterator[tuple[Chunk, Done]]:
    queue, waiting, tries = iter(missing), {}, dict.fromkeys((chunk.index for chunk in missing), 0)

    def hand_in(chunk: Chunk) -> None:
        tries[chunk.index] += 1
        waiting[pool.submit(work, job, chunk, str(store.path(chunk).absolute()) if shared else None)] = chunk

    for chunk in islice(queue, 2 * pool.workers if pool.workers > 1 else 1):
        hand_in(chunk)
    while waiting:
        for future in list(pool.as_completed(list(waiting))):
            chunk = waiting.pop(future)
            try:
                result: Done = future.result()
            except BrokenExecutor as error:
                if tries[chunk.index] >= TRIES:
                    raise _dying(chunk, error) from None
                hand_in(chunk)
                continue
            if not shared:
                parquet.write(result.data, str(store.path(chunk)))
            store.written[store.path(chunk).name] = result.digest
            yield chunk, result
            for following in islice(queue, 1):
                hand_in(following)


def _dying(chunk: Chunk, error: BaseException) -> InferBenchError:
    said = str(error).partition("\n")[0] or type(error).__name__
    fault = Fault(
        f"chunk {chunk.index}",
        f"lost its worker {TRIES} times: {said}",
        "if memory ran out, give less of {give}; finished chunks are kept",
        give=(("memory", None), ("workers", None)),
    )
    return InferBenchError([fault])


def in_memory(
    plan: Plan,
    registry: Registry,
    watch: Watch = lambda done, total: None,
    chunks: Iterable[Chunk] | None = None,
    only: Collection[str] | None = None,
) -> Iterator[Columns]:
    """Evaluate a plan without writing it: the columns of one chunk after the other.

    Args:
        plan: From `plan`.
        registry: Where it was planned.
        watch: Told of progress.
        chunks: Of the plan; by default those of a file.
        only: Columns to evaluate; None for all.

    Example:
        >>> sum(columns.rows for columns in in_memory(plan(request, registry), registry))  # doctest: +SKIP
        87480
    """
    keep_memory()
    bench = Bench(plan, registry)
    done = 0
    for chunk in plan.chunks if chunks is None else chunks:
        yield bench.columns(chunk, only)
        done += chunk.points
        watch(done, plan.size)
