"""`--explain`: the chain of formulas behind a number, with the numbers put in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from inferbench.errors import InferBenchError, suggest
from inferbench.records.roles import Chain
from inferbench.records.run import Metric, Run
from inferbench.records.scenario import Term
from inferbench.report.model import Cell, Table
from inferbench.units import show

__all__ = ["explanation", "topics"]

PAGES: Mapping[Chain, str] = {
    "time": "docs/explanation/concepts.md",
    "energy": "docs/explanation/power.md",
    "cost": "docs/explanation/numbers.md",
}
Line = tuple[str, str, str]


def topics(metrics: Iterable[Metric]) -> dict[str, Chain]:
    """Say which chain explains a metric, by its name with and without its unit: `tpot_s`, `tpot`.

    Example:
        >>> topics([Metric("wait_s", "wait", "s", "lower", lambda run: 0.0, chain="time")])
        {'wait': 'time', 'wait_s': 'time'}
    """
    found: dict[str, Chain] = {}
    for metric in metrics:
        if metric.chain is not None:
            bare = metric.name.removesuffix(f"_{metric.unit.lower()}") if metric.unit else metric.name
            found |= dict.fromkeys((bare, metric.name), metric.chain)
    return found


def explanation(run: Run, topic: str, metrics: Iterable[Metric]) -> Table:
    """Explain a number of the first point of a run.

    Args:
        run: Finished run.
        topic: Name of a metric that declares its chain.
        metrics: Those installed.

    Raises:
        InferBenchError: Unknown topic.
    """
    known = topics(metrics)
    if topic not in known:
        remedy = suggest(topic, known) or f"known are {', '.join(known)}"
        raise InferBenchError.of_argument("explain", f"'{topic}' has no explanation", remedy)
    index = next(run.points())[1]
    lines = _time(run, index)
    if known[topic] == "energy":
        lines = [*lines[-1:], *_energy(run, index)]
    elif known[topic] == "cost":
        lines = [*lines[-1:], *_cost(run, index)]
    fit = (
        () if bool(run.values(run.feasible)[index]) else ("it does not fit: the chain ignores the capacity",)
    )
    rows = tuple((Cell(name), Cell(formula), Cell(value)) for name, formula, value in lines)
    heads = (Cell(""), Cell("is"), Cell("here"))
    return Table(
        f"{topic} at the first point", heads, rows, legend=(*fit, f"derived in {PAGES[known[topic]]}")
    )


def _at(run: Run, array: object, index: tuple[int, ...]) -> float:
    return float(run.values(np.asarray(array, dtype=np.float64))[index])


def _time(run: Run, index: tuple[int, ...]) -> list[Line]:
    useful, peak, seconds = (_at(run, x, index) for x in (run.useful, run.peak, run.seconds))
    roofline, model, silicon = (_at(run, x, index) for x in (run.roofline, run.model, run.silicon))
    cut, passes = run.chain["stages"], _at(run, run.chain["microbatches"], index)
    format_ = run.formats[index[-1]]
    stages = f"{cut.count} stage(s), {passes:g} microbatch(es)"
    return [
        ("useful", "matrix products and attention, whole network", show(useful, "OP")),
        ("peak", f"{run.system.count} chip(s) at {format_}, dense", show(peak, "OP/s")),
        (
            "compulsory bytes",
            "weights and state once, graph input and output",
            show(_at(run, run.compulsory, index), "B"),
        ),
        ("t_roofline", "sum over operators of max(ops / peak, bytes / bandwidth)", show(roofline, "s")),
        ("t_silicon", "the architecture's cost on perfectly shared chips", show(silicon, "s")),
        ("t_model", f"with collectives and pipeline: {stages}", show(model, "s")),
        ("t_stack", f"under stack {run.stack.name}", show(seconds, "s")),
        ("algorithm", "(useful / peak) / t_roofline", f"{show(100 * useful / peak / roofline)} %"),
        ("hardware", "t_roofline / t_model", f"{show(100 * roofline / model)} %"),
        ("software", "t_model / t_stack", f"{show(100 * model / seconds)} %"),
        (
            "utilization",
            "algorithm × hardware × software = useful / (peak × t_stack)",
            f"{show(100 * useful / peak / seconds)} %",
        ),
        (run.latency.removesuffix("_s"), "t_stack, stretched where the power cap binds", show(seconds, "s")),
    ]


def _energy(run: Run, index: tuple[int, ...]) -> list[Line]:
    energy = run.energy
    parts = [
        (f"  {name}", "share of it", show(_at(run, joules, index), "J"))
        for name, joules in energy.parts.items()
    ]
    return [
        (
            "energy of a step",
            energy.why or "counts × energy per count + idle × time",
            show(_at(run, energy.joules, index), "J"),
        ),
        *parts,
        (
            "power",
            f"energy / time, counted at the {energy.boundary}",
            show(_at(run, energy.watts, index), "W"),
        ),
        (
            f"energy per {run.item}",
            f"energy / {run.item}s of a step",
            show(_at(run, energy.joules, index) / _at(run, run.items, index), "J"),
        ),
        ("power at the wall", _wall(run), show(_at(run, run.wall_watts, index), "W")),
        (
            f"energy per {run.item} at the wall",
            f"power at the wall × time / {run.item}s of a step",
            show(_at(run, run.wall_watts * run.seconds / run.items, index), "J"),
        ),
    ]


def _cost(run: Run, index: tuple[int, ...]) -> list[Line]:
    scenario, cost = run.scenario, run.cost
    if scenario is None:
        return [("cost", "needs an economic scenario", show(float("nan")))]
    if cost.why(Term.PURCHASE):
        return [("cost", cost.why(Term.PURCHASE), show(float("nan")))]
    years = show(scenario.depreciation, "s")
    capital, electric = cost.capital.mid, _at(run, cost.electricity, index)
    whole = run.system.chip.price.includes_system
    price = "price of the system" if whole else f"price × {scenario.system_factor:g}"
    per_token = (capital + electric) / 3600 * _at(run, run.seconds, index) / _at(run, run.items, index)
    return [
        ("capital", f"{price} / {years} / {scenario.utilization:g} busy", f"{show(capital)} USD/h"),
        ("at the wall", _wall(run), show(_at(run, run.wall_watts, index), "W")),
        (
            "electricity",
            f"wall watts × PUE {scenario.pue:g} × {scenario.electricity:g} USD/kWh",
            f"{show(electric)} USD/h",
        ),
        ("ownership", "capital + electricity, per earning hour", f"{show(capital + electric)} USD/h"),
        (f"per million {run.item}s", f"ownership × t_stack / {run.item}s", f"{show(per_token * 1e6)} USD"),
    ]


def _wall(run: Run) -> str:
    """How watts at the wall come about."""
    node = run.system.chip.node
    if run.system.chip.power.boundary == "system" or node is None:
        return "as published: the whole system"
    fixed = node.fixed_watts(run.system.count, run.energy.limit)
    return f"{node.title}: {show(fixed, 'W')} fixed + {node.factor:g} × watts"
