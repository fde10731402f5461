"""`inferbench sweep`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import click
import numpy as np
import rich_click

from inferbench.cli import common
from inferbench.cli.progress import Progress
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, suggest
from inferbench.records.executor import ExecutorOptions
from inferbench.report.model import Report
from inferbench.report.space import space_data, space_report
from inferbench.report.sweeps import COLUMNS, counted, summary
from inferbench.space.flexibility import COORDINATES, Space, densified
from inferbench.space.winners import Equal
from inferbench.specs.ranges import Points, parse
from inferbench.sweeping.columns import Columns
from inferbench.sweeping.execute import in_memory, sweep
from inferbench.sweeping.limits import ask
from inferbench.sweeping.plan import Plan, plan
from inferbench.sweeping.query import columns
from inferbench.sweeping.request import GRIDS, Request, workloads
from inferbench.sweeping.unknown import unknown
from inferbench.units import Unit
from inferbench.units import parse as parse_quantity

__all__ = ["command"]

_MEMORY = Unit("B", "an amount of memory", "512 MB")
PARALLEL_FROM = 2_000_000
LARGEST_SUMMARY = 2_000_000


@click.command("sweep", cls=rich_click.RichCommand)
@click.argument("systems", nargs=-1, required=True, metavar="SYSTEM…")
@click.option(
    "--grid",
    default="default",
    show_default=True,
    help="Named grid whose axes are taken where none are given: default or reference.",
)
@click.option(
    "-w",
    "--workload",
    "patterns",
    multiple=True,
    metavar="NETWORK/PHASE",
    help="Instead of the grid's; may be repeated, and have a * in it.",
)
@common.point_options
@click.option(
    "--prefer",
    default="latency",
    show_default=True,
    type=click.Choice(["latency", "throughput"]),
    help="Which layout is taken where several fit.",
)
@click.option(
    "--out",
    metavar="PATH",
    help="Write all points: NAME.parquet is one file, any other name a folder of chunks.",
)
@click.option(
    "--executor",
    metavar="NAME",
    help="inline, processes, or one of a plugin (dask); processes above 2 million points.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes; by default one per core.")
@click.option("--scheduler", metavar="ADDRESS", help="Of a running cluster, tcp://127.0.0.1:8786.")
@click.option("--memory", default="512 MB", show_default=True, help="What one worker may use for a chunk.")
@click.option("--yes", is_flag=True, help="Start even if it is huge.")
@click.option(
    "--format",
    "form",
    default="table",
    show_default=True,
    help="table, json, csv or markdown; of the summary.",
)
@click.option(
    "-v", "--verbose", is_flag=True, help="Show the flexibility's map and sensitivity, and who wins where."
)
@click.option(
    "--metric",
    default="tokens",
    show_default=True,
    type=click.Choice(["tokens", "useful_tops"]),
    help="What winning is about; shown with -v.",
)
@click.option(
    "--equal",
    default="cost",
    show_default=True,
    type=click.Choice(["chips", "power", "cost"]),
    help="On what terms; shown with -v.",
)
def command(
    systems: tuple[str, ...],
    grid: str,
    patterns: tuple[str, ...],
    asked: common.Asked,
    prefer: str,
    out: str | None,
    executor: str | None,
    workers: int | None,
    scheduler: str | None,
    memory: str,
    yes: bool,
    form: str,
    verbose: bool,
    metric: str,
    equal: Equal,
) -> None:
    """Evaluate systems over a whole space of workload points.

    Example: inferbench sweep b200 mi355x -w llama3-70b/decode --batch 1:512:x2 --context 128:32768:x2

    Axes are lists (1,8,32), ranges by factor (1:512:x2) or by step (128:32768:+128), or a mix. Without -w
    it takes the synthetic dense family, 1B to 200B, in prefill and decode. A sweep that was interrupted
    goes on where it stopped when the same command is given again.
    """
    registry = common.the_registry()
    _refuse_without_place(registry, out, executor, workers, scheduler)
    request = _request(
        registry,
        systems,
        grid,
        patterns,
        _points(asked.batch, asked.context, asked.axes),
        common.names(asked.precision),
        stack=asked.stack,
        scenario=asked.scenario,
        options=common.options_of(asked.pairs),
        ignore_capacity=asked.ignore_capacity,
        prefer=prefer,
        memory=_bytes(memory),
    )
    made = plan(request, registry)
    parallel = out is not None and made.size > PARALLEL_FROM and _cores() > 1
    name = executor or ("processes" if parallel else "inline")
    ask(made, registry, out, 1 if name == "inline" else workers or _cores(), yes)
    details = Details(verbose or (metric, equal) != ("tokens", "cost"), metric, equal)
    common.emit(
        _answer(made, registry, out, name, ExecutorOptions(workers, scheduler), details), form, None, registry
    )
    common.problems_line(registry)


def _refuse_without_place(
    registry: Registry, out: str | None, executor: str | None, workers: int | None, scheduler: str | None
) -> None:
    """Without `--out` one process keeps all points: what asks for more would be ignored, so it is refused.

    Raises:
        InferBenchError: An unknown executor, with or without `--out`; one that needs `--out`.
    """
    if executor is not None:
        known = registry.names("executors")
        if executor not in known:
            remedy = suggest(executor.lower(), known) or "inferbench list executors"
            raise InferBenchError.at(
                f"--executor {executor}", f"unknown executor; installed are {', '.join(known)}", remedy
            )
    if out is not None:
        return
    for option, given in (
        ("executor", executor not in (None, "inline")),
        ("scheduler", scheduler is not None),
        ("workers", workers not in (None, 1)),
    ):
        if given:
            raise InferBenchError.at(f"--{option}", "needs --out", "add --out space.parquet")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bytes(text: str) -> float:
    try:
        return parse_quantity(text, _MEMORY)
    except ValueError as error:
        raise InferBenchError.at("--memory", str(error)) from None


def _points(batch: str | None, context: str | None, more: tuple[str, ...]) -> dict[str, Points]:
    found = {
        name: common.points(text, f"--{name}") for name, text in (("batch", batch), ("context", context))
    }
    for pair in more:
        name, sign, text = pair.partition("=")
        if not sign:
            raise InferBenchError.at("--axis", f"'{pair}' has no values", "write it like --axis steps=20,28")
        found[name] = common.points(text, f"--axis {name}")
    return {name: points for name, points in found.items() if points is not None}


def _request(
    registry: Registry,
    systems: tuple[str, ...],
    grid: str,
    patterns: tuple[str, ...],
    given: dict[str, Points],
    precisions: list[str] | None,
    **more: Any,
) -> Request:
    """Fill up what was not given from the named grid; its axes apply where a phase has them."""
    if grid not in GRIDS:
        remedy = suggest(grid, GRIDS) or f"known are {', '.join(GRIDS)}"
        raise InferBenchError.at("--grid", f"unknown grid '{grid}'", remedy)
    named = GRIDS[grid]
    works = workloads(patterns or named.workloads, registry)
    known = {axis for work in works for axis in _axes_of(work, registry)}
    axes = {axis: parse(text, f"--{axis}") for axis, text in named.axes.items() if axis in known}
    return Request(
        systems=systems,
        workloads=works,
        axes={**axes, **given},
        precisions=tuple(precisions or named.precisions),
        **more,
    )


def _axes_of(workload: str, registry: Registry) -> set[str]:
    network, _, phase = workload.rpartition("/")
    phases = registry.workload(registry.network(network).type).phases
    return {axis for one in phases if one.name == phase for axis in one.axes}


@attrs.frozen
class Details:
    """Whether to show what is behind the summary, and what winning is about."""

    wanted: bool
    metric: str
    equal: Equal


def _answer(
    made: Plan, registry: Registry, out: str | None, executor: str, opening: ExecutorOptions, details: Details
) -> Report:
    with Progress("sweep") as progress:
        if out is None:
            parts = [_kept(part) for part in in_memory(made, registry, progress.update)]
            return _detailed(summary(made, parts, registry), made, registry, parts, details)
        try:
            done = sweep(made, registry, out, executor=executor, opening=opening, watch=progress.update)
        except KeyboardInterrupt:
            print(
                f"inferbench: what was finished is kept in {out}; the same command goes on from there",
                file=sys.stderr,
            )
            raise
    if made.size > LARGEST_SUMMARY:
        return counted(made, done.path)
    parts = [columns(done.path, list(COLUMNS))]
    return _detailed(summary(made, parts, registry, done.path), made, registry, parts, details)


def _kept(part: Columns) -> dict[str, Any]:
    return {name: part.values(name) for name in COLUMNS if name in part.order}


def _space(parts: Sequence[Mapping[str, Any]]) -> Space:
    return Space.of_columns({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _detailed(
    report: Report, made: Plan, registry: Registry, parts: Sequence[Mapping[str, Any]], details: Details
) -> Report:
    """Add what is behind the summary: readings, sensitivity (the axes listed twice as densely too), maps,
    winners.
    """
    if not details.wanted:
        return report
    space = _space(parts)
    axes = {
        name: Points.of(densified(points.values()).tolist()) if name in COORDINATES else points
        for name, points in made.request.axes.items()
    }
    denser = plan(attrs.evolve(made.request, axes=axes), registry)
    doubled = (
        _space([_kept(part) for part in in_memory(denser, registry)])
        if denser.size <= LARGEST_SUMMARY
        else None
    )
    why = unknown(made, registry, space)
    tables = space_report(space, doubled, details.metric, details.equal, why)
    data = {**report.data, "space": space_data(space, doubled, why)}
    return attrs.evolve(report, tables=(*report.tables, *tables), data=data)
