"""`inferbench card`."""

from __future__ import annotations

import click

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.face.card import card

__all__ = ["command"]


@click.command("card", cls=Command)
@click.argument("systems", nargs=-1, required=True, metavar="SYSTEM…", callback=common.each_once)
@click.option("--suite", default="reference", show_default=True, help="Whose workloads and space to take.")
@common.point_options(
    without=["batch", "context", "axes", "precision", "options", "ignore_capacity", "reserve"]
)
@common.output_options()
def command(systems: tuple[str, ...], suite: str, asked: common.Asked, output: common.Output) -> None:
    """Show useful TOPS, cost efficiency, energy efficiency and flexibility together.

    Example: inferbench card b200 mi300x tpu-v6e 576xgroq-lpu

    Each figure is what one would get under the system's own software, with its 90 % interval; the bound
    stands below it. Flexibility is a share of a fixed space of workloads: where the system delivers at least
    half of the best rate per dollar, or per watt, of a fixed set of reference systems.
    """
    registry = common.what_if(common.the_registry(), asked, systems)
    found = card(systems, suite=suite, stack=asked.stack, scenario=asked.scenario, registry=registry)
    common.emit(found.report(output.verbose), output.form, output.out, registry)
    common.problems_line(registry)
