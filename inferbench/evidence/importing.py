"""Files of measured results to `Measurement`s: the first importer that does not decline reads the file.

A measurement set, which packages ship, needs no importer: it is TOML of our own. What the rows of all must
obey is checked here once, by `inferbench.specs.plausible`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from inferbench.discovery.registry import Registry
from inferbench.errors import Fault, InferBenchError, passes, suggest
from inferbench.files import refuse_stream
from inferbench.records.measurement import Importer, Measurement
from inferbench.records.typed import typed
from inferbench.specs.plausible import doubts
from inferbench.specs.plausible import faults as faults_of

__all__ = ["NAMES", "read_measurements", "renamed"]

HEAD = 64 * 1024
MOST_FAULTS = 20
# Fields that hold names, which a source may spell in its own way.
NAMES = ("chip", "network", "software", "precision")


@typed
def read_measurements(
    path: str | Path,
    registry: Registry,
    importer: str = "",
    given: Mapping[str, Any] | None = None,
) -> tuple[Measurement, ...]:
    """Read a file with the first importer that does not decline.

    Args:
        path: File to read; TOML is a measurement set, unless an importer is named.
        registry: Where the importers are; doubtful units are added to its `warnings`.
        importer: Name of the importer to use; empty: ask each.
        given: Fields of `Measurement` that the file leaves empty (`chip`, `network`, `software`, `layout`,
            `precision`, and in `axes` single axes); what the file says stays. `chips` and `layout` are taken
            where the file gives neither.

    Returns:
        Rows in the file's order, at least one; SI units.

    Raises:
        InferBenchError: The file can't be read, no importer knows it (each with why it declined), it is cut
            short, or every row has times that are zero, negative or not finite. A bad row among good ones
            stays without figures: `refused` has the reason under `row`.

    Example:
        >>> read_measurements("bench.json", ib.installed(), given={"chip": "h100-sxm"})     # doctest: +SKIP
    """
    file = Path(path)
    head = _head(file)
    registry.wake()  # rows may be of kinds of operators that any plugin defines
    if not importer and file.suffix == ".toml":
        reader, read = "measurement set", registry.get("measurements", str(file)).rows
    else:
        chosen = registry.get("importers", importer) if importer else _choose(file, head, registry)
        reader, read = chosen.name, _read(chosen, file)
    rows = tuple(_with(row, given or {}) for row in read)
    if not rows:
        raise InferBenchError.at(
            str(file), f"'{reader}' found no measurement in it", "give a file with at least one result"
        )
    judged = [_judged(row) for row in rows]
    if all(faults for _, faults in judged):
        raise InferBenchError(_shortened([fault for _, faults in judged for fault in faults], str(file)))
    registry.warnings.extend(doubts([row for row, faults in judged if not faults]))
    return tuple(row for row, _ in judged)


def _judged(row: Measurement) -> tuple[Measurement, list[Fault]]:
    """A row and its faults; one that has any is kept without its figures, with the reason."""
    faults = list(faults_of(row))
    if not faults:
        return row, []
    why = "; ".join(fault.found for fault in faults)
    bare = Measurement(source=row.source, chip=row.chip, refused={"row": (math.nan, why)})
    return attrs.evolve(bare, software=row.software, network=row.network, phase=row.phase), faults


def _head(file: Path) -> str:
    refuse_stream(file)
    try:
        with file.open("rb") as stream:
            raw = stream.read(HEAD)
    except OSError as error:
        raise InferBenchError.at(
            str(file), f"can't be read: {error.strerror}", "give the path of a file with results"
        ) from None
    if not raw.strip():
        raise InferBenchError.at(str(file), "the file is empty", "give the path of a file with results")
    if b"\0" in raw:
        raise InferBenchError.at(
            str(file), "the file is binary; text was expected", "unpack it, or export it as JSON or CSV"
        )
    return raw.decode("utf-8-sig", errors="replace")


def _choose(file: Path, head: str, registry: Registry) -> Importer:
    declined: list[tuple[str, str]] = []
    for name in registry.ranked("importers"):
        one: Importer = registry.get("importers", name)
        try:
            why = one.sniff(file, head)
        except BaseException as error:  # a broken importer costs only itself
            if passes(error) and not isinstance(error, InferBenchError):
                raise
            why = f"it failed while looking ({type(error).__name__}: {error})"
        if not why:
            return one
        declined.append((name, why))
    if not declined:
        raise InferBenchError.at(str(file), "no importer is installed", "pip install inferbench-importers")
    tried = "".join(f"\n    {name}: {why}" for name, why in declined)
    fault = Fault(
        str(file),
        f"no importer knows this file; tried {len(declined)}:{tried}",
        "name one with {give}, or write a CSV with the columns of docs/reference/importers.md",
        give=(("importer", None),),
        code="no-importer",
    )
    raise InferBenchError([fault])


def _read(importer: Importer, file: Path) -> Sequence[Measurement]:
    try:
        return list(importer.read(file))
    except BaseException as error:
        if passes(error):
            raise
        raise InferBenchError.at(
            str(file),
            f"the importer '{importer.name}' failed: {type(error).__name__}: {error}",
            "the file may be damaged; if it is not, report this to the package that brings the importer",
        ) from error


def _with(row: Measurement, given: Mapping[str, Any]) -> Measurement:
    known = [field.name for field in attrs.fields(Measurement)]
    for name in given:
        if name not in known:
            raise InferBenchError.at(name, "no field of a measurement", suggest(name, known))
    missing = {name: value for name, value in given.items() if getattr(row, name) == ""}
    if "chips" in given and (row.chips > 1 or row.layout):
        missing.pop("layout", None)
    elif "chips" in given:
        missing["chips"] = given["chips"]
    axes = {} if row.op or row.phase == "log" else given.get("axes", {})
    more = {name: value for name, value in axes.items() if math.isnan(row.axes.get(name, math.nan))}
    return attrs.evolve(row, **missing, axes={**row.axes, **more}) if missing or more else row


def renamed(row: Measurement, names: Mapping[str, str]) -> Measurement:
    """Return the row with other names.

    Args:
        row: As read.
        names: Name of a chip, a network, a software or a precision, to the one that it means.

    Example:
        >>> renamed(Measurement(source="s", chip="H100 PCIe"), {"H100 PCIe": "h100-pcie"}).chip
        'h100-pcie'
    """
    changed: dict[str, Any] = {
        name: names[getattr(row, name)] for name in NAMES if getattr(row, name) in names
    }
    return attrs.evolve(row, **changed) if changed else row


def _shortened(faults: Sequence[Fault], where: str) -> list[Fault]:
    if len(faults) <= MOST_FAULTS:
        return list(faults)
    return [*faults[:MOST_FAULTS], Fault(where, f"{len(faults) - MOST_FAULTS} more faults of this kind")]
