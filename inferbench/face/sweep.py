"""`sweep`: systems over a whole space of workload points."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError, suggest
from inferbench.face.answer import Answer
from inferbench.face.asked import listed
from inferbench.face.frames import to_frame
from inferbench.face.verb import verb
from inferbench.model.choice import BEST
from inferbench.num import Column
from inferbench.records.executor import ExecutorOptions
from inferbench.report.model import Report
from inferbench.report.space import space_data, space_report
from inferbench.report.sweeps import COLUMNS, summary
from inferbench.space.flexibility import COORDINATES, DEFINITIONS, Space, densified, flexibility, plain
from inferbench.space.texts import Text, joined
from inferbench.space.totals import Sums, Totals
from inferbench.space.winners import TOKENS, Equal, ranked_by, winners
from inferbench.specs.ranges import Axis, Points, parse, points_of
from inferbench.sweeping import execute
from inferbench.sweeping.limits import ask
from inferbench.sweeping.plan import Chunk, Plan, plan
from inferbench.sweeping.query import beside, lists
from inferbench.sweeping.request import GRIDS, Request, workloads
from inferbench.sweeping.unknown import unknown
from inferbench.units import Unit
from inferbench.units import parse as quantity

__all__ = ["Sweep", "sweep"]

_MEMORY = Unit("B", "an amount of memory", "512 MB")
PARALLEL_FROM = 2_000_000
LARGEST_SUMMARY = 2_000_000
Watch = Callable[[int, int], None]


@attrs.frozen(eq=False, repr=False)
class Sweep(Answer):
    """Systems evaluated over a whole space.

    Attributes:
        plan: What was evaluated.
        parts: Columns of all points, chunk by chunk; empty where they are only on disk.
        sums: Over all points, where there are too many to keep; else None.
        path: Where all points were written; None where nowhere.
        metric: Quantity by which systems are ranked.
        equal: What it is divided by.
        registry: Whose metrics the tables show.
    """

    plan: Plan
    parts: tuple[Mapping[str, Column | Text], ...]
    sums: Sums | None
    path: Path | None
    metric: str
    equal: Equal
    registry: Registry

    @property
    def space(self) -> Space:
        """All points as arrays over systems and points.

        Raises:
            InferBenchError: There are too many to keep.
        """
        return Space.of_columns(self._kept(), self.registry.roles())

    def _kept(self) -> dict[str, Column | Text]:
        """The columns of all points.

        Raises:
            InferBenchError: There are too many to keep.
        """
        if not self.parts:
            found = f"{self.plan.size:,} points are too many to keep in memory"
            raise InferBenchError.at("sweep", found, "ask the file of all points in SQL: inferbench query")
        return joined(self.parts)

    def flexibility(
        self, definition: str = "peak", threshold: float = 0.5, phase: str | None = None
    ) -> dict[str, float]:
        """Return the share of the space that each system does well.

        Args:
            definition: `peak` (of the datasheet's peak) or `best` (of what the system does at its best), …
            threshold: Share that counts as well.
            phase: One phase alone; None for all.

        Raises:
            InferBenchError: Another definition.
        """
        if definition not in DEFINITIONS:
            remedy = suggest(definition, DEFINITIONS) or f"known are {', '.join(DEFINITIONS)}"
            raise InferBenchError.of_argument("definition", f"'{definition}' is none", remedy)
        shares = flexibility(self.space, DEFINITIONS[definition], threshold, phase)
        return dict(zip(self.space.systems, shares.tolist(), strict=True))

    def winners(self, metric: str = TOKENS, equal: Equal = "cost") -> dict[str, float]:
        """Return the share of the space in which each system is the best; NaN where it can't be compared.

        Args:
            metric: Quantity by which systems are ranked.
            equal: What it is divided by: `chips`, `power` or `cost`.
        """
        shares = winners(self.space, metric, equal).known_shares
        return dict(zip(self.space.systems, shares.tolist(), strict=True))

    def report(self, verbose: bool = False) -> Report:
        """Return the summary; `verbose` adds flexibility's map and sensitivity, and who wins where."""
        sums = self.sums or Sums.of(self._kept(), self.registry.roles())
        report = summary(self.plan, sums.totals, sums.doubts, self.registry, self.path)
        return self._detailed(report) if verbose and self.parts else report

    def summary(self) -> str:
        """Name the systems and count the points."""
        kept = f", in {self.path}" if self.path else ""
        return f"of {', '.join(self.plan.request.systems)}: {self.plan.size:,} points{kept}"

    def to_frame(self, library: str | None = None) -> Any:
        """Return a data frame with a row per point: all columns of the file, or those of the summary.

        Raises:
            InferBenchError: The library is not installed, or there are too many points to keep.
        """
        if self.path is not None:
            return to_frame(lists(self.path), library)
        return to_frame({name: plain(column).tolist() for name, column in self._kept().items()}, library)

    def rows(self) -> tuple[dict[str, Any], ...]:
        """Return every point as a flat record, as far as the summary reads it; unknown numbers are None."""
        whole = {name: plain(column).tolist() for name, column in self._kept().items()}
        lists = zip(*whole.values(), strict=True)
        return tuple({name: _or_none(value) for name, value in zip(whole, row, strict=True)} for row in lists)

    def _detailed(self, report: Report) -> Report:
        """Add readings, sensitivity (the axes listed twice as densely too), maps, winners."""
        space = self.space
        axes = {
            name: Points.of(densified(points.values()).tolist())
            if name in COORDINATES and not points.largest
            else points
            for name, points in self.plan.request.axes.items()
        }
        denser = plan(attrs.evolve(self.plan.request, axes=axes), self.registry)
        doubled = _space(denser, self.registry) if denser.size <= LARGEST_SUMMARY else None
        why = unknown(self.plan, self.registry, Totals.of([space]))
        tables = space_report(space, doubled, self.metric, self.equal, why)
        data = {**report.data, "space": space_data(space, doubled, why)}
        return attrs.evolve(report, tables=(*report.tables, *tables), data=data)


@verb
def sweep(
    systems: str | Sequence[str],
    workload: str | Sequence[str] | None = None,
    *,
    grid: str = "default",
    precision: str | Sequence[str] | None = None,
    stack: str = BEST,
    scenario: str = "reference",
    options: Mapping[str, Any] | None = None,
    ignore_capacity: bool = False,
    reserve: str | float | None = None,
    prefer: str = "latency",
    out: str | Path | None = None,
    executor: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    memory: str | float = "512 MB",
    yes: bool = False,
    metric: str = TOKENS,
    equal: Equal = "cost",
    watch: Watch = lambda done, total: None,
    registry: Registry | None = None,
    **axes: Axis,
) -> Sweep:
    """Evaluate systems over a whole space of workload points.

    Args:
        systems: `b200`, `8xh100:tp8`, …
        workload: `network/phase`, one or several, with `*` in it; None takes the grid's.
        grid: Named grid whose axes are taken where none are given: `default` or `reference`.
        precision: One name or several; by default the grid's.
        stack: Software of the systems that name none: `best` (the nearest that was measured), `ideal` (the
            bound), a stack, its TOML file or a family.
        scenario: Economics.
        options: The workload's options.
        ignore_capacity: Pretend that everything fits.
        reserve: Memory that the engine keeps for itself, `0.1` or `"8 GB"` of each chip; None: what it
            usually keeps.
        prefer: Which layout is taken where several fit: `latency` or `throughput`.
        out: Where to write all points: `space.parquet` is one file, any other name a folder of chunks. A
            sweep that was interrupted goes on where it stopped.
        executor: `inline`, `processes`, or one of a plugin; processes above 2 million points.
        workers: Processes; by default one per core.
        scheduler: Address of a running cluster.
        memory: What one worker may use for a chunk, bytes or text.
        yes: Start even if it is huge.
        metric: Quantity by which systems are ranked.
        equal: Divide it by `chips`, `power` or `cost`.
        watch: Called with the points that are done, and all.
        registry: Of plugins; everything installed by default.
        **axes: `batch="1:512:x2"`, `context=[2048, 8192]`, …; each applies to the phases that have it.

    Raises:
        InferBenchError: Unknown names, bad values, a sweep too large for memory or disk.

    Example:
        >>> import inferbench as ib
        >>> found = ib.sweep(["b200", "h100-sxm"], "llama3-8b/decode", batch="1:64:x2", context=2048)
        >>> found.plan.size
        42
    """
    known = registry or installed()
    _refuse(known, metric, out, executor, workers, scheduler)
    request = _request(
        known,
        listed(systems),
        grid,
        listed(workload),
        {name: points_of(values, name) for name, values in axes.items()},
        listed(precision),
        stack=stack,
        scenario=scenario,
        options=dict(options or {}),
        ignore_capacity=ignore_capacity,
        reserve=reserve,
        prefer=prefer,
        memory=_bytes(memory),
    )
    made = plan(request, known)
    name = executor or _executor(made, out)
    ask(made, known, None if out is None else str(out), 1 if name == "inline" else workers or _cores(), yes)
    done = None
    if out is not None:
        done = _stored(made, known, str(out), name, ExecutorOptions(workers, scheduler), watch)
    return Sweep(made, *_read(made, known, watch, done), done.path if done else None, metric, equal, known)


def _stored(
    made: Plan, known: Registry, out: str, executor: str, opening: ExecutorOptions, watch: Watch
) -> execute.Outcome:
    """Evaluate into files. What a summary reads is kept, or summed at once where that is too much: of one
    system, since several are compared at the same points.
    """
    names = _columns(known)
    wanted, summed = (
        (names, []) if not _large(made) else ([], names if len(made.request.systems) == 1 else [])
    )
    return execute.sweep(
        made, known, out, executor=executor, opening=opening, watch=watch, wanted=wanted, summed=summed
    )


def _large(made: Plan) -> bool:
    """Whether there are too many points to keep: they are summed block by block."""
    return made.size > LARGEST_SUMMARY


def _read(
    made: Plan, known: Registry, watch: Watch, done: execute.Outcome | None
) -> tuple[tuple[Mapping[str, Column | Text], ...], Sums | None]:
    """What a summary reads: kept, from the file or evaluated now; summed where there is too much."""
    if done is not None and (done.kept or done.sums):
        return done.kept, done.sums
    large = _large(made)
    parts: Iterator[Mapping[str, Column | Text]]
    if done is not None:
        parts = beside(done.path, made, _columns(known))
    else:
        parts = _evaluated(made, known, watch, made.beside if large else made.chunks)
    return ((), Sums.over(Sums.of(part, known.roles()) for part in parts)) if large else (tuple(parts), None)


def _evaluated(
    made: Plan, known: Registry, watch: Watch, chunks: Iterable[Chunk]
) -> Iterator[Mapping[str, Column | Text]]:
    """Evaluate what a summary reads, chunk by chunk."""
    names = _columns(known)
    for part in execute.in_memory(made, known, watch, chunks, names):
        yield {name: part.kept(name) for name in names if name in part.order}


def _executor(made: Plan, out: str | Path | None) -> str:
    """What a sweep runs in where nobody says: processes pay where it is large and several can run."""
    return "processes" if out is not None and made.size > PARALLEL_FROM and _cores() > 1 else "inline"


def _refuse(known: Registry, metric: str, *place: Any) -> None:
    """Refuse what can be refused before anything is evaluated."""
    _refuse_without_place(known, *place)
    _refuse_unranked(known, metric)


def _refuse_unranked(known: Registry, metric: str) -> None:
    """Refuse a metric that is no rate of the whole system, before anything is evaluated."""
    rates = ranked_by(known.roles())
    if metric not in rates:
        found = f"systems are not ranked by '{metric}'"
        remedy = suggest(metric, rates) or f"they are by {', '.join(rates)}"
        raise InferBenchError.of_argument("metric", found, remedy)


def _refuse_without_place(
    known: Registry,
    out: str | Path | None,
    executor: str | None,
    workers: int | None,
    scheduler: str | None,
) -> None:
    """Without `out` one process keeps all points: what asks for more would be ignored, so it is refused.

    Raises:
        InferBenchError: An unknown executor, with or without `out`; one that needs `out`.
    """
    if executor is not None:
        names = known.names("executors")
        if executor not in names:
            found = f"unknown executor; installed are {', '.join(names)}"
            remedy = suggest(executor.lower(), names) or "inferbench list executors"
            raise InferBenchError.of_argument("executor", found, remedy, executor)
    if out is not None:
        return
    for argument, given in (
        ("executor", executor not in (None, "inline")),
        ("scheduler", scheduler is not None),
        ("workers", workers not in (None, 1)),
    ):
        if given:
            found = "needs a place for all points"
            raise InferBenchError.of_argument(argument, found, "add {give}", out="space.parquet")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bytes(amount: str | float) -> float:
    try:
        return quantity(amount if isinstance(amount, str) else f"{amount!r} B", _MEMORY)
    except ValueError as error:
        raise InferBenchError.of_argument("memory", str(error), memory="512 MB") from None


def _request(
    known: Registry,
    systems: tuple[str, ...],
    grid: str,
    patterns: tuple[str, ...],
    given: dict[str, Points],
    precisions: tuple[str, ...],
    **more: Any,
) -> Request:
    """Fill up what was not given from the named grid; its axes apply where a phase has them."""
    if grid not in GRIDS:
        remedy = suggest(grid, GRIDS) or f"known are {', '.join(GRIDS)}"
        raise InferBenchError.of_argument("grid", f"unknown grid '{grid}'", remedy)
    named = GRIDS[grid]
    works = workloads(patterns or named.workloads, known)
    having = {axis for work in works for axis in _axes_of(work, known)}
    axes = {axis: parse(text, axis) for axis, text in named.axes.items() if axis in having}
    return Request(
        systems=systems,
        workloads=works,
        axes={**axes, **given},
        precisions=precisions or named.precisions,
        **more,
    )


def _axes_of(workload: str, known: Registry) -> set[str]:
    network, _, phase = workload.rpartition("/")
    phases = known.workload(known.network(network).type).phases
    return {axis for one in phases if one.name == phase for axis in one.axes}


def _columns(known: Registry) -> list[str]:
    """What a summary reads of every point."""
    return [*COLUMNS, *(metric.name for metric in known.roles().values())]


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _space(made: Plan, known: Registry) -> Space:
    parts = list(_evaluated(made, known, lambda done, total: None, made.chunks))
    return Space.of_columns(joined(parts), known.roles())
