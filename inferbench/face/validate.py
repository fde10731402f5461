"""`validate`: predictions beside measurements, row by row."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import Fault, InferBenchError, suggest
from inferbench.evidence.importing import NAMES, renamed
from inferbench.evidence.matching import read_rows
from inferbench.evidence.names import chip_of, network_of
from inferbench.face.answer import Answer
from inferbench.face.asked import find
from inferbench.face.verb import verb
from inferbench.records.measurement import Measurement
from inferbench.records.precision import PrecisionName
from inferbench.records.system import SystemName
from inferbench.report.model import Report
from inferbench.report.validation import validation_report
from inferbench.validation.validate import Row, doubts
from inferbench.validation.validate import validate as of_sets

__all__ = ["Validation", "digests_of", "from_files", "given_of", "shipped", "validate"]

Sets = dict[str, Sequence[Measurement]]


@attrs.frozen(eq=False, repr=False)
class Validation(Answer):
    """Measured figures beside their predictions; each is scored, or says why not.

    Attributes:
        rows: One per figure.
        files: What was read; empty for everything that is installed.
        warnings: Copies among the files, and figures so far off that a unit is likelier than an error.
    """

    rows: tuple[Row, ...]
    files: tuple[str, ...]
    warnings: tuple[Fault, ...]

    def report(self, verbose: bool = False) -> Report:
        """Return the errors per chip and stack, the worst rows, and why the others are not scored."""
        return validation_report(self.rows, verbose, self.files)

    def summary(self) -> str:
        """Count the figures and those that are scored."""
        scored = sum(row.scored for row in self.rows)
        return (
            f"of {', '.join(self.files) or 'what is installed'}: {scored} of {len(self.rows)} figures scored"
        )


@verb
def validate(
    files: str | Path | Sequence[str | Path] = (),
    *,
    stack: str | None = None,
    importer: str | None = None,
    chip: str | None = None,
    network: str | None = None,
    software: str | None = None,
    precision: str | None = None,
    axes: Mapping[str, float] | None = None,
    rename: Mapping[str, str] | None = None,
    watch: Callable[[int, int], None] | None = None,
    registry: Registry | None = None,
) -> Validation:
    """Compare predictions with measurements, row by row.

    Args:
        files: Anything an importer reads; none: every measurement set that is installed.
        stack: Scores all rows; None: the stack fitted for each row's chip and software.
        importer: Reads the files; None: ask each.
        chip, network, software, precision: Of rows that don't say it. A chip may be a system: `8xh200:tp8`.
        axes: Of rows that don't say it, `{"context": 1024}`.
        rename: Name in the files to the one that it means.
        watch: Called with the rows that are done, and all.
        registry: Of plugins; everything installed by default.

    Raises:
        InferBenchError: Unknown names, files that can't be read, a name to be renamed that no row has.

    Example:
        >>> import inferbench as ib
        >>> found = ib.validate("bench.json", chip="h100-sxm")                   # doctest: +SKIP
        >>> [row.predicted / row.measured for row in found.rows if row.scored]   # doctest: +SKIP
        [0.97, 1.04]
    """
    known = registry or installed()
    given = given_of({"chip": chip, "network": network, "software": software, "precision": precision}, known)
    if axes:
        given["axes"] = {name: float(value) for name, value in axes.items()}
    named = (str(files),) if isinstance(files, str | Path) else tuple(str(one) for one in files)
    sets, digests, warnings = _read(named, known, importer, given, rename or {})
    rows = of_sets(sets, known, stack, watch, digests)
    return Validation(tuple(rows), named, (*warnings, *doubts(rows)))


def _read(
    files: tuple[str, ...],
    known: Registry,
    importer: str | None,
    given: Mapping[str, object],
    rename: Mapping[str, str],
) -> tuple[Sets, dict[str, str], tuple[Fault, ...]]:
    """Sets of rows, hashes of those that are files, and warnings of copies."""
    if not files:
        return shipped(known), {}, ()
    labels = labels_of(files)
    sets = from_files(files, known, importer, given, rename)
    digests = digests_of(files)
    by_label = {labels[file]: digest for file, digest in digests.items()}
    return {labels[file]: rows for file, rows in sets.items()}, by_label, tuple(copies(digests))


def given_of(names: Mapping[str, str | None], known: Registry) -> dict[str, Any]:
    """What was given for rows that don't say it; its names are known, whether or not a row needs them."""
    given: dict[str, Any] = {name: value for name, value in names.items() if value}
    if "chip" in given:
        given |= _system(given["chip"], known)
    if "network" in given:
        find("network", given["network"], lambda one: network_of(one, known))
    if "precision" in given:
        PrecisionName.parse(known.alias("precisions", given["precision"]))
    return given


def _system(written: str, known: Registry) -> dict[str, Any]:
    """Chip, number of chips and layout of rows that say none: `8xh200:tp8`."""
    if find("chip", written, lambda one: _is_chip(one, known)):
        return {"chip": written}
    system = SystemName.parse(written)
    find("chip", system.chip, lambda one: chip_of(one, known))
    given: dict[str, Any] = {"chip": system.chip}
    if system.count is not None:
        given["chips"] = system.count
    if system.layout is not None:
        given["layout"] = str(system.layout)
    return given | ({"software": system.stack} if system.stack else {})


def _is_chip(name: str, known: Registry) -> bool:
    """Whether a name is a chip's, whatever signs it has."""
    try:
        return chip_of(name, known) is not None
    except InferBenchError:
        if not re.match(r"\d+x|.*[:@]", name):
            raise
        return False


def shipped(known: Registry) -> Sets:
    """Every measurement set that is installed.

    Raises:
        InferBenchError: None is.
    """
    names = known.names("measurements")
    if not names:
        remedy = "give a file, or pip install inferbench-specs"
        raise InferBenchError.at("validate", "no installed package ships measurements", remedy)
    return {name: known.get("measurements", name).rows for name in names}


def labels_of(files: Sequence[str]) -> dict[str, str]:
    """Name each file by as little of its path as tells it from the others.

    Raises:
        InferBenchError: One file is given twice.

    Example:
        `a/run.json b/run.json other.csv` are called `a/run.json`, `b/run.json` and `other.csv`.
    """
    seen: dict[Path, str] = {}
    for file in files:
        path = Path(os.path.realpath(file))
        other = seen.get(path)
        seen[path] = file
        if other is not None:
            found = f"given twice (as '{other}'): its rows would count twice"
            raise InferBenchError.at(file, found, "name it once")
    parts = {file: Path(os.path.realpath(file)).parts for file in files}
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
    known: Registry,
    importer: str | None = None,
    given: Mapping[str, object] | None = None,
    rename: Mapping[str, str] | None = None,
) -> Sets:
    """Rows of files, through importers, by the files as they were given.

    Raises:
        InferBenchError: As `read_rows`; a name to be renamed that no row has.
    """
    sets: Sets = {}
    used: set[str] = set()
    for file in files:
        rows = read_rows(file, known, importer or "", given or {})
        used |= {getattr(row, name) for row in rows for name in NAMES}
        sets[file] = [renamed(row, rename or {}) for row in rows]
    unused = [old for old in rename or {} if old not in used]
    if unused:
        found = f"no row has this name; there are {', '.join(sorted(used - {''}))[:200]}"
        raise InferBenchError.of_argument("rename", found, suggest(unused[0], used), unused[0])
    return sets


def digests_of(files: Sequence[str]) -> dict[str, str]:
    """SHA-256 of files, by the files as they were given."""
    return {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files}
