"""Footnotes of a table: their numbers and marks."""

from __future__ import annotations

from inferbench.report.model import Cell, Table

__all__ = ["RAISED", "footnotes", "marked", "numbered"]

RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def footnotes(table: Table) -> dict[str, int]:
    """Number the footnotes of a table in order of appearance; equal ones share a number."""
    numbers: dict[str, int] = {}
    for cell in (*table.columns, *(cell for row in table.rows for cell in row)):
        for note in cell.notes:
            numbers.setdefault(note, len(numbers) + 1)
    return numbers


def marked(cell: Cell, numbers: dict[str, int]) -> str:
    """The cell's text with its footnote marks."""
    return cell.text + " ".join(str(numbers[note]).translate(RAISED) for note in cell.notes)


def numbered(table: Table, width: int) -> list[str]:
    """Return the lines of the footnotes, each behind its mark; in a packed table short ones share a line.

    Example:
        >>> cells = (Cell("", ("no price",)), Cell("", ("figures of b200",)))
        >>> numbered(Table("", cells, (), packed=True), 40)
        ['¹ no price  ² figures of b200']
    """
    lines: list[str] = []
    for note, number in footnotes(table).items():
        text = f"{str(number).translate(RAISED)} {note}"
        if table.packed and lines and len(lines[-1]) + 2 + len(text) <= width:
            lines[-1] += f"  {text}"
        else:
            lines.append(text)
    return lines
