"""Frontiers of serving: tokens per second of a user against throughput, dollars or joules."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import inferbench as ib
from inferbench_plot.figures.shared import GRADES, sources

__all__ = ["COST", "ENERGY", "THROUGHPUT"]

LABELS = {
    "tokens_per_s_per_chip": ("tokens per second and chip", ""),
    "usd_per_mtok": ("US dollars per million tokens, owned", ""),
    "wall_joules_per_token": ("energy per token at the wall", "J"),
}
ALIKE = 2.0
"""How far a measured prompt's length may be from the one asked about."""


def ask(systems: Sequence[str], workload: Sequence[str], **settings: Any) -> ib.Frontiers:
    """Compute the frontiers of serving; a workload's phase is left out, as serving has all."""
    if len(workload) != 1:
        found = f"a frontier is of one network, not of {len(workload)}"
        raise ib.InferBenchError.of_argument("workload", found, workload="llama3-70b")
    kept = {name: value for name, value in settings.items() if name != "suite" and value is not None}
    if kept.get("precision") is None:
        kept.pop("precision", None)
    name = workload[0].removesuffix("/decode").removesuffix("/prefill")
    return ib.frontier(systems, name, **kept)


def drawn(answer: ib.Frontiers, against: str) -> ib.Figure:
    """Draw one frontier per system with its band, the bound as a thin line, limits and measured points."""
    label, unit = LABELS[against]
    layers: list[ib.Line | ib.Dots | ib.Rule] = []
    missing = []
    for colour, one in enumerate(answer.systems):
        best = one.best(against) if one.count else np.empty(0, dtype=int)
        if not len(best):
            missing.append(f"{_name(answer, one)}: {one.why.get(against) or 'nothing fits'}")
            continue
        layers += _of_system(answer, one, best, against, colour)
    layers += _limits(answer)
    layers += [
        dots for colour, one in enumerate(answer.systems) for dots in _measured(answer, one, against, colour)
    ]
    traffic = answer.asked.traffic
    panel = ib.Panel(
        ib.Scale("tokens per second and user", log=True), ib.Scale(label, unit, log=True), tuple(layers)
    )
    terms = f"prompt {traffic.prompt:,.0f}, output {traffic.output:,.0f} tokens"
    notes = ["Bands are the 90% interval of the decode step. Thin lines are bounds: no software beats them."]
    if any(isinstance(layer, ib.Dots) for layer in layers):
        notes.append("Outlined marks were measured: static batches, the time of the prompt included.")
    title = f"{ib.short(answer.asked.network.title, 30)} served: {label} against speed"
    return ib.Figure(
        "frontier",
        title,
        (panel,),
        footer=_footer(answer, terms),
        notes=(*notes, *(ib.short(m, 200) for m in missing)),
    )


def _of_system(answer: ib.Frontiers, one: Any, best: Any, against: str, colour: int) -> Iterator[ib.Line]:
    speed, value = one.points["tokens_per_s_per_user"][best], one.points[against][best]
    low, high, _ = _band(answer, one, best)
    # A step that takes longer serves fewer tokens, at more dollars and joules of the time that passes.
    rate = against == "tokens_per_s_per_chip"
    ends = (value / high, value / low) if rate else (value * low, value * high)
    known = bool(np.isfinite(ends[0]).all())
    yield ib.Line(
        _name(answer, one),
        speed,
        value,
        low=ends[0] if known else [],
        high=ends[1] if known else [],
        low_x=speed / (high if rate else low) if known else [],
        high_x=speed / (low if rate else high) if known else [],
        colour=colour,
    )
    if one.stack != "ideal":
        bound = _bound(answer, one, against)
        if bound is not None:
            yield ib.Line("", bound[0], bound[1], colour=colour, look="thin")


def _name(answer: ib.Frontiers, one: Any) -> str:
    """A system as a picture writes it: `8×B200`."""
    system, _, software = one.system.partition("@")
    parsed = ib.SystemName.parse(system)
    chip = ib.short(answer.asked.registry.chip(parsed.chip).title, 26)
    layout = f":{parsed.layout}" if parsed.layout else ""
    count = f"{one.chips}×" if one.chips > 1 else ""
    return f"{count}{chip}{layout}" + (f" @{ib.short(software, 16)}" if software else "")


def _band(answer: ib.Frontiers, one: Any, best: Any) -> tuple[Any, Any, set[str]]:
    """Factors to the ends of the time of a decode step at each point, NaN under an unfitted stack; grades."""
    low, high = np.full(len(best), np.nan), np.full(len(best), np.nan)
    grades: set[str] = set()
    known = answer.asked.registry
    chip, _, _ = one.system.partition("@")
    name = ib.SystemName.parse(chip).chip
    layouts, formats = one.points["layout"][best], one.points["precision"][best]
    for layout, precision in dict.fromkeys(zip(layouts.tolist(), formats.tolist(), strict=True)):
        here = np.flatnonzero((layouts == layout) & (formats == precision))
        batches = np.unique(np.maximum(1.0, np.round(one.points["batch"][best][here])))
        spread = ib.Layout.parse(layout)
        try:
            run = ib.run(
                ib.System(known.chip(name), spread.chips, spread),
                f"{answer.asked.network.name}/decode",
                precision=precision,
                stack=one.stack,
                registry=known,
                ignore_capacity=True,
                batch=batches.tolist(),
                context=answer.asked.traffic.prompt + answer.asked.traffic.output / 2,
            )
        except ib.InferBenchError:  # a network that is a file, a batch that this layout refuses
            continue
        ends = [end.reshape(len(batches), -1)[:, 0] for end in run.interval(run.latency)]
        value = run[run.latency].reshape(len(batches), -1)[:, 0]
        at = np.searchsorted(batches, np.maximum(1.0, np.round(one.points["batch"][best][here])))
        low[here], high[here] = (ends[0] / value)[at], (ends[1] / value)[at]
        grades |= {GRADES[int(code)] for code in run.grade.ravel()}
    return low, high, grades


def _bound(answer: ib.Frontiers, one: Any, against: str) -> tuple[Any, Any] | None:
    """The frontier of the same system under ideal software."""
    asked = answer.asked
    system = one.system.partition("@")[0]
    try:
        ideal = ib.frontier(
            [system],
            asked.network.name,
            output=asked.traffic.output,
            context=asked.traffic.prompt,
            precision=list(asked.precisions),
            chunk=list(asked.chunks) or None,
            stack="ideal",
            registry=asked.registry,
            scenario=asked.scenario.name if asked.scenario else "reference",
            batch=None if asked.open_ended else list(asked.batches),
        ).systems[0]
    except ib.InferBenchError:
        return None
    best = ideal.best(against) if ideal.count else np.empty(0, dtype=int)
    if not len(best):
        return None
    return ideal.points["tokens_per_s_per_user"][best], ideal.points[against][best]


def _limits(answer: ib.Frontiers) -> Iterator[ib.Rule]:
    tpot = answer.limits[0]
    if math.isfinite(tpot):
        yield ib.Rule(f"limit: {ib.show(tpot, 's')} per token", 1.0 / tpot, "x")


def _measured(answer: ib.Frontiers, one: Any, against: str, colour: int) -> Iterator[ib.Dots]:
    """Published measurements of the same system and network with prompts of like length."""
    if against != "tokens_per_s_per_chip":
        return
    known, asked = answer.asked.registry, answer.asked
    chip = known.chip(ib.SystemName.parse(one.system.partition("@")[0]).chip).name
    found: dict[str, list[tuple[float, float, str]]] = {}
    for name in known.names("measurements"):
        for row in known.get("measurements", name).rows:
            if known.alias("chips", row.chip) != chip or row.chips != one.chips:
                continue
            if known.alias("networks", row.network) != asked.network.name or row.phase != "generate":
                continue
            batch, prompt = row.axes.get("batch", math.nan), row.axes.get("context", math.nan)
            rate = row.tokens_per_s
            if not math.isfinite(rate):
                rate = batch * row.axes.get("output", math.nan) / row.latency_s
            if rate > 0 and 1 / ALIKE <= prompt / asked.traffic.prompt <= ALIKE:
                mark = rate / batch, rate / row.chips, f"measured: {row.software}, {row.source}"
                found.setdefault(row.precision, []).append(mark)
    for precision, marks in found.items():
        xs, ys, said = zip(*marks, strict=True)
        name = f"{_name(answer, one)} measured" + (f", {ib.short(precision, 12)}" if precision else "")
        yield ib.Dots(name, xs, ys, said=said, colour=colour, marker=colour, hollow=True)


def _footer(answer: ib.Frontiers, terms: str) -> tuple[str, ...]:
    asked = answer.asked
    grades = {one.system: _grades(answer, one) for one in answer.systems}
    software = "; ".join(f"{_name(answer, one)}: {one.stack}{grades[one.system]}" for one in answer.systems)
    chips = [asked.registry.chip(ib.SystemName.parse(one.system).chip) for one in answer.systems]
    line = " · ".join(
        [
            ib.short(asked.network.title, 30),
            ", ".join(asked.precisions),
            terms,
            f"InferBench {ib.__version__}",
        ]
    )
    return (f"Software: {software}", line, f"Specs: {sources(chips)}")


def _grades(answer: ib.Frontiers, one: Any) -> str:
    best = one.best() if one.count else np.empty(0, dtype=int)
    found = _band(answer, one, best)[2]
    listed = [grade for grade in GRADES if grade in found]
    return f" ({', '.join(listed)})" if listed else ""


def throughput(answer: ib.Frontiers) -> ib.Figure:
    """Against tokens per second and chip."""
    return drawn(answer, "tokens_per_s_per_chip")


def per_dollar(answer: ib.Frontiers) -> ib.Figure:
    """Against dollars per million tokens."""
    return drawn(answer, "usd_per_mtok")


def per_joule(answer: ib.Frontiers) -> ib.Figure:
    """Against joules per token at the wall."""
    return drawn(answer, "wall_joules_per_token")


TAKES = ("Frontiers",)
THROUGHPUT = ib.Plot("frontier", "speed of a user against throughput of a chip", ask, throughput, TAKES)
COST = ib.Plot("frontier-cost", "speed of a user against dollars per million tokens", ask, per_dollar, TAKES)
ENERGY = ib.Plot("frontier-energy", "speed of a user against joules per token", ask, per_joule, TAKES)
