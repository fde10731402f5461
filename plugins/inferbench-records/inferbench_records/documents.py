"""The document of a record: specs by value and hash, versions, arguments, results; read, checked, hashed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

import inferbench as ib

__all__ = ["SCHEMA", "digest", "made", "measured", "read", "specs_of"]

SCHEMA = "inferbench.record/1"
KINDS = ("chips", "networks", "stacks", "systems", "scenarios", "suites")
NEEDED = ("arguments", "made", "results", "specs", "sha256")
ARGUMENTS = {
    "systems": list,
    "workload": list,
    "suite": str,
    "stack": str,
    "scenario": str,
    "precision": list,
    "axes": dict,
}
LARGEST = 64 * 2**20


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of everything but the hash itself, keys sorted.

    Example:
        >>> digest({"a": 1, "sha256": "x"}) == digest({"a": 1})
        True
    """
    kept = {key: value for key, value in document.items() if key != "sha256"}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def made(
    known: ib.Registry, arguments: Mapping[str, Any], measurements: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Compute a comparison and write down all that it rests on.

    Args:
        known: Installed plugins.
        arguments: Of `compare`, with `systems`; what is not there keeps its default.
        measurements: Rows measured at the same points, each with its boundary.

    Raises:
        InferBenchError: As `compare`.
    """
    found = computed(known, arguments)
    data = found.to_dict()
    provenance = data["provenance"]
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "made": {key: provenance[key] for key in ("inferbench", "packages", "python", "numpy")},
        "arguments": dict(arguments),
        "specs": specs_of(known, found),
        "results": data["results"],
    }
    if measurements:
        document["measurements"] = list(measurements)
    return {**document, "sha256": digest(document)}


def computed(known: ib.Registry, arguments: Mapping[str, Any]) -> ib.Comparison:
    """Run what the arguments say."""
    given = dict(arguments)
    unknown = [name for name in given if name not in ARGUMENTS]
    wrong = [
        name for name, kinds in ARGUMENTS.items() if name in given and not isinstance(given[name], kinds)
    ]
    if unknown or wrong or "systems" not in given:
        said = f"arguments: {', '.join(map(str, unknown or wrong)) or 'no systems'}"
        raise ib.InferBenchError.at(said, "is not what a record says", f"known are {', '.join(ARGUMENTS)}")
    systems, axes = given.pop("systems"), given.pop("axes", {})
    return ib.compare(systems, given.pop("workload", None), registry=known, **given, **axes)


def specs_of(known: ib.Registry, found: ib.Comparison) -> dict[str, dict[str, str]]:
    """Every spec that the runs rest on: text and SHA-256 of its file.

    A stack's base stacks, a chip's server, the scenario and the suite count too.
    """
    names: dict[str, None] = {}
    for run in found.runs:
        names[f"chips/{run.system.chip.name}"] = None
        names[f"networks/{run.network.name}"] = None
        if run.system.chip.node is not None:
            names[f"systems/{run.system.chip.node.name}"] = None
        if run.scenario is not None:
            names[f"scenarios/{run.scenario.name}"] = None
        stack: ib.Stack | None = run.stack
        while stack is not None:
            names[f"stacks/{stack.name}"] = None
            stack = known.stack(stack.based_on) if stack.based_on else None
    listed: dict[str, dict[str, str]] = {}
    for key in sorted(names):
        text = installed_text(known, key)
        if text is not None:
            listed[key] = {"sha256": hashlib.sha256(text.encode("utf-8")).hexdigest(), "text": text}
    return listed


def installed_text(known: ib.Registry, key: str) -> str | None:
    """The text of an installed spec; None where it is none of a file."""
    kind, _, name = key.partition("/")
    entry = known.entries(kind).get(name) if kind in KINDS else None
    if entry is None or entry.file is None:
        return None
    return str(entry.file.read_bytes().decode("utf-8"))


def read(path: Path) -> dict[str, Any]:
    """Read a record.

    Raises:
        InferBenchError: The file can't be read, is no JSON, no record, or one of another version.
    """
    where = str(path)
    try:
        if path.stat().st_size > LARGEST:
            raise ib.InferBenchError.at(where, "is larger than 64 MiB", "a record is a few hundred kilobytes")
        if path.is_fifo() and not where.startswith(("/dev/", "/proc/")):  # nobody may be writing to it
            raise ib.InferBenchError.at(where, "is a pipe", "write it to a file first")
        document = json.loads(path.read_text("utf-8"), parse_constant=_refuse, parse_float=_finite)
    except OSError as error:
        raise ib.InferBenchError.at(
            where, f"can't be read: {error.strerror}", "inferbench record b200 -o b200.json"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ib.InferBenchError.at(
            where, f"is no JSON: {error}", "give a file of inferbench record"
        ) from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        said = f"schema {schema!r} is not {SCHEMA!r}"
        newer = isinstance(schema, str) and schema.startswith("inferbench.record/")
        remedy = "make the record again with this version" if newer else "give a file of inferbench record"
        raise ib.InferBenchError.at(where, said, remedy)
    lacking = [key for key in NEEDED if key not in document]
    wrong = _misshapen(document)
    if lacking or wrong:
        said = (
            f"lacks {', '.join(lacking)}" if lacking else f"{', '.join(wrong)}: of another type than expected"
        )
        raise ib.InferBenchError.at(where, said, "make the record again")
    return dict(document)


def _misshapen(document: Mapping[str, Any]) -> list[str]:
    """Fields whose type is another than that of a record's, by their paths."""
    shapes = {"arguments": dict, "made": dict, "results": list, "specs": dict, "sha256": str}
    wrong = [key for key, kind in shapes.items() if key in document and not isinstance(document[key], kind)]
    if wrong:
        return wrong
    if not isinstance(document.get("made", {}).get("packages", {}), dict):
        wrong.append("made.packages")
    for key, spec in document.get("specs", {}).items():
        text, own = (spec.get("text"), spec.get("sha256")) if isinstance(spec, dict) else (None, None)
        if not (isinstance(text, str) and isinstance(own, str)):
            wrong.append(f"specs.{ib.visible(ib.short(key, 60))}")
    return wrong


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    """A number that a record can be hashed with: 1e400 is none."""
    return value if math.isfinite(value := float(text)) else _refuse(ib.short(text, 60))


def measured(path: Path, known: ib.Registry) -> list[dict[str, Any]]:
    """Rows of a file of measurements, as a record keeps them: only what is known, boundary included."""
    rows = []
    for row in ib.read_measurements(path, known):
        kept = attrs.asdict(row, recurse=False)
        plain = json.loads(json.dumps(kept, default=str).replace("NaN", "null"))
        rows.append({key: value for key, value in plain.items() if value not in (None, "", [], {})})
    return rows
