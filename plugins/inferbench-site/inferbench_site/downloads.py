"""The numbers of a site as files: JSON, CSV, LaTeX, Parquet."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import inferbench as ib
from inferbench_site.pages import Book

__all__ = ["downloads", "latex"]


def latex(report: ib.Report) -> str:
    """The answers for a paper, by the renderer of the command line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.tex"
        ib.write_report(report, ib.Output("latex", str(path), False))
        return path.read_text("utf-8")


def downloads(book: Book, document: dict[str, Any], rows: Sequence[dict[str, Any]], latex: str = "") -> None:
    """Write the same numbers as JSON, CSV, LaTeX, and Parquet where pyarrow is installed."""
    book.data("data/results.json", document)
    names = list(dict.fromkeys(key for row in rows for key in row))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_inert(row.get(name)) for name in names] for row in rows)
    book.file("data/results.csv", buffer.getvalue())
    files = [("results.json", "JSON, to the last bit"), ("results.csv", "CSV, SI units, a row per point")]
    if latex:
        book.file("data/results.tex", latex)
        files.append(("results.tex", "LaTeX, with the package booktabs"))
    parquet = _parquet(rows, names)
    if parquet:
        book.file("data/results.parquet", parquet)
        files.append(("results.parquet", "Parquet, the columns of the CSV"))
    sizes = [(name, what, (book.folder / "data" / name).stat().st_size) for name, what in files]
    book.write(
        "downloads.html",
        "downloads.html",
        "Downloads",
        files=sizes,
        provenance=document.get("provenance", {}),
    )


def _inert(value: object) -> object:
    """Text that a spreadsheet would run gets an apostrophe."""
    text = ib.visible(value) if isinstance(value, str) else ""
    return (
        f"'{text}"
        if text[:1] in ("=", "+", "-", "@", "\t", "|")
        else (text if isinstance(value, str) else value)
    )


def _plain(value: object, text: bool) -> object:
    """A value of a column: a text where its others are texts."""
    return str(value) if text and value is not None else value


def _parquet(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> bytes:
    try:
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
        from pyarrow.json import ReadOptions, read_json  # type: ignore[import-untyped]
    except ImportError:
        return b""
    texts = {name for name in names if any(isinstance(row.get(name), str) for row in rows)}
    lines = "\n".join(
        json.dumps({name: _plain(row.get(name), name in texts) for name in names}) for row in rows
    ).encode("utf-8")
    # Read from JSON: to make arrays of lists, pyarrow imports pandas, which takes longer than a page.
    table = read_json(io.BytesIO(lines), read_options=ReadOptions(block_size=len(lines) + 1))
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
