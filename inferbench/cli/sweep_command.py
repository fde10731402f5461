"""`inferbench sweep`."""

from __future__ import annotations

import sys
from pathlib import Path

import attrs
import click

from inferbench import files
from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.cli.progress import Progress
from inferbench.errors import InferBenchError
from inferbench.face.sweep import sweep
from inferbench.space.winners import TOKENS, Equal

__all__ = ["command"]

# Ends of file names that hold the answer, not a store of points that grows chunk by chunk.
DOCUMENTS = (".csv", ".json", ".md", ".tex", ".html", ".htm", ".txt")


@attrs.frozen
class Placing:
    """Where points go and what computes them, as typed."""

    out: str | None
    executor: str | None
    workers: int | None
    scheduler: str | None
    memory: str
    yes: bool

    @property
    def document(self) -> str | None:
        """The file that holds the answer, where that is what `--out` names."""
        named = self.out is not None and Path(self.out).suffix.lower() in DOCUMENTS
        return self.out if named else None

    def refuse_existing(self) -> None:
        """Refuse to overwrite a document; a store goes on where it stopped."""
        if self.document and files.has_content(self.document):
            remedy = "name another file, or delete this one"
            raise InferBenchError.of_argument("out", "is there already", remedy, self.document)

    @property
    def store(self) -> str | None:
        """The store of points, where that is what `--out` names."""
        return None if self.document else self.out


@attrs.frozen
class Ranking:
    """By what systems are ranked."""

    metric: str
    equal: Equal


PLACING = (
    click.option(
        "--out",
        metavar="PATH",
        help="Write all points: NAME.parquet or NAME.csv, one file; a name without an end: a folder.",
    ),
    click.option(
        "--executor",
        metavar="NAME",
        help="inline, processes, or one of a plugin (dask); processes above 2 million points.",
    ),
    click.option("--workers", type=click.IntRange(1), help="Processes; by default one per core."),
    click.option("--scheduler", metavar="ADDRESS", help="Of a running cluster, tcp://127.0.0.1:8786."),
    click.option(
        "--memory", default="512 MB", show_default=True, help="What one worker may use for a chunk."
    ),
    click.option("--yes", is_flag=True, help="Start even if it is huge."),
)
RANKING = (
    click.option(
        "--metric",
        default=TOKENS,
        show_default=True,
        help="Quantity by which systems are ranked, with -v: tokens, or a metric of useful operations.",
    ),
    click.option(
        "--equal",
        default="cost",
        show_default=True,
        type=click.Choice(["chips", "power", "cost"]),
        help="Normalise it by chips, watts or dollars, with -v.",
    ),
)


@click.command("sweep", cls=Command)
@click.argument("systems", nargs=-1, required=True, metavar="SYSTEM…", callback=common.each_once)
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
@common.point_options()
@click.option(
    "--prefer",
    default="latency",
    show_default=True,
    type=click.Choice(["latency", "throughput"]),
    help="Which layout is taken where several fit.",
)
@common.bundled("placing", Placing, PLACING)
@click.option(
    "--format",
    "form",
    default="table",
    show_default=True,
    help=f"Of the summary: {common.FORMATS}",
)
@click.option(
    "-v", "--verbose", is_flag=True, help="Show the flexibility's map and sensitivity, and who wins where."
)
@common.bundled("ranking", Ranking, RANKING)
def command(
    systems: tuple[str, ...],
    grid: str,
    patterns: tuple[str, ...],
    asked: common.Asked,
    prefer: str,
    placing: Placing,
    form: str,
    verbose: bool,
    ranking: Ranking,
) -> None:
    """Evaluate systems over a whole space of workload points.

    Example: inferbench sweep b200 mi355x -w llama3-70b/decode --batch 1:512:x2 --context 128:32768:x2

    Axes are lists (1,8,32), ranges by factor (1:512:x2) or by step (128:32768:+128), or a mix. Without -w
    it takes the synthetic dense family, 1B to 200B, in prefill and decode. A sweep that was interrupted
    goes on where it stopped when the same command is given again. --out space.csv holds every point as well,
    as the summary sees it; .json, .md, .tex and .html hold the summary itself.
    """
    whole = [name for name in patterns if "*" not in name]
    registry = common.what_if(common.the_registry(), asked, systems, whole)
    placing.refuse_existing()
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
                reserve=asked.reserve,
                prefer=prefer,
                out=placing.store,
                executor=placing.executor,
                workers=placing.workers,
                scheduler=placing.scheduler,
                memory=placing.memory,
                yes=placing.yes,
                metric=ranking.metric,
                equal=ranking.equal,
                watch=progress.update,
                registry=registry,
                **common.axes_from(asked.batch, asked.context, asked.axes, sweep),
            )
    except KeyboardInterrupt:
        if placing.store:
            kept = f"what was finished is kept in {placing.store}; the same command goes on from there"
            print(f"inferbench: {kept}", file=sys.stderr)
        raise
    detailed = verbose or (ranking.metric, ranking.equal) != (TOKENS, "cost")
    report = found.report(detailed)
    if placing.document and placing.document.lower().endswith(".csv"):
        report = attrs.evolve(report, rows=found.rows())
    common.emit(report, form, placing.document, registry)
    common.problems_line(registry)
