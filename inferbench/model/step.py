"""One layout of one case: shard, place, plan, cost, time, energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from inferbench.errors import blamed_on
from inferbench.model import causes, partition
from inferbench.model.bound import roofline, step_bound
from inferbench.model.case import Case
from inferbench.model.charge import StepCost
from inferbench.model.intervals import log_error
from inferbench.model.power import powered
from inferbench.model.together import charge, on_one_chip
from inferbench.num import Mask, Numeric, ceil_div
from inferbench.records.energy import Energy
from inferbench.records.grid import Point
from inferbench.records.op import Op
from inferbench.records.placement import Footprint, Graph, Reason, Site
from inferbench.records.run import OpRow
from inferbench.records.system import Layout

__all__ = ["Pass", "one_layout", "placed"]


@attrs.frozen(eq=False)
class Pass:
    """One layout evaluated; fields as in `Run`, `unlike` as of `StepCost`."""

    layout: Layout
    seconds: Numeric
    model: Numeric
    bound_seconds: Numeric
    roofline: Numeric
    silicon: Numeric
    compulsory: Numeric
    busy: Mapping[str, Numeric]
    energy: Energy
    fits: Mask
    needed: Numeric
    away: Numeric
    footprint: Footprint
    reasons: tuple[Reason, ...]
    rows: tuple[OpRow, ...]
    chain: Mapping[str, Any]
    log_error: Numeric = np.nan
    causes: Mapping[str, Numeric] = attrs.field(factory=dict)
    unlike: Numeric | None = None


def _site(case: Case, graph: Graph, layout: Layout) -> Site:
    with blamed_on(f"{type(case.architecture).__module__}: {case.architecture.name}.place"):
        placement = case.architecture.place(graph, case.room, layout)
    return case.architecture.site(case.chip, layout=layout, tuning=case.tuning, placement=placement)


def _untuned(case: Case, site: Site) -> Site:
    """The site without the stack's tuning: what the hardware does by itself, which `model` is costed on."""
    default = case.architecture.tuning()
    return site if site.tuning == default else attrs.evolve(site, tuning=default)


def placed(case: Case, at: Point, layout: Layout) -> tuple[Site, Graph, partition.Stages, Numeric]:
    """Shard, cut into stages and place: all that a check of capacity needs."""
    graph, cut, passes = on_one_chip(case, at, layout)
    return _site(case, graph, layout), graph, cut, passes


def one_layout(case: Case, at: Point, whole: tuple[Op, ...], layout: Layout) -> Pass:
    """Evaluate one layout at all points of a grid: time under the stack and under the ideal one, power,
    fit.
    """
    site, graph, cut, passes = placed(case, at, layout)
    ideal, compulsory = _whole_roofline(case, whole, site)
    charged = charge(case, site, at, graph)
    bare = _untuned(case, site)
    plain = charged
    if bare is not site and case.asks_ideal:
        plain = charge(case, bare, at, graph, hardware=True)
    model, bound_seconds, silicon = _ideally(case, plain, cut, passes)
    seconds = chip = model
    if not case.stack.ideal:
        seconds = partition.duration(charged.seconds, cut, case.layers, passes, charged.sent[1])
        timed = np.where(model == 0.0, 1.0, model)  # a step of no time has nothing to overlap
        seconds = case.stack.overlap_across.shorten(seconds, bound_seconds / timed)
        chip, seconds = seconds, _hosted(case, at, layout, charged, seconds, passes)
    actions = _all_chips(charged, at, layout, passes)
    unthrottled = seconds
    energy, model, seconds = powered(case, at, actions, charged.formats, model, seconds)
    blamed = causes.whole(charged.causes, chip, unthrottled, energy.throttle) if charged.causes else {}
    fits, reasons = (
        (np.asarray(True), ()) if case.ignore_capacity else (site.placement.fits, site.placement.reasons)
    )
    needed = sum(site.placement.resident.values()) if site.placement.resident else graph.footprint.total
    return Pass(
        layout,
        seconds,
        model,
        bound_seconds,
        ideal,
        silicon,
        compulsory,
        {e: s * passes for e, s in charged.busy.items()},
        energy,
        fits,
        needed,
        site.placement.away,
        graph.footprint,
        reasons,
        tuple(charged.rows),
        {"stages": cut, "microbatches": passes, "placement": site.placement, "actions": actions},
        np.asarray(np.nan) if case.bare else log_error(case, at, charged.error),
        blamed,
        charged.unlike,
    )


def _ideally(case: Case, plain: StepCost, cut: partition.Stages, passes: Numeric) -> tuple[Numeric, ...]:
    """A step on ideal software, its bound, and what one chip does alone; NaN where nobody asks."""
    if not case.asks_ideal:
        return (np.asarray(np.nan),) * 3
    model = partition.duration(plain.model, cut, case.layers, passes, plain.sent[0])
    return model, np.minimum(_bound(plain, cut.count, passes), model), passes * plain.solo / cut.count


def _whole_roofline(case: Case, whole: tuple[Op, ...], site: Site) -> tuple[Numeric, Numeric]:
    """The network's roofline on all chips, remembered where graphs are: layouts whose data has the same homes
    share it.
    """
    if case.graphs is None or site.placement.level_shares:
        total, compulsory = roofline(whole, site)
        return total / case.system.count, compulsory
    key = "roofline", id(whole), id(case.chip), *site.placement.homes.items()
    if key not in case.graphs:
        case.graphs[key] = whole, case.chip, *roofline(whole, site)  # kept, so that ids stay theirs
    _, _, total, compulsory = case.graphs[key]
    return total / case.system.count, compulsory


def _hosted(
    case: Case, at: Point, layout: Layout, charged: StepCost, seconds: Numeric, passes: Numeric
) -> Numeric:
    """A step with what its software takes beside the kernels."""
    asked = case.network, at, case.phase.name, case.options
    starts, kernels = case.workload.passes(*asked), charged.kernels * passes
    return case.stack.host.add(
        seconds,
        kernels,
        starts,
        ceil_div(at["batch"], layout.dp),
        charged.exchanges * passes,
        kernels * case.workload.eager(*asked) / starts,
        charged.joined * passes,
    )


def _all_chips(charged: StepCost, at: Point, layout: Layout, passes: Numeric) -> dict[str, Numeric]:
    """Counts of all chips and microbatches. Replicas without a sequence idle, and what was rounded up
    computes nothing for nobody, though its bytes move.
    """
    batch: Numeric = at["batch"]
    working = np.minimum(float(layout.dp), batch) if layout.dp > 1 else 1.0
    real = batch / (partition.replica(at, layout)["batch"] * working)
    scale = passes * layout.tp * layout.cp * working
    total = {
        name: count * (scale if name.startswith("bytes.") else scale * real)
        for name, count in charged.actions.items()
    }
    groups = np.minimum(float(layout.replicas), batch)
    mine = batch / (partition.joint(at, layout, 1.0)["batch"] * groups)
    every = passes * layout.ep * groups
    for name, count in charged.shared.items():
        added = count * (every if name.startswith("bytes.") else every * mine)
        total[name] = total[name] + added if name in total else added
    return total


def _bound(plain: StepCost, stages: int, passes: Numeric) -> Numeric:
    """What no schedule of the layout's work beats."""
    if stages == 1:
        return step_bound(plain.engines, plain.chain)
    busy = {  # without the weights that every further microbatch reads again
        name: passes * seconds - (passes - 1.0) * plain.weights.get(name, 0.0)
        for name, seconds in plain.engines.items()
        if name.partition(".")[0] != "compute"
    }
    busy["compute"] = passes * plain.useful / plain.rate
    return np.asarray(np.maximum(step_bound(busy, 0.0) / stages, plain.chain))
