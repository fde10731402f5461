"""`inferbench new`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import click
import rich_click

from inferbench._version import __version__
from inferbench.cli import common
from inferbench.cli.guard import answers
from inferbench.errors import InferBenchError, suggest

__all__ = ["command", "write_package"]

# Kind of package -> kind of record whose name it takes.
KINDS = {"chip": "chips", "architecture": "architectures", "workload": "workloads"}
NEXT = {
    "chip": "inferbench show {name}",
    "architecture": "inferbench list architectures",
    "workload": "inferbench run b200 {name}-small/forward",
}
_NAME = re.compile(r"^[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*$")


@click.command("new", cls=rich_click.RichCommand)
@click.argument("kind", metavar="KIND")
@click.argument("name")
@click.option(
    "--dir", "parent", default=".", show_default=True, metavar="DIR", help="Folder to put the package in."
)
def command(
    kind: str,
    name: str,
    parent: str,
) -> None:
    """Write the skeleton of a plugin package, which works as it is: metadata, one file to edit, tests.

    Example: inferbench new chip my-chip

    KIND is chip, architecture or workload. The package is written to DIR/inferbench-NAME; nothing that is
    there already is overwritten.
    """
    _check(kind, name)
    home = Path(parent) / f"inferbench-{name}"
    written = write_package(kind, name, home)
    click.echo(f"{home}: {len(written)} files", answers())
    for path in written:
        click.echo(f"  {path}", answers())
    click.echo(f"Next: pip install -e {home} · {NEXT[kind].format(name=name)}", answers())


def _check(kind: str, name: str) -> None:
    if kind not in KINDS:
        raise InferBenchError.at(
            kind, "no such kind of package", suggest(kind, KINDS) or f"known are {', '.join(KINDS)}"
        )
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


def write_package(kind: str, name: str, home: Path) -> list[Path]:
    """Write the skeleton of a package into a folder that must not exist yet.

    Args:
        kind: `chip`, `architecture` or `workload`.
        name: Of the record, as users will write it.
        home: Folder of the package.

    Returns:
        Paths of the files, relative to `home`.

    Raises:
        InferBenchError: The folder exists, or can't be written.

    Example:
        >>> write_package("chip", "acme-x1", Path("inferbench-acme-x1"))[0]      # doctest: +SKIP
        PosixPath('README.md')
    """
    if home.exists():
        raise InferBenchError.at(
            str(home), "is already there, and nothing is overwritten", "remove it, or name another --dir"
        )
    words = _words(name)
    written = []
    try:
        for source, path in sorted(_templates(files("inferbench") / "templates" / kind), key=lambda p: p[1]):
            target = Path(re.sub(r"__(module|name|stem)__", lambda found: words[found[1]], path))
            (home / target).parent.mkdir(parents=True, exist_ok=True)
            (home / target).write_text(Template(source.read_text("utf-8")).substitute(words), "utf-8")
            written.append(target)
        (home / "LICENSE").write_text(
            (files("inferbench") / "templates" / "LICENSE").read_text("utf-8"), "utf-8"
        )
    except OSError as error:
        raise InferBenchError.at(
            f"--dir {home.parent}",
            f"can't be written: {error.strerror}",
            "name a folder you may write to",
        ) from None
    return sorted([Path("LICENSE"), *written])


def _words(name: str) -> dict[str, str]:
    """What stands in the templates: names in every spelling, and the versions of the core it works with."""
    parts = re.split(r"[.-]", name)
    major, minor = (int(part) for part in __version__.split(".")[:2])
    cls = "".join(part.capitalize() for part in parts)
    return {
        "name": name,
        "stem": "_".join(parts),
        "imports": ", ".join(sorted([cls, "Params"])),
        "package": f"inferbench-{name}",
        "module": f"inferbench_{'_'.join(parts)}",
        "cls": cls,
        "title": " ".join(part.capitalize() for part in parts),
        "vendor": parts[0].capitalize(),
        "range": f">={major}.{minor},<{major}.{minor + 1}",
    }


def _templates(folder: Traversable, path: str = "") -> Iterator[tuple[Traversable, str]]:
    """Yield each template with the path it is written to, its `.in` removed."""
    for item in folder.iterdir():
        if item.is_dir():
            yield from _templates(item, f"{path}{item.name}/")
        elif item.name.endswith(".in"):
            yield item, f"{path}{item.name.removesuffix('.in')}"
