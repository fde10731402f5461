"""Tables for papers: LaTeX with booktabs, footnotes below."""

from __future__ import annotations

from collections.abc import Iterator

import inferbench as ib

__all__ = ["RENDERER", "escaped"]

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "−": r"$-$",
    "●": r"$\bullet$",
    "○": r"$\circ$",
    "◐": r"$\odot$",
    "µ": r"$\mu$",
    "²": r"$^2$",
    "–": "--",
    "…": r"\ldots{}",
    "·": r"$\cdot$",
    "✓": r"$\surd$",
    "\n": " ",
    "\t": " ",
}


def escaped(text: str) -> str:
    r"""Text that LaTeX sets as it is: no command, no group, no mathematics of its own.

    Example:
        >>> escaped("a_b & \\input{x}")
        'a\\_b \\& \\textbackslash{}input\\{x\\}'
    """
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def rendered(report: ib.Report, width: int) -> str:
    """Write every table; a document needs the package booktabs."""
    return "\n".join(line for table in report.tables for line in _table(table)) + "\n"


RENDERER = ib.Renderer("latex", rendered, ("tex",))


def _table(table: ib.Table) -> Iterator[str]:
    notes: dict[str, int] = {}
    for cell in (*table.columns, *(cell for row in table.rows for cell in row)):
        for note in cell.notes:
            notes.setdefault(note, len(notes) + 1)
    for note in table.notes:
        notes.setdefault(note, len(notes) + 1)
    columns = "l" + ("r" if table.numeric else "l") * (len(table.columns) - 1)
    yield r"\begin{table}"
    if table.title:
        aside = f" ({escaped(table.aside)})" if table.aside else ""
        yield rf"  \caption{{{escaped(table.title)}{aside}}}"
    yield rf"  \begin{{tabular}}{{{columns}}}"
    yield r"    \toprule"
    yield f"    {_row(table.columns, notes)}"
    yield r"    \midrule"
    yield from (f"    {_row(row, notes)}" for row in table.rows)
    yield r"    \bottomrule"
    yield r"  \end{tabular}"
    yield from (rf"  \par\footnotesize $^{{{number}}}$ {escaped(note)}" for note, number in notes.items())
    yield from (rf"  \par\footnotesize {escaped(line)}" for line in table.legend)
    yield r"\end{table}"


def _row(cells: tuple[ib.Cell, ...], notes: dict[str, int]) -> str:
    written = []
    for cell in cells:
        marks = ",".join(str(notes[note]) for note in cell.notes)
        text = rf"\textbf{{{escaped(cell.text)}}}" if cell.best else escaped(cell.text)
        written.append(text + (rf"$^{{{marks}}}$" if marks else ""))
    return " & ".join(written) + r" \\"
