"""`inferbench run`."""

from __future__ import annotations

import attrs
import click
import numpy as np

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.errors import InferBenchError
from inferbench.face.run import run as run_once
from inferbench.records.run import Run
from inferbench.report.chain import explanation
from inferbench.report.model import Next
from inferbench.report.runs import grid_report

__all__ = ["command"]

# Rows that are printed within seconds; each has some hundred cells in JSON.
MOST_ROWS = 20_000


@click.command("run", cls=Command)
@click.argument("system")
@click.argument("workload", metavar="NETWORK/PHASE")
@click.option(
    "--explain",
    metavar="NUMBER",
    help="Show the chain of formulas behind a number: tpot, ttft, power, usd_per_mtok.",
)
@common.point_options()
@common.output_options()
def command(
    system: str,
    workload: str,
    explain: str | None,
    asked: common.Asked,
    output: common.Output,
) -> None:
    """Run one workload on one system over a grid of points.

    Example: inferbench run 8xh100 llama3-70b/decode --batch 1,8,32 --context 8192 --precision fp8

    The default precision is the one that the network is published in, else bf16; the default stack is the
    nearest that was measured (`--stack ideal` asks for the bound). NETWORK may be the path of a Hugging Face
    config.json.
    """
    registry = common.what_if(common.the_registry(), asked, (system,), (workload,))
    run = run_once(
        system,
        workload,
        precision=common.names(asked.precision),
        stack=asked.stack,
        scenario=asked.scenario,
        options=common.options_of(asked.options),
        ignore_capacity=asked.ignore_capacity,
        reserve=asked.reserve,
        breakdown=output.verbose,
        registry=registry,
        **common.axes_from(asked.batch, asked.context, asked.axes, run_once),
    )
    if run.grid.size > MOST_ROWS:
        found = f"{run.grid.size:,} points are too many for a table of run"
        remedy = f"take at most {MOST_ROWS:,}, or inferbench sweep with --out space.parquet"
        raise InferBenchError.at("grid", found, remedy)
    _refuse_idle_ranks(run, system)
    report = grid_report(
        run,
        registry,
        output.verbose,
        (
            Next("show", (run.system.chip.name,)),
            *(() if output.verbose else (Next(arguments=("-v",), why="for operators"),)),
        ),
    )
    if explain:
        report = attrs.evolve(report, tables=(*report.tables, explanation(run, explain, registry.metrics())))
    common.emit(report, output.form, output.out, registry)
    common.problems_line(registry)


def _refuse_idle_ranks(run: Run, system: str) -> None:
    """Refuse a layout that has more ranks than the batch has sequences, at every point that was asked for."""
    reason = next((one for one in run.reasons if one.code == "ranks"), None)
    if reason is not None and np.all(reason.where):
        most, ranks = float(np.max(np.asarray(run.batch))), float(reason.numbers["bound_ranks"])
        found = f"dp{ranks:.0f} has more ranks than the batch has sequences ({most:,.0f})"
        raise InferBenchError.at(system, found, f"take --batch {ranks:.0f} or more, or fewer ranks")
