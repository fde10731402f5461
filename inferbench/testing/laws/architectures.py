"""Laws of architectures: what no model of hardware may break, whatever it models."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Iterator

import attrs
import numpy as np

from inferbench.errors import UnsupportedOp
from inferbench.records.chip import Chip, MemoryLevel
from inferbench.records.grid import Grid
from inferbench.records.interfaces import Architecture
from inferbench.records.op import Op
from inferbench.records.placement import Footprint, Graph
from inferbench.records.system import Layout
from inferbench.testing.laws.law import Broken, Subject, law
from inferbench.testing.laws.trials import (
    CLOSE,
    Tried,
    at_each,
    ideal_time,
    operators,
    parts,
    site_on,
    tried,
)

__all__: list[str] = []

KIND = "architectures"


def _chips(subject: Subject, most: int = 1) -> list[Chip]:
    """Chips of this architecture, else one of round figures; without either its formulas can't be tried."""
    return subject.chips(subject.name, most) or [_round(subject)]


def _round(subject: Subject) -> Chip:
    """A chip of round figures for an architecture whose table has defaults."""
    said = f"no installed chip is of type '{subject.name}'"
    remedy = "bring one, or depend on a package that does; or give every key of the table a default"
    try:
        chip = Chip(
            name="a chip of round figures",
            title="Round",
            vendor="Nobody",
            architecture_type=subject.name,
            architecture=subject.record.params(),
            peak={"bf16": 1e12, "fp8": 2e12},
            memory={"hbm": MemoryLevel(capacity=80e9, bandwidth=1e12)},
        )
        site_on(subject.record, chip)
    except Exception as error:  # it wants keys, peaks or levels of its own
        raise UnsupportedOp.at(subject.name, said, remedy) from error
    return chip


def _all(subject: Subject) -> Iterator[Tried]:
    found = [one for chip in _chips(subject, 2) for one in tried(subject.record, chip)]
    if not found:
        said = "it refuses every operator on which it is tried"
        raise UnsupportedOp.at(subject.name, said, "give it a method for Gemm, or leave `cost` as it is")
    yield from found


@law(KIND, quick=True)
def says_what_it_is(subject: Subject) -> Iterator[Broken]:
    """An architecture has a name and a title, and structures its tables with attrs."""
    kind = type(subject.record)
    for field in ("params", "tuning"):
        if not attrs.has(getattr(kind, field, None) or int):
            yield Broken(field, f"{kind.__name__}.{field} is no attrs class", "decorate it with @ib.frozen")
    if not getattr(kind, "title", ""):
        yield Broken("title", f"{kind.__name__} has no title", "give it one: screens show it")


@law(KIND, quick=True)
def parts_are_numbers(subject: Subject) -> Iterator[Broken]:
    """Every part of a cost is float64, at least zero and finite, at batch 1 as at 4,096 million rows."""
    for one in _all(subject):
        for name, value in parts(one.cost):
            array = np.asarray(value)
            if array.dtype != np.float64:
                yield Broken(one.place, f"{name} is {array.dtype}", "count in float64: write 2.0, not 2")
                continue
            full = one.full(array)
            unknown = np.isnan(full)
            # A figure that the chip lacks is missing everywhere; a hole in the grid is a fault.
            holes = unknown & ~unknown.all(axis=(0, 1), keepdims=True)
            for mask, what in ((full < 0, "negative"), (np.isinf(full), "infinite"), (holes, "not a number")):
                if mask.any():
                    index = one.first(mask)
                    yield Broken(
                        one.place,
                        f"{name} is {full[index]:g} at {one.at(index)}: {what}",
                        "formulas hold at every point; use ib.where and ib.maximum at the edges",
                    )


@law(KIND)
def a_grid_equals_its_points(subject: Subject) -> Iterator[Broken]:
    """A grid in one call equals its points one by one."""
    for chip in _chips(subject):
        whole = {one.op.name: one for one in tried(subject.record, chip)}
        grid = next(iter(whole.values())).grid if whole else Grid.of({}, ["bf16"])
        times = {name: one.full(ideal_time(one.cost)) for name, one in whole.items()}
        site = site_on(subject.record, chip)
        for point, index in at_each(grid) if whole else ():
            for op in operators(point.at):
                if op.name not in whole:
                    continue
                alone = float(np.max(ideal_time(subject.record.cost(op, site))))
                in_grid = float(times[op.name][index])
                if not np.isclose(alone, in_grid, rtol=1e-12, atol=0.0, equal_nan=True):
                    yield Broken(
                        whole[op.name].place,
                        f"{in_grid:.6g} s in a grid and {alone:.6g} s alone at {whole[op.name].at(index)}",
                        "a reduction ran over an axis: use ib.maximum, and no max, np.max, np.sum or if",
                    )


@law(KIND)
def nothing_beats_the_roofline(subject: Subject) -> Iterator[Broken]:
    """No operator is faster than its operations over the peak, nor than its weights and state over the
    bandwidth of their home.
    """
    for one in _all(subject):
        time = one.full(ideal_time(one.cost))
        floors = {"operations over the peak": np.nan_to_num(one.full(one.op.useful / one.site.rate(one.op)))}
        for role in ("weights", "state"):
            level = one.site.placement.homes.get(role)
            if level is not None:
                moved = getattr(one.op.bytes, role) / one.site.bandwidth(level)
                floors[f"bytes of {role} over the bandwidth of {level}"] = np.nan_to_num(one.full(moved))
        for what, floor in floors.items():
            below = time < floor * (1 - CLOSE)
            if below.any():
                index = one.first(below)
                yield Broken(
                    one.place,
                    f"{time[index]:.4g} s at {one.at(index)}, and {what} take {floor[index]:.4g} s",
                    "no cost is below the ideal: check operations (a multiply-add is two), bytes, peak",
                )


@law(KIND)
def more_work_takes_no_less(subject: Subject) -> Iterator[Broken]:
    """Time and every count rise with the batch and with the context: nothing wraps around."""
    for one in _all(subject):
        figures = {"time": ideal_time(one.cost), **{n: v for n, v in parts(one.cost) if n.startswith("act")}}
        for name, value in figures.items():
            full = np.nan_to_num(one.full(value))
            for axis, what in ((0, "batch"), (1, "context")):
                before = np.take(full, range(full.shape[axis] - 1), axis=axis)
                falls = np.diff(full, axis=axis) < -CLOSE * np.abs(before)
                if falls.any():
                    index = one.first(falls)
                    later = tuple(i + (1 if place == axis else 0) for place, i in enumerate(index))
                    yield Broken(
                        one.place,
                        f"{name} falls from {full[index]:.4g} to {full[later]:.4g} where the {what} grows"
                        f" ({one.at(index)})",
                        "count in float64, never in integers; more work may not cost less",
                    )


@law(KIND)
def work_is_counted(subject: Subject) -> Iterator[Broken]:
    """An architecture that counts operations counts at least the useful ones: power is computed of them."""
    for one in _all(subject):
        counted = one.cost.actions.get("ops")
        if counted is None:
            continue
        useful, ops = one.full(one.op.useful), one.full(counted)
        lost = ops < useful * (1 - CLOSE)
        if lost.any():
            index = one.first(lost)
            yield Broken(
                one.place,
                f"actions[ops] is {ops[index]:.4g} at {one.at(index)}, and {useful[index]:.4g} are useful",
                "count every operation that is executed, padding included",
            )


@law(KIND)
def the_same_question_has_one_answer(subject: Subject) -> Iterator[Broken]:
    """The same operator costs the same again: no clock, no random numbers, no memory."""
    for one in _all(subject):
        first, again = ideal_time(one.cost), ideal_time(subject.record.cost(one.op, one.site))
        if not np.array_equal(np.asarray(first), np.asarray(again), equal_nan=True):
            yield Broken(
                one.place,
                f"{float(np.max(first)):.6g} s, then {float(np.max(again)):.6g} s",
                "compute from the arguments alone",
            )


@law(KIND)
def operators_come_back_unchanged(subject: Subject) -> Iterator[Broken]:
    """A cost changes neither the operator nor the precision axis."""
    for chip in _chips(subject):
        for one in tried(subject.record, chip):
            fields = [field.name for field in attrs.fields(type(one.op)) if field.name != "precision"]
            fresh = next(op for op in operators(one.grid.at) if op.name == one.op.name)
            before = {name: copy.deepcopy(getattr(fresh, name)) for name in fields}
            before["bytes.weights"] = copy.deepcopy(fresh.bytes.weights)
            subject.record.cost(fresh, one.site)
            after = {name: getattr(fresh, name) for name in fields} | {"bytes.weights": fresh.bytes.weights}
            for name, value in before.items():
                if isinstance(value, float | np.ndarray) and not np.array_equal(value, after[name]):
                    yield Broken(
                        one.place,
                        f"{name} was {np.max(value):.6g} and is {np.max(after[name]):.6g} after the cost",
                        "make a new array instead of changing one in place (`a = a * 2`, not `a *= 2`)",
                    )


@law(KIND)
def a_cost_is_of_one_execution(subject: Subject) -> Iterator[Broken]:
    """How often an operator repeats does not change its cost: the core multiplies."""
    for one in _all(subject):
        thrice = ideal_time(subject.record.cost(attrs.evolve(one.op, repeat=3.0), one.site))
        if not np.allclose(one.full(ideal_time(one.cost)), one.full(thrice), rtol=1e-9, equal_nan=True):
            yield Broken(
                one.place,
                f"{float(np.nanmax(ideal_time(one.cost))):.4g} s once, and {float(np.nanmax(thrice)):.4g} s"
                " each of three times",
                "leave `op.repeat` to the core",
            )


@law(KIND)
def better_hardware_is_never_slower(subject: Subject) -> Iterator[Broken]:
    """A chip with twice the bandwidth, or twice the peaks, takes no longer."""
    for chip in _chips(subject):
        memory = {n: MemoryLevel(level.capacity, 2 * level.bandwidth) for n, level in chip.memory.items()}
        peak = {name: 2 * value for name, value in chip.peak.items()}
        slow = {one.op.name: one for one in tried(subject.record, chip)}
        for what, faster in (
            ("bandwidth", attrs.evolve(chip, memory=memory)),
            ("peak", attrs.evolve(chip, peak=peak)),
        ):
            for one in tried(subject.record, faster):
                before = one.full(ideal_time(slow[one.op.name].cost))
                after = one.full(ideal_time(one.cost))
                worse = after > before * (1 + CLOSE)
                if worse.any():
                    index = one.first(worse)
                    yield Broken(
                        one.place,
                        f"twice the {what} takes {after[index]:.4g} s instead of {before[index]:.4g} s"
                        f" ({one.at(index)})",
                        "a faster part may bind less, never more",
                    )


@law(KIND)
def engines_have_known_names(subject: Subject) -> Iterator[Broken]:
    """Busy time belongs to `compute`, `compute.<part>`, `memory.<level>` or `network`."""
    for one in _all(subject):
        for name in one.cost.busy:
            head, _, level = name.partition(".")
            known = head in ("compute", "network") or (head == "memory" and level in one.chip.memory)
            if not known:
                levels = ", ".join(f"memory.{level}" for level in one.chip.memory)
                yield Broken(
                    one.place, f"busy[{name}] is no engine", f"engines are compute, network, {levels}"
                )


@law(KIND, quick=True)
def an_unknown_kind_is_refused(subject: Subject) -> Iterator[Broken]:
    """An operator of a kind that nobody knows is refused with `UnsupportedOp`, and not costed as nothing."""

    class Unheard(Op):
        """A kind that nobody knows."""

    for chip in _chips(subject):
        op = Unheard(name="unheard", precision=Grid.of({}, ["bf16"]).at.precision)
        try:
            subject.record.cost(op, site_on(subject.record, chip))
        except UnsupportedOp:
            continue
        yield Broken(
            "unheard", "an operator of an unknown kind was costed", "let ib.Architecture.cost dispatch"
        )


@law(KIND)
def capacity_is_a_limit(subject: Subject) -> Iterator[Broken]:
    """What does not fit is said not to fit: 10^18 bytes of weights fit into no chip."""
    architecture: Architecture = subject.record
    for chip in _chips(subject):
        if any(math.isnan(level.capacity) for level in chip.memory.values()):
            continue
        placed = architecture.place(Graph((), Footprint(1e18, 0.0, 0.0), 1), chip, Layout())
        if np.all(placed.fits):
            has = sum(level.capacity for level in chip.memory.values())
            yield Broken(
                f"place on {chip.name}",
                f"1e18 bytes of weights fit into {has:.3g}",
                "compare with the capacity of the home and give a Reason",
            )


@law(KIND)
def it_travels(subject: Subject) -> Iterator[Broken]:
    """An architecture pickles: executors send it to other processes."""
    copied = pickle.loads(pickle.dumps(subject.record))
    if type(copied) is not type(subject.record):
        yield Broken("", f"it came back as {type(copied).__name__}", "keep state out of it")
