"""The sheet that pictures in files are drawn on: sizes in inches, texts measured."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = [
    "COLUMN",
    "DPI",
    "FEW",
    "LABEL",
    "PLOT_HEIGHT",
    "POINT",
    "RIGHT",
    "SMALL",
    "TICK",
    "TITLE",
    "TOP",
    "Sheet",
]

COLUMN = 85.0 / 25.4
"""Width in inches: a column of a journal with two of them."""
DPI = 300
TITLE, LABEL, TICK, SMALL = 8.0, 6.5, 6.0, 5.5
POINT = 1.0 / 72.0
RIGHT, TOP, PLOT_HEIGHT = 0.12, 0.08, 2.35
FEW = 6


@attrs.define(eq=False)
class Sheet:
    """A figure while it is drawn: what was left over for the legend and the footer."""

    page: Any
    renderer: Any
    unlabelled: list[str] = attrs.field(factory=list)

    def size(self, text: str, points: float, bold: bool = False) -> tuple[float, float]:
        """Width and height of a text in inches."""
        from matplotlib.font_manager import FontProperties

        font = FontProperties(family="DejaVu Sans", size=points, weight="bold" if bold else "normal")
        width, height, _ = self.renderer.get_text_width_height_descent(text, font, False)
        return width / DPI, height / DPI
