"""`inferbench record` and `inferbench verify`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import click

import inferbench as ib

__all__ = ["record", "verify"]

MOST_SHOWN = 40


@click.command("record")
@click.argument("systems", nargs=-1, required=True, metavar="SYSTEM…")
@click.option(
    "-w", "--workload", multiple=True, metavar="NETWORK/PHASE", help="Instead of the suite; may be repeated."
)
@click.option("--suite", default="reference", show_default=True, help="Named list of workload points.")
@click.option("--batch", metavar="1,8|max", help="Sequences at once.")
@click.option("--context", metavar="2048", help="Tokens in the KV cache, or in the prompt.")
@click.option("--precision", metavar="fp8,…", help="Number formats.")
@click.option(
    "--stack",
    default="best",
    show_default=True,
    metavar="best|ideal|NAME",
    help="Software where SYSTEM has no @NAME.",
)
@click.option("--scenario", default="reference", show_default=True, help="Economics.")
@click.option(
    "--measured", metavar="FILE", help="Measurements to keep beside the results; anything an importer reads."
)
@ib.output_options
def record(systems: tuple[str, ...], output: ib.Output, measured: str | None, **given: Any) -> None:
    """Write a result that can be run again: specs by value and hash, versions, arguments, results.

    Example: inferbench record b200 -o b200.json

    inferbench verify computes a record again, inferbench report makes a board of some.
    """
    from inferbench_records import documents

    known = ib.installed()
    arguments: dict[str, Any] = {
        "systems": list(systems),
        "stack": given["stack"],
        "scenario": given["scenario"],
    }
    if given["workload"]:
        arguments["workload"] = list(given["workload"])
    else:
        arguments["suite"] = given["suite"]
    if given["precision"]:
        arguments["precision"] = [one.strip() for one in given["precision"].split(",") if one.strip()]
    axes = {name: given[name] for name in ("batch", "context") if given[name] is not None}
    if axes:
        arguments["axes"] = axes
    rows = documents.measured(Path(measured), known) if measured else ()
    document = documents.made(known, arguments, rows)
    heads = ("", "")
    lines = [
        ("systems", ", ".join(systems)),
        ("results", str(len(document["results"]))),
        ("specs", ", ".join(document["specs"])),
        ("sha256", document["sha256"]),
    ]
    table = ib.Table("Record", tuple(map(ib.Cell, heads)), tuple((ib.Cell(a), ib.Cell(b)) for a, b in lines))
    following = "write it with -o NAME.json; inferbench verify NAME.json computes it again"
    report = ib.Report(
        (attrs.evolve(table, legend=(following,)),), document, tuple(map(flat, document["results"]))
    )
    ib.write_report(report, output)


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A result without its nested parts but the metrics."""
    nested = ("metrics", "memory", "unknown", "flags", "axes", "notes", "options", "outside")
    return {**{key: value for key, value in row.items() if key not in nested}, **row["metrics"]}


@click.command("verify")
@click.argument("files", nargs=-1, required=True, metavar="RECORD.json…")
@ib.output_options
@click.pass_context
def verify(ctx: click.Context, files: tuple[str, ...], output: ib.Output) -> None:
    """Compute records again from their own specs, and name every field that differs.

    Example: inferbench verify b200.json

    On the same versions every number must be equal to the last bit, on others within 1e-12. Specs that
    differ from those installed are named too. The exit code is 1 if anything differs.
    """
    from inferbench_records.checking import verified
    from inferbench_records.documents import read

    known, rows, tables = ib.installed(), [], []
    for file in files:
        document = read(Path(file))
        found = verified(document, known)
        mine = [{"file": file, **attrs.asdict(one)} for one in found]
        rows += mine or [{"file": file, "field": "", "recorded": "", "found": "", "matters": False}]
        tables.append(_table(file, found, len(document["results"])))
    failed = any(row["matters"] for row in rows)
    data = {
        "schema": "inferbench.verification/1",
        "agrees": not failed,
        "differences": [r for r in rows if r["field"]],
    }
    json.dumps(data, allow_nan=False)
    ib.write_report(ib.Report(tuple(tables), data, tuple(rows)), output)
    ctx.exit(1 if failed else 0)


def _table(file: str, found: list[Any], count: int) -> ib.Table:
    matter = [one for one in found if one.matters]
    told = [one for one in found if not one.matters]
    said = f"{len(matter)} fields differ" if matter else f"all {count} results agree"
    shown = [*matter, *told][:MOST_SHOWN]
    rest = len(found) - len(shown)
    cells = tuple(
        (ib.Cell(one.field, best=one.matters), ib.Cell(one.recorded), ib.Cell(one.found)) for one in shown
    )
    cells = cells or ((ib.Cell("nothing differs"), ib.Cell(""), ib.Cell("")),)
    legend = (f"and {rest} more: --format json has all of them",) if rest else ()
    return ib.Table(file, tuple(map(ib.Cell, ("field", "recorded", "now"))), cells, said, legend=legend)
