"""The pages: templates, addresses, tables and charts as data; every text is escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from inferbench_plot.draw.pages import chart, embedded, labelling, script, sketching

import inferbench as ib

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Book", "Chart", "address", "rows_table", "safe"]

_SAFE = re.compile(r"https?://[^\s<>\"'\x00-\x20]+", re.IGNORECASE)


def address(name: str, taken: set[str]) -> str:
    """A file name for a page: letters, digits and dashes, and not one that is taken.

    Example:
        >>> address("8×TPU v5p", set()), address("../../etc", {"etc.html"})
        ('8-tpu-v5p.html', 'etc-2.html')
    """
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower().replace("×", "x-")).strip("-")[:60] or "page"
    stem = stem.replace("x-", "-", 1) if stem[:1].isdigit() and "×" in name else stem
    stem = re.sub(r"-+", "-", stem)
    found, count = f"{stem}.html", 1
    while found in taken:
        count += 1
        found = f"{stem}-{count}.html"
    taken.add(found)
    return found


def safe(url: str) -> str:
    """An address that may be linked to: http and https alone; empty for all else.

    Example:
        >>> safe("https://example.com/a?b=1"), safe("javascript:alert(1)"), safe("//x")
        ('https://example.com/a?b=1', '', '')
    """
    return url if _SAFE.fullmatch(url) else ""


@attrs.frozen(slots=False)
class Chart:
    """A figure on a page.

    Attributes:
        figure: What it shows.
        key: Of its elements on the page.
    """

    figure: ib.Figure
    key: str

    @property
    def panels(self) -> list[dict[str, Any]]:
        """Titles of the panels, with the ids and heights of their elements."""
        return [
            {"title": panel.title, "id": f"{self.key}-{i}", "height": drawn["layout"]["height"]}
            for i, (panel, drawn) in enumerate(zip(self.figure.panels, self.charts, strict=True))
        ]

    @cached_property
    def charts(self) -> list[dict[str, Any]]:
        """What a page draws, of each panel."""
        return [chart(panel) for panel in self.figure.panels]

    @property
    def data(self) -> str:
        """The same as JSON that can stand in a script element."""
        return embedded(self.charts)

    @cached_property
    def marks(self) -> tuple[dict[str, Any], ...]:
        """The figure's marks as flat records."""
        return self.figure.rows

    @property
    def columns(self) -> list[str]:
        """Columns of the same numbers as a table."""
        return list(dict.fromkeys(key for row in self.marks for key in row))

    @property
    def rows(self) -> list[list[str]]:
        """The marks, written."""
        columns = self.columns
        return [[_text(row.get(column)) for column in columns] for row in self.marks[:400]]


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ib.show(value) if isinstance(value, int | float) else ib.visible(str(value))


def rows_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """A table that can be sorted and filtered: flat rows, and of each column its title and unit."""
    right = {name: any(_number(row.get(name)) for row in rows) for name in columns}
    cells = []
    for row in rows:
        line = []
        for name, (_, unit) in columns.items():
            value = row.get(name)
            number = _number(value)
            text = _written(float(value), unit) if number else _text(value)  # type: ignore[arg-type]
            ends = _ends(row.get(f"{name}_low"), row.get(f"{name}_high"), unit)
            line.append(
                {
                    "text": text,
                    "ends": ends,
                    "sort": value if number else "",
                    "number": number,
                    "right": right[name],
                }
            )
        cells.append(line)
    heads = [{"text": title, "right": right[name]} for name, (title, _) in columns.items()]
    return {"heads": heads, "rows": cells}


def _ends(low: Any, high: Any, unit: str) -> str:
    """An interval as it stands below its number."""
    if not (_number(low) and _number(high)):
        return ""
    if unit == "%":
        return f"[{ib.show(100 * low, digits=2)}–{ib.show(100 * high, digits=2)} %]"
    return f"[{ib.show(low, unit, digits=2)}–{ib.show(high, unit, digits=2)}]"


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _written(value: float, unit: str) -> str:
    if unit == "odds":
        return "< 1 %" if value < 0.01 else "> 99 %" if value > 0.99 else f"{100 * value:.0f} %"
    if unit == "%":
        return f"{ib.show(100 * value)} %"
    return f"{value:,.0f}" if unit == "count" else ib.show(value, unit)


@cache
def environment() -> Environment:
    """Jinja with every text escaped.

    Raises:
        InferBenchError: Jinja is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        found, remedy = "needs Jinja, which is not installed", "pip install 'inferbench-core[site]'"
        raise ib.InferBenchError.at("report", found, remedy) from None
    made = Environment(
        loader=PackageLoader("inferbench_site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["visible"] = lambda text: ib.visible(str(text))
    made.filters["safe_url"] = lambda text: safe(str(text))
    made.filters["count"] = lambda value: (
        f"{value:,.0f}" if isinstance(value, int | float) else ib.visible(str(value))
    )
    made.globals["version"] = ib.__version__
    return made


@attrs.define(eq=False)
class Book:
    """A site while it is written.

    Attributes:
        folder: Where it goes.
        title: Of the site.
        nav: Groups of links: heading to (title, address from the root) pairs.
    """

    folder: Path
    title: str
    nav: dict[str, list[tuple[str, str]]] = attrs.field(factory=dict)
    pages: int = 0

    def write(self, path: str, template: str, title: str, **values: Any) -> None:
        """Write a page; `path` is relative to the site's root."""
        root = "../" * path.count("/")
        drawn = (
            environment()
            .get_template(template)
            .render(title=ib.visible(title), site=self.title, nav=self.nav, here=path, root=root, **values)
        )
        self.file(path, drawn)
        self.pages += 1

    def file(self, path: str, content: str | bytes) -> None:
        """Write any file."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))

    def data(self, path: str, document: object) -> None:
        """Write JSON."""
        self.file(path, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")

    def assets(self) -> None:
        """Write the style, the script, and Plotly's own."""
        style, acting = (
            (files(__package__) / "assets" / f"site.{end}").read_text("utf-8") for end in ("css", "js")
        )
        self.file("assets/site.css", style)
        self.file("assets/site.js", labelling() + sketching() + acting)
        self.file("assets/plotly.min.js", script())
