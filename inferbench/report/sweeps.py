"""Report of a sweep: how much of the space each system can do, how well, and how much of it it wins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.model.intervals import INTERVAL
from inferbench.report.grades import SYMBOLS
from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.report.space import dominated_notes, gap_notes
from inferbench.space.totals import Doubts, Totals
from inferbench.sweeping.plan import Plan
from inferbench.sweeping.unknown import Unknown, unknown
from inferbench.units import show

__all__ = ["COLUMNS", "summary"]

COLUMNS = (
    "system",
    "chips",
    "network",
    "phase",
    "precision",
    "batch",
    "context",
    "feasible",
    "grade",
    "log_error",
)
"""What a summary reads of every point, beside the metrics that have roles."""

_HEAD = {
    "system": "system",
    "grade": "rests on",
    "interval": "90 %",
    "points": "points",
    "feasible": "fits",
    "flexibility_peak": "MFU > 50 %",
    "flexibility_best": "> 50 % of own best",
    "wins_equal_chips": "wins per chip",
    "wins_equal_power": "per watt",
    "wins_equal_cost": "per dollar",
}


def summary(
    plan: Plan, totals: Totals, doubts: Doubts, registry: Registry, path: Path | None = None
) -> Report:
    """Report a sweep.

    Args:
        plan: What was swept.
        totals: Of its points.
        doubts: What they rest on.
        registry: Where it was planned; its metrics say why something is not known.
        path: Where all points were written.
    """
    why = unknown(plan, registry, totals)
    rows = [_row(totals, row, doubts, why) for row in range(len(totals.systems))]
    notes = (
        note
        for equal, contest in totals.contests.items()
        for note in dominated_notes(contest.dominated(totals.systems), equal)
    )
    return _report(plan, rows, path, tuple(notes))


def _row(totals: Totals, at: int, doubts: Doubts, why: Unknown) -> dict[str, Any]:
    """One system; `unknown` says why a share is None, or for how many points no score is known."""
    system = totals.systems[at]
    error = doubts.error(system)
    row: dict[str, Any] = {
        "system": system,
        "grade": doubts.grade(system),
        "interval": None if error is None else float(np.exp(INTERVAL * error)),
        "points": totals.points,
        **{name: shares[at] for name, shares in totals.shares().items()},
    }
    for equal, contest in totals.contests.items():
        share, name = contest.shares[at], f"wins_equal_{equal}"
        row[name] = None if np.isnan(share) else float(share)
        gaps = gap_notes(float(contest.unknown[at]), float(contest.alone[at]), why.get((system, equal), ""))
        if gaps:
            row.setdefault("unknown", {})[name] = gaps[0]
    return row


def _own(plan: Plan) -> Iterator[str]:
    """What a precision of everybody's own name is on each chip."""
    for work in {work.system.chip.name: work for work in plan.works}.values():
        for label, own in zip(work.precisions, work.formats, strict=True):
            if label != own:
                yield f"{work.system.chip.title}: {label} is {own}"


def _report(plan: Plan, rows: list[dict[str, Any]], path: Path | None, notes: tuple[str, ...] = ()) -> Report:
    flat = tuple({name: value for name, value in row.items() if name != "unknown"} for row in rows)
    names = list(flat[0])
    cells = tuple(
        tuple(_cell(name, row[name], row.get("unknown", {}).get(name)) for name in names) for row in rows
    )
    works = list(dict.fromkeys(work.phase for work in plan.works))
    networks = list(dict.fromkeys(work.network.name for work in plan.works))
    title = (
        f"{networks[0]}{f' … {networks[-1]}' if len(networks) > 1 else ''} · {', '.join(works)} ·"
        f" {plan.size:,} points"
    )
    table = Table(
        title=title,
        aside=f"stack: {', '.join(dict.fromkeys(work.stack.name for work in plan.works))}",
        columns=tuple(Cell(_HEAD[name]) for name in names),
        rows=cells,
        notes=(*notes, *_own(plan)),
        legend=(
            "Shares of all points, every point weighing the same; an infeasible point counts as failed.",
            "Rests on: most points; 90 %: the factor either way within which nine in ten lie, in the median.",
        ),
    )
    after = (
        Next("query", (str(path), "select * from space limit 5"))
        if path
        else Next(arguments=("--out", "space.parquet"), why="keeps every point")
    )
    data = {
        "schema": "inferbench.sweep/1",
        "request": plan.request.plain(),
        "hash": plan.hash,
        "systems": rows,
    }
    return Report(tables=(table,), data=data, rows=flat, next=(after,))


def _cell(name: str, value: Any, why: str | None) -> Cell:
    notes = (why,) if why else ()
    if name == "grade" and value is not None:
        return Cell(f"{SYMBOLS[value]} {value}")
    if name == "interval" and value is not None:
        return Cell(f"× {value:.2g}")
    if isinstance(value, str):
        return Cell(value)
    if name == "points":
        return Cell(f"{value:,}")
    if value is None:
        return Cell(DASH, notes, unsure=True)
    return Cell(f"{show(100 * value)} %" if value else "0 %", notes)
