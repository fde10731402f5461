"""Report of serving frontiers: one table per system, and what each yields within the limits asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from inferbench.model.document import provenance
from inferbench.model.intervals import INTERVAL
from inferbench.records.choice import BOUND, GRADES
from inferbench.records.run import Metric
from inferbench.report.answer import span
from inferbench.report.grades import SYMBOLS, grade_legend
from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.serving.frontier import Frontier, pareto
from inferbench.serving.points import PAIRS, QUANTITIES, TABLE, Points, Quantity
from inferbench.serving.replica import Question
from inferbench.serving.within import meets
from inferbench.units import show

__all__ = ["SCHEMA", "frontier_report"]

SCHEMA = "inferbench.frontier/1"
APART = 1.1
_LEGEND = (
    (
        "Tokens are output tokens. P:D: prefill chips per decode chip at balance. Bold: Pareto-optimal among"
        " the systems listed."
    ),
)


def frontier_report(
    found: Sequence[Frontier], asked: Question, limits: tuple[float, float], next_: Next
) -> Report:
    """Build the whole answer.

    Args:
        found: One per system.
        asked: What was asked.
        limits: Longest time per token and to the first token, seconds; infinity for none.
        next_: What to do next.
    """
    unbeaten = _unbeaten(found)
    tables = [_limits_table(found, asked, limits)]
    tables += [_system_table(one, mine) for one, mine in zip(found, unbeaten, strict=True) if one.count]
    rows = [row for one, mine in zip(found, unbeaten, strict=True) for row in _rows(one, mine)]
    return Report(
        tuple(tables), _document(found, asked, limits, rows), tuple(_flat(row) for row in rows), (next_,)
    )


def _unbeaten(found: Sequence[Frontier]) -> list[set[int]]:
    """Per system the indices of points that no point of any system beats in speed and throughput."""
    sizes = [one.count for one in found]
    if not sum(sizes):
        return [set() for _ in found]
    speed, rate = (
        np.concatenate([np.asarray(values, dtype=np.float64) for values in column])
        for column in (
            [one.points.tokens_per_s_per_user for one in found],
            [one.points.tokens_per_s_per_chip for one in found],
        )
    )
    best = pareto(speed, rate)
    starts = np.cumsum([0, *sizes])
    return [{int(i - low) for i in best if low <= i < high} for low, high in pairwise(starts)]


def how(points: Points, i: int) -> str:
    """Policy and layout of a point, as a reader writes it."""
    copies, prompts = int(points.replicas[i]), int(points.prompt_replicas[i])
    layout = points.layout[i]
    if prompts:
        return f"{points.policy[i]} {prompts}×{points.prompt_layout[i]} + {copies}×{layout}"
    size = float(points.chunk[i])
    chunk = "" if math.isnan(size) else f" {size:,.0f}"
    return f"{points.policy[i]}{chunk} {copies}×{layout}"


def _cell(one: Frontier, what: Quantity | Metric, i: int, best: bool = False, between: bool = False) -> Cell:
    """A figure; with its interval where there is room."""
    value = float(one.points[what.name][i])
    if math.isnan(value):
        why = one.why.get(what.name, "")
        return Cell(DASH, (f"{one.system}: {why}",) if why else (), unsure=True)
    if isinstance(what, Quantity) and between:
        estimate = one.points.estimate(what, i, one.most)
        if math.isfinite(estimate.low):
            return Cell(span(estimate, what.unit), best=best)
    return Cell(show(value, what.unit), best=best)


def _system_table(one: Frontier, unbeaten: set[int]) -> Table:
    """Points of the frontier; neighbours that differ by less than a tenth in both are left out."""
    shown: list[int] = []
    last = (math.inf, 0.0)
    for i in one.best():
        here = (float(one.points.tokens_per_s_per_user[i]), float(one.points.tokens_per_s_per_chip[i]))
        if last[0] / here[0] >= APART or here[1] / max(last[1], 1e-300) >= APART:
            shown.append(int(i))
            last = here
    several = len(set(one.points.precision.tolist())) > 1
    rows = []
    for i in shown:
        label = how(one.points, i) + (f" {one.points.precision[i]}" if several else "")
        rows.append(
            (
                Cell(label),
                *(_cell(one, what, i, i in unbeaten and k < 2) for k, what in enumerate(TABLE)),
                _factor(float(one.points.log_error[i])),
            )
        )
    heads = (Cell(""), *(Cell(what.title) for what in TABLE), Cell("90 %"))
    aside = f"{len(one.best())} of {one.count} points are on the frontier"
    return Table(one.system, heads, tuple(rows), aside, numeric=True, notes=one.notes, legend=_LEGEND)


def _limits_table(found: Sequence[Frontier], asked: Question, limits: tuple[float, float]) -> Table:
    said = [
        f"{name} ≤ {show(limit, 's')}"
        for name, limit in (("time per token", limits[0]), ("first token", limits[1]))
        if math.isfinite(limit)
    ]
    picked = [one.picked for one in found]
    heads = [Cell("")]
    for one, i in zip(found, picked, strict=True):
        heads.append(Cell(one.system, () if i is not None else (f"{one.system}: {why_not(one, limits)}",)))
    rows = [
        _row("software", [_software(one, i) for one, i in zip(found, picked, strict=True)]),
        _row(
            "meets the limits" if said else "fits?",
            [_met(one, i, limits) for one, i in zip(found, picked, strict=True)],
        ),
    ]
    rows += _figure_rows(found, picked)
    how_rows = [Cell(DASH if i is None else how(one.points, i)) for one, i in zip(found, picked, strict=True)]
    rows.append(_row("how", how_rows))
    traffic = asked.traffic
    title = " · ".join(
        [
            asked.network.title,
            "serving",
            f"prompt {traffic.prompt:,.0f}",
            f"output {traffic.output:,.0f}",
            ", ".join(asked.precisions),
        ]
    )
    aside = "highest throughput" + (f" with {', '.join(said)}" if said else "")
    grades = {str(one.points.grade[i]) for one, i in zip(found, picked, strict=True) if i is not None}
    legend = (f"[90 % interval]  {grade_legend(grades)}",) if grades - {GRADES[BOUND]} else ()
    return Table(title, tuple(heads), tuple(rows), aside, legend=legend)


def _factor(error: float) -> Cell:
    """The interval of times and rates as a factor either way."""
    return Cell(f"× {math.exp(INTERVAL * error):.2g}") if error > 0 else Cell(DASH, unsure=True)


def _software(one: Frontier, i: int | None) -> Cell:
    if i is None:
        return Cell(one.stack, unsure=True)
    return Cell(f"{one.stack} {SYMBOLS[str(one.points.grade[i])]}")


def _met(one: Frontier, i: int | None, limits: tuple[float, float]) -> Cell:
    """Whether a point is within limits, and how likely it is."""
    if i is None:
        return Cell("no")
    chance = meets(one.points, i, *limits)
    return Cell(f"{100 * chance:.0f} %" if chance < 1.0 else "yes")


def _figure_rows(found: Sequence[Frontier], picked: Sequence[int | None]) -> list[tuple[Cell, ...]]:
    """A row per figure of the points picked; the highest throughput is marked if every system has one."""
    rows = []
    rates = [
        float(one.points.tokens_per_s_per_chip[i])
        for one, i in zip(found, picked, strict=True)
        if i is not None
    ]
    top = max(rates, default=math.nan) if len(rates) == len(found) > 1 else math.nan
    declared = {metric: None for one in found for metric in one.metrics}
    speed, rate, *others = TABLE
    beside = [one for one in QUANTITIES if one.title and one not in TABLE]
    shown: tuple[Quantity | Metric, ...] = (rate, *beside, speed, *others, *declared)
    for what in shown:
        cells = [
            Cell(DASH, unsure=True)
            if i is None
            else _cell(one, what, i, one.points[what.name][i] == top, True)
            for one, i in zip(found, picked, strict=True)
        ]
        rows.append(_row(f"goodput, {what.title}" if what is rate else what.title, cells))
    return rows


def _row(title: str, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    return (Cell(title), *cells)


def why_not(one: Frontier, limits: tuple[float, float]) -> str:
    """Why a system has no point within the limits."""
    if not one.count:
        return "; ".join(f"{reason} ({count})" for reason, count in one.infeasible.items()) or "no layout"
    said = [
        f"{title} is {show(least, 's')} at the least"
        for least, title, limit in (
            (float(np.min(one.points.tpot_s)), "time per token", limits[0]),
            (float(np.min(one.points.ttft_s)), "first token", limits[1]),
        )
        if least > limit
    ]
    return "; ".join(said) or "each limit can be met, but not both at once"


def _rows(one: Frontier, unbeaten: set[int]) -> Iterator[dict[str, Any]]:
    """One record per feasible point; `pareto` names the quantities against which it is on the system's
    frontier.
    """
    fronts = {pair.name: set(one.best(pair.name).tolist()) for pair in PAIRS}
    for i in range(one.count):
        values = {name: _plain(one.points[name][i]) for name in one.points}
        yield {
            "system": one.system,
            "chips": one.chips,
            **values,
            **_ends(one, i),
            "pareto": [name for name, mine in fronts.items() if i in mine],
            "unbeaten": i in unbeaten,
        }


def _ends(one: Frontier, i: int) -> dict[str, float | None]:
    """Ends of the 90 % intervals of a point; none under software without one."""
    found = {what.name: one.points.estimate(what, i, one.most) for what in QUANTITIES if what.doubt}
    return {
        f"{name}_{end}": _plain(getattr(estimate, end))
        for name, estimate in found.items()
        if math.isfinite(estimate.low)
        for end in ("low", "high")
    }


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return float(value) if math.isfinite(value) else None


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "pareto": ";".join(row["pareto"])}


def _document(
    found: Sequence[Frontier], asked: Question, limits: tuple[float, float], rows: list[dict[str, object]]
) -> dict[str, Any]:
    picked = {one.system: one.picked for one in found}
    return {
        "schema": SCHEMA,
        "provenance": {
            **provenance([], asked.registry),
            "scenario": asked.scenario.name if asked.scenario else None,
        },
        "network": asked.network.name,
        "stack": ", ".join(dict.fromkeys(one.stack for one in found)),
        "stacks": {one.system: one.stack for one in found},
        "precisions": list(asked.precisions),
        "prompt_tokens": asked.traffic.prompt,
        "output_tokens": asked.traffic.output,
        "limits": {"tpot_s": _plain(limits[0]), "ttft_s": _plain(limits[1])},
        "goodput": {
            one.system: (
                None
                if picked[one.system] is None
                else next(row for k, row in enumerate(_rows(one, set())) if k == picked[one.system])
            )
            for one in found
        },
        "infeasible": {one.system: dict(one.infeasible) for one in found},
        "unknown": {one.system: dict(one.why) for one in found},
        "results": rows,
    }
