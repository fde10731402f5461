"""Pictures in pages, through Plotly's script: traces for a site, one self-contained page for a file.

The script comes from the package `plotly` and stands in the page, or beside it; no request leaves the page.
"""

from __future__ import annotations

import json
import re
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import inferbench as ib
from inferbench_plot.draw.traces import chart

__all__ = ["RENDERER", "chart", "embedded", "labelling", "script", "script_tag", "sketching"]


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


def script_tag(content: str) -> str:
    """A script element; nothing in it may end it."""
    return f"<script>{content}</script>"


def labelling() -> str:
    """The script that draws charts and labels them: `draw(element, chart, dark, options)`."""
    return (files(__package__) / "labels.js").read_text("utf-8")


def sketching() -> str:
    """The script that draws a chart as plain SVG, without Plotly: `sketch(element, chart, dark)`."""
    return (files(__package__) / "sketch.js").read_text("utf-8")


START = """
const dark = matchMedia('(prefers-color-scheme: dark)').matches;
async function drawAll() {
  for (const [i, one] of CHARTS.entries()) {
    const family = 'system-ui, DejaVu Sans, sans-serif';
    one.layout.font = {color: dark ? '#e8e8e8' : '#1a1a1a', family, size: 12};
    for (const axis of ['xaxis', 'yaxis']) one.layout[axis].gridcolor = 'rgba(128,128,128,0.25)';
    await draw(document.getElementById('panel' + i), one, dark, {displaylogo: false});
  }
}
const all = drawAll();
"""


def rendered(report: ib.Report, width: int) -> str:
    """Write the first figure as one page that needs nothing else."""
    figure = report.figures[0]
    said = escape(ib.short(figure.alt, 400))
    panels = "".join(
        f"<h2>{escape(panel.title)}</h2><div id='panel{i}' role='img' aria-label='{said}'></div>"
        for i, panel in enumerate(figure.panels)
    )
    data = embedded([chart(panel) for panel in figure.panels])
    charts = f"{labelling()}\nconst CHARTS = {data};\n{START}"
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
