"""A report as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from inferbench.report.model import Cell, Report, Table
from inferbench.report.render import footnotes

__all__ = ["page"]


def page(report: Report) -> str:
    """Write a report's tables as HTML; every text is escaped.

    Example:
        >>> from inferbench.report.model import Cell, Report, Table
        >>> page(Report((Table("a < b", (Cell(""),), ()),)))[:32]
        '<h4>a &lt; b</h4><table><thead><'
    """
    return "".join(part for table in report.tables for part in _table(table))


def _table(table: Table) -> Iterator[str]:
    numbers = footnotes(table)
    if table.title:
        yield f"<h4>{escape(table.title)}</h4>"
    if table.aside:
        yield f"<p>{escape(table.aside)}</p>"
    yield f"<table><thead><tr>{''.join(_cell(cell, numbers, 'th') for cell in table.columns)}</tr></thead>"
    rows = (f"<tr>{''.join(_cell(cell, numbers, 'td') for cell in row)}</tr>" for row in table.rows)
    yield f"<tbody>{''.join(rows)}</tbody></table>"
    if numbers:
        notes = (f"<li value='{number}'>{escape(note)}</li>" for note, number in numbers.items())
        yield f"<ol>{''.join(notes)}</ol>"
    yield from (f"<p>{escape(line)}</p>" for line in table.legend)


def _cell(cell: Cell, numbers: dict[str, int], tag: str) -> str:
    marks = ", ".join(str(numbers[note]) for note in cell.notes)
    text = f"<b>{escape(cell.text)}</b>" if cell.best else escape(cell.text)
    return f"<{tag}>{text}{f'<sup>{marks}</sup>' if marks else ''}</{tag}>"
