"""`inferbench claims`."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import click

import inferbench as ib
from inferbench_claims.check import Check, check_all

__all__ = ["command"]

STATES = {"holds": "✓ holds", "fails": "✗ fails", "unchecked": "? unchecked"}
HEADS: tuple[str, ...] = ("claim", "said", "ours", "corrected", "off by", "verdict", "")
NARROW = 110
DASH = "–"
BLANK = ib.Cell("")


@click.command("claims")
@click.argument("ids", nargs=-1, metavar="[ID]…")
@ib.output_options
@click.pass_context
def command(
    ctx: click.Context,
    ids: tuple[str, ...],
    output: ib.Output,
) -> None:
    """Check published claims against the model: what is said, what comes out, and what with corrected facts.

    Example: inferbench claims A11 B3

    An ID is a claim (A1.q), a row (A8) or a group (B). A verdict holds if the number comes out as it
    says: to the rounding for exact, under the footnote's assumption for assumption, and not at all with
    corrected facts for wrong and inconsistent. -v prints the expressions. The exit code is 1 if a verdict
    no longer holds.
    """
    checks = list(check_all(ib.installed(), ids))
    width = ib.table_width(output)
    rows = [row(one) for one in checks]
    report = ib.Report(
        tuple(table(group, width, output.verbose) for group in grouped(checks)),
        {"schema": "inferbench.claims/2", "claims": rows},
        tuple(rows),
        () if output.verbose or not checks else (ib.Next("claims", (checks[-1].claim.id, "-v")),),
    )
    ib.write_report(report, output)
    ctx.exit(1 if any(one.state == "fails" for one in checks) else 0)


def grouped(checks: Sequence[Check]) -> Iterator[list[Check]]:
    """Yield the claims of each group of each set."""
    group: list[Check] = []
    for one in checks:
        if group and (one.file, one.claim.group) != (group[0].file, group[0].claim.group):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def table(checks: Sequence[Check], width: int, verbose: bool) -> ib.Table:
    """Lay one group out; below 110 columns the state stands under the verdict and the claim is folded."""
    states = [one.state for one in checks]
    said = [f"{states.count('holds')} of {len(states)} verdicts hold"]
    said += [f"{states.count('unchecked')} unchecked"] if "unchecked" in states else []
    narrow = 0 < width < NARROW
    lines = [cells(one) for one in checks]
    heads = (*HEADS[:3], "right", *HEADS[4:6]) if narrow else HEADS
    if width:
        lines = folded(lines, width, heads)
    legend = tuple(line for one in checks for line in working(one)) if verbose else ()
    first = checks[0]
    title = f"{first.file} · {first.claim.group}" if first.claim.group else first.file
    return ib.Table(title, tuple(ib.Cell(h) for h in heads), tuple(lines), ", ".join(said), legend=legend)


def cells(one: Check) -> tuple[ib.Cell, ...]:
    """One claim as a row; figures stand in the unit and prefix of what was said."""
    claim = one.claim
    notes = tuple(text for text in (claim.assumption, one.why) if text)
    off = deviation(one)
    return (
        ib.Cell(f"{claim.id}  {claim.quote}"),
        ib.Cell(claim.said),
        figure(one, one.ours),
        figure(one, one.corrected),
        ib.Cell(off, unsure=off == DASH),
        ib.Cell(claim.verdict.lower(), notes),
        ib.Cell(STATES[one.state], best=one.state == "fails"),
    )


def folded(
    lines: Sequence[tuple[ib.Cell, ...]], width: int, heads: Sequence[str]
) -> list[tuple[ib.Cell, ...]]:
    """Fold the claims' words into the room that the other columns leave.

    Without a column of its own the state stands under the verdict.
    """
    below = len(heads) == len(HEADS) - 1
    others = [max(len(heads[i]), *(len(line[i].text) for line in lines)) for i in range(1, len(heads))]
    others[4] += 2 if any(line[5].notes for line in lines) else 0
    others[4] = max(others[4], len(STATES["unchecked"]) if below else 0)
    room = max(12, width - sum(others) - 2 * len(others) - 2)
    rows: list[tuple[ib.Cell, ...]] = []
    for line in lines:
        words = textwrap.wrap(line[0].text, room, subsequent_indent="  ")
        words += [""] * (2 - len(words)) if below else []
        rows.append((ib.Cell(words[0]), *line[1 : len(heads)]))
        for place, text in enumerate(words[1:]):
            state = line[6] if below and place == 0 else BLANK
            rows.append((ib.Cell(text), *[BLANK] * (len(heads) - 2), state))
    return rows


def figure(one: Check, value: float) -> ib.Cell:
    """Write a figure in the unit said, four digits."""
    if math.isnan(value):
        return ib.Cell(DASH, unsure=True)
    scaled = value / one.claim.number.scale
    if scaled and not 1e-3 <= abs(scaled) < 1e6:
        return ib.Cell(f"{scaled:.2e}".replace("e-0", "e-").replace("e+0", "e"))
    power = int(f"{scaled:.3e}".partition("e")[2])
    return ib.Cell(f"{scaled:,.{max(0, 3 - power)}f}".replace("-", "−"))


def deviation(one: Check) -> str:
    """Write the deviation of the decisive figure: per cent, or times where it is that far off."""
    value = one.deviation
    if math.isnan(value):
        return DASH
    if value <= -1:
        return "sign"
    if value > 4:
        return f"×{value + 1:.3g}"
    if value < -0.8:
        return f"÷{1 / (value + 1):.3g}"
    if abs(value) < 5e-6:
        return "0 %"
    return (f"{value * 100:+.2g} %" if abs(value) < 1 else f"{value * 100:+.0f} %").replace("-", "−")


def working(one: Check) -> Iterator[str]:
    """Yield the expressions, and the runs they read."""
    claim = one.claim
    if claim.expression:
        yield f"{claim.id} = {claim.expression}"
    if claim.corrected:
        yield f"{claim.id}, corrected = {claim.corrected}"


def row(one: Check) -> dict[str, Any]:
    """One claim as a flat record, SI."""
    claim = one.claim
    return {
        "set": one.file,
        "id": claim.id,
        "group": claim.group,
        "quote": claim.quote,
        "said": claim.said,
        "theirs": claim.number.value,
        "theirs_low": claim.number.low,
        "theirs_high": claim.number.high,
        "ours": known(one.ours),
        "corrected": known(one.corrected),
        "deviation": known(one.deviation),
        "tolerance": known(claim.tolerance) or claim.number.half / abs(claim.number.value or 1.0),
        "verdict": claim.verdict,
        "state": one.state,
        "why": one.why or None,
        "assumption": claim.assumption or None,
        "expression": claim.expression or None,
        "corrected_expression": claim.corrected or None,
    }


def known(value: float) -> float | None:
    """Return the number, None for NaN."""
    return value if math.isfinite(value) else None
