"""The site of some systems: overview, chips, workloads, comparison, methodology, validation, downloads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

import inferbench as ib
from inferbench_site.downloads import downloads, latex
from inferbench_site.pages import Book, Chart, address, rows_table, safe
from inferbench_site.pairs import PICTURES, Pair, pairs, write_pair

__all__ = ["COLUMNS", "flat", "site"]

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
    "wall_joules_per_token": ("J/token, wall", "J"),
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
    links: Sequence[tuple[str, str]] = (),
) -> int:
    """Write the site of some systems at a suite's workloads.

    Args:
        known: Installed plugins.
        systems: As for `compare`.
        folder: An empty folder, or none yet.
        suite, stack, scenario: As for `compare`.
        validation: Whether to score the installed measurements.
        links: Further pages for the navigation: titles and addresses from the site's root.

    Returns:
        How many pages there are.

    Raises:
        InferBenchError: Unknown names; nothing to draw with.
    """
    card = ib.card(systems, suite=suite, stack=stack, scenario=scenario, registry=known)
    found = card.comparison
    book = Book(folder, "InferBench")
    chips = [column.run for column in found.columns[0]]
    at = _addresses([_name(run) for run in chips], "chips")
    works = _addresses([_title(work) for work in found.works], "workloads")
    about = ["Methodology", *(["Validation"] if validation else []), "Downloads"]
    book.nav = {
        "": [("Overview", "index.html"), ("Compare", "compare.html")],
        "Systems": [(ib.short(name, 40), page) for name, page in at],
        "Workloads": works,
        "About": [*((name, f"{name.lower()}.html") for name in about), *links],
    }
    book.assets()
    document = found.to_dict()
    rows = flat(document["results"], found)
    report = found.report()
    _overview(book, found, card, report, [*zip(chips, (page for _, page in at), strict=True)])
    _systems(book, known, found, rows, at)
    for place, (title, page) in enumerate(works):
        mine = [row for row in rows if row["work"] == title]
        _work(book, found, place, title, page, rows_table(mine, _used(mine)))
    book.write("methodology.html", "methodology.html", "Methodology", stacks=_stacks(found))
    if validation:
        _validation(book, known)
    downloads(book, document, rows, latex(report))
    return book.pages


def _addresses(names: Sequence[str], folder: str) -> list[tuple[str, str]]:
    """Names with the addresses of their pages."""
    taken: set[str] = set()
    return [(name, f"{folder}/{address(name, taken)}") for name in names]


def _systems(
    book: Book,
    known: ib.Registry,
    found: ib.Comparison,
    rows: Sequence[dict[str, Any]],
    at: Sequence[tuple[str, str]],
) -> None:
    """Write a page per system and per pair, and the table of all."""
    two = pairs([name for name, _ in at])
    chips = [column.run for column in found.columns[0]]
    maps = [_map(known, name, run) for name, run in zip(found.systems, chips, strict=True)]
    for place, (_, page) in enumerate(at):
        _chip(book, found, place, page, maps[place], _others(two, place))
    for pair in two:
        places = pair.first, pair.second
        both = _only(found, *places)
        charts = _charts(both, PICTURES, "pair") + _spaces([maps[place] for place in places], "pair")
        write_pair(book, pair, both, rows, [at[place] for place in places], charts)
    others = {name: _others(two, place) for place, (name, _) in enumerate(at)}
    table = rows_table(rows, _used(rows))
    book.write("compare.html", "compare.html", "Compare", table=table, rows=rows, pairs=others)


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


def _only(found: ib.Comparison, *places: int) -> ib.Comparison:
    """Some systems of a comparison."""
    columns = tuple(tuple(column[place] for place in places) for column in found.columns)
    return attrs.evolve(found, systems=tuple(found.systems[place] for place in places), columns=columns)


def _others(two: Sequence[Pair], place: int) -> list[tuple[str, str]]:
    """Systems that one has a page with, and those pages."""
    mine = [pair for pair in two if place in (pair.first, pair.second)]
    return [(pair.names[0] if pair.second == place else pair.names[1], pair.page) for pair in mine]


def _chip(
    book: Book,
    found: ib.Comparison,
    place: int,
    page: str,
    space: ib.Comparison | None,
    others: Sequence[tuple[str, str]],
) -> None:
    mine, run = _only(found, place), found.columns[0][place].run
    charts = _charts(mine, PER_CHIP, "chip") + _spaces([space], "chip")
    facts = _facts(run.system.chip)
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
        tables=[table for table in mine.tables(verbose=True) if table.rows],
        notes=mine.notes,
        others=others,
    )


GRADES = ("calibrated", "transferred", "class", "bound")


def _grades(run: ib.Run) -> str:
    return ", ".join(dict.fromkeys(GRADES[int(code)] for code in run.grade.ravel().tolist()))


def _facts(chip: ib.Chip) -> list[dict[str, str]]:
    """Every number of a chip's spec with its source; its title and maker stand above."""
    return [
        {
            "path": path,
            "value": _value(path, fact),
            "mark": MARKS.get(fact.basis, ""),
            "basis": fact.basis,
            "source": fact.source.title if fact.source else "",
            "url": safe(fact.source.url) if fact.source else "",
            "note": fact.missing or fact.note,
        }
        for path, fact in chip.facts.items()
        if path not in ("title", "vendor", "source")
    ]


def _value(path: str, fact: ib.Fact) -> str:
    value = fact.value
    if fact.missing or value is None:
        return "–"
    if isinstance(value, ib.Range):
        low, high = ib.show(value.low, fact.unit), ib.show(value.high, fact.unit)
        return low if low == high else f"{low} to {high}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if not fact.unit and float(value).is_integer():
            return f"{value:.0f}" if path.endswith("year") else f"{value:,.0f}"
        return ib.show(float(value), fact.unit)
    return ib.visible(str(value))


def _map(known: ib.Registry, name: str, run: ib.Run) -> ib.Comparison | None:
    """One system over batch and context, of as many chips as on the rest of its page; None without both."""
    work = f"{run.network.name}/{run.phase}"
    if run.system.count > 1 and not re.match(r"\d+x", name):
        name = f"{run.system.count}x{name}"
    formats = list(run.grid.precisions)
    try:
        return ib.compare([name], work, registry=known, precision=formats, batch=GRID[0], context=GRID[1])
    except ib.InferBenchError:
        return None


def _spaces(maps: Sequence[ib.Comparison | None], key: str) -> list[Chart]:
    """The map of some systems, over the same grid."""
    grids = [one for one in maps if one is not None]
    if len(grids) < len(maps):
        return []
    columns = tuple(one.columns[0][0] for one in grids)
    joint = attrs.evolve(grids[0], systems=tuple(one.systems[0] for one in grids), columns=(columns,))
    return _charts(joint, ("space",), key)


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
