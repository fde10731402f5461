"""Report of a validation: tables of errors, the worst rows, and why rows were not scored."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.units import show
from inferbench.validation.rows import Row
from inferbench.validation.rules import RULES
from inferbench.validation.scoring import Score, document, flat_records, scores

__all__ = ["validation_report"]

UNITS = {"power_w": "W", "energy_j": "J", "tokens_per_s": "tokens/s"}
WORST = 8
# Reasons of these rules that differ in numbers alone are one line of the table; --verbose lists each.
ALIKE = ("not-comparable", "power-refused")
# A command that has to be broken over lines can't be typed.
LONGEST = 72
# Rules whose reasons differ from row to row, and say what to do.
TOLD = ("name", "no-stack", "not-modelled", "incomplete", "not-comparable", "rate-only", "power-refused")
NOTE = (
    "Errors in %. MAPE, median and bias of predicted/measured - 1; in 90%: measurements inside their"
    " intervals. Trivial: MAPE of the best predictor without a model: c the geometric mean of the other rows,"
    " b weights (of an operator: bytes) over bandwidth, t the power limit."
)
ALL = (
    "`fitted`: rows that the stack was fitted on; unknown for a file that it doesn't cite. `with screened`:"
    " MAPE with the rows that a rule keeps out, their number in brackets."
)
LOAD = (
    "Requests under load are replayed where lengths and load are known; else a step at the requests in flight"
    " stands for them."
)
# What figures are called in labels, where it isn't their name without the unit.
SHORT = {"tokens_per_s": "rate"}
OUTSIDE = "Outside the box in which the stack was fitted."
RENAMES = "A name that means another: --rename 'OLD=NEW'."


def validation_report(rows: Sequence[Row], verbose: bool = False, files: Sequence[str] = ()) -> Report:
    """Report the rows of `validate`.

    Args:
        rows: All of them, scored or not.
        verbose: Whether to list every unscored row and not only reasons with counts, and every trivial
            predictor.
        files: What was validated, for the proposed command; empty: what is installed.
    """
    tables = [*_errors(rows, verbose), _worst(rows), _unscored(rows, verbose)]
    following = Next("validate", (*files, "--format", "json", "--out", "rows.json"))
    data = document(rows)
    return Report(
        tuple(table for table in tables if table.rows),
        data,
        flat_records(data["rows"]),
        (following,) if len(str(following)) <= LONGEST and any(row.scored for row in rows) else (),
    )


def percent(value: float) -> str:
    """A fraction in per cent with one digit, without digits above 1000; a dash where it is not known."""
    return DASH if math.isnan(value) else f"{100 * value:.1f}" if abs(value) < 10 else f"{100 * value:.0f}"


def _errors(rows: Sequence[Row], verbose: bool) -> Iterator[Table]:
    """A table per chip and stack; what a line is of stands in its label, however the columns are broken."""
    heads: tuple[str, ...] = ("", "n", "MAPE", "trivial", "median", "bias", "in 90%")
    heads += ("fitted", "with screened", "constant", "weights/bandwidth", "TDP") if verbose else ()
    listed = [score for score in scores(rows) if score.n]
    parts = [(key, list(group)) for key, group in groupby(listed, key=lambda s: (s.chip, s.stack))]
    for place, ((chip, stack), group) in enumerate(parts):
        n = sum(score.n for score in group)
        formats = {score.precision for score in group}
        # A number format that all lines share stands in the title: labels are the widest column.
        common = next(iter(formats)) if len(formats) == 1 else ""
        notes = [NOTE, *([ALL] if verbose else [])] if place == len(parts) - 1 else []
        lines = [_line(score, verbose, common) for score in group]
        kept = [i for i in range(len(heads)) if i == 0 or any(not line[i].unsure for line in lines)]
        yield Table(
            f"Errors of {stack} on {chip}" + f", {common}" * bool(common),
            tuple(Cell(heads[i]) for i in kept),
            tuple(tuple(line[i] for i in kept) for line in lines),
            f"{n} figure{'s' * (n != 1)}{_fitted(group)}",
            legend=tuple(notes),
        )


def _fitted(group: Sequence[Score]) -> str:
    """How many of the figures are no evidence, as the stack was fitted on them."""
    known = sum(score.fitted or 0 for score in group)
    unknown = sum(score.n for score in group if score.fitted is None)
    return (f", {known} of them fitted" if known else "") + (f", {unknown} perhaps" if unknown else "")


def _line(s: Score, verbose: bool, common: str) -> tuple[Cell, ...]:
    # Under load every point is outside: no stack was fitted on it.
    notes = (LOAD,) if s.regime else (OUTSIDE,) if s.domain == "extrapolated" else ()
    parts = (
        s.network,
        s.phase.removeprefix("generate ") if s.regime else s.phase,
        SHORT.get(s.metric, s.metric.rpartition("_")[0]),
        "" if common else s.precision,
    )
    label = " ".join(part for part in parts if part)
    bias = DASH if math.isnan(s.bias) else f"{'+' if s.bias >= 0 else ''}{percent(s.bias)}"
    texts = [str(s.n), percent(s.mape), _trivial(s), percent(s.median), bias, percent(s.coverage)]
    if verbose:
        screened = f"{percent(s.mape_all)} ({s.screened})" if s.screened else DASH
        fitted = "unknown" if s.fitted is None else str(s.fitted)
        texts += [fitted, screened, percent(s.constant), percent(s.bandwidth), percent(s.tdp)]
    return (Cell(label, notes), *(Cell(text, unsure=text == DASH) for text in texts))


def _trivial(s: Score) -> str:
    """The best predictor without a model, and which it is."""
    found = [
        (value, sign)
        for value, sign in ((s.constant, "c"), (s.bandwidth, "b"), (s.tdp, "t"))
        if not math.isnan(value)
    ]
    return f"{percent(min(found)[0])} {min(found)[1]}" if found else DASH


def _worst(rows: Sequence[Row]) -> Table:
    scored = sorted(
        (row for row in rows if row.scored), key=lambda row: -abs(math.log(row.predicted / row.measured))
    )
    # Numbered, so that a row is found again where columns are broken over several blocks.
    heads = ("", "chip · stack", "point", "measured", "predicted", "90%", "error %", "source")
    lines = []
    for place, row in enumerate(scored[:WORST], start=1):
        unit = UNITS.get(row.metric, "s")
        axes = " ".join(f"{name} {value:g}" for name, value in row.axes.items())
        span = DASH if math.isnan(row.low) else f"{show(row.low, unit)} to {show(row.high, unit)}"
        what = f"{row.network}/{row.phase}" if row.network else row.phase
        texts = (
            str(place),
            f"{row.chip} · {row.stack}",
            f"{what} {row.metric.rpartition('_')[0]} {axes}",
            show(row.measured, unit),
            show(row.predicted, unit),
            span,
            f"{100 * row.error:+.1f}",
            row.source,
        )
        lines.append(tuple(Cell(text) for text in texts))
    return Table("Worst rows", tuple(Cell(head) for head in heads), tuple(lines))


def _unscored(rows: Sequence[Row], verbose: bool) -> Table:
    counts: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.code:
            why = f"{row.why} [{row.source}]" if verbose else row.why if row.code in TOLD else ""
            alike = re.sub(r"\d[\d.]*", "#", why) if row.code in ALIKE and not verbose else why
            counts.setdefault((row.code, alike), []).append(why)
    lines = []
    for (code, _), whys in sorted(counts.items(), key=lambda item: (item[0][0], -len(item[1]))):
        others = " (and others)" if len(set(whys)) > 1 else ""
        lines.append((Cell(code), Cell(str(len(whys))), Cell((whys[0] or RULES[code]) + others)))
    return Table(
        "Not scored",
        (Cell("rule"), Cell("figures"), Cell("why")),
        tuple(lines),
        f"{sum(map(len, counts.values()))} of {len(rows)} figures",
        legend=(RENAMES,) if any(code == "name" for code, _ in counts) else (),
    )
