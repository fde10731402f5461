"""Drawings stay as they were approved: a reader looked at each, and a change shows here line by line.

`INFERBENCH_APPROVE=1 pytest plugins/inferbench-plot/tests/test_plot_approved.py` writes them anew. Look at
the pictures of `python plugins/inferbench-plot/tests/pictured.py FOLDER` before you commit them.
"""

from __future__ import annotations

import json
import os
import runpy
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
from inferbench_plot.draw.files import figure_of
from inferbench_plot.draw.terminal import drawn
from inferbench_plot.draw.traces import chart

import inferbench as ib

FIGURES = runpy.run_path(str(Path(__file__).with_name("pictured.py")))["FIGURES"]
APPROVED = Path(__file__).parent / "approved"
NEAR = 0.02
"""Inches by which places may differ: fonts are measured a little differently between versions."""


def approved(file: str, found: str) -> str:
    """The approved text of a file; what was found, where it is to be approved."""
    path = APPROVED / file
    if os.environ.get("INFERBENCH_APPROVE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def written(data: object) -> str:
    """Data with a line per part."""
    return "[\n" + ",\n".join(json.dumps(one, ensure_ascii=False) for one in data) + "\n]\n"


@pytest.mark.parametrize("width", [64, 120])
@pytest.mark.parametrize("name", FIGURES)
def test_a_terminal_shows_what_was_approved(name, width):
    found = drawn(ib.Report((), figures=(FIGURES[name],)), width)
    assert found == approved(f"{name}-{width}.txt", found)


@pytest.mark.parametrize("name", FIGURES)
def test_a_page_shows_what_was_approved(name):
    found = [
        {part: one}
        for panel in FIGURES[name].panels
        for part, ones in chart(panel).items()
        for one in (ones if isinstance(ones, list) else [ones])
    ]
    assert changes(f"{name}.page.json", found, 1e-9) == []


# Where texts decide what has room, the other sheets differ between versions of matplotlib.
@pytest.mark.parametrize("name", ["crowd", "maps"])
def test_paper_shows_what_was_approved(name):
    found = list(parts(figure_of(FIGURES[name])))
    assert changes(f"{name}.paper.json", found, NEAR) == []


def changes(file: str, found: list, near: float) -> list:
    """Pairs of parts that are not as they were approved."""
    text = written(found)
    pairs = zip_longest(json.loads(text), json.loads(approved(file, text)))
    return [(one, other) for one, other in pairs if not close(one, other, near)]


def close(one: object, other: object, near: float) -> bool:
    """Whether two trees of plain data are equal, numbers nearly so."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key], near) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(close(a, b, near) for a, b in zip(one, other, strict=True))
    if isinstance(one, float | int) and isinstance(other, float | int):
        return abs(one - other) <= near
    return one == other


def parts(page):
    """What is drawn on a sheet, with places in inches: texts, lines and areas."""
    page.canvas.draw()
    yield {"sheet": page.get_size_inches().tolist()}
    yield from (text(one, page) for one in page.texts)
    yield from (mark(one, page) for one in page.artists)
    for axes in page.axes:
        box = axes.get_position()
        yield {"axes": inches(page, [(box.x0, box.y0), (box.x1, box.y1)], page.transFigure)}
        yield {"scales": [axes.get_xscale(), *axes.get_xlim(), axes.get_yscale(), *axes.get_ylim()]}
        for axis in (axes.xaxis, axes.yaxis):
            shown = [one for one in axis.get_ticklabels() if one.get_text()]
            yield from (text(one, page) for one in (*shown, axis.label) if one.get_text())
            yield {"grid": [one.get_linewidth() for one in axis.get_gridlines() if one.get_visible()][:1]}
        yield {"frame": [side for side, spine in axes.spines.items() if spine.get_visible()]}
        yield from (text(one, page) for one in axes.texts)
        yield from (mark(one, page) for one in (*axes.lines, *axes.patches, *axes.collections))


def inches(page, points, transform):
    """Points in inches from the lower left corner of the sheet."""
    found = np.asarray(transform.transform(np.asarray(points, dtype=float))) / page.dpi
    return np.where(np.isfinite(found), found.round(3), -1.0).tolist()


def text(one, page):
    box = one.get_window_extent(page.canvas.get_renderer())
    at = [round(value / page.dpi, 3) for value in (box.x0, box.y0)]
    look = [one.get_fontsize(), str(one.get_color()), one.get_weight(), one.get_ha(), one.get_va()]
    behind = one.get_bbox_patch()
    return {"text": one.get_text(), "at": at, "look": [*look, behind and behind.get_alpha()]}


def mark(one, page):
    """A line, a rectangle or a band."""
    from matplotlib.colors import to_hex
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    kind = {"kind": type(one).__name__, "order": one.get_zorder(), "alpha": one.get_alpha()}
    if isinstance(one, Line2D):
        style = [str(one.get_linestyle()), one.get_linewidth(), to_hex(one.get_color()), *one._dash_pattern]
        marker = [str(one.get_marker()), one.get_markersize(), one.get_markeredgewidth()]
        colours = [to_hex(one.get_markerfacecolor()), to_hex(one.get_markeredgecolor())]
        return {
            **kind,
            "at": inches(page, one.get_xydata(), one.get_transform()),
            "look": [*style, *marker, *colours],
        }
    if isinstance(one, Patch):
        box = one.get_window_extent(page.canvas.get_renderer())
        at = [round(value / page.dpi, 3) for value in (box.x0, box.y0, box.x1, box.y1)]
        return {
            **kind,
            "at": at,
            "look": [to_hex(one.get_facecolor()), one.get_hatch() or "", one.get_linewidth()],
        }
    return {**kind, "look": [float(one.get_linewidth()[0])]}
