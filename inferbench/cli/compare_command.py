"""`inferbench compare`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.face.compare import compare
from inferbench.records.immutable import frozen

if TYPE_CHECKING:
    from inferbench.face.users import UsersAt

__all__ = ["command"]


@frozen
class Users:
    """The options that ask for a speed per user, as typed."""

    speed: str | None
    prompt: str | None
    output_tokens: str | None
    ttft: str | None


USERS = (
    click.option(
        "--users-at",
        "speed",
        metavar="30tok/s",
        help="Serve users who each get tokens at least at this speed.",
    ),
    click.option("--prompt", metavar="2048", help="Tokens of a prompt, with --users-at."),
    click.option("--output", "output_tokens", metavar="1024", help="Tokens of an answer, with --users-at."),
    click.option("--ttft", metavar="TIME", help="Longest time to the first token, with --users-at."),
)


def _at_a_speed(
    systems: Sequence[str], workloads: Sequence[str], users: Users, asked: common.Asked, registry: Registry
) -> UsersAt | None:
    """The answer to --users-at; None where it is not asked for.

    Raises:
        InferBenchError: One of its options without it; no network, or several; options of single points.
    """
    if users.speed is None:
        for name in ("prompt", "output_tokens", "ttft"):
            if getattr(users, name) is not None:
                raise InferBenchError.of_argument(name, "goes with --users-at", "add {give}", speed="30tok/s")
        return None
    if len(workloads) != 1:
        found = "one network is asked about"
        raise InferBenchError.of_argument("speed", found, "add -w llama3-70b", users.speed)
    for name, given in (("batch", asked.batch), ("context", asked.context), ("axes", asked.axes)):
        if given:
            remedy = "leave it out: the load is found, --prompt and --output are the lengths"
            raise InferBenchError.of_argument(name, "does not go with --users-at", remedy)
    from inferbench.face.users import users_at

    return users_at(
        systems,
        workloads[0],
        users.speed,
        prompt=users.prompt or "2048",
        output=users.output_tokens or "1024",
        ttft=users.ttft,
        precision=common.names(asked.precision) or ["fp8"],
        stack=asked.stack,
        scenario=asked.scenario,
        options=common.options_of(asked.options),
        ignore_capacity=asked.ignore_capacity,
        registry=registry,
    )


@click.command("compare", cls=Command)
@click.argument("systems", nargs=-1, required=True, metavar="SYSTEM…", callback=common.each_once)
@click.option(
    "-w",
    "--workload",
    "workloads",
    multiple=True,
    metavar="NETWORK/PHASE",
    help="Instead of the suite; may be repeated.",
)
@click.option("--suite", default="reference", show_default=True, help="Named list of workload points.")
@common.bundled("users", Users, USERS)
@common.point_options()
@common.output_options()
def command(
    systems: tuple[str, ...],
    workloads: tuple[str, ...],
    suite: str,
    users: Users,
    asked: common.Asked,
    output: common.Output,
) -> None:
    """Compare systems on the same work: what one would get from each, how sure that is, and the bound.

    Example: inferbench compare b200 groq-lpu tpu-v5p

    Each system runs under the software that was measured nearest to it; h100@vllm names another, @ideal
    asks for the bound alone. Without -w it runs the reference suite (Llama 3 70B, fp8): single-user decode,
    decode at the largest batch that fits, prefill of 2,048 tokens. A chip written without a count that
    can't hold the network is shown as the smallest system that can. -v has all rows.

    --users-at 30tok/s asks instead which serves most users, each of whom gets so many tokens per second, at
    what cost and energy: -w names a network, --prompt and --output the lengths of a request.
    """
    registry = common.what_if(common.the_registry(), asked, systems, workloads)
    found = _at_a_speed(systems, workloads, users, asked, registry) or compare(
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
        **common.axes_from(asked.batch, asked.context, asked.axes, compare),
    )
    common.emit(found.report(output.verbose), output.form, output.out, registry)
    common.problems_line(registry)
