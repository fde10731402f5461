"""Roofline: operations per second against operations per byte, under the ceilings of each chip."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import inferbench as ib
from inferbench_plot.figures.shared import At, Z, compared, footer, points_of, run_of_parts, system_name

__all__ = ["PLOT", "draw"]

LEFT, RIGHT = 0.25, 4096.0
LARGE = 8192.0
MOST_OPERATORS = 40
MOST_SYSTEMS = 4
"""Of more, other formats and memories are left out: the ceilings would hide each other."""


def draw(answer: ib.Comparison | ib.Run) -> ib.Figure:
    """Draw each system's ceilings, per chip, and where its work lies below them.

    Ceilings are the datasheet's: dense operations per second at the format that is computed in, and bytes
    per second of every memory level. The dashed ones are what the software reaches on one large product
    (8,192 cubed) and on one row times the same matrix.
    """
    points = list(points_of(answer))
    by_system: dict[int, list[At]] = {}
    for at in points:
        by_system.setdefault(at.colour, []).append(at)
    right = max(RIGHT, *(2.0 * intensity(at) for at in points if math.isfinite(intensity(at))))
    layers: list[ib.Line | ib.Dots | ib.Rule] = []
    for colour, mine in by_system.items():
        layers += ceilings(mine[0], colour, right, len(by_system) <= MOST_SYSTEMS)
    titles = list(dict.fromkeys(at.title for at in points))
    small = list(operators(points)) if len(points) <= 8 else []
    layers += small
    for colour, mine in by_system.items():
        layers += phases(mine, colour, titles)
    low = lowest(layers)
    notes = ["Operations per second of one chip; whole steps are large marks, operators small ones."]
    if len(by_system) > MOST_SYSTEMS:
        notes.append("Ceilings of other formats and memories are left out.")
    if any(math.isnan(low) for dots in small for low in dots.low):
        notes.append("An operator has no interval where its software was fitted on whole steps alone.")
    if any(not at.fits for at in points):
        notes.append("An outlined mark does not fit into memory: it is where the work would lie.")
    panel = ib.Panel(
        ib.Scale("arithmetic intensity", "OP/B", log=True, low=LEFT, high=right),
        ib.Scale("operations per chip", "OP/s", log=True, low=low),
        tuple(layers),
    )
    names = ", ".join(dict.fromkeys(system_name(at.run) for at in points))
    return ib.Figure(
        "roofline",
        f"Roofline of {ib.short(names, 90)}",
        (panel,),
        footer=footer(
            [at.run for at in points],
            "thick: datasheet, thin: other formats and memories, dashed: this software on large kernels",
        ),
        notes=tuple(notes),
    )


def intensity(at: At) -> float:
    """Useful operations per compulsory byte of a whole step."""
    return at.of(at.run.useful) / at.of(at.run.compulsory)


def ceilings(at: At, colour: int, right: float, whole: bool = True) -> Iterator[ib.Line | ib.Dots]:
    """The datasheet's ceilings of a chip, and what its software reaches of them.

    Args:
        at: A point of its run.
        colour: Of its system.
        right: Where they end.
        whole: Whether all memories and other formats are shown.
    """
    run, chip = at.run, at.run.system.chip
    peak = at.of(run.peak) / run.system.count
    name = system_name(run) if run.system.count == 1 else ib.short(chip.title, 28)
    for level, memory in chip.memory.items():
        if not math.isfinite(memory.bandwidth) or not math.isfinite(peak):
            continue
        ridge = peak / memory.bandwidth
        main = level == chip.outermost
        if not (main or whole):
            continue
        yield ib.Line(
            f"{name}: {level.upper()}" if main else "",
            [LEFT, *([ridge] if ridge > LEFT else []), right],
            [min(LEFT * memory.bandwidth, peak), *([peak] if ridge > LEFT else []), peak],
            colour=colour,
            look="solid" if main else "thin",
        )
        if LEFT < ridge < right:
            text = f"{ib.show(ridge)} OP/B" if main else level.upper()
            yield _ridge(ridge, peak, text, colour)
    if whole:
        yield from formats(at, peak, colour, right)
    yield from effective(at, colour, right)


def _ridge(intensity: float, rate: float, text: str, colour: int) -> ib.Dots:
    return ib.Dots("", [intensity], [rate], texts=[text], colour=colour, marker=9, small=True)


def formats(at: At, peak: float, colour: int, right: float) -> Iterator[ib.Line | ib.Dots]:
    """Ceilings of the chip's two fastest other rates, each from its ridge, labelled with its formats."""
    chip = at.run.system.chip
    by_rate: dict[float, list[str]] = {}
    for form, rate in chip.peak.items():
        if math.isfinite(rate) and rate != peak:
            by_rate.setdefault(rate, []).append(form)
    for rate in sorted(by_rate, reverse=True)[:2]:
        ridge = rate / chip.memory[chip.outermost].bandwidth
        if math.isfinite(ridge) and ridge < right:
            yield ib.Line("", [max(ridge, LEFT), right], [rate, rate], colour=colour, look="thin")
            yield _ridge(max(ridge, LEFT), rate, ", ".join(by_rate[rate]), colour)


_REACHED: WeakKeyDictionary[ib.Run, tuple[float, float]] = WeakKeyDictionary()


def effective(at: At, colour: int, right: float) -> Iterator[ib.Line]:
    """What the software reaches on one large product, and on one row times the same matrix."""
    if at.run not in _REACHED:
        _REACHED[at.run] = reached(at.run, str(at.where["precision"]))
    peak, bandwidth = _REACHED[at.run]
    if not (math.isfinite(peak) and math.isfinite(bandwidth)):
        return
    ridge = min(max(peak / bandwidth, LEFT), right)
    xs, ys = [LEFT, ridge, right], [LEFT * bandwidth, min(ridge * bandwidth, peak), peak]
    yield ib.Line("", xs, ys, colour=colour, look="dashed")


def reached(run: ib.Run, precision: str) -> tuple[float, float]:
    """Operations and bytes per second of a chip under its software; NaN where the software has none."""
    if run.stack.ideal:
        return math.nan, math.nan
    registry = getattr(run.view, "registry", None)
    try:
        table = ib.op(
            run.system.chip.name,
            "gemm",
            precision=precision,
            stack=run.stack.name,
            registry=registry,
            m=[1.0, LARGE],
            n=LARGE,
            k=LARGE,
        )
    except ib.InferBenchError:  # a chip of a file, software that is none of a chip's: no dashed line
        return math.nan, math.nan
    thin, large = table.to_dict()["rows"]
    return large["useful_ops"] / large["time_s"], thin["bytes"] / thin["time_s"]


def phases(points: Sequence[At], colour: int, titles: Sequence[str]) -> Iterator[ib.Dots]:
    """Whole steps of a system, with the interval of their time."""
    for fits in (True, False):
        mine = [at for at in points if at.fits is fits]
        if not mine:
            continue
        rates = [at.of(at.run.useful) / at.of(at.run.seconds) / at.run.system.count for at in mine]
        ends = [at.factors() for at in mine]
        yield ib.Dots(
            "",
            [intensity(at) for at in mine],
            rates,
            low=[rate / high for rate, (_, high) in zip(rates, ends, strict=True)],
            high=[rate / low for rate, (low, _) in zip(rates, ends, strict=True)],
            texts=[f"{system_name(at.run)} {at.title}{'' if fits else ': does not fit'}" for at in mine],
            said=[f"{at.title}, {at.run.stack.name}" for at in mine],
            colour=colour,
            marker=colour,
            hollow=not fits,
        )


def operators(points: Sequence[At]) -> Iterator[ib.Dots]:
    """Operators of each step that do arithmetic, small, with the intervals of their times."""
    for at in points:
        try:
            run = run_of_parts(at)
        except ib.InferBenchError:  # a network that is a file: its steps have no rows here
            continue
        marks = []
        for row in run.ops[:MOST_OPERATORS]:
            useful, moved, seconds, error = (
                float(run.values(value).ravel()[0])
                for value in (row.useful, row.moved, row.seconds, row.log_error)
            )
            if useful > 0 and moved > 0 and seconds > 0:
                rate, far = useful / seconds / run.system.count, math.exp(Z * error)
                marks.append((useful / moved, rate, rate / far, rate * far, f"{row.name} ({at.title})"))
        if marks:
            xs, ys, low, high, names = zip(*marks, strict=True)
            yield ib.Dots("", xs, ys, low, high, (), names, at.colour, at.colour, small=True)


def lowest(layers: Sequence[ib.Line | ib.Dots | ib.Rule]) -> float:
    """The decade below the lowest mark."""
    marks = [
        y for layer in layers if isinstance(layer, ib.Dots) for y in layer.y if y > 0 and math.isfinite(y)
    ]
    return 10.0 ** math.floor(math.log10(min(marks))) if marks else math.nan


def ask(systems: Sequence[str], workload: Sequence[str], **settings: Any) -> ib.Comparison:
    """Compare."""
    return compared(systems, workload, **settings)


PLOT = ib.Plot(
    "roofline",
    "operations per second against operations per byte, under each chip's ceilings",
    ask,
    draw,
    ("Comparison", "Run"),
)
