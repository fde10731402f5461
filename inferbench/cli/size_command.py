"""`inferbench size`."""

from __future__ import annotations

import click
import rich_click

from inferbench.cli import common
from inferbench.face.size import size

__all__ = ["command"]


@click.command("size", cls=rich_click.RichCommand)
@click.argument("workload", metavar="NETWORK/PHASE")
@click.option("--chips", required=True, metavar="b200,…", help="Chips to choose from.")
@click.option("--users", required=True, metavar="200", help="Sequences at once, all copies together.")
@click.option("--tpot", metavar="TIME", help="Longest time per token (20ms); decode needs it.")
@click.option(
    "--ttft", metavar="TIME", help="Longest time to the first token of a prompt alone; prefill needs it."
)
@click.option("--latency", metavar="TIME", help="Longest step of any other phase.")
@common.point_options(without=["batch"])
@common.output_options(verbose=False)
def command(
    workload: str,
    chips: str,
    users: str,
    tpot: str | None,
    ttft: str | None,
    latency: str | None,
    asked: common.Asked,
    output: common.Output,
) -> None:
    """Find the fewest chips and the cheapest layout that serve so many users within a limit.

    Example: inferbench size llama3-70b/decode --tpot 20ms --users 200 --chips b200,h200,tpu-v6e

    Every layout is tried: tensor and pipeline parallelism, and as many copies as the users need. Prompts that
    arrive meanwhile are not counted: see inferbench frontier for those.
    """
    named = common.names(chips, "chips") or ()
    registry = common.what_if(common.the_registry(), asked, named, (workload,))
    found = size(
        workload,
        named,
        users,
        tpot=tpot,
        ttft=ttft,
        latency=latency,
        precision=common.names(asked.precision) or ["fp8"],
        stack=asked.stack,
        scenario=asked.scenario,
        options=common.options_of(asked.options),
        ignore_capacity=asked.ignore_capacity,
        reserve=asked.reserve,
        registry=registry,
        **common.axes_from(asked.batch, asked.context, asked.axes),
    )
    common.emit(found.report(), output.form, output.out, registry)
    common.problems_line(registry)
