"""`Stack`: the software, as a transformation of `Cost` into time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from inferbench.num import Array, Mask, Numeric
from inferbench.records.cost import Cost
from inferbench.records.facts import Fact, Source
from inferbench.records.fit import Domain, Fit, FitFile, FitPart
from inferbench.records.host import Across, Host
from inferbench.records.lookup import Curve, Efficiency, Lookup, Table
from inferbench.records.op import Op
from inferbench.records.overlap import maximum_of, one_path, power_sum
from inferbench.records.trust import OTHER_KERNEL, OUTSIDE, UNFITTED, UNFITTED_MOVES, other_kernel
from inferbench.records.variants import Names, length, variants

__all__ = ["Across", "Curve", "Domain", "Fit", "FitFile", "FitPart", "Host", "Stack", "StackFile"]

# What else than engines a stack knows in seconds, by op kind.
TIMES = ("launch", "startup", "depth", "serial", "ramp")
# Everything that has an entry per kind of kernel, beside efficiencies.
TABLES = ("overlap", *TIMES, "ramp_bytes", "tail", "piece")


@attrs.frozen(kw_only=True, eq=False)
class Stack:
    """Efficiencies by engine, op kind and format; how engines overlap; launches and host time.

    Keys of a table are looked up from special to general: `attention.generation.fp8` before
    `attention.generation` before `attention` before `default` (see `variants`), and for each of them the
    precision's name, for attention the width of the KV cache (`attention.generation.kv8`), the compute
    format, then any. Engines likewise: `memory.hbm`, then `memory`.

    Attributes:
        name: How users write it.
        architectures: Architecture types it applies to; empty for all.
        efficiency: Engine to table of fractions of the datasheet's rate. `convert` is a pass over the
            activations before the kernel, at a fraction of the memory's bandwidth (quantising them); no
            entry, no pass.
        overlap_across: How far operators overlap with each other.
        overlap: Table of exponents p of `(sum busy^p)^(1/p)`; infinity is a plain maximum.
        launch: Table of seconds per kernel.
        startup: Table of seconds that a kernel takes at least, beside its engines' busy times.
        depth: Table of seconds per element of the loop that each tile runs through (the reduced
            dimension, the keys), beside busy times: with few tiles the loop is longer than the work
            shared by all multiprocessors.
        serial: The same, after the busy times: what the loop leaves uncovered.
        tail: Table of shares, 0 to 1, of one tile's loop by which the last tile outlasts the mean where
            there are more tiles than units (Graham 1969). With an entry, arithmetic and loop don't
            overlap: up to one wave the longer of both counts, beyond it `compute + tail depth n`; -1,
            written "none", is as without an entry. Needs an architecture that says how it tiles.
        piece: Table of the fewest steps of the loop that are worth a unit of their own: where tiles are
            fewer than units, the loop of n steps is cut up (flash decoding), which leaves `n / (1 + n /
            (piece + n waves))` to each; infinity: never cut.
        ramp: Table of seconds lost until bandwidth is reached: `ramp b / (b + ramp_bytes)` for b bytes.
        ramp_bytes: Table of bytes at which half of `ramp` is lost.
        tuning: Architecture type to its raw `[tuning.<type>]` table, structured by the plugin's class.
        energy: Action (`ops`, `bytes.hbm`) to a factor on the chip's energy for it: what this software
            spends beside what is counted. It changes power, never time.
        kernel_energy: Action, or `baseline`, to table of joules per count (watts of a chip) of a kernel
            alone in a loop, on the chips of the stack's box. Applications at the same counts draw other
            power: only single operators use it.
        power: Name of a power model to its raw `[power.<name>]` table: figures that take the place of a
            chip's own in whole steps, structured by the model's class, and `chips`, the ones that they are
            of (else those of the stack's box).
        energy_fit: What `kernel_energy`, or `power`, was fitted on.
        software: Beginnings of the names under which measurements cite this software (`vLLM`); case doesn't
            matter.
        family: Short name of the software, over its versions and chips (`vllm`): `h100@vllm` takes the
            nearest of them. Where a file says none, the letters that its first `software` begins with.
        grade: `class` for a prior of a whole class of chips; empty for software of named chips.
        vendors: Vendors whose chips a prior is of; empty for all.
        ideal: Efficiency 1, p infinite, no launch, no host: hardware against hardware.
    """

    name: str
    title: str
    architectures: tuple[str, ...] = ()
    efficiency: Mapping[str, Table] = attrs.field(factory=dict)
    overlap: Mapping[str, float] = attrs.field(factory=dict)
    launch: Mapping[str, float] = attrs.field(factory=dict)
    startup: Mapping[str, float] = attrs.field(factory=dict)
    depth: Mapping[str, float] = attrs.field(factory=dict)
    serial: Mapping[str, float] = attrs.field(factory=dict)
    ramp: Mapping[str, float] = attrs.field(factory=dict)
    ramp_bytes: Mapping[str, float] = attrs.field(factory=dict)
    tail: Mapping[str, float] = attrs.field(factory=dict)
    piece: Mapping[str, float] = attrs.field(factory=dict)
    host: Host = attrs.field(factory=Host)
    overlap_across: Across = attrs.field(factory=Across)
    tuning: Mapping[str, Any] = attrs.field(factory=dict)
    energy: Mapping[str, float] = attrs.field(factory=dict)
    kernel_energy: Mapping[str, Table] = attrs.field(factory=dict)
    power: Mapping[str, Any] = attrs.field(factory=dict)
    energy_fit: Fit = attrs.field(factory=Fit)
    domain: Domain = attrs.field(factory=Domain)
    fit: Fit = attrs.field(factory=Fit)
    based_on: str = ""
    software: tuple[str, ...] = ()
    family: str = ""
    grade: str = ""
    vendors: tuple[str, ...] = ()
    facts: Mapping[str, Fact] = attrs.field(factory=dict)
    note: str = ""
    origin: str = ""
    _cache: dict[object, list[Efficiency]] = attrs.field(factory=dict, init=False, repr=False)

    @property
    def ideal(self) -> bool:
        """Whether it changes nothing."""
        tables = (self.efficiency, self.overlap, self.tuning, *(getattr(self, name) for name in TIMES))
        return not any(tables) and (self.host, self.overlap_across) == (Host(), Across())

    def time(self, cost: Cost, op: Op, formats: tuple[str, ...] = ()) -> Numeric:
        """Turn a cost into seconds, never fewer than the cost alone takes.

        `launch + |busy_i / efficiency_i, startup, depth n|_p + serial n + ramp b/(b + ramp_bytes) +
        convert + exposed` with n the length of the inner loop, b the bytes touched and |.|_p the p-norm.
        Levels of memory are one engine, the slowest of them: the same bytes stream through all.

        Args:
            cost: Of one execution.
            op: What was costed; its kind, precision and size select the efficiencies.
            formats: Compute format per precision, where it differs from the precision's own.

        Returns:
            Seconds, broadcastable to the grid.
        """
        if self.ideal:
            return _total(maximum_of(list(cost.busy.values())), cost)
        found = variants(op)
        seconds = self._time(cost, op, found[0][0], formats)
        for names, mask in found[1:]:
            seconds = np.where(mask, self._time(cost, op, names, formats), seconds)
        return seconds

    def kernel_error(self, op: Op, formats: tuple[str, ...] = ()) -> Numeric:
        """Log standard error of one kernel's time: its own and what it shares, in quadrature; 0 where none
        was fitted.
        """
        shared = self.shared_error(op, formats)
        own = self.own_error(op, formats)
        return own if not np.any(shared) else np.hypot(own, shared)

    def own_error(self, op: Op, formats: tuple[str, ...] = ()) -> Numeric:
        """Log standard error that a kernel of another shape does not have, looked up like every figure.

        Outside the box of its kind (a longer inner loop) 0.25 more, in quadrature.
        """
        rest = 0.0 if math.isnan(self.fit.kernel) else self.fit.kernel
        error = self._figure("kernels", self.fit.kernels, op, formats, rest)
        inside = self.domain.holds(op) if self.domain.ops else np.asarray(True)
        return error if inside.all() else np.where(inside, error, np.hypot(error, OUTSIDE))

    def shared_error(self, op: Op, formats: tuple[str, ...] = ()) -> Numeric:
        """Log standard error that all operators have which this stack knows no kernel of: they are off the
        same way.

        1.4 where a stack fitted on kernels has no figure, so that the time is the roofline's (1.0 for
        what only moves data). 2.2 for generation attention with more than 32 query heads per key head. 0
        under a stack that was not fitted, and under a prior, which was fitted on whole steps of all kernels.
        """
        if not self.fit.rows or self.grade:
            return 0.0
        other = OTHER_KERNEL * other_kernel(op)
        known = self.knows(op, formats)
        each = np.where(np.asarray(op.useful) > 0, UNFITTED, UNFITTED_MOVES)
        shared: Array = np.maximum(other, np.where(known, 0.0, each))
        return shared

    def knows(self, op: Op, formats: tuple[str, ...] = ()) -> Mask:
        """Whether there is a figure of a kernel; True under stacks that were fitted on whole steps, or not at
        all, or whose only figures are an architecture's own (`tuning`), which have no kinds.
        """
        tables = (*self.efficiency.values(), *(getattr(self, name) for name in TIMES))
        if not self.fit.rows or not math.isnan(self.fit.step) or not any(tables):
            return np.asarray(True)
        found = self._figure("known", {key: 1.0 for table in tables for key in table}, op, formats, 0.0)
        return np.asarray(found) > 0

    def covers(self, op: Op, formats: tuple[str, ...] = ()) -> Mask:
        """Whether an operator lies in the box of its kind, has a figure, and runs in the kernel that was
        fitted.
        """
        held = np.asarray(self.domain.holds(op))
        return held if not self.fit.rows or self.grade else held & self.knows(op, formats) & ~other_kernel(op)

    def kernel_energies(self, op: Op, formats: tuple[str, ...] = ()) -> dict[str, Numeric]:
        """Energies of one kernel alone: action, or `baseline`, to joules per count (watts).

        NaN where it has none, and in precisions that its box doesn't have: a format's energy says little of
        another's.
        """
        return {
            action: np.where(
                self._boxed(op), self._figure(f"energy {action}", table, op, formats, math.nan), math.nan
            )
            for action, table in self.kernel_energy.items()
        }

    def power_error(self, op: Op, formats: tuple[str, ...] = ()) -> Numeric:
        """Log standard error of one kernel's mean power at its true duration; NaN where it has no energies of
        its own.

        Outside the box of its kind 0.25 more, in quadrature.
        """
        error = self._figure("power", self.fit.kernel_power, op, formats, math.nan)
        wide = np.where(np.asarray(self.domain.holds(op)), error, np.hypot(error, OUTSIDE))
        return np.where(self._boxed(op), wide, math.nan)

    def _boxed(self, op: Op) -> Mask:
        """Whether the box has the precision, along the precision axis."""
        known = [not self.domain.precisions or name in self.domain.precisions for name in op.precision.names]
        return op.precision.along_axis([float(one) for one in known]) > 0

    def _figure(self, label: str, table: Table, op: Op, formats: tuple[str, ...], default: float) -> Numeric:
        """An entry of a table for each point's variant of the operator."""
        found = variants(op)
        value = Lookup(op, found[0][0], formats, self._cache).find(label, table, default)
        for names, mask in found[1:]:
            value = np.where(mask, Lookup(op, names, formats, self._cache).find(label, table, default), value)
        return value

    def _time(self, cost: Cost, op: Op, names: Names, formats: tuple[str, ...]) -> Numeric:
        at = Lookup(op, names, formats, self._cache)
        loop = self._loop(cost, op, at)
        parts = self._parts(cost, loop, at)
        if self.startup:
            parts.append(at.find("startup", self.startup, 0.0))
        p = at.find("overlap", self.overlap, math.inf)
        together = maximum_of(parts) if np.all(np.isinf(p)) else power_sum(parts, p)
        together = _total(together, cost) + at.find("launch", self.launch, 0.0)
        if self.serial:
            together = together + at.find("serial", self.serial, 0.0) * loop
        if self.ramp:
            moved = op.bytes.total
            half = at.find("ramp_bytes", self.ramp_bytes, 0.0)
            share = moved / np.maximum(moved + half, 1e-300)
            together = together + at.find("ramp", self.ramp, 0.0) * share
        if "convert" in self.efficiency:
            together = together + _pass(cost, op) / at.find("convert", self.efficiency["convert"], math.inf)
        return together

    def _loop(self, cost: Cost, op: Op, at: Lookup) -> Numeric:
        """Steps of the loop that one unit runs through: all of one tile's, or a piece where units would
        idle.
        """
        whole: Numeric = length(op)
        if not self.piece or cost.waves is None:
            return whole
        piece = at.find("piece", self.piece, math.inf)
        return whole / (1.0 + whole / (piece + whole * cost.waves))

    def _parts(self, cost: Cost, loop: Numeric, at: Lookup) -> list[Numeric]:
        """Seconds of what runs side by side: engines, and the loop that a tile runs through."""
        busy = one_path({engine: self._over(seconds, engine, at) for engine, seconds in cost.busy.items()})
        if not self.depth:
            return list(busy.values())
        deep = at.find("depth", self.depth, 0.0) * loop
        tail = at.find("tail", self.tail, -1.0)
        if cost.waves is None or "compute" not in busy or np.all(np.asarray(tail) < 0):
            return [*busy.values(), deep]
        work = busy["compute"]
        tiled = np.where(cost.waves <= 1.0, np.maximum(work, deep), work + tail * deep)
        busy["compute"] = np.where(np.asarray(tail) < 0, work, tiled)
        return [*busy.values(), np.where(np.asarray(tail) < 0, deep, 0.0)]

    def _over(self, seconds: Numeric, engine: str, at: Lookup) -> Numeric:
        table = self.efficiency.get(engine)
        if table is None:
            table = self.efficiency.get(engine.split(".")[0])
        return seconds if table is None else seconds / at.find(engine, table, 1.0)


def _pass(cost: Cost, op: Op) -> Numeric:
    """Seconds to read the activations as 16 bits and to write them as they are stored, at the memory's
    bandwidth.
    """
    for engine, seconds in cost.busy.items():
        family, _, level = engine.partition(".")
        moved = cost.actions.get(f"bytes.{level}")
        if family == "memory" and moved is not None:
            per_byte = seconds / np.where(np.asarray(moved) > 0, moved, 1.0)
            return per_byte * op.bytes.inputs * (1.0 + 2.0 / op.precision.activations)
    return 0.0


def _total(together: Numeric, cost: Cost) -> Numeric:
    for seconds in cost.exposed.values():
        together = together + seconds
    return together


@attrs.frozen(kw_only=True)
class StackFile:
    """The layout of a stack's TOML. Efficiency entries are numbers or `{ over = "m", points = [[32, 0.15], …]
    }`.
    """

    title: str
    note: str = ""
    source: str = ""
    sources: Mapping[str, Source] = attrs.field(factory=dict)
    based_on: str = ""
    software: tuple[str, ...] = ()
    family: str = ""
    grade: str = ""
    vendors: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    efficiency: Mapping[str, object] = attrs.field(factory=dict)
    overlap: Mapping[str, object] = attrs.field(factory=dict)
    launch: Mapping[str, object] = attrs.field(factory=dict)
    startup: Mapping[str, object] = attrs.field(factory=dict)
    depth: Mapping[str, object] = attrs.field(factory=dict)
    serial: Mapping[str, object] = attrs.field(factory=dict)
    ramp: Mapping[str, object] = attrs.field(factory=dict)
    ramp_bytes: Mapping[str, object] = attrs.field(factory=dict)
    tail: Mapping[str, object] = attrs.field(factory=dict)
    piece: Mapping[str, object] = attrs.field(factory=dict)
    host: Host = attrs.field(factory=Host)
    overlap_across: Across = attrs.field(factory=Across)
    tuning: Mapping[str, Any] = attrs.field(factory=dict)
    energy: Mapping[str, float] = attrs.field(factory=dict)
    kernel_energy: Mapping[str, object] = attrs.field(factory=dict)
    power: Mapping[str, Any] = attrs.field(factory=dict)
    energy_fit: Fit = attrs.field(factory=Fit)
    domain: Domain = attrs.field(factory=Domain)
    fit: Fit = attrs.field(factory=Fit)
