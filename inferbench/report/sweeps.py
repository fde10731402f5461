"""Report of a sweep: how much of the space each system can do, how well, and how much of it it wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.model.intervals import INTERVAL
from inferbench.report.grades import SYMBOLS
from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.report.space import dominated_notes, gap_notes
from inferbench.space.flexibility import DEFINITIONS, Space, flexibility
from inferbench.space.winners import TERMS, TOKENS, comparable, winners
from inferbench.sweeping.plan import Plan
from inferbench.sweeping.unknown import Unknown, unknown
from inferbench.units import show

__all__ = ["COLUMNS", "counted", "summary"]

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
    plan: Plan, parts: Sequence[Mapping[str, object]], registry: Registry, path: Path | None = None
) -> Report:
    """Report a sweep that fits into memory.

    Args:
        plan: What was swept.
        parts: Columns, chunk by chunk.
        registry: Where it was planned; its metrics say why something is not known.
        path: Where all points were written.
    """
    together = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    space = Space.of_columns(together, registry.roles())
    doubts = _doubts(together)
    rows = [
        {"system": row["system"], **doubts.get(row["system"], {}), **row}
        for row in _rows(space, unknown(plan, registry, space))
    ]
    return _report(plan, rows, path, _dominated(space))


def _doubts(columns: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Per system what most of its points rest on, and the median factor of their 90 % intervals."""
    if "grade" not in columns:
        return {}
    found: dict[str, dict[str, Any]] = {}
    names, fits = columns["system"], np.asarray(columns["feasible"], dtype=bool)
    errors = np.asarray(columns.get("log_error", np.full(len(fits), np.nan)), dtype=np.float64)
    for system in dict.fromkeys(names.tolist()):
        mine = (names == system) & fits
        grades = [one for one in columns["grade"][mine].tolist() if one]
        known = errors[mine & np.isfinite(errors)]
        found[system] = {
            "grade": max(dict.fromkeys(grades), key=grades.count) if grades else None,
            "interval": float(np.exp(INTERVAL * np.median(known))) if len(known) else None,
        }
    return found


def _dominated(space: Space) -> tuple[str, ...]:
    """Who is best nowhere, per term."""
    if len(space.systems) < 2:
        return ()
    return tuple(
        note
        for equal in TERMS
        if comparable(space, equal)
        for note in dominated_notes(space, winners(space, TOKENS, equal), equal)
    )


def _rows(space: Space, why: Unknown) -> list[dict[str, Any]]:
    """One row per system; its `unknown` says why a share is None, or for how many points no score is
    known.
    """
    shares = {"feasible": space.feasible.mean(axis=1)}
    if space.has("utilization", "useful"):
        shares["flexibility_peak"] = flexibility(space, DEFINITIONS["peak"])
        shares["flexibility_best"] = flexibility(space, DEFINITIONS["best"])
    rows: list[dict[str, Any]] = [
        {
            "system": system,
            "points": space.count,
            **{name: float(share[row]) for name, share in shares.items()},
        }
        for row, system in enumerate(space.systems)
    ]
    for equal in TERMS:
        if len(space.systems) < 2 or not comparable(space, equal):
            continue
        found, name = winners(space, TOKENS, equal), f"wins_equal_{equal}"
        for at, (row, share) in enumerate(zip(rows, found.known_shares, strict=True)):
            row[name] = None if np.isnan(share) else float(share)
            if gaps := gap_notes(found, at, why.get((row["system"], equal), "")):
                row.setdefault("unknown", {})[name] = gaps[0]
    return rows


def counted(plan: Plan, path: Path) -> Report:
    """Report a sweep too large to be ranked on the way: points and how many of them are feasible."""
    from inferbench.sweeping.query import query

    found = query(
        path,
        "select system, count(*), avg(feasible::int) from space group by system order by min(chips), system",
    )
    return _report(
        plan, [dict(zip(("system", "points", "feasible"), row, strict=True)) for row in found.rows], path
    )


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
        notes=notes,
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
