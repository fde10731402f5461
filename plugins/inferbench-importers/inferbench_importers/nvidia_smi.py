"""Logs of `nvidia-smi --query-gpu=... --format=csv -l`: units in the header, again in the values unless
`nounits`.
"""

from __future__ import annotations

import csv
import re
from datetime import datetime
from pathlib import Path

import inferbench as ib
from inferbench_importers.power import Trace, drawn, integrate, pace

__all__ = ["IMPORTER", "traces"]

# Averaged over about a second on most parts since Ampere, or as it is now; the former is what most logs have.
DRAW = ("power.draw [W]", "power.draw.average [W]", "power.draw.instant [W]")
DEVICE = ("index", "uuid", "gpu_uuid", "pci.bus_id", "gpu_bus_id")
NAME = ("name", "gpu_name")
_DECIMAL = re.compile(r"^(\s*\d+),(\d+)(?=\D|$)")
ABSENT = ("", "[N/A]", "N/A", "[Not Supported]", "[Unknown Error]", "[GPU requires reset]")


def _columns(line: str) -> list[str]:
    return [cell.strip() for cell in line.lstrip("\ufeff").split(",")]


def _sniff(path: Path, text: str) -> str:
    header = _columns(text.split("\n", 1)[0])
    if "timestamp" not in header:
        return "no column 'timestamp' in its first line"
    if not any(name in header for name in DRAW):
        bare = [name for name in header if name.startswith("power.draw")]
        return f"'{bare[0]}' without its unit" if bare else "no column 'power.draw [W]'"
    return ""


def traces(path: Path) -> tuple[list[Trace], list[str]]:
    """Read the devices' power over time, and the products' names.

    The clock is the machine's own, without a zone: it can be compared with itself only.

    Raises:
        InferBenchError: A time or a power that can't be read, with its line.
    """
    table = _table(path)
    why = _sniff(path, ",".join(table[0]) if table else "")
    if why:
        raise ib.InferBenchError.at(path.name, why, "give the log of nvidia-smi, its header first")
    header = [cell.strip() for cell in table[0]]
    draw = header.index(next(name for name in DRAW if name in header))
    when = header.index("timestamp")
    key = next((header.index(name) for name in DEVICE if name in header), None)
    name = next((header.index(one) for one in NAME if one in header), None)
    samples: dict[str, list[tuple[float, float]]] = {}
    names: dict[str, str] = {}
    for number, cells in enumerate(table[1:], start=2):
        if not cells or cells == table[0]:
            continue  # a restarted log repeats its header
        if len(cells) != len(header):
            raise ib.InferBenchError.at(
                f"{path.name}: line {number}",
                f"{len(cells)} columns, {len(header)} expected: it is cut short, or a number has a comma",
                "remove the line, or log with LC_ALL=C",
            )
        device = cells[key].strip() if key is not None else "0"
        watts = samples.setdefault(device, [])
        if name is not None:
            names[device] = cells[name].strip()
        if cells[draw].strip() not in ABSENT:
            sample = (_time(cells[when], path, number), _watts(cells[draw], path, number))
            if key is None and watts and watts[-1][0] == sample[0]:
                raise ib.InferBenchError.at(
                    f"{path.name}: line {number}",
                    "two powers at the same time and no column 'index'",
                    "log with --query-gpu=timestamp,index,power.draw",
                )
            watts.append(sample)
    return [Trace.of(device, found) for device, found in samples.items()], list(names.values())


def _table(path: Path) -> list[list[str]]:
    """Cells of all lines; a decimal comma is told from the comma between cells, which a space follows."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    lines = text.splitlines()
    width = len(next(csv.reader(lines[:1], skipinitialspace=True), []))
    table = []
    for line in lines:
        cells = next(csv.reader([line], skipinitialspace=True), [])
        if len(cells) > width:
            apart = [_DECIMAL.sub(r"\1.\2", cell) for cell in re.split(r",\s+|;", line)]
            cells = apart if len(apart) == width else cells
        table.append(cells)
    return table


def _time(text: str, path: Path, number: int) -> float:
    try:
        moment = datetime.strptime(text.strip(), "%Y/%m/%d %H:%M:%S.%f")
    except ValueError:
        raise ib.InferBenchError.at(
            f"{path.name}: line {number}",
            f"'{text}' is no time like 2025/01/31 13:00:00.000",
            "remove the line",
        ) from None
    return (moment - datetime(2000, 1, 1)).total_seconds()


def _watts(text: str, path: Path, number: int) -> float:
    value = text.strip().removesuffix("W").strip()
    try:
        watts = float(value)
    except ValueError:
        raise ib.InferBenchError.at(
            f"{path.name}: line {number}", f"'{text.strip()}' is no power like 412.34 W", "remove the line"
        ) from None
    return drawn(watts, f"{path.name}: line {number}")


def _read(path: Path) -> list[ib.Measurement]:
    found, names = traces(path)
    log = integrate(found, path.name, gap=pace(found))
    kinds = sorted(set(names))
    if len(kinds) > 1:
        raise ib.InferBenchError.at(
            path.name, f"different products in one log: {', '.join(kinds)}", "log each product by itself"
        )
    return [
        ib.Measurement(source=path.name, chip=kinds[0] if kinds else "", boundary="board", **log.fields())
    ]


IMPORTER = ib.Importer("nvidia-smi", "nvidia-smi CSV log", _sniff, _read)
