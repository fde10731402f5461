"""Labels never lie on each other, however crowded a picture is."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inferbench_plot.draw.files import figure_of
from inferbench_plot.draw.look import strokes
from inferbench_plot.draw.place import Box, Label, place, sampled
from inferbench_plot.draw.sheet import COLUMN

import inferbench as ib

INSIDE = Box(0.0, 0.0, 400.0, 300.0)
spots = st.tuples(st.floats(0, 400), st.floats(0, 300))


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly
@given(st.lists(st.tuples(spots, st.floats(5, 120)), min_size=1, max_size=40))
def test_placed_labels_stay_inside_and_never_meet(wanted):
    labels = [Label(width, 12.0, (spot,)) for spot, width in wanted]
    found = [box for box in place(labels, INSIDE, np.empty((0, 2))) if box is not None]
    assert found  # the first always finds a place in an empty picture
    assert all(INSIDE.holds(box) for box in found)
    assert not any(a.meets(b) for a, b in combinations(found, 2))


def test_a_label_keeps_off_the_marks_where_there_is_room():
    marks = np.array([[110.0, 100.0], [115.0, 101.0]])  # to the right of the anchor
    (box,) = place([Label(40.0, 10.0, ((100.0, 100.0),))], INSIDE, marks)
    assert not any(box.x < x < box.x + box.width and box.y < y < box.y + box.height for x, y in marks)


def crowd(count: int, lines: bool = False) -> ib.Figure:
    """So many named series, with texts, in one small region."""
    layers: list[ib.Line | ib.Dots] = []
    for i in range(count):
        name = f"Accelerator {i} with a long name"
        x, y = [1.0 + i / count, 2.0, 3.0, 4.0], [1.0 + (i % 3) / 10, 2.0, 2.5, 3.0]
        layers.append(
            ib.Line(name, x, y, colour=i) if lines else ib.Dots(name, x, y, texts=["decode"] * 4, colour=i)
        )
    return ib.Figure(
        "f", "Crowded", (ib.Panel(ib.Scale("x", log=True), ib.Scale("y"), tuple(layers)),), footer=("foot",)
    )


@pytest.mark.parametrize("count", [1, 4, 12, 30])
@pytest.mark.parametrize("lines", [False, True])
def test_no_two_texts_of_a_crowded_picture_overlap(count, lines):
    page = figure_of(crowd(count, lines))
    draw = page.canvas.get_renderer()
    texts = list(page.texts)
    for axes in page.axes:
        texts += [
            *axes.texts,
            axes.xaxis.label,
            axes.yaxis.label,
            *axes.get_xticklabels(),
            *axes.get_yticklabels(),
        ]
    boxes = [(text.get_text(), text.get_window_extent(draw)) for text in texts if text.get_text()]
    meeting = [
        (a, b)
        for (a, one), (b, other) in combinations(boxes, 2)
        if one.shrunk(0.98, 0.9).overlaps(other.shrunk(0.98, 0.9))
    ]
    assert meeting == []


def test_every_series_of_a_crowded_picture_is_named_somewhere():
    page = figure_of(crowd(12))
    shown = " ".join(text.get_text() for text in (*page.texts, *page.axes[0].texts))
    assert all(f"Accelerator {i} with" in shown for i in range(12))


def test_a_picture_is_a_column_wide():
    assert figure_of(crowd(4)).get_size_inches()[0] == pytest.approx(85 / 25.4)
    assert pytest.approx(85 / 25.4) == COLUMN


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly
@given(st.lists(st.tuples(spots, st.floats(5, 120)), min_size=2, max_size=25))
def test_no_line_to_a_label_crosses_another_label(wanted):
    labels = [Label(width, 12.0, (spot,), lead=10.0) for spot, width in wanted]
    found = [
        (one, box) for one, box in zip(labels, place(labels, INSIDE, np.empty((0, 2))), strict=True) if box
    ]
    for place_, (label, box) in enumerate(found):
        for x, y in sampled(label.line(box)):
            for _, other in found[:place_]:
                assert not (other.x < x < other.x + other.width and other.y < y < other.y + other.height)


@pytest.mark.parametrize("look", ["dashed", "thin"])
def test_lines_without_markers_differ_in_grey(look):
    assert len({strokes(look, place) for place in range(4)}) == 4


def test_labels_keep_off_intervals():
    dots = ib.Dots("A", [1.0, 2.0], [10.0, 10.0], [1.0, 1.0], [100.0, 100.0], texts=["left", "right"])
    panel = ib.Panel(ib.Scale("x"), ib.Scale("y", log=True), (dots,))
    page = figure_of(ib.Figure("f", "Intervals", (panel,)))
    draw, (axes,) = page.canvas.get_renderer(), page.axes
    for text in (one for one in axes.texts if one.get_text() in ("left", "right")):
        box = text.get_window_extent(draw)
        for x in (1.0, 2.0):
            at = axes.transData.transform((x, 10.0))[0]
            assert not box.x0 < at < box.x1
