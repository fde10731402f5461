"""Report of a workload space: flexibility with the map behind it, its sensitivity, and who wins where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from inferbench.num import Array
from inferbench.report.model import DASH, Cell, Table
from inferbench.space.flexibility import (
    DEFINITIONS,
    Definition,
    Space,
    figures,
    flexibility,
    passes,
    share_by,
    thinned,
)
from inferbench.space.winners import TERMS, TOKENS, Dominated, Equal, Winners, comparable, dominated, winners
from inferbench.sweeping.unknown import Unknown
from inferbench.units import show

__all__ = ["THRESHOLDS", "dominated_notes", "space_data", "space_report"]

NONE: Unknown = {}
THRESHOLDS = (0.3, 0.5, 0.7)
MAIN = (DEFINITIONS["peak"], DEFINITIONS["best"])
_SHADES = "·░▒▓█"
_TERMS = {"chips": "equal chips", "power": "equal power", "cost": "equal cost", "nothing": "as they are"}
_WEIGHTS = (
    "Every listed point weighs the same (axes in factors of two: uniform on log axes); an infeasible point"
    " fails."
)


def space_report(
    space: Space,
    doubled: Space | None = None,
    metric: str = TOKENS,
    equal: Equal = "cost",
    why: Unknown = NONE,
) -> tuple[Table, ...]:
    """Build the tables behind a sweep's summary.

    Args:
        space: All points.
        doubled: The same space with axes listed twice as densely, for the sensitivity; None leaves that row
            out.
        metric: What winning is about.
        equal: On what terms.
        why: Of systems that can't be compared on some terms, the reason.

    Raises:
        InferBenchError: A metric the space hasn't.
    """
    tables = [_figures(space, why)] if space.has("utilization", "useful", "cost", "power") else []
    tables += [_readings(space), _sensitivity(space, doubled)]
    if {"batch", "context"} <= set(space.axes):
        tables += [_map(space, row) for row in range(len(space.systems))]
    if len(space.systems) > 1 and comparable(space, equal):
        found = winners(space, metric, equal)
        tables.append(_winners(space, found, metric, equal, why))
        if {"batch", "context"} <= set(space.axes):
            tables.append(_winners_map(space, found, metric, equal))
    return tuple(tables)


# What the rows of the four figures divide by; the first divides by nothing, the last is no rate.
_DIVIDED: tuple[tuple[str, Equal | None], ...] = (
    ("", None),
    (" per $/h, ownership", "cost"),
    (" per W (wall)", "power"),
)


def _figures(space: Space, why: Unknown) -> Table:
    """The four figures of merit, with the place of every system."""
    rows = []
    title = space.metrics["useful"].title
    lines = [*((f"{title}{by}", equal) for by, equal in _DIVIDED), ("flexibility", None)]
    for (line, equal), values in zip(lines, figures(space).values(), strict=True):
        known = np.where(np.isnan(values), -np.inf, values)
        cells = []
        for system, value in zip(space.systems, values, strict=True):
            place = int(np.sum(known > value)) + 1
            text = (
                DASH
                if np.isnan(value)
                else (_percent(float(value)).text if line == lines[-1][0] else show(float(value)))
            )
            said = why.get((system, equal)) if equal is not None and np.isnan(value) else None
            cells.append(
                Cell(
                    text if np.isnan(value) else f"{text} ({place})",
                    (said,) if said else (),
                    best=place == 1 and int(np.isfinite(known).sum()) > 1,
                    unsure=bool(np.isnan(value)),
                )
            )
        rows.append((Cell(line), *cells))
    legend = ("In brackets the place among the systems listed.",)
    return Table(
        "Four figures of merit",
        _heads(space),
        tuple(rows),
        "the first three at each system's best point",
        numeric=True,
        legend=legend,
    )


def _percent(share: float) -> Cell:
    if np.isnan(share):
        return Cell(DASH, unsure=True)
    return Cell(f"{show(100 * share)} %" if share else "0 %")


def _heads(space: Space) -> tuple[Cell, ...]:
    return (Cell(""), *(Cell(name) for name in space.systems))


def _line(label: str, shares: Array) -> tuple[Cell, ...]:
    return (Cell(label), *(_percent(float(share)) for share in shares))


def _readings(space: Space) -> Table:
    """Flexibility by every reading of its definition, per phase and together."""
    rows = []
    phases = space.phases()
    for reading in DEFINITIONS.values():
        rows.append(_line(f"> 50 % {reading.title}", flexibility(space, reading)))
        if len(phases) > 1:
            rows += [_line(f"    {phase}", flexibility(space, reading, phase=phase)) for phase in phases]
    return Table(
        "Flexibility", _heads(space), tuple(rows), f"{space.count:,} points", numeric=True, legend=(_WEIGHTS,)
    )


def _sensitivity(space: Space, doubled: Space | None) -> Table:
    """The two main readings at other thresholds and densities."""
    grids = [("half as dense", thinned(space)), ("as listed", space)]
    if doubled is not None:
        grids.append(("twice as dense", doubled))
    rows = []
    for reading in MAIN:
        for threshold in THRESHOLDS:
            rows.append(
                _line(
                    f"> {threshold:.0%} {reading.title}".replace("%", " %"),
                    flexibility(space, reading, threshold),
                )
            )
        for title, grid in grids:
            if grid is not space:
                rows.append(_line(f"    > 50 %, batch and context {title}", flexibility(grid, reading)))
    return Table("Sensitivity of the flexibility", _heads(space), tuple(rows), numeric=True)


def _shade(share: float) -> str:
    """A glyph that darkens with the share, and its tens digit; nothing where the space has no point."""
    if np.isnan(share):
        return ""
    step = min(int(np.ceil(share * (len(_SHADES) - 1) - 1e-9)), len(_SHADES) - 1)
    return f"{_SHADES[step]}{round(100 * share):>3d}"


def _map(space: Space, row: int) -> Table:
    """Share of the points that pass at every pair of batch and context."""
    parts = [share_by(space, passes(space, reading)[row], "batch", "context") for reading in MAIN[:1]]
    down, across, share = parts[0]
    heads = (Cell("batch \\ context"), *(Cell(show_count(value)) for value in across))
    rows = tuple(
        (Cell(show_count(size)), *(Cell(_shade(float(one))) for one in line))
        for size, line in zip(down, share, strict=True)
    )
    return Table(
        f"Map of {space.systems[row]}",
        heads,
        rows,
        "share of points with utilization > 50 %, in per cent",
        legend=("· none, ░ to a quarter, ▒ to a half, ▓ to three quarters, █ above",),
    )


def show_count(value: float) -> str:
    """Write an axis value shortly.

    Example:
        >>> show_count(512.0), show_count(32768.0)
        ('512', '32k')
    """
    return f"{value / 1024:.0f}k" if value >= 1024 and value % 1024 == 0 else f"{value:.0f}"


def _winners(space: Space, found: Winners, metric: str, equal: Equal, why: Unknown) -> Table:
    """Share of the space that each system wins, per phase and together."""
    rows = [_line("of all points", found.known_shares)]
    notes = [f"{found.nobody:.1%} of the points: nobody".replace("%", " %")] if found.nobody else []
    for phase in space.phases():
        rows.append(
            _line(
                f"    {phase}",
                winners(space.select(space.axes["phase"] == phase), metric, equal).known_shares,
            )
        )
    for precision in dict.fromkeys(space.axes["precision"].tolist()):
        part = space.select(space.axes["precision"] == precision)
        rows.append(_line(f"    {precision}", winners(part, metric, equal).known_shares))
    nowhere = [name for name, row in zip(space.systems, space.feasible, strict=True) if not row.any()]
    notes += [f"{', '.join(nowhere)}: fits nowhere"] if nowhere else []
    for row, name in enumerate(space.systems):
        notes += [f"{name}: {gap}" for gap in _gaps(found, row, why.get((name, equal), ""))]
    notes += dominated_notes(dominated(space, found), equal)
    title = "Who wins where"
    return Table(
        title,
        _heads(space),
        tuple(rows),
        f"most {_metric(space, metric)}, {_TERMS[equal]}",
        numeric=True,
        notes=tuple(notes),
    )


def _metric(space: Space, metric: str) -> str:
    titles = {one.name: one.title for one in space.metrics.values()}
    return {TOKENS: "tokens (or other items) per second", **titles}.get(metric, metric)


def _gaps(found: Winners, row: int, why: str) -> tuple[str, ...]:
    return gap_notes(float(found.unknown[row]), float(found.alone[row]), why)


def gap_notes(unknown: float, alone: float, why: str) -> tuple[str, ...]:
    """What to say of a system that is not compared at a part of the points where it fits; nothing where it
    is compared at all of them.

    Args:
        unknown: Share of those points without a score.
        alone: Share of them where no rival has one.
        why: Why its own price or power is not known.
    """
    if alone > 0:
        why = why or "no rival that fits has a figure"
    if unknown + alone >= 1:
        return (f"not compared, {why or 'what it is compared by is not known'}",)
    part = show(100 * (unknown + alone))
    said = f"not compared at {part} % of the points where it fits, and not counted as a winner there"
    return (said,) if unknown + alone > 0 else ()


def dominated_notes(lost: Iterable[Dominated], equal: Equal) -> list[str]:
    """A sentence that names who is never best, grouped by who beats them wherever they run."""
    losers: dict[str, list[str]] = {}
    for one in lost:
        losers.setdefault(one.by, []).append(one.system)
    parts = [
        f"{', '.join(names)} ({f'beaten everywhere by {by}' if by else 'by no single one everywhere'})"
        for by, names in losers.items()
    ]
    return [f"best nowhere at {_TERMS[equal]}: {'; '.join(parts)}"] if parts else []


def _winners_map(space: Space, found: Winners, metric: str, equal: Equal) -> Table:
    """The system that wins most of the points at every pair of batch and context."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    shares = [
        share_by(space, (found.best == row).astype(float), "batch", "context")
        for row in range(len(space.systems))
    ]
    down, across, _ = shares[0]
    stacked = np.stack([share for _, _, share in shares])
    rows = []
    for i, size in enumerate(down):
        cells = []
        for j in range(len(across)):
            top = int(np.argmax(stacked[:, i, j]))
            won = float(stacked[top, i, j])
            cells.append(Cell(f"{letters[top % 26]}{round(100 * won):>3d}" if won > 0 else DASH))
        rows.append((Cell(show_count(size)), *cells))
    legend = ", ".join(f"{letters[k % 26]} {name}" for k, name in enumerate(space.systems))
    heads = (Cell("batch \\ context"), *(Cell(show_count(value)) for value in across))
    aside = f"who wins most points, and how many per cent ({_TERMS[equal]})"
    return Table("Map of winners", heads, tuple(rows), aside, legend=(legend,))


def space_data(space: Space, doubled: Space | None = None, why: Unknown = NONE) -> dict[str, Any]:
    """The same as plain data: every reading, phase, threshold and density, and who wins on every term."""
    rows: list[dict[str, Any]] = []
    grids = [
        ("listed", space),
        ("halved", thinned(space)),
        *([("doubled", doubled)] if doubled is not None else []),
    ]
    for reading in DEFINITIONS.values():
        for density, grid in grids:
            for threshold in THRESHOLDS if grid is space else (0.5,):
                rows += _scores(grid, reading, density, threshold)
    return {"flexibility": rows, "winners": [_won(space, equal, why) for equal in _terms(space)]}


def _scores(grid: Space, reading: Definition, density: str, threshold: float) -> list[dict[str, Any]]:
    found = []
    for phase in (None, *grid.phases()):
        shares = flexibility(grid, reading, threshold, phase)
        found += [
            {
                "system": name,
                "definition": reading.name,
                "phase": phase or "all",
                "threshold": threshold,
                "grid": density,
                "score": float(share),
            }
            for name, share in zip(grid.systems, shares, strict=True)
        ]
    return found


def _terms(space: Space) -> Sequence[Equal]:
    return [equal for equal in TERMS if comparable(space, equal)] if len(space.systems) > 1 else []


def _won(space: Space, equal: Equal, why: Unknown) -> dict[str, Any]:
    found = winners(space, TOKENS, equal)
    shares = {
        name: None if np.isnan(share) else float(share)
        for name, share in zip(space.systems, found.known_shares, strict=True)
    }
    return {
        "metric": TOKENS,
        "equal": equal,
        "shares": shares,
        "nobody": found.nobody,
        "unknown": {
            name: why.get((name, equal), "not known") for name, share in shares.items() if share is None
        },
        "dominated": [{"system": one.system, "by": one.by or None} for one in dominated(space, found)],
    }
