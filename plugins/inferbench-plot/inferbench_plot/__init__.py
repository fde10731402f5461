"""Pictures of results: kinds of figures, and renderers for terminals, files and pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import inferbench as ib

if TYPE_CHECKING:
    import click


@ib.hookimpl
def inferbench_plots() -> Iterator[ib.Plot]:
    """Yield the kinds of pictures."""
    from inferbench_plot.figures import frontier, parts, roofline, space, verdict

    yield roofline.PLOT
    yield from (frontier.THROUGHPUT, frontier.COST, frontier.ENERGY)
    yield space.PLOT
    yield from (parts.BREAKDOWN, parts.FACTORS, parts.MEMORY, parts.ENERGY, parts.COST)
    yield from (verdict.CARD, verdict.PARITY)


@ib.hookimpl
def inferbench_renderers() -> Iterator[ib.Renderer]:
    """Yield what draws pictures."""
    from inferbench_plot.draw import files, pages, terminal

    yield terminal.RENDERER
    yield from (files.renderer(suffix) for suffix in ("png", "svg", "pdf"))
    yield pages.RENDERER


@ib.hookimpl
def inferbench_commands() -> Iterator[click.Command]:
    """Yield `inferbench plot`."""
    from inferbench_plot.command import command

    yield command
