"""What is where: `Footprint`, `Placement`, reasons, and the `Site` an architecture may ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from string import Formatter
from typing import Any, ClassVar

import attrs
import numpy as np

from inferbench.num import Array, Mask, Numeric
from inferbench.records.chip import Chip, Link
from inferbench.records.immutable import frozen
from inferbench.records.op import ROLES, Move, Op
from inferbench.records.precision import WIDER, Precision
from inferbench.records.system import Layout
from inferbench.units import show

__all__ = ["KINDS", "Footprint", "Graph", "Placement", "Reason", "Site"]


# What lives in memory, in the order in which the fastest level is filled.
KINDS = ("activations", "weights", "state", "experts", "tables")
_TINY = 1e-300


@lru_cache(maxsize=256)
def _parts(template: str) -> tuple[tuple[str, str, str], ...]:
    """A template as text, the number that follows it (or nothing), and the number's unit."""
    return tuple((text, name or "", unit or "") for text, name, unit, _ in Formatter().parse(template))


def _written(value: float, unit: str) -> str:
    """`{need:B}` is a figure in bytes with its prefix, `{chips}` a plain count."""
    return show(value, unit) if unit else f"{value:,.15g}"


@frozen(eq=False)
class Reason:
    """Why points are infeasible, rendered only for the points that are shown.

    Attributes:
        code: Short and stable: `capacity`.
        template: A format string over `numbers`. A number is written with the unit behind its colon,
            `{need:B}`,
            and three digits; without one it is a count, `{arrays}`.
        numbers: Name to array, broadcastable to the grid.
        where: Mask of the points it concerns.

    Example:
        >>> needs = {"need": 70.6e9, "arrays": 7.0}
        >>> Reason("capacity", "needs {need:B} in {arrays} arrays", needs, np.array(True)).at(())
        'needs 70.6 GB in 7 arrays'
    """

    code: str
    template: str
    numbers: Mapping[str, Numeric]
    where: Mask

    @classmethod
    def plain(cls, code: str, text: str, where: Mask) -> Reason:
        """A reason whose text has no numbers to fill in; braces in it stay as they are."""
        return cls(code, text.replace("{", "{{").replace("}", "}}"), {}, where)

    def at(self, index: tuple[int, ...]) -> str:
        """Render for one point of arrays already broadcast to the grid."""
        said = []
        for text, name, unit in _parts(self.template):
            said.append(text)
            if name:
                said.append(_written(float(np.asarray(self.numbers[name])[index]), unit))
        return "".join(said)

    @property
    def units(self) -> Mapping[str, str]:
        """Unit of each number in the template; empty for counts."""
        return {name: unit for _, name, unit in _parts(self.template) if name}

    def written(self, name: str) -> str:
        """The largest value of one number, as the template writes it.

        Example:
            >>> Reason("capacity", "has {has:B}", {"has": np.array([1e9, 2e9])},
            ...     np.array(True)).written("has")
            '2.00 GB'
        """
        largest = float(np.max(np.asarray(self.numbers[name])))
        return _written(largest, self.units.get(name, ""))


@frozen(eq=False)
class Footprint:
    """Bytes that one chip of the fullest pipeline stage must hold."""

    weights: Numeric
    state: Numeric
    activations: Numeric

    @property
    def total(self) -> Numeric:
        """All of it."""
        return self.weights + self.state + self.activations


@frozen(eq=False)
class Graph:
    """The operators of one chip's share (sharded, collectives included) and what they need resident.

    Attributes:
        ops: In execution order.
        footprint: Of the fullest stage.
        layers: Units of kind `layer` that pipeline stages divide.
        most: The most of each kind that any stage holds: where things live goes by this, as the fullest stage
            is another one at another batch, and what it has room for would jump. Not given: `footprint`.
    """

    EMPTY: ClassVar[Graph]

    ops: Sequence[Op]
    footprint: Footprint
    layers: int
    most: Footprint = attrs.field(default=attrs.Factory(lambda self: self.footprint, takes_self=True))


Graph.EMPTY = Graph((), Footprint(0.0, 0.0, 0.0), 1)


def kind_of(op: Op, role: str) -> str:
    """Which of `KINDS` an operator's bytes in a role are."""
    if role == "state":
        return "state"
    if role != "weights":
        return "activations"
    return "experts" if "experts" in op.split else "tables" if isinstance(op, Move) else "weights"


def _amounts(graph: Graph) -> dict[str, Numeric]:
    """Bytes that must be held of each of `KINDS`: weights in the proportion that the operators have."""
    by_kind: dict[str, Numeric] = dict.fromkeys(KINDS, 0.0)
    for op in graph.ops:
        kind = kind_of(op, "weights")
        by_kind[kind] = by_kind[kind] + op.parameters * op.precision.weights * op.instances
    every = np.maximum(sum(by_kind.values()), _TINY)
    needs = graph.most
    weights = {kind: needs.weights * (amount / every) for kind, amount in by_kind.items()}
    return {**weights, "activations": needs.activations, "state": needs.state}  # in the order of KINDS


@frozen(eq=False)
class Placement:
    """Where each role lives, and whether it fits.

    Attributes:
        homes: Role (`weights`, `state`, `inputs`, `outputs`) to memory level; a role that is missing costs no
            traffic (weights at home in an in-memory-compute array are never read).
        resident: Memory level to bytes needed there per chip.
        level_shares: Kind of data (of `KINDS`) to memory level to the share of it that lives there, where not
            all of it is at the home of its role.
        fits: Boolean array, broadcastable to the grid.
        reasons: Why not, where not.
    """

    homes: Mapping[str, str]
    resident: Mapping[str, Numeric]
    fits: Any = True
    reasons: tuple[Reason, ...] = ()
    level_shares: Mapping[str, Mapping[str, Numeric]] = attrs.field(factory=dict)

    def shares(self, op: Op, role: str) -> Mapping[str, Numeric]:
        """Memory level to the share of an operator's bytes in a role that come from it; empty: no traffic."""
        home = self.homes.get(role)
        if home is None:
            return {}
        return self.level_shares.get(kind_of(op, role), {home: 1.0}) if self.level_shares else {home: 1.0}

    @property
    def away(self) -> Numeric:
        """Bytes per chip that live in another level than the first."""
        return sum(list(self.resident.values())[1:], 0.0)

    @classmethod
    def over_tiers(cls, graph: Graph, chip: Chip) -> Placement:
        """Fill the levels of memory one after the other, the fastest first: what fits is never slowed by a
        slower one.

        What doesn't fit is spilled by rule, the last of `KINDS` first: tables of which single rows are
        looked up, experts (of which a step reads some), the cache, other weights, activations. Each kind is
        read in proportion from where it lies, all levels at the same time.
        """
        first, *more = chip.tiers
        if not more or np.all(np.asarray(graph.footprint.total) <= chip.memory[first].capacity):
            return cls.everything_in(first, graph, chip)
        amounts = _amounts(graph)
        resident: dict[str, Numeric] = {}
        level_shares: dict[str, dict[str, Numeric]] = {kind: {} for kind in amounts}
        rest = dict(amounts)
        for level in (first, *more):
            size = chip.memory[level].capacity
            room: Numeric = np.inf if np.isnan(size) or level == more[-1] else size
            for kind, amount in amounts.items():
                taken = np.minimum(rest[kind], room)
                rest[kind], room = rest[kind] - taken, room - taken
                resident[level] = resident.get(level, 0.0) + taken
                none = 1.0 if level == first else 0.0  # nothing of a kind is where all of it would be
                level_shares[kind][level] = np.where(amount > 0, taken / np.maximum(amount, _TINY), none)
        need, has = graph.footprint.total, chip.capacity
        fits = np.asarray(need) <= (np.inf if np.isnan(has) else has)
        reason = Reason("capacity", "needs {need:B} per chip, has {has:B}", {"need": need, "has": has}, ~fits)
        return cls(dict.fromkeys(ROLES, first), resident, fits, () if fits.all() else (reason,), level_shares)

    @classmethod
    def everything_in(cls, level: str, graph: Graph, chip: Chip) -> Placement:
        """Put all roles into one memory level, with a hard capacity: what most chips do.

        A level whose capacity is not published holds anything.
        """
        need, has = graph.footprint.total, chip.memory[level].capacity
        fits = np.asarray(need) <= (np.inf if np.isnan(has) else has)
        reason = Reason("capacity", "needs {need:B} per chip, has {has:B}", {"need": need, "has": has}, ~fits)
        return cls(dict.fromkeys(ROLES, level), {level: need}, fits, () if fits.all() else (reason,))


@frozen(eq=False)
class Site:
    """All that a cost may ask: the chip, the layout, where things live, the stack's tuning for this
    architecture.

    Attributes:
        chip: Datasheet facts.
        layout: How the work is spread.
        placement: Where things live.
        tuning: The stack's `[tuning.<architecture>]` as the architecture's own class, or its defaults.
        peak: Architecture's peak by format name, NaN where the chip lacks it.
    """

    chip: Chip
    layout: Layout
    placement: Placement
    tuning: Any
    peak: Callable[[str], float]
    _rates: dict[int, tuple[Precision, Array]] = attrs.field(factory=dict, init=False, repr=False)
    _bandwidth: dict[str, float] = attrs.field(factory=dict, init=False, repr=False)

    def rate(self, op: Op) -> Array:
        """Dense peak operations per second of one chip at the op's precision, along the precision axis."""
        return self.rate_at(op.precision)

    def rate_at(self, precision: Precision) -> Array:
        """Dense peak operations per second of one chip along a precision axis.

        A format the chip lacks computes in the next wider one it has; NaN where it has none.
        """
        known = self._rates.get(id(precision))
        if known is None:
            rates = precision.along_axis([self.peak(self.computes_in(p.compute)) for p in precision.points])
            known = self._rates[id(precision)] = (precision, rates)
        return known[1]

    def computes_in(self, wanted: str) -> str:
        """Name of the format in which products of format `wanted` are computed on this chip."""
        for name in WIDER[wanted]:
            if np.isfinite(self.peak(name)):
                return name
        return wanted

    def bandwidth(self, level: str) -> float:
        """Bytes per second of a memory level of one chip."""
        return self.chip.memory[level].bandwidth

    def traffic(self, op: Op) -> dict[str, Numeric]:
        """Bytes moved per memory level: each role at its home."""
        moved: dict[str, Numeric] = {}
        for role in self.placement.homes:
            amount = getattr(op.bytes, role)
            if isinstance(amount, float) and amount == 0.0:
                continue
            for level, share in self.placement.shares(op, role).items():
                part = amount if isinstance(share, float) and share == 1.0 else amount * share
                moved[level] = moved[level] + part if level in moved else part
        return moved

    def memory_time(self, op: Op) -> dict[str, Numeric]:
        """Seconds per `memory.<level>` engine for the op's traffic: what `Cost.busy` wants."""
        return {
            f"memory.{level}": amount / self.bandwidth(level) for level, amount in self.traffic(op).items()
        }

    def link(self, group: int) -> Link | None:
        """The interconnect that a group of `group` chips uses: scale-up if it is big enough."""
        links = self.chip.interconnect
        inner, outer = links.get("scale_up"), links.get("scale_out")
        if inner is not None and (group <= inner.size or outer is None):
            return inner
        return outer
