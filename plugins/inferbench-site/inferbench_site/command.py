"""`inferbench report`."""

from __future__ import annotations

from pathlib import Path

import click

import inferbench as ib

__all__ = ["command"]


@click.command("report")
@click.argument("systems", nargs=-1, required=True, metavar="SYSTEM…|RECORD.json…")
@click.option("--suite", default="reference", show_default=True, help="Named list of workload points.")
@click.option(
    "--stack",
    default="best",
    show_default=True,
    metavar="best|ideal|NAME",
    help="Software where SYSTEM has no @NAME.",
)
@click.option("--scenario", default="reference", show_default=True, help="Economics.")
@click.option(
    "--out",
    "folder",
    required=True,
    metavar="FOLDER",
    help="Where the site goes: a folder that is empty or not there.",
)
@click.option(
    "--validation/--no-validation", default=True, show_default=True, help="Score the installed measurements."
)
def command(
    systems: tuple[str, ...], suite: str, stack: str, scenario: str, folder: str, validation: bool
) -> None:
    """Build a static site: open FOLDER/index.html, no server, no network.

    Example: inferbench report b200 mi355x 8xtpu-v5p 576xgroq-lpu --out site/

    Files of records (inferbench record) make a board instead: inferbench report records/*.json --out board/.
    """
    from inferbench_site.board import board
    from inferbench_site.build import site

    target = Path(folder)
    refuse_full(target)
    records = [name for name in systems if name.endswith(".json")]
    if records and len(records) < len(systems):
        others = ", ".join(name for name in systems if name not in records)
        raise ib.InferBenchError.at(
            others, "a site is of systems or of records, not of both", "build two sites"
        )
    if records:
        pages = board([Path(name) for name in records], target)
    else:
        known = ib.installed()
        pages = site(
            known, systems, target, suite=suite, stack=stack, scenario=scenario, validation=validation
        )
    click.echo(f"{target / 'index.html'}: {pages} pages")


def refuse_full(target: Path) -> None:
    """Refuse a folder with something in it: a site leaves no page of an older one behind.

    Raises:
        InferBenchError: It is not empty, or no folder.
    """
    if target.is_dir() and any(target.iterdir()):
        raise ib.InferBenchError.at(str(target), "the folder is not empty", "name a new one, or empty it")
    if target.exists() and not target.is_dir():
        raise ib.InferBenchError.at(str(target), "is a file", "name a folder")
