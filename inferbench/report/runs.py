"""Reports of runs: a comparison with systems as columns, and a grid with points as rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.model.document import document, flatten, reason_at
from inferbench.model.intervals import bounds
from inferbench.records.run import Metric, Run
from inferbench.report.breakdown import operator_rows, operators
from inferbench.report.intervals import domain_text, interval_text
from inferbench.report.labels import engine_title, named_options, point_title
from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.units import show

__all__ = ["comparison", "grid_report"]

# What binds stands below the rates, above the metrics of this order.
BOUND_ORDER = 30


def value_text(metric: Metric, value: float) -> str:
    """Write a metric's value with three significant digits."""
    if metric.kind == "fraction":
        return f"{show(value * 100)} %"
    return show(value, metric.unit)


def _indent(metric: Metric) -> str:
    chain = {
        "algorithm": "  = ",
        "hardware": "  × ",
        "software": "  × ",
        "silicon": "      = ",
        "layout_factor": "      × ",
    }
    return chain.get(metric.name, "") + metric.title.removeprefix("hardware: ")


def terms(runs: Sequence[Run]) -> str:
    """On what terms the runs are compared."""
    stacks = list(dict.fromkeys(run.stack.name for run in runs))
    if stacks == ["ideal"]:
        return "hardware against hardware (stack: ideal)"
    domain = domain_text(runs)
    sure = any(bool(np.isfinite(bounds(run)[0]).any()) for run in runs)
    said = [
        f"stack: {', '.join(stacks)}",
        *([domain] if domain else []),
        *(["[90 % interval]"] if sure else []),
    ]
    return " · ".join(said)


def comparison(
    groups: Sequence[tuple[str, Sequence[Run], Sequence[tuple[str, ...]]]],
    metrics: list[Metric],
    verbose: bool,
) -> tuple[Table, ...]:
    """Show groups of runs, one table per group and grid point, systems as columns.

    Args:
        groups: Title, runs, and footnotes per run (why it was resized).
        metrics: In their order.
        verbose: Whether to show the rows of second order and the operators.
    """
    tables: list[Table] = []
    for title, runs, notes in groups:
        for k, (at, index) in enumerate(runs[0].points()):
            tables.append(_comparison_table(title, list(runs), notes, at, index, metrics, verbose))
            if verbose and k == 0:
                tables += [operators(run) for run in runs]
    return tuple(tables)


def _comparison_table(
    title: str,
    runs: list[Run],
    notes: Sequence[tuple[str, ...]],
    at: dict[str, Any],
    index: tuple[int, ...],
    metrics: list[Metric],
    verbose: bool,
) -> Table:
    solved = "batch" in runs[0].grid.solved
    said = [(*note, *run.notes.values()) for run, note in zip(runs, notes, strict=True)]
    head = [Cell(""), *(Cell(_system_title(run, index), note) for run, note in zip(runs, said, strict=True))]
    rows = [_fits_row(runs, index)]
    if solved:
        rows.append((Cell("batch"), *(Cell(f"{float(run.values(run.batch)[index]):,.0f}") for run in runs)))
    shown = [m for m in metrics if m.shows("compare", verbose) and any(m.applies(run) for run in runs)]
    described = {m: (Cell(_indent(m)), *_metric_cells(m, runs, index)) for m in shown}
    rows += [row for metric, row in described.items() if metric.order < BOUND_ORDER]
    rows.append((Cell("bound by"), *(_bound_cell(run, index) for run in runs)))
    rows += [row for metric, row in described.items() if metric.order >= BOUND_ORDER]
    formats = dict.fromkeys(run.grid.precisions[index[-1]] for run in runs)
    headline = point_title(runs[0], {**at, "precision": "/".join(formats)}, solved)
    return Table(
        f"{headline}" + (f"  ({title})" if title and title != runs[0].phase else ""),
        tuple(head),
        tuple(rows),
        terms(runs),
    )


def _system_title(run: Run, index: tuple[int, ...]) -> str:
    if run.system.count == 1:
        return run.system.chip.title
    layout = run.layouts[int(run.values(run.layout)[index])]
    return f"{run.system.chip.title} ×{run.system.count} {layout}"


def _fits_row(runs: Sequence[Run], index: tuple[int, ...]) -> tuple[Cell, ...]:
    cells = [Cell("fits?")]
    for run in runs:
        needed, has = (
            float(run.values(run.needed)[index]),
            run.system.chip.capacity,
        )
        if bool(run.values(run.feasible)[index]):
            each = " each" if run.system.count > 1 else ""
            word, note = _fits_word(run)
            cells.append(Cell(f"{word} {_share(needed, has)}{each}", (*note, *_fallback_note(run, index))))
        else:
            cells.append(Cell("no", (f"{run.system}: {reason_at(run, index)}",)))
    return tuple(cells)


def _fits_word(run: Run) -> tuple[str, tuple[str, ...]]:
    """`yes`, unless nobody knows or nobody asked."""
    chip = run.system.chip
    if "capacity-ignored" in run.flags:
        return "ignored", ()
    if "capacity-unknown" in run.flags:
        path = f"memory.{chip.main}.capacity"
        return "not known", (f"{chip.title} lacks {path} ({chip.missing(path)})",)
    return "yes", ()


def _share(needed: float, has: float) -> str:
    if math.isnan(has):
        return show(needed, "B")
    size, unit = show(has, "B").split(" ")
    scale = has / float(size.replace(",", ""))
    return f"{show(needed / scale)}/{float(size.replace(',', '')):g} {unit}"


def _fallback_note(run: Run, index: tuple[int, ...]) -> tuple[str, ...]:
    if not bool(run.values(run.flags["precision-fallback"])[index]):
        return ()
    point = index[-1]
    return (
        (
            f"{run.system.chip.title} computes {run.grid.precisions[point]} in {run.formats[point]}: it has"
            " no faster engine for it"
        ),
    )


def _bound_cell(run: Run, index: tuple[int, ...]) -> Cell:
    if not bool(run.values(run.feasible)[index]):
        return Cell(DASH, unsure=True)
    return Cell(engine_title(str(run.values(run.bound)[index])))


def _metric_cells(metric: Metric, runs: Sequence[Run], index: tuple[int, ...]) -> list[Cell]:
    values = [_value(metric, run, index) for run in runs]
    best = _best(metric, values)
    cells = []
    for run, value in zip(runs, values, strict=True):
        if value is None:
            cells.append(Cell(DASH, _why_missing(metric, run, index), unsure=True))
            continue
        text = value_text(metric, value) + interval_text(metric, value, run, index)
        if metric.name == "software" and run.stack.ideal:
            text += " (ideal)"
        note = (
            (run.energy.why,) if metric.name == "power_w" and run.energy.estimated and run.energy.why else ()
        )
        cells.append(Cell(text, note, best=value == best))
    return cells


def _why_missing(metric: Metric, run: Run, index: tuple[int, ...]) -> tuple[str, ...]:
    if not bool(run.values(run.feasible)[index]):
        return ()
    why = metric.reason(run)
    return (f"{run.system.chip.title}: {why}",) if why else ()


def _value(metric: Metric, run: Run, index: tuple[int, ...]) -> float | None:
    if not bool(run.values(run.feasible)[index]):
        return None
    value = float(run.values(metric.of(run))[index])
    return value if math.isfinite(value) else None


def _best(metric: Metric, values: list[float | None]) -> float | None:
    """The best of a row, only on a basis that all columns have, and only if they differ."""
    known = [value for value in values if value is not None]
    if metric.better == "none" or len(known) < len(values) or len(set(known)) < 2:
        return None
    return max(known) if metric.better == "higher" else min(known)


def grid_report(run: Run, registry: Registry, verbose: bool, next_: Sequence[Next]) -> Report:
    """Report one run, points as rows and metrics as columns."""
    metrics = registry.metrics()
    shown = [m for m in metrics if m.shows("run", verbose) and m.applies(run)]
    axes = [*run.grid.axes, *(name for name in run.grid.solved if name not in run.grid.axes), "precision"]
    varying = [
        axis
        for axis in axes
        if axis in run.grid.solved
        or (len(run.grid.precisions) if axis == "precision" else len(run.grid.axes[axis])) > 1
    ]
    columns = {metric.name: run.values(metric.of(run)) for metric in shown}
    rows = []
    for at, index in run.points():
        label = (
            " · ".join(at[a] if a == "precision" else f"{a} {at[a]:,.0f}" for a in varying) or "this point"
        )
        rows.append((Cell(label), *_grid_cells(run, index, shown, columns)))
    remarks = _grid_notes(run)
    layout_column = [Cell("layout")] if run.system.count > 1 else []
    heads = [
        Cell(""),
        Cell("fits?"),
        *layout_column,
        Cell("bound by"),
        *(
            Cell(m.title, (*_unknown_note(m, run), *(remarks if m is shown[0] else ()), *_power_note(m, run)))
            for m in shown
        ),
    ]
    fixed = [axis for axis in axes if axis not in varying]
    first = next(run.points())[0]
    tail = [first[a] if a == "precision" else f"{a} {first[a]:,.0f}" for a in fixed]
    title = " · ".join([str(run.system), run.network.title, run.phase, *tail, *named_options(run)])
    tables = [Table(title, tuple(heads), tuple(rows), terms([run]), numeric=True)]
    if verbose:
        tables += [_memory_table(run), operators(run)]
    data = document([run], metrics, registry)
    flat = tuple(flatten(row) for row in data["results"])
    if verbose and run.ops:
        data["results"][0]["operators"] = operator_rows(run)
    return Report(tuple(tables), data, flat, tuple(next_))


def _memory_table(run: Run) -> Table:
    """What the fullest chip must hold at the first point, and what it has."""
    at, index = next(run.points())
    rows = tuple(
        (Cell(name.removesuffix("_bytes")), Cell(show(float(run.values(column)[index]), "B")))
        for name, column in run.memory.items()
    )
    note = (
        "activations of the largest operator; graphs, workspaces and chunks of prompts beside it lie in the"
    )
    note += " reserve" if run.reserve else " engine's reserve, which is not counted here (--reserve)"
    return Table(f"memory per chip, {point_title(run, at, False)}", (Cell(""), Cell("")), rows, notes=(note,))


def _unknown_note(metric: Metric, run: Run) -> tuple[str, ...]:
    why = metric.reason(run)
    return (why,) if why else ()


def _grid_cells(
    run: Run, index: tuple[int, ...], metrics: Sequence[Metric], columns: dict[str, Any]
) -> list[Cell]:
    fits = bool(run.values(run.feasible)[index])
    word, note = _fits_word(run) if fits else ("no", (str(reason_at(run, index)),))
    cells = [Cell(word, note)]
    if run.system.count > 1:
        cells.append(Cell(str(run.layouts[int(run.values(run.layout)[index])])))
    cells.append(_bound_cell(run, index))
    for metric in metrics:
        value = float(columns[metric.name][index])
        known = fits and math.isfinite(value)
        span = interval_text(metric, value, run, index) if known else ""
        cells.append(Cell(value_text(metric, value) + span if known else DASH, unsure=not known))
    return cells


def _grid_notes(run: Run) -> tuple[str, ...]:
    notes = list(run.notes.values())
    for i, name in enumerate(run.grid.precisions):
        if (
            run.formats[i] != name
            and np.asarray(run.flags["precision-fallback"]).reshape(-1)[
                min(i, np.asarray(run.flags["precision-fallback"]).size - 1)
            ]
        ):
            notes.append(f"{name} computes in {run.formats[i]} on {run.system.chip.title}")
    return tuple(dict.fromkeys(notes))


def _power_note(metric: Metric, run: Run) -> tuple[str, ...]:
    known = metric.name == "power_w" and bool(
        np.isfinite(np.asarray(run.energy.watts, dtype=np.float64)).any()
    )
    return (run.energy.why,) if known and run.energy.estimated and run.energy.why else ()
