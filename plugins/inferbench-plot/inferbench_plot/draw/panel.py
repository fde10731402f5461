"""One panel in a file: axes, layers, what stands behind bars, and the lines of its legend."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np

import inferbench as ib
from inferbench_plot.draw.labels import labelled
from inferbench_plot.draw.look import (
    GREY,
    HATCHES,
    LETTERS,
    MARKERS,
    colour,
    extent,
    named,
    shade,
    strokes,
    ticks,
    title,
    written,
)
from inferbench_plot.draw.sheet import COLUMN, LABEL, PLOT_HEIGHT, POINT, SMALL, TICK, Sheet

__all__ = ["drawn", "mark", "panel_size"]

Entry = tuple[Any, str]


def panel_size(sheet: Sheet, panel: ib.Panel) -> tuple[float, float, float]:
    """Room at the left, room below, and height of the axes, in inches."""
    below = 0.16 + (LABEL * 1.6 * POINT if title(panel.x) else 0.0)
    if panel.y.names:
        wide = max(sheet.size(_row_name(name), TICK)[0] for name in panel.y.names)
        left = wide + 0.14 + (0.14 if panel.y.label else 0.0)
        rows = len(panel.y.names)
        heat = any(isinstance(layer, ib.Heat) for layer in panel.layers)
        dots = sum(isinstance(layer, ib.Dots) and bool(layer.name) for layer in panel.layers)
        each = 0.24 if heat else max(0.2, 0.1 * dots)
        return left, below, 0.1 + each * rows
    low, high = extent(panel, "y")
    wide = max(
        (sheet.size(written(v, panel.y.unit), TICK)[0] for v in ticks(low, high, panel.y.log)), default=0.3
    )
    return wide + 0.14 + LABEL * 1.5 * POINT, below, PLOT_HEIGHT


def _row_name(name: str) -> str:
    return ib.short(name, 34)


def _axis(axes: Any, panel: ib.Panel, which: str) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    scale = panel.x if which == "x" else panel.y
    axis = axes.xaxis if which == "x" else axes.yaxis
    if scale.log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = extent(panel, which)
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    if scale.names:
        shown = [(float(i), _row_name(name)) for i, name in enumerate(scale.names)]
    else:
        shown = [(value, written(value, scale.unit)) for value in ticks(low, high, scale.log)]
    axis.set_major_locator(FixedLocator([value for value, _ in shown]))
    axis.set_major_formatter(FixedFormatter([text for _, text in shown]))
    axis.set_minor_locator(NullLocator())
    label = title(scale)
    if label:
        (axes.set_xlabel if which == "x" else axes.set_ylabel)(
            ib.short(label, 60), fontsize=LABEL, labelpad=2
        )


def drawn(sheet: Sheet, axes: Any, panel: ib.Panel, size: tuple[float, float]) -> list[list[Entry]]:
    """Draw a panel; return the lines of the legend that it needs."""
    bars = any(isinstance(layer, ib.Bars) for layer in panel.layers)
    heat = any(isinstance(layer, ib.Heat) for layer in panel.layers)
    if bars:
        panel = _with_room(sheet, panel, size[0])
    for which in ("x", "y"):
        _axis(axes, panel, which)
    axes.tick_params(labelsize=TICK, length=0 if heat else 2, width=0.5, pad=1.5)
    for side, spine in axes.spines.items():
        spine.set_linewidth(0.5)
        spine.set_visible(side in ("left", "bottom") and not heat)
    if not heat:
        axes.grid(axis="x" if panel.y.names else "both", color="#d9d9d9", linewidth=0.35)
        axes.set_axisbelow(True)
    for layer in panel.layers:
        _DRAW[type(layer)](axes, layer, panel)
    if heat:
        return _flow(sheet, _classes(panel))
    if bars or panel.y.names:
        _row_texts(sheet, axes, panel, size)
        several = len(named(panel)) > 1
        return _flow(sheet, [(layer, layer.name) for layer in named(panel)] if several else [])
    rest = labelled(sheet, axes, panel, size)
    return _flow(sheet, [(layer, layer.name) for layer in rest])


def _with_room(sheet: Sheet, panel: ib.Panel, width: float) -> ib.Panel:
    """Let the axis end where the texts behind the bars do."""
    low, high = extent(panel, "x")
    for layer in panel.layers:
        if isinstance(layer, ib.Bars) and layer.texts:
            for i, text in enumerate(layer.texts):
                end = _end(layer, i)
                if text and math.isfinite(end):
                    wide = min(sheet.size(text, SMALL)[0] + 0.08, width * 0.75)
                    high = max(high, end * width / (width - wide))
        if isinstance(layer, ib.Dots) and layer.texts:
            for x, text in zip(layer.x, layer.texts, strict=True):
                if text and math.isfinite(x):
                    wide = min(sheet.size(text, SMALL)[0] + 0.1, width * 0.6)
                    high = max(high, x * width / (width - wide))
    return attrs.evolve(panel, x=attrs.evolve(panel.x, high=high, low=min(low, 0.0) if low <= 0 else low))


def _end(layer: ib.Bars, i: int) -> float:
    """Where a bar, or its interval, ends."""
    end = layer.values[i] + (layer.base[i] if layer.base else 0.0)
    return max(end, layer.high[i]) if layer.high and math.isfinite(layer.high[i]) else end


def _line(axes: Any, layer: ib.Line, panel: ib.Panel) -> None:
    pattern = strokes(layer.look, layer.colour)
    style: Any = (0, pattern) if pattern else "-"
    width = {"solid": 1.1, "dashed": 0.8, "thin": 0.6}[layer.look]
    tone = colour(layer.colour)
    marker = (
        {"marker": MARKERS[layer.colour % 9], "markersize": 2.2}
        if layer.low or (layer.name and len(layer.x) > 3)
        else {}
    )
    axes.plot(layer.x, layer.y, color=tone, linestyle=style, linewidth=width, zorder=2, **marker)
    if layer.low:
        xs = (*(layer.high_x or layer.x), *reversed(layer.low_x or layer.x))
        band = (*layer.high, *reversed(layer.low))
        axes.fill(xs, band, color=tone, alpha=0.14, linewidth=0, zorder=1)
        edge = strokes("thin", layer.colour + 1)
        axes.plot(
            xs, band, color=tone, alpha=0.6, linewidth=0.4, linestyle=(0, edge) if edge else "-", zorder=1
        )


def mark(layer: ib.Dots) -> dict[str, Any]:
    """How a mark looks, in the plot and in the legend."""
    tone, marker = colour(layer.colour), MARKERS[layer.marker % len(MARKERS)]
    upright = marker == "|"
    size = (5.0 if upright else 2.0) if layer.small else (8.0 if upright else 4.0)
    return {
        "marker": marker,
        "markersize": size,
        "markerfacecolor": "white" if layer.hollow else tone,
        "markeredgecolor": tone if layer.hollow or upright else "white",
        "markeredgewidth": 0.8 if layer.hollow or upright else 0.3,
    }


def _dots(axes: Any, layer: ib.Dots, panel: ib.Panel) -> None:
    tone, marker = colour(layer.colour), MARKERS[layer.marker % len(MARKERS)]
    axes.plot(
        layer.x,
        layer.y,
        linestyle="",
        color=tone,
        **mark(layer),
        zorder=3 if layer.small else 5,
        alpha=0.75 if layer.small and marker != "|" else 1.0,
    )
    if layer.low:
        ends = [(layer.low, "low"), (layer.high, "high")]
        values = layer.x if panel.y.names else layer.y
        far = [
            [
                abs(v - e) if math.isfinite(e) and math.isfinite(v) else 0.0
                for v, e in zip(values, end, strict=True)
            ]
            for end, _ in ends
        ]
        which = {"xerr": far} if panel.y.names else {"yerr": far}
        thin = 0.35 if layer.small else 0.7
        axes.errorbar(
            layer.x,
            layer.y,
            **which,
            fmt="none",
            ecolor=tone,
            elinewidth=thin,
            alpha=0.6 if layer.small else 0.9,
            zorder=2,
        )


def _bars(axes: Any, layer: ib.Bars, panel: ib.Panel) -> None:
    rows = np.arange(len(layer.values), dtype=float)
    values, base = np.asarray(layer.values), np.asarray(layer.base or (0.0,) * len(layer.values))
    known = np.isfinite(values)
    hatch = HATCHES[layer.colour % len(HATCHES)] if len(named(panel)) > 1 and layer.colour >= 0 else ""
    axes.barh(
        rows[known],
        values[known],
        left=base[known],
        height=0.62,
        color=colour(layer.colour),
        hatch=hatch,
        edgecolor="white",
        linewidth=0.4,
        zorder=2,
    )
    if layer.low:
        for row, low, high in zip(rows, layer.low, layer.high, strict=True):
            if math.isfinite(low) and math.isfinite(high):
                axes.plot(
                    [low, high], [row, row], color="black", linewidth=0.7, marker="|", markersize=3, zorder=4
                )


def _heat(axes: Any, layer: ib.Heat, panel: ib.Panel) -> None:
    from matplotlib.patches import Rectangle

    for row, values in enumerate(layer.values):
        for column, value in enumerate(values):
            if not math.isfinite(value):
                continue
            hatched = bool(layer.hatched) and layer.hatched[row][column]
            if layer.names:
                tone, white = colour(int(value)), not hatched
            else:
                tone, white = shade(value)
            face: Any = {"facecolor": tone, "alpha": 0.35 if hatched else 0.9}
            box = Rectangle((column - 0.5, row - 0.5), 1, 1, edgecolor="white", linewidth=0.4, **face)
            axes.add_patch(box)
            if hatched:
                lines = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="/////", linewidth=0)
                lines.set_edgecolor("white")
                axes.add_patch(lines)
            text = layer.texts[row][column] if layer.texts else ""
            if layer.names:
                text = f"{LETTERS[int(value) % 26]} {text.removesuffix(' %')}".strip()
            axes.text(
                column, row, text, fontsize=4.8, ha="center", va="center", color="white" if white else "black"
            )


def _rule(axes: Any, layer: ib.Rule, panel: ib.Panel) -> None:
    style = {"color": GREY, "linewidth": 0.7, "linestyle": (0, (4, 2)), "zorder": 1}
    if layer.axis == "both":
        low, high = (extent(panel, which) for which in ("x", "y"))
        ends = [max(low[0], high[0]), min(low[1], high[1])]
        axes.plot(ends, ends, **style)
    else:
        (axes.axvline if layer.axis == "x" else axes.axhline)(layer.at, **style)


_DRAW: dict[type, Any] = {
    ib.Line: _line,
    ib.Dots: _dots,
    ib.Bars: _bars,
    ib.Heat: _heat,
    ib.Rule: _rule,
}


def _row_texts(sheet: Sheet, axes: Any, panel: ib.Panel, size: tuple[float, float]) -> None:
    """What stands behind the bars."""
    for layer in panel.layers:
        if isinstance(layer, ib.Bars) and layer.texts:
            for row, text in enumerate(layer.texts):
                if text and math.isfinite(layer.values[row]):
                    end = _end(layer, row)
                    axes.annotate(
                        ib.short(text, 44),
                        (end, row),
                        (3, 0),
                        textcoords="offset points",
                        fontsize=SMALL,
                        va="center",
                        bbox={"facecolor": "white", "alpha": 0.9, "pad": 0.4, "linewidth": 0},
                    )
        elif isinstance(layer, ib.Dots) and layer.texts:
            for x, y, text in zip(layer.x, layer.y, layer.texts, strict=True):
                if text and math.isfinite(x):
                    axes.annotate(
                        ib.short(text, 44),
                        (x, y),
                        (4, 0),
                        textcoords="offset points",
                        fontsize=SMALL,
                        va="center",
                    )


def _classes(panel: ib.Panel) -> list[Entry]:
    names = next(layer.names for layer in panel.layers if isinstance(layer, ib.Heat))
    return [(ib.Bars("", [], colour=i), f"{LETTERS[i % 26]}  {name}") for i, name in enumerate(names)]


def _flow(sheet: Sheet, entries: list[Entry]) -> list[list[Entry]]:
    """Entries of a legend in lines that fit."""
    lines: list[list[Entry]] = []
    used = COLUMN
    for layer, name in entries:
        text = ib.short(name, 52)
        wide = sheet.size(text, LABEL)[0] + 0.26
        if used + wide > COLUMN - 0.1:
            lines.append([])
            used = 0.1
        lines[-1].append((layer, text))
        used += wide
    return lines
