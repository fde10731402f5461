"""What a stack was fitted on and how well: what one needs to know before any of its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from inferbench.model.intervals import INTERVAL
from inferbench.records.fit import Domain, Fit, FitPart
from inferbench.records.host import Host
from inferbench.records.scheduler import Scheduler
from inferbench.records.stack import Stack
from inferbench.report.grades import MEANINGS
from inferbench.report.model import DASH, Cell, Table

__all__ = ["fit_tables"]

# Kernels of one stack on one screen; all of them stand in JSON and under -v.
MOST_PARTS = 24
# Fields of operators whose range is worth a word in the box.
BOXED = ("m", "batch", "keys", "payload")


def fit_tables(stack: Stack, aside: str, full: bool = False) -> tuple[Table, ...]:
    """Return what a stack rests on, and a line per kind of kernel or phase.

    Args:
        stack: Any; one that was fitted on nothing says so.
        aside: Right part of the headline.
        full: With all kinds of kernel, however many.
    """
    rows = tuple((Cell(label), Cell(text)) for label, text in _said(stack) if text)
    legend = (" ".join(stack.note.split()),) if stack.note else ()
    head = Table(f"{stack.title} ({stack.name})", (Cell(""), Cell("")), rows, aside, legend=legend)
    parts = {**stack.fit.parts, **{f"energy.{name}": part for name, part in stack.energy_fit.parts.items()}}
    return (head, _parts(parts, full)) if parts else (head,)


def _said(stack: Stack) -> Iterator[tuple[str, str]]:
    fit = stack.fit
    runs_on = ", ".join(stack.architectures) or "any architecture"
    yield "runs on", " of ".join([runs_on, *([", ".join(stack.vendors)] if stack.vendors else [])])
    yield "chips", ", ".join(stack.domain.chips)
    yield "software", ", ".join(stack.software)
    yield "based on", stack.based_on
    if stack.ideal:
        yield "rests on", MEANINGS["bound"]
    elif stack.grade:
        yield "rests on", MEANINGS["class"]
    if not fit.rows and not stack.ideal:
        yield "fitted on", "nothing: its figures are stated, not fitted"
    yield from _fitted(fit)
    if fit.rows and not stack.grade and math.isnan(fit.step):
        bare = stack.host == Host()
        yield "one step", "not fitted: kernels only" + (", no host time" if bare else "")
    yield "scheduler", _scheduled(stack.scheduler)
    yield "holds for", "; ".join(_box(stack.domain))
    energy = stack.energy_fit
    if energy.rows:
        yield (
            "energies",
            f"{energy.rows:,} rows{_off(energy.power, ', power')}{_off(energy.energy, ', joules')}",
        )


def _scheduled(own: Scheduler | None) -> str:
    """How the engine takes requests by default, in words; empty where the file says nothing."""
    if own is None:
        return ""
    most = f"{own.tokens:,.0f} tokens of prompts a step at most"
    longest = "as many tokens of prompts a step as the longest request has"
    said = [own.policy, longest if own.longest else most]
    said += ["a request enters when its whole answer has room"] if own.whole else []
    said += ["a step for those who decode between two of prompts"] if own.turns else []
    if own.compiled:
        said.append(
            f"computes {own.computed_batch:,.0f} sequences of {own.computed_positions:,.0f} positions"
        )
    return "; ".join(said)


def _fitted(fit: Fit) -> Iterator[tuple[str, str]]:
    if not fit.rows:
        return
    yield "fitted on", f"{fit.rows:,} rows" + (f", {fit.date}" if fit.date else "")
    yield "rows", fit.on
    yield "files", ", ".join(f"{one.name} ({one.rows:,})" for one in fit.files)
    yield "error", f"{fit.error:.2g} % in the mean, on rows left out" if math.isfinite(fit.error) else ""
    yield "one kernel", _off(fit.kernel)
    steps = [f"{phase} {_off(error)}" for phase, error in fit.steps.items()]
    yield "one step", ", ".join(steps) or _off(fit.step)
    yield "again by", fit.command


def _off(error: float, before: str = "") -> str:
    """A log standard error as the factors between which nine in ten lie."""
    if not math.isfinite(error):
        return ""
    return f"{before} × {math.exp(-INTERVAL * error):.2f}–{math.exp(INTERVAL * error):.2f}".strip()


def _box(domain: Domain) -> Iterator[str]:
    if domain.phases:
        yield ", ".join(domain.phases)
    if domain.precisions:
        yield ", ".join(domain.precisions)
    if domain.counts:
        few, many = domain.counts[0], domain.counts[-1]
        yield f"{many} chip" + ("s" if many > 1 else "") if few == many else f"{few} to {many} chips"
    for name, (low, high) in domain.axes.items():
        yield f"{name} {_range(low, high)}"
    for kind, fields in domain.ops.items():
        spans = [f"{name} {_range(*fields[name])}" for name in BOXED if name in fields]
        yield f"{kind} {', '.join(spans)}" if spans else kind


def _range(low: float, high: float) -> str:
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def _parts(parts: Mapping[str, FitPart], full: bool) -> Table:
    shown = list(parts.items())[: None if full else MOST_PARTS]
    prior = any(part.chips for part in parts.values())
    names = [
        "rows",
        *(["chips", "between", "software", "rest"] if prior else []),
        "error",
        "constant",
        "roofline",
        "nine in ten",
        "covered",
    ]
    rows = tuple((Cell(name), *(_cell(text) for text in _figures(part, prior))) for name, part in shown)
    left = len(parts) - len(shown)
    legend = (
        "between, software, rest: deviations of the logarithm between chips, versions and what is left"
        if prior
        else "error: mean of rows left out; constant, roofline: of the two trivial predictors",
        "nine in ten: factors between which they lie; covered: share that did",
        *([f"{left} more under -v"] if left else []),
    )
    used = [0, *(k for k in range(1, len(names) + 1) if any(row[k].text != DASH for row in rows))]
    heads = (Cell(""), *map(Cell, names))
    return Table(
        "how well",
        tuple(heads[k] for k in used),
        tuple(tuple(row[k] for k in used) for row in rows),
        numeric=True,
        legend=legend,
    )


def _figures(part: FitPart, prior: bool) -> Iterator[str]:
    yield f"{part.rows:,}"
    if prior:
        yield f"{part.chips}" if part.chips else DASH
        yield from (
            f"{one:.2f}" if math.isfinite(one) else DASH for one in (part.between, part.software, part.sd)
        )
    for percent in (part.error, part.constant, part.roofline):
        yield f"{float(f'{percent:.2g}'):g} %" if math.isfinite(percent) else DASH
    yield _off(part.log_error) or DASH
    yield f"{100 * part.coverage:.0f} %" if math.isfinite(part.coverage) else DASH


def _cell(text: str) -> Cell:
    return Cell(text, unsure=text == DASH)
