"""`inferbench size`."""

from __future__ import annotations

import click

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.cli.validate_command import progress_bar
from inferbench.face.size import size

__all__ = ["command"]


@click.command("size", cls=Command)
@click.argument("workload", metavar="NETWORK[/PHASE]")
@click.option("--chips", required=True, metavar="b200,…", help="Chips to choose from.")
@click.option("--users", metavar="200", help="Requests at once, all copies together.")
@click.option("--rate", metavar="4/s", help="Requests per second instead, at random.")
@click.option("--prompt", metavar="2048", help="Tokens of a prompt. [default: --context, or 2048]")
@click.option("--output", "tokens", metavar="1024", help="Tokens of an answer. [default: 1024]")
@click.option("--tpot", metavar="TIME", help="Longest mean time per token (20ms); decode needs it.")
@click.option("--ttft", metavar="TIME", help="Longest mean time to the first token; prefill needs it.")
@click.option("--latency", metavar="TIME", help="Longest step of any other phase.")
@common.point_options(without=["batch"])
@common.output_options(verbose=False)
def command(
    workload: str,
    chips: str,
    users: str | None,
    rate: str | None,
    prompt: str | None,
    tokens: str | None,
    tpot: str | None,
    ttft: str | None,
    latency: str | None,
    asked: common.Asked,
    output: common.Output,
) -> None:
    """Find the fewest chips and the cheapest layout that serve so many users within a limit.

    Example: inferbench size llama3-70b --tpot 20ms --ttft 1s --users 200 --chips b200,h200

    Every layout is tried, and as many copies as the load needs. Of a language model prompts are counted, as
    in inferbench frontier; the answer is replayed under the load. Any other phase is sized by one step.
    """
    named = common.names(chips, "chips") or ()
    registry = common.what_if(common.the_registry(), asked, named, (workload,))
    with progress_bar("per cent") as tick:
        found = size(
            workload,
            named,
            users,
            rate=rate,
            prompt=prompt,
            output=tokens,
            tpot=tpot,
            ttft=ttft,
            latency=latency,
            precision=common.names(asked.precision) or ["fp8"],
            stack=asked.stack,
            scenario=asked.scenario,
            options=common.options_of(asked.options),
            ignore_capacity=asked.ignore_capacity,
            reserve=asked.reserve,
            watch=tick,
            registry=registry,
            **common.axes_from(asked.batch, asked.context, asked.axes, size),
        )
    common.emit(found.report(), output.form, output.out, registry)
    common.problems_line(registry)
