"""`inferbench new`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.cli.guard import answers
from inferbench.cli.skeleton import CIS, LICENCES, update, write
from inferbench.errors import InferBenchError, suggest

__all__ = ["command"]

# Kind of package -> kind of record whose name it takes.
KINDS = {
    "chip": "chips",
    "architecture": "architectures",
    "workload": "workloads",
    "stack": "stacks",
    "fabric": "fabrics",
    "power-model": "power_models",
    "metric": "metrics",
    "importer": "importers",
    "renderer": "renderers",
    "executor": "executors",
    "command": "commands",
}
NEXT = {"chip": "inferbench show {name}", "workload": "inferbench run b200 {name}-small/forward"}
_NAME = re.compile(r"^[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*$")


@click.command("new", cls=Command)
@click.argument("kind", metavar="KIND", required=False)
@click.argument("name", required=False)
@click.option(
    "--dir", "parent", default=".", show_default=True, metavar="DIR", help="Folder to put the package in."
)
@click.option(
    "--licence", default=LICENCES[0], show_default=True, metavar="NAME", help=f"{', '.join(LICENCES)}."
)
@click.option(
    "--ci", default=CIS[0], show_default=True, metavar="HOST", help="Whose checks: github, gitlab or none."
)
@click.option(
    "--update", "old", metavar="PACKAGE", help="Bring newer templates to a package of this command."
)
def command(kind: str | None, name: str | None, parent: str, licence: str, ci: str, old: str | None) -> None:
    """Write the skeleton of a plugin package, which works as it is: metadata, one file to edit, tests.

    Example: inferbench new chip my-chip

    KIND is chip, architecture, workload, stack, fabric, power-model, metric, importer, renderer, executor or
    command. The package is written to DIR/inferbench-NAME; nothing that is there already is overwritten.
    """
    if old is not None:
        _update(Path(old))
        return
    if kind is None or name is None:
        remedy = f"write inferbench new KIND NAME; KIND is {', '.join(KINDS)}"
        raise InferBenchError.at("new", "a kind and a name are wanted", remedy)
    _check(kind, name, licence, ci)
    home = Path(parent) / f"inferbench-{name}"
    written = write(kind, name, home, licence, ci)
    click.echo(f"{home}: {len(written)} files", answers())
    for path in written:
        click.echo(f"  {path}", answers())
    following = NEXT.get(kind, "inferbench check " + str(home)).format(name=name)
    click.echo(f"Next: pip install -e {home} · {following}", answers())


def _update(home: Path) -> None:
    changes = update(home)
    for path in changes.written:
        click.echo(f"  {path}", answers())
    for path in changes.kept:
        click.echo(f"  {path} was edited: the template's is {path}.new", answers())
    click.echo(f"{home}: {len(changes.written)} files written, {len(changes.kept)} to compare", answers())


def _check(kind: str, name: str, licence: str, ci: str) -> None:
    if kind not in KINDS:
        raise InferBenchError.at(
            kind, "no such kind of package", suggest(kind, KINDS) or f"known are {', '.join(KINDS)}"
        )
    for option, given, known in (("--licence", licence, LICENCES), ("--ci", ci, CIS)):
        if given not in known:
            raise InferBenchError.at(option, f"'{given}' is none of them", f"known are {', '.join(known)}")
    if name.startswith("inferbench-"):
        raise InferBenchError.at(
            name,
            "the package's name gets the prefix inferbench- by itself",
            f"write inferbench new {kind} {name.removeprefix('inferbench-')}",
        )
    if not _NAME.match(name):
        raise InferBenchError.at(
            name, "a name has lower-case letters, digits, dots and hyphens", "write it like acme-x1"
        )
    entry = common.the_registry().entries(KINDS[kind]).get(name)
    if entry is not None:
        raise InferBenchError.at(
            name, f"this {kind} is already provided by {entry.owner}", "take another name"
        )
