"""Report of a sizing with prompts counted: chips as columns, the fewest and the cheapest where it differs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from inferbench.model.document import provenance
from inferbench.report.grades import SYMBOLS, grade_legend
from inferbench.report.intervals import ends_text
from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.serving.fleet import Fleet, Need, Way
from inferbench.serving.points import ABOUT
from inferbench.serving.replica import Question
from inferbench.serving.sizing import Totals
from inferbench.units import show

__all__ = ["fleet_report"]

SCHEMA = "inferbench.sizing/1"
Column = tuple[Fleet, Way | None, str]


def fleet_report(found: Sequence[Fleet], asked: Question, need: Need, next_: Next) -> Report:
    """Build the whole answer."""
    columns = [column for one in found for column in _columns(one)]
    heads = (Cell(""), *(Cell(one.chip.title + aside, _reasons(one)) for one, _, aside in columns))
    rows = [
        (Cell("meets it?"), *(Cell("no" if way is None else f"yes {_mark(way)}") for _, way, _ in columns))
    ]
    for title, text, figure, path in _lines(need):
        rows.append((Cell(title), *_cells(columns, text, figure, path)))
    load = f"{need.users:,.0f} users" if need.column == "users" else f"{need.rate:g} requests/s"
    traffic = asked.traffic
    title = " · ".join(
        [
            asked.network.title,
            load,
            f"prompt {traffic.prompt:,.0f}",
            f"output {traffic.output:,.0f}",
            asked.precisions[0],
        ]
    )
    limits = ", ".join(
        f"{name} ≤ {show(limit, 's')}"
        for name, limit in (("time per token", need.tpot), ("first token", need.ttft))
        if math.isfinite(limit)
    )
    aside = f"{limits} (stack: {', '.join(dict.fromkeys(one.stack for one in found))})"
    grades = [way.replayed.name for _, way, _ in columns if way is not None]
    legend = ("Times and chance are of a replay at this load, with 90% intervals.", grade_legend(grades))
    table = Table(title, heads, tuple(rows), aside, numeric=True, notes=_notes(columns), legend=legend)
    data = [
        _record(one, way, which)
        for one in found
        for which, way in (("fewest", one.fewest), ("cheapest", one.cheapest))
    ]
    flat = tuple({**_head(asked, need), **row} for row in data)
    return Report((table,), _document(found, asked, need, data), flat, (next_,))


def _mark(way: Way) -> str:
    return SYMBOLS[way.replayed.name]


def _columns(one: Fleet) -> list[Column]:
    if one.fewest is None or one.cheapest is None or one.fewest is one.cheapest:
        return [(one, one.fewest, "")]
    return [(one, one.fewest, ", fewest"), (one, one.cheapest, ", cheapest")]


def _reasons(one: Fleet) -> tuple[str, ...]:
    return (f"{one.chip.title}: {one.reason}",) if one.reason else ()


def _notes(columns: Sequence[Column]) -> tuple[str, ...]:
    notes = [
        f"{one.chip.title}: power: {way.replayed.run.energy.why}"
        for one, way, _ in columns
        if way is not None and way.replayed.run.energy.why
    ]
    return tuple(dict.fromkeys([*notes, *(note for one, _, _ in columns for note in one.notes)]))


Line = tuple[str, Callable[[Way], str | None], Callable[[Way], float] | None, str]


def _time(name: str, statistic: str = "mean") -> Callable[[Way], str | None]:
    def text(way: Way) -> str | None:
        value = way.replayed.found.times[name][statistic]
        low, high = way.replayed.interval(name, statistic)
        return show(value, "s") + ends_text(value, low / value, high / value)

    return text


def _plain_of(name: str, unit: str = "") -> Callable[[Way], str | None]:
    def text(way: Way) -> str | None:
        value = float(way.point[name])
        return show(value, unit) if math.isfinite(value) else None

    return text


def _chance(way: Way) -> str | None:
    chance = way.replayed.chance()
    return None if math.isnan(chance) else f"{chance:.0%}"


def _how(way: Way) -> str:
    """Policy and layout, all copies counted."""
    point = way.point
    mine = f"{point['replicas']:.0f}×{point['layout']}"
    if point["policy"] == "disaggregated":
        return f"disaggregated {point['prompt_replicas']:.0f}×{point['prompt_layout']} + {mine}"
    size = float(point["chunk"])
    return f"{point['policy']}{'' if math.isnan(size) else f' {size:,.0f}'} {mine}"


def _lines(need: Need) -> list[Line]:
    """Row titles, how a cell is written (None: not known), the figure by which the best is marked, the spec's
    key.
    """

    def figure(name: str) -> Callable[[Way], float]:
        return lambda way: float(way.point[name])

    return [
        ("chips", lambda way: f"{way.system.count:,}", lambda way: float(way.system.count), ""),
        ("how", _how, None, ""),
        ("time per token", _time("tpot_s"), None, ""),
        ("first token", _time("ttft_s"), None, ""),
        ("first token, p99", _time("ttft_s", "p99"), None, ""),
        ("chance to be within", _chance, None, ""),
        ("carries users", _plain_of("users"), None, ""),
        ("carries requests/s", _plain_of("requests_per_s"), None, ""),
        ("power", _plain_of("power_w", "W"), figure("power_w"), ""),
        (
            "ownership, $/h",
            _plain_of(ABOUT.usd_per_hour.name),
            figure(ABOUT.usd_per_hour.name),
            "price.purchase",
        ),
        (
            "rental on demand, $/h",
            _plain_of(ABOUT.usd_per_hour_cloud.name),
            figure(ABOUT.usd_per_hour_cloud.name),
            "price.rental.on_demand",
        ),
    ]


def _cells(
    columns: Sequence[Column],
    text: Callable[[Way], str | None],
    figure: Callable[[Way], float] | None,
    path: str,
) -> list[Cell]:
    figures = [figure(way) for _, way, _ in columns if way is not None] if figure else []
    known = len(figures) == len(columns) and len(set(figures)) > 1 and not any(map(math.isnan, figures))
    cells = []
    for one, way, _ in columns:
        written = None if way is None else text(way)
        if way is None or written is None:
            why = one.chip.missing(path) if path and way is not None else ""
            cells.append(Cell(DASH, (f"{one.chip.title}: {why}",) if why else (), unsure=True))
            continue
        cells.append(Cell(written, best=bool(figure and known and figure(way) == min(figures))))
    return cells


def _record(one: Fleet, way: Way | None, which: str) -> dict[str, Any]:
    base: dict[str, object] = {
        "chip": one.chip.name,
        "which": which,
        "feasible": way is not None,
        "reason": one.reason or None,
    }
    if way is None:
        return {**base, "chips": None, "layout": None}
    seen, point = way.replayed, way.point
    times = {
        key: _ends(seen.found.times[name][statistic], *seen.interval(name, statistic), key)
        for key, name, statistic in (
            ("seconds", "tpot_s", "mean"),
            ("first_token_s", "ttft_s", "mean"),
            ("first_token_p99_s", "ttft_s", "p99"),
        )
    }
    figures = {name: _plain(float(point[name])) for name in ("users", "requests_per_s", "power_w")}
    return {
        **base,
        "chips": way.system.count,
        "layout": str(point["layout"]),
        "how": _how(way),
        "grade": seen.name,
        "batch_per_copy": float(point["batch"]),
        **times["seconds"],
        **times["first_token_s"],
        **times["first_token_p99_s"],
        "first_token_alone_s": None,
        "chance": _plain(seen.chance()),
        attrs.fields(Totals).items_per_s.name: _plain(float(point["tokens_per_s"])),
        **figures,
        ABOUT.usd_per_hour.name: _plain(float(point[ABOUT.usd_per_hour.name])),
        ABOUT.usd_per_hour_cloud.name: _plain(float(point[ABOUT.usd_per_hour_cloud.name])),
    }


def _ends(value: float, low: float, high: float, key: str) -> dict[str, float | None]:
    return {key: _plain(value), f"{key}_low": _plain(low), f"{key}_high": _plain(high)}


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _head(asked: Question, need: Need) -> dict[str, Any]:
    return {
        "workload": f"{asked.network.name}/decode",
        "users": None if math.isnan(need.users) else int(need.users),
        "precision": asked.precisions[0],
    }


def _document(
    found: Sequence[Fleet], asked: Question, need: Need, data: list[dict[str, object]]
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "provenance": {
            **provenance([], asked.registry),
            "scenario": asked.scenario.name if asked.scenario else None,
        },
        **_head(asked, need),
        "rate": _plain(need.rate),
        "limit_s": _plain(need.tpot),
        "first_token_s": _plain(need.ttft),
        "axes": {"context": asked.traffic.prompt, "output": asked.traffic.output},
        "stack": ", ".join(dict.fromkeys(one.stack for one in found)),
        "stacks": {one.chip.name: one.stack for one in found},
        "results": data,
    }
