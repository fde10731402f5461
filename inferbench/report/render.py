"""The renderers the core brings: table (rich), json, csv, and those for other documents."""

from __future__ import annotations

import csv
import io
import json
import re

from inferbench.records.interfaces import Renderer
from inferbench.report.export import EXPORTS
from inferbench.report.model import Cell, Report, Table
from inferbench.report.notes import footnotes, marked, numbered
from inferbench.text import escaped, visible

__all__ = ["RENDERERS", "footnotes", "split_columns"]


def align(texts: list[str]) -> list[str]:
    """Pad numbers so that their decimal points stand below each other; text stays as it is."""
    split = [text.partition(".") if text[:1].isdigit() or text[:1] == "-" else None for text in texts]
    heads = []
    for text, parts in zip(texts, split, strict=True):
        whole = text.split(" ")[0] if parts and not parts[1] else (parts[0] if parts else "")
        heads.append(len(whole))
    width = max(heads, default=0)
    return [
        text if parts is None else " " * (width - head) + text
        for text, parts, head in zip(texts, split, heads, strict=True)
    ]


def split_columns(widths: list[int], available: int) -> list[list[int]]:
    """Group columns so that each group fits beside the label column; a column wider than the screen stands
    alone.

    Example:
        >>> split_columns([20, 15, 15, 15], 60)
        [[1, 2], [3]]
    """
    groups: list[list[int]] = []
    used = 0
    for column in range(1, len(widths)):
        need = widths[column] + 2
        if not groups or used + need > available:
            groups.append([])
            used = widths[0]
        groups[-1].append(column)
        used += need
    return groups or [[]]


def fitted(widths: list[int], group: list[int], available: int) -> list[int]:
    """Widths of the label column and a group's columns that together never exceed the screen.

    Example:
        >>> fitted([10, 8, 90], [2], 60), fitted([70, 8], [1], 60)
        ([10, 48], [50, 8])
    """
    label = min(widths[0], available // 2)
    columns = [max(1, min(widths[column], available - label - 2)) for column in group]
    room = available - sum(width + 2 for width in columns)
    return [max(1, min(widths[0], max(label, room))), *columns]


def wrapped_widths(natural: list[int], available: int) -> list[int]:
    """Widths at which columns of prose wrap so that all columns stand side by side, if that leaves them
    readable.

    Example:
        >>> wrapped_widths([10, 8, 90], 60)
        [10, 8, 36]
    """
    prose = [column for column, width in enumerate(natural) if column and width > 36]
    room = (
        available
        - sum(width + 2 for column, width in enumerate(natural) if column not in prose)
        - 2 * len(prose)
    )
    if not prose or room < 24 * len(prose):
        return natural
    widths = list(natural)
    for place, column in enumerate(sorted(prose, key=lambda c: natural[c])):
        widths[column] = min(natural[column], room // (len(prose) - place))
        room -= widths[column]
    return widths


def _table_text(report: Report, width: int) -> str:
    from rich.console import Console

    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=width,
        highlight=False,
        emoji=False,
        markup=False,
        force_terminal=_styled(),
        no_color=_plain(),
    )
    for table in report.tables:
        _print_table(console, table)
    if report.next:
        console.print(f"Next: {report.after}", style="dim")
    return "".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines())


def _styled() -> bool:
    import os
    import sys

    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _plain() -> bool:
    import os

    return bool(os.environ.get("NO_COLOR")) or not _styled()


def _print_table(console: object, table: Table) -> None:
    from rich.console import Console
    from rich.table import Table as Rich
    from rich.text import Text

    assert isinstance(console, Console)
    numbers = footnotes(table)
    grid = [[marked(cell, numbers) for cell in row] for row in (table.columns, *table.rows)]
    if table.numeric:
        for column in range(1, len(table.columns)):
            for place, text in enumerate(align([line[column] for line in grid[1:]]), start=1):
                grid[place][column] = text
    natural = [max(len(line[column]) for line in grid) for column in range(len(table.columns))]
    widths = wrapped_widths(natural, console.width)
    _headline(console, table)
    for group in split_columns(widths, console.width):
        shown = Rich(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=bool("".join(grid[0])))
        for column, width in zip((0, *group), fitted(widths, group, console.width), strict=True):
            # Exact widths: left to itself, rich crops a table that is too wide, and a number would be lost.
            shown.add_column(Text(grid[0][column], style="bold"), overflow="fold", width=width)
        for line, row in zip(grid[1:], table.rows, strict=True):
            shown.add_row(*(Text(line[column], style=_style(row[column])) for column in (0, *group)))
        console.print(shown)
        console.print()
    for remark in (*numbered(table, console.width), *table.notes, *table.legend):
        console.print(remark, style="dim")
    if numbers or table.notes or table.legend:
        console.print()


def _headline(console: object, table: Table) -> None:
    from rich.console import Console
    from rich.text import Text

    assert isinstance(console, Console)
    title, aside = table.title, table.aside
    if not title:
        return
    if aside and len(title) + len(aside) + 4 <= console.width:
        console.print(
            Text(title, style="bold")
            + Text(" " * (console.width - len(title) - len(aside) - 1) + aside, style="dim")
        )
    else:
        console.print(Text(title, style="bold"))
        if aside:
            console.print(Text(aside, style="dim"))
    if not table.packed:
        console.print()


def _style(cell: Cell) -> str:
    return "bold" if cell.best else ("dim" if cell.unsure else "")


def _json_text(report: Report, width: int) -> str:
    """Indented for reading, compact where there are so many rows that nobody reads them."""
    indent = None if len(report.rows) > 1000 else 2
    return escaped(json.dumps(dict(report.data), indent=indent, ensure_ascii=False, allow_nan=False)) + "\n"


def _csv_text(report: Report, width: int) -> str:
    buffer = io.StringIO()
    columns = list(dict.fromkeys(key for row in report.rows for key in row))
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(map(_inert, columns))
    if all(len(row) == len(columns) for row in report.rows):
        writer.writerows([_inert(value) for value in row.values()] for row in report.rows)
    else:
        writer.writerows([_inert(row.get(column)) for column in columns] for row in report.rows)
    return buffer.getvalue()


# Wide forms are read as the narrow ones where people write in Chinese, Japanese or Korean.
_FORMULA = re.compile(r"[=+\-@\t\r\n|＝＋－＠](?![\d.,]*(?:[eE][+-]?\d+)?$)")


def _inert(value: object) -> object:
    """Text that a spreadsheet would run as a formula gets an apostrophe before it; numbers stay."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if _FORMULA.match(text) else text


RENDERERS: dict[str, Renderer] = {
    one.name: one
    for one in (
        Renderer("table", _table_text, ("", "txt")),
        Renderer("json", _json_text, ("json",)),
        Renderer("csv", _csv_text, ("csv",)),
        *EXPORTS,
    )
}
