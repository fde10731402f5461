"""The site of some systems: overview, chips, workloads, comparison, methodology, validation, downloads."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

import inferbench as ib
from inferbench_site.pages import Book, Chart, address, rows_table, safe

__all__ = ["COLUMNS", "downloads", "flat", "site"]

MARKS = {"datasheet": "●", "published": "●", "measured": "◐", "estimate": "○", "missing": "–", "": ""}
COLUMNS = {
    "system": ("system", ""),
    "work": ("work", ""),
    "stack": ("software", ""),
    "grade": ("grade", ""),
    "precision": ("precision", ""),
    "batch": ("batch", "count"),
    "tokens_per_s_per_user": ("tokens/s per user", ""),
    "tokens_per_s_per_chip": ("tokens/s per chip", ""),
    "ttft_s": ("first token", "s"),
    "usd_per_mtok": ("$/Mtok, owned", ""),
    "usd_per_mtok_cloud": ("$/Mtok, rented", ""),
    "joules_per_token": ("J/token", "J"),
    "utilization": ("utilization", "%"),
    "algorithm": ("algorithm", "%"),
    "hardware": ("hardware", "%"),
    "software": ("software factor", "%"),
}
PER_CHIP = ("roofline", "breakdown", "factors", "memory")
PER_WORK = ("roofline", "cost", "energy", "memory")
GRID = ("1:256:x4", "512:32768:x4")


def site(
    known: ib.Registry,
    systems: Sequence[str],
    folder: Path,
    *,
    suite: str = "reference",
    stack: str = "best",
    scenario: str = "reference",
    validation: bool = True,
) -> int:
    """Write the site of some systems at a suite's workloads.

    Args:
        known: Installed plugins.
        systems: As for `compare`.
        folder: An empty folder, or none yet.
        suite, stack, scenario: As for `compare`.
        validation: Whether to score the installed measurements.

    Returns:
        How many pages there are.

    Raises:
        InferBenchError: Unknown names; nothing to draw with.
    """
    card = ib.card(systems, suite=suite, stack=stack, scenario=scenario, registry=known)
    found = card.comparison
    book = Book(folder, "InferBench")
    chips = [column.run for column in found.columns[0]]
    taken: set[str] = set()
    chip_pages = [f"chips/{address(_name(run), taken)}" for run in chips]
    taken = set()
    titles = [_title(work) for work in found.works]
    work_pages = [f"workloads/{address(title, taken)}" for title in titles]
    book.nav = {
        "": [("Overview", "index.html"), ("Compare", "compare.html")],
        "Systems": [(ib.short(_name(run), 40), page) for run, page in zip(chips, chip_pages, strict=True)],
        "Workloads": list(zip(titles, work_pages, strict=True)),
        "About": [("Methodology", "methodology.html"), ("Downloads", "downloads.html")],
    }
    if validation:
        book.nav["About"].insert(1, ("Validation", "validation.html"))
    book.assets()
    document = found.to_dict()
    rows = flat(document["results"], found)
    report = found.report()
    _overview(book, found, card, report, [*zip(chips, chip_pages, strict=True)])
    for place, (run, page) in enumerate(zip(chips, chip_pages, strict=True)):
        _chip(book, known, found, place, run, page)
    for place, (title, page) in enumerate(zip(titles, work_pages, strict=True)):
        mine = [row for row in rows if row["work"] == title]
        _work(book, found, place, title, page, rows_table(mine, _used(mine)))
    book.write("compare.html", "compare.html", "Compare", table=rows_table(rows, _used(rows)), rows=rows)
    book.write("methodology.html", "methodology.html", "Methodology", stacks=_stacks(found))
    if validation:
        _validation(book, known)
    downloads(book, document, rows, _latex(report))
    return book.pages


def _name(run: ib.Run) -> str:
    count = f"{run.system.count}×" if run.system.count > 1 else ""
    return f"{count}{run.system.chip.title}"


def _title(work: Any) -> str:
    return ib.short(work.title or work.workload, 60)


def flat(results: Sequence[dict[str, Any]], found: ib.Comparison) -> list[dict[str, Any]]:
    """Results as flat rows, each with the name of its work."""
    titles = [
        _title(work)
        for work, columns in zip(found.works, found.columns, strict=True)
        for column in columns
        for _ in column.run.points()
    ]
    return [_flat(row, title) for row, title in zip(results, titles, strict=True)]


def _flat(row: dict[str, Any], title: str) -> dict[str, Any]:
    nested = ("metrics", "memory", "unknown", "flags", "axes", "notes", "options", "outside")
    kept = {key: value for key, value in row.items() if key not in nested}
    return {"work": title, **kept, **row.get("axes", {}), **row["metrics"], **row["memory"]}


def _used(rows: Sequence[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Columns in which some row has a value."""
    return {name: head for name, head in COLUMNS.items() if any(row.get(name) is not None for row in rows)}


def _charts(answer: Any, names: Sequence[str], prefix: str) -> list[Chart]:
    """The pictures of an answer that can be drawn."""
    found = []
    for name in names:
        try:
            figure = answer.plot(name).figure
        except ib.InferBenchError:  # nothing of it is known: no price, no power
            continue
        if any(panel.layers for panel in figure.panels):
            found.append(Chart(figure, f"{prefix}-{name}"))
    return found


def _overview(
    book: Book,
    found: ib.Comparison,
    card: ib.Card,
    report: ib.Report,
    chips: Sequence[tuple[ib.Run, str]],
) -> None:
    charts = [Chart(card.plot("card").figure, "card"), *_charts(found, ("roofline",), "all")]
    systems = [
        {
            "name": _name(run),
            "page": page,
            "stack": run.stack.title,
            "grade": run.choice.grade,
            "vendor": run.system.chip.vendor,
        }
        for run, page in chips
    ]
    book.write(
        "index.html", "overview.html", "Overview", tables=report.tables, charts=charts, systems=systems
    )


def _only(found: ib.Comparison, place: int) -> ib.Comparison:
    """One system of a comparison."""
    columns = tuple((column[place],) for column in found.columns)
    return attrs.evolve(found, systems=(found.systems[place],), columns=columns)


def _chip(book: Book, known: ib.Registry, found: ib.Comparison, place: int, run: ib.Run, page: str) -> None:
    mine = _only(found, place)
    charts = _charts(mine, PER_CHIP, "chip")
    charts += _space(known, found.systems[place], run)
    facts = [
        {
            "path": path,
            "value": _value(fact),
            "mark": MARKS.get(fact.basis, ""),
            "basis": fact.basis,
            "source": fact.source.title if fact.source else "",
            "url": safe(fact.source.url) if fact.source else "",
            "note": fact.missing or fact.note,
        }
        for path, fact in run.system.chip.facts.items()
    ]
    rests = [
        {
            "work": _title(work),
            "stack": column[place].run.stack.title,
            "grade": _grades(column[place].run),
            "why": column[place].run.choice.why,
        }
        for work, column in zip(found.works, found.columns, strict=True)
    ]
    book.write(
        page,
        "chip.html",
        _name(run),
        chip=run.system.chip,
        facts=facts,
        rests=rests,
        charts=charts,
        tables=mine.tables(verbose=True),
        notes=mine.notes,
    )


GRADES = ("calibrated", "transferred", "class", "bound")


def _grades(run: ib.Run) -> str:
    return ", ".join(dict.fromkeys(GRADES[int(code)] for code in run.grade.ravel().tolist()))


def _value(fact: ib.Fact) -> str:
    value = fact.value
    if fact.missing or value is None:
        return "–"
    if isinstance(value, ib.Range):
        return f"{ib.show(value.low, fact.unit)} to {ib.show(value.high, fact.unit)}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ib.show(float(value), fact.unit)
    return ib.visible(str(value))


def _space(known: ib.Registry, name: str, run: ib.Run) -> list[Chart]:
    """The map of decode over batch and context."""
    work = f"{run.network.name}/decode" if run.phase == "decode" else f"{run.network.name}/{run.phase}"
    try:
        grid = ib.compare(
            [name], work, registry=known, precision=list(run.grid.precisions), batch=GRID[0], context=GRID[1]
        )
        return [Chart(grid.plot("space").figure, "chip-space")]
    except ib.InferBenchError:
        return []


def _work(book: Book, found: ib.Comparison, place: int, title: str, page: str, table: dict[str, Any]) -> None:
    one = attrs.evolve(found, works=(found.works[place],), columns=(found.columns[place],))
    work = found.works[place]
    book.write(
        page,
        "work.html",
        title,
        work=work,
        network=found.columns[place][0].run.network,
        charts=_charts(one, PER_WORK, "work"),
        table=table,
        tables=one.tables(),
        long=one.tables(verbose=True),
    )


def _stacks(found: ib.Comparison) -> list[dict[str, str]]:
    by: dict[str, dict[str, str]] = {}
    for run in found.runs:
        by[run.stack.name] = {
            "name": run.stack.name,
            "title": run.stack.title,
            "grade": run.choice.grade,
            "note": run.stack.note,
        }
    return list(by.values())


def _validation(book: Book, known: ib.Registry) -> None:
    try:
        found = ib.validate(registry=known)
    except ib.InferBenchError as error:
        book.write(
            "validation.html",
            "validation.html",
            "Validation",
            tables=(),
            charts=[],
            said=str(error),
            scored=0,
            count=0,
        )
        return
    charts = _charts(found, ("parity",), "validation") if any(row.scored for row in found.rows) else []
    book.write(
        "validation.html",
        "validation.html",
        "Validation",
        tables=found.report().tables,
        charts=charts,
        said="",
        scored=sum(row.scored for row in found.rows),
        count=len(found.rows),
    )


def _latex(report: ib.Report) -> str:
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
