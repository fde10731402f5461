"""Pictures in a terminal, without colour: lines in braille, marks as signs, bars in shades."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import attrs

import inferbench as ib
from inferbench_plot.draw.look import LETTERS, SIGNS, extent, marks, ticks, title, wrapped, written

__all__ = ["RENDERER", "drawn"]

Place: TypeAlias = Callable[[float, str], float]
"""A value along `x` or `y` to its place there, from 0 to 1."""

HEIGHT = 18
LEAST, MOST = 34, 110
FILLS = "█▒▓░▚▞▤▥"
SHADES = " ░▒▓█"
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def drawn(report: ib.Report, width: int) -> str:
    """Draw all figures of a report.

    Raises:
        InferBenchError: The terminal is too narrow for any.
    """
    if width < LEAST:
        found, remedy = (
            f"has {width} columns, and a picture needs {LEAST}",
            "widen it, or name a file with -o",
        )
        raise ib.InferBenchError.at("the terminal", found, remedy)
    columns = min(width, MOST) - 1
    return "\n".join(_figure(figure, columns) for figure in report.figures)


RENDERER = ib.Renderer("terminal", drawn, draws=True)


def _figure(figure: ib.Figure, width: int) -> str:
    lines = [*wrapped([ib.short(figure.title, 400)], width), ""]
    for panel in figure.panels:
        if panel.title:
            lines += wrapped([ib.short(panel.title, 300)], width)
        if any(isinstance(layer, ib.Heat) for layer in panel.layers):
            lines += _map(panel, width)
        elif any(isinstance(layer, ib.Bars) for layer in panel.layers):
            lines += _bars(panel, width)
        else:
            lines += _canvas(panel, width)
        lines.append("")
    lines += wrapped([ib.short(note, 600) for note in (*figure.notes, *figure.footer)], width)
    return "".join(f"{ib.short(line.rstrip(), width)}\n" for line in lines)


def _bars(panel: ib.Panel, width: int) -> list[str]:
    """A line per category, the first on top; what stands behind each bar is cut to the room."""
    names = panel.y.names
    label = min(max(len(name) for name in names), max(12, width * 2 // 5))
    low, high = extent(panel, "x")
    low = min(low, 0.0)
    bars = [layer for layer in panel.layers if isinstance(layer, ib.Bars)]
    dots = [layer for layer in panel.layers if isinstance(layer, ib.Dots)]
    texts = [_behind(bars, dots, i) for i in range(len(names))]
    room = max((len(text) for text in texts), default=0)
    below = label + room + 15 > width  # what stands behind the bars gets lines of its own
    across = max(6, width - label - (0 if below else room) - 3)
    several = len([one for one in bars if one.name]) > 1

    def place(value: float) -> int:
        return max(0, min(across, round((value - low) / ((high - low) or 1.0) * across)))

    lines = []
    for i in reversed(range(len(names))):
        cells = [" "] * across
        for layer in bars:
            base = layer.base[i] if layer.base else 0.0
            if math.isfinite(layer.values[i]):
                fill = FILLS[layer.colour % len(FILLS)] if several and layer.colour >= 0 else FILLS[0]
                start, end = place(base), place(base + layer.values[i])
                end = max(end, start + 1) if layer.values[i] > 0 else end
                cells[start:end] = fill * (min(end, across) - start)
        for mark in dots:
            for x, y in marks(mark):
                if round(y) == i:
                    cells[min(across - 1, place(x))] = (
                        "│" if mark.marker == 9 else SIGNS[mark.marker % len(SIGNS)]
                    )
        lines.append(f"{ib.short(names[i], label):>{label}} {''.join(cells)} {'' if below else texts[i]}")
        if below and texts[i]:
            lines.append(ib.short(f"{'':>{min(label, 6)}} {texts[i]}", width))
    shown = [value for value in ticks(low, high, False) if value <= high]
    lines.append(_scale(shown, label + 1, width, place, panel.x.unit))
    lines += [f"{'':>{label}} {title(panel.x)}"] if title(panel.x) else []
    if several:
        entries = [f"{FILLS[b.colour % len(FILLS)]} {b.name}" for b in bars if b.name]
        entries += [f"│ {one.name}" for one in dots if one.name]
        lines += joined(entries, width)
    return lines


def _scale(shown: list[float], left: int, width: int, place: Callable[[float], int], unit: str) -> str:
    """The ticks below the bars, where they don't touch."""
    cells = [" "] * width
    for value in shown:
        text = written(value, unit)
        start = min(max(left, left + place(value) - len(text) // 2), width - len(text))
        if start >= left and not "".join(cells[max(0, start - 1) : start + len(text) + 1]).strip():
            cells[start : start + len(text)] = text
    return "".join(cells)


def _behind(bars: Sequence[ib.Bars], dots: Sequence[ib.Dots], i: int) -> str:
    """The texts of a row, and the interval where the last bar ends."""
    texts = [layer.texts[i] for layer in bars if layer.texts and layer.texts[i]]
    ends = [(layer.low[i], layer.high[i]) for layer in bars if layer.low]
    if not texts:
        texts = [f"[{ib.show(a, digits=2)}–{ib.show(b, digits=2)}]" for a, b in ends if math.isfinite(a + b)]
    texts += [d.texts[k] for d in dots if d.texts for k, y in enumerate(d.y) if round(y) == i and d.texts[k]]
    return " ".join(texts)


def _map(panel: ib.Panel, width: int) -> list[str]:
    """Fields of a map: a letter and how sure it is, or a shade and the share in per cent."""
    layer = next(one for one in panel.layers if isinstance(one, ib.Heat))
    label = min(width // 4, max(len(name) for name in (*panel.y.names, panel.y.label)))
    each = max(4, min(7, (width - label - 2) // max(1, len(panel.x.names))))
    lines = [f"{ib.short(panel.y.label, label):>{label}}"]
    for row in reversed(range(len(layer.values))):
        cells = []
        for column, value in enumerate(layer.values[row]):
            if not math.isfinite(value):
                cells.append("")
                continue
            if layer.names:
                text = layer.texts[row][column].removesuffix(" %") if layer.texts else ""
                unsure = "?" if layer.hatched and layer.hatched[row][column] else ""
                sure = f" {text}{unsure}" if each > 5 else unsure
                cells.append(f"{LETTERS[int(value) % 26]}{sure}")
            else:
                tone = SHADES[min(4, max(0, math.ceil(value * 4 - 1e-9)))]
                text = layer.texts[row][column] if layer.texts else ""
                cells.append(f"{tone}{text if 0 < len(text) < each - 1 else f'{100 * value:.0f}'}")
        lines.append(
            f"{ib.short(panel.y.names[row], label):>{label}} {''.join(f'{c[:each]:>{each}}' for c in cells)}"
        )
    lines.append(
        f"{'':>{label}} {''.join(f'{n[:each]:>{each}}' for n in panel.x.names)}  {panel.x.label}"[:width]
    )
    if layer.names:
        named = [f"{LETTERS[i % 26]} {name}" for i, name in enumerate(layer.names)]
        lines += wrapped([f"{'  '.join(named)}  (beside it: how sure, in %; ? below 90 %)"], width)
    return lines


@attrs.define(eq=False)
class Canvas:
    """Cells with braille dots below and signs above."""

    width: int
    height: int
    dots: list[list[int]] = attrs.field(init=False)
    signs: list[list[str]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.dots = [[0] * self.width for _ in range(self.height)]
        self.signs = [[""] * self.width for _ in range(self.height)]

    def dot(self, x: float, y: float) -> None:
        """Set a dot; x and y from 0 to 1, upwards."""
        column, row = int(x * (2 * self.width - 1) + 0.5), int((1.0 - y) * (4 * self.height - 1) + 0.5)
        if 0 <= column < 2 * self.width and 0 <= row < 4 * self.height:
            self.dots[row // 4][column // 2] |= DOTS[row % 4][column % 2]

    def across(self, y: float, start: float, end: float) -> None:
        """Draw an interval through the row of cells in which a sign at `y` stands."""
        row, last = round((1.0 - y) * (self.height - 1)), 2 * self.width - 1
        for column in range(max(0, int(start * last + 0.5)), min(last, int(end * last + 0.5)) + 1):
            self.dots[row][column // 2] |= DOTS[1][column % 2]

    def sign(self, x: float, y: float, sign: str) -> tuple[int, int] | None:
        """Set a sign; the first that stands somewhere stays."""
        if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
            return None
        column, row = round(x * (self.width - 1)), round((1.0 - y) * (self.height - 1))
        if not self.signs[row][column]:
            self.signs[row][column] = sign
        return row, column

    def text(self, row: int, column: int, text: str) -> bool:
        """Write a text where every cell, and one on either side, is free of signs."""
        if not (0 <= row < self.height and column >= 0 and column + len(text) <= self.width):
            return False
        around = range(max(0, column - 1), min(self.width, column + len(text) + 1))
        if any(self.signs[row][cell] for cell in around):
            return False
        for i, letter in enumerate(text):
            self.signs[row][column + i] = letter
        return True

    def lines(self) -> list[str]:
        """The cells as text."""
        return [
            "".join(sign or (chr(0x2800 + dots) if dots else " ") for sign, dots in zip(*both, strict=True))
            for both in zip(self.signs, self.dots, strict=True)
        ]


def _canvas(panel: ib.Panel, width: int) -> list[str]:
    ends = {"x": extent(panel, "x"), "y": extent(panel, "y")}
    shown = {which: _ticks(panel, which, ends[which]) for which in ("x", "y")}
    left = max((len(text) for _, text in shown["y"]), default=0)
    left = min(left, width // 3)
    height = HEIGHT if not panel.y.names else max(4, 3 * len(panel.y.names))
    canvas = Canvas(max(12, width - left - 2), height)

    def at(value: float, which: str) -> float:
        low, high = ends[which]
        if (panel.x if which == "x" else panel.y).log:
            if value <= 0:
                return math.nan
            return math.log(value / low) / math.log(high / low)
        return (value - low) / ((high - low) or 1.0)

    _draw_lines(canvas, panel, at)
    _draw_intervals(canvas, panel, at)
    wanted = _draw_signs(canvas, panel, at)
    left_out = [text for row, column, text in wanted if not _beside(canvas, row, column, text)]
    lines = _framed(canvas, shown["y"], left, at, title(panel.y))
    lines += [_below(canvas, shown["x"], left, at), f"{title(panel.x):^{width}}".rstrip()]
    entries = [
        f"{_sign(layer)} {layer.name}"
        for layer in panel.layers
        if isinstance(layer, ib.Line | ib.Dots) and layer.name
    ]
    lines += joined(entries, width)
    if left_out:
        lines += wrapped([f"no room to label: {', '.join(dict.fromkeys(left_out))}"], width)
    return lines


def joined(entries: Sequence[str], width: int) -> list[str]:
    """Entries of a legend in lines; none is broken."""
    lines: list[str] = []
    for entry in entries:
        text = ib.short(entry, width)
        if lines and len(lines[-1]) + 3 + len(text) <= width:
            lines[-1] += f"   {text}"
        else:
            lines.append(text)
    return lines


def _sign(layer: ib.Line | ib.Dots) -> str:
    if isinstance(layer, ib.Line):
        return SIGNS[layer.colour % len(SIGNS)] if layer.low or len(layer.x) > 3 else "⠒"
    return "○" if layer.hollow else SIGNS[layer.marker % len(SIGNS)]


def _ticks(panel: ib.Panel, which: str, ends: tuple[float, float]) -> list[tuple[float, str]]:
    scale = panel.x if which == "x" else panel.y
    if scale.names:
        return [(float(i), name) for i, name in enumerate(scale.names)]
    return [(value, written(value, scale.unit)) for value in ticks(*ends, scale.log)]


def _draw_lines(canvas: Canvas, panel: ib.Panel, at: Place) -> None:
    for layer in panel.layers:
        if isinstance(layer, ib.Line):
            places = [(at(x, "x"), at(y, "y")) for x, y in marks(layer)]
            sparse = {"solid": 1, "dashed": 3, "thin": 2}[layer.look]
            for (x0, y0), (x1, y1) in pairwise(places):
                steps = max(2, int(2 * canvas.width * abs(x1 - x0)), int(4 * canvas.height * abs(y1 - y0)))
                for k in range(0, steps + 1, sparse):
                    canvas.dot(x0 + (x1 - x0) * k / steps, y0 + (y1 - y0) * k / steps)
        elif isinstance(layer, ib.Rule):
            for k in range(0, 101, 2):
                part = k / 100
                if layer.axis == "both":
                    low, high = (extent(panel, which) for which in ("x", "y"))
                    start, end = max(low[0], high[0]), min(low[1], high[1])
                    value = start * (end / start) ** part if panel.x.log else start + (end - start) * part
                    canvas.dot(at(value, "x"), at(value, "y"))
                elif layer.axis == "x":
                    canvas.dot(at(layer.at, "x"), part)
                else:
                    canvas.dot(part, at(layer.at, "y"))


def _draw_intervals(canvas: Canvas, panel: ib.Panel, at: Place) -> None:
    """Draw the intervals of marks beside categories; elsewhere they would hide lines."""
    for layer in panel.layers:
        if isinstance(layer, ib.Dots) and layer.low and panel.y.names:
            for y, *ends in zip(layer.y, layer.low, layer.high, strict=True):
                start, end = (at(value, "x") for value in ends)
                if math.isfinite(start + end):
                    canvas.across(at(y, "y"), start, end)


def _draw_signs(canvas: Canvas, panel: ib.Panel, at: Place) -> list[tuple[int, int, str]]:
    """Set the marks, whole steps before operators; return the texts that should stand beside some."""
    wanted: list[tuple[int, int, str]] = []
    dots = [layer for layer in panel.layers if isinstance(layer, ib.Dots)]
    for layer in sorted(dots, key=lambda one: one.small):
        small = "·" if layer.small and not layer.name else ""
        sign = small or _sign(layer)
        for i, (x, y) in enumerate(zip(layer.x, layer.y, strict=True)):
            if math.isfinite(x) and math.isfinite(y):
                found = canvas.sign(at(x, "x"), at(y, "y"), "│" if layer.marker == 9 else sign)
                if found and layer.texts and layer.texts[i]:
                    wanted.append((*found, ib.short(layer.texts[i], 44)))
    for line in panel.layers:
        if isinstance(line, ib.Line) and line.name and (line.low or len(line.x) > 3):
            for x, y in marks(line):
                canvas.sign(at(x, "x"), at(y, "y"), _sign(line))
    return wanted


def _beside(canvas: Canvas, row: int, column: int, text: str) -> bool:
    """Write a text near a mark."""
    for down, start in (
        (0, column + 2),
        (0, column - len(text) - 1),
        (-1, column + 1),
        (1, column + 1),
        (-1, column - len(text)),
        (1, column - len(text)),
        (-2, column - len(text) // 2),
        (2, column - len(text) // 2),
    ):
        if canvas.text(row + down, start, text):
            return True
    return False


def _framed(canvas: Canvas, shown: list[tuple[float, str]], left: int, at: Place, label: str) -> list[str]:
    rows = {}
    for value, text in shown:
        part = at(value, "y")
        if 0.0 <= part <= 1.0:
            rows[round((1.0 - part) * (canvas.height - 1))] = ib.short(text, max(1, left))
    lines = [label] if label else []
    for i, line in enumerate(canvas.lines()):
        lines.append(f"{rows.get(i, ''):>{left}} {'┤' if i in rows else '│'}{line}")
    return lines


def _below(canvas: Canvas, shown: list[tuple[float, str]], left: int, at: Place) -> str:
    cells = [" "] * (canvas.width + left + 2)
    for value, text in shown:
        part = at(value, "x")
        if not 0.0 <= part <= 1.0:
            continue
        start = left + 2 + round(part * (canvas.width - 1)) - len(text) // 2
        start = min(max(left + 1, start), len(cells) - len(text))
        if start >= 0 and not "".join(cells[max(0, start - 1) : start + len(text) + 1]).strip():
            cells[start : start + len(text)] = text
    return "".join(cells)
