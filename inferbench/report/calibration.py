"""Reports of fits: errors of kernels and of steps, their parameters, and whether a shipped fit stands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from inferbench.calibration.calibrate import Calibration
from inferbench.calibration.fitting import Fitted
from inferbench.calibration.outcome import FittedStack
from inferbench.calibration.shipped import Again
from inferbench.records.fit import FitPart
from inferbench.records.kinds import op_kind
from inferbench.report.model import Cell, Next, Report, Table
from inferbench.units import show

__all__ = ["again_report", "fit_report", "kernel_example"]

EXAMPLES = {
    "gemm": "gemm --m 1,128 --n 8192 --k 8192",
    "attention": "attention --batch 1,16 --heads 32 --kv-heads 8 --keys 2048",
    "collective": "collective --payload 65536,1048576 --group 8",
}
ERRORS = (
    ("left out by group", "error"),
    ("left out at random", "error_rows"),
    ("with screened rows", "error_all"),
    ("a constant", "constant"),
    ("roofline", "roofline"),
)


def kernel_example(found: Calibration) -> tuple[str, ...]:
    """Arguments of `inferbench op` for an operator of a kind that was fitted."""
    kinds = [fitted.kernel.variant.partition(".")[0] for fitted in found.fits]
    known = next((EXAMPLES[kind] for kind in kinds if kind in EXAMPLES), None)
    if known is not None:
        return tuple(known.split())
    wanted = [name for name, field in op_kind(kinds[0]).fields.items() if field.default is None]
    return (kinds[0], *(word for name in wanted for word in (f"--{name.replace('_', '-')}", "1024")))


def fit_report(found: FittedStack, verbose: bool, after: tuple[Next, ...]) -> Report:
    """Report a fit.

    Args:
        found: From `fit_recipe`.
        verbose: Whether to show every parameter of kernels, with its standard error.
        after: What to do next.
    """
    if found.kernels is not None:
        return _of_kernels(found, found.kernels, verbose, after)
    data = {"schema": "inferbench.calibrate/5", **found.to_dict()}
    rows = tuple({"part": name, **_errors_of(part)} for name, part in found.fit.parts.items())
    return Report((_parts(found), _plain_parameters(found)), data, rows, after)


def again_report(found: Sequence[Again], verbose: bool) -> Report:
    """Report whether shipped fits come out the same.

    Args:
        found: From `fit_again`.
        verbose: Whether to show every figure, and not only those that came out otherwise.
    """
    rows = []
    for one in found:
        worst = max(one.times.values(), default=0.0)
        rows.append(
            (
                Cell(one.name, notes=one.warnings),
                Cell(f"{len(one.figures)}"),
                Cell(f"{len(one.figures) - len(one.moved)}"),
                Cell(f"{100 * worst:.2g} %" if one.times else "–"),
                Cell("yes" if one.same else "no"),
            )
        )
    heads = tuple(map(Cell, ("", "figures", "the same", "times at most", "the same fit")))
    tables = [Table("Shipped fits, made again", heads, tuple(rows), numeric=True)]
    tables += [_figures(one, verbose) for one in found if one.moved or verbose]
    flat = tuple(
        {"fit": one.name, "path": f.path, "shipped": f.shipped, "again": f.again, "same": f.same}
        for one in found
        for f in one.figures
    )
    data = {"schema": "inferbench.shipped/1", "fits": [one.to_dict() for one in found]}
    return Report(tuple(tables), data, flat, (Next("calibrate", ("--shipped", "all")),))


def _figures(one: Again, verbose: bool) -> Table:
    rows = tuple(
        (
            Cell(f.path),
            Cell(f"{f.shipped:.6g}"),
            Cell(f"{f.again:.6g}"),
            Cell("same" if f.same else f"{100 * f.difference:.2g} %"),
        )
        for f in (one.figures if verbose else one.moved)
    )
    heads = tuple(map(Cell, ("", "shipped", "again", "difference")))
    return Table(f"{one.name}, in SI units", heads, rows, numeric=True)


def _of_kernels(found: FittedStack, kernels: Calibration, verbose: bool, after: tuple[Next, ...]) -> Report:
    rows = tuple(_row(fitted) for fitted in kernels.fits)
    data = {
        **found.to_dict(),
        "schema": "inferbench.calibrate/5",
        "software": list(kernels.software),
        "kernels": list(rows),
        "refused": kernels.refused,
    }
    name = found.recipe.name
    tables = (_errors(kernels, name), *((_parameters(kernels),) if verbose else ()))
    return Report(tables, data, rows, after)


def _errors_of(part: FitPart) -> dict[str, Any]:
    fields = {f"mape_{field}": _fraction(getattr(part, field)) for _, field in ERRORS}
    return {"rows": part.rows, **fields, "sd": part.sd, "coverage": part.coverage}


def _row(fitted: Fitted) -> dict[str, Any]:
    part, kernel = fitted.part, fitted.kernel
    row: dict[str, Any] = {
        "kernel": kernel.key,
        "spelled": kernel.spelled,
        "rows": part.rows,
        "scored": part.scored,
        "screened": part.screened,
        **{f"mape_{field}": _fraction(getattr(part, field)) for _, field in ERRORS},
        "sd": part.sd,
        "log_error": part.log_error,
        "coverage": part.coverage,
    }
    row |= {free.path: value for free, value in zip(fitted.frees, fitted.values, strict=True)}
    return row | {"defaults": " ".join(part.defaults), "at_bound": " ".join(part.at_bound)}


def _fraction(percent: float) -> float | None:
    """As `validate` gives it: a fraction; null where nothing is known."""
    return percent / 100.0 if math.isfinite(percent) else None


def _parts(found: FittedStack) -> Table:
    """Errors of whole steps, by phase and figure."""
    titles = ("network left out", "rows left out", "a constant", "roofline")
    fields = ("error", "error_rows", "constant", "roofline")
    rows = tuple(
        (
            Cell(name),
            Cell(f"{part.rows:,}"),
            *(Cell(_percent(getattr(part, field))) for field in fields),
            Cell(_percent(100.0 * part.coverage)),
        )
        for name, part in found.fit.parts.items()
    )
    heads = tuple(Cell(one) for one in ("", "rows", *titles, "in 90 % interval"))
    notes = tuple(f"not taken: {count:,} rows {why}" for why, count in found.left.items())
    title = f"{found.recipe.name}: mean absolute error on {found.chip.title}"
    return Table(title, heads, rows, ", ".join(found.recipe.software), numeric=True, notes=notes)


def _plain_parameters(found: FittedStack) -> Table:
    rows = tuple((Cell(one.path), Cell(show(one.value, one.unit))) for one in found.parameters)
    return Table("fitted parameters", (Cell(""), Cell("value")), rows, numeric=True)


def _errors(found: Calibration, name: str) -> Table:
    columns = ("", "rows", "screened", "scored", *(title for title, _ in ERRORS), "in 90 % interval")
    rows = []
    for fitted in found.fits:
        part = fitted.part
        why = {one: fitted.kernel.screened.count(one) for one in dict.fromkeys(fitted.kernel.screened) if one}
        gone = (f"screened: {', '.join(f'{count} {one}' for one, count in why.items())}",) if why else ()
        said = _said(fitted)
        rows.append(
            (
                Cell(fitted.kernel.key, notes=said),
                Cell(f"{part.rows:,}"),
                Cell(f"{part.screened:,}", notes=gone),
                Cell(f"{part.scored:,}"),
                *(Cell(_percent(getattr(part, field))) for _, field in ERRORS),
                Cell(f"{100 * part.coverage:.0f} %"),
            )
        )
    notes = [f"{key}: {text.splitlines()[0]}" for key, text in found.refused.items()]
    notes += [f"not taken: {count:,} rows {why}" for why, count in found.left.items()]
    return Table(
        f"{name}: mean absolute error of kernel times on {found.chip.title}",
        tuple(Cell(c) for c in columns),
        tuple(rows),
        ", ".join(found.software),
        numeric=True,
        notes=tuple(notes),
    )


def _percent(value: float) -> str:
    return f"{value:.3g} %" if math.isfinite(value) else "–"


def _said(fitted: Fitted) -> tuple[str, ...]:
    part = fitted.part
    notes = []
    if part.defaults:
        notes.append(f"the data can't fix {', '.join(part.defaults)}: left at the default")
    if math.isnan(part.error):
        notes.append("too few groups of rows to leave one out: how well it does for others is not known")
    if part.at_bound:
        notes.append(f"at the end of its physical range: {', '.join(part.at_bound)}")
    return tuple(notes)


def _parameters(found: Calibration) -> Table:
    rows = []
    for fitted in found.fits:
        for free, value, deviation in zip(fitted.frees, fitted.values, fitted.part.deviations, strict=True):
            rows.append(
                (
                    Cell(f"{fitted.kernel.key} {free.path}"),
                    Cell(show(value, free.unit)),
                    Cell(f"{100 * deviation:.2g} %"),
                )
            )
    heads = (Cell(""), Cell("value"), Cell("standard error"))
    return Table("fitted parameters", heads, tuple(rows), numeric=True)
