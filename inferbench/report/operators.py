"""Report of single operators: time, what binds, utilization, power and energy of every row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from inferbench.model.operators import OpResult
from inferbench.num import Array
from inferbench.records.chip import Chip
from inferbench.records.choice import BOUND, CALIBRATED, CLASS, GRADES, TRANSFERRED, Choice
from inferbench.records.kinds import op_kind
from inferbench.report.grades import SYMBOLS, grade_legend
from inferbench.report.intervals import ends_text
from inferbench.report.labels import engine_title
from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.units import show

__all__ = ["operators_report"]

MOST_SHOWN = 200


def operators_report(
    chip: Chip, choice: Choice, kind: str, results: Sequence[OpResult], verbose: bool
) -> Report:
    """Report operators of one kind on one chip.

    Args:
        chip: The chip.
        choice: Software, and why this one.
        kind: Of the operators.
        results: Rows, one group per precision and size of a collective.
        verbose: Whether to show the busy and the exposed parts.
    """
    flat = [row for result in results for row in _flat(kind, result, choice)]
    aside = f"stack: {choice.stack.name}" + (f" · {choice.why}" if choice.grade == GRADES[CLASS] else "")
    table = _table(f"{kind} on {chip.title}", results, kind, verbose, aside, choice)
    head = {"schema": "inferbench.op/1", "chip": chip.name, "stack": choice.stack.name, "kind": kind}
    head |= {"rests_on": choice.origin}
    after = (Next("show", (chip.name,)) if verbose else Next(arguments=("-v",), why="for the busy parts"),)
    return Report((table,), {**head, "rows": flat}, tuple(flat), after)


def _grade(result: OpResult, i: int, choice: Choice) -> str:
    """What a row rests on: at best what the stack does, and less outside of its box."""
    inside = bool(result.inside[i]) or choice.grade != GRADES[CALIBRATED]
    return choice.grade if inside else GRADES[TRANSFERRED]


def _flat(kind: str, result: OpResult, choice: Choice) -> list[dict[str, Any]]:
    columns: dict[str, list[Any]] = {name: values.tolist() for name, values in result.columns.items()}
    columns["precision"] = [result.precision] * len(result.seconds)
    columns |= {
        "grade": [_grade(result, i, choice) for i in range(len(result.seconds))],
        "time_s": result.seconds.tolist(),
        "ideal_s": result.model.tolist(),
        "useful_ops": result.useful.tolist(),
        "bytes": result.moved.tolist(),
    }
    columns |= {name: np.asarray(values).tolist() for name, values in result.cost.detail.items()}
    columns |= {f"busy.{name}_s": np.asarray(values).tolist() for name, values in result.cost.busy.items()}
    columns |= {
        f"exposed.{name}_s": np.asarray(values).tolist() for name, values in result.cost.exposed.items()
    }
    columns["bound"] = list(result.bound)
    columns |= {
        "utilization": _nulls(result.utilization),
        "power_w": _nulls(result.watts),
        "energy_j": _nulls(result.joules),
    }
    columns |= _between(result)
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _between(result: OpResult) -> dict[str, list[float | None]]:
    """Ends of the 90% intervals; none under a stack that was not fitted on such operators."""
    found: dict[str, list[float | None]] = {}
    for name, of, values in (
        ("time_s", "time", result.seconds),
        ("power_w", "power", result.watts),
        ("energy_j", "energy", result.joules),
    ):
        low, high = result.between(of)
        if np.isfinite(low).any():
            found |= {f"{name}_low": _nulls(values * low), f"{name}_high": _nulls(values * high)}
    return found


def _figures(result: OpResult, i: int) -> list[str]:
    """Time, power and energy of a row with their intervals."""
    texts = []
    for values, unit, of in (
        (result.seconds, "s", "time"),
        (result.watts, "W", "power"),
        (result.joules, "J", "energy"),
    ):
        value = float(values[i])
        low, high = (float(end[i]) for end in result.between(of))
        texts.append(show(value, unit) + ends_text(value, low, high))
    return texts


def _nulls(values: Array) -> list[float | None]:
    known = np.isfinite(values)
    return (
        values.tolist()
        if known.all()
        else [v if k else None for v, k in zip(values.tolist(), known, strict=True)]
    )


def _texts(
    result: OpResult, i: int, details: Sequence[str], parts: Sequence[str], exposed: Sequence[str], grade: str
) -> list[str]:
    """What a row of the table says behind its label."""
    cost = result.cost
    used = float(result.utilization[i])
    time, power, energy = _figures(result, i)
    return [
        result.precision,
        *(
            (f"{time} {SYMBOLS[grade]}", f"≥ {show(float(result.model[i]), 's')}")
            if grade != GRADES[BOUND]
            else (time,)
        ),
        engine_title(result.bound[i]),
        DASH if np.isnan(used) else f"{show(100 * used)} %",
        *(f"{float(np.asarray(cost.detail[d])[i]):,.0f}" if d in cost.detail else DASH for d in details),
        *(show(float(np.asarray(cost.busy[p])[i]), "s") if p in cost.busy else DASH for p in parts),
        *(show(float(np.asarray(cost.exposed[e])[i]), "s") if e in cost.exposed else DASH for e in exposed),
        power,
        energy,
    ]


def _table(
    title: str, results: Sequence[OpResult], kind: str, verbose: bool, aside: str, choice: Choice
) -> Table:
    varying = [
        name
        for name in op_kind(kind).fields
        if len({float(v) for r in results for v in r.columns[name][:MOST_SHOWN]}) > 1
    ] or list(op_kind(kind).fields)[:3]
    details = list(dict.fromkeys(name for r in results for name in r.cost.detail))
    parts = list(dict.fromkeys(name for r in results for name in r.cost.busy)) if verbose else []
    exposed = list(dict.fromkeys(name for r in results for name in r.cost.exposed)) if verbose else []
    heads = [
        "",
        "precision",
        "time",
        *(() if choice.stack.ideal else ("hardware alone",)),
        "bound by",
        "utilization",
        *details,
        *(engine_title(p) for p in parts),
        *(f"{name} (exposed)" for name in exposed),
        "power",
        "energy",
    ]
    rows: list[tuple[Cell, ...]] = []
    for result in results:
        for i in range(min(len(result.seconds), MOST_SHOWN - len(rows))):
            label = " · ".join(f"{name} {result.columns[name][i]:,.0f}" for name in varying)
            rows.append(
                tuple(
                    Cell(text)
                    for text in [
                        label,
                        *_texts(result, i, details, parts, exposed, _grade(result, i, choice)),
                    ]
                )
            )
    total = sum(len(result.seconds) for result in results)
    notes = (
        (f"the first {MOST_SHOWN} of {total:,} rows; --format csv or json gives all",)
        if total > len(rows)
        else ()
    )
    why = tuple(dict.fromkeys(f"power: {r.energy.why}" for r in results if r.energy.why))
    grades = {_grade(result, i, choice) for result in results for i in range(len(result.seconds))}
    legend = (f"[90 % interval]  {grade_legend(grades)}",) if grades - {GRADES[BOUND]} else ()
    heads_ = tuple(Cell(head) for head in heads)
    return Table(title, heads_, tuple(rows), aside, numeric=True, notes=notes + why, legend=legend)
