"""What all renderers share: palette, markers, ticks.

The palette is Okabe and Ito's, made for colour-blind readers ("Color Universal Design", 2008), without its
yellow, which is too pale for lines. In grey, markers and hatches tell apart what colours don't.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

import inferbench as ib

__all__ = [
    "DASHED",
    "GREY",
    "HATCHES",
    "LETTERS",
    "MARKERS",
    "PALETTE",
    "SIGNS",
    "THIN",
    "colour",
    "extent",
    "marks",
    "named",
    "readable",
    "shade",
    "strokes",
    "ticks",
    "written",
]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F5F00")
GREY = "#5f5f5f"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", "|")
SIGNS = "●■▲◆▼✚✖★◀|"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DASHED: tuple[tuple[float, ...], ...] = ((4, 2), (7, 1.5), (2.2, 1.4), (5, 1, 1, 1))
"""Lengths of strokes and gaps by colour, so that lines without markers differ in grey too."""
THIN: tuple[tuple[float, ...], ...] = ((), (1, 1), (1, 2.5), (3, 1, 1, 1))
"""The same of thin lines; the first is drawn through."""
HATCHES = ("", "////", "----", "xxxx", "\\\\", "||||", "++++", "//--")
MOST_TICKS = 7
LIGHT, DARK = (244, 248, 252), (8, 64, 129)
_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}


def colour(place: int) -> str:
    """A place in the palette; -1 is grey, and places beyond the palette begin again."""
    return GREY if place < 0 else PALETTE[place % len(PALETTE)]


def readable(tone: str, dark: bool = False) -> str:
    """A colour as text: mixed with black, or white on a dark page, until it stands out 4.5 to 1 (WCAG 2.2).

    Args:
        tone: `#rrggbb`.
        dark: Whether the page is.

    Example:
        >>> readable("#0072B2"), readable("#56B4E9"), readable("#000000", dark=True)
        ('#0072b2', '#3b7ca1', '#808080')
    """
    parts = [int(tone[i : i + 2], 16) for i in (1, 3, 5)]
    end, paper = (255, _luminance((0x14, 0x17, 0x1B))) if dark else (0, 1.0)
    for step in range(101):
        mixed = [round(part + (end - part) * step / 100) for part in parts]
        light, faint = sorted((_luminance(mixed), paper), reverse=True)
        if (light + 0.05) / (faint + 0.05) >= 4.5:
            break
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def _luminance(parts: Sequence[int]) -> float:
    """Relative luminance of red, green and blue from 0 to 255, by WCAG 2.2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (p / 255 for p in parts)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def strokes(look: str, place: int) -> tuple[float, ...]:
    """Strokes and gaps of a line in points of its width; empty for a line that is drawn through.

    Args:
        look: `solid`, `dashed` or `thin`.
        place: Its colour.

    Example:
        >>> strokes("solid", 1), strokes("thin", 0), strokes("thin", 1)
        ((), (), (1, 1))
    """
    known = {"dashed": DASHED, "thin": THIN}.get(look, ((),))
    return known[max(place, 0) % len(known)]


def shade(share: float) -> tuple[str, bool]:
    """The shade of a share from 0 to 1, and whether text on it must be white."""
    part = min(1.0, max(0.0, share)) ** 0.5  # most shares are small: their differences must show
    mixed = [round(a + (b - a) * part) for a, b in zip(LIGHT, DARK, strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed), part > 0.6


def written(value: float, unit: str = "") -> str:
    """A tick: few digits, an SI prefix, short units beside it.

    Example:
        >>> written(2.5e12, "OP/s"), written(0.005, "s"), written(400.0)
        ('2.5T', '5 ms', '400')
    """
    if value == 0:
        return "0"
    power = max(-12, min(18, 3 * math.floor(math.log10(abs(value) * (1 + 1e-9)) / 3)))
    if not unit and 1e-3 <= abs(value) < 1000:
        return f"{value:.4g}"
    text = f"{value / 10.0**power:.4g}"
    prefix = _PREFIXES[power]
    return f"{text} {prefix}{unit}" if 0 < len(unit) <= 2 else f"{text}{prefix}"


def title(scale: ib.Scale) -> str:
    """An axis's title; short units stand at the ticks."""
    return f"{scale.label} ({scale.unit})" if len(scale.unit) > 2 else scale.label


def ticks(low: float, high: float, log: bool) -> list[float]:
    """Round values between two ends: at most seven.

    Example:
        >>> ticks(0.5, 200.0, True), ticks(0.0, 10.0, False)
        ([1.0, 10.0, 100.0], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0])
    """
    if not log:
        rough = (high - low) / 5 or 1.0
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(size * k for k in (1, 2, 2.5, 5, 10) if size * k >= rough * 0.999)
        first = math.ceil(low / step - 1e-9)
        return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        found = [f * 10.0**e for e in range(first, last + 1) for f in factors if low <= f * 10.0**e <= high]
        if len(found) <= (4 if len(factors) > 1 else MOST_TICKS):
            return found
    stride = math.ceil(len(found) / MOST_TICKS)
    return found[::stride]


def extent(panel: ib.Panel, axis: str) -> tuple[float, float]:
    """The ends of an axis: those given, else those of what is shown, with some room."""
    scale = panel.x if axis == "x" else panel.y
    if scale.names:
        return -0.5, len(scale.names) - 0.5
    values = np.asarray(list(_values(panel, axis)), dtype=np.float64)
    values = values[np.isfinite(values) & ((values > 0) if scale.log else True)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (1.0, 10.0)
    if scale.log:
        low, high = (low / 1.25, high * 1.25) if high / low > 1.5 else (low / 2.0, high * 2.0)
    else:
        room = 0.06 * (high - low) or 1.0
        low, high = low - room, high + room
    return (
        low if math.isnan(scale.low) else scale.low,
        high if math.isnan(scale.high) else scale.high,
    )


def _values(panel: ib.Panel, axis: str) -> Iterator[float]:
    """Everything that stands along an axis: intervals run along the one without names."""
    along = "x" if panel.y.names else "y"
    for layer in panel.layers:
        if isinstance(layer, ib.Line | ib.Dots):
            yield from layer.x if axis == "x" else layer.y
            if isinstance(layer, ib.Line) and axis == "x":
                yield from (*layer.low_x, *layer.high_x)
            if axis == along:
                yield from (*layer.low, *layer.high)
        elif isinstance(layer, ib.Bars) and axis == along:
            base = layer.base or (0.0,) * len(layer.values)
            yield from (a + b for a, b in zip(layer.values, base, strict=True))
            yield from (0.0, *layer.high)
        elif isinstance(layer, ib.Rule) and layer.axis == axis:
            yield layer.at


def named(panel: ib.Panel) -> list[ib.Line | ib.Dots | ib.Bars]:
    """Layers with a name, which a label or a legend must say."""
    return [layer for layer in panel.layers if isinstance(layer, ib.Line | ib.Dots | ib.Bars) and layer.name]


def marks(layer: ib.Line | ib.Dots) -> Iterator[tuple[float, float]]:
    """The points of a layer that can be shown."""
    for x, y in zip(layer.x, layer.y, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            yield x, y


def wrapped(texts: Sequence[str], width: int) -> list[str]:
    """Texts folded to a width in characters."""
    import textwrap

    return [line for text in texts for line in (textwrap.wrap(text, width) or [""])]
