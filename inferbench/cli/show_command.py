"""`inferbench show`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import click

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.discovery.registry import KINDS as ALL
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, suggest
from inferbench.records.facts import Fact
from inferbench.records.kernel_tables import entry_text
from inferbench.records.stack import Stack
from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.report.plugins import KINDS as PLUGINS
from inferbench.report.plugins import plugin_report
from inferbench.report.stacks import fit_tables
from inferbench.units import Range, show

__all__ = ["command"]

SPECS = ("chips", "networks", "stacks", "systems", "scenarios", "suites")
KINDS = (*SPECS, *PLUGINS)
MARKS = {"datasheet": "●", "published": "●", "measured": "◐", "estimate": "○", "missing": DASH, "": ""}
LEGEND = "● datasheet or published  ◐ measured  ○ estimate  – missing"


@click.command("show", cls=Command)
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), help="Where a name stands for several records.")
@common.output_options()
def command(
    name: str,
    kind: str | None,
    output: common.Output,
) -> None:
    """Show every number of a spec: value, unit, basis, source; of a plugin what it reads, with units and
    defaults.

    Example: inferbench show b200

    Missing numbers stand in place. NAME may be the path of a Hugging Face config.json. A name that
    several records have (`reference`) shows the first; the others are named below it. A stack leads with what
    it was fitted on and how well; -v adds all its numbers.
    """
    registry = common.the_registry()
    kinds = [kind] if kind else kinds_of(registry, name)
    kind = kinds[0]
    record = (
        registry.network(name) if kind == "networks" and name.endswith(".json") else registry.get(kind, name)
    )
    entry = registry.entries(kind).get(getattr(record, "name", name))
    owner = f"{entry.owner} {entry.version}" if entry else "file"
    others = (Next("show", (name, "--kind", other)) for other in kinds[1:])
    following = (*others, *_following(record, kind, registry))
    if kind in PLUGINS:
        report = plugin_report(record, kind, owner, following)
    else:
        report = _spec_report(record, kind, owner, following, output.verbose)
    common.emit(report, output.form, output.out, registry)
    common.problems_line(registry)


def _following(record: Any, kind: str, registry: Registry) -> tuple[Next, ...]:
    if kind == "chips":
        return (Next("compare", (record.name,)),)
    if kind == "networks":
        chip = next(iter(registry.names("chips")), "CHIP")
        workload = registry.workload(record.type)
        phase = workload.of_role("token") or workload.phases[0]
        return (Next("compare", (chip, "-w", f"{record.name}/{phase.name}")),)
    if kind in PLUGINS:
        return (Next("list", ("--coverage" if kind == "architectures" else kind,)),)
    if kind == "stacks":
        chip = next(iter((*record.domain.chips, *registry.names("chips"))), "CHIP")
        beside = () if record.ideal else (f"{chip}@ideal",)
        return Next("compare", (f"{chip}@{record.name}", *beside)), Next(arguments=("-v",))
    return (Next("list"),)


def _spec_report(record: Any, kind: str, owner: str, following: tuple[Next, ...], verbose: bool) -> Report:
    facts = list(getattr(record, "facts", {}).values())
    if isinstance(record, Stack):
        facts += list(entry_facts(record))
    aside = f"{kind.removesuffix('s')} · {owner}"
    rows = [_row(fact) for fact in facts]
    tables: tuple[Table, ...] = (_table(record, facts, aside) if facts else _plain(record, aside),)
    if isinstance(record, Stack):
        lead = fit_tables(record, aside, verbose)
        tables = (*lead, attrs.evolve(tables[0], title="every number", aside="")) if verbose else lead
    return Report(
        tables,
        {"schema": "inferbench.spec/1", "kind": kind, "name": record.name, "facts": rows},
        tuple(rows),
        following,
    )


def kinds_of(registry: Registry, name: str) -> list[str]:
    """Kinds of record that have this name or alias; a path of a Hugging Face config is a network."""
    found = [
        kind
        for kind in KINDS
        if name in registry.entries(kind) or registry.alias(kind, name) in registry.entries(kind)
    ]
    if found or name.endswith(".json"):
        return found or ["networks"]
    for kind in (kind for kind in ALL if kind not in KINDS):
        if name in registry.entries(kind):
            what = (
                f"one of the {kind.replace('_', ' ')} of {registry.entries(kind)[name].owner}, which have no"
                " numbers to show"
            )
            raise InferBenchError.at(name, what, f"inferbench list {kind}")
    known = [n for kind in KINDS for n in registry.names(kind)]
    raise InferBenchError.at(
        name,
        "no spec and no plugin has this name",
        suggest(name, known) or "see inferbench list",
    )


def _table(record: Any, facts: list[Fact], aside: str) -> Table:
    rows = []
    for fact in facts:
        if fact.path in ("title", "source", "note"):
            continue
        notes = tuple(text for text in (fact.note, fact.missing) if text)
        key = fact.source.key if fact.source else ""
        rows.append(
            (
                Cell(fact.path),
                Cell(value_text(fact), notes, unsure=bool(fact.missing)),
                Cell(MARKS[fact.basis]),
                Cell(key),
            )
        )
    cited = {fact.source.key: fact.source for fact in facts if fact.source}
    sources = tuple(
        f"[{key}] {source.title}{f' <{source.url}>' if source.url else ''}" for key, source in cited.items()
    )
    heads = (Cell(""), Cell("value"), Cell("basis"), Cell("source"))
    legend = (LEGEND,) + ((record.note,) if record.note else ()) + sources
    return Table(f"{record.title} ({record.name})", heads, tuple(rows), aside, legend=legend)


def entry_facts(stack: Stack) -> Iterator[Fact]:
    """A stack's time model and its tables as facts; what they rest on stands in `fit`."""
    yield Fact("time.model", stack.time_model.name)
    for path, (table, mark) in stack.tables.items():
        for key, value in table.items():
            yield Fact(f"time.{path}.{key}", entry_text(value), mark.unit.symbol)


def _plain(record: Any, aside: str) -> Table:
    """A record without facts (yielded by Python, not read from a file): its fields, no sources."""
    rows = tuple(
        (Cell(path), Cell(text))
        for path, text in _flatten("", record)
        if path not in ("name", "title", "origin")
    )
    legend = ("yielded by a plugin without facts: no source is known for these numbers",)
    return Table(
        f"{record.title} ({record.name})",
        (Cell(""), Cell("value")),
        rows,
        aside,
        legend=legend,
    )


def _flatten(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Range):
        yield path, f"{value.low:g} to {value.high:g}" if value.low == value.low else DASH
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            if not field.name.startswith("_"):
                yield from _flatten(f"{path}.{field.name}".strip("."), getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flatten(f"{path}.{key}".strip("."), inner)
    elif isinstance(value, tuple):
        for i, inner in enumerate(value, start=1):
            yield from _flatten(f"{path}.{i}", inner)
    elif value not in ("", None):
        yield path, DASH if value != value else plain_text(value)


def value_text(fact: Fact) -> str:
    """Write a fact's value with its unit; all significant digits that matter."""
    if fact.missing:
        return DASH
    if isinstance(fact.value, Range):
        if fact.value.low == fact.value.high:
            return show(fact.value.low, fact.unit, 4)
        return f"{show(fact.value.low, fact.unit, 4)} to {show(fact.value.high, fact.unit, 4)}"
    if isinstance(fact.value, float) and fact.unit:
        return show(fact.value, fact.unit, 4)
    return str(fact.value) if fact.path.endswith("year") else plain_text(fact.value)


def plain_text(value: object) -> str:
    """Write a value without unit: whole numbers with commas between thousands, no trailing `.0`.

    Example:
        >>> plain_text(8030261248.0), plain_text(1e-06), plain_text(False)
        ('8,030,261,248', '1e-06', 'false')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and math.isfinite(value) and value == int(value):
        return f"{value:,.0f}"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _row(fact: Fact) -> dict[str, Any]:
    value = [fact.value.low, fact.value.high] if isinstance(fact.value, Range) else fact.value
    if isinstance(value, float) and math.isinf(value):
        value = "inf"  # an overlap exponent; JSON has no such number
    return {
        "key": fact.path,
        "value": value,
        "unit": fact.unit,
        "basis": fact.basis,
        "source": fact.source.title if fact.source else None,
        "url": fact.source.url if fact.source else None,
        "note": fact.note or None,
        "missing": fact.missing or None,
    }
