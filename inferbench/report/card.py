"""The card of `card`: four metrics, expected and bound, at each workload; all four, and no crown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from inferbench.model.expected import Estimate, expected
from inferbench.records.choice import BOUND, GRADES
from inferbench.records.run import Run
from inferbench.records.scenario import Term, shared_term
from inferbench.report.answer import SHORT, compact, span, unpriced
from inferbench.report.grades import SYMBOLS, grade_legend
from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.space.external import Flexibility

__all__ = ["SCHEMA", "CardColumn", "card_report"]

SCHEMA = "inferbench.card/1"


@attrs.frozen(eq=False)
class CardColumn:
    """One system: a run per workload, and its flexibility."""

    runs: tuple[Run, ...]
    flexibility: Flexibility


@attrs.frozen
class _Figures:
    """The three metrics of one workload, and their bounds."""

    expected: tuple[Estimate, Estimate, Estimate]
    bound: tuple[float, float, float]
    grade: int
    term: Term | None = None


def card_report(
    systems: Sequence[str], titles: Sequence[str], columns: Sequence[CardColumn], against: Sequence[str]
) -> Report:
    """Build the card.

    Args:
        systems: As they were named.
        titles: Of the workloads.
        columns: One per system.
        against: Reference systems of flexibility.
    """
    shared = shared_term(column.runs[0].cost.terms for column in columns)
    figures = [[_figures(run, shared) for run in column.runs] for column in columns]
    heads = (Cell(""), *(_head(column.runs[0]) for column in columns))
    rows: list[tuple[Cell, ...]] = []
    for k, title in enumerate(titles):
        rows += _block(title, [column.runs[k] for column in columns], [each[k] for each in figures], shared)
    rows += _flexible([column.flexibility for column in columns])
    grades = {GRADES[one.grade] for each in figures for one in each} - {GRADES[BOUND]}
    legend = (
        f"[90 % interval]  {grade_legend(grades)}  ≤ bound: no software beats it",
        "flexibility: share of points at half of the best or more, of the chip's own bound or of",
        f"{', '.join(against)}",
    )
    data = [
        _row(name, titles, column, each) for name, column, each in zip(systems, columns, figures, strict=True)
    ]
    flat = [row for one in data for row in _flat(one)]
    table = Table("Four metrics, all of which count", heads, tuple(rows), legend=legend)
    following = (Next("compare", tuple(systems)),)
    return Report(
        (table,), {"schema": SCHEMA, "against": list(against), "systems": data}, tuple(flat), following
    )


def _head(run: Run) -> Cell:
    count = f"{run.system.count}×" if run.system.count > 1 else ""
    return Cell(f"{count}{run.system.chip.title}")


def _figures(run: Run, shared: Term | None) -> _Figures:
    """Useful TOPS per chip, useful TOPS per dollar and hour, useful TOPS per watt at the wall."""
    index = next(run.points())[1]
    point = expected(run, index, shared)
    if not point.seconds.known:
        nothing = Estimate(math.nan)
        return _Figures((nothing,) * 3, (math.nan,) * 3, point.grade)
    useful = float(run.values(run.useful)[index])
    items = float(run.values(run.items)[index])
    tops = useful / 1e12
    speed = _inverse(point.seconds, tops / run.system.count)
    hour = _inverse(point.dollars, useful / items / 3600.0 * 1e6 / 1e12)
    power = _inverse(point.joules, useful / items / 1e12)
    faster = point.seconds.value / point.bound
    bounds = tuple(one.value * faster for one in (speed, hour, power))
    return _Figures((speed, hour, power), (bounds[0], bounds[1], bounds[2]), point.grade, point.term)


def _inverse(one: Estimate, amount: float) -> Estimate:
    """An amount per what is estimated."""
    return Estimate(amount / one.value, amount / one.high, amount / one.low) if one.known else one


def _block(
    title: str, runs: Sequence[Run], figures: Sequence[_Figures], shared: Term | None
) -> Iterator[tuple[Cell, ...]]:
    yield (
        Cell(title, best=True),
        *(_software(run, one.grade) for run, one in zip(runs, figures, strict=True)),
    )
    priced = f", {SHORT[shared]}" if shared is not None else ""
    labels = ("  useful TOPS/chip", f"  TOPS per $/h{priced}", "  TOPS/W at wall")
    nothing = [""] * len(runs)
    for label, k, notes in zip(
        labels, range(3), (nothing, _of_prices(runs, figures, shared), _of_power(runs, figures)), strict=True
    ):
        yield (Cell(label), *(_expected_cell(one, k, note) for one, note in zip(figures, notes, strict=True)))
        yield (Cell("    bound"), *(_limit(one.bound[k]) for one in figures))


def _software(run: Run, grade: int) -> Cell:
    if not bool(run.values(run.feasible).ravel()[0]):
        return Cell("does not fit", unsure=True)
    return (
        Cell("bound only", unsure=True)
        if grade == BOUND
        else Cell(f"{run.stack.name} {SYMBOLS[GRADES[grade]]}")
    )


def _expected_cell(one: _Figures, k: int, note: str) -> Cell:
    figure, notes = one.expected[k], (note,) if note else ()
    if not figure.known or one.grade == BOUND:
        return Cell(DASH, notes, unsure=True)
    return Cell(span(figure), notes)


def _of_prices(runs: Sequence[Run], figures: Sequence[_Figures], shared: Term | None) -> list[str]:
    """Why there are no dollars, or on what other terms than most systems' they are."""
    return [
        ("" if one.term is shared or shared is None else f"{one.term.said}, the others {shared.said}")
        if one.term is not None
        else (unpriced(run.system.chip) if one.expected[0].known else "")
        for run, one in zip(runs, figures, strict=True)
    ]


def _of_power(runs: Sequence[Run], figures: Sequence[_Figures]) -> list[str]:
    """Why there are no watts."""
    return [
        f"{run.system.chip.title}: {run.energy.why.partition(';')[0]}"
        if one.expected[0].known and not one.expected[2].known
        else ""
        for run, one in zip(runs, figures, strict=True)
    ]


def _limit(value: float) -> Cell:
    return Cell(f"≤ {compact(value)}" if math.isfinite(value) else DASH, unsure=True)


def _flexible(found: Sequence[Flexibility]) -> Iterator[tuple[Cell, ...]]:
    yield (Cell("flexibility", best=True), *(Cell("") for _ in found))
    for label, name in (
        ("  per dollar", "per_dollar"),
        ("  per watt", "per_watt"),
        ("  of its own bound", "inner"),
        ("  points that fit", "fits"),
    ):
        yield (Cell(label), *(_percent(getattr(one, name)) for one in found))


def _percent(value: float) -> Cell:
    return Cell(f"{100 * value:.0f} %") if math.isfinite(value) else Cell(DASH, unsure=True)


def _row(name: str, titles: Sequence[str], column: CardColumn, figures: Sequence[_Figures]) -> dict[str, Any]:
    keys = ("useful_tops_per_chip", "useful_tops_per_usd_hour", "useful_tops_per_watt_wall")
    works = {}
    for title, run, one in zip(titles, column.runs, figures, strict=True):
        works[title] = {
            "stack": run.stack.name,
            "grade": GRADES[one.grade],
            **{key: _number(figure.value) for key, figure in zip(keys, one.expected, strict=True)},
            **{f"{key}_low": _number(figure.low) for key, figure in zip(keys, one.expected, strict=True)},
            **{f"{key}_high": _number(figure.high) for key, figure in zip(keys, one.expected, strict=True)},
            **{f"{key}_bound": _number(value) for key, value in zip(keys, one.bound, strict=True)},
        }
    flexible = {
        f"flexibility_{key}": _number(value) for key, value in attrs.asdict(column.flexibility).items()
    }
    return {"system": name, "chips": column.runs[0].system.count, "works": works, **flexible}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _flat(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    common = {key: value for key, value in one.items() if key != "works"}
    for title, figures in one["works"].items():
        yield {"system": one["system"], "work": title, **figures, **common}
