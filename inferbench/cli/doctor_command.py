"""`inferbench doctor`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from inferbench._version import DISTRIBUTION
from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.cli.trials import ALL, LIMIT, core_alone, left_out, tried
from inferbench.discovery.kinds import KINDS
from inferbench.discovery.registry import Problem, Registry
from inferbench.discovery.strangers import strangers
from inferbench.errors import InferBenchError
from inferbench.report.model import Cell, Report, Table
from inferbench.testing.laws import Finding
from inferbench.validation.findings import stack_findings

__all__ = ["command", "examine"]

OWN = ("it-loads", "it-takes-no-name-of-another", "hooks-are-current")
"""Laws whose breaches the registry tells itself."""
PARSED = ("chips", "networks", "stacks", "systems", "scenarios", "suites", "measurements")
FOLDED = 3
"""Doubts of one package with one remedy that are told one by one on the screen."""


@click.command("doctor", cls=Command)
@common.time_limit(LIMIT, "Time for one import, or for trying one record.")
@common.output_options(verbose=False)
@click.pass_context
def command(
    ctx: click.Context,
    limit: float,
    output: common.Output,
) -> None:
    """Try every plugin and say what is broken, missing or shadowed, and what to do.

    Example: inferbench doctor

    Each plugin is imported and tried in a process of its own: one that hangs, or ends the process, is named
    and left out. The exit code is 1 if anything is broken, 0 if all is well or only doubtful. `inferbench
    check` judges one package by all laws.
    """
    context = ctx.find_root().params
    trial = tried(ALL, depth="quick", files=tuple(context.get("files") or ()), limit=limit)
    with left_out(trial.fatal):
        registry = common.the_registry()
        registry.afresh()
        broken, doubts = examine(registry)
        missing = core_alone(registry)
    broken = _once([*_problems(trial.findings), *broken])
    rows = [_row("broken", problem) for problem in broken]
    rows += [_row("missing", _missing(kind, why)) for kind, why in missing]
    rows += [_row("doubtful", problem) for problem in doubts]
    count = f"{len(registry.plugins)} plugins"
    said = f"{count}, {len(broken)} broken, {len(missing)} missing, {len(doubts)} doubtful"
    heads = (Cell("state"), Cell("whose it is, what was found, what to do"))
    cells = tuple((Cell(row["state"]), Cell(_told(row))) for row in _folded(rows))
    table = Table(said, heads, cells) if rows else Table(f"{count}, all well", (Cell(""),), ())
    data = {"schema": "inferbench.doctor/1", "findings": rows}
    common.emit(Report((table,), data, tuple(rows)), output.form, output.out, registry)
    ctx.exit(1 if broken else 0)


def _row(state: str, problem: Problem) -> dict[str, str]:
    return {
        "state": state,
        "owner": problem.owner,
        "where": problem.where,
        "found": problem.message,
        "remedy": problem.remedy,
    }


def _folded(rows: Iterable[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Yield what is broken or missing, and of many doubts of one kind the first and how many there are."""
    many: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows:
        if row["state"] == "doubtful":
            many.setdefault((row["owner"], row["remedy"]), []).append(row)
        else:
            yield row
    for alike in many.values():
        if len(alike) <= FOLDED:
            yield from alike
            continue
        found = f"{alike[0]['found']}; {len(alike) - 1} more like it, which --format json lists"
        yield {**alike[0], "found": found}


def _told(row: dict[str, str]) -> str:
    """One finding in one cell: a table of two columns fits into any width."""
    place = ", ".join(part for part in (row["owner"], row["where"]) if part)
    return f"{place}: {row['found']}" + (f" · {row['remedy']}" if row["remedy"] else "")


def _problems(findings: Iterable[Finding]) -> list[Problem]:
    """What the trial found, as problems; those that the registry finds itself stand there."""
    return [
        Problem(one.owner, f"{one.record}, {one.where}".rstrip(", "), f"{one.law}: {one.found}", one.remedy)
        for one in findings
        if one.state == "fails" and one.law not in (*OWN, "a-spec-is-valid")
    ]


def _once(problems: Iterable[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))


def _missing(kind: str, why: str) -> Problem:
    words = kind.replace("_", " ")
    return Problem(
        DISTRIBUTION, words, f"no {words} are installed: {why}", f"pip install '{DISTRIBUTION}[all]'"
    )


def examine(registry: Registry) -> tuple[list[Problem], list[Problem]]:
    """Collect every kind and parse every spec.

    Returns:
        What is broken, and what is doubtful.
    """
    broken: list[Problem] = []
    for kind in KINDS:
        entries = registry.entries(kind)
        if kind in PARSED:
            for entry in entries.values():
                try:
                    registry.get(kind, entry.name)
                except InferBenchError as error:
                    broken += [
                        Problem(entry.owner, fault.where, fault.found, fault.remedy) for fault in error.faults
                    ]
    broken = [*registry.problems, *registry.deprecated, *strangers(), *broken, *_dangling(registry)]
    doubts = [
        Problem(_owner(registry, fault.where), fault.where, fault.found, fault.remedy)
        for fault in registry.warnings
    ]
    return broken, [*doubts, *stack_findings(registry)]


def _owner(registry: Registry, where: str) -> str:
    entry = registry.entries("chips").get(where.split(".toml")[0])
    return entry.owner if entry else ""


def _dangling(registry: Registry) -> Iterator[Problem]:
    """Yield links to plugins that are not installed."""
    fabrics = registry.names("fabrics")
    for name, entry in registry.entries("chips").items():
        try:
            chip = registry.chip(name)
        except InferBenchError:
            continue
        for key, link in chip.interconnect.items():
            if link.fabric not in fabrics:
                yield Problem(
                    entry.owner,
                    f"{name}.toml: interconnect.{key}.fabric",
                    f"no installed package provides the fabric '{link.fabric}'",
                    f"write one of {', '.join(fabrics)}, or install the package that brings it"
                    if fabrics
                    else f"pip install '{DISTRIBUTION}[all]'",
                )
    for kind, table in registry.aliases().items():
        if kind in ("chips", "networks", "stacks"):
            for foreign, ours in table.items():
                if foreign in registry.entries(kind) and foreign != ours:
                    yield Problem(
                        "aliases",
                        foreign,
                        f"the alias is shadowed by the {kind.removesuffix('s')} of the same name",
                        "remove the alias",
                    )
