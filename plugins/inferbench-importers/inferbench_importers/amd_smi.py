"""Logs of `amd-smi metric -p -w N --csv`: watts without a unit, headers that come again."""

from __future__ import annotations

import csv
import math
from datetime import datetime
from pathlib import Path

import inferbench as ib
from inferbench_importers.power import Trace, drawn, integrate, pace

__all__ = ["IMPORTER"]

POWER = ("socket_power", "current_socket_power", "average_socket_power", "socket_power_w")
ABSENT = ("", "n/a")
# Seconds since 1970 have ten digits, milliseconds thirteen.
MILLISECONDS = 1e11


def _header(text: str) -> list[str]:
    """Names of the columns; the first lines may be what the tool says to whoever watches."""
    for line in text.splitlines()[:5]:
        names = [cell.strip().lower() for cell in line.split(",")]
        if "gpu" in names and any(name in names for name in POWER):
            return names
    return []


def _sniff(path: Path, text: str) -> str:
    header = _header(text)
    if not header:
        return "no line with the columns 'gpu' and 'socket_power'"
    return "" if "timestamp" in header else "no column 'timestamp': log with -w"


def _traces(path: Path) -> list[Trace]:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    header = _header(text)
    power = header.index(next(name for name in POWER if name in header))
    gpu, when = header.index("gpu"), header.index("timestamp")
    samples: dict[str, list[tuple[float, float]]] = {}
    for number, cells in enumerate(csv.reader(text.splitlines()), start=1):
        cells = [cell.strip() for cell in cells]
        if len(cells) <= max(power, gpu, when) or cells[gpu].lower() == "gpu":
            continue
        watts = samples.setdefault(cells[gpu], [])
        if cells[power].lower() in ABSENT:
            continue
        where = f"{path.name}: line {number}"
        watts.append((_time(cells[when], where), _watts(cells[power], where)))
    return [Trace.of(device, found) for device, found in samples.items()]


def _time(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        try:
            return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        except ValueError:
            said = f"'{text}' is no time: seconds since 1970, or like 2026-03-01T00:00:00Z"
            raise ib.InferBenchError.at(where, said, "remove the line") from None
    return number / 1e3 if number > MILLISECONDS else number


def _watts(text: str, where: str) -> float:
    try:
        watts = float(text.upper().removesuffix("W").strip())
    except ValueError:
        watts = math.nan
    if math.isnan(watts):
        raise ib.InferBenchError.at(where, f"'{text}' is no power like 412", "remove the line")
    return drawn(watts, where)


def _read(path: Path) -> list[ib.Measurement]:
    found = _traces(path)
    log = integrate(found, path.name, gap=pace(found))
    return [ib.Measurement(source=path.name, chip="", boundary="board", **log.fields())]


IMPORTER = ib.Importer("amd-smi", "amd-smi CSV log", _sniff, _read)
