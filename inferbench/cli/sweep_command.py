"""`inferbench sweep`."""

from __future__ import annotations

import sys

import click
import rich_click

from inferbench.cli import common
from inferbench.cli.progress import Progress
from inferbench.face.sweep import sweep
from inferbench.space.winners import TOKENS, Equal

__all__ = ["command"]


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
@common.point_options(without=["changes"], stack="ideal")
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
    default=TOKENS,
    show_default=True,
    help="Quantity by which systems are ranked, with -v: tokens, or a metric of useful operations.",
)
@click.option(
    "--equal",
    default="cost",
    show_default=True,
    type=click.Choice(["chips", "power", "cost"]),
    help="Normalise it by chips, watts or dollars, with -v.",
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
    try:
        with Progress("sweep") as progress:
            found = sweep(
                systems,
                patterns,
                grid=grid,
                precision=common.names(asked.precision),
                stack=asked.stack,
                scenario=asked.scenario,
                options=common.options_of(asked.options),
                ignore_capacity=asked.ignore_capacity,
                prefer=prefer,
                out=out,
                executor=executor,
                workers=workers,
                scheduler=scheduler,
                memory=memory,
                yes=yes,
                metric=metric,
                equal=equal,
                watch=progress.update,
                registry=registry,
                **common.axes_from(asked.batch, asked.context, asked.axes),
            )
    except KeyboardInterrupt:
        if out is not None:
            kept = f"what was finished is kept in {out}; the same command goes on from there"
            print(f"inferbench: {kept}", file=sys.stderr)
        raise
    detailed = verbose or (metric, equal) != (TOKENS, "cost")
    common.emit(found.report(detailed), form, None, registry)
    common.problems_line(registry)
