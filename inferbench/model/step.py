"""One layout of one case: shard, place, plan, cost, time, energy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import attrs
import numpy as np

from inferbench.errors import blamed_on
from inferbench.model import causes, partition
from inferbench.model.bound import roofline, step_bound
from inferbench.model.case import Case
from inferbench.model.exchange import cost_at
from inferbench.model.intervals import log_error, slower, together
from inferbench.model.power import powered
from inferbench.num import Mask, Numeric, ceil_div
from inferbench.records.cost import SEQUENCE, Cost
from inferbench.records.energy import Energy
from inferbench.records.grid import Point
from inferbench.records.op import Collective, Op
from inferbench.records.placement import Footprint, Graph, Reason, Site
from inferbench.records.returned import refuse_other_shape
from inferbench.records.run import OpRow
from inferbench.records.stack import IDEAL
from inferbench.records.system import Layout

__all__ = ["Pass", "one_layout", "placed"]


@attrs.frozen(eq=False)
class Pass:
    """One layout evaluated; fields as in `Run`."""

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
    graph, cut, passes = _on_one_chip(case, at, layout)
    return _site(case, graph, layout), graph, cut, passes


def _on_one_chip(case: Case, at: Point, layout: Layout) -> tuple[Graph, partition.Stages, Numeric]:
    """What a chip of the layout does, the same on every chip: remembered where graphs are."""
    if case.graphs is None:
        return _cut(case, at, layout)
    key = layout, case.built_at(at)
    if key not in case.graphs:
        case.graphs[key] = _cut(case, at, layout)
    found: tuple[Graph, partition.Stages, Numeric] = case.graphs[key]
    return found


def _cut(case: Case, at: Point, layout: Layout) -> tuple[Graph, partition.Stages, Numeric]:
    micro, passes = partition.microbatch(at, layout)
    joint = partition.joint(at, layout, passes) if layout.sharing > 1 else None
    graph, cut = partition.local_graph(_share(case, micro, joint, layout), layout.pp, case.layers, passes)
    return graph, cut, passes


def _share(case: Case, micro: Point, joint: Point | None, layout: Layout) -> partition.Share:
    """What a chip of a stage does in one pass; layouts that differ in their stages alone share it."""
    if case.graphs is None:
        return partition.share(_of_rank(case, micro, joint, layout), layout)
    seen = [case.built_at(at) for at in (micro, joint) if at is not None]
    key = "share", layout.tp, layout.cp, layout.ep, *seen
    if key not in case.graphs:
        case.graphs[key] = partition.share(_of_rank(case, micro, joint, layout), layout)
    found: partition.Share = case.graphs[key]
    return found


def _of_rank(case: Case, micro: Point, joint: Point | None, layout: Layout) -> tuple[Op, ...]:
    """Operators of one data-parallel rank; experts that ranks share see the tokens of all of them."""
    own = case.graph(micro)
    if joint is None:
        return own
    every = case.graph(joint)
    return tuple(together if op.spans_ranks(layout) else op for op, together in zip(own, every, strict=True))


def one_layout(case: Case, at: Point, whole: tuple[Op, ...], layout: Layout) -> Pass:
    """Evaluate one layout at all points of a grid: time under the stack and under the ideal one, power,
    fit.
    """
    site, graph, cut, passes = placed(case, at, layout)
    ideal, compulsory = _whole_roofline(case, whole, site)
    charged = _StepCost(case, site, at).charge_all(graph, cut.count)
    bare = _untuned(case, site)
    plain = charged
    if bare is not site and case.asks_ideal:
        plain = _StepCost(case, bare, at, hardware=True).charge_all(graph, cut.count)
    model, bound_seconds, silicon = _ideally(case, plain, cut, passes)
    seconds = chip = model
    if not case.stack.ideal:
        seconds = partition.duration(charged.seconds, cut, case.layers, passes, charged.sent[1])
        seconds = case.stack.overlap_across.shorten(seconds, bound_seconds / model)
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
    )


def _ideally(case: Case, plain: _StepCost, cut: partition.Stages, passes: Numeric) -> tuple[Numeric, ...]:
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
    case: Case, at: Point, layout: Layout, charged: _StepCost, seconds: Numeric, passes: Numeric
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


def _all_chips(charged: _StepCost, at: Point, layout: Layout, passes: Numeric) -> dict[str, Numeric]:
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


def _bound(plain: _StepCost, stages: int, passes: Numeric) -> Numeric:
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


class _StepCost:
    """Adds up what the operators of one layout cost, on one chip, for one microbatch.

    Attributes:
        hardware: Whether ideal software is all that is asked; `seconds` is then `model`.
    """

    def __init__(self, case: Case, site: Site, at: Point, hardware: bool = False) -> None:
        self.case, self.site, self.shape = case, site, at.shape
        self.formats = tuple(site.computes_in(point.compute) for point in at.precision.points)
        self.fabric = cache(case.registry.fabric)
        self.hardware, self.ideal = hardware, hardware or case.stack.ideal
        self.doubted = bool(case.stack.fit.rows) and not hardware and not case.bare
        self.model: dict[str, Numeric] = {"embedding": 0.0, "layer": 0.0, "head": 0.0}
        self.seconds: dict[str, Numeric] = dict(self.model)
        self.solo: Numeric = 0.0
        self.busy: dict[str, Numeric] = {}
        self.causes: dict[str, Numeric] = {}
        self.useful: Numeric = 0.0
        self.rate: Numeric = np.nan
        self.weights: dict[str, Numeric] = {}
        self.chain: Any = 0.0
        self.actions: dict[str, Numeric] = {}
        self.shared: dict[str, Numeric] = {}
        self.rows: list[OpRow] = []
        self.kernels: Numeric = 0.0
        self.joined: Numeric = 0.0
        self.exchanges: Numeric = 0.0
        self.variance: Numeric = 0.0
        self.common: Numeric = 0.0
        self.sent: tuple[Numeric, Numeric] = (0.0, 0.0)

    @property
    def error(self) -> Numeric:
        """Log standard error of the sum of all kernels."""
        total = sum(self.seconds.values())
        share = 1.0 / np.where(np.asarray(total) > 0, total, 1.0)
        return together(np.sqrt(self.variance) * share, self.common * share)

    def charge_all(self, graph: Graph, stages: int) -> _StepCost:
        """Plan and charge every operator, and what one stage hands to the next."""
        who = self.case.architecture
        with blamed_on(f"{type(who).__module__}: {who.name}.plan"):
            planned = tuple(who.plan(graph.ops, self.site))
        for op in planned:
            self.charge(op)
            if stages > 1 and not isinstance(op, Collective):
                self.useful = self.useful + op.useful * op.repeat
                self.rate = np.fmax(self.rate, self.site.rate(op))
                for level, share in self.site.placement.shares(op, "weights").items():
                    read = op.bytes.weights * op.repeat * share / self.site.bandwidth(level)
                    self.weights[f"memory.{level}"] = self.weights.get(f"memory.{level}", 0.0) + read
        if stages > 1:
            self.sent = self.send(graph)
        return self

    @property
    def engines(self) -> dict[str, Numeric]:
        """Busy seconds per engine, without what is exposed."""
        return {name: busy for name, busy in self.busy.items() if not name.startswith("exposed.")}

    def cost(self, op: Op) -> Cost:
        """Ask the architecture, or the fabric for a collective."""
        who = self.case.architecture
        with blamed_on(f"{type(who).__module__}: {who.name}.{op.kind}({op.name})"):
            return cost_at(op, self.site, who, self.fabric)

    def _count(self, op: Op) -> None:
        self.kernels = self.kernels + op.repeat
        if op.joined:
            self.joined = self.joined + op.repeat
        if isinstance(op, Collective):
            self.exchanges = self.exchanges + op.repeat

    def _occupy(self, cost: Cost, op: Op, model: Numeric) -> None:
        self.solo = self.solo + model * (not isinstance(op, Collective))
        for engine, busy in cost.busy.items():
            self.busy[engine] = self.busy.get(engine, 0.0) + busy * op.repeat
        for name, exposed in cost.exposed.items():
            self.busy[f"exposed.{name}"] = self.busy.get(f"exposed.{name}", 0.0) + exposed * op.repeat
            if name != SEQUENCE:
                self.chain = self.chain + exposed * op.repeat

    def charge(self, op: Op) -> None:
        """Add one operator, all of its executions."""
        cost, repeat = self.cost(op), op.repeat
        ideal = IDEAL.time(cost, op)
        refuse_other_shape(ideal, self.shape, f"what {op.kind}({op.name}) costs")
        model = ideal * repeat
        seconds = model if self.ideal else self._timed(cost, op) * repeat
        self.model[op.unit] = self.model[op.unit] + model
        self.seconds[op.unit] = self.seconds[op.unit] + seconds
        self._occupy(cost, op, model)
        if self.hardware:  # only times are asked of it
            return
        self._count(op)
        launch: Numeric = 0.0
        if self.case.causes and not self.ideal:
            launch = causes.idle_seconds(self.case.stack, cost, op, self.formats)
            causes.add(self.causes, cost, seconds, launch, repeat)
        if self.doubted:
            stack = self.case.stack
            own, shared = stack.own_error(op, self.formats), stack.shared_error(op, self.formats)
            self.variance = self.variance + np.square(seconds * own)
            self.common = self.common + seconds * slower(shared)
        into = self.shared if op.spans_ranks(self.site.layout) else self.actions
        uneven = not (isinstance(op.busiest, float) and op.busiest == 1.0)
        for action, count in {**cost.actions, **op.beside}.items():
            if uneven and not action.startswith("bytes."):
                count = count / op.busiest
            into[action] = into.get(action, 0.0) + count * repeat
        if self.case.breakdown:
            self.rows.append(
                OpRow(
                    op.name,
                    op.kind,
                    repeat,
                    op.useful * repeat,
                    op.bytes.total * repeat,
                    {k: v * repeat for k, v in cost.busy.items()},
                    {k: v * repeat for k, v in cost.exposed.items()},
                    model,
                    seconds,
                    launch * repeat,
                    np.nan if self.case.bare else self.case.stack.row_error(op, self.formats),
                )
            )

    def _timed(self, cost: Cost, op: Op) -> Numeric:
        """Seconds under the stack."""
        seconds, model = self.case.stack.time(cost, op, self.formats), self.case.stack.time_model
        refuse_other_shape(seconds, self.shape, f"{type(model).__module__}: {model.name}.time")
        return seconds

    def send(self, graph: Graph) -> tuple[Numeric, Numeric]:
        """Seconds (ideal, stack) to hand one microbatch's activations to the next stage."""
        last = next(op for op in reversed(graph.ops) if op.unit == "layer" and not isinstance(op, Collective))
        op = Collective(
            name="send",
            precision=last.precision,
            collective="send",
            payload=last.bytes.outputs,
            group=self.site.layout.chips,
        )
        cost = cost_at(op, self.site, self.case.architecture, self.fabric)
        for action, count in cost.actions.items():
            self.actions[action] = self.actions.get(action, 0.0) + count * (self.site.layout.pp - 1)
        for engine, busy in cost.busy.items():
            self.busy[engine] = self.busy.get(engine, 0.0) + busy * (self.site.layout.pp - 1)
        model = IDEAL.time(cost, op)
        return model, model if self.ideal else self._timed(cost, op)
