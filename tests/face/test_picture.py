"""Pictures of answers: found by name, drawn by whoever draws, said where nobody does."""

from __future__ import annotations

import re

import pytest

import inferbench as ib
from inferbench.discovery.registry import Registry
from inferbench.face.picture import Picture, picture
from inferbench.records.figure import Bars, Dots, Figure, Heat, Line, Panel, Plot, Rule, Scale

ONE = Figure("one", "One", (Panel(Scale("x"), Scale("y", "s"), (Dots("a", [1.0], [0.002], texts=["p"]),)),))


class Thing:
    """An answer of a stranger's verb."""


def known(plugins: bool = True) -> Registry:
    registry = Registry(load=False)
    if plugins:

        class Plugin:
            @ib.hookimpl
            def inferbench_plots(self):
                yield Plot("one", "a thing", lambda systems, work: Thing(), lambda answer: ONE, ("Thing",))
                yield Plot("two", "a run", lambda systems, work: None, lambda answer: ONE, ("Run",))

            @ib.hookimpl
            def inferbench_renderers(self):
                yield ib.Renderer(
                    "bmp", lambda report, width: b"BM" + report.figures[0].name.encode(), ("bmp",), True
                )
                yield ib.Renderer("terminal", lambda report, width: f"{width}\n", draws=True)

        registry.load("mine", Plugin, "acme-pictures", "1")
    return registry


def test_a_stranger_s_picture_is_drawn_by_a_stranger_s_renderer(tmp_path):
    found = picture(Thing(), "", known())
    found.save(tmp_path / "x.bmp")
    assert (tmp_path / "x.bmp").read_bytes() == b"BMone"
    assert found.text(72) == "72\n"
    assert repr(found) == "<Picture one: One>"


@pytest.mark.parametrize(
    ("name", "plugins", "said"),
    [
        ("onee", True, "did you mean 'one'"),
        ("two", True, "there is no picture of a Thing called 'two'"),
        ("one", False, "pip install 'inferbench-core[plots]'"),
    ],
)
def test_a_picture_that_there_is_not_is_named_with_those_that_there_are(name, plugins, said):
    with pytest.raises(ib.InferBenchError, match=re.escape(said)):
        picture(Thing(), name, known(plugins))


def test_a_file_that_nobody_draws_or_that_has_no_place_is_refused(tmp_path):
    with pytest.raises(ib.InferBenchError, match=r"'svg' is no kind of image.*\n.*bmp"):
        Picture(ONE, known()).save("x.svg")
    with pytest.raises(ib.InferBenchError, match="can't be written"):
        Picture(ONE, known()).save(tmp_path / "nowhere" / "x.bmp")


def test_a_figure_says_itself_in_words_and_in_rows():
    layers = (
        Line("peak", [1, 2], [3.0, 6.0]),
        Rule("limit", 2.0),
        Dots("steps", [1.0], [4.5], [4.0], [5.0], texts=["decode"]),
    )
    figure = Figure("f", "F", (Panel(Scale("size"), Scale("rate", "B/s"), layers, "left"),))
    assert figure.alt == (
        "F. left. Rate against size. peak: 2 points from 3.00 B/s to 6.00 B/s. A line: limit. steps: 1 point,"
        " decode at 4.50 B/s."
    )
    assert [row["layer"] for row in figure.rows] == ["line", "line", "rule", "dots"]
    assert figure.rows[-1] == {
        "panel": "left",
        "layer": "dots",
        "name": "steps",
        "x": 1.0,
        "y": 4.5,
        "low": 4.0,
        "high": 5.0,
        "text": "decode",
    }
    assert figure.to_dict()["panels"][0]["layers"][1]["kind"] == "rule"


def test_bars_and_maps_say_what_stands_in_them():
    bars = Bars("time", [0.5, float("nan")], texts=["half", ""])
    names = Scale(names=("a", "b"))
    heat = Heat(((0.0, 1.0), (1.0, float("nan"))), names=("X", "Y"), hatched=((True, False), (False, False)))
    figure = Figure("f", "F", (Panel(Scale("time", "s"), names, (bars,)), Panel(names, names, (heat,))))
    assert "time: a half." in figure.alt
    assert "A map of 4 fields: X in 25.0 %, Y in 50.0 %; 1 are not sure." in figure.alt
    assert [row["value"] for row in figure.rows if row["layer"] == "heat"] == ["X", "Y", "Y", None]
