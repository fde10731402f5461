"""Report of where a measured time goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.units import show
from inferbench.validation.reconcile import Split

__all__ = ["reconciliation"]

SCHEMA = "inferbench.explain/1"
CAUSES = {
    "work": "other work, or another peak",
    "algorithm": "arithmetic intensity",
    "hardware": "the architecture and its layout",
    "software": "efficiencies, launches, host",
    "all": "measured over predicted",
}


# A host time of less than this share of the step is what rounding leaves, no time.
ROUNDING = 1e-9


def reconciliation(
    one: Split,
    factors: Mapping[str, float] | None = None,
    differs: Mapping[str, tuple[str, str]] | None = None,
) -> Report:
    """Report a split, and the gap to a run where one was given.

    Args:
        one: The parts of the time.
        factors: By how much a run's result is faster.
        differs: What the run and the measurement are not alike in; it stands at the top.
    """
    rounded = 0.0 < one.host < ROUNDING * one.stack
    report = _reconciliation(attrs.evolve(one, host=0.0) if rounded else one, factors)
    if rounded:
        *others, last = report.tables
        none = tuple(Cell(text) for text in ("host", *[DASH] * (len(last.columns) - 1)))
        report = attrs.evolve(report, tables=(*others, attrs.evolve(last, rows=(*last.rows, none))))
    return report if differs is None else _warned(report, differs)


def _warned(report: Report, differs: Mapping[str, tuple[str, str]]) -> Report:
    """The report with what differs at its top: a gap between two points is not of software."""
    data = {**report.data, "differs": {name: list(pair) for name, pair in differs.items()}}
    if not differs:
        return attrs.evolve(report, data=data)
    title = f"Warning: the run and the measurement differ in {', '.join(differs)}"
    rows = tuple((Cell(name), Cell(run), Cell(measured)) for name, (run, measured) in differs.items())
    first = Table(title, (Cell(""), Cell("run"), Cell("measured")), rows)
    return attrs.evolve(report, tables=(first, *report.tables), data=data)


def _reconciliation(one: Split, factors: Mapping[str, float] | None) -> Report:
    tables = [_chain(one)]
    if factors:
        tables.append(_gap(factors))
    if one.operators:
        tables.append(_operators(one))
    flat = {**attrs.asdict(one, recurse=False), "operators": [attrs.asdict(op) for op in one.operators]}
    flat |= {name: getattr(one, name) for name in ("algorithm", "hardware", "software", "unexplained")}
    data = {"schema": SCHEMA, **_plain(flat), **({"gap": dict(factors)} if factors else {})}
    return Report(
        tuple(tables), data, tuple(_plain(attrs.asdict(op)) for op in one.operators), (Next("validate"),)
    )


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _chain(one: Split) -> Table:
    steps = (
        ("operations at peak", one.work, "", 1.0),
        ("on the ideal roofline", one.roofline, "algorithm", one.algorithm),
        ("as the hardware allows", one.model, "hardware", one.hardware),
        ("under the stack", one.stack, "software, modelled", one.model / one.stack),
        ("measured", one.measured, "software, not modelled", one.stack / one.measured),
    )
    rows: list[tuple[Cell, ...]] = []
    before = 0.0
    for name, seconds, factor, value in steps:
        added = f"{100 * (seconds - before) / one.measured:+.1f} %"
        part = f"{100 * value:.1f} %"
        rows.append(
            (Cell(name), Cell(show(seconds, "s")), Cell(added), Cell(f"{factor} {part}" if factor else DASH))
        )
        before = seconds
    heads = ("", "time", "of measured", "factor")
    note = (f"software of the measurement, ideal over measured: {100 * one.software:.1f} %",)
    return Table(one.title, tuple(Cell(head) for head in heads), tuple(rows), one.metric, notes=note)


def _gap(factors: Mapping[str, float]) -> Table:
    rows = tuple((Cell(name), Cell(f"{value:.3f}"), Cell(CAUSES[name])) for name, value in factors.items())
    return Table(
        "Slower than the run by", (Cell(""), Cell("factor"), Cell("what it is")), rows, "above 1: slower"
    )


def _operators(one: Split) -> Table:
    heads = ("operator", "kind", "ideal", "under the stack", "measured", "of the step", "lost to software")
    rows = []
    for op in sorted(one.operators, key=lambda op: -op.stack):
        time = op.stack if math.isnan(op.measured) else op.measured
        texts = (
            op.name,
            op.kind,
            show(op.model, "s"),
            show(op.stack, "s"),
            DASH if math.isnan(op.measured) else show(op.measured, "s"),
            f"{100 * time / one.measured:.1f} %",
            f"{100 * (time - op.model) / one.measured:.1f} %",
        )
        rows.append(tuple(Cell(text) for text in texts))
    if one.host:
        share = f"{100 * one.host / one.measured:.1f} %"
        rows.append(tuple(Cell(text) for text in ("host", "", DASH, show(one.host, "s"), DASH, share, share)))
    return Table("Operators", tuple(Cell(head) for head in heads), tuple(rows))
