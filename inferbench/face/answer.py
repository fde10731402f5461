"""`Answer`: what every verb returns; the same report as the command's, as data, frame, HTML or text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inferbench.face.frames import by_column, to_frame
from inferbench.face.verb import verb
from inferbench.records.immutable import frozen
from inferbench.report.export import html_tables
from inferbench.report.model import Report

if TYPE_CHECKING:
    from inferbench.face.picture import Picture

__all__ = ["Answer"]


@frozen(eq=False, repr=False)
class Answer:
    """A result that can be looked at, kept as data, or handed on as a frame."""

    def report(self, verbose: bool = False) -> Report:
        """Return the tables, data and rows that the command of the same name writes.

        Args:
            verbose: Whether with the long tables, as under `-v`.
        """
        raise NotImplementedError

    def summary(self) -> str:
        """Return one line: what was asked, and how much was found."""
        raise NotImplementedError

    @verb
    def to_dict(self) -> dict[str, Any]:
        """Return plain data: what the command writes under `--format json`."""
        return dict(self.report().data)

    @verb
    def to_frame(self, library: str | None = None) -> Any:
        """Return a data frame: the rows that the command writes under `--format csv`.

        Args:
            library: `pandas` or `polars`; by default the one that is installed, pandas first.

        Raises:
            InferBenchError: The library is not installed.
        """
        return to_frame(by_column(self.report().rows), library)

    @verb
    def table(self, verbose: bool = False, width: int = 100) -> str:
        """Return the tables as text: what the command writes on the screen."""
        from inferbench.report.render import RENDERERS

        return str(RENDERERS["table"].render(self.report(verbose), width))

    @verb
    def plot(self, name: str = "") -> Picture:
        """Return a picture of it: shown by a notebook, saved with `save("name.svg")`.

        Args:
            name: Kind of picture (`inferbench list plots`); by default the one that suits this answer best.

        Raises:
            InferBenchError: No such picture of this answer; the plugin that draws is not installed.
        """
        from inferbench.face.picture import picture

        return picture(self, name, getattr(self, "registry", None))

    @verb
    def _repr_html_(self) -> str:
        return html_tables(self.report())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.summary()}>"
