"""Parity plots as SVG: predicted over measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import attrs

from inferbench.validation.rows import Row

__all__ = ["parity"]

SIZE, MARGIN = 320, 44
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7f7f7f",
    "#000000",
    "#882255",
    "#44aa99",
)


@attrs.frozen
class Scale:
    """Powers of ten between which the plot lies."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Where a logarithm lies along an edge."""
        return MARGIN + (SIZE - 2 * MARGIN) * (value - self.low) / (self.high - self.low)


def parity(rows: Sequence[Row], unit: str) -> str:
    """An SVG of predicted over measured, both logarithmic, a colour per chip and stack; grey lines at 10%."""
    points = [(math.log10(r.measured), math.log10(r.predicted), f"{r.chip} · {r.stack}") for r in rows]
    scale = Scale(min(min(x, y) for x, y, _ in points) - 0.1, max(max(x, y) for x, y, _ in points) + 0.1)
    names = sorted({name for _, _, name in points})
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    height = SIZE + 14 * len(names)
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{height}" viewBox="0 0 {SIZE}'
            f' {height}" font-family="sans-serif" font-size="10">'
        ),
        f'<rect width="{SIZE}" height="{height}" fill="white"/>',
        *_guides(scale),
    ]
    for x, y, name in points:
        lines.append(
            f'<circle cx="{scale.at(x):.1f}" cy="{SIZE - scale.at(y):.1f}" r="2.5" fill="{colour[name]}"'
            ' fill-opacity="0.7"/>'
        )
    return "\n".join([*lines, *_labels(unit), *_legend(names, colour), "</svg>", ""])


def _guides(scale: Scale) -> Iterator[str]:
    """Equality, 10% on either side, and powers of ten."""
    for shift, dash in ((0.0, ""), (math.log10(1.1), "3"), (-math.log10(1.1), "3")):
        a, b = scale.low + max(0.0, -shift), scale.high - max(0.0, shift)
        yield (
            f'<line x1="{scale.at(a):.1f}" y1="{SIZE - scale.at(a + shift):.1f}" x2="{scale.at(b):.1f}"'
            f' y2="{SIZE - scale.at(b + shift):.1f}" stroke="#999" stroke-dasharray="{dash}"/>'
        )
    for power in range(math.ceil(scale.low), math.floor(scale.high) + 1):
        text, place = f"{10.0**power:g}", scale.at(power)
        yield f'<text x="{place:.1f}" y="{SIZE - MARGIN + 14}" text-anchor="middle">{text}</text>'
        yield f'<text x="{MARGIN - 6}" y="{SIZE - place + 3:.1f}" text-anchor="end">{text}</text>'


def _labels(unit: str) -> Iterator[str]:
    yield f'<text x="{SIZE / 2}" y="{SIZE - 8}" text-anchor="middle">measured, {unit}</text>'
    yield (
        f'<text transform="translate(12,{SIZE / 2}) rotate(-90)" text-anchor="middle">predicted,'
        f" {unit}</text>"
    )


def _legend(names: Sequence[str], colour: Mapping[str, str]) -> Iterator[str]:
    for i, name in enumerate(names):
        y = SIZE + 14 * i
        yield f'<circle cx="20" cy="{y}" r="3" fill="{colour[name]}"/><text x="30" y="{y + 3}">{name}</text>'
