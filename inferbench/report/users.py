"""The answer to `compare --users-at`: what systems yield at a speed per user, at what cost, and how sure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from inferbench.model.document import provenance
from inferbench.model.expected import Estimate, chances
from inferbench.model.intervals import INTERVAL
from inferbench.records.choice import BOUND, GRADES
from inferbench.records.scenario import HourlyCost, Term, shared_term, term_beside
from inferbench.records.system import System, SystemName
from inferbench.report.answer import SHORT, SURE, compact, percent, span, unpriced, unranked
from inferbench.report.frontier import how, why_not
from inferbench.report.grades import SYMBOLS, grade_legend
from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.serving.frontier import Frontier, goodput
from inferbench.serving.points import ABOUT, QUANTITIES
from inferbench.serving.replica import Question
from inferbench.serving.within import meets
from inferbench.units import show

__all__ = ["SCHEMA", "Serving", "users_report"]

SCHEMA = "inferbench.users/1"


@attrs.frozen(eq=False)
class Serving:
    """One system's frontier under its own software, and the best that any could do.

    Attributes:
        found: Under the system's software.
        bound: Under ideal software.
        resized: Whether a chip written without a count became several.
    """

    found: Frontier
    bound: Frontier
    resized: bool = False


@attrs.frozen
class _Figures:
    """What one system yields at the limits; estimates that are not known where no point meets them."""

    figures: Mapping[str, Estimate]
    bound: float
    grade: int
    meets: float
    term: Term | None
    how: str
    users: float
    unpriced: str = ""
    software: str = ""


RESIZED = "more than one chip: the fewest that hold a request, doubled until fast enough"
NOTHING = Estimate(math.nan)
CARBON = "grams_co2_per_mtok"
RATES = (
    ABOUT.tokens_per_s_per_chip.name,
    ABOUT.tokens_per_s_per_user.name,
    ABOUT.ttft_s.name,
    ABOUT.wall_joules_per_token.name,
)
MONEY = ("usd_per_mtok_output", "usd_per_mtok_input", "usd_per_mtok_both")


def users_report(found: Sequence[Serving], asked: Question, limits: tuple[float, float]) -> Report:
    """Build the answer: verdicts with their chances, a block of figures, then what they rest on.

    Args:
        found: One per system.
        asked: Network, traffic, formats.
        limits: Longest time per token and to the first token, seconds; infinity for none.
    """
    prices = [_prices(one, asked, limits) for one in found]
    shared = shared_term(prices)
    columns = [_figures(one, asked, limits, terms, shared) for one, terms in zip(found, prices, strict=True)]
    tables = (_verdicts(found, columns, shared, asked, limits), _table(found, columns, shared, limits))
    rows = tuple(_record(one, column) for one, column in zip(found, columns, strict=True))
    data = {
        "schema": SCHEMA,
        "provenance": {
            **provenance([], asked.registry),
            "scenario": asked.scenario.name if asked.scenario else None,
        },
        "network": asked.network.name,
        "precisions": list(asked.precisions),
        "prompt_tokens": asked.traffic.prompt,
        "output_tokens": asked.traffic.output,
        "limits": {
            name: one if math.isfinite(one) else None
            for name, one in zip(("tpot_s", ABOUT.ttft_s.name), limits, strict=True)
        },
        "results": list(rows),
    }
    systems = tuple(one.found.system for one in found)
    lengths = ("--context", f"{asked.traffic.prompt:.0f}", "--output", f"{asked.traffic.output:.0f}")
    following = Next("frontier", (*systems, "-w", asked.network.name, *lengths))
    return Report(tables, data, rows, (following,))


def _figures(
    one: Serving,
    asked: Question,
    limits: tuple[float, float],
    prices: Mapping[Term, tuple[float, float]],
    shared: Term | None,
) -> _Figures:
    points, i, best = one.found.points, goodput(one.found, *limits), goodput(one.bound, *limits)
    bound = math.nan if best is None else float(one.bound.points.tokens_per_s_per_chip[best])
    if i is None:
        return _Figures(
            dict.fromkeys((*RATES, *MONEY, CARBON), NOTHING),
            bound,
            BOUND,
            math.nan,
            None,
            "",
            math.nan,
        )
    doubts = {what.name: what.doubt for what in QUANTITIES}
    figures = {name: _estimate(float(points[name][i]), float(points[doubts[name]][i])) for name in RATES}
    speed = figures[ABOUT.tokens_per_s_per_chip.name]
    if speed.value <= bound < speed.high:  # no software beats it
        figures[ABOUT.tokens_per_s_per_chip.name] = attrs.evolve(speed, high=bound, limit=bound)
    term = term_beside(prices, shared)
    output, error = prices[term] if term else (math.nan, math.nan)
    prompt, made = asked.traffic.prompt, asked.traffic.output
    for name, tokens in zip(MONEY, (made, prompt, made + prompt), strict=True):
        figures[name] = _estimate(output * made / tokens, error)
    million = float(points.tokens_per_s[i]) * 3600.0 / 1e6
    figures[CARBON] = _estimate(
        float(points.grams_co2_per_hour[i]) / million, float(points.wall_log_error[i])
    )
    return _Figures(
        figures,
        bound,
        GRADES.index(str(points.grade[i])),
        meets(points, i, *limits),
        term,
        how(points, i),
        float(points.users[i]),
        "" if term else unpriced(asked.registry.chip(SystemName.parse(one.found.system).chip)),
        asked.registry.stack(one.found.stack).family or one.found.stack,
    )


def _estimate(value: float, log_error: float) -> Estimate:
    wide = math.exp(INTERVAL * log_error)
    return Estimate(value, value / wide, value * wide)


def _prices(one: Serving, asked: Question, limits: tuple[float, float]) -> Mapping[Term, tuple[float, float]]:
    """Dollars per million output tokens of the best point on each term that is known, with the log error."""
    points, i = one.found.points, goodput(one.found, *limits)
    if i is None:
        return {}
    system = System(asked.registry.chip(SystemName.parse(one.found.system).chip), one.found.chips)
    cost = HourlyCost.of_rates(system)
    found = {Term.PURCHASE: (float(points.usd_per_mtok[i]), float(points.usd_log_error[i]))}
    for term, price in cost.listed.items():
        value = float(cost.per_million(term, float(points.tokens_per_s[i])))
        of_price = math.log(price.high / price.low) / (2.0 * INTERVAL) if price.low > 0 else math.nan
        found[term] = value, math.hypot(float(points.log_error[i]), of_price)
    return {term: pair for term, pair in found.items() if math.isfinite(pair[0])}


def _ranked(columns: Sequence[_Figures], name: str, shared: Term | None) -> list[bool]:
    return [
        one.grade != BOUND and one.figures[name].known and (name not in MONEY or one.term is shared)
        for one in columns
    ]


def _verdicts(
    found: Sequence[Serving],
    columns: Sequence[_Figures],
    shared: Term | None,
    asked: Question,
    limits: tuple[float, float],
) -> Table:
    said = [f"{show(1.0 / limits[0])} tokens/s per user"] if math.isfinite(limits[0]) else []
    said += [f"first token ≤ {show(limits[1], 's')}"] if math.isfinite(limits[1]) else []
    lengths = f"prompt {asked.traffic.prompt:,.0f}", f"output {asked.traffic.output:,.0f}"
    title = " · ".join([asked.network.title, ", ".join(asked.precisions), *lengths, *said])
    names = [one.found.system for one in found]
    rows = (
        ("most per chip", ABOUT.tokens_per_s_per_chip.name, True, ""),
        ("cheapest per token", MONEY[0], False, f" ({shared.said})" if shared else ""),
        ("most frugal per token", ABOUT.wall_joules_per_token.name, False, ""),
    )
    lines = []
    for label, name, higher, beside in rows:
        odds = chances([one.figures[name] for one in columns], higher, _ranked(columns, name, shared))
        known = sorted(
            ((odd, who) for odd, who in zip(odds, names, strict=True) if math.isfinite(odd)), reverse=True
        )
        lines.append((Cell(label), Cell(_verdict(known) + (beside if known else ""))))
    return Table(title, (Cell(""), Cell("")), tuple(lines))


def _verdict(known: Sequence[tuple[float, str]]) -> str:
    if not known:
        return "nobody can tell: fewer than two have a figure"
    if known[0][0] >= SURE:
        return f"{known[0][1]}, {percent(known[0][0])} sure"
    return "not sure: " + ", ".join(f"{who} {percent(odd)}" for odd, who in known if odd >= 0.05)


def _table(
    found: Sequence[Serving],
    columns: Sequence[_Figures],
    shared: Term | None,
    limits: tuple[float, float],
) -> Table:
    priced = f", {SHORT[shared]}" if shared is not None else ""
    lines = (
        ("tokens/s per chip", ABOUT.tokens_per_s_per_chip.name, True, ""),
        ("tokens/s per user", ABOUT.tokens_per_s_per_user.name, True, ""),
        ("first token", ABOUT.ttft_s.name, False, "s"),
        (f"$/Mtok output{priced}", MONEY[0], False, ""),
        (f"$/Mtok input{priced}", MONEY[1], False, ""),
        (f"$/Mtok both{priced}", MONEY[2], False, ""),
        ("J/token, wall", ABOUT.wall_joules_per_token.name, False, ""),
        ("g CO2/Mtok", CARBON, False, ""),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            Cell("software"),
            *(_software(one, column, limits) for one, column in zip(found, columns, strict=True)),
        ),
        (Cell("meets it"), *(_met(column) for column in columns)),
    ]
    for label, name, higher, unit in lines:
        rows.append((Cell(label), *_cells(columns, name, higher, unit, shared)))
        if name == ABOUT.tokens_per_s_per_chip.name:
            bounds = (f"≤ {compact(one.bound)}" if math.isfinite(one.bound) else DASH for one in columns)
            rows.append((Cell("  bound"), *(Cell(text, unsure=True) for text in bounds)))
    rows.append((Cell("users"), *(Cell(f"{one.users:,.0f}" if one.how else DASH) for one in columns)))
    rows.append((Cell("how"), *(Cell(one.how or DASH, unsure=not one.how) for one in columns)))
    heads = (Cell(""), *(Cell(one.found.system, (RESIZED,) if one.resized else ()) for one in found))
    grades = {GRADES[one.grade] for one in columns if one.how} - {GRADES[BOUND]}
    legend = (
        f"[90 % interval]  {grade_legend(grades)}  ≤ bound: no software beats it",
        "output, input, both: all of the cost on these tokens alone, on those, on all",
    )
    return Table("", heads, tuple(rows), legend=legend)


def _cells(
    columns: Sequence[_Figures], name: str, higher: bool, unit: str, shared: Term | None
) -> list[Cell]:
    odds = chances([one.figures[name] for one in columns], higher, _ranked(columns, name, shared))
    cells = []
    for one, chance in zip(columns, odds, strict=True):
        figure = one.figures[name]
        if not figure.known:
            why = (one.unpriced,) if name == MONEY[0] and one.unpriced else ()
            cells.append(Cell(DASH, why, unsure=True))
            continue
        other = name in MONEY and one.term is not None and one.term is not shared
        note = (unranked(one.term, shared),) if other and one.term and shared else ()
        if one.grade == BOUND:
            cells.append(
                Cell(f"{'≤' if higher else '≥'} {span(Estimate(figure.value), unit)}", note, unsure=True)
            )
        else:
            cells.append(Cell(span(figure, unit), note, best=chance >= SURE))
    return cells


def _software(one: Serving, column: _Figures, limits: tuple[float, float]) -> Cell:
    if not column.how:
        more = "; more chips may do" if one.found.count else ""
        return Cell("no", (f"{one.found.system}: {why_not(one.found, limits)}{more}",), unsure=True)
    if column.grade == BOUND:
        return Cell("bound only", unsure=True)
    return Cell(f"{column.software} {SYMBOLS[GRADES[column.grade]]}")


def _met(column: _Figures) -> Cell:
    if not column.how or math.isnan(column.meets):
        return Cell(DASH, unsure=True)
    return Cell(percent(column.meets))


def _record(one: Serving, column: _Figures) -> dict[str, Any]:
    ends = {
        f"{name}{end}": _plain(getattr(figure, which))
        for name, figure in column.figures.items()
        for end, which in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    return {
        "system": one.found.system,
        "chips": one.found.chips,
        "stack": one.found.stack,
        "feasible": bool(column.how),
        "grade": GRADES[column.grade] if column.how else None,
        "meets": _plain(column.meets),
        "term": str(column.term) if column.term else None,
        **ends,
        "tokens_per_s_per_chip_bound": _plain(column.bound),
        "users": _plain(column.users),
        "how": column.how or None,
        "reasons": dict(one.found.infeasible),
    }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
