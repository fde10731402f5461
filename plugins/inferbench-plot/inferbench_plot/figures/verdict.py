"""Card and parity: the four metrics side by side, and predictions beside measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import inferbench as ib
from inferbench_plot.figures.shared import footer

__all__ = ["CARD", "PARITY", "card", "parity"]

METRICS = (
    ("useful_tops_per_chip", "useful TOPS per chip"),
    ("useful_tops_per_usd_hour", "useful TOPS per $/h"),
    ("useful_tops_per_watt_wall", "useful TOPS per watt at the wall"),
)
FLEXIBLE = (
    ("flexibility_per_dollar", "per dollar"),
    ("flexibility_per_watt", "per watt"),
    ("flexibility_inner", "of its own bound"),
    ("flexibility_fits", "points that fit"),
)
KINDS = {"power_w": "power", "energy_j": "energy"}


def ask_card(systems: Sequence[str], workload: Sequence[str], **settings: Any) -> ib.Card:
    """Compute the card of a suite."""
    if workload:
        found = "a card is of a suite, not of one workload"
        raise ib.InferBenchError.of_argument("workload", found, suite="reference")
    kept = {name: settings[name] for name in ("suite", "stack", "scenario", "registry") if name in settings}
    return ib.card(systems, **kept)


def card(answer: ib.Card) -> ib.Figure:
    """Draw the four metrics of each system: expected values, intervals, bounds; none is crowned."""
    data = answer.to_dict()["systems"]
    runs = answer.comparison.columns[0]
    names = tuple(ib.short(_written(column.run), 26) for column in runs)
    rows = tuple(reversed(names))
    panels = []
    works = list(data[0]["works"])
    for key, label in METRICS:
        layers: list[ib.Dots] = []
        for k, work in enumerate(works):
            mine = [system["works"][work] for system in reversed(data)]
            values = [_number(one.get(key)) for one in mine]
            # Works stand a little above each other: their marks would hide one another.
            places = [i + (k - (len(works) - 1) / 2) * -0.24 for i in range(len(mine))]
            ends = [[_number(one.get(f"{key}_{end}")) for one in mine] for end in ("low", "high")]
            bounds = [_number(one.get(f"{key}_bound")) for one in mine]
            layers.append(ib.Dots(work, values, places, ends[0], ends[1], colour=k, marker=k))
            layers.append(ib.Dots("", bounds, places, colour=k, marker=9, small=True))
        panels.append(ib.Panel(ib.Scale(log=True), ib.Scale(names=rows), tuple(layers), label))
    readings = tuple(
        ib.Dots(
            label,
            [100.0 * _number(system.get(key)) for system in reversed(data)],
            [i + (k - 1.5) * -0.2 for i in range(len(data))],
            colour=k + len(works),
            marker=k + len(works),
        )
        for k, (key, label) in enumerate(FLEXIBLE)
    )
    scale = ib.Scale(low=-2.0, high=105.0)
    panels.append(ib.Panel(scale, ib.Scale(names=rows), readings, "flexibility: share of the space, %"))
    every = [column.run for columns in answer.comparison.columns for column in columns]
    return ib.Figure(
        "card",
        f"Four metrics, all of which count: {ib.short(', '.join(names), 80)}",
        tuple(panels),
        footer=footer(every),
        notes=("Bars across are 90% intervals; upright ticks are bounds, which no software beats.",),
    )


def _written(run: ib.Run) -> str:
    count = f"{run.system.count}×" if run.system.count > 1 else ""
    return f"{count}{run.system.chip.title}"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def ask_parity(systems: Sequence[str], workload: Sequence[str], **settings: Any) -> ib.Validation:
    """Predict the shipped measurements; systems name the chips to show."""
    registry = settings["registry"]
    found = ib.validate(registry=registry)
    if not systems:
        return found
    chips = {registry.chip(ib.SystemName.parse(name).chip).name for name in systems}
    rows = tuple(row for row in found.rows if row.chip in chips)
    if not any(row.scored for row in rows):
        having = ", ".join(sorted({row.chip for row in found.rows if row.scored}))
        said = f"no installed measurement of {', '.join(sorted(chips))} is scored"
        raise ib.InferBenchError.of_argument("systems", said, f"there are some of {having}")
    return ib.Validation(rows, found.files, found.warnings)


def parity(found: ib.Validation) -> ib.Figure:
    """Draw predicted against measured with intervals, by chip: a panel for times, one for power."""
    scored = [row for row in found.rows if row.scored and row.measured > 0 and row.predicted > 0]
    chips = sorted({row.chip for row in scored})
    panels = []
    for kind, unit in (("time", "s"), ("power", "W"), ("energy", "J")):
        rows = [
            row for row in scored if KINDS.get(row.metric, "time") == kind and row.metric != "tokens_per_s"
        ]
        if not rows:
            continue
        groups = enumerate([row for row in rows if row.chip == chip] for chip in chips)
        dots = [_dots(mine, colour) for colour, mine in groups if mine]
        panels.append(
            ib.Panel(
                ib.Scale(f"measured {kind}", unit, log=True),
                ib.Scale(f"predicted {kind}", unit, log=True),
                (ib.Rule("", axis="both"), *dots),
                kind,
            )
        )
    stacks = ", ".join(sorted({row.stack for row in scored}))
    formats = ", ".join(sorted({row.precision for row in scored}))
    sources = sorted({row.set for row in scored})
    fitted = sum(row.fitted is not False for row in scored)
    inside = sum(row.inside for row in scored)
    grades = f"{inside} points inside the box of their software's fit, {len(scored) - inside} outside"
    return ib.Figure(
        "parity",
        f"Predicted against measured: {len(scored)} figures",
        tuple(panels),
        footer=(
            f"Software: {ib.short(stacks, 200)}",
            f"{formats} · 90% intervals · {grades} · InferBench {ib.__version__}",
            f"Measured by: {ib.short(', '.join(sources), 160)}",
        ),
        notes=(
            "Behind each chip: figures inside their interval, of all.",
            f"{fitted} of the {len(scored)} figures took part in a fit, or may have.",
        ),
    )


def _dots(mine: Sequence[Any], colour: int) -> ib.Dots:
    """The figures of one chip, and how many of them lie in their intervals."""
    inside = sum(row.low <= row.measured <= row.high for row in mine)
    return ib.Dots(
        f"{ib.short(mine[0].chip, 24)} {inside}/{len(mine)}",
        [row.measured for row in mine],
        [row.predicted for row in mine],
        [row.low for row in mine],
        [row.high for row in mine],
        said=[f"{row.network or row.op} {row.phase}, {row.stack}, {row.source}" for row in mine],
        colour=colour,
        marker=colour,
        small=True,
    )


CARD = ib.Plot("card", "the four metrics of each system, without a crown", ask_card, card, ("Card",))
PARITY = ib.Plot("parity", "predicted against measured, by chip", ask_parity, parity, ("Validation",))
