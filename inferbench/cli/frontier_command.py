"""`inferbench frontier`."""

from __future__ import annotations

import click

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.cli.validate_command import progress_bar
from inferbench.face.frontier import frontier
from inferbench.face.picture import picture

__all__ = ["command"]


@click.command("frontier", cls=Command)
@click.argument("systems", nargs=-1, required=True, metavar="SYSTEM…", callback=common.each_once)
@click.option(
    "-w", "--workload", "network", required=True, metavar="NETWORK", help="A language model; no phase."
)
@click.option("--output", "tokens", metavar="1024", help="Tokens a request asks for. [default: 1024]")
@click.option(
    "--chunk",
    default="512,2048",
    show_default=True,
    metavar="512,…",
    help="Sizes of a prompt's chunks; none for whole prompts.",
)
@click.option("--slo-tpot", metavar="TIME", help="Longest time per token (20ms).")
@click.option("--slo-ttft", metavar="TIME", help="Longest time to the first token (0.5 s).")
@click.option(
    "--plot", "image", metavar="FILE.svg", help="Draw speed against throughput; inferbench plot has more."
)
@common.point_options(without=["axes"])
@common.output_options(verbose=False)
def command(
    systems: tuple[str, ...],
    network: str,
    tokens: str | None,
    chunk: str,
    slo_tpot: str | None,
    slo_ttft: str | None,
    image: str | None,
    asked: common.Asked,
    output: common.Output,
) -> None:
    """Speed per user against throughput, cost and energy per token, in steady-state continuous batching.

    Example: inferbench frontier 8xb200 8xmi355x 576xgroq-lpu -w llama3-70b --context 8192

    Every layout, three ways to fit prompts between tokens (interleaved, chunked, disaggregated) and every
    load are tried, up to the largest that fits. --batch lists the sequences that decode together on a
    replica instead, --context is the prompt's length.
    """
    registry = common.what_if(common.the_registry(), asked, systems, (network,))
    with progress_bar("per cent") as tick:
        found = frontier(
            systems,
            network,
            output=tokens or "1024",
            context=asked.context or "2048",
            batch=asked.batch,
            chunk=None if chunk == "none" else chunk,
            slo_tpot=slo_tpot,
            slo_ttft=slo_ttft,
            precision=common.names(asked.precision) or ["fp8"],
            stack=asked.stack,
            scenario=asked.scenario,
            options=common.options_of(asked.options),
            ignore_capacity=asked.ignore_capacity,
            reserve=asked.reserve,
            watch=tick,
            registry=registry,
        )
    if image:
        picture(found, "", registry).save(image)
    common.emit(found.report(), output.form, output.out, registry)
    common.problems_line(registry)
