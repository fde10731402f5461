"""`inferbench explain`."""

from __future__ import annotations

import click

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.errors import InferBenchError
from inferbench.face.explain import explain

__all__ = ["command"]


@click.command("explain", cls=Command)
@click.argument("first", metavar="RUN.json|SYSTEM")
@click.argument("second", metavar="MEASUREMENT|NETWORK/PHASE")
@click.option("--measured", metavar="TIME", help="What was measured, for SYSTEM NETWORK/PHASE: '8.4 ms'.")
@click.option("--row", default=1, show_default=True, help="Which row of the measurement's file.")
@click.option("--result", default=1, show_default=True, help="Which result of RUN.json.")
@click.option(
    "--chip", metavar="8xh200:tp8", help="Chip, or whole system, of a measurement that doesn't say it."
)
@click.option("--network", help="Network of a measurement that doesn't say it.")
@click.option("--software", help="Software of a measurement that doesn't say it.")
@click.option("--figure", metavar="tpot", help="Which time of the measurement: ttft, tpot or latency.")
@common.point_options()
@common.output_options(verbose=False)
def command(
    first: str,
    second: str,
    measured: str | None,
    row: int,
    result: int,
    chip: str | None,
    network: str | None,
    software: str | None,
    figure: str | None,
    asked: common.Asked,
    output: common.Output,
) -> None:
    """Say where a measured time goes: algorithm, hardware, software.

    Example: inferbench explain h100 llama3-8b/decode --measured 8.4ms --stack vllm-h100 --batch 4

    With RUN.json, what `run --format json` wrote, and a file of measurements also the gap between the two,
    as factors of work, algorithm, hardware and software.
    """
    recorded = first.endswith(".json")
    registry = common.the_registry()
    if not recorded:
        registry = common.what_if(registry, asked, (first,), (second,))
    elif asked.facts:
        remedy = "give it to the inferbench run that writes the file"
        raise InferBenchError.of_argument("changes", "a run that was written keeps its facts", remedy)
    found = explain(
        first,
        second,
        measured=measured,
        row=row,
        result=result,
        precision=common.names(asked.precision),
        chip=chip,
        network=network,
        software=software,
        figure=figure,
        stack=None if asked.stack == "best" else asked.stack,
        scenario=asked.scenario,
        options=common.options_of(asked.options),
        ignore_capacity=asked.ignore_capacity,
        reserve=asked.reserve,
        registry=registry,
        **common.axes_from(asked.batch, asked.context, asked.axes, explain),
    )
    common.emit(found.report(), output.form, output.out, registry)
    common.problems_line(registry, found.warnings)
