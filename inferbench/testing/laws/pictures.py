"""Laws of plots: what a kind of picture asks for, it draws, and every renderer can show it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, PluginError, UnsupportedOp
from inferbench.records.figure import Bars, Dots, Figure, Heat, Line, Panel
from inferbench.testing.laws.law import Broken, Subject, law
from inferbench.testing.laws.sample import sample_world

__all__: list[str] = []


def _answer(subject: Subject) -> Any:
    """What the plot asks for, of the sample: of one workload, else of a suite, else of a network."""
    # Metrics are as installed; measurements are not, which would take seconds to score.
    known = sample_world(Registry(load=False)).with_records("metrics", subject.registry.metrics())
    settings = {"stack": "ideal", "scenario": "sample", "suite": "sample"}
    for work in (("sample/decode",), (), ("sample",)):
        try:
            return subject.record.ask(("sample",), work, registry=known, **settings)
        except PluginError:
            raise
        except InferBenchError as error:
            why = error
    # A picture of what is measured has no answer for a chip that nobody built.
    raise UnsupportedOp(why.faults)


@law("plots")
def a_plot_draws_what_it_asks_for(subject: Subject) -> Iterator[Broken]:
    """A plot turns its answer into a figure with a title, panels and marks whose lengths agree."""
    plot, answer = subject.record, _answer(subject)
    if plot.takes and type(answer).__name__ not in plot.takes:
        text = f"it asks for a {type(answer).__name__} and takes {', '.join(plot.takes)}"
        yield Broken("takes", text, "name the class of the answer")
    figure = plot.draw(answer)
    if not isinstance(figure, Figure):
        yield Broken("draw", f"it gave {type(figure).__name__}", "return ib.Figure")
        return
    if not figure.title.strip():
        yield Broken("title", "it is empty", "say in one line what is shown")
    if not figure.notes and not any(panel.layers for panel in figure.panels):
        yield Broken("panels", "nothing is drawn, and no note says why", "give a panel with a layer")
    for number, panel in enumerate(figure.panels, start=1):
        for place, layer in enumerate(panel.layers, start=1):
            for text in _unequal(layer, panel):
                yield Broken(f"panel {number}, layer {place}", text, "one entry per mark")


def _unequal(layer: Any, panel: Panel) -> Iterator[str]:
    if isinstance(layer, Line | Dots):
        marks = len(layer.x)
        if len(layer.y) != marks:
            yield f"{marks} x and {len(layer.y)} y"
        ends: tuple[str, ...] = ("low", "high", *(("texts", "said") if isinstance(layer, Dots) else ()))
        yield from _others(layer, ends, marks)
    elif isinstance(layer, Bars):
        yield from _others(layer, ("base", "low", "high", "texts"), len(layer.values))
        names = len(panel.y.names or panel.x.names)
        if names and len(layer.values) != names:
            yield f"{len(layer.values)} bars and {names} names"
    elif isinstance(layer, Heat):
        shape = {len(row) for row in layer.values} or {0}
        if len(layer.values) != len(panel.y.names) or shape != {len(panel.x.names)}:
            wanted = f"{len(panel.y.names)} times {len(panel.x.names)} names"
            yield f"{len(layer.values)} rows of {', '.join(map(str, sorted(shape)))} fields and {wanted}"


def _others(layer: Any, names: tuple[str, ...], marks: int) -> Iterator[str]:
    for name in names:
        if (length := len(getattr(layer, name))) not in (0, marks):
            yield f"{marks} marks and {length} {name}"


@law("plots")
def a_figure_can_be_told(subject: Subject) -> Iterator[Broken]:
    """A figure has words for those who can't see it, and plain data; the same answer gives the same again."""
    answer = _answer(subject)
    figure = subject.record.draw(answer)
    try:
        plain = json.dumps(figure.to_dict(), allow_nan=False)
    except (TypeError, ValueError) as error:
        yield Broken("to_dict", f"{error}", "numbers and texts alone")
        return
    if len(figure.alt) <= len(figure.title) + 1:
        yield Broken("alt", "it says no more than the title", "name scales and layers")
    if json.dumps(subject.record.draw(answer).to_dict(), allow_nan=False) != plain:
        yield Broken("draw", "it drew another figure the second time", "draw from the answer alone")


@law("plots", quick=True)
def a_plot_says_what_it_is(subject: Subject) -> Iterator[Broken]:
    """A plot has a title in one line, which `list plots` shows."""
    title = subject.record.title.strip()
    if not title or "\n" in title:
        yield Broken("title", f"{title!r:.40}", "say in one line what is shown")
