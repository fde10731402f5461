"""What the pictures share: names of systems, what numbers rest on, points of runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import attrs

import inferbench as ib

__all__ = [
    "At",
    "Z",
    "columns_of",
    "compared",
    "dollars",
    "engine",
    "footer",
    "points_of",
    "run_of_parts",
    "runs_of",
    "system_name",
    "unit_cost",
    "works",
]

Z = 1.6448536269514722
"""Standard errors to either end of a 90% interval of a normal distribution."""

MOST_SOURCES = 3


@attrs.define(eq=False)
class Known:
    """What was computed of a run: a site draws each of its points in many pictures."""

    metrics: Mapping[str, ib.Metric]
    values: dict[str, Any] = attrs.field(factory=dict)
    intervals: dict[str, tuple[Any, Any]] = attrs.field(factory=dict)
    parts: dict[tuple[int, ...], ib.Run] = attrs.field(factory=dict)


_KNOWN: WeakKeyDictionary[ib.Run, Known] = WeakKeyDictionary()


def _known(run: ib.Run) -> Known:
    if run not in _KNOWN:
        _KNOWN[run] = Known(run.metrics())
    return _KNOWN[run]


@attrs.frozen(eq=False)
class At:
    """One point of a run.

    Attributes:
        run: The run.
        index: Of the point in `run.values(...)`.
        where: Its coordinates.
        title: What it is called: the suite's name, or phase and batch.
        colour: Place of its system among those compared.
    """

    run: ib.Run
    index: tuple[int, ...]
    where: Mapping[str, Any]
    title: str
    colour: int

    def of(self, values: object) -> float:
        """One of the run's arrays at this point."""
        return float(self.run.values(values)[self.index])  # type: ignore[call-overload]

    @property
    def fits(self) -> bool:
        """Whether it fits."""
        return bool(self.of(self.run.feasible))

    def metric(self, name: str) -> float:
        """A metric at this point; NaN where it is not known or the run has none of that name."""
        known = _known(self.run)
        if name not in known.metrics:
            return math.nan
        if name not in known.values:
            known.values[name] = self.run[name]
        return float(known.values[name][self.index])

    def ends(self, name: str) -> tuple[float, float]:
        """Ends of a metric's 90% interval at this point; NaN where it has none."""
        known = _known(self.run)
        metric = known.metrics.get(name)
        if metric is None or metric.interval is None:
            return math.nan, math.nan
        if name not in known.intervals:
            known.intervals[name] = self.run.interval(name)
        low, high = known.intervals[name]
        return float(low[self.index]), float(high[self.index])

    def factors(self) -> tuple[float, float]:
        """Factors from the time of a step to the ends of its interval; NaN where it has none."""
        low, high = self.ends(self.run.latency)
        value = self.metric(self.run.latency)
        return low / value, high / value


def system_name(run: ib.Run) -> str:
    """A system as a picture writes it: `8×TPU v5p`."""
    chip = ib.short(run.system.chip.title, 28)
    return f"{run.system.count}×{chip}" if run.system.count > 1 else chip


def engine(name: str) -> str:
    """An engine as a reader knows it: `memory.hbm` is HBM."""
    head, _, tail = name.partition(".")
    return tail.upper() if head == "memory" else (f"{head} ({tail})" if tail else head)


def works(registry: ib.Registry, workload: Sequence[str]) -> tuple[str, ...]:
    """Workloads with their phases; a network alone means prefill and decode, or all phases of another
    kind.
    """
    found: list[str] = []
    for one in workload:
        head, slash, phase = one.rpartition("/")
        if slash and head and not phase.endswith(".json"):
            found.append(one)
            continue
        phases = [each.name for each in registry.workload(registry.network(one).type).phases]
        language = [name for name in ("decode", "prefill") if name in phases]
        found += [f"{one}/{name}" for name in (language if len(language) == 2 else phases)]
    return tuple(found)


def compared(
    systems: Sequence[str], workload: Sequence[str], registry: ib.Registry, **settings: Any
) -> ib.Comparison:
    """Compare systems on workloads, or on the reference suite where none is given."""
    limits = ("slo_tpot", "slo_ttft", "output")
    kept = {name: value for name, value in settings.items() if name not in limits}
    return ib.compare(systems, works(registry, workload) or None, registry=registry, **kept)


def runs_of(answer: ib.Comparison | ib.Run | ib.Card) -> tuple[ib.Run, ...]:
    """All runs of an answer."""
    if isinstance(answer, ib.Run):
        return (answer,)
    return answer.comparison.runs if isinstance(answer, ib.Card) else answer.runs


def columns_of(answer: ib.Comparison | ib.Run) -> list[list[tuple[str, ib.Run]]]:
    """Runs by system: for each the titles of its works with their runs."""
    if isinstance(answer, ib.Run):
        return [[("", answer)]]
    per_work = [
        [(work.title, column.run) for column in columns]
        for work, columns in zip(answer.works, answer.columns, strict=True)
    ]
    return [list(one) for one in zip(*per_work, strict=True)]


def points_of(answer: ib.Comparison | ib.Run) -> Iterator[At]:
    """Yield every point, system by system."""
    for colour, column in enumerate(columns_of(answer)):
        for title, run in column:
            several = run.grid.size > 1
            for where, index in run.points():
                yield At(run, index, where, _title(title, run, where, several), colour)


def _title(title: str, run: ib.Run, where: Mapping[str, Any], several: bool) -> str:
    if title:
        return title
    batch = f" batch {where['batch']:,.0f}" if several and "batch" in where else ""
    return f"{run.phase}{batch}"


def run_of_parts(at: At) -> ib.Run:
    """The same point with a row per operator, in the layout that was found for it.

    A layout that is searched per point has no rows of its own.
    """
    run = at.run
    if run.ops and run.grid.size == 1:
        return run
    known = _known(run).parts
    if at.index not in known:
        known[at.index] = _run_of_parts(at)
    return known[at.index]


def _run_of_parts(at: At) -> ib.Run:
    run = at.run
    layout = run.layouts[int(run.values(run.layout)[at.index])]
    axes = {name: float(at.where[name]) for name in (*run.grid.axes, *run.grid.solved) if name in at.where}
    registry = getattr(run.view, "registry", None)
    return ib.run(
        ib.System(run.system.chip, run.system.count, layout),
        f"{run.network.name}/{run.phase}",
        precision=str(at.where["precision"]),
        stack=run.choice,
        scenario=run.scenario.name if run.scenario else "reference",
        options=dict(run.options),
        ignore_capacity=True,
        breakdown=True,
        registry=registry,
        **axes,
    )


def dollars(run: ib.Run) -> tuple[str, str]:
    """The metric of dollars that stands for a run's price, and on what terms; empty where none is known."""
    term = run.cost.proxy
    if term is None:
        return "", ""
    return ("usd_per_mtok" if term == ib.Term.PURCHASE else "usd_per_mtok_cloud"), term.said


def unit_cost(seconds: float, items: float, per_hour: float) -> float:
    """Dollars per million items of a step."""
    return per_hour / 3600.0 * seconds / items * 1e6


def footer(runs: Sequence[ib.Run], more: str = "") -> tuple[str, ...]:
    """What a picture rests on: software and grade of each system, formats, sources, version."""
    by: dict[str, dict[str, None]] = {}
    for run in runs:
        grades = dict.fromkeys(GRADES[int(code)] for code in run.grade.ravel().tolist())
        said = f"{run.stack.name} ({', '.join(grades)})"
        by.setdefault(system_name(run), {})[said] = None
    software = "; ".join(f"{system}: {', '.join(said)}" for system, said in by.items())
    formats = ", ".join(dict.fromkeys(name for run in runs for name in run.grid.precisions))
    networks = ", ".join(dict.fromkeys(ib.short(run.network.title, 30) for run in runs))
    terms = [networks, formats, "90% intervals", *([more] if more else []), f"InferBench {ib.__version__}"]
    return (f"Software: {software}", " · ".join(terms), f"Specs: {sources([r.system.chip for r in runs])}")


def sources(chips: Sequence[ib.Chip]) -> str:
    """Titles of what the chips' peaks and bandwidths are cited from."""
    titles: dict[str, None] = {}
    for chip in chips:
        for path in (*(f"peak.{name}" for name in chip.peak), f"memory.{chip.outermost}.bandwidth"):
            fact = chip.facts.get(path)
            if fact and fact.source:
                titles[ib.short(fact.source.title, 60)] = None
    shown = list(titles)[:MOST_SOURCES]
    rest = f"; and {len(titles) - len(shown)} more" if len(titles) > len(shown) else ""
    return "; ".join(shown) + rest if shown else "not cited"


GRADES = ("calibrated", "transferred", "class", "bound")
"""What numbers rest on, best first, as `Run.grade` counts them."""
