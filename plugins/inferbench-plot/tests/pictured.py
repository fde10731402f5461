"""Figures that show every layer in every look, as figures from which approved drawings were made."""

from __future__ import annotations

import sys
from pathlib import Path

import inferbench as ib

NAN = float("nan")
LONG = "many words that no drawing has the room to show in full " * 20


def lines() -> ib.Figure:
    """Lines in every look, marks in every look, and limits, on logarithmic axes."""
    curve = ib.Line(
        "B200",
        [1.0, 2.0, 5.0, 20.0, 60.0],
        [10.0, 18.0, 40.0, 90.0, 110.0],
        [8.0, 15.0, 33.0, 70.0, 80.0],
        [12.0, 21.0, 48.0, 120.0, 150.0],
        colour=1,
        low_x=[0.9, 1.8, 4.5, 18.0, 50.0],
        high_x=[1.1, 2.2, 5.5, 22.0, 70.0],
    )
    straight = tuple(
        ib.Line(name, [1.0, 100.0], [low, 100.0 * low], colour=tone, look=look)
        for name, low, tone, look in (
            ("measured", 3.0, 0, "dashed"),
            ("", 1.5, 2, "thin"),
            ("bound", 0.8, 3, "thin"),
        )
    )
    whole = ib.Dots("H100", [3.0, 30.0], [6.0, 35.0], [4.0, NAN], [9.0, NAN], ["decode", "prefill"], colour=4)
    small = ib.Dots("", [8.0, 12.0], [3.0, 2.0], texts=["gemm", ""], colour=5, marker=9, small=True)
    other = ib.Dots("", [70.0], [2.0], [1.5], [2.5], ["does not fit"], colour=6, marker=4, hollow=True)
    minor = ib.Dots("", [1.5, NAN], [60.0, 1.0], texts=["ridge", "none"], colour=0, marker=2, small=True)
    rules = (ib.Rule("limit of 40 s", 40.0), ib.Rule("floor", 1.2, "y"), ib.Rule("", axis="both"))
    panel = ib.Panel(
        ib.Scale("time", "s", log=True),
        ib.Scale("rate", "OP/s", log=True),
        (curve, *straight, whole, small, other, minor, *rules),
        "Every look of a line and of a mark",
    )
    return ib.Figure("lines", "Lines and marks", (panel,), footer=("a source",), notes=("a note",))


def crowd() -> ib.Figure:
    """More series than can be labelled, on linear axes that pass zero; two panels side by side."""
    layers = tuple(
        ib.Line(f"series {i}", [-1.0, 0.0, 1.0, 2.0], [i - 2.0, 0.5 * i, i + 1.0, 2.0 * i - 3.0], colour=i)
        for i in range(9)
    )
    few = (
        ib.Line("short", [-1.0, 2.0], [0.0, 3.0]),
        ib.Dots("dots", [0.0, 1.5], [-1.0, 2.0], texts=["lower", "upper"], colour=2, marker=7),
        ib.Rule("threshold", 0.8),
        ib.Rule("", axis="both"),
    )
    x, y = ib.Scale("change"), ib.Scale("gain", "dollars")
    panels = (ib.Panel(x, y, layers), ib.Panel(x, y, few, "Few"))
    return ib.Figure("crowd", "A crowd", panels, columns=2)


def bars() -> ib.Figure:
    """Bars on each other and alone, with intervals, texts and marks; then marks beside categories."""
    names = ib.Scale(names=("B200", "H100 SXM", "an accelerator with a rather long name"))
    stacked = (
        ib.Bars("weights", [4.0, 3.0, 2.0], colour=0),
        ib.Bars("cache", [2.0, 1.0, NAN], [4.0, 3.0, 2.0], colour=1),
        ib.Bars("idle", [0.5, 0.0, 1.0], [6.0, 4.0, 2.0], [6.0, NAN, 2.5], [7.5, NAN, 3.5], colour=-1),
        ib.Dots("measured", [5.0, 4.5], [0.0, 1.0], marker=9, colour=6),
        ib.Dots("other", [3.0], [2.0], texts=["a mark"], marker=3, colour=3),
    )
    alone = (ib.Bars("time", [0.5, 3.0, NAN], texts=["500 ms", "3 s: the slowest of all", "none"], colour=2),)
    marked = (
        ib.Dots("by hand", [1.0, 3.0], [0.0, 1.0], [0.5, 2.0], [2.0, 4.0], colour=1, marker=1),
        ib.Dots("by run", [2.0], [2.0], texts=["2 s"], colour=5, marker=5, hollow=True),
    )
    panels = (
        ib.Panel(ib.Scale("memory", "B", low=0.0), names, stacked, "Stacked"),
        ib.Panel(ib.Scale("time", "seconds"), names, alone, "Alone"),
        ib.Panel(ib.Scale("time", "s", low=0.0, high=5.0), names, marked, "Marks"),
    )
    return ib.Figure("bars", "Bars", panels, footer=("a source",))


def maps() -> ib.Figure:
    """Fields by class, of which some are not sure, and by share."""
    columns, rows = ib.Scale("batch", names=("1", "8", "64")), ib.Scale("context", names=("1k", "8k"))
    classes = ib.Heat(
        ((0.0, 1.0, 2.0), (1.0, NAN, 0.0)),
        (("99 %", "80 %", "95 %"), ("70 %", "", "100 %")),
        ("B200", "H100 SXM", "MI300X"),
        ((False, True, False), (True, False, False)),
    )
    shares = ib.Heat(((0.002, 0.1, 0.26), (0.5, NAN, 1.0)), (("0.2", "10", "26"), ("50", "", "100")))
    panels = (ib.Panel(columns, rows, (classes,), "Classes"), ib.Panel(columns, rows, (shares,), "Shares"))
    return ib.Figure("maps", "Maps", panels)


def words() -> ib.Figure:
    """Texts that are longer than any place for them."""
    dots = ib.Dots(LONG, [1.0], [1.0], texts=[LONG], said=[LONG])
    line = ib.Line(LONG, [1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 3.0, 5.0], colour=1)
    bars = (ib.Bars(LONG, [1.0], texts=[LONG]), ib.Bars("b", [1.0], [1.0], colour=1))
    names = ib.Scale(LONG, names=(LONG,))
    panels = (
        ib.Panel(ib.Scale(LONG), ib.Scale(LONG), (dots, line, ib.Rule(LONG, 2.0)), LONG),
        ib.Panel(ib.Scale(LONG), names, bars, LONG),
        ib.Panel(ib.Scale(LONG), names, (dots,), LONG),
        ib.Panel(names, names, (ib.Heat(((0.0,),), (("90 %",),), (LONG,), ((True,),)),), LONG),
    )
    return ib.Figure("words", LONG, panels, footer=(LONG,), notes=(LONG,))


FIGURES = {one.name: one for one in (lines(), crowd(), bars(), maps(), words())}


def main(folder: Path) -> None:
    """Draw all figures into a folder, as a reader gets them."""
    from inferbench_plot.draw.files import renderer

    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in FIGURES.items():
        (folder / f"{name}.png").write_bytes(renderer("png").render(ib.Report((), figures=(figure,)), 0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
