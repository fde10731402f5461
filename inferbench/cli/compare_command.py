"""`inferbench compare`."""

from __future__ import annotations

import click
import rich_click

from inferbench.cli import common
from inferbench.face.compare import compare

__all__ = ["command"]


@click.command("compare", cls=rich_click.RichCommand)
@click.argument("systems", nargs=-1, required=True, metavar="SYSTEM…")
@click.option(
    "-w",
    "--workload",
    "workloads",
    multiple=True,
    metavar="NETWORK/PHASE",
    help="Instead of the suite; may be repeated.",
)
@click.option("--suite", default="reference", show_default=True, help="Named list of workload points.")
@common.point_options()
@common.output_options()
def command(
    systems: tuple[str, ...],
    workloads: tuple[str, ...],
    suite: str,
    asked: common.Asked,
    output: common.Output,
) -> None:
    """Compare systems on the same work: what one would get from each, how sure that is, and the bound.

    Example: inferbench compare b200 groq-lpu tpu-v5p

    Each system runs under the software that was measured nearest to it; h100@vllm names another, @ideal
    asks for the bound alone. Without -w it runs the reference suite (Llama 3 70B, fp8): single-user decode,
    decode at the largest batch that fits, prefill of 2,048 tokens. A chip written without a count that
    can't hold the network is shown as the smallest system that can. -v has all rows.
    """
    registry = common.what_if(common.the_registry(), asked, systems, workloads)
    found = compare(
        systems,
        workloads,
        suite=suite,
        precision=common.names(asked.precision),
        stack=asked.stack,
        scenario=asked.scenario,
        options=common.options_of(asked.options),
        ignore_capacity=asked.ignore_capacity,
        reserve=asked.reserve,
        breakdown=output.verbose,
        registry=registry,
        **common.axes_from(asked.batch, asked.context, asked.axes),
    )
    common.emit(found.report(output.verbose), output.form, output.out, registry)
    common.problems_line(registry)
