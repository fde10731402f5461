"""Many layouts costed in one call: the same operators at other sizes, stacked in a dimension of their own.

Layouts of one search do the same operators in the same order, but for exchanges that some of them have.
Those that have the same are stacked: each field of an operator that differs becomes an array, a layout in
each place of its first dimension. Formulas broadcast, so that every layout gets what it would get alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.model import partition
from inferbench.model.case import Case
from inferbench.model.charge import NAMED, Price, StepCost, last_of
from inferbench.num import Array, Indices, Numeric
from inferbench.records.grid import Point
from inferbench.records.interfaces import Architecture
from inferbench.records.op import Op
from inferbench.records.placement import Placement, Site
from inferbench.records.system import Layout

__all__ = ["Crowd", "Group", "Name", "Pair", "by_degrees", "of_rank"]

MANY = 16384
"""Points beyond which a call gains nothing from those of other layouts."""

Pair = tuple[Point, Point | None]
"""What one rank sees in a pass, and what experts see that ranks share."""
Name = tuple[object, ...]


def of_rank(case: Case, micro: Point, joint: Point | None, layout: Layout) -> tuple[Op, ...]:
    """Operators of one data-parallel rank; experts that ranks share see the tokens of all of them."""
    own = case.graph(micro)
    if joint is None:
        return own
    every = case.graph(joint)
    return tuple(together if op.spans_ranks(layout) else op for op, together in zip(own, every, strict=True))


def by_degrees(many: Mapping[Name, tuple[Layout, Pair]]) -> list[dict[Name, tuple[Layout, Pair]]]:
    """Layouts that differ in their batch alone, each together."""
    groups: dict[tuple[int, ...], dict[Name, tuple[Layout, Pair]]] = {}
    for name, (layout, pair) in many.items():
        groups.setdefault((layout.tp, layout.cp, layout.ep), {})[name] = layout, pair
    return list(groups.values())


class _AnyOf(Layout):
    """Stands for several layouts; notes whether anybody asks for a degree in which they differ."""

    asked: bool
    differ: frozenset[str]

    def __init__(self, layouts: Sequence[Layout]) -> None:
        one = layouts[0]
        degrees = attrs.fields_dict(Layout)
        differ = frozenset(name for name in degrees if len({getattr(each, name) for each in layouts}) > 1)
        object.__setattr__(self, "differ", differ)
        super().__init__(one.tp, one.cp, one.pp, one.dp, one.ep)
        object.__setattr__(self, "asked", False)

    def __getattribute__(self, name: str) -> Any:
        if name in object.__getattribute__(self, "differ"):
            object.__setattr__(self, "asked", True)
        return super().__getattribute__(name)


@attrs.frozen(eq=False)
class Group:
    """Layouts that differ in their batch alone, and the operators of one chip at the batches of all.

    Attributes:
        layouts: Each with other batches.
        ops: Sharded; a layout in each place of the first dimension.
        micro: What ranks see in a pass, likewise.
    """

    layouts: list[Layout]
    ops: tuple[Op, ...]
    micro: Point

    @property
    def size(self) -> int:
        """Layouts."""
        return len(self.layouts)

    @classmethod
    def of(cls, case: Case, members: Mapping[Name, tuple[Layout, Pair]]) -> Group | None:
        """Operators at the batches of some layouts, remembered; None where they are not stacked.

        Args:
            case: With graphs that are kept.
            members: Name of what ranks see to a layout and that.
        """
        assert case.graphs is not None
        key = ("group", *members)
        if key not in case.graphs:
            case.graphs[key] = cls._made(case, list(members.values()))
        found: Group | None = case.graphs[key]
        return found

    @classmethod
    def _made(cls, case: Case, members: Sequence[tuple[Layout, Pair]]) -> Group | None:
        layouts, pairs = [one for one, _ in members], [pair for _, pair in members]
        micro = _stack([one for one, _ in pairs])
        if np.prod(micro.shape) > MANY:
            return None
        joint = None if pairs[0][1] is None else _stack([one for _, one in pairs if one is not None])
        any_of = _AnyOf(layouts)
        try:
            ops = partition.shard(of_rank(case, micro, joint, any_of), any_of)
        except InferBenchError:  # a layout that is refused says so by itself
            return None
        return None if any_of.asked else cls(layouts, ops, micro)

    def shares(self, case: Case, members: Sequence[tuple[Layout, Pair]]) -> Iterator[partition.Share]:
        """Yield what a chip of each layout does and holds, its operators made when somebody reads them."""
        dims, held = self.micro["batch"].ndim - 1, partition.held(self.ops)  # type: ignore[union-attr]
        for i, (layout, pair) in enumerate(members):

            def one(value: Numeric, i: int = i) -> Numeric:
                return _cut(value, i, 1, dims)[0] if np.ndim(value) > dims else value

            def sums(of: partition.Sums, one: Callable[[Numeric], Numeric] = one) -> partition.Sums:
                return partition.Sums(one(of.embedding), one(of.layer), one(of.head))

            ops = _Later(partial(_sharded, case, pair, layout))
            yield partition.Share(ops, sums(held.weights), sums(held.state), one(held.activations))


def _sharded(case: Case, pair: Pair, layout: Layout) -> tuple[Op, ...]:
    return partition.shard(of_rank(case, *pair, layout), layout)


class _Later(Sequence[Op]):
    """Operators that are made when somebody reads them."""

    def __init__(self, make: Callable[[], tuple[Op, ...]]) -> None:
        self.make = make

    @cached_property
    def made(self) -> tuple[Op, ...]:
        """All of them."""
        return self.make()

    def __len__(self) -> int:
        return len(self.made)

    def __getitem__(self, place: Any) -> Any:
        return self.made[place]

    def __iter__(self) -> Iterator[Op]:
        return iter(self.made)


class _Disorder(Exception):
    """Operators come in another order: they are not stacked."""


@attrs.frozen(eq=False)
class Crowd:
    """Costs many layouts of one case under one kind of software.

    Attributes:
        case: What runs where.
        site: Of one of the layouts; where things live is the same in all.
        hardware: Whether ideal software is all that is asked.
    """

    case: Case
    site: Site
    hardware: bool

    def costs(
        self, many: Mapping[Name, tuple[Layout, Pair]]
    ) -> Iterator[tuple[StepCost | None, Sequence[Name]]]:
        """Yield sums with a first dimension, and the name of each place in it; None: to be costed alone.

        Args:
            many: Name of what ranks see to a layout and that.
        """
        alike: dict[object, list[tuple[Group, Sequence[Name]]]] = {}
        for members in by_degrees(many):
            group = Group.of(self.case, members)
            if group is None:
                yield None, list(members)
            else:
                alike.setdefault(self._kind(group), []).append((group, list(members)))
        for some in alike.values():
            groups = [group for group, _ in some]
            costs = self._together(groups)
            if costs is None and len(some) > 1:
                for group, names in some:
                    yield self._together([group]), names
            else:
                yield costs, [name for _, names in some for name in names]

    def _kind(self, group: Group) -> object:
        """What groups have alike that are costed together; a plan of the architecture's own sees one layout's
        operators.
        """
        own = type(self.case.architecture).plan is not Architecture.plan
        return group.layouts[0] if own else ()

    def _line(self, costs: StepCost, some: list[Group]) -> None:
        """Add up the operators of several groups."""
        sizes = [group.size for group in some]
        costs.groups = [i for i, size in enumerate(sizes) for _ in range(size)]
        costs.names = [{name: {} for name in NAMED} for _ in some]
        places = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
        for ops in _lined(some):
            first = next(iter(ops))
            costs.layout = some[first].layouts[0]  # an operator spans ranks in all of them, or in none
            found = _priced(costs, ops, sizes)
            whole = len(found) == 1 and len(ops) == len(some)
            rows = [(price, np.concatenate([places[i] for i in mine])) for price, mine in found]
            costs.add(found[0][0] if whole else _joined(rows, len(costs.groups), len(costs.shape) - 1))
            for price, mine in found:
                for i in mine:
                    price.name(costs.names[i])
        last = [last_of(group.ops) for group in some]
        payload = _chain([op.bytes.outputs for op in last], sizes, len(costs.shape) - 1)
        costs.handed = last[0].precision, payload

    def _together(self, some: list[Group]) -> StepCost | None:
        micro = some[0].micro.replace(batch=np.concatenate([np.asarray(one.micro["batch"]) for one in some]))
        if np.prod(micro.shape) > MANY:
            return None
        any_of = _AnyOf([layout for group in some for layout in group.layouts])
        site = attrs.evolve(self.site, layout=any_of, placement=Placement(self.site.placement.homes, {}))
        costs = StepCost(self.case, site, micro, self.hardware, some[0].layouts[0])
        costs.many = True
        try:
            if len(some) == 1:
                costs.charge_ops(some[0].ops, True)
            else:
                self._line(costs, some)
        except (InferBenchError, _Disorder):  # whoever is at fault says so where it stands alone
            return None
        return None if any_of.asked else costs


def _stack(points: Sequence[Point]) -> Point:
    return points[0].replace(batch=np.stack([np.asarray(one["batch"]) for one in points]))


def _lined(some: Sequence[Group]) -> list[dict[int, Op]]:
    """Operators of several groups in one order that is the order of each: group to operator.

    Raises:
        _Disorder: There is none.
    """
    order: list[object] = []
    found: dict[object, dict[int, Op]] = {}
    for i, group in enumerate(some):
        last = -1
        for op in group.ops:
            key = type(op), op.name, op.unit, op.joined, op.spans_ranks(group.layouts[0])
            if key not in found:
                found[key] = {}
                order.insert(last + 1, key)
            place = order.index(key)
            if place <= last:
                raise _Disorder
            found[key][i], last = op, place
    return [found[key] for key in order]


def _priced(costs: StepCost, ops: Mapping[int, Op], sizes: Sequence[int]) -> list[tuple[Price, list[int]]]:
    """Price one operator of several groups, in one call where they differ in numbers alone.

    Args:
        costs: Where it is added.
        ops: Group to its operator; some groups have none.
        sizes: Layouts of each group.

    Returns:
        Prices, and the groups that each is of.
    """
    kinds: dict[object, list[int]] = {}
    for i, op in ops.items():
        kinds.setdefault(_words(op), []).append(i)
    dims, total = len(costs.shape) - 1, costs.shape
    found = []
    for places in kinds.values():
        mine = [sizes[i] for i in places]
        one = ops[places[0]] if len(places) == 1 else _merged([ops[i] for i in places], mine, dims)
        costs.shape = (sum(mine), *total[1:])
        found.append((costs.price(one, True), places))
    costs.shape = total
    return found


def _numeric(value: object) -> bool:
    return isinstance(value, float | np.ndarray)


def _words(op: Op) -> object:
    """What of an operator is no number: those that have the same are priced in one call."""
    said: list[object] = [type(op)]
    for name in _names(type(op)):
        value = getattr(op, name)
        if _numeric(value):
            said.append(0.0)
        elif callable(value):
            said += [getattr(value, "__func__", value), getattr(value, "__self__", None)]
        else:
            said.append(value)
    return tuple(said)


_NAMES: dict[type, tuple[str, ...]] = {}


def _names(kind: type) -> tuple[str, ...]:
    """Fields of a class but for the precision, which is that of the grid."""
    found = _NAMES.get(kind)
    if found is None:
        names = (one.name for one in attrs.fields(kind))
        found = _NAMES[kind] = tuple(name for name in names if name != "precision")
    return found


def _merged(ops: Sequence[Op], sizes: Sequence[int], dims: int) -> Op:
    """One operator whose numbers are those of several, one after the other in the first dimension."""
    names = [name for name in _names(type(ops[0])) if _numeric(getattr(ops[0], name))]
    changed = {name: _chain([getattr(op, name) for op in ops], sizes, dims) for name in names}
    return attrs.evolve(ops[0], **changed)


def _chain(values: Sequence[Numeric], sizes: Sequence[int], dims: int) -> Any:
    """Numbers of several groups in one array; as they are where all have the same one."""
    first = values[0]
    if isinstance(first, float) and all(isinstance(one, float) and one == first for one in values):
        return first
    if np.ndim(first) <= dims and all(one is first for one in values):
        return first
    shapes = {one.shape[-dims:] for one in values if isinstance(one, np.ndarray)}
    shape = np.broadcast_shapes(*shapes) if len(shapes) > 1 else next(iter(shapes), ())
    shape = (1,) * (dims - len(shape)) + shape
    made = np.empty((sum(sizes), *shape))
    start = 0
    for one, size in zip(values, sizes, strict=True):
        made[start : start + size] = one
        start += size
    return made


def _cut(value: Any, start: int, size: int, dims: int) -> Any:
    if np.ndim(value) <= dims or len(value) == 1:
        return value
    return value[start : start + size]


def _joined(parts: Sequence[tuple[Price, Indices]], total: int, dims: int) -> Price:
    """Prices of several groups in one; zero where a group has none, or no part of a name.

    Args:
        parts: Prices, and their places in the first dimension.
        total: Places.
        dims: Other dimensions.
    """

    def one(values: Sequence[Any], none: float) -> Array:
        shapes = {np.shape(value)[-dims:] for value in values if np.ndim(value) >= dims}
        made = np.full((total, *(np.broadcast_shapes(*shapes) if shapes else (1,) * dims)), none)
        for value, (_, places) in zip(values, parts, strict=True):
            made[places] = value
        return made

    changed: dict[str, Any] = {}
    for name in _names(Price):
        values = [getattr(price, name) for price, _ in parts]
        if isinstance(values[0], dict):
            keys = dict.fromkeys(key for value in values for key in value)
            none = np.inf if name == "caused" else 0.0
            changed[name] = {key: one([value.get(key, none) for value in values], none) for key in keys}
        elif _numeric(values[0]):
            changed[name] = one(values, np.nan if name == "rate" else 0.0)
    return attrs.evolve(parts[0][0], **changed)
