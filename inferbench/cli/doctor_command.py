"""`inferbench doctor`."""

from __future__ import annotations

from collections.abc import Iterator

import click
import rich_click

from inferbench.cli import common
from inferbench.discovery.registry import KINDS, Problem, Registry
from inferbench.discovery.strangers import strangers
from inferbench.errors import InferBenchError
from inferbench.report.model import Cell, Report, Table
from inferbench.validation.findings import stack_findings

__all__ = ["command", "examine"]

PARSED = ("chips", "networks", "stacks", "scenarios", "suites")


@click.command("doctor", cls=rich_click.RichCommand)
@common.output_options(verbose=False)
@click.pass_context
def command(
    ctx: click.Context,
    output: common.Output,
) -> None:
    """Load everything and say what is broken, missing or shadowed, and what to do.

    Example: inferbench doctor

    The exit code is 1 if anything is broken, 0 if all is well or only doubtful.
    """
    registry = common.the_registry()
    broken, doubts = examine(registry)
    rows = [
        {"state": "broken", "owner": p.owner, "where": p.where, "found": p.message, "remedy": p.remedy}
        for p in broken
    ]
    rows += [
        {"state": "doubtful", "owner": p.owner, "where": p.where, "found": p.message, "remedy": p.remedy}
        for p in doubts
    ]
    cells = tuple(
        (Cell(r["state"]), Cell(r["owner"]), Cell(r["where"]), Cell(r["found"]), Cell(r["remedy"]))
        for r in rows
    )
    title = (
        f"{len(registry.plugins)} plugins, {len(broken)} broken, {len(doubts)} doubtful"
        if rows
        else f"{len(registry.plugins)} plugins, all well"
    )
    heads = tuple(Cell(text) for text in ("state", "owner", "where", "found", "what to do"))
    common.emit(
        Report(
            (Table(title, heads if rows else (Cell(""),), cells),),
            {"schema": "inferbench.doctor/1", "findings": rows},
            tuple(rows),
        ),
        output.form,
        output.out,
        registry,
    )
    ctx.exit(1 if broken else 0)


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
    broken = [*registry.problems, *strangers(), *broken, *_dangling(registry)]
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
    for name, entry in registry.entries("chips").items():
        try:
            chip = registry.chip(name)
        except InferBenchError:
            continue
        for key, link in chip.interconnect.items():
            if link.fabric not in registry.entries("fabrics"):
                yield Problem(
                    entry.owner,
                    f"{name}.toml: interconnect.{key}.fabric",
                    f"no installed package provides the fabric '{link.fabric}'",
                    "pip install inferbench-fabrics",
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
