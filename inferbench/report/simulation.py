"""Report of a replay: percentiles of the times that requests met, and what the system did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inferbench.model.document import provenance
from inferbench.records.scenario import HourlyCost
from inferbench.records.system import System
from inferbench.report.grades import SYMBOLS, grade_legend
from inferbench.report.intervals import ends_text
from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.serving.outcome import STATISTICS, TIMES
from inferbench.serving.points import ABOUT, MONEY
from inferbench.serving.simulate import Simulated
from inferbench.units import show

__all__ = ["SCHEMA", "simulation_report"]

SCHEMA = "inferbench.simulation/1"
_TITLES = {
    "ttft_s": "first token (TTFT)",
    "tpot_s": "per token (TPOT)",
    "itl_s": "between tokens (ITL)",
    "e2e_s": "whole request (E2E)",
}


def simulation_report(found: Simulated, load: str, verbose: bool, next_: Next) -> Report:
    """Build the whole answer.

    Args:
        found: The replay with its interval.
        load: Who asked, as a reader writes it.
        verbose: Whether with the power over time.
        next_: What to do next.
    """
    plan = found.plan
    mark = SYMBOLS[found.name]
    title = " · ".join(
        [plan.asked.network.title, f"{plan.system} {plan.how}", load, plan.asked.precisions[0]]
    )
    said = [f"stack: {plan.asked.stack.name} {mark} {found.name}", "90% intervals of means and p99"]
    if found.fast is None:
        said = [f"stack: {plan.asked.stack.name}, a bound: no prediction"]
    times = Table(
        title,
        (Cell(""), *(Cell(name) for name in STATISTICS)),
        tuple(_time_row(found, name) for name in TIMES),
        " · ".join(said),
        numeric=True,
        notes=_notes(found),
    )
    tables = [times, _system_table(found)]
    if verbose:
        tables.append(_power_table(found))
    data = _document(found, load)
    return Report(tuple(tables), data, (_flat(data["results"][0]),), (next_,))


def _time_row(found: Simulated, name: str) -> tuple[Cell, ...]:
    cells = [Cell(_TITLES[name])]
    for statistic in STATISTICS:
        value = found.found.times[name][statistic]
        if math.isnan(value):
            cells.append(Cell(DASH, unsure=True))
            continue
        ends = found.interval(name, statistic) if statistic in ("mean", "p99") else (math.nan, math.nan)
        text = ends_text(value, ends[0] / value, ends[1] / value) if value > 0 else ""
        cells.append(Cell(show(value, "s") + text))
    return tuple(cells)


def _system_table(found: Simulated) -> Table:
    one, chips = found.found, found.plan.system.count
    rows = [
        ("requests/s", _with(one.requests_per_s, *_ratio(found, "tokens_per_s", one.requests_per_s))),
        ("output tokens/s", _with(one.tokens_per_s, *found.between("tokens_per_s"))),
        (
            "output tokens/s per chip",
            _with(one.tokens_per_s / chips, *_ratio(found, "tokens_per_s", one.tokens_per_s / chips)),
        ),
        *_goodput(found),
        ("power (chips)", _with(one.watts, *found.between("watts"), unit="W")),
        ("J/token, wall", _with(found.wall_watts / one.tokens_per_s, unit="J")),
        *((title, _with(value)) for title, value in _dollars(found).values()),
        ("sequences together, mean and most", f"{one.batch:,.1f}, {one.peak:,}"),
        ("busy, of that with prompts", f"{one.busy:.0%}, {one.share:.0%}"),
        ("prompts found in the cache", f"{one.hits:.1%}"),
        ("preempted", f"{one.preempted:,}"),
    ]
    if math.isfinite(found.capacity):
        rows.insert(0, ("sustained at most, requests/s", show(found.capacity)))
    if math.isfinite(found.fit):
        rows.append(("requests that the cache holds at once", f"{found.fit:,.0f}"))
    return Table(
        "the system",
        (Cell(""), Cell("")),
        tuple((Cell(title), Cell(text, unsure=text == DASH)) for title, text in rows),
        numeric=True,
        legend=(grade_legend([found.name]),),
    )


def _ratio(found: Simulated, figure: str, value: float) -> tuple[float, float]:
    """Ends of a figure that errs as another one does."""
    low, high = found.between(figure)
    middle = getattr(found.found, figure)
    return value * low / middle, value * high / middle


def _with(value: float, low: float = math.nan, high: float = math.nan, unit: str = "") -> str:
    if not math.isfinite(value):
        return DASH
    text = ends_text(value, low / value, high / value, bool(unit)) if value > 0 else ""
    return show(value, unit) + text


def _goodput(found: Simulated) -> list[tuple[str, str]]:
    """Requests within the limits, and how likely the means are."""
    tpot, ttft = found.plan.limits
    if math.isinf(tpot) and math.isinf(ttft):
        return []
    good = found.found.good
    low, high = found.between("good")
    ends = "" if math.isnan(low) else f" [{low:.0%}, {high:.0%}]"
    rows = [
        ("goodput, requests/s", show(good * found.found.requests_per_s)),
        ("requests within the limits", f"{good:.0%}{ends}"),
    ]
    chance = found.chance()
    return rows if math.isnan(chance) else [*rows, ("chance that the means are", f"{chance:.0%}")]


def _dollars(found: Simulated) -> dict[str, tuple[str, float]]:
    """Dollars per million output tokens at the mean power, owned and rented."""
    run, one = found.run, found.found
    system = System(found.plan.system.chip, found.plan.system.count)
    cost = HourlyCost.under(run.scenario, system, np.asarray(one.watts), run.energy.limit)
    return {
        what.name: (what.title, float(np.ravel(cost.per_million(what.term, one.tokens_per_s))[0]))
        for what in MONEY
        if what.term is not None and what.per != "hour"
    }


def _notes(found: Simulated) -> tuple[str, ...]:
    plan, notes = found.plan, []
    asked = found.requests.users
    if asked and found.fit < asked:
        notes.append(f"the cache holds {found.fit:,.0f} of {asked:,} requests at once; the others wait")
    if found.found.preempted:
        notes.append(f"{found.found.preempted:,} times a sequence lost its blocks and began again")
    if not found.requests.drawn and found.requests.rate > found.capacity:
        notes.append(
            f"the trace asks for {found.requests.rate:.3g} requests/s, more than the {found.capacity:.3g}/s"
            " that the system sustains: waiting grows to its end"
        )
    energy = found.run.energy
    if energy.why:
        notes.append(f"power: {energy.why}")
    if plan.reserve:
        notes.append(f"{plan.reserve:.0%} of the memory beside the weights are kept free (reserve)")
    return tuple(notes)


def _power_table(found: Simulated) -> Table:
    """Mean watts in twenty parts of the time."""
    power = found.found.power.reshape(20, -1).mean(axis=1)
    part = found.found.duration / len(power)
    rows = tuple(
        (Cell(f"{show(k * part, 's')} to {show((k + 1) * part, 's')}"), Cell(_with(float(watts), unit="W")))
        for k, watts in enumerate(power)
    )
    return Table("power over time", (Cell(""), Cell("mean")), rows, numeric=True)


def _document(found: Simulated, load: str) -> dict[str, Any]:
    plan = found.plan
    return {
        "schema": SCHEMA,
        "provenance": {
            **provenance([found.run], plan.asked.registry),
            "scenario": plan.asked.scenario.name if plan.asked.scenario else None,
        },
        "network": plan.asked.network.name,
        "stack": plan.asked.stack.name,
        "limits": {"tpot_s": _plain(plan.limits[0]), "ttft_s": _plain(plan.limits[1])},
        "load": load,
        "results": [_record(found)],
    }


def _record(found: Simulated) -> dict[str, Any]:
    one, plan = found.found, found.plan
    figures = {
        "requests_per_s": one.requests_per_s,
        "tokens_per_s": one.tokens_per_s,
        ABOUT.tokens_per_s_per_chip.name: one.tokens_per_s / plan.system.count,
        "goodput_requests_per_s": one.good * one.requests_per_s,
        "good": one.good,
        "chance": found.chance(),
        "power_w": one.watts,
        ABOUT.joules_per_token.name: one.watts / one.tokens_per_s,
        ABOUT.wall_joules_per_token.name: found.wall_watts / one.tokens_per_s,
        **{key: value for key, (_, value) in _dollars(found).items()},
        "capacity_requests_per_s": found.capacity,
        "batch_mean": one.batch,
        "batch_peak": float(one.peak),
        "busy": one.busy,
        "busy_with_prompts": one.share,
        "prefix_hits": one.hits,
        "preempted": float(one.preempted),
        "cache_requests": found.fit,
    }
    low, high = found.between("tokens_per_s")
    return {
        "system": str(plan.system),
        "chips": plan.system.count,
        "how": plan.how,
        "precision": plan.asked.precisions[0],
        "grade": found.name,
        "requests": len(found.requests),
        "users": found.requests.users or None,
        "duration_s": one.duration,
        "times": {name: _times(found, name) for name in TIMES},
        **{name: _plain(value) for name, value in figures.items()},
        "tokens_per_s_low": _plain(low),
        "tokens_per_s_high": _plain(high),
        "power_over_time_w": [_plain(float(watts)) for watts in one.power],
    }


def _times(found: Simulated, name: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for statistic in STATISTICS:
        low, high = found.interval(name, statistic)
        values[statistic] = _plain(found.found.times[name][statistic])
        values[f"{statistic}_low"], values[f"{statistic}_high"] = _plain(low), _plain(high)
    return values


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """One line of cells: `ttft_s.p99`."""
    skipped: Sequence[str] = ("times", "power_over_time_w")
    flat = {key: value for key, value in row.items() if key not in skipped}
    for name, values in row["times"].items():
        flat |= {f"{name}.{statistic}": value for statistic, value in values.items()}
    return flat
