"""`inferbench check`."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import attrs
import click

from inferbench.cli import common
from inferbench.cli.audit import LAW as CLAIMS
from inferbench.cli.badge import badge, is_badge
from inferbench.cli.bundle import Bundle, unpacked
from inferbench.cli.coloured import Command
from inferbench.cli.trials import LIMIT, Trial, tried
from inferbench.files import refuse_existing
from inferbench.report.model import Cell, Next, Report, Table
from inferbench.testing.laws import LAWS, Finding, Verdict

__all__ = ["command"]


@click.command("check", cls=Command)
@click.argument("target", default=".")
@click.option(
    "--badge",
    "picture",
    metavar="FILE.svg",
    help="Write a badge that says how many laws hold; one that is there is replaced.",
)
@common.time_limit(LIMIT, "Time for one import, or for the laws of one record.")
@common.output_options()
@click.pass_context
def command(
    ctx: click.Context, target: str, picture: str | None, limit: float, output: common.Output
) -> None:
    """Judge a package, a wheel or a spec by the laws of every hook: what holds, what fails, what is missing.

    Example: inferbench check inferbench-specs

    TARGET is the folder of a package, a wheel, a TOML spec, a Python file with hooks, or the name of an
    installed package. A package needs no installation; it is judged in a process of its own, so that one that
    hangs or ends the process is told from one that works. A file `claims.toml` in it is held against the
    bound.

    The exit code is 1 if a law is broken, 0 if all hold or are only in doubt.
    """
    if picture is not None and not is_badge(Path(picture)):
        refuse_existing(picture, common.forced(ctx), "badge")
    with tempfile.TemporaryDirectory() as folder:
        bundle = unpacked(target, Path(folder))
        trial = tried(bundle.target, path=bundle.path, claims=bundle.claims, limit=limit)
    verdict = _together(bundle, trial)
    common.emit(_report(bundle, verdict, output.verbose), output.form, output.out, common.the_registry())
    if picture is not None:
        common.write_file(Path(picture), badge(verdict))
    ctx.exit(0 if verdict.sound else 1)


def _together(bundle: Bundle, trial: Trial) -> Verdict:
    """What concerns the package that was asked for: others that hang are left out, and named."""
    mine = [one for one in trial.verdicts if one.owner in (bundle.target, *bundle.names)]
    others = tuple(
        (f"{one.owner}", "it hangs, and was left out") for one in trial.verdicts if one not in mine
    )
    return Verdict(
        bundle.shown,
        tuple(finding for one in mine for finding in one.findings),
        tuple(pair for one in mine for pair in one.passed),
        (*(pair for one in mine for pair in one.missing), *others),
    )


def _report(bundle: Bundle, verdict: Verdict, verbose: bool) -> Report:
    fails = [finding for finding in verdict.findings if finding.state == "fails"]
    doubts = [finding for finding in verdict.findings if finding.state == "doubtful"]
    passed, absent = len(verdict.passed), len(verdict.missing)
    said = f"{passed} hold, {len(fails)} fail, {len(doubts)} in doubt, {absent} missing"
    tables = []
    if verdict.findings:
        rows = tuple(_row(finding) for finding in (*fails, *doubts))
        tables.append(
            Table(f"{bundle.shown}: {said}", (Cell("law"), Cell("broken by, found, what to do")), rows)
        )
    else:
        tables.append(Table(f"{bundle.shown}: {said}", (Cell("law"), Cell("holds for")), _passed(verdict)))
    claims = _claims(verdict)
    tables += [Table("claims", (Cell("claim"), Cell("against the bound")), claims)] if claims else []
    if verbose:
        tables += (
            [Table("passed", (Cell("law"), Cell("holds for")), _passed(verdict))] if verdict.findings else []
        )
    tables += [Table("not judged", (Cell("law"), Cell("why")), _unjudged(verdict, verbose))] if absent else []
    data = {
        "schema": "inferbench.check/1",
        "target": bundle.shown,
        "sound": verdict.sound,
        "findings": [attrs.asdict(finding) for finding in verdict.findings],
        "held": [{"law": law, "record": record} for law, record in verdict.passed],
        "missing": [{"what": what, "why": why} for what, why in verdict.missing],
    }
    flat = tuple(attrs.asdict(finding) for finding in verdict.findings)
    following = () if verdict.findings else (Next(arguments=("--badge", "badge.svg"), why="for a badge"),)
    return Report(tuple(tables), data, flat, following)


def _row(finding: Finding) -> tuple[Cell, Cell]:
    place = f"{finding.record}, {finding.where}" if finding.where else finding.record
    doubt = "in doubt: " if finding.state == "doubtful" else ""
    return Cell(finding.law), Cell(f"{doubt}{place}: {finding.found} · {finding.remedy}")


def _claims(verdict: Verdict) -> tuple[tuple[Cell, Cell], ...]:
    """Claims of the package that can be, and those that can't be judged; the broken ones stand above."""
    possible = [said.rpartition(": ") for law, said in verdict.passed if law == CLAIMS]
    unjudged = [(what.partition(": ")[2], why) for what, why in verdict.missing if what.startswith(CLAIMS)]
    rows = [(Cell(claim), Cell(said)) for claim, _, said in possible]
    return (*rows, *((Cell(claim), Cell(f"not judged: {why}", unsure=True)) for claim, why in unjudged))


def _unjudged(verdict: Verdict, verbose: bool) -> tuple[tuple[Cell, Cell], ...]:
    """What could not be judged, and why; laws of one reason together, unless each was asked for."""
    together: dict[str, list[str]] = defaultdict(list)
    for what, why in verdict.missing:
        together[f"{what}: {why}" if verbose else why].append(what)
    return tuple(
        (Cell(laws[0] if len(laws) == 1 else f"{len(laws)} laws"), Cell(why.removeprefix(f"{laws[0]}: ")))
        for why, laws in together.items()
    )


def _passed(verdict: Verdict) -> tuple[tuple[Cell, Cell], ...]:
    """A row per law, in the order of the laws: how many records it holds for."""
    counts = Counter(law for law, _ in verdict.passed)
    order = [one.name for one in LAWS]
    return tuple(
        (Cell(law), Cell(f"{counts[law]} record{'s' if counts[law] > 1 else ''}"))
        for law in sorted(counts, key=lambda law: order.index(law) if law in order else len(order))
    )
