"""Report of a sizing: chips as columns, the fewest of them and, where it differs, the cheapest layout."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from inferbench.model.document import provenance
from inferbench.model.expected import Estimate
from inferbench.model.outside import outside_at
from inferbench.records.choice import BOUND, GRADES
from inferbench.report.answer import percent, span
from inferbench.report.grades import SYMBOLS, grade_legend
from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.serving.sizing import Demand, Option, Sized, Totals
from inferbench.units import show

__all__ = ["SCHEMA", "sizing_report"]

SCHEMA = "inferbench.sizing/1"
Column = tuple[Sized, Option | None, str]


def sizing_report(sized: Sequence[Sized], demand: Demand, next_: Next) -> Report:
    """Build the whole answer."""
    columns = [column for one in sized for column in _columns(one)]
    heads = (
        Cell(""),
        *(Cell(one.chip.title + aside, (*_notes(one), *_doubts(option))) for one, option, aside in columns),
    )
    rows = [
        (Cell("software"), *(_software(one, option) for one, option, _ in columns)),
        (Cell("meets it?"), *(_met(option, demand) for _, option, _ in columns)),
    ]
    for title, text, figure, path in _lines(demand):
        cells = _cells(columns, text, figure, path)
        rows.append((Cell(title), *cells))
    axes = [f"{name} {value:,.0f}" for name, value in demand.axes.items()]
    title = " · ".join(
        [demand.network.title, demand.phase, f"{demand.users:,} users", *axes, demand.precision]
    )
    limits = f"step ≤ {show(demand.limit, 's')}" + (
        f", first token ≤ {show(demand.first, 's')}" if math.isfinite(demand.first) else ""
    )
    grades = {GRADES[option.grade] for _, option, _ in columns if option is not None}
    legend = (f"[90 % interval]  {grade_legend(grades)}",) if grades - {GRADES[BOUND]} else ()
    table = Table(title, heads, tuple(rows), limits, legend=legend)
    data = [
        _record(one, option, which, demand.limit)
        for one in sized
        for which, option in (("fewest", one.fewest), ("cheapest", one.cheapest))
    ]
    return Report(
        (table,), _document(demand, sized, data), tuple(_flat(row, demand) for row in data), (next_,)
    )


def _columns(one: Sized) -> list[Column]:
    if one.fewest is None or one.cheapest is None or one.fewest is one.cheapest:
        return [(one, one.fewest, "")]
    return [(one, one.fewest, ", fewest"), (one, one.cheapest, ", cheapest")]


def _notes(one: Sized) -> tuple[str, ...]:
    return (*([f"{one.chip.title}: {one.reason}"] if one.reason else []), *one.notes)


def _doubts(option: Option | None) -> tuple[str, ...]:
    """What a reader must know of an option: estimated power, software beyond what it was fitted on."""
    if option is None:
        return ()
    energy = option.run.energy
    power = (f"power: {energy.why}",) if energy.estimated and energy.why else ()
    at, index = next(option.run.points())
    return (*power, *outside_at(option.run, at, index)[:1])


def _software(one: Sized, option: Option | None) -> Cell:
    grade = "" if option is None else f" {SYMBOLS[GRADES[option.grade]]}"
    return Cell("bound only" if option is not None and option.grade == BOUND else f"{one.stack}{grade}")


def _met(option: Option | None, demand: Demand) -> Cell:
    """Whether a limit is met; where the software has an interval, how likely."""
    if option is None:
        return Cell("no")
    chance = option.meets(demand.limit)
    return Cell("yes" if math.isnan(chance) else percent(chance))


def _span(one: Estimate, unit: str = "") -> str | None:
    """A figure with its 90 % interval."""
    return None if math.isnan(one.value) else span(one, unit)


Line = tuple[str, Callable[[Option], str | None], Callable[[Option], float] | None, str]


def _lines(demand: Demand) -> list[Line]:
    """Row titles, how a cell is written (None: not known), the figure by which the best is marked, and the
    spec's key.
    """
    phases = {one.name: one.latency for one in demand.registry.workload(demand.network.type).phases}
    step = {"tpot_s": "time per token", "ttft_s": "time to first token"}.get(phases[demand.phase], "latency")

    def dollars(which: int) -> Callable[[Option], str | None]:
        return lambda option: None if math.isnan(option.dollars[which]) else show(option.dollars[which])

    def number(value: float, unit: str = "") -> str | None:
        return None if math.isnan(value) else show(value, unit)

    first: list[Line] = [
        ("first token of a prompt alone", lambda option: number(option.first, "s"), None, "")
    ]
    return [
        ("chips", lambda option: f"{option.system.count:,}", lambda option: float(option.system.count), ""),
        ("layout", lambda option: str(option.system.layout), None, ""),
        ("sequences per copy", lambda option: f"{option.batch:,.0f}", None, ""),
        (step, lambda option: _span(option.duration, "s"), None, ""),
        *(first if math.isfinite(demand.first) else []),
        ("items/s, all users", lambda option: _span(option.throughput), None, ""),
        (
            "power (chips)",
            lambda option: _span(option.power, "W"),
            lambda option: option.watts,
            "",
        ),
        ("ownership, $/h", dollars(0), lambda option: option.dollars[0], "price.purchase"),
        ("rental on demand, $/h", dollars(1), lambda option: option.dollars[1], "price.rental.on_demand"),
    ]


def _cells(
    columns: Sequence[Column],
    text: Callable[[Option], str | None],
    figure: Callable[[Option], float] | None,
    path: str,
) -> list[Cell]:
    figures = [figure(option) for _, option, _ in columns if option is not None] if figure else []
    known = len(figures) == len(columns) and len(set(figures)) > 1 and not any(math.isnan(f) for f in figures)
    cells = []
    for one, option, _ in columns:
        written = None if option is None else text(option)
        if option is None or written is None:
            cells.append(Cell(DASH, _missing(one, option, path), unsure=True))
            continue
        cells.append(Cell(written, best=bool(figure and known and figure(option) == min(figures))))
    return cells


def _missing(one: Sized, option: Option | None, path: str) -> tuple[str, ...]:
    """Why a figure of a feasible option is not known: the spec's own words, or the power model's."""
    if option is None:
        return ()
    why = (one.chip.missing(path) if path else "") or option.run.energy.why
    return (f"{one.chip.title}: {why}",) if why else ()


def _record(one: Sized, option: Option | None, which: str, limit: float) -> dict[str, Any]:
    base: dict[str, object] = {
        "chip": one.chip.name,
        "which": which,
        "feasible": option is not None,
        "reason": one.reason,
    }
    if option is None:
        return {**base, "chips": None, "layout": None}
    return {
        **base,
        "chips": option.system.count,
        "layout": str(option.system.layout),
        "batch_per_copy": option.batch,
        "grade": GRADES[option.grade],
        "meets": _plain(option.meets(limit)),
        "seconds": option.seconds,
        **_ends("seconds", option.duration),
        "first_token_alone_s": _plain(option.first),
        **{name: _plain(value) for name, value in attrs.asdict(option.totals).items()},
        **_ends(attrs.fields(Totals).items_per_s.name, option.throughput),
        **_ends("power_w", option.power),
    }


def _ends(name: str, one: Estimate) -> dict[str, float | None]:
    return {f"{name}_low": _plain(one.low), f"{name}_high": _plain(one.high)}


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _document(demand: Demand, sized: Sequence[Sized], data: list[dict[str, object]]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "provenance": {
            **provenance([], demand.registry),
            "scenario": demand.scenario.name if demand.scenario else None,
        },
        "workload": f"{demand.network.name}/{demand.phase}",
        "users": demand.users,
        "limit_s": _plain(demand.limit),
        "first_token_s": _plain(demand.first),
        "axes": dict(demand.axes),
        "precision": demand.precision,
        "stack": ", ".join(dict.fromkeys(one.stack for one in sized)),
        "stacks": {one.chip.name: one.stack for one in sized},
        "results": data,
    }


def _flat(row: dict[str, object], demand: Demand) -> dict[str, Any]:
    return {
        "workload": f"{demand.network.name}/{demand.phase}",
        "users": demand.users,
        "precision": demand.precision,
        **row,
    }
