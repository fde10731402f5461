"""Labels beside what they name, in files; what finds no place goes into the legend or the footer."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

import inferbench as ib
from inferbench_plot.draw.look import GREY, colour, extent, marks, named
from inferbench_plot.draw.place import Box, Label, place, sampled
from inferbench_plot.draw.sheet import DPI, FEW, LABEL, POINT, SMALL, Sheet

__all__ = ["labelled"]

FAR = 0.09 * DPI
"""Pixels beyond which a line joins a label to its mark."""
MARK = 0.03 * DPI
"""Pixels from the middle of a mark that labels leave free."""


def labelled(
    sheet: Sheet, axes: Any, panel: ib.Panel, size: tuple[float, float]
) -> list[ib.Line | ib.Dots | ib.Bars]:
    """Label series and points directly; return the named series that need a legend."""
    where = axes.transData.transform
    corner = axes.bbox
    inside = Box(corner.x0 + 2, corner.y0 + 2, corner.width - 4, corner.height - 4)
    wanted: list[tuple[str, float, Any, Label]] = []
    rest: list[ib.Line | ib.Dots | ib.Bars] = []
    series = named(panel)
    direct = len(series) <= FEW
    for layer in series:
        points = [(float(x), float(y)) for x, y in _pixels(where, layer)]
        far = FAR if isinstance(layer, ib.Dots) else math.inf
        text = ib.short(layer.name, 34)
        if not direct or not points:
            rest.append(layer)
            continue
        more = _between(points) if isinstance(layer, ib.Line) else tuple(points[:24])
        ends = (points[-1], points[0], points[len(points) // 2], *more)
        wanted.append((text, LABEL, layer, _label(sheet, text, LABEL, ends, far)))
    for layer in panel.layers:  # type: ignore[assignment]
        if isinstance(layer, ib.Dots) and layer.texts:
            for (x, y), text in zip(_pixels(where, layer), layer.texts, strict=False):
                if text:
                    said = ib.short(text, 30)
                    wanted.append(
                        (said, SMALL, layer, _label(sheet, said, SMALL, ((float(x), float(y)),), FAR))
                    )
        elif isinstance(layer, ib.Rule) and layer.text:
            said = ib.short(layer.text, 40)
            wanted.append((said, SMALL, layer, _label(sheet, said, SMALL, _along(where, layer, inside))))
    wanted.sort(key=_urgency)
    boxes = place([one[3] for one in wanted], inside, _covered(where, panel), unit=DPI / 144)
    for (text, points_, layer, label), box in zip(wanted, boxes, strict=True):
        if box is None:
            if isinstance(layer, ib.Line | ib.Dots) and text == ib.short(layer.name, 34):
                rest.append(layer)
            else:
                sheet.unlabelled.append(text)
            continue
        tone = colour(layer.colour) if isinstance(layer, ib.Line | ib.Dots) else GREY
        at = ((box.x - corner.x0) / corner.width, (box.y - corner.y0) / corner.height)
        style = {"fontsize": points_, "color": tone, "va": "bottom", "ha": "left", "zorder": 6}
        axes.text(*at, text, transform=axes.transAxes, **style)
        if isinstance(layer, ib.Dots):
            _lead(axes, label, box, tone)
    return rest


def _urgency(one: tuple[str, float, Any, Label]) -> int:
    """Whole steps are labelled first, then ridge points, then series, which have many places, then limits."""
    layer = one[2]
    if isinstance(layer, ib.Rule):
        return 3
    point = isinstance(layer, ib.Dots) and one[0] != ib.short(layer.name, 34)
    return (1 if layer.small else 0) if point else 2


def _lead(axes: Any, label: Label, box: Box, tone: str) -> None:
    """Join a mark to a label that had to go far from it."""
    line = label.line(box)
    if line is not None:
        back = axes.transAxes.inverted().transform(line)
        axes.plot(*back.T, transform=axes.transAxes, color=tone, linewidth=0.35, zorder=4)


def _label(
    sheet: Sheet, text: str, points: float, anchors: tuple[tuple[float, float], ...], lead: float = math.inf
) -> Label:
    width, height = sheet.size(text, points)
    return Label(width * DPI + 2, max(height, points * 0.9 * POINT) * DPI + 3, anchors, lead)


def _pixels(where: Any, layer: Any) -> Any:
    points = list(marks(layer))
    return where(np.asarray(points)) if points else []


def _between(points: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Places along a line."""
    return tuple(
        ((1 - t) * a[0] + t * b[0], (1 - t) * a[1] + t * b[1])
        for a, b in pairwise(points)
        for t in (0.25, 0.5, 0.75)
    )[:24]


def _along(where: Any, layer: ib.Rule, inside: Box) -> tuple[tuple[float, float], ...]:
    if layer.axis == "x":
        x = float(where((layer.at, 1.0))[0])
        return tuple((x, inside.y + inside.height * part) for part in (0.96, 0.8, 0.6, 0.4, 0.2))
    y = float(where((1.0, layer.at))[1])
    return tuple((inside.x + inside.width * part, y) for part in (0.9, 0.6, 0.3))


def _ruled(where: Any, layer: ib.Rule, panel: ib.Panel) -> np.ndarray:
    """Points along a limit."""
    across = extent(panel, "y" if layer.axis == "x" else "x")
    ends = [(layer.at, end) if layer.axis == "x" else (end, layer.at) for end in across]
    start, end = where(np.asarray(ends))
    return sampled((tuple(start), tuple(end)))


def _covered(where: Any, panel: ib.Panel) -> np.ndarray:
    """Points of everything that labels should leave free: lines and intervals every few pixels, and marks."""
    found: list[Any] = [np.empty((0, 2))]
    for layer in panel.layers:
        if isinstance(layer, ib.Rule) and layer.axis != "both":
            found.append(_ruled(where, layer, panel))
        if not isinstance(layer, ib.Line | ib.Dots):
            continue
        pixels = np.asarray(_pixels(where, layer))
        if not len(pixels):
            continue
        found.append(pixels)
        if isinstance(layer, ib.Line):
            found += [sampled((tuple(a), tuple(b))) for a, b in pairwise(pixels)]
            continue
        ring = MARK * (0.5 if layer.small else 1.0)
        found += [pixels + ring * np.asarray(side) for side in ((1, 0), (-1, 0), (0, 1), (0, -1))]
        for (x, _), low, high in zip(marks(layer), layer.low, layer.high, strict=False):
            if math.isfinite(low) and math.isfinite(high) and low > 0:
                ends = where(np.asarray([(x, low), (x, high)]))
                found.append(sampled((tuple(ends[0]), tuple(ends[1]))))
    return np.concatenate(found)
