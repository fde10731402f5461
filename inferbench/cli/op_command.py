"""`inferbench op`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.face.op import op
from inferbench.records.kinds import Kind, op_kinds

__all__ = ["command"]


class OpCommand(Command):
    """Has an option per number of every kind of operator, those of plugins included."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options of all kinds first, those that every kind has behind them."""
        common.the_registry().wake()  # any plugin may define kinds
        arguments = [one for one in super().get_params(ctx) if isinstance(one, click.Argument)]
        others = [one for one in super().get_params(ctx) if not isinstance(one, click.Argument)]
        return [*arguments, *_options_of(op_kinds()), *others]


def _options_of(kinds: Mapping[str, Kind]) -> Iterator[click.Option]:
    for name in dict.fromkeys(name for kind in kinds.values() for name in kind.fields):
        of = ", ".join(kind.name for kind in kinds.values() if name in kind.fields)
        yield click.Option([_flag(name), name], metavar="1,8,…", help=f"Of {of}.")
    for kind in kinds.values():
        for name, default in kind.words.items():
            yield click.Option([_flag(name), name], help=f"Of {kind.name}: which one (default {default}).")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@click.command("op", cls=OpCommand)
@click.argument("chip")
@click.argument("kind")
@click.option(
    "--csv",
    "table",
    metavar="FILE",
    help="Rows to cost: columns are the field names, and `precision` if it varies.",
)
@common.point_options(
    without=["batch", "context", "axes", "scenario", "options", "ignore_capacity", "reserve"]
)
@common.output_options()
def command(
    chip: str,
    kind: str,
    table: str | None,
    asked: common.Asked,
    output: common.Output,
    **given: str | None,
) -> None:
    """Cost single operators on one chip: time, busy parts, what binds, utilization, energy.

    Example: inferbench op h100-sxm gemm --m 1,8,128 --n 8192 --k 8192

    KIND is gemm, attention, conv2d, elementwise, collective, or any kind that a package defines.
    """
    registry = common.what_if(common.the_registry(), asked, (chip,))
    found = op(
        chip,
        kind,
        precision=common.names(asked.precision) or ["bf16"],
        stack=asked.stack,
        csv=table,
        registry=registry,
        **{name: text for name, text in given.items() if text is not None},
    )
    common.emit(found.report(output.verbose), output.form, output.out, registry)
    common.problems_line(registry)
