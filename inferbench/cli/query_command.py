"""`inferbench query`."""

from __future__ import annotations

import math
import sys
from decimal import Decimal
from pathlib import Path

import click

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.report.model import DASH, Cell, Report, Table
from inferbench.sweeping.query import LIMIT, Answer, query
from inferbench.text import short
from inferbench.units import show

__all__ = ["command"]

MOST_SHOWN = 1000
"""Characters of one text on the screen; `--format json` has all."""


@click.command("query", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("sql")
@click.option("--format", "form", default="table", show_default=True, help=common.FORMATS)
@common.time_limit(LIMIT, "Time for the whole answer.")
@common.out_option()
def command(
    file: Path,
    sql: str,
    form: str,
    limit: float,
    out: str | None,
) -> None:
    """Ask a sweep's result in SQL: one select on the view `space`.

    Example: inferbench query space.parquet "select chip, max(tokens_per_s_per_chip) from space group by chip"

    FILE is what `inferbench sweep --out` wrote, a Parquet file or a folder. Nothing else can be read, and
    nothing is changed.
    """
    registry = common.the_registry()
    answer = query(file, sql, limit)
    if answer.missing:
        print(f"inferbench: {file}: {answer.missing} chunks are still missing", file=sys.stderr)
    common.emit(_report(answer), form, out, registry)


def _report(answer: Answer) -> Report:
    values = [tuple(_plain(value) for value in row) for row in answer.rows]
    rows = tuple(tuple(_cell(value) for value in row) for row in values)
    table = Table(title="", columns=tuple(Cell(name) for name in answer.names), rows=rows)
    plain = tuple(dict(zip(answer.names, row, strict=True)) for row in values)
    return Report(tables=(table,), data={"schema": "inferbench.query/1", "rows": list(plain)}, rows=plain)


def _plain(value: object) -> object:
    """A value of DuckDB's as JSON knows values: no number is None, and so is an infinite one."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.hex() if isinstance(value, bytes) else str(value)


def _cell(value: object) -> Cell:
    if value is None:
        return Cell(DASH, unsure=True)
    if isinstance(value, float):
        return Cell(show(value) if value != int(value) or abs(value) >= 1e15 else f"{value:,.0f}")
    whole = isinstance(value, int) and not isinstance(value, bool)
    return Cell(f"{value:,}" if whole else short(str(value), MOST_SHOWN))
