"""`inferbench validate`."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import rich_click

from inferbench.cli import common
from inferbench.discovery.registry import Registry
from inferbench.errors import Fault, InferBenchError, suggest
from inferbench.evidence.importing import NAMES, renamed
from inferbench.evidence.matching import read_rows
from inferbench.records.measurement import Measurement
from inferbench.report.validation import validation_report
from inferbench.validation.validate import validate

__all__ = ["command"]

PATIENCE = 2.0


@click.command("validate", cls=rich_click.RichCommand)
@click.argument("files", nargs=-1, metavar="[FILES…]")
@click.option("--stack", default="", help="Score all rows by this stack instead of the one fitted for each.")
@click.option("--importer", default="", help="Read the files with this importer instead of asking each.")
@click.option("--chip", default="", help="Chip of rows that don't say it.")
@click.option("--network", default="", help="Network of rows that don't say it.")
@click.option("--software", default="", help="Software of rows that don't say it.")
@click.option("--precision", default="", help="Number format of rows that don't say it.")
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
@common.output_options
def command(
    files: tuple[str, ...],
    stack: str,
    importer: str,
    chip: str,
    network: str,
    software: str,
    precision: str,
    axes: tuple[str, ...],
    renames: tuple[str, ...],
    output: common.Output,
) -> None:
    """Compare predictions with measurements, row by row.

    Example: inferbench validate

    Without FILES every measurement set that the installed packages ship. FILES are anything an importer
    reads. Each row is scored by the stack fitted for its chip and software, or says why not.
    """
    registry = common.the_registry()
    names = {"chip": chip, "network": network, "software": software, "precision": precision}
    given = given_of(names, axes, registry)
    if files:
        labels = labels_of(files, registry)
        sets = from_files(files, registry, importer, given, renames_of(renames))
        digests = digests_of(files)
        registry.warnings.extend(copies(digests))
        digests = {labels[file]: digest for file, digest in digests.items()}
        sets = {labels[file]: rows for file, rows in sets.items()}
    else:
        sets, digests = shipped(registry), {}
    with progress_bar("rows") as tick:
        rows = validate(sets, registry, stack, tick, digests)
    common.emit(validation_report(rows, output.verbose, files), output.form, output.out, registry)
    common.problems_line(registry)


def given_of(names: Mapping[str, str], axes: Sequence[str], registry: Registry) -> dict[str, Any]:
    """What was given for rows that don't say it, with names that are known.

    Raises:
        InferBenchError: An unknown chip or network, whether or not a row needs it; an axis without a number.
    """
    given: dict[str, Any] = {name: value for name, value in names.items() if value}
    for name, look in (("chip", registry.chip), ("network", registry.network)):
        if name in given:
            try:
                look(given[name])
            except InferBenchError as error:
                fault = error.faults[0]
                raise InferBenchError.at(f"--{name} {fault.where}", fault.found, fault.remedy) from None
    numbers = common.axes_from(None, None, axes)
    if any(len(values) != 1 for values in numbers.values()):
        raise InferBenchError.at(
            "--axis", "several values for rows that have one", "write it like --axis context=1024"
        )
    return {**given, "axes": {name: values[0] for name, values in numbers.items()}} if numbers else given


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


def shipped(registry: Registry) -> dict[str, Sequence[Measurement]]:
    """Every measurement set that is installed.

    Raises:
        InferBenchError: None is.
    """
    names = registry.names("measurements")
    if not names:
        raise InferBenchError.at(
            "validate",
            "no installed package ships measurements",
            "give a file, or pip install inferbench-specs",
        )
    return {name: registry.get("measurements", name).rows for name in names}


def labels_of(files: Sequence[str], registry: Registry) -> dict[str, str]:
    """Name each file by as little of its path as tells it from the others.

    Raises:
        InferBenchError: One file is given twice.

    Example:
        `a/run.json b/run.json other.csv` are called `a/run.json`, `b/run.json` and `other.csv`.
    """
    seen: dict[Path, str] = {}
    for file in files:
        path = Path(file).resolve()
        other = seen.get(path)
        seen[path] = file
        if other is not None:
            raise InferBenchError.at(
                file, f"given twice (as '{other}'): its rows would count twice", "name it once"
            )
    parts = {file: Path(file).resolve().parts for file in files}
    labels = {}
    for file, own in parts.items():
        others = [path for name, path in parts.items() if name != file]
        length = next(
            (n for n in range(1, len(own)) if all(own[-n:] != other[-n:] for other in others)), len(own)
        )
        labels[file] = "/".join(own[-length:])
    return labels


def copies(digests: Mapping[str, str]) -> Iterator[Fault]:
    """Yield a warning for each file that is a copy of another one."""
    first: dict[str, str] = {}
    for file, digest in digests.items():
        other = first.setdefault(digest, file)
        if other != file:
            yield Fault(file, f"a copy of '{other}': its rows count twice", "name one of them")


def from_files(
    files: Sequence[str],
    registry: Registry,
    importer: str,
    given: Mapping[str, Any],
    renames: Mapping[str, str] | None = None,
) -> dict[str, Sequence[Measurement]]:
    """Rows of files, through importers, by the files as they were given.

    Raises:
        InferBenchError: As `read_rows`; a name to be renamed that no row has.
    """
    sets: dict[str, Sequence[Measurement]] = {}
    used: set[str] = set()
    for file in files:
        rows = read_rows(file, registry, importer, given)
        used |= {getattr(row, name) for row in rows for name in NAMES}
        sets[file] = [renamed(row, renames or {}) for row in rows]
    unused = [old for old in renames or {} if old not in used]
    if unused:
        raise InferBenchError.at(
            f"--rename {unused[0]}",
            f"no row has this name; there are {', '.join(sorted(used - {''}))[:200]}",
            suggest(unused[0], used),
        )
    return sets


def digests_of(files: Sequence[str]) -> dict[str, str]:
    """SHA-256 of files, by the files as they were given."""
    return {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files}


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
        bar.stop()
