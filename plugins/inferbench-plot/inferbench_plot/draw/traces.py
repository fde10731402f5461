"""A panel as Plotly's traces and layout, with the texts that a page finds places for."""

from __future__ import annotations

import math
from html import escape
from itertools import pairwise
from typing import Any

import inferbench as ib
from inferbench_plot.draw.look import (
    GREY,
    LETTERS,
    colour,
    extent,
    marks,
    named,
    readable,
    shade,
    strokes,
    ticks,
    title,
    wrapped,
    written,
)
from inferbench_plot.draw.sheet import FEW

__all__ = ["chart", "plain"]

SYMBOLS = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "triangle-down",
    "cross",
    "x",
    "star",
    "triangle-left",
    "line-ns-open",
)
PATTERNS = ("", "/", ".", "x", "\\", "+", "|", "-")
PANEL, ROW = 420, 48
MOST_ANCHORS = 24
GAP = {"ticks": "outside", "ticklen": 5, "tickcolor": "rgba(0,0,0,0)"}
NAME = 18
"""Letters of a line of a category's name: the longest leave a phone half of its width for the bars."""


def plain(text: str) -> str:
    """Text that Plotly shows as it is: it reads tags and entities in all its texts."""
    return escape(ib.visible(text), quote=False)


def chart(panel: ib.Panel) -> dict[str, Any]:
    """One panel as Plotly's data and layout; colours of paper and text are the page's own."""
    data: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    for layer in panel.layers:
        if isinstance(layer, ib.Line):
            data += _line(layer)
        elif isinstance(layer, ib.Dots):
            data.append(_dots(layer, panel))
        elif isinstance(layer, ib.Bars):
            data += _bars(layer, panel)
        elif isinstance(layer, ib.Heat):
            data += _heat(layer, panel)
        else:
            shapes.append(_rule(layer, panel))
    texts = _labels(panel) if not panel.y.names else []
    direct = any(one["series"] for one in texts)
    for trace in data:
        trace["showlegend"] = bool(trace.get("showlegend"))
    rows = len(panel.y.names)
    keys = sum(trace["showlegend"] for trace in data)
    height = max(160, ROW * rows + 110) if rows else PANEL
    layout = {
        "height": height + (22 * (1 + keys // 3) if keys > 1 and not direct else 0),
        "barmode": "overlay",
        "hovermode": "closest",
        "margin": {"l": 60, "r": 16, "t": 12, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": keys > 1 and not direct,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "xaxis": _axis(panel, "x"),
        "yaxis": _axis(panel, "y"),
        "shapes": shapes,
    }
    return {"data": data, "layout": layout, "labels": texts}


def _labels(panel: ib.Panel) -> list[dict[str, Any]]:
    """Texts that stand beside marks, the most urgent first; the page finds their places.

    Each has its text as Plotly and as a reader has it, its colours on light and dark pages, the points that
    it may stand at, and whether it names a series.
    """
    found: list[tuple[int, dict[str, Any]]] = []
    series = named(panel)
    for layer in panel.layers:
        if isinstance(layer, ib.Rule) and layer.text:
            found.append((3, _label(layer.text, GREY, _along(layer, panel))))
        if not isinstance(layer, ib.Line | ib.Dots):
            continue
        tone, points = colour(layer.colour), list(marks(layer))
        if isinstance(layer, ib.Dots):
            shown = zip(layer.x, layer.y, layer.texts, strict=False)
            found += [
                (int(layer.small), _label(text, tone, [(x, y)]))
                for x, y, text in shown
                if text and math.isfinite(x + y)
            ]
        if layer.name and points and len(series) <= FEW:
            stride = max(1, len(points) // MOST_ANCHORS)
            inner = points[::stride] if len(points) > 3 else _between(points, panel)
            found.append((2, _label(layer.name, tone, [points[-1], points[0], *inner], True)))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def _label(text: str, tone: str, at: list[tuple[float, float]], series: bool = False) -> dict[str, Any]:
    said = ib.short(text, 40)
    inks = {"light": readable(tone), "dark": readable(tone, dark=True)}
    return {"text": plain(said), "said": said, **inks, "at": at, "series": series}


def _between(points: list[tuple[float, float]], panel: ib.Panel) -> list[tuple[float, float]]:
    """Places along lines of few points, on their axes."""

    def mixed(a: float, b: float, part: float, log: bool) -> float:
        return a * (b / a) ** part if log and a > 0 and b > 0 else a + (b - a) * part

    return [
        (mixed(a[0], b[0], part, panel.x.log), mixed(a[1], b[1], part, panel.y.log))
        for a, b in pairwise(points)
        for part in (0.25, 0.5, 0.75)
    ]


def _along(layer: ib.Rule, panel: ib.Panel) -> list[tuple[float, float]]:
    """Places along a limit."""
    low, high = extent(panel, "y" if layer.axis == "x" else "x")
    log = (panel.y if layer.axis == "x" else panel.x).log
    places = [
        (layer.at, low * (high / low) ** part if log else low + (high - low) * part)
        for part in (0.97, 0.85, 0.7, 0.5, 0.3)
    ]
    return places if layer.axis == "x" else [(y, x) for x, y in places]


def _axis(panel: ib.Panel, which: str) -> dict[str, Any]:
    scale = panel.x if which == "x" else panel.y
    low, high = extent(panel, which)
    base = {"title": {"text": plain(title(scale))}, "automargin": True, "zeroline": False}
    if scale.names:
        names = [_folded(ib.short(name, 36)) if which == "y" else plain(name) for name in scale.names]
        shown = {"tickvals": list(range(len(names))), "ticktext": names, "range": [low, high], **GAP}
        return {**base, **shown, "type": "linear", "showgrid": False}
    values = ticks(low, high, scale.log)
    ends = [math.log10(low), math.log10(high)] if scale.log else [low, high]
    return {
        **base,
        "type": "log" if scale.log else "linear",
        "range": ends,
        "tickvals": values,
        "ticktext": [written(value, scale.unit) for value in values],
    }


def _folded(name: str) -> str:
    """A category's name in lines that leave room for its bar."""
    return "<br>".join(plain(line) for line in wrapped([name], NAME))


def _known(values: Any) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]


def _line(layer: ib.Line) -> list[dict[str, Any]]:
    tone = colour(layer.colour)
    found: list[dict[str, Any]] = []
    if layer.low:
        upper = [*zip(layer.high_x or layer.x, layer.high, strict=True)]
        band = [*upper, *reversed([*zip(layer.low_x or layer.x, layer.low, strict=True)])]
        red, green, blue = (int(tone[i : i + 2], 16) for i in (1, 3, 5))
        found.append(
            {
                "x": _known(x for x, _ in band),
                "y": _known(y for _, y in band),
                "fill": "toself",
                "fillcolor": f"rgba({red},{green},{blue},0.16)",
                "line": {"width": 0},
                "mode": "lines",
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
    width = {"solid": 2.0, "dashed": 1.5, "thin": 1.0}[layer.look]
    dash = ",".join(f"{2.0 * part:g}px" for part in strokes(layer.look, layer.colour)) or "solid"
    many = layer.look == "solid" and len(layer.x) > 3
    found.append(
        {
            "x": _known(layer.x),
            "y": _known(layer.y),
            "mode": "lines+markers" if many else "lines",
            "name": plain(ib.short(layer.name, 60)),
            "showlegend": bool(layer.name),
            "line": {"color": tone, "dash": dash, "width": width},
            "marker": {"color": tone, "symbol": SYMBOLS[layer.colour % 9], "size": 6},
            "hoverinfo": "all" if layer.name else "skip",
        }
    )
    return found


def _dots(layer: ib.Dots, panel: ib.Panel) -> dict[str, Any]:
    tone, symbol = colour(layer.colour), SYMBOLS[layer.marker % len(SYMBOLS)]
    size = 6 if layer.small else 11
    trace: dict[str, Any] = {
        "x": _known(layer.x),
        "y": _known(layer.y),
        "mode": "markers+text" if layer.texts and panel.y.names else "markers",
        "name": plain(ib.short(layer.name, 60)),
        "showlegend": bool(layer.name),
        "marker": {
            "color": tone,
            "symbol": f"{symbol}-open" if layer.hollow and not symbol.endswith("-open") else symbol,
            "size": size,
            "opacity": 0.7 if layer.small and symbol != "line-ns-open" else 1.0,
            "line": {"width": 2 if layer.hollow or symbol == "line-ns-open" else 0.5, "color": tone},
        },
    }
    if layer.texts and panel.y.names:
        trace["text"] = [plain(ib.short(text, 60)) for text in layer.texts]
        trace["textposition"] = "middle right"
    said = [plain(ib.short(text, 160)) for text in layer.said or layer.texts]
    if said:
        trace["hovertext"], trace["hoverinfo"] = said, "text+x+y"
    if layer.low:
        values = layer.x if panel.y.names else layer.y
        far = [
            _known(abs(v - e) for v, e in zip(values, end, strict=True)) for end in (layer.high, layer.low)
        ]
        bars = {
            "type": "data",
            "symmetric": False,
            "array": far[0],
            "arrayminus": far[1],
            "thickness": 1,
            "width": 2,
        }
        trace["error_x" if panel.y.names else "error_y"] = {**bars, "color": tone}
    return trace


def _bars(layer: ib.Bars, panel: ib.Panel) -> list[dict[str, Any]]:
    """Bars, and what they say above them: on a phone, behind them is no room."""
    bars = [one for one in panel.layers if isinstance(one, ib.Bars)]
    several = sum(bool(one.name) for one in bars) > 1
    spoken = any(one.texts for one in bars)
    ends = [value + (layer.base[i] if layer.base else 0.0) for i, value in enumerate(layer.values)]
    trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "x": _known(layer.values),
        "y": [row - (0.18 if spoken else 0.0) for row in range(len(layer.values))],
        "width": 0.46 if spoken else 0.7,
        "base": _known(layer.base) if layer.base else 0,
        "name": plain(ib.short(layer.name, 60)),
        "showlegend": bool(layer.name) and several,
        "hovertext": [plain(name) for name in panel.y.names],
        "marker": {
            "color": GREY if layer.colour < 0 else colour(layer.colour),
            "pattern": {
                "shape": PATTERNS[layer.colour % len(PATTERNS)] if several and layer.colour >= 0 else ""
            },
        },
    }
    if layer.low:
        far = [_known(abs(e - v) for v, e in zip(ends, end, strict=True)) for end in (layer.high, layer.low)]
        intervals = {"type": "data", "symmetric": False, "array": far[0], "arrayminus": far[1]}
        trace["error_x"] = {**intervals, "thickness": 1}
    if not layer.texts:
        return [trace]
    low = extent(panel, "x")[0]
    said = [(row, text) for row, text in enumerate(layer.texts) if text and math.isfinite(layer.values[row])]
    words = {
        "x": [low] * len(said),
        "y": [row + 0.24 for row, _ in said],
        "text": [plain(ib.short(text, 44)) for _, text in said],
        "mode": "text",
        "textposition": "middle right",
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return [trace, words]


def _heat(layer: ib.Heat, panel: ib.Panel) -> list[dict[str, Any]]:
    if layer.names:
        scale = []
        for i in range(len(layer.names)):
            scale += [[i / len(layer.names), colour(i)], [(i + 1) / len(layer.names), colour(i)]]
        ends = {"zmin": -0.5, "zmax": len(layer.names) - 0.5}
        texts = [
            [_class_text(layer, r, c) if math.isfinite(v) else "" for c, v in enumerate(row)]
            for r, row in enumerate(layer.values)
        ]
    else:
        scale = [[k / 4, shade(k / 4)[0]] for k in range(5)]
        ends = {"zmin": 0.0, "zmax": 1.0}
        texts = [list(row) for row in layer.texts] if layer.texts else []
    trace = {
        "type": "heatmap",
        "z": [_known(row) for row in layer.values],
        "x": list(range(len(panel.x.names))),
        "y": list(range(len(panel.y.names))),
        "text": texts,
        "texttemplate": "%{text}",
        "colorscale": scale,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "hoverinfo": "text",
        "showlegend": False,
        **ends,
    }
    keys = [
        {
            "x": [None],
            "y": [None],
            "mode": "markers",
            "marker": {"color": colour(i), "symbol": "square", "size": 11},
            "name": plain(f"{LETTERS[i % 26]} {ib.short(name, 40)}"),
            "showlegend": True,
        }
        for i, name in enumerate(layer.names)
    ]
    return [trace, *keys]


def _class_text(layer: ib.Heat, row: int, column: int) -> str:
    text = layer.texts[row][column].removesuffix(" %") if layer.texts else ""
    return (
        f"{LETTERS[int(layer.values[row][column]) % 26]} {text}{'?' if _unsure(layer, row, column) else ''}"
    )


def _unsure(layer: ib.Heat, row: int, column: int) -> bool:
    return bool(layer.hatched) and layer.hatched[row][column]


def _rule(layer: ib.Rule, panel: ib.Panel) -> dict[str, Any]:
    line = {"type": "line", "line": {"color": GREY, "width": 1.2, "dash": "dash"}}
    if layer.axis == "both":
        low, high = (extent(panel, which) for which in ("x", "y"))
        start, end = max(low[0], high[0]), min(low[1], high[1])
        return {**line, "x0": start, "x1": end, "y0": start, "y1": end}
    along, across = ("x", "y") if layer.axis == "x" else ("y", "x")
    ends = {f"{along}0": layer.at, f"{along}1": layer.at, f"{across}0": 0, f"{across}1": 1}
    return {**line, **ends, f"{across}ref": "paper"}
