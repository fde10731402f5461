"""Laws of fabrics, power models and stacks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from inferbench.errors import InferBenchError, UnsupportedOp
from inferbench.num import Array
from inferbench.records.chip import Link
from inferbench.records.energy import ActivityCounts, Energy
from inferbench.records.grid import Grid
from inferbench.records.op import Collective
from inferbench.records.stack import Stack
from inferbench.records.system import Layout, System
from inferbench.testing.laws.law import Broken, Subject, law
from inferbench.testing.laws.trials import CLOSE, ideal_time, parts, tried

__all__: list[str] = []

MOVED = {"all_reduce": 2.0, "all_gather": 1.0, "reduce_scatter": 1.0, "all_to_all": 1.0}
PAYLOADS = np.array([1.0, 1e3, 1e6, 1e9])
LINK = Link("x", bandwidth=100e9, latency=1e-6, size=64, dimensions=2)
SCALE = np.array([0.0, 0.01, 0.1, 1.0, 1000.0])


def _exchange(kind: str, payload: Any, group: int) -> Collective:
    precision = Grid.of({}, ["bf16"]).at.precision
    return Collective(name="c", precision=precision, collective=kind, payload=payload, group=group)


@law("fabrics", quick=True)
def collectives_are_numbers(subject: Subject) -> Iterator[Broken]:
    """Every part of a collective is finite and at least zero, from one byte to a gigabyte."""
    for kind in (*MOVED, "send"):
        for group in (2, 8):
            cost = subject.record.cost(_exchange(kind, PAYLOADS, group), LINK, Layout(tp=group))
            for name, value in parts(cost):
                array = np.broadcast_to(np.asarray(value, dtype=np.float64), PAYLOADS.shape)
                bad = ~np.isfinite(array) | (array < 0)
                if bad.any():
                    at = PAYLOADS[bad][0]
                    text = f"{name} is {array[bad][0]:g} for {at:g} bytes over {group} chips"
                    yield Broken(kind, text, "times and bytes are finite and at least zero")


@law("fabrics")
def more_bytes_take_longer(subject: Subject) -> Iterator[Broken]:
    """More bytes take no less time, and payloads in a grid take what they take alone."""
    for kind in (*MOVED, "send"):
        times = _times(subject, kind, PAYLOADS, 8)
        if (np.diff(times) < -CLOSE * times[:-1]).any():
            yield Broken(kind, f"{times[0]:.3g} s for 1 B, {times[-1]:.3g} s for 1 GB", "check the units")
        alone = np.array([float(np.max(_times(subject, kind, float(p), 8))) for p in PAYLOADS])
        if not np.allclose(times, alone, rtol=1e-12):
            yield Broken(
                kind,
                f"{times[0]:.4g} s in a grid and {alone[0]:.4g} s alone for {PAYLOADS[0]:g} B",
                "use ib.maximum and no reduction over payloads",
            )


@law("fabrics")
def each_chip_sends_what_it_must(subject: Subject) -> Iterator[Broken]:
    """(n-1)/n of the payload must leave each chip, twice for an all-reduce: no collective is faster."""
    for kind, factor in MOVED.items():
        for group in (2, 4, 8):
            time = float(np.max(_times(subject, kind, 1e9, group)))
            floor = factor * 1e9 * (group - 1) / group / LINK.bandwidth
            if time < floor * (1 - CLOSE):
                yield Broken(
                    f"{kind} over {group}",
                    f"{time:.4g} s, and sending {factor * (group - 1) / group:.3g} of 1 GB at 100 GB/s takes"
                    f" {floor:.4g} s",
                    "bandwidth is of one direction and of one chip, over all its links",
                )


def _times(subject: Subject, kind: str, payload: Any, group: int) -> Array:
    cost = subject.record.cost(_exchange(kind, payload, group), LINK, Layout(tp=group))
    return np.asarray(ideal_time(cost), dtype=np.float64)


def _energies(subject: Subject) -> Iterator[tuple[Any, Energy]]:
    """Chips that the model accepts, each with its answer at rising work in a tenth of a second."""
    accepted = 0
    for chip in subject.chips("", most=100):
        types = subject.record.architectures
        if (types and chip.architecture_type not in types) or subject.record.accepts(chip):
            continue
        accepted += 1
        actions = {"ops": 1e14 * SCALE, f"bytes.{chip.outermost}": 1e11 * SCALE}
        counts = ActivityCounts(actions, 0.1, 1, Grid.of({}, ["bf16"]).at.precision, ("bf16",))
        yield chip, subject.record.energy(counts, System(chip))
    if not accepted:
        remedy = "bring a chip that it accepts, or depend on a package that does"
        raise UnsupportedOp.at(subject.name, "it accepts no installed chip", remedy)


@law("power_models", quick=True)
def it_accepts_or_says_why(subject: Subject) -> Iterator[Broken]:
    """A power model answers for every chip with a reason or an empty text."""
    for chip in subject.chips("", most=100):
        said = subject.record.accepts(chip)
        if not isinstance(said, str):
            yield Broken(f"accepts({chip.name})", f"{said!r:.40}", "return why not, or an empty text")


@law("power_models")
def power_is_a_number(subject: Subject) -> Iterator[Broken]:
    """Watts and joules are at least zero and never infinite, with no work and with any amount of it."""
    for chip, energy in _energies(subject):
        for what, value in (
            ("watts", energy.watts),
            ("joules", energy.joules),
            ("throttle", energy.throttle),
        ):
            array = np.asarray(value, dtype=np.float64)
            if np.isinf(array).any() or (array < 0).any():
                bad = array[np.isinf(array) | (array < 0)].flat[0]
                yield Broken(f"{what} of {chip.name}", f"{bad:g}", "check signs and divisions")


@law("power_models")
def more_work_draws_no_less(subject: Subject) -> Iterator[Broken]:
    """More work in the same time draws no less power."""
    for chip, energy in _energies(subject):
        watts = np.broadcast_to(np.asarray(energy.watts, dtype=np.float64), SCALE.shape)
        if (np.diff(watts) < -1e-9 * np.abs(watts[:-1])).any():
            shown = ", ".join(f"{w:.4g}" for w in watts)
            yield Broken(
                chip.name, f"{shown} W for 0, 1 %, 10 %, 1 and 1,000 times the work", "add, never cut"
            )


@law("power_models")
def power_stays_below_the_limit(subject: Subject) -> Iterator[Broken]:
    """Mean power never exceeds the TDP, or the limit that the model names: the step is stretched instead."""
    for chip, energy in _energies(subject):
        limit = energy.limit if math.isnan(chip.power.tdp) else chip.power.tdp
        watts = float(np.max(np.nan_to_num(np.asarray(energy.watts, dtype=np.float64))))
        if not math.isnan(limit) and watts > limit * (1 + CLOSE):
            text = f"{watts:.4g} W, and the limit is {limit:.4g} W"
            yield Broken(chip.name, text, "stretch the step by `throttle` and hold the watts at the limit")
        if np.any(np.asarray(energy.throttle) < 1.0):
            yield Broken(chip.name, f"throttle {float(np.min(energy.throttle)):.4g}", "it is at least 1")


@law("power_models")
def joules_are_watts_times_seconds(subject: Subject) -> Iterator[Broken]:
    """Energy is mean power times the stretched step."""
    for chip, energy in _energies(subject):
        product = np.asarray(energy.watts) * 0.1 * np.asarray(energy.throttle)
        if not np.allclose(energy.joules, product, rtol=1e-9, equal_nan=True):
            joules, wanted = (float(np.max(np.nan_to_num(one))) for one in (energy.joules, product))
            text = f"{joules:.6g} J, and watts times seconds are {wanted:.6g}"
            yield Broken(chip.name, text, "one of the two is of another duration")


def _on(subject: Subject) -> Iterator[Any]:
    """Operators on chips that a stack is for."""
    stack: Stack = subject.record
    known = {chip.name: chip for chip in subject.chips("", most=200)}
    named = [known[name] for name in stack.domain.chips if name in known]
    fitting = named or [
        chip
        for chip in known.values()
        if not stack.architectures or chip.architecture_type in stack.architectures
    ]
    found: list[Any] = []
    for chip in fitting[:1]:
        with suppress(InferBenchError):
            found = list(tried(subject.registry.architecture(chip.architecture_type), chip))
    if not found:
        wanted = ", ".join(stack.domain.chips or stack.architectures)
        said = f"no installed chip is one that it is for: {wanted}"
        raise UnsupportedOp.at(subject.name, said, "bring one, or depend on a package that does")
    yield from found


@law("stacks", quick=True)
def software_is_never_faster_than_hardware(subject: Subject) -> Iterator[Broken]:
    """A stack makes no operator faster than its cost alone, and no time is a hole or infinite."""
    for one in _on(subject):
        model, time = one.full(ideal_time(one.cost)), one.full(subject.record.time(one.cost, one.op))
        for mask, what in (
            (time < model * (1 - CLOSE), "below the cost alone"),
            (np.isinf(time), "infinite"),
            (np.isnan(time) & ~np.isnan(model), "not a number"),
        ):
            if mask.any():
                index = one.first(mask)
                yield Broken(
                    one.place,
                    f"{time[index]:.4g} s at {one.at(index)}, the hardware {model[index]:.4g} s: {what}",
                    "efficiencies lie between 0 and 1, launch and host times are at least zero",
                )


@law("stacks")
def errors_are_errors(subject: Subject) -> Iterator[Broken]:
    """The log standard errors of a fitted stack are at least zero, so that an interval holds its centre."""
    for one in _on(subject):
        for what, value in (
            ("kernel", subject.record.kernel_error(one.op)),
            ("power", subject.record.power_error(one.op) if hasattr(subject.record, "power_error") else 0.0),
        ):
            array = np.asarray(value, dtype=np.float64)
            if (array < 0).any() or np.isinf(array).any():
                text = f"log standard error of the {what} is {float(array.min()):g}"
                yield Broken(one.place, text, "it is the spread of log(predicted / measured): never negative")
