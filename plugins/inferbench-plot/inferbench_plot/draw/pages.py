"""Pictures in pages, through Plotly's script: `traces` for a site, one self-contained page for a file.

The script comes from the package `plotly` and stands in the page, or beside it; no request leaves the page.
"""

from __future__ import annotations

import json
import math
import re
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import inferbench as ib
from inferbench_plot.draw.look import GREY, LETTERS, colour, extent, shade, strokes, ticks, title, written

__all__ = ["RENDERER", "chart", "script", "script_tag"]

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
PANEL = 420
MOST_TEXTS = 10


def script() -> bytes:
    """Plotly's script, from the package; importing it would take half a second.

    Raises:
        InferBenchError: The package is not installed.
    """
    spec = find_spec("plotly")
    places = spec.submodule_search_locations if spec else None
    for place in places or ():
        file = Path(place) / "package_data" / "plotly.min.js"
        if file.is_file():
            return file.read_bytes()
    raise ib.InferBenchError.at("html", "needs Plotly's script", "pip install 'inferbench-core[plots]'")


def plain(text: str) -> str:
    """Text that Plotly shows as it is: it reads tags and entities in all its texts."""
    return escape(ib.visible(text), quote=False)


def embedded(data: object) -> str:
    """JSON that can stand in a script element: nothing in it ends the element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign, code in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(sign, code)
    return text


def chart(panel: ib.Panel) -> dict[str, Any]:
    """One panel as Plotly's data and layout; colours of paper and text are the page's own."""
    data: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for layer in panel.layers:
        if isinstance(layer, ib.Line):
            data += _line(layer)
        elif isinstance(layer, ib.Dots):
            data.append(_dots(layer, panel))
        elif isinstance(layer, ib.Bars):
            data.append(_bars(layer, panel))
        elif isinstance(layer, ib.Heat):
            data += _heat(layer, panel)
        else:
            _rule(layer, panel, shapes, notes)
    _uncrowd(data)
    rows = len(panel.y.names)
    keys = sum(bool(trace.get("showlegend")) for trace in data)
    height = max(160, 44 * rows + 110) if rows else PANEL
    height += 22 * (keys // 3) if keys > 1 else 0
    layout = {
        "height": height,
        "barmode": "overlay",
        "hovermode": "closest",
        "margin": {"l": 60, "r": 16, "t": 12, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": keys > 1,
        "legend": {"orientation": "h", "y": -0.2, "x": 0},
        "xaxis": _axis(panel, "x"),
        "yaxis": _axis(panel, "y"),
        "shapes": shapes,
        "annotations": notes,
    }
    return {"data": data, "layout": layout}


def _uncrowd(data: list[dict[str, Any]]) -> None:
    """Where many points have texts, the pointer shows them: a page has one, and paper has not."""
    having = [trace for trace in data if trace.get("mode") == "markers+text"]
    if sum(len(trace["text"]) for trace in having) > MOST_TEXTS:
        for trace in having:
            trace["mode"] = "markers"
            trace["hovertext"] = trace.pop("text")
            trace["hoverinfo"] = "text+x+y"


def _axis(panel: ib.Panel, which: str) -> dict[str, Any]:
    scale = panel.x if which == "x" else panel.y
    low, high = extent(panel, which)
    base = {"title": {"text": plain(title(scale))}, "automargin": True, "zeroline": False}
    if scale.names:
        names = [plain(ib.short(name, 36)) for name in scale.names]
        shown = {"tickvals": list(range(len(names))), "ticktext": names, "range": [low, high]}
        return {**base, **shown, "type": "linear", "showgrid": False}
    values = ticks(low, high, scale.log)
    ends = [math.log10(low), math.log10(high)] if scale.log else [low, high]
    if any(isinstance(layer, ib.Bars) and layer.texts for layer in panel.layers) and which == "x":
        ends[1] *= 1.35
    return {
        **base,
        "type": "log" if scale.log else "linear",
        "range": ends,
        "tickvals": values,
        "ticktext": [written(value, scale.unit) for value in values],
    }


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
        "mode": "markers+text" if layer.texts else "markers",
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
    if layer.texts:
        trace["text"] = [plain(ib.short(text, 60)) for text in layer.texts]
        trace["textposition"] = "top center" if not panel.y.names else "middle right"
    said = [plain(ib.short(text, 160)) for text in layer.said]
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


def _bars(layer: ib.Bars, panel: ib.Panel) -> dict[str, Any]:
    several = sum(isinstance(one, ib.Bars) and bool(one.name) for one in panel.layers) > 1
    trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "x": _known(layer.values),
        "y": list(range(len(layer.values))),
        "base": _known(layer.base) if layer.base else 0,
        "name": plain(ib.short(layer.name, 60)),
        "showlegend": bool(layer.name),
        "hovertext": [plain(name) for name in panel.y.names],
        "marker": {
            "color": GREY if layer.colour < 0 else colour(layer.colour),
            "pattern": {
                "shape": PATTERNS[layer.colour % len(PATTERNS)] if several and layer.colour >= 0 else ""
            },
        },
    }
    if layer.texts:
        trace |= {"text": [plain(ib.short(text, 60)) for text in layer.texts], "textposition": "outside"}
        trace["cliponaxis"] = False
    if layer.low:
        ends = [value + (layer.base[i] if layer.base else 0.0) for i, value in enumerate(layer.values)]
        far = [_known(abs(e - v) for v, e in zip(ends, end, strict=True)) for end in (layer.high, layer.low)]
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": far[0],
            "arrayminus": far[1],
            "thickness": 1,
        }
    return trace


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


def _rule(layer: ib.Rule, panel: ib.Panel, shapes: list[dict[str, Any]], notes: list[dict[str, Any]]) -> None:
    line = {"type": "line", "line": {"color": GREY, "width": 1.2, "dash": "dash"}}
    if layer.axis == "both":
        low, high = (extent(panel, which) for which in ("x", "y"))
        start, end = max(low[0], high[0]), min(low[1], high[1])
        shapes.append({**line, "x0": start, "x1": end, "y0": start, "y1": end})
        return
    along, across = ("x", "y") if layer.axis == "x" else ("y", "x")
    shapes.append(
        {
            **line,
            f"{along}0": layer.at,
            f"{along}1": layer.at,
            f"{across}ref": "paper",
            f"{across}0": 0,
            f"{across}1": 1,
        }
    )
    if layer.text:
        log = (panel.x if along == "x" else panel.y).log
        at = math.log10(layer.at) if log else layer.at
        notes.append(
            {
                along: at,
                across: 1,
                f"{across}ref": "paper",
                "text": plain(layer.text),
                "showarrow": False,
                "yanchor": "bottom",
            }
        )


def script_tag(content: str) -> str:
    """A script element; nothing in it may end it."""
    return f"<script>{content}</script>"


START = """
const ink = matchMedia('(prefers-color-scheme: dark)').matches ? '#e8e8e8' : '#1a1a1a';
for (const [i, one] of CHARTS.entries()) {
  one.layout.font = {color: ink, family: 'system-ui, sans-serif', size: 12};
  for (const axis of ['xaxis', 'yaxis']) one.layout[axis].gridcolor = 'rgba(128,128,128,0.25)';
  Plotly.newPlot('panel' + i, one.data, one.layout, {responsive: true, displaylogo: false});
}
"""


def rendered(report: ib.Report, width: int) -> str:
    """Write the first figure as one page that needs nothing else."""
    figure = report.figures[0]
    said = escape(ib.short(figure.alt, 400))
    panels = "".join(
        f"<h2>{escape(panel.title)}</h2><div id='panel{i}' role='img' aria-label='{said}'></div>"
        for i, panel in enumerate(figure.panels)
    )
    charts = f"const CHARTS = {embedded([chart(panel) for panel in figure.panels])};{START}"
    library = script().decode("utf-8").replace("</script", "<\\/script")
    parts = {
        "@TITLE@": escape(figure.title),
        "@PANELS@": panels,
        "@ALT@": escape(figure.alt),
        "@FOOTER@": "".join(f"<p>{escape(line)}</p>" for line in (*figure.notes, *figure.footer)),
        "@SCRIPT@": script_tag(library) + script_tag(charts),
    }
    page = (files(__package__) / "page.html").read_text("utf-8")
    # One pass: a title that reads like a place stays a title.
    return re.sub("@[A-Z]+@", lambda match: parts.get(match[0], match[0]), page)


RENDERER = ib.Renderer("interactive", rendered, ("html", "htm"), draws=True)
