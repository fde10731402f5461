"""`Picture`: a figure with the renderers that are installed; what `.plot()` returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from inferbench import files
from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError, suggest
from inferbench.records.figure import Figure, Plot
from inferbench.records.interfaces import Renderer
from inferbench.report.model import Report

__all__ = ["Picture", "picture", "plot_named"]

INSTALL = "pip install 'inferbench-core[plots]'"
WIDTH = 100


@attrs.frozen(eq=False, repr=False)
class Picture:
    """A figure that can be looked at, saved, or kept as data. A notebook shows it.

    Attributes:
        figure: What is drawn.
        registry: Whose renderers draw it.

    Example:
        >>> import inferbench as ib
        >>> ib.compare(["b200"], "llama3-8b/decode").plot("memory")             # doctest: +SKIP
        <Picture memory: Memory of one chip>
    """

    figure: Figure
    registry: Registry

    def save(self, path: str | Path) -> None:
        """Write it to a file, in the format of its extension.

        Raises:
            InferBenchError: No renderer has this extension; a file that can't be written.
        """
        renderer = drawing(self.registry, Path(path).suffix.lstrip(".").lower(), str(path))
        drawn = self.render(renderer)
        try:
            files.write(path, drawn)
        except OSError as error:
            remedy = "name a file in a folder you may write to"
            raise InferBenchError.at(str(path), f"can't be written: {error.strerror}", remedy) from None

    def render(self, renderer: Renderer, width: int = WIDTH) -> str | bytes:
        """Draw it with a renderer."""
        report = Report((), self.figure.to_dict(), self.figure.rows, figures=(self.figure,))
        return renderer.render(report, width)

    def text(self, width: int = WIDTH) -> str:
        """Draw it for a terminal.

        Raises:
            InferBenchError: No renderer for terminals is installed.
        """
        return str(self.render(drawing(self.registry, "terminal", "terminal"), width))

    def to_dict(self) -> dict[str, Any]:
        """Return the figure as plain data."""
        return self.figure.to_dict()

    def _repr_svg_(self) -> str:
        return str(self.render(drawing(self.registry, "svg", "svg")))

    def __repr__(self) -> str:
        return f"<Picture {self.figure.name}: {self.figure.title}>"


def drawing(registry: Registry, wanted: str, where: str) -> Renderer:
    """Find the renderer that draws a format, by its name or extension.

    Raises:
        InferBenchError: There is none.
    """
    known: dict[str, Renderer] = {}
    for name in registry.names("renderers"):
        one: Renderer = registry.get("renderers", name)
        if one.draws:
            known |= dict.fromkeys((name, *one.suffixes), one)
    if not known:
        raise InferBenchError.at(where, "nothing that draws pictures is installed", INSTALL)
    if wanted not in known:
        files = ", ".join(known)
        remedy = suggest(wanted, known) or f"known are {files}"
        raise InferBenchError.at(where, f"'{wanted}' is no kind of image that a renderer draws", remedy)
    return known[wanted]


def plot_named(registry: Registry, name: str, takes: str = "") -> Plot:
    """Find a kind of picture; an empty name takes the first that draws such an answer.

    Raises:
        InferBenchError: None of that name, or none for this answer; the message lists those that there are.
    """
    known: dict[str, Plot] = {one: registry.get("plots", one) for one in registry.names("plots")}
    if not known:
        raise InferBenchError.at(name or "plot", "no picture is installed", INSTALL)
    fitting = [one for one, plot in known.items() if not takes or takes in plot.takes]
    if not name and fitting:
        return known[min(fitting, key=lambda one: (known[one].takes.index(takes), one))]
    if name not in known or name not in fitting:
        what = f"of a {takes} " if takes else ""
        found = f"there is no picture {what}" + (f"called '{name}'" if name else "of it")
        listed = ", ".join(fitting)
        remedy = suggest(name, fitting) or (f"known are {listed}" if listed else "")
        raise InferBenchError.of_argument("name", found, remedy)
    return known[name]


def picture(answer: object, name: str, registry: Registry | None = None) -> Picture:
    """Draw an answer of the face.

    Raises:
        InferBenchError: No picture of that name takes it; the plugin is not installed.
    """
    known = registry or installed()
    plot = plot_named(known, name, type(answer).__name__)
    return Picture(plot.draw(answer), known)
