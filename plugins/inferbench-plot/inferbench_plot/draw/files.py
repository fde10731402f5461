"""Pictures in files, through Matplotlib: a column of a paper wide, 85 mm, with text of 5 points and more.

Everything is laid out in inches first: panels have fixed sizes below each other, then legend and footer.
"""

from __future__ import annotations

import io
import re
import warnings
from html import escape
from typing import Any

import attrs

import inferbench as ib
from inferbench_plot.draw.look import HATCHES, MARKERS, colour, wrapped
from inferbench_plot.draw.panel import drawn, mark, panel_size
from inferbench_plot.draw.sheet import COLUMN, DPI, LABEL, POINT, RIGHT, SMALL, TITLE, TOP, Sheet

__all__ = ["figure_of", "renderer"]

SETTINGS: Any = {
    "text.parse_math": False,  # a dollar sign is a dollar sign
    "svg.fonttype": "none",
    "svg.hashsalt": "inferbench",
    "pdf.fonttype": 42,
    "hatch.linewidth": 0.4,
    "font.family": ["DejaVu Sans"],
    "axes.unicode_minus": True,
}


def renderer(suffix: str) -> ib.Renderer:
    """The renderer of one kind of file: `png`, `svg` or `pdf`."""

    def render(report: ib.Report, width: int) -> str | bytes:
        return written_as(report.figures[0], suffix)

    return ib.Renderer(suffix, render, (suffix,), draws=True)


def written_as(figure: ib.Figure, suffix: str) -> str | bytes:
    """A figure as the content of a file."""
    import matplotlib

    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks is drawn as a box
        page = figure_of(figure)
        buffer = io.BytesIO()
        kinds: dict[str, Any] = {
            "png": {"Title": figure.title, "Description": figure.alt},
            "pdf": {"Title": figure.title, "Subject": figure.alt, "CreationDate": None},
            "svg": {"Date": None},
        }
        page.savefig(buffer, format=suffix, dpi=DPI, metadata=kinds[suffix])
    if suffix != "svg":
        return buffer.getvalue()
    return _with_alt(buffer.getvalue().decode("utf-8"), figure)


def _with_alt(text: str, figure: ib.Figure) -> str:
    """Give an SVG the words that a screen reader says."""
    said = f"<title>{escape(figure.title)}</title><desc>{escape(figure.alt)}</desc>"
    return re.sub(r"(<svg\b[^>]*)>", lambda m: f'{m[1]} role="img">{said}', text, count=1, flags=re.S)


def figure_of(figure: ib.Figure) -> Any:
    """Lay a figure out and draw it.

    Raises:
        InferBenchError: Matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Page

    across = max(1, min(2, figure.columns))
    whole = COLUMN * across
    page = Page(figsize=(whole, 3.0), dpi=DPI, facecolor="white")
    canvas: Any = FigureCanvasAgg(page)
    sheet = Sheet(page, canvas.get_renderer())
    heads = _lines(sheet, [ib.short(figure.title, 160)], TITLE, whole - 0.16, bold=True)
    cells = [_cell(sheet, panel, whole) for panel in figure.panels]
    rows = [cells[i : i + across] for i in range(0, len(cells), across)]
    foot = _lines(sheet, [*_foot(figure, sheet)], SMALL, whole - 0.16)
    total = TOP + len(heads) * TITLE * 1.3 * POINT + 0.05
    total += sum(max(cell.height for cell in row) for row in rows)
    total += 0.1 + len(foot) * SMALL * 1.35 * POINT + 0.06
    page.set_size_inches(whole, total)
    y = total - TOP
    for line in heads:
        page.text(0.08 / whole, y / total, line, fontsize=TITLE, fontweight="bold", va="top")
        y -= TITLE * 1.3 * POINT
    y -= 0.05
    for row in rows:
        for place_, cell in enumerate(row):
            _set(page, cell, place_ * COLUMN, y, (whole, total))
        y -= max(cell.height for cell in row)
    y -= 0.1
    for line in foot:
        page.text(0.08 / whole, y / total, line, fontsize=SMALL, color="#404040", va="top")
        y -= SMALL * 1.35 * POINT
    return page


@attrs.frozen(eq=False)
class Cell:
    """A panel that was drawn, and the room that it takes: inches."""

    panel: ib.Panel
    axes: Any
    left: float
    below: float
    plot: tuple[float, float]
    legend: list[list[tuple[Any, str]]]

    @property
    def head(self) -> float:
        """Room of the title."""
        return 0.2 if self.panel.title else 0.05

    @property
    def height(self) -> float:
        """Of everything."""
        keys = len(self.legend) * LABEL * 1.5 * POINT
        return self.head + self.plot[1] + self.below + keys + (0.08 if keys else 0.03)


def _cell(sheet: Sheet, panel: ib.Panel, whole: float) -> Cell:
    left, below, height = panel_size(sheet, panel)
    width = COLUMN - left - RIGHT
    axes = sheet.page.add_axes((0.1, 0.1, 0.5, 0.5))
    axes.set_position((left / whole, 0.1, width / whole, height / 3.0))
    return Cell(panel, axes, left, below, (width, height), drawn(sheet, axes, panel, (width, height)))


def _set(page: Any, cell: Cell, x: float, y: float, whole: tuple[float, float]) -> None:
    """Move a panel to its place: its upper left corner, in inches."""
    if cell.panel.title:
        text = ib.short(cell.panel.title, 62)
        page.text((x + 0.08) / whole[0], (y - 0.05) / whole[1], text, fontsize=LABEL + 0.5, va="top")
    y -= cell.head + cell.plot[1]
    box = ((x + cell.left) / whole[0], y / whole[1], cell.plot[0] / whole[0], cell.plot[1] / whole[1])
    cell.axes.set_position(box)
    y -= cell.below
    for entries in cell.legend:
        _legend_line(page, entries, (x, y), whole)
        y -= LABEL * 1.5 * POINT


def _foot(figure: ib.Figure, sheet: Sheet) -> list[str]:
    notes = [ib.short(note, 240) for note in figure.notes]
    left = dict.fromkeys(sheet.unlabelled)
    room = [f"No room to label: {ib.short(', '.join(left), 160)}."] if left else []
    return [*notes, *room, *(ib.short(line, 320) for line in figure.footer)]


def _lines(sheet: Sheet, texts: list[str], points: float, width: float, bold: bool = False) -> list[str]:
    """Texts folded to a width in inches."""
    found: list[str] = []
    for text in texts:
        each = sheet.size("x" * 20, points, bold)[0] / 20
        count = int(width / each * 1.06)
        lines = wrapped([text], count)
        while any(sheet.size(line, points, bold)[0] > width for line in lines) and count > 10:
            count -= 2
            lines = wrapped([text], count)
        found += lines
    return found


def _legend_line(
    page: Any, entries: list[tuple[Any, str]], at: tuple[float, float], whole: tuple[float, float]
) -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    x, font = at[0] + 0.1, FontProperties(family="DejaVu Sans", size=LABEL)
    middle = at[1] - LABEL * 0.75 * POINT
    measure = page.canvas.get_renderer()
    several = len(entries) > 1
    for layer, text in entries:
        tone = colour(layer.colour)
        if isinstance(layer, ib.Bars):
            hatch = (
                HATCHES[layer.colour % len(HATCHES)] if layer.values and several and layer.colour >= 0 else ""
            )
            box = (x / whole[0], (middle - 0.035) / whole[1]), 0.1 / whole[0], 0.07 / whole[1]
            page.add_artist(
                Rectangle(
                    *box,
                    facecolor=tone,
                    edgecolor="white",
                    hatch=hatch,
                    linewidth=0.3,
                    transform=page.transFigure,
                )
            )
        else:
            line = isinstance(layer, ib.Line)
            look = (
                {"marker": MARKERS[layer.colour % len(MARKERS)], "markersize": 2.5, "markeredgecolor": tone}
                if line
                else mark(layer)
            )
            page.add_artist(
                Line2D(
                    [x / whole[0], (x + 0.1) / whole[0]] if line else [(x + 0.05) / whole[0]],
                    [middle / whole[1]] * (2 if line else 1),
                    color=tone,
                    linewidth=1.0 if line else 0.0,
                    **look,
                    transform=page.transFigure,
                )
            )
        page.text((x + 0.14) / whole[0], middle / whole[1], text, fontsize=LABEL, va="center")
        x += measure.get_text_width_height_descent(text, font, False)[0] / DPI + 0.26
