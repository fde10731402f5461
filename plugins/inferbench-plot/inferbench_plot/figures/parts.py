"""Where time, energy, money and memory go: bars that add up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import attrs

import inferbench as ib
from inferbench_plot.figures.shared import (
    At,
    compared,
    dollars,
    engine,
    footer,
    points_of,
    run_of_parts,
    system_name,
    unit_cost,
)

__all__ = ["BREAKDOWN", "COST", "ENERGY", "FACTORS", "MEMORY", "stacked"]

MOST_PANELS = 6
MOST_ROWS = 9
Parts = dict[str, float]


def breakdown(answer: ib.Comparison | ib.Run) -> ib.Figure:
    """Draw where each millisecond of a step goes, and each joule: a panel per system and work."""
    points = list(points_of(answer))[:MOST_PANELS]
    panels: list[ib.Panel] = []
    for at in points:
        run = run_of_parts(at)
        seconds = at.of(at.run.seconds)
        parts = _of_time(run, seconds)
        panels.append(_panel(f"{_named(at)}: time of a step", parts, "time", "s", at.colour))
        joules = {engine_of(name): at.of(value) for name, value in at.run.energy.parts.items()}
        if joules:
            panels.append(_panel(f"{_named(at)}: energy of a step", joules, "energy", "J", at.colour))
    title = f"Where time and energy go: {_systems(points)}"
    notes = ("Energy is counted at the boundary that the chip's spec names.",)
    return ib.Figure(
        "breakdown",
        title,
        tuple(panels),
        2 if len(panels) > 3 else 1,
        footer([at.run for at in points]),
        notes,
    )


def _of_time(run: ib.Run, seconds: float) -> Parts:
    """Seconds of each operator, the longest first, what lies between them last."""
    rows: Parts = {}
    for row in run.ops:
        spent = float(run.values(row.seconds).ravel()[0])
        busy = {name: float(run.values(value).ravel()[0]) for name, value in row.busy.items()}
        most = engine(max(busy, key=lambda name: busy[name])) if busy else ""
        rows[f"{row.name} ({most})" if most else row.name] = spent
    whole = sum(rows.values())
    ordered = dict(sorted(rows.items(), key=lambda item: -item[1]))
    if len(ordered) > MOST_ROWS:
        kept = dict(list(ordered.items())[: MOST_ROWS - 1])
        ordered = {**kept, f"{len(ordered) - len(kept)} others": whole - sum(kept.values())}
    if seconds - whole > 0.005 * seconds:
        ordered["host, gaps, waiting"] = seconds - whole
    return ordered


def engine_of(action: str) -> str:
    """An energy's part as a reader knows it: `bytes.hbm` is HBM traffic."""
    head, _, tail = action.partition(".")
    level = tail if tail == "network" else tail.upper()
    return f"{level} traffic" if head == "bytes" else {"ops": "arithmetic"}.get(action, action)


def _panel(title: str, parts: Parts, label: str, unit: str, colour: int) -> ib.Panel:
    """Bars of the parts, the first on top, each with its share."""
    whole = sum(value for value in parts.values() if math.isfinite(value))
    names = list(reversed(parts))
    texts = [
        f"{ib.show(parts[name], unit)} · {_percent(parts[name] / whole)}" if whole else "" for name in names
    ]
    bars = ib.Bars(label, [parts[name] for name in names], texts=texts, colour=colour)
    return ib.Panel(
        ib.Scale(label, unit, low=0.0), ib.Scale(names=tuple(ib.short(n, 30) for n in names)), (bars,), title
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "<1 %"


def factors(answer: ib.Comparison | ib.Run) -> ib.Figure:
    """Draw how the time of a step comes about: arithmetic at the peak, memory, structure, software."""
    points = [at for at in points_of(answer) if at.fits][:MOST_PANELS]
    panels = []
    for at in points:
        useful, peak = at.of(at.run.useful), at.of(at.run.peak)
        steps = [useful / peak, *(at.of(v) for v in (at.run.roofline, at.run.model, at.run.seconds))]
        names = ("arithmetic at peak", "+ memory (algorithm)", "+ structure (hardware)", "+ software")
        ratios = [steps[0] / steps[1], steps[1] / steps[2], steps[2] / steps[3]]
        texts = [
            ib.show(steps[0], "s"),
            *(
                f"{ib.show(after - before, 's')} · factor {ib.show(100 * ratio)} %"
                for (before, after), ratio in zip(pairwise(steps), ratios, strict=True)
            ),
        ]
        values = [steps[0], *(after - before for before, after in pairwise(steps))]
        base = [0.0, *steps[:-1]]
        low, high = at.factors()
        whole = ib.Bars(
            "",
            [steps[3], *[math.nan] * 4],
            low=[steps[3] * low, *[math.nan] * 4],
            high=[steps[3] * high, *[math.nan] * 4],
            texts=[
                f"{ib.show(steps[3], 's')} · utilization {ib.show(100 * steps[0] / steps[3])} %",
                *[""] * 4,
            ],
            colour=-1,
        )
        back = list(reversed(values))
        bars = ib.Bars(
            "adds",
            [math.nan, *back],
            base=[0.0, *reversed(base)],
            texts=["", *reversed(texts)],
            colour=at.colour,
        )
        rows = ("= step", *reversed(names))
        panels.append(
            ib.Panel(ib.Scale("time", "s", low=0.0), ib.Scale(names=rows), (bars, whole), _named(at))
        )
    return ib.Figure(
        "factors",
        f"From the peak to the step: {_systems(points)}",
        tuple(panels),
        2 if len(panels) > 3 else 1,
        footer=footer([at.run for at in points]),
        notes=("algorithm × hardware × software = utilization, exactly.",),
    )


def memory(answer: ib.Comparison | ib.Run) -> ib.Figure:
    """Draw what the fullest chip of each system must hold, against what it has."""
    points = list(reversed(list(points_of(answer))))
    named = _rows(points)

    def capacity(at: At) -> float:
        return at.run.system.chip.memory[at.run.system.chip.outermost].capacity

    def parts(at: At) -> Parts:
        needed = at.run.footprint
        weights, cache, activations = (at.of(v) for v in (needed.weights, needed.state, needed.activations))
        reserve = at.of(at.run.memory["reserve_bytes"])
        each = {"weights": weights, "KV cache": cache, "activations": activations, "reserve": reserve}
        return {name: 100.0 * value / capacity(at) for name, value in each.items()}

    texts = [
        f"{ib.show(at.of(at.run.needed) + at.of(at.run.memory['reserve_bytes']), 'B')}"
        + f" of {ib.show(capacity(at), 'B')}"
        + ("" if at.fits else ": does not fit")
        for at in points
    ]
    *lower, last = stacked([parts(at) for at in points])
    layers: tuple[ib.Bars | ib.Rule, ...] = (
        *lower,
        attrs.evolve(last, texts=texts),
        ib.Rule("", 100.0, "x"),
    )
    panel = ib.Panel(ib.Scale("share of the capacity, %", low=0.0), ib.Scale(names=named), layers)
    return ib.Figure(
        "memory",
        f"Memory of one chip: {_systems(points[::-1])}",
        (panel,),
        footer=footer([at.run for at in points[::-1]]),
        notes=(
            "Of the fullest chip. Reserve is what an engine keeps to itself: graphs, workspaces, fragments.",
        ),
    )


def energy(answer: ib.Comparison | ib.Run) -> ib.Figure:
    """Draw joules per item by what takes them."""
    points = [at for at in points_of(answer) if at.fits]

    def parts(at: At) -> Parts:
        items, run = at.of(at.run.items), run_of_parts(at)
        split = {
            engine_of(name): float(run.values(value).ravel()[0]) / items
            for name, value in run.energy.parts.items()
        }
        return split or {"not split": at.of(at.run.energy.joules) / items}

    item = points[0].run.item if points else "item"
    known = [at for at in points if math.isfinite(at.of(at.run.energy.joules))]
    ends = [at.ends("joules_per_token") for at in known]
    figure = _stacked_figure("energy", known, parts, f"energy per {item}", "J", ends)
    lacking = dict.fromkeys(system_name(at.run) for at in points if at not in known)
    notes = (f"No power is known of {', '.join(lacking)}.",) if lacking else ()
    return _noted(figure, (boundaries(known), *notes))


def boundaries(points: Sequence[At]) -> str:
    """Where joules are counted, by system where that differs."""
    by: dict[str, dict[str, None]] = {}
    for at in points:
        by.setdefault(at.run.energy.boundary, {})[system_name(at.run)] = None
    if len(by) == 1:
        return f"Counted at the {next(iter(by))}."
    return "Counted at the " + "; ".join(f"{where} ({', '.join(names)})" for where, names in by.items()) + "."


def cost(answer: ib.Comparison | ib.Run) -> ib.Figure:
    """Draw dollars per million items: write-off and electricity, or the rate on demand where no price is
    known.
    """
    points = [at for at in points_of(answer) if at.fits]

    def parts(at: At) -> Parts:
        seconds, items, paid = at.of(at.run.seconds), at.of(at.run.items), at.run.cost
        if dollars(at.run)[0] == "usd_per_mtok":
            hourly = {"write-off": paid.capital.mid, "electricity": at.of(paid.electricity)}
        else:
            hourly = {"rental on demand": float(paid.of(ib.Term.ON_DEMAND))}
        return {name: unit_cost(seconds, items, value) for name, value in hourly.items()}

    known = [at for at in points if dollars(at.run)[0]]
    item = points[0].run.item if points else "item"
    ends = [at.ends(dollars(at.run)[0]) for at in known]
    figure = _stacked_figure("cost", known, parts, f"US dollars per million {item}s", "", ends)
    lacking = dict.fromkeys(system_name(at.run) for at in points if not dollars(at.run)[0])
    notes = (f"No price is known of {', '.join(lacking)}.",) if lacking else ()
    return _noted(figure, ("Rental on demand and ownership are different quantities.", *notes))


def _noted(figure: ib.Figure, notes: tuple[str, ...]) -> ib.Figure:
    return ib.Figure(
        figure.name, figure.title, figure.panels, figure.columns, figure.footer, (*figure.notes, *notes)
    )


def _stacked_figure(
    name: str,
    points: Sequence[At],
    parts: Callable[[At], Parts],
    label: str,
    unit: str,
    ends: Sequence[tuple[float, float]],
) -> ib.Figure:
    """A panel per work: systems and works differ by orders, so each has its own scale."""
    panels = []
    for title in dict.fromkeys(at.title for at in points):
        mine = [(at, end) for at, end in zip(points, ends, strict=False) if at.title == title]
        if mine:
            layers = tuple(stacked([parts(at) for at, _ in mine], [end for _, end in mine]))
            names = tuple(reversed([system_name(at.run) for at, _ in mine]))
            panels.append(
                ib.Panel(ib.Scale(label, unit, low=0.0), ib.Scale(names=names), _upward(layers), title)
            )
    title = f"{label[:1].upper()}{label[1:]}: {_systems(points)}"
    return ib.Figure(name, title, tuple(panels), footer=footer([at.run for at in points]))


def _upward(layers: Sequence[ib.Bars]) -> tuple[ib.Bars, ...]:
    """The first system on top."""
    return tuple(
        ib.Bars(
            one.name,
            one.values[::-1],
            one.base[::-1],
            one.low[::-1],
            one.high[::-1],
            one.texts[::-1],
            one.colour,
        )
        for one in layers
    )


def stacked(rows: Sequence[Parts], ends: Sequence[tuple[float, float]] = ()) -> Iterator[ib.Bars]:
    """Bars of each part on top of those before it; the interval stands at the end of the last."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    tops = [[0.0, *accumulate(row.get(name, 0.0) or 0.0 for name in names)] for row in rows]
    for place, name in enumerate(names):
        last = place == len(names) - 1
        yield ib.Bars(
            name,
            [row.get(name, 0.0 if last and ends else math.nan) for row in rows],
            base=[top[place] for top in tops],
            low=[low for low, _ in ends] if last else [],
            high=[high for _, high in ends] if last else [],
            texts=[_with_ends(top[-1], *end) for top, end in zip(tops, ends, strict=True)]
            if last and ends
            else [],
            colour=place,
        )


def _with_ends(value: float, low: float, high: float) -> str:
    known = math.isfinite(low) and math.isfinite(high)
    return ib.show(value) + (f" [{ib.show(low, digits=2)}–{ib.show(high, digits=2)}]" if known else "")


def _named(at: At) -> str:
    return f"{system_name(at.run)}, {at.title}"


def _rows(points: Sequence[At]) -> tuple[str, ...]:
    return tuple(f"{system_name(at.run)}, {at.title}" for at in points)


def _systems(points: Sequence[At]) -> str:
    return ib.short(", ".join(dict.fromkeys(system_name(at.run) for at in points)), 90)


def ask(systems: Sequence[str], workload: Sequence[str], **settings: Any) -> ib.Comparison:
    """Compare."""
    return compared(systems, workload, **settings)


TAKES = ("Comparison", "Run")
BREAKDOWN = ib.Plot("breakdown", "where each millisecond and joule of a step goes", ask, breakdown, TAKES)
FACTORS = ib.Plot("factors", "from arithmetic at the peak to the step: three factors", ask, factors, TAKES)
MEMORY = ib.Plot("memory", "weights, cache and activations against the capacity", ask, memory, TAKES)
ENERGY = ib.Plot("energy", "joules per token by what takes them", ask, energy, TAKES)
COST = ib.Plot("cost", "dollars per million tokens by what is paid for", ask, cost, TAKES)
