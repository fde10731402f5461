"""`inferbench list`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.discovery.kinds import KINDS
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, suggest
from inferbench.report.listing import TABLES
from inferbench.report.model import Cell, Next, Report, Table

__all__ = ["command"]

SCHEMA = "inferbench.list/1"
SHOWN = list(KINDS)


@click.command("list", cls=Command)
@click.argument("kind", required=False, metavar="[KIND]")
@click.option("--coverage", is_flag=True, help="Architectures against operator kinds.")
@click.option("--long", is_flag=True, help="More columns of chips and stacks.")
@common.output_options(verbose=False)
def command(
    kind: str | None,
    coverage: bool,
    long: bool,
    output: common.Output,
) -> None:
    """List what is installed: names, packages, versions.

    Example: inferbench list chips

    KIND is one of chips, networks, stacks, systems, scenarios, suites, claims, architectures, workloads,
    fabrics, power_models, metrics, importers, measurements, executors, renderers, plots, commands, plugins.
    Chips and stacks come with a line of figures each; listing other kinds parses no spec.
    """
    registry = common.the_registry()
    if coverage:
        from inferbench.report.coverage import coverage_report

        common.emit(coverage_report(registry), output.form, output.out, registry)
        return
    kinds = [*SHOWN, "plugins"]
    if kind is not None:
        kind = kind.replace("-", "_")
        if kind not in kinds:
            raise InferBenchError.at(
                kind, "no such kind of record", suggest(kind, kinds) or f"known are {', '.join(kinds)}"
            )
        kinds = [kind]
    if long and kind not in TABLES:
        remedy = f"inferbench list {' or '.join(TABLES)} --long"
        raise InferBenchError.at("--long", "only chips and stacks have more columns", remedy)
    report = _lines(registry, kind, long) if kind in TABLES else _names(registry, kinds)
    common.emit(report, output.form, output.out, registry)
    common.problems_line(registry)


def _lines(registry: Registry, kind: str, long: bool) -> Report:
    """A line of figures for each chip or stack."""
    table, entries = TABLES[kind](registry, long)
    first = Next("show", (entries[0]["name"],)) if entries else Next("doctor")
    following = (first, *(() if long else (Next("list", (kind, "--long")),)))
    return Report((table,), {"schema": SCHEMA, "entries": list(entries)}, entries, following)


def _names(registry: Registry, kinds: Sequence[str]) -> Report:
    """Names by kind and package; parses nothing."""
    tables = tuple(_plugins(registry) if one == "plugins" else _kind(registry, one) for one in kinds)
    rows = [
        {"kind": one, "name": entry.name, "package": entry.owner, "version": entry.version}
        for one in kinds
        if one != "plugins"
        for entry in registry.entries(one).values()
    ]
    rows += [
        {"kind": "plugins", "name": name, "package": owner, "version": version}
        for name, (owner, version) in registry.plugins.items()
        if "plugins" in kinds
    ]
    data = {"schema": SCHEMA, "entries": rows}
    following = (*(Next("show", (name,)) for name in registry.names("chips")[:1]), Next("doctor"))
    return Report(tables, data, tuple(rows), following)


def _kind(registry: Registry, kind: str) -> Table:
    by_package: dict[tuple[str, str], list[str]] = {}
    for entry in registry.entries(kind).values():
        by_package.setdefault((entry.owner, entry.version), []).append(entry.name)
    rows = tuple(
        (Cell(f"{owner} {version}"), Cell(", ".join(sorted(names))))
        for (owner, version), names in sorted(by_package.items())
    ) or ((Cell("none"), Cell("pip install 'inferbench-core[all]'", unsure=True)),)
    count = sum(len(names) for names in by_package.values())
    return Table(f"{kind.replace('_', ' ')} ({count})", (Cell(""), Cell("")), rows)


def _plugins(registry: Registry) -> Table:
    rows = tuple(
        (Cell(name), Cell(owner), Cell(version))
        for name, (owner, version) in sorted(registry.plugins.items())
    )
    rows = rows or ((Cell("none"), Cell("pip install 'inferbench-core[all]'", unsure=True), Cell("")),)
    return Table(
        f"plugins ({len(registry.plugins)})", (Cell("plugin"), Cell("package"), Cell("version")), rows
    )
