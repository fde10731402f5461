"""Reports as files for others: Markdown, LaTeX with booktabs, HTML, Parquet.

Tables are written by tabulate; here stands only what it can't know: titles, footnotes, what is best.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

from inferbench.records.interfaces import Renderer
from inferbench.report.model import Cell, Report, Table
from inferbench.report.notes import footnotes, marked

__all__ = ["EXPORTS", "html_tables"]

# Stand for commands until tabulate has made the other signs of a cell harmless: private letters of Unicode.
_IN, _BOLD, _END = "\ue000", "\ue001", "\ue002"
# What LaTeX has no letter for, as commands that work in text and in any font.
_LATEX = str.maketrans(
    {
        "–": "--",
        "—": "---",
        "…": r"\dots{}",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "×": r"$\times$",
        "·": r"$\cdot$",
        "µ": r"$\mu$",
        "±": r"$\pm$",
        "→": r"$\rightarrow$",
        "●": r"$\bullet$",
        "○": r"$\circ$",
        "◐": r"$\odot$",
        "✕": r"$\times$",
        _IN: r"\quad{}",
        _BOLD: r"\textbf{",
        _END: "}",
        **{raised: rf"\textsuperscript{{{digit}}}" for digit, raised in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    }
)


def _grid(
    table: Table, form: str, write: Callable[[Cell, dict[str, int]], str], numbers: dict[str, int]
) -> str:
    """A table's cells in one of tabulate's formats; text stays text, whatever number it looks like."""
    heads = [write(cell, numbers) for cell in table.columns]
    rows = [[write(cell, numbers) for cell in row] for row in table.rows]
    return _tabulated(rows, form, heads)


def _tabulated(rows: Sequence[Sequence[str]], form: str, heads: Sequence[str] = ()) -> str:
    tabulate = import_module("tabulate").tabulate  # it has no types
    return str(tabulate(rows, headers=heads, tablefmt=form, disable_numparse=True))


def _below(table: Table, numbers: dict[str, int], mark: Callable[[int], str]) -> Iterator[str]:
    yield from (f"{mark(number)} {note}" for note, number in numbers.items())
    yield from (*table.notes, *table.legend)


def _raised(number: int) -> str:
    return marked(Cell("", ("",)), {"": number})


def _headline(table: Table) -> str:
    return " — ".join(part for part in (table.title, table.aside) if part)


def _markdown_text(report: Report, width: int) -> str:
    return "\n".join(line for table in report.tables for line in _markdown(table)) + (
        f"\nNext: {_code(report.after)}\n" if report.next else ""
    )


def _markdown(table: Table) -> Iterator[str]:
    numbers = footnotes(table)
    if table.title:
        yield from (f"### {_literal(_headline(table))}", "")
    yield _grid(table, "github", _markdown_cell, numbers)
    yield ""
    yield from (f"{_literal(line)}  " for line in _below(table, numbers, _raised))
    yield ""


def _markdown_cell(cell: Cell, numbers: dict[str, int]) -> str:
    text = _literal(marked(cell, numbers).strip())
    return _indent(cell, "&emsp;") + (f"**{text}**" if cell.best and text else text)


def _literal(text: str) -> str:
    """Text that Markdown shows as it is: no HTML, link, image, code or line of its own."""
    text = text.replace("&", "&amp;") if re.search(r"&#?\w+;", text) else text
    text = text.replace("<", "&lt;").replace("](", "]\\(").replace("`", "\\`").replace("|", "\\|")
    return " ".join(text.split("\n"))


def _indent(cell: Cell, sign: str) -> str:
    """A sign where a label stands below another one: tabulate strips blanks."""
    return sign if cell.text.startswith("  ") else ""


def _latex_text(report: Report, width: int) -> str:
    return "% needs \\usepackage{booktabs}\n" + "\n".join(_latex(table) for table in report.tables)


def _latex(table: Table) -> str:
    numbers = footnotes(table)
    body = _grid(table, "latex_booktabs", _latex_cell, numbers)
    title = _escaped(_headline(table))
    below = [f"{_escaped(line)}" for line in _below(table, numbers, _raised)]
    if not any(cell.text for cell in table.columns):  # no row of nothing between two rules
        above, _, rows = body.partition(r"\midrule")
        body = above.partition(r"\toprule")[0] + r"\toprule" + rows
    lines = [r"\begin{table}", r"\centering", body.translate(_LATEX)]
    lines += [rf"\caption{{{title}}}"] if title else []
    lines += (
        [r"\par\smallskip\footnotesize\raggedright", *(f"{line}\\par" for line in below)] if below else []
    )
    return "\n".join([*lines, r"\end{table}", ""])


def _latex_cell(cell: Cell, numbers: dict[str, int]) -> str:
    text = marked(cell, numbers).strip()
    return _indent(cell, _IN) + (f"{_BOLD}{text}{_END}" if cell.best and text else text)


def _escaped(text: str) -> str:
    """Text with the signs that LaTeX reads as commands made harmless, as tabulate does in cells."""
    cell = _tabulated([[text]], "latex_booktabs")
    inner = cell.split("\\toprule", 1)[1].rsplit("\\bottomrule", 1)[0].strip()
    return inner.removesuffix("\\\\").strip().translate(_LATEX)


def html_tables(report: Report) -> str:
    """Write a report's tables as HTML; every text is escaped.

    Example:
        >>> from inferbench.report.model import Cell, Report, Table
        >>> html_tables(Report((Table("a < b", (Cell(""),), ()),)))[:28]
        '<h4>a &lt; b</h4>\\n<table>\\n<t'
    """
    return "".join(part for table in report.tables for part in _html(table))


def _escape(text: str) -> str:
    from html import escape

    return escape(text)


def _html(table: Table) -> Iterator[str]:
    numbers = footnotes(table)
    if table.title:
        yield f"<h4>{_escape(table.title)}</h4>\n"
    if table.aside:
        yield f"<p>{_escape(table.aside)}</p>\n"
    yield _grid(table, "unsafehtml", _html_cell, numbers)
    if numbers:
        notes = (f"<li value='{number}'>{_escape(note)}</li>" for note, number in numbers.items())
        yield f"<ol>{''.join(notes)}</ol>"
    yield from (f"<p>{_escape(line)}</p>" for line in (*table.notes, *table.legend))
    yield "\n"


def _html_cell(cell: Cell, numbers: dict[str, int]) -> str:
    marks = ", ".join(str(numbers[note]) for note in cell.notes)
    text = _escape(cell.text.strip())
    text = _indent(cell, "&emsp;") + (f"<b>{text}</b>" if cell.best else text)
    return f"{text}<sup>{marks}</sup>" if marks else text


def _page(report: Report, width: int) -> str:
    title = next((table.title for table in report.tables if table.title), "InferBench")
    head = f'<meta charset="utf-8"><title>{_escape(title)}</title>'
    body = f"<head>{head}</head>\n<body>\n{html_tables(report)}</body>"
    return f'<!doctype html>\n<html lang="en">\n{body}\n</html>\n'


def _parquet(report: Report, width: int) -> bytes:
    """The rows that CSV has, as one Parquet file; columns of several types are text."""
    from inferbench.sweeping.parquet import needed  # sweeps are imported for a file of this format alone

    pa, pq = needed("pyarrow"), needed("pyarrow.parquet")
    names = list(dict.fromkeys(key for row in report.rows for key in row))
    columns = {}
    for name in names:
        values = [row.get(name) for row in report.rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            columns[name] = pa.array([None if one is None else _text(one) for one in values])
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def _code(text: str) -> str:
    """A span of Markdown in which nothing acts: its marks are longer than any inside, and it is one line."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    marks, space = "`" * (longest + 1), " " if longest else ""
    return f"{marks}{space}{text.replace(chr(10), chr(0x240A))}{space}{marks}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


EXPORTS: Sequence[Renderer] = (
    Renderer("markdown", _markdown_text, ("md",)),
    Renderer("latex", _latex_text, ("tex",)),
    Renderer("html", _page, ("html", "htm")),
    Renderer("parquet", _parquet, ("parquet",)),
)
