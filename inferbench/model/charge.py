"""What the operators of one layout cost, added up: times, energy counts, errors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import attrs
import numpy as np

from inferbench.errors import blamed_on
from inferbench.model import causes
from inferbench.model.case import Case
from inferbench.model.exchange import cost_at
from inferbench.model.intervals import slower, together
from inferbench.model.outside import roughly, share_of
from inferbench.num import Array, Numeric
from inferbench.records.cost import SEQUENCE, Cost
from inferbench.records.grid import Point
from inferbench.records.op import Collective, Op
from inferbench.records.placement import Site
from inferbench.records.precision import Precision
from inferbench.records.returned import refuse_other_shape
from inferbench.records.run import OpRow
from inferbench.records.stack import IDEAL
from inferbench.records.system import Layout

__all__ = ["NAMED", "Price", "StepCost", "last_of"]

_SUMS = (
    *("model", "seconds", "solo", "busy", "causes", "useful", "rate", "weights", "chain", "actions"),
    *("shared", "kernels", "joined", "exchanges", "variance", "common", "rough", "strange"),
)
"""What is added up over the operators."""
_TURN = 1000.0
NAMED = ("busy", "actions", "shared", "causes", "weights")
"""Sums by name. Layouts that are costed together may lack names of each other."""


@attrs.define(eq=False)
class Price:
    """What all executions of one operator add to a step.

    Attributes:
        op: The operator, or one of several that were priced together.
        spans: Whether it works on the tokens of several ranks.
        rate: Peak operations per second, `weights` seconds per engine to read its weights: where stages
            divide the step.
        causes: What its time goes to; `caused` the rank of each among them where time goes to it, else
            infinity.
        rough: Roofline time, and `strange` what of it lies outside of what the stack was fitted on.
    """

    op: Op
    spans: bool
    repeat: Numeric
    model: Numeric
    seconds: Numeric
    busy: dict[str, Numeric]
    exposed: dict[str, Numeric]
    actions: dict[str, Numeric] = attrs.field(factory=dict)
    causes: dict[str, Numeric] = attrs.field(factory=dict)
    caused: dict[str, Numeric] = attrs.field(factory=dict)
    variance: Numeric = 0.0
    common: Numeric = 0.0
    useful: Numeric = 0.0
    rate: Numeric = np.nan
    weights: dict[str, Numeric] = attrs.field(factory=dict)
    rough: Numeric = 0.0
    strange: Numeric = 0.0
    row: OpRow | None = None

    def name(self, sums: dict[str, dict[str, None]]) -> None:
        """Note the names of the parts that it adds to sums, in their order.

        Args:
            sums: Name of each of `NAMED` to names so far.
        """
        sums["busy"].update(dict.fromkeys([*self.busy, *(f"exposed.{name}" for name in self.exposed)]))
        sums["shared" if self.spans else "actions"].update(dict.fromkeys(self.actions))
        sums["causes"].update(dict.fromkeys(self.causes))
        sums["weights"].update(dict.fromkeys(self.weights))


class StepCost:
    """Adds up what the operators of one layout cost, on one chip, for one microbatch.

    Attributes:
        layout: Of the site, or one of those that the site's stands for.
        hardware: Whether ideal software is all that is asked; `seconds` is then `model`.
        handed: Precision and bytes of what one stage hands to the next, where stages divide the step.
        many: Whether layouts are costed together; `caused` then says when each first has a cause.
        own: Whether operators were costed as they are, not as the architecture plans them.
        groups: Group of each place, where several groups of layouts are costed together.
        names: Names of each group's own sums, in the order in which they come up: as sums of floats need.
    """

    def __init__(
        self, case: Case, site: Site, at: Point, hardware: bool = False, layout: Layout | None = None
    ) -> None:
        self.case, self.site, self.shape = case, site, at.shape
        self.layout = layout or site.layout
        self.formats = tuple(site.computes_in(point.compute) for point in at.precision.points)
        self.fabric = cache(case.registry.fabric)
        self.hardware, self.ideal = hardware, hardware or case.stack.ideal
        self.doubted = bool(case.stack.fit.rows) and not hardware and not case.bare
        self.model: dict[str, Numeric] = {"embedding": 0.0, "layer": 0.0, "head": 0.0}
        self.seconds: dict[str, Numeric] = dict(self.model)
        self.solo: Numeric = 0.0
        self.busy: dict[str, Numeric] = {}
        self.causes: dict[str, Numeric] = {}
        self.caused: dict[str, Array] = {}
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
        self.boxed = self.doubted and case.boxed and not case.stack.grade
        self.rough: Numeric = 0.0
        self.strange: Numeric = 0.0
        self.sent: tuple[Numeric, Numeric] = (0.0, 0.0)
        self.own, self.many, self.turn = True, False, 0
        self.handed: tuple[Precision, Numeric] = at.precision, 0.0
        self.groups: list[int] = []
        self.names: list[dict[str, dict[str, None]]] = []

    @property
    def unlike(self) -> Numeric | None:
        """Share of the step outside of what the stack was fitted on; None where nobody asked."""
        return share_of(self.strange, self.rough) if self.boxed and self.own else None

    @property
    def error(self) -> Numeric:
        """Log standard error of the sum of all kernels."""
        total = sum(self.seconds.values())
        share = 1.0 / np.where(np.asarray(total) > 0, total, 1.0)
        return together(np.sqrt(self.variance) * share, self.common * share)

    def charge_ops(self, ops: tuple[Op, ...], stages: bool) -> StepCost:
        """Plan and charge every operator.

        Args:
            ops: Of one chip.
            stages: Whether a pipeline may divide them.
        """
        who = self.case.architecture
        with blamed_on(f"{type(who).__module__}: {who.name}.plan"):
            planned = tuple(who.plan(ops, self.site))
        self.own = planned == ops
        if stages:
            last = last_of(ops)
            self.handed = last.precision, last.bytes.outputs
        for op in planned:
            self.add(self.price(op, stages))
        return self

    def take(self, of: StepCost, place: int) -> None:
        """Take the sums of one of several layouts that were charged together.

        Args:
            of: Whose arrays have them in their first dimension.
            place: Which of them.
        """
        dims = len(self.shape)

        def one(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: one(part) for name, part in value.items()}
            if np.ndim(value) <= dims:
                return value
            return value[place if len(value) > 1 else 0]

        for name in _SUMS:
            setattr(self, name, one(getattr(of, name)))
        self.own, self.handed = of.own, (of.handed[0], one(of.handed[1]))
        if of.names:
            for name, keys in of.names[of.groups[place]].items():
                parts = getattr(self, name)
                setattr(self, name, {key: parts[key] for key in keys})
        first = {name: float(turns[place if len(turns) > 1 else 0]) for name, turns in of.caused.items()}
        mine = [name for name in sorted(first, key=lambda name: first[name]) if first[name] < np.inf]
        self.causes = {name: self.causes[name] for name in mine}

    @property
    def engines(self) -> dict[str, Numeric]:
        """Busy seconds per engine, without what is exposed."""
        return {name: busy for name, busy in self.busy.items() if not name.startswith("exposed.")}

    def cost(self, op: Op) -> Cost:
        """Ask the architecture, or the fabric for a collective."""
        who = self.case.architecture
        with blamed_on(f"{type(who).__module__}: {who.name}.{op.kind}({op.name})"):
            return cost_at(op, self.site, who, self.fabric)

    def price(self, op: Op, stages: bool) -> Price:
        """Cost one operator, all of its executions.

        Args:
            op: Of one chip.
            stages: Whether a pipeline may divide the step.
        """
        cost, repeat = self.cost(op), op.repeat
        ideal = IDEAL.time(cost, op)
        refuse_other_shape(ideal, self.shape, f"what {op.kind}({op.name}) costs")
        model = ideal * repeat
        seconds = model if self.ideal else self._timed(cost, op) * repeat
        busy = {name: part * repeat for name, part in cost.busy.items()}
        exposed = {name: part * repeat for name, part in cost.exposed.items()}
        found = Price(op, op.spans_ranks(self.layout), repeat, model, seconds, busy, exposed)
        if stages and not isinstance(op, Collective):
            self._staged(op, found)
        if self.hardware:  # only times are asked of it
            return found
        launch: Numeric = 0.0
        if self.case.causes and not self.ideal:
            launch = causes.idle_seconds(self.case.stack, cost, op, self.formats)
            where = causes.add(found.causes, cost, seconds, launch, repeat)
            if self.many:
                ranks = enumerate(where.items())
                found.caused = {name: np.where(mask, float(i), np.inf) for i, (name, mask) in ranks}
        if self.doubted:
            stack = self.case.stack
            own, shared = stack.own_error(op, self.formats), stack.shared_error(op, self.formats)
            found.variance = np.square(seconds * own)
            found.common = seconds * slower(shared)
            if self.boxed:
                found.rough, found.strange = roughly(stack, op, self.site, shared)
        uneven = not (isinstance(op.busiest, float) and op.busiest == 1.0)
        for action, count in {**cost.actions, **op.beside}.items():
            if uneven and not action.startswith("bytes."):
                count = count / op.busiest
            found.actions[action] = count * repeat
        if self.case.breakdown:
            error = np.nan if self.case.bare else self.case.stack.row_error(op, self.formats)
            useful, moved = op.useful * repeat, op.bytes.total * repeat
            about = op.name, op.kind, repeat, useful, moved, busy, exposed, model, seconds
            found.row = OpRow(*about, launch * repeat, error)
        return found

    def _staged(self, op: Op, found: Price) -> None:
        """What the bound of a pipeline needs of an operator."""
        found.useful, found.rate = op.useful * op.repeat, self.site.rate(op)
        for level, share in self.site.placement.shares(op, "weights").items():
            read = op.bytes.weights * op.repeat * share / self.site.bandwidth(level)
            found.weights[f"memory.{level}"] = read

    def add(self, one: Price) -> None:
        """Add one operator to the sums."""
        unit, exchange = one.op.unit, isinstance(one.op, Collective)
        self.model[unit] = self.model[unit] + one.model
        self.seconds[unit] = self.seconds[unit] + one.seconds
        self.solo = self.solo + one.model * (not exchange)
        _grow(self.busy, one.busy)
        _grow(self.busy, {f"exposed.{name}": part for name, part in one.exposed.items()})
        for name, part in one.exposed.items():
            if name != SEQUENCE:
                self.chain = self.chain + part
        self.useful = self.useful + one.useful
        self.rate = np.fmax(self.rate, one.rate)
        _grow(self.weights, one.weights)
        if self.hardware:
            return
        self.kernels = self.kernels + one.repeat
        if one.op.joined:
            self.joined = self.joined + one.repeat
        if exchange:
            self.exchanges = self.exchanges + one.repeat
        _grow(self.causes, one.causes)
        for name, rank in one.caused.items():
            spread = np.broadcast_to(rank, (self.shape[0], *np.shape(rank)[1 - len(self.shape) :]))
            first = np.min(spread.reshape(self.shape[0], -1), axis=1) + _TURN * self.turn
            self.caused[name] = np.minimum(self.caused.get(name, np.inf), first)
        self.turn += 1
        if self.doubted:
            self.variance = self.variance + one.variance
            self.common = self.common + one.common
            self.rough, self.strange = self.rough + one.rough, self.strange + one.strange
        _grow(self.shared if one.spans else self.actions, one.actions)
        if one.row is not None:
            self.rows.append(one.row)

    def _timed(self, cost: Cost, op: Op) -> Numeric:
        """Seconds under the stack."""
        seconds, model = self.case.stack.time(cost, op, self.formats), self.case.stack.time_model
        refuse_other_shape(seconds, self.shape, f"{type(model).__module__}: {model.name}.time")
        return seconds

    def send(self) -> tuple[Numeric, Numeric]:
        """Seconds (ideal, stack) to hand one microbatch's activations to the next stage."""
        precision, payload = self.handed
        op = Collective(
            name="send",
            precision=precision,
            collective="send",
            payload=payload,
            group=self.site.layout.chips,
        )
        cost = cost_at(op, self.site, self.case.architecture, self.fabric)
        for action, count in cost.actions.items():
            self.actions[action] = self.actions.get(action, 0.0) + count * (self.site.layout.pp - 1)
        for engine, busy in cost.busy.items():
            self.busy[engine] = self.busy.get(engine, 0.0) + busy * (self.site.layout.pp - 1)
        model = IDEAL.time(cost, op)
        return model, model if self.ideal else self._timed(cost, op)


def last_of(ops: Sequence[Op]) -> Op:
    """The last operator of a layer: its result goes to the next stage."""
    return next(op for op in reversed(ops) if op.unit == "layer" and not isinstance(op, Collective))


def _grow(sums: dict[str, Numeric], parts: dict[str, Numeric]) -> None:
    for name, part in parts.items():
        sums[name] = sums.get(name, 0.0) + part
