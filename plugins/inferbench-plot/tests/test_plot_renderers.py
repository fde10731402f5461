"""Every renderer shows hostile text as text, fits its place, and is told by its extension."""

from __future__ import annotations

import json
import re
import struct
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from inferbench_plot.draw import files, pages, terminal
from inferbench_plot.draw.look import PALETTE, extent, readable, ticks, written

import inferbench as ib

HOSTILE = {
    "script": "</script><script>alert(1)</script>",
    "image": '"><img src=x onerror=alert(1)>',
    "link": '<a href="javascript:alert(1)">x</a>',
    "escape": "\x1b]0;owned\x07\x1b[31mred",
    "turned": "\u202egnp.exe",
    "dollars": r"$\frac{1}{0$ & 50% #1 _x_ \input{/etc/passwd}",
    "markup": "[bold]loud[/bold]",
    "long": "A" * 10_000,
}
SVG = "{http://www.w3.org/2000/svg}"


def figure(text: str = "plain") -> ib.Figure:
    """Every kind of layer, with a text in every place."""
    dots = ib.Dots(text, [1.0, 2.0], [3.0, 4.0], [2.5, 3.5], [3.5, 4.5], texts=[text, ""], said=[text, text])
    line = ib.Line(
        text, [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 5.0], [0.5, 1.0, 2.0, 4.0], [2.0, 3.0, 4.0, 6.0], colour=1
    )
    names = ib.Scale(names=(text, "other"))
    bars = (
        ib.Bars(text, [1.0, 2.0], texts=[text, ""], colour=0),
        ib.Bars("b", [1.0, 1.0], [1.0, 2.0], [1.5, 2.5], [2.5, 3.5], colour=1),
    )
    heat = ib.Heat(
        ((0.0, 1.0), (1.0, float("nan"))), (("90 %", "80 %"), ("70 %", "")), (text, "B"), ((True, False),) * 2
    )
    shares = ib.Heat(((0.1, 0.9), (0.5, float("nan"))), (("10", "90"), ("50", "")))
    x = ib.Scale(text, "s", log=True)
    panels = (
        ib.Panel(
            x,
            ib.Scale(text, "OP/s", log=True),
            (line, dots, ib.Rule(text, 2.0), ib.Rule("", axis="both")),
            text,
        ),
        ib.Panel(ib.Scale(text, "J", low=0.0), names, bars, text),
        ib.Panel(names, names, (heat,), text),
        ib.Panel(names, names, (shares,), text),
    )
    return ib.Figure("f", text, panels, footer=(text,), notes=(text,))


def report(text: str) -> ib.Report:
    table = ib.Table(
        text, (ib.Cell(""), ib.Cell(text)), ((ib.Cell(text), ib.Cell("1 %", (text,))),), text, legend=(text,)
    )
    return ib.Report((table,), figures=(figure(text),))


class Page(HTMLParser):
    """Elements, and attributes that act."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.acting: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.acting += [
            f"{name}={value}"
            for name, value in attrs
            if name.startswith("on") or (name in ("href", "src") and "javascript:" in (value or ""))
        ]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_picture_in_a_file_shows_it_as_text(text):
    drawn = files.renderer("svg").render(report(text), 0)
    root = ElementTree.fromstring(drawn)
    assert {"script", "image", "a"}.isdisjoint({node.tag.removeprefix(SVG) for node in root.iter()})
    shown = " ".join(node.text or "" for node in root.iter(f"{SVG}text"))
    assert ib.visible(text)[:8] in shown
    assert root.find(f"{SVG}desc").text.startswith(ib.visible(text)[:20])
    assert files.renderer("png").render(report(text), 0).startswith(b"\x89PNG")
    assert files.renderer("pdf").render(report(text), 0).startswith(b"%PDF")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_page_gets_no_element_and_no_action_of_it(text):
    drawn = pages.RENDERER.render(report(text), 0)
    page = Page()
    page.feed(drawn)
    assert page.acting == []
    assert page.tags.count("script") == 2
    assert not {"img", "a", "iframe", "link"} & set(page.tags)
    charts = json.loads(re.search(r"const CHARTS = (\[.*?\]);\n\nconst dark", drawn, re.S)[1])
    assert len(charts) == 4
    for label in (label for one in charts for label in one["labels"]):
        assert ib.visible(text)[:8] in label.pop("said")  # is measured, never shown
    assert "<" not in json.dumps(charts).replace("<br>", "")  # between the lines of a category's name


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_terminal_is_told_no_command_and_nothing_is_wider(text, width):
    drawn = terminal.RENDERER.render(report(text), width)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", drawn)
    assert max(map(len, drawn.splitlines())) <= width
    assert ib.visible(text)[:8] in drawn


def test_a_terminal_that_is_too_narrow_is_one_message():
    with pytest.raises(ib.InferBenchError, match="has 33 columns, and a picture needs 34"):
        terminal.RENDERER.render(report("plain"), 33)


def test_a_terminal_shows_intervals_beside_categories():
    """From 1 to 9 of 0 to 10, in the middle of which the mark stands: eight tenths of the row."""
    dots = ib.Dots("d", [5.0], [0.0], [1.0], [9.0])
    panel = ib.Panel(ib.Scale(low=0.0, high=10.0), ib.Scale(names=("chip",)), (dots,))
    drawn = terminal.RENDERER.render(ib.Report((), figures=(ib.Figure("f", "F", (panel,)),)), 80)
    (row,) = [line for line in drawn.splitlines() if "●" in line and "chip" in line]
    plot = row.split("┤")[1]
    left, right = plot.split("●")
    assert set(left.strip() + right.strip()) <= set("⠒⠐⠂")
    assert abs(len(left.strip()) - len(right.strip())) <= 1
    assert abs(len(left.strip() + right.strip()) / (80 - len("chip ┤") - 1) - 0.8) < 0.05


def test_a_terminal_shows_small_shares_as_they_are_said():
    heat = ib.Heat(((0.0028, 0.5),), (("0.28", "50"),))
    panel = ib.Panel(ib.Scale(names=("1", "2")), ib.Scale(names=("8k",)), (heat,))
    drawn = terminal.RENDERER.render(ib.Report((), figures=(ib.Figure("f", "F", (panel,)),)), 80)
    assert "░0.28" in drawn
    assert "▒50" in drawn


def test_a_legend_shows_the_marks_that_the_plot_has():
    layers = tuple(ib.Dots(f"d{i}", [1.0], [0.0], colour=i, marker=i, hollow=i == 4) for i in range(10))
    panel = ib.Panel(ib.Scale(), ib.Scale(names=("a",)), layers)
    drawn = files.figure_of(ib.Figure("f", "F", (panel,)))
    keys = [one for one in drawn.artists if hasattr(one, "get_marker")]
    (axes,) = drawn.axes
    marks = [one for one in axes.lines if one.get_marker() not in ("None", "", None)]

    def look(mark):
        colours = mark.get_markerfacecolor(), mark.get_markeredgecolor()
        return mark.get_marker(), mark.get_markersize(), mark.get_markeredgewidth(), *colours

    assert len(keys) == 10
    assert [look(key) for key in keys] == [look(mark) for mark in marks]


def test_the_script_of_pages_is_the_package_s_and_nothing_is_loaded():
    drawn = pages.RENDERER.render(report("plain"), 0)
    assert "<script src" not in drawn
    assert "default-src 'none'" in drawn
    assert drawn.count("plotly.js v") >= 1


def test_a_png_has_the_pixels_of_two_columns_at_most_and_words():
    drawn = files.renderer("png").render(report("plain"), 0)
    width, _ = struct.unpack(">II", drawn[16:24])
    assert width == 1003  # 85 mm at 300 dots per inch
    assert b"Description" in drawn


def test_the_same_figure_is_the_same_file():
    assert files.renderer("svg").render(report("a"), 0) == files.renderer("svg").render(report("a"), 0)


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_first_colours_stand_out_from_white_paper():
    """Contrast of 3 to 1 is what WCAG asks of graphics; later colours come with markers."""
    assert all(1.05 / (luminance(colour) + 0.05) >= 3.0 for colour in PALETTE[:3])


@pytest.mark.parametrize(("dark", "paper"), [(False, "#ffffff"), (True, "#14171b")])
def test_texts_in_a_series_colour_can_be_read(dark, paper):
    """Contrast of 4.5 to 1 is what WCAG asks of texts."""
    for colour in PALETTE:
        light, faint = sorted((luminance(readable(colour, dark)), luminance(paper)), reverse=True)
        assert (light + 0.05) / (faint + 0.05) >= 4.49


def test_ticks_are_round_and_few():
    for low, high in ((0.3, 7e15), (1.0, 40.0), (2e-6, 3e-5)):
        found = ticks(low, high, True)
        assert 1 <= len(found) <= 7
        assert all(low <= value <= high for value in found)
    assert [written(v, "s") for v in (1e-6, 0.25, 30.0)] == ["1 µs", "250 ms", "30 s"]
    assert [written(v, "OP/s") for v in (1e12, 2.5e15)] == ["1T", "2.5P"]


@pytest.mark.parametrize(
    ("axis", "wide", "close"), [("x", (1.0, 50.0), (2.0, 4.0)), ("y", (2.0, 50.0), (1.0, 3.0))]
)
def test_a_limit_beyond_the_marks_is_inside_its_own_axis_alone(axis, wide, close):
    panel = ib.Panel(ib.Scale(), ib.Scale(), (ib.Dots("", [1.0, 3.0], [2.0, 4.0]), ib.Rule("", 50.0, axis)))
    room = 0.06 * (wide[1] - wide[0])
    assert extent(panel, axis) == pytest.approx((wide[0] - room, wide[1] + room))
    low, high = extent(panel, "y" if axis == "x" else "x")
    assert (low, high) == pytest.approx((close[0] - 0.12, close[1] + 0.12))
