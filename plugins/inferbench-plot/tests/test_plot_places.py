"""Where charts of pages, cards and terminals put what they show."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from inferbench_plot.draw.look import ticks
from inferbench_plot.draw.place import Box
from inferbench_plot.draw.terminal import Canvas, _sign
from inferbench_plot.draw.traces import chart
from inferbench_plot.figures import verdict

import inferbench as ib

POINTS = [1.0, 2.0, 3.0, 4.0]


def panel(*layers: Any, log: bool = False, names: tuple[str, ...] = ()) -> ib.Panel:
    scale = ib.Scale(low=1.0, high=100.0, log=log)
    return ib.Panel(scale, ib.Scale(names=names) if names else scale, layers)


def rows(count: int) -> ib.Panel:
    names = tuple(f"row {i}" for i in range(count))
    return panel(ib.Bars("", [1.0] * count), names=names)


def test_a_limit_is_named_along_itself():
    """At 3 on its own axis; along the other from 1 to 100, ln 100 = 4.6, half of the way is 10."""
    for axis, own in (("x", 0), ("y", 1)):
        (label,) = chart(panel(ib.Rule("limit", 3.0, axis), log=True))["labels"]
        assert {place[own] for place in label["at"]} == {3.0}
        along = [place[1 - own] for place in label["at"]]
        assert along == sorted(along, reverse=True)
        assert any(value == pytest.approx(10.0) for value in along)
        (label,) = chart(panel(ib.Rule("limit", 3.0, axis)))["labels"]
        assert any(place[1 - own] == pytest.approx(50.5) for place in label["at"])
        assert all(1.0 < place[1 - own] < 100.0 for place in label["at"])


def test_a_limit_is_named_along_the_other_axis_s_own_scale():
    """A logarithmic axis of 1 to 100 has its half at 10, a linear one at 50.5."""
    log, linear = ib.Scale(low=1.0, high=100.0, log=True), ib.Scale(low=1.0, high=100.0)
    for axis, half in (("x", 50.5), ("y", 10.0)):
        (label,) = chart(ib.Panel(log, linear, (ib.Rule("limit", 3.0, axis),)))["labels"]
        assert any(place[axis == "x"] == pytest.approx(half) for place in label["at"])


def test_every_category_gets_the_same_height():
    heights = [chart(rows(count))["layout"]["height"] for count in (4, 8, 12)]
    assert heights[2] - heights[1] == heights[1] - heights[0] > 4 * 20


def test_few_series_are_named_beside_their_lines_and_many_are_in_a_legend():
    def named(count: int) -> tuple[int, bool]:
        lines = [ib.Line(f"s{i}", POINTS, POINTS, colour=i) for i in range(count)]
        found = chart(panel(*lines))
        return sum(one["series"] for one in found["labels"]), found["layout"]["showlegend"]

    assert named(2) == (2, False)
    assert named(20) == (0, True)


def test_a_line_without_a_name_or_without_points_gets_no_label():
    nothing = [math.nan] * 4
    lines = ib.Line("", POINTS, POINTS), ib.Line("nothing", nothing, nothing, colour=1)
    assert chart(panel(*lines))["labels"] == []


def test_a_band_has_its_line_s_colour_and_only_long_lines_have_marks():
    """The first colour is #0072B2: 0, 114 and 178."""
    band = [0.5, 1.0, 2.0, 3.0], [2.0, 3.0, 4.0, 5.0]
    fill, line = chart(panel(ib.Line("s", POINTS, POINTS, *band)))["data"]
    assert fill["fillcolor"].startswith("rgba(0,114,178,")
    assert fill["y"] == [2.0, 3.0, 4.0, 5.0, 3.0, 2.0, 1.0, 0.5]
    assert line["mode"] == "lines+markers"
    (short,) = chart(panel(ib.Line("s", POINTS[:3], POINTS[:3])))["data"]
    assert short["mode"] == "lines"


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (1.0, 10.0, True, [1.0, 2.0, 5.0, 10.0]),
        (1.0, 30.0, True, [1.0, 3.0, 10.0, 30.0]),
        (1.0, 1000.0, True, [1.0, 10.0, 100.0, 1000.0]),
        (1.0, 1e7, True, [1.0, 1e2, 1e4, 1e6]),
        (0.0, 50.0, False, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]),
        (-5.0, 5.0, False, [-4.0, -2.0, 0.0, 2.0, 4.0]),
    ],
)
def test_ticks_are_the_roundest_of_their_range(low, high, log, expected):
    assert ticks(low, high, log) == pytest.approx(expected)


def test_dots_of_a_terminal_fill_it_from_corner_to_corner():
    """A cell has two dots beside and four above one another; nothing outside is drawn."""
    canvas = Canvas(3, 2)
    for x, y in ((0.0, 1.0), (1.0, 0.0), (-0.5, 0.5), (0.5, 1.5), (1.5, 0.5)):
        canvas.dot(x, y)
    assert canvas.dots == [[0x01, 0, 0], [0, 0, 0x80]]


def test_texts_of_a_terminal_touch_no_sign():
    canvas = Canvas(8, 1)
    canvas.sign(0.0, 0.5, "●")
    assert not canvas.text(0, 1, "abc")
    assert canvas.text(0, 2, "abc")
    assert not canvas.text(0, 6, "abc")
    assert canvas.signs[0] == ["●", "", "a", "b", "c", "", "", ""]


def test_a_line_of_three_points_is_drawn_and_one_of_four_is_marked():
    assert _sign(ib.Line("", POINTS[:3], POINTS[:3])) == "⠒"
    assert _sign(ib.Line("", POINTS, POINTS)) != "⠒"


def test_a_rectangle_holds_itself_and_shares_nothing_with_its_neighbour():
    """From 1 to 3 across and from 2 to 6 upwards."""
    box = Box(1.0, 2.0, 2.0, 4.0)
    assert box.holds(box)
    assert box.meets(box)
    for x, y in ((3.0, 2.0), (-1.0, 2.0), (1.0, 6.0), (1.0, -2.0)):
        other = Box(x, y, 2.0, 4.0)
        assert not box.meets(other)
        assert not box.holds(other)
    for x, y in ((2.9, 2.0), (-0.9, 2.0), (1.0, 5.9), (1.0, -1.9)):
        other = Box(x, y, 2.0, 4.0)
        assert box.meets(other)
        assert not box.holds(other)


@pytest.mark.parametrize("count", [1, 2])
def test_marks_of_a_card_stand_around_their_row_s_middle(monkeypatch, count):
    """Four shares and the works of a chip share a row: in its middle on average, none on another."""
    monkeypatch.setattr(verdict, "footer", lambda runs: ())
    chip = SimpleNamespace(title="Chip")
    column = SimpleNamespace(run=SimpleNamespace(system=SimpleNamespace(count=1, chip=chip)))
    values = dict.fromkeys((key for key, _ in verdict.METRICS), 1.0)
    data = {"works": dict.fromkeys(("a", "b"), values), "flexibility_fits": 0.5}
    answer: Any = SimpleNamespace(
        to_dict=lambda: {"systems": [data] * count},
        comparison=SimpleNamespace(columns=[[column] * count]),
    )
    *metrics, shares = verdict.card(answer).panels
    for one in (*metrics, shares):
        places = [layer.y for layer in one.layers if isinstance(layer, ib.Dots) and layer.name]
        for i in range(count):
            own = [layer[i] for layer in places]
            assert math.fsum(own) / len(own) == pytest.approx(i)
            assert len(set(own)) == len(own)
            assert max(abs(y - i) for y in own) < 0.5
    assert [layer.x for layer in shares.layers][-1] == (50.0,) * count


@pytest.mark.needs_plugins("networks/llama3-8b", "stacks/vllm-h100")
def test_a_ceiling_is_of_one_chip_and_named_after_it():
    """Eight chips have the ceilings of one: 989 TOP/s dense in bf16, under the chip's name alone."""
    tops = []
    for name in ("h100-sxm", "8xh100-sxm"):
        figure = ib.run(name, "llama3-8b/decode", precision="bf16").plot("roofline").figure
        lines = [layer for one in figure.panels for layer in one.layers if isinstance(layer, ib.Line)]
        (main,) = [line for line in lines if line.look == "solid" and line.name]
        tops.append(max(main.y))
        assert "8" not in main.name.split(":")[0]
    assert tops == pytest.approx([989e12, 989e12], rel=1e-3)


@pytest.mark.needs_plugins("networks/llama3-8b", "stacks/vllm-h100")
def test_a_map_s_own_grid_reaches_256_sequences_and_32_thousand_tokens():
    """Nine powers of two of the batch, seven of the context."""
    from inferbench_plot.figures import space

    answer = space.ask(["h100-sxm"], ("llama3-8b",), registry=ib.installed())
    axes = space.columns_of(answer)[0][0][1].grid.axes
    assert [float(value) for value in axes["batch"]] == [2.0**i for i in range(9)]
    assert [float(value) for value in axes["context"]] == [512.0 * 2**i for i in range(7)]
