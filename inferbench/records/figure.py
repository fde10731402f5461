"""`Figure`: a picture as data, below everything that draws one; `Plot`: a kind of picture by name.

Layers hold plain numbers in SI units and texts. Renderers decide on colours, fonts and places; colour and
marker are numbers here, so that a system has the same ones in every panel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from inferbench.text import all_visible, visible
from inferbench.units import show

__all__ = ["Bars", "Dots", "Figure", "Heat", "Layer", "Line", "Panel", "Plot", "Rule", "Scale"]

Numbers: TypeAlias = tuple[float, ...]
Look: TypeAlias = Literal["solid", "dashed", "thin"]


def numbers(values: Any) -> Numbers:
    """Read anything that can be walked along as plain floats."""
    return tuple(float(value) for value in values)


@attrs.frozen
class Scale:
    """An axis.

    Attributes:
        label: What it counts, without its unit.
        unit: SI symbol; ticks carry prefixes.
        log: Whether factors are equal distances.
        names: Categories at 0, 1, 2, …; empty for numbers.
        low, high: Ends; NaN: of what is shown.
    """

    label: str = attrs.field(default="", converter=visible)
    unit: str = ""
    log: bool = False
    names: tuple[str, ...] = attrs.field(default=(), converter=all_visible)
    low: float = math.nan
    high: float = math.nan

    @property
    def title(self) -> str:
        """Label and unit, as an axis is written."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@attrs.frozen
class Line:
    """Points joined by a line, perhaps with the band of their 90% intervals.

    Attributes:
        name: As labelled; empty for a line that belongs to another layer's name.
        low, high: Ends of the interval at each x; empty for none.
        colour: Place in the palette; -1 is grey.
        low_x, high_x: Where on x these ends lie, if not above and below the point: a faster step is both a
            faster user and more throughput.
        look: `thin` is for bounds, `dashed` for what is effective beside a datasheet.
    """

    name: str = attrs.field(converter=visible)
    x: Numbers = attrs.field(converter=numbers)
    y: Numbers = attrs.field(converter=numbers)
    low: Numbers = attrs.field(default=(), converter=numbers)
    high: Numbers = attrs.field(default=(), converter=numbers)
    colour: int = 0
    look: Look = "solid"
    low_x: Numbers = attrs.field(default=(), converter=numbers)
    high_x: Numbers = attrs.field(default=(), converter=numbers)


@attrs.frozen
class Dots:
    """Single points, perhaps with their intervals.

    Attributes:
        name: As labelled; empty for none.
        texts: What stands beside each point; empty for none.
        said: What a page says of each point, besides.
        colour, marker: Places in the palette and among the markers.
        hollow: Whether only outlined: what does not fit, what was measured.
        small: Whether secondary: operators beside whole steps.
    """

    name: str = attrs.field(converter=visible)
    x: Numbers = attrs.field(converter=numbers)
    y: Numbers = attrs.field(converter=numbers)
    low: Numbers = attrs.field(default=(), converter=numbers)
    high: Numbers = attrs.field(default=(), converter=numbers)
    texts: tuple[str, ...] = attrs.field(default=(), converter=all_visible)
    said: tuple[str, ...] = attrs.field(default=(), converter=all_visible)
    colour: int = 0
    marker: int = 0
    hollow: bool = False
    small: bool = False


@attrs.frozen
class Bars:
    """A bar per category, on a base where they are stacked.

    Attributes:
        values: Lengths; NaN for no bar.
        base: Where each begins; empty for 0.
        low, high: Ends of the interval of where each ends; empty for none.
        texts: What stands at each bar; empty for none.
    """

    name: str = attrs.field(converter=visible)
    values: Numbers = attrs.field(converter=numbers)
    base: Numbers = attrs.field(default=(), converter=numbers)
    low: Numbers = attrs.field(default=(), converter=numbers)
    high: Numbers = attrs.field(default=(), converter=numbers)
    texts: tuple[str, ...] = attrs.field(default=(), converter=all_visible)
    colour: int = 0


@attrs.frozen
class Heat:
    """A map over two scales with names: a shade per field, or a class per field.

    Attributes:
        values: Rows (up the y scale) of columns (along x); NaN for an empty field. Shares from 0 to 1, or
            places in `names`.
        texts: Of the fields; empty for none.
        names: Of the classes; empty for shares.
        hatched: Fields that are not sure.
    """

    values: tuple[Numbers, ...]
    texts: tuple[tuple[str, ...], ...] = ()
    names: tuple[str, ...] = attrs.field(default=(), converter=all_visible)
    hatched: tuple[tuple[bool, ...], ...] = ()


@attrs.frozen
class Rule:
    """A straight line across the panel with its text: a limit, or equality.

    Attributes:
        axis: `x` stands upright at that x; `y` lies at that y; `both` is the diagonal.
    """

    text: str = attrs.field(converter=visible)
    at: float = math.nan
    axis: Literal["x", "y", "both"] = "x"
    look: Look = "dashed"


Layer: TypeAlias = Line | Dots | Bars | Heat | Rule


@attrs.frozen
class Panel:
    """One pair of axes. The first layer lies lowest."""

    x: Scale
    y: Scale
    layers: tuple[Layer, ...]
    title: str = attrs.field(default="", converter=visible)


@attrs.frozen
class Figure:
    """A picture as data.

    Attributes:
        name: Of the kind of picture; in file names.
        title: What is shown, in one line.
        panels: In reading order.
        columns: Panels side by side.
        footer: What the numbers rest on: software, precision, grade, sources.
        notes: What else a reader must know; renderers with little room leave them to the text.

    Example:
        >>> from inferbench import Dots, Figure, Panel, Scale
        >>> dots = Dots("B200", [1.0], [49.7], texts=["decode"])
        >>> Figure("mine", "Speed", (Panel(Scale("batch"), Scale("speed"), (dots,)),)).alt
        'Speed. Speed against batch. B200: 1 point, decode at 49.7.'
    """

    name: str
    title: str = attrs.field(converter=visible)
    panels: tuple[Panel, ...]
    columns: int = 1
    footer: tuple[str, ...] = attrs.field(default=(), converter=all_visible)
    notes: tuple[str, ...] = attrs.field(default=(), converter=all_visible)

    @property
    def alt(self) -> str:
        """The picture in words, for those who can't see it, from the same data."""
        parts = [self.title, *(said for panel in self.panels for said in _described(panel))]
        return " ".join(f"{part.rstrip('.')}." for part in parts if part)

    @property
    def rows(self) -> tuple[dict[str, Any], ...]:
        """Every mark as a flat record: what CSV holds."""
        return tuple(
            {"panel": panel.title or self.title, **row}
            for panel in self.panels
            for layer in panel.layers
            for row in _rows(layer, panel)
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data; NaN is None."""
        found: dict[str, Any] = _plain(attrs.asdict(self))
        for panel, record in zip(self.panels, found["panels"], strict=True):
            for layer, one in zip(panel.layers, record["layers"], strict=True):
                one["kind"] = type(layer).__name__.lower()
        return {"schema": "inferbench.figure/1", "alt": self.alt, **found}


@attrs.frozen(eq=False)
class Plot:
    """A kind of picture: what must be computed for it, and how the answer becomes a figure.

    .. versionadded:: 0.1

    Attributes:
        name: As given to `inferbench plot`.
        title: What it shows, in one line.
        ask: Systems, workload (or None) and the settings of `compare` by name to an answer.
        draw: Answer to figure.
        takes: Names of the classes that `draw` takes: `Comparison`, `Run`, `Card`, ….
    """

    name: str
    title: str
    ask: Callable[..., Any]
    draw: Callable[[Any], Figure]
    takes: tuple[str, ...] = ()


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _rows(layer: Layer, panel: Panel) -> Iterator[dict[str, Any]]:
    if isinstance(layer, Rule):
        yield {"layer": "rule", "name": layer.text, layer.axis: _plain(layer.at)}
    elif isinstance(layer, Heat):
        for row, values in enumerate(layer.values):
            for column, value in enumerate(values):
                said = layer.names[int(value)] if layer.names and not math.isnan(value) else _plain(value)
                at = {"x": panel.x.names[column], "y": panel.y.names[row]}
                sure = not (layer.hatched and layer.hatched[row][column])
                yield {"layer": "heat", **at, "value": said, "sure": sure}
    else:
        yield from _marks(layer, panel)


def _marks(layer: Line | Dots | Bars, panel: Panel) -> Iterator[dict[str, Any]]:
    kind, names = type(layer).__name__.lower(), panel.x.names or panel.y.names
    bars = isinstance(layer, Bars)
    values = layer.values if isinstance(layer, Bars) else layer.y
    for i, value in enumerate(values):
        place: Any = names[i] if isinstance(layer, Bars) else _plain(layer.x[i])
        ends = {"low": _plain(layer.low[i]), "high": _plain(layer.high[i])} if layer.low else {}
        base = {"base": _plain(layer.base[i])} if isinstance(layer, Bars) and layer.base else {}
        text = "" if isinstance(layer, Line) or not layer.texts else layer.texts[i]
        yield {
            "layer": kind,
            "name": layer.name,
            "category" if bars else "x": place,
            "value" if bars else "y": _plain(value),
            **base,
            **ends,
            "text": text,
        }


def _described(panel: Panel) -> Iterator[str]:
    if panel.title:
        yield panel.title
    if panel.y.label and panel.x.label:
        label = panel.y.label
        yield f"{label[:1].upper()}{label[1:]} against {panel.x.label}"
    for layer in panel.layers:
        yield _said(layer, panel)


def _said(layer: Layer, panel: Panel) -> str:
    if isinstance(layer, Rule):
        return f"A line: {layer.text}" if layer.text else ""
    if isinstance(layer, Heat):
        return _map_said(layer)
    unit = panel.y.unit
    if isinstance(layer, Bars):
        unit = unit or panel.x.unit
        names = panel.x.names or panel.y.names
        known = [
            f"{name} {layer.texts[i] if layer.texts and layer.texts[i] else show(value, unit)}"
            for i, (name, value) in enumerate(zip(names, layer.values, strict=True))
            if not math.isnan(value)
        ]
        return f"{layer.name}: {', '.join(known)}" if known else ""
    return _points_said(layer, panel, unit)


def _points_said(layer: Line | Dots, panel: Panel, unit: str) -> str:
    values, unit = (layer.x, panel.x.unit) if panel.y.names else (layer.y, unit)
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return ""
    if isinstance(layer, Dots) and any(layer.texts) and len(layer.texts) <= 12:
        each = ", ".join(
            f"{text} at {show(v, unit)}" for text, v in zip(layer.texts, values, strict=True) if text
        )
        points = f"{len(values)} point{'s' * (len(values) > 1)}"
        return f"{layer.name}: {points}, {each}" if layer.name else each
    if not layer.name:
        return ""
    if panel.y.names and isinstance(layer, Dots):
        rows = [panel.y.names[round(y)] for y in layer.y]
        each = ", ".join(f"{row} {show(v, unit)}" for row, v in zip(rows, values, strict=True))
        return f"{layer.name}: {each}"
    return f"{layer.name}: {len(known)} points from {show(min(known), unit)} to {show(max(known), unit)}"


def _map_said(layer: Heat) -> str:
    fields = [value for row in layer.values for value in row]
    known = [value for value in fields if not math.isnan(value)]
    if not layer.names:
        return f"A map of {len(fields)} fields, mean {show(100 * sum(known) / max(1, len(known)))} %"
    parts = [
        f"{name} in {show(100 * known.count(float(i)) / len(fields))} %" for i, name in enumerate(layer.names)
    ]
    unsure = sum(one for row in layer.hatched for one in row)
    return f"A map of {len(fields)} fields: {', '.join(parts)}; {unsure} are not sure"
