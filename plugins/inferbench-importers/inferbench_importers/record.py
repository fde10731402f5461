"""What every importer does at the edge: read JSON that may be cut short, take numbers in their unit, keep the
rest.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import inferbench as ib
from inferbench.plugin import Row
from inferbench.plugin import gather_rows as gather

__all__ = [
    "CHIP",
    "CHIPS",
    "MILLI",
    "NAN",
    "NANO",
    "Row",
    "gather",
    "has",
    "lacks",
    "layout",
    "mean",
    "numbers",
    "objects",
    "serving",
]

NAN = math.nan
MILLI = 1e-3
NANO = 1e-9


def objects(path: Path) -> list[dict[str, Any]]:
    """Read JSON, JSON lines or objects appended one after the other; arrays are flattened one level. The same
    records as CSV (a column per field) or YAML are read too.

    Raises:
        InferBenchError: Not JSON, or cut short: with the line where it breaks and what was whole before it.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if text.strip() and text.lstrip()[0] not in "{[" and (_columns(text) or _YAML.search(text)):
        return _exported(path, text)
    found = list[Any]()
    for value in ib.json_values(text, str(path)):
        found.extend(value if isinstance(value, list) else [value])
    if any(not isinstance(one, dict) for one in found):
        raise ib.InferBenchError.at(
            str(path), "objects were expected, other values were found", "check the file"
        )
    return found


def _exported(path: Path, text: str) -> list[dict[str, Any]]:
    """Records of a CSV with a header, or of YAML."""
    if _columns(text):
        rows = csv.DictReader(text.splitlines(), restkey="")
        return [{str(key): value for key, value in row.items() if key} for row in rows]
    import yaml  # type: ignore[import-untyped]

    try:
        documents = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f"{path}: line {line + 1}" if line is not None else str(path)
        raise ib.InferBenchError.at(where, "neither JSON, CSV nor YAML", "check the file") from None
    found = [
        one for document in documents for one in (document if isinstance(document, list) else [document])
    ]
    if not found or any(not isinstance(one, dict) for one in found):
        said = "objects were expected, other values were found"
        raise ib.InferBenchError.at(str(path), said, "check the file")
    return found


def _columns(text: str) -> list[str]:
    """Names in the header of a CSV; empty where the text is none."""
    line = text.lstrip("\ufeff").lstrip().split("\n", 1)[0]
    names = [cell.strip() for cell in next(csv.reader([line]), [])]
    plain = all(re.fullmatch(r"[A-Za-z_][\w.:%/() -]*", name) for name in names)
    return names if len(names) > 2 and plain else []


def lacks(text: str, *needed: str | tuple[str, ...]) -> str:
    """Say which keys the head of a JSON file lacks, empty if none; a tuple needs one of its keys.

    Example:
        >>> lacks('{"a": 1', "a", ("b", "c"))
        'no key "b" or "c" in the first 64 KiB'
    """
    if text.lstrip()[:1] not in ("{", "[") and not _columns(text) and not _YAML.search(text):
        return "not JSON"
    for one in needed:
        names = (one,) if isinstance(one, str) else one
        if not any(_named(text, name) for name in names):
            return "no key " + " or ".join(f'"{name}"' for name in names) + " in the first 64 KiB"
    return ""


def has(text: str, *names: str) -> str:
    """Return the first of the keys that the head of a JSON file has, empty if none."""
    return next((name for name in names if _named(text, name)), "")


# A YAML document begins with a key of ours at the start of a line, or of a list's entry.
_YAML = re.compile(r"\A(?:---\s*\n|#[^\n]*\n)*(?:- )?[A-Za-z_]\w*:(?:\s|$)")


def _named(text: str, name: str) -> bool:
    """Whether a file's head has a field: a key of JSON or YAML, or a column."""
    if text.lstrip()[:1] in ("{", "["):
        return re.search(rf'"{re.escape(name)}"\s*:', text) is not None
    columns = _columns(text)
    if columns:
        return name in columns
    return re.search(rf"^(?:[ \t]*(?:- )?)[\"']?{re.escape(name)}[\"']?:", text, re.MULTILINE) is not None


# How a benchmark of a server names what it doesn't know itself; users add them as metadata.
CHIP = ("chip", "gpu", "gpu_model", "gpu_name", "hw", "hardware", "accelerator")
CHIPS = ("n_chips", "num_gpus", "n_gpus", "num_chips", "gpu_count")


def layout(**degrees: float) -> str:
    """Write a layout from degrees, leaving out those of 1 and those not given (NaN).

    Example:
        >>> layout(tp=4.0, pp=1.0, ep=NAN)
        'tp4'
    """
    known = {key: int(value) for key, value in degrees.items() if not math.isnan(value)}
    return "".join(f"{key}{value}" for key, value in known.items() if value > 1) or ("tp1" if known else "")


def serving(row: Row, **fields: Any) -> ib.Measurement:
    """Build a measurement of a server under load: whole requests, TTFT with its wait, one request's
    latency.
    """
    tp, pp = row.number("tp", "tensor_parallel_size"), row.number("pp", "pipeline_parallel_size")
    ep, dp = row.number("ep", "expert_parallel_size"), row.number("dp", "data_parallel_size")
    degrees = [int(d) for d in (tp, pp, dp) if not math.isnan(d)]
    defaults: dict[str, Any] = {
        "source": row.where,
        "chip": row.text(*CHIP),
        "chips": row.count(*CHIPS, default=math.prod(degrees)),
        "layout": layout(tp=tp, pp=pp, ep=ep, dp=dp),
        "precision": _precision(row),
        "phase": "generate",
        "queueing": True,
    }
    return ib.Measurement(**{**defaults, **fields}, extra=row.extra())


# What servers write where they decide themselves: it says nothing.
AUTO = ("", "auto", "none", "null", "default")


def _precision(row: Row) -> str:
    """Format of the weights; "auto" says none."""
    for key in ("precision", "weight_precision", "quantization", "dtype"):
        text = row.text(key)
        if text.lower() not in AUTO:
            return text
    return ""


def mean(values: Iterable[float]) -> float:
    """Return the arithmetic mean, NaN of nothing."""
    found = list(values)
    return sum(found) / len(found) if found else NAN


def numbers(value: Any) -> Iterator[float]:
    """Yield the numbers of a list, nothing of anything else."""
    if isinstance(value, list):
        yield from (float(v) for v in value if isinstance(v, int | float) and not isinstance(v, bool))
