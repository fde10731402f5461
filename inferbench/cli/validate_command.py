"""`inferbench validate`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.errors import InferBenchError
from inferbench.face.validate import validate
from inferbench.specs.ranges import parse

__all__ = ["command"]

PATIENCE = 2.0


@click.command("validate", cls=Command)
@click.argument("files", nargs=-1, metavar="[FILES…]")
@click.option(
    "--stack", default=None, help="Score all rows by this stack instead of the one fitted for each."
)
@click.option("--importer", default=None, help="Read the files with this importer instead of asking each.")
@click.option(
    "--chip", default=None, metavar="8xh200:tp8", help="Chip, or whole system, of rows that don't say it."
)
@click.option("--network", default=None, help="Network of rows that don't say it.")
@click.option("--software", default=None, help="Software of rows that don't say it.")
@click.option("--precision", default=None, help="Number format of rows that don't say it.")
@click.option(
    "--axis", "axes", multiple=True, metavar="NAME=1", help="Axis of rows that don't say it (context=1024)."
)
@click.option(
    "--rename",
    "renames",
    multiple=True,
    metavar="OLD=NEW",
    help="A name in the files, and the one that it means.",
)
@common.output_options()
def command(
    files: tuple[str, ...],
    stack: str | None,
    importer: str | None,
    chip: str | None,
    network: str | None,
    software: str | None,
    precision: str | None,
    axes: tuple[str, ...],
    renames: tuple[str, ...],
    output: common.Output,
) -> None:
    """Compare predictions with measurements, row by row.

    Example: inferbench validate

    Without FILES every measurement set that the installed packages ship. FILES are anything an importer
    reads, or TOML of a set. Each row is scored by the stack fitted for its chip and software, or says why
    not.
    """
    registry = common.the_registry()
    with progress_bar("rows") as tick:
        found = validate(
            files,
            stack=stack,
            importer=importer,
            chip=chip,
            network=network,
            software=software,
            precision=precision,
            axes=_axes(axes),
            rename=renames_of(renames),
            watch=tick,
            registry=registry,
        )
    common.emit(found.report(output.verbose), output.form, output.out, registry)
    common.problems_line(registry, found.warnings)


def _axes(pairs: Sequence[str]) -> dict[str, float]:
    """Read `--axis NAME=1`.

    Raises:
        InferBenchError: An axis without one number.
    """
    found = {name: parse(text, name).values() for name, text in common.axes_from(None, None, pairs).items()}
    if any(len(values) != 1 for values in found.values()):
        said = "several values for rows that have one"
        raise InferBenchError.at("--axis", said, "write it like --axis context=1024")
    return {name: float(values[0]) for name, values in found.items()}


def renames_of(pairs: Sequence[str]) -> dict[str, str]:
    """Read `--rename OLD=NEW`.

    Raises:
        InferBenchError: One without an equals sign.
    """
    found = {}
    for pair in pairs:
        old, sign, new = pair.rpartition("=")
        if not (sign and old and new):
            raise InferBenchError.at(
                "--rename", f"'{pair}' renames nothing", "write it like --rename 'llama 8B F16=llama3-8b'"
            )
        found[old] = new
    return found


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr that appears after two seconds and vanishes at the end; none where nobody looks."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    bar = Progress(
        "{task.description}",
        *Progress.get_default_columns()[1:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
    )
    task = bar.add_task(what, total=None)
    start, running = time.monotonic(), False

    def tick(done: int, total: int) -> None:
        nonlocal running
        if not running and time.monotonic() - start > PATIENCE and sys.stderr.isatty():
            bar.start()
            running = True
        bar.update(task, completed=done, total=total)

    try:
        yield tick
    finally:
        if running:  # else it prints an empty line where nobody looks
            bar.stop()
