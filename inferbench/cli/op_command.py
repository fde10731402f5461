"""`inferbench op`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import rich_click

from inferbench.cli import common
from inferbench.errors import InferBenchError
from inferbench.model.choice import choose
from inferbench.model.operators import OpResult, cost_rows, product_rows
from inferbench.num import Array
from inferbench.records.kinds import Kind, op_kind, op_kinds
from inferbench.records.system import SystemName
from inferbench.report.intervals import ends_text
from inferbench.report.model import DASH, Cell, Report, Table
from inferbench.report.runs import engine_title
from inferbench.units import show

__all__ = ["command"]

MOST_SHOWN = 200


class OpCommand(rich_click.RichCommand):
    """Has an option per number of every kind of operator, those of plugins included."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options of all kinds first, those that every kind has behind them."""
        common.the_registry()
        arguments = [one for one in super().get_params(ctx) if isinstance(one, click.Argument)]
        others = [one for one in super().get_params(ctx) if not isinstance(one, click.Argument)]
        return [*arguments, *_options_of(op_kinds()), *others]


def _options_of(kinds: Mapping[str, Kind]) -> Iterator[click.Option]:
    for name in dict.fromkeys(name for kind in kinds.values() for name in kind.fields):
        of = ", ".join(kind.name for kind in kinds.values() if name in kind.fields)
        yield click.Option([_flag(name), name], metavar="1,8,…", help=f"Of {of}.")
    for kind in kinds.values():
        for name, default in kind.words.items():
            text = f"Of {kind.name}: which one."
            yield click.Option([_flag(name), name], default=default, show_default=True, help=text)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@click.command("op", cls=OpCommand)
@click.argument("chip")
@click.argument("kind")
@click.option(
    "--csv",
    "table",
    metavar="FILE",
    help="Rows to cost: columns are the field names, and `precision` if it varies.",
)
@click.option("--precision", metavar="bf16,…", help="Number formats (default bf16).")
@click.option("--stack", default="ideal", show_default=True, help="Software where CHIP has no @NAME.")
@common.output_options
def command(
    chip: str,
    kind: str,
    table: str | None,
    precision: str | None,
    stack: str,
    output: common.Output,
    **given: str | None,
) -> None:
    """Cost single operators on one chip: time, busy parts, what binds, utilization, energy.

    Example: inferbench op h100-sxm gemm --m 1,8,128 --n 8192 --k 8192

    KIND is gemm, attention, conv2d, elementwise, collective, or any kind that a package defines.
    """
    registry = common.the_registry()
    parsed = SystemName.parse(chip)
    the_chip, named = registry.chip(parsed.chip), op_kind(kind)
    formats = [registry.alias("precisions", name) for name in common.names(precision) or ["bf16"]]
    the_stack = choose(parsed.stack or stack, the_chip, None, "op", formats, registry, kind=kind).stack
    words = {name: str(given[name]) for name in named.words}
    flags = {
        name: text
        for name, text in given.items()
        if not any(name in one.words for one in op_kinds().values())
    }
    columns, of_row = _read_csv(Path(table), named) if table else (_from_flags(flags), None)
    names = common.names(precision) or ["bf16"]
    results = []
    for name, rows in _groups(columns, of_row, names):
        for part in _same(named, rows):
            results.append(
                cost_rows(
                    kind, part, registry.alias("precisions", name), the_chip, the_stack, registry, words
                )
            )
    flat = [row for result in results for row in _flat(kind, result)]
    title = f"{kind} on {the_chip.title}"
    report = Report(
        (_table(title, results, kind, output.verbose, f"stack: {the_stack.name}"),),
        {
            "schema": "inferbench.op/1",
            "chip": the_chip.name,
            "stack": the_stack.name,
            "kind": kind,
            "rows": flat,
        },
        tuple(flat),
        f"inferbench show {the_chip.name}" if output.verbose else "the same with -v for the busy parts",
    )
    common.emit(report, output.form, output.out, registry)
    common.problems_line(registry)


def _from_flags(fields: Mapping[str, str | None]) -> dict[str, Array]:
    axes = {name: common.axis(text, f"--{name}") for name, text in fields.items() if text is not None}
    return product_rows({name: values for name, values in axes.items() if values is not None}) if axes else {}


def _read_csv(path: Path, kind: Kind) -> tuple[dict[str, Array], list[str] | None]:
    """Read shapes; every bad cell is named with its line."""
    try:
        with path.open(newline="") as file:
            reader = csv.reader(file)
            head = [name.strip() for name in next(reader, [])]
            body = [row for row in reader if row]
    except OSError as error:
        raise InferBenchError.at(
            f"--csv {path}", f"can't be read: {error.strerror}", "give the path of a CSV file"
        ) from None
    wanted = [name for name in head if name in kind.fields]
    if not wanted or not body:
        raise InferBenchError.at(
            f"--csv {path}",
            "no rows with fields of this kind",
            f"the columns of {kind.name} are {', '.join(kind.fields)}",
        )
    columns = {}
    for name in wanted:
        place = head.index(name)
        try:
            columns[name] = np.array([float(row[place]) for row in body])
        except (ValueError, IndexError):
            line = next(i for i, row in enumerate(body) if not _is_number(row, place))
            raise InferBenchError.at(
                f"{path}: line {line + 2}, {name}", "not a number", "write a number"
            ) from None
    return columns, [row[head.index("precision")] for row in body] if "precision" in head else None


def _is_number(row: Sequence[str], place: int) -> bool:
    try:
        float(row[place])
    except (ValueError, IndexError):
        return False
    return True


def _groups(
    columns: dict[str, Array], of_row: list[str] | None, names: list[str]
) -> list[tuple[str, dict[str, Array]]]:
    """Rows by precision: the CSV's own column, or all rows for each precision asked."""
    if of_row is None:
        return [(name, columns) for name in names]
    labels = np.array(of_row)
    return [
        (name, {key: values[labels == name] for key, values in columns.items()})
        for name in dict.fromkeys(of_row)
    ]


def _same(kind: Kind, rows: dict[str, Array]) -> list[dict[str, Array]]:
    """Rows cut so that the numbers of which an operator takes one value are the same in each part."""
    parts = [rows]
    for name in kind.same:
        parts = [
            {key: values[part[name] == value] for key, values in part.items()}
            for part in parts
            for value in (dict.fromkeys(part[name].tolist()) if name in part else ())
        ] or parts
    return parts


def _flat(kind: str, result: OpResult) -> list[dict[str, Any]]:
    columns: dict[str, list[Any]] = {name: values.tolist() for name, values in result.columns.items()}
    columns["precision"] = [result.precision] * len(result.seconds)
    columns |= {
        "time_s": result.seconds.tolist(),
        "useful_ops": result.useful.tolist(),
        "bytes": result.moved.tolist(),
    }
    columns |= {name: np.asarray(values).tolist() for name, values in result.cost.detail.items()}
    columns |= {f"busy.{name}_s": np.asarray(values).tolist() for name, values in result.cost.busy.items()}
    columns |= {
        f"exposed.{name}_s": np.asarray(values).tolist() for name, values in result.cost.exposed.items()
    }
    columns["bound"] = list(result.bound)
    columns |= {
        "utilization": _nulls(result.utilization),
        "power_w": _nulls(result.watts),
        "energy_j": _nulls(result.joules),
    }
    columns |= _between(result)
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _between(result: OpResult) -> dict[str, list[float | None]]:
    """Ends of the 90% intervals; none under a stack that was not fitted on such operators."""
    found: dict[str, list[float | None]] = {}
    for name, of, values in (
        ("time_s", "time", result.seconds),
        ("power_w", "power", result.watts),
        ("energy_j", "energy", result.joules),
    ):
        low, high = result.between(of)
        if np.isfinite(low).any():
            found |= {f"{name}_low": _nulls(values * low), f"{name}_high": _nulls(values * high)}
    return found


def _figures(result: OpResult, i: int) -> list[str]:
    """Time, power and energy of a row with their intervals."""
    texts = []
    for values, unit, of in (
        (result.seconds, "s", "time"),
        (result.watts, "W", "power"),
        (result.joules, "J", "energy"),
    ):
        value = float(values[i])
        low, high = (float(end[i]) for end in result.between(of))
        texts.append(show(value, unit) + ends_text(value, low, high))
    return texts


def _nulls(values: Array) -> list[float | None]:
    known = np.isfinite(values)
    return (
        values.tolist()
        if known.all()
        else [v if k else None for v, k in zip(values.tolist(), known, strict=True)]
    )


def _texts(
    result: OpResult, i: int, details: Sequence[str], parts: Sequence[str], exposed: Sequence[str]
) -> list[str]:
    """What a row of the table says behind its label."""
    cost = result.cost
    used = float(result.utilization[i])
    time, power, energy = _figures(result, i)
    return [
        result.precision,
        time,
        engine_title(result.bound[i]),
        DASH if np.isnan(used) else f"{show(100 * used)} %",
        *(f"{float(np.asarray(cost.detail[d])[i]):,.0f}" if d in cost.detail else DASH for d in details),
        *(show(float(np.asarray(cost.busy[p])[i]), "s") if p in cost.busy else DASH for p in parts),
        *(show(float(np.asarray(cost.exposed[e])[i]), "s") if e in cost.exposed else DASH for e in exposed),
        power,
        energy,
    ]


def _table(title: str, results: Sequence[OpResult], kind: str, verbose: bool, aside: str) -> Table:
    varying = [
        name
        for name in op_kind(kind).fields
        if len({float(v) for r in results for v in r.columns[name][:MOST_SHOWN]}) > 1
    ] or list(op_kind(kind).fields)[:3]
    details = list(dict.fromkeys(name for r in results for name in r.cost.detail))
    parts = list(dict.fromkeys(name for r in results for name in r.cost.busy)) if verbose else []
    exposed = list(dict.fromkeys(name for r in results for name in r.cost.exposed)) if verbose else []
    heads = [
        "",
        "precision",
        "time",
        "bound by",
        "utilization",
        *details,
        *(engine_title(p) for p in parts),
        *(f"{name} (exposed)" for name in exposed),
        "power",
        "energy",
    ]
    rows: list[tuple[Cell, ...]] = []
    for result in results:
        for i in range(min(len(result.seconds), MOST_SHOWN - len(rows))):
            label = " · ".join(f"{name} {result.columns[name][i]:,.0f}" for name in varying)
            rows.append(tuple(Cell(text) for text in [label, *_texts(result, i, details, parts, exposed)]))
    total = sum(len(result.seconds) for result in results)
    notes = (
        (f"the first {MOST_SHOWN} of {total:,} rows; --format csv or json gives all",)
        if total > len(rows)
        else ()
    )
    why = tuple(dict.fromkeys(f"power: {r.energy.why}" for r in results if r.energy.why))
    return Table(
        title, tuple(Cell(head) for head in heads), tuple(rows), aside, numeric=True, notes=notes + why
    )
