"""Windows of `ZeusMonitor(log_file=...)`: seconds and joules per GPU."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import inferbench as ib
from inferbench_importers.record import Row, gather

__all__ = ["IMPORTER"]

_GPU = re.compile(r"^gpu(\d+)_energy$")


def _sniff(path: Path, text: str) -> str:
    header = [cell.strip() for cell in text.split("\n", 1)[0].split(",")]
    for name in ("window_name", "elapsed_time"):
        if name not in header:
            return f"no column '{name}' in its first line"
    return "" if any(map(_GPU.match, header)) else "no column 'gpu0_energy'"


def _build(row: Row) -> ib.Measurement:
    gpus = [key for key in row.values if key and _GPU.match(key)]
    absent = [key for key in gpus if row.values[key] in (None, "")]
    if absent:
        raise row.fault(
            absent[0], "no energy: a sum without one GPU is too small", "remove the row: it is cut short"
        )
    seconds = row.positive("elapsed_time")
    energy = math.fsum(row.positive(key) for key in gpus)
    return ib.Measurement(
        source=row.where,
        chip="",
        chips=len(gpus),
        phase="log",
        latency_s=seconds,
        power_w=energy / seconds,
        energy_j=energy,
        boundary="board",
        extra=row.extra(),
    )


def _read(path: Path) -> list[ib.Measurement]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return gather(path, list(csv.DictReader(stream, skipinitialspace=True)), _build, "row")


IMPORTER = ib.Importer("zeus", "Zeus windows CSV", _sniff, _read)
