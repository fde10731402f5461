"""`inferbench simulate`."""

from __future__ import annotations

import attrs
import click

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.cli.validate_command import progress_bar
from inferbench.face.simulate import simulate

__all__ = ["command"]


@attrs.frozen
class Load:
    """Who asks, as it was typed."""

    rate: str | None = None
    concurrency: str | None = None
    trace: str | None = None
    requests: str | None = None
    prompt: str = "1024"
    tokens: str = "1024"
    turns: str = "1"
    think: str | None = None
    seed: str = "1"


@attrs.frozen
class Scheduling:
    """How the system schedules, as it was typed."""

    policy: str | None = None
    chunk: str | None = None
    prefill: str | None = None
    decode: str | None = None
    block: str = "16"
    max_seqs: str | None = None
    wait: str | None = None
    poll: str = "1"
    compiled: str | None = None
    reserve: str = "10%"
    no_reuse: bool = False
    slo_tpot: str | None = None
    slo_ttft: str | None = None


_LOAD = [
    click.option("--rate", metavar="4/s", help="Requests per second, at random; inf for all at once."),
    click.option("--concurrency", metavar="64", help="Users, each of whom asks again at once."),
    click.option(
        "--trace", metavar="FILE", help="Requests as Mooncake (JSON lines) or Azure (CSV) publish them."
    ),
    click.option("--requests", metavar="1000", help="How many. [default: 1000, or all of a trace]"),
    click.option(
        "--prompt",
        default="1024",
        show_default=True,
        metavar="TOKENS",
        help="Or lognormal:1024:0.8, uniform:512:2048.",
    ),
    click.option(
        "--output",
        "tokens",
        default="1024",
        show_default=True,
        metavar="TOKENS",
        help="Tokens of an answer, likewise.",
    ),
    click.option("--turns", default="1", show_default=True, metavar="1", help="Turns of a conversation."),
    click.option("--think", metavar="TIME", help="Between an answer and the next turn (5s)."),
    click.option("--seed", default="1", show_default=True, metavar="1", help="Of the random numbers."),
]
_SCHEDULING = [
    click.option(
        "--policy",
        metavar="chunked|interleaved",
        help="Prompts ride along with steps, or go between them. [default: the engine's]",
    ),
    click.option(
        "--chunk",
        metavar="TOKENS",
        help="Of prompts in one step at most. [default: the engine's]",
    ),
    click.option("--prefill", metavar="2xtp2", help="Replicas for prompts alone; the others decode."),
    click.option("--decode", metavar="1xtp4", help="Those others. [default: all other chips]"),
    click.option(
        "--block", default="16", show_default=True, metavar="16", help="Positions of a block of the cache."
    ),
    click.option("--max-seqs", metavar="256", help="Sequences at once on a replica at most."),
    click.option(
        "--wait",
        metavar="40:0.8",
        help="Steps that prompts wait for more, or until that share of a step.",
    ),
    click.option(
        "--poll", default="1", show_default=True, metavar="30", help="Steps between two looks for requests."
    ),
    click.option(
        "--compiled",
        metavar="32x4096",
        help="Sequences and positions that every step computes. [default: the engine's]",
    ),
    click.option(
        "--reserve",
        default="10%",
        show_default=True,
        metavar="10%",
        help="Share that is kept free of the memory beside the weights.",
    ),
    click.option("--no-reuse", is_flag=True, help="Forget prefixes of prompts."),
    click.option("--slo-tpot", metavar="TIME", help="Longest time per token (20ms), for goodput."),
    click.option("--slo-ttft", metavar="TIME", help="Longest time to the first token (0.5 s)."),
]


@click.command("simulate", cls=Command)
@click.argument("system", metavar="SYSTEM")
@click.argument("workload", metavar="NETWORK")
@common.bundled("load", Load, _LOAD)
@common.bundled("how", Scheduling, _SCHEDULING)
@common.point_options(without=["batch", "context", "axes", "reserve"])
@common.output_options()
def command(
    system: str, workload: str, load: Load, how: Scheduling, asked: common.Asked, output: common.Output
) -> None:
    """Replay requests on a system: percentiles of TTFT, TPOT, ITL and E2E, goodput, power over time.

    Example: inferbench simulate 4xh100:tp4 llama3-70b --concurrency 64

    Continuous batching with prompts in chunks, a paged cache, preemption and prefixes; every step is costed
    by the model under the system's software.
    """
    registry = common.what_if(common.the_registry(), asked, (system,), (workload,))
    with progress_bar("requests") as tick:
        found = simulate(
            system,
            workload,
            **attrs.asdict(load, filter=lambda field, _: field.name != "tokens"),
            output=load.tokens,
            reuse=not how.no_reuse,
            **attrs.asdict(how, filter=lambda field, _: field.name != "no_reuse"),
            precision=(common.names(asked.precision) or ["fp8"])[0],
            stack=asked.stack,
            scenario=asked.scenario,
            options=common.options_of(asked.options),
            ignore_capacity=asked.ignore_capacity,
            watch=tick,
            registry=registry,
        )
    common.emit(found.report(output.verbose), output.form, output.out, registry)
    common.problems_line(registry)
