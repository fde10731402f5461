"""The operators of a step: what each takes, what binds it, and what the host and others take beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from inferbench.model.causes import HOST, LAUNCH, POWER
from inferbench.records.run import OpRow, Run
from inferbench.report.labels import engine_title, point_title
from inferbench.report.model import Cell, Table
from inferbench.units import show

__all__ = ["operator_rows", "operators", "pick"]

PIPELINE, OVERLAP = "pipeline", "overlap"
"""What microbatches and stages add to one pass over the operators, and what their overlap saves."""
HEADS = ("operator", "kind", "repeat", "useful ops", "bytes", "busy", "bound by", "time", "share")
# Below this share of a step a remainder is the arithmetic's.
NOTHING = 1e-9

Row = dict[str, Any]


def operator_rows(run: Run) -> list[Row]:
    """Return the breakdown of the first point as plain data, SI; shares add up to 1.

    Empty where no layout was the best at all points.
    """
    if not run.ops:
        return []
    _, index = next(run.points())
    total = pick(run, run.seconds, index)
    rows = [_operator(run, row, index) for row in run.ops]
    rows += _rest(run, index, total - math.fsum(row["time_s"] for row in rows), total)
    return [{**row, "share": row["time_s"] / total} for row in rows]


def _operator(run: Run, row: OpRow, index: tuple[int, ...]) -> Row:
    busy = {name: pick(run, seconds, index) for name, seconds in row.busy.items()}
    busy |= {f"exposed.{name}": pick(run, seconds, index) for name, seconds in row.exposed.items()}
    seconds = pick(run, row.seconds, index)
    launch = min(pick(run, row.launch, index), seconds)
    bound = max(busy, key=lambda name: busy[name]) if busy else ""
    return {
        "name": row.name,
        "kind": row.kind,
        "repeat": pick(run, row.repeat, index),
        "useful_ops": pick(run, row.useful, index),
        "bytes": pick(run, row.moved, index),
        "busy": busy,
        "launch_s": launch,
        "bound": LAUNCH if launch > seconds - launch else bound,
        "time_s": seconds,
    }


def _rest(run: Run, index: tuple[int, ...], left: float, total: float) -> Iterator[Row]:
    """What no operator takes: the host, the limit of power, what stages wait or overlap saves."""
    named = {name: pick(run, run.causes[name], index) for name in (HOST, POWER) if name in run.causes}
    if not run.causes:  # ideal software knows no causes, but power may stretch it all the same
        throttle = pick(run, run.energy.throttle, index)
        named = {POWER: total - total / throttle} if throttle > 1.0 else {}
    other = left - math.fsum(named.values())
    named[PIPELINE if other > 0 else OVERLAP] = other
    for name, seconds in named.items():
        if abs(seconds) > NOTHING * total or name in (PIPELINE, OVERLAP):
            yield _remainder(name, seconds)


def _remainder(name: str, seconds: float) -> Row:
    return {
        "name": name,
        "kind": "",
        "repeat": None,
        "useful_ops": None,
        "bytes": None,
        "busy": {},
        "launch_s": None,
        "bound": name,
        "time_s": seconds,
    }


def operators(run: Run) -> Table:
    """Return the breakdown of the first point as a table; its shares add up to 100 %."""
    at, index = next(run.points())
    rows = [_line(row) for row in operator_rows(run) if abs(row["share"]) > NOTHING or row["kind"]]
    layout = run.layouts[int(run.values(run.layout)[index])]
    title = f"operators of {point_title(run, at, False)} on {run.system}, one chip's share ({layout})"
    notes = () if rows else ("the layout is searched per point; name one (8xh100:tp8) to see its operators",)
    return Table(title, tuple(Cell(text) for text in HEADS), tuple(rows), notes=notes)


def _line(row: Row) -> tuple[Cell, ...]:
    busy = {engine_title(name): seconds for name, seconds in row["busy"].items() if seconds > 0}
    parts = [f"{name} {show(seconds, 's')}" for name, seconds in busy.items()]
    parts += [f"launch {show(row['launch_s'], 's')}"] if row["launch_s"] else []
    numbers = (
        "" if row["repeat"] is None else f"{row['repeat']:,.0f}",
        "" if row["useful_ops"] is None else show(row["useful_ops"], "OP"),
        "" if row["bytes"] is None else show(row["bytes"], "B"),
    )
    time = show(abs(row["time_s"]), "s")
    texts = (
        row["name"],
        row["kind"],
        *numbers,
        ", ".join(parts),
        engine_title(row["bound"]) if row["kind"] else "",
        f"-{time}" if row["time_s"] < 0 else time,
        f"{100 * row['share']:.1f} %",
    )
    return tuple(Cell(text) for text in texts)


def pick(run: Run, array: Any, index: tuple[int, ...]) -> float:
    """One point of an array."""
    return float(run.values(np.asarray(array, dtype=np.float64))[index])
