"""`Stack`: the software, as a transformation of `Cost` into time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import attrs
import numpy as np

from inferbench.num import Array, Mask, Numeric
from inferbench.records.cost import Cost
from inferbench.records.facts import Fact, Source
from inferbench.records.fit import Domain, Fit, FitFile, FitPart
from inferbench.records.host import Across, Host
from inferbench.records.immutable import frozen
from inferbench.records.kernel_tables import ByKernel, EnergyByKernel
from inferbench.records.lookup import Curve, Lookup, PerKernel
from inferbench.records.op import Op
from inferbench.records.overlap import maximum_of
from inferbench.records.roofline import ROOFLINE, exposed
from inferbench.records.rules import Ruled
from inferbench.records.scheduler import Scheduler
from inferbench.records.time_model import TimeModel, Unfitted
from inferbench.records.variants import variants
from inferbench.units import Times

__all__ = [
    "IDEAL",
    "OUTSIDE",
    "Across",
    "Curve",
    "Domain",
    "Fit",
    "FitFile",
    "FitPart",
    "Host",
    "Scheduler",
    "Stack",
    "StackFile",
]

# Log standard error of a kernel beyond what was seen: stacks of one chip differ by a quarter on the same
# work.
OUTSIDE = 0.25


@frozen(kw_only=True, eq=False)
class Stack(Ruled):
    """How a kernel's cost becomes seconds; host time, tuning, energies; what was fitted, and where it holds.

    Keys of a table by kernel are looked up from special to general: `attention.generation.fp8` before
    `attention.generation` before `attention` before `default` (see `variants`), and for each of them the
    precision's name, for attention the width of the KV cache (`attention.generation.kv8`), the compute
    format, then any. Engines likewise: `memory.hbm`, then `memory`.

    .. versionadded:: 0.1

    Attributes:
        name: How users write it.
        architectures: Architecture types it applies to; empty for all.
        time_model: What turns the cost of a kernel into seconds.
        figures: What that model needs of this software: of its class `figures`.
        host: What the CPU adds to a step.
        scheduler: How its engine takes requests; None: as another stack of its family says.
        overlap_across: How far operators overlap with each other.
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
        versions: Oldest and newest version that it is of, each without what follows its numbers; empty: open.
        family: Short name of the software, over its versions and chips (`vllm`): `h100@vllm` takes the
            nearest of them. Where a file says none, the letters that its first `software` begins with.
        grade: `class` for a prior of a whole class of chips; empty for software of named chips.
        block_scales_of: Stack whose place this one takes where fp8 weights have a scale per block: the same
            software in other kernels.
        vendors: Vendors whose chips a prior is of; empty for all.
    """

    name: str
    title: str
    architectures: tuple[str, ...] = ()
    time_model: TimeModel = ROOFLINE
    figures: Any = attrs.field(default=attrs.Factory(lambda self: self.time_model.figures(), takes_self=True))
    host: Host = attrs.field(factory=Host)
    scheduler: Scheduler | None = None
    overlap_across: Across = attrs.field(factory=Across)
    tuning: Mapping[str, Mapping[str, object]] = attrs.field(factory=dict)
    energy: Mapping[str, Times] = attrs.field(factory=dict)
    kernel_energy: Mapping[str, PerKernel] = attrs.field(factory=dict)
    power: Mapping[str, Mapping[str, object]] = attrs.field(factory=dict)
    energy_fit: Fit = attrs.field(factory=Fit)
    domain: Domain = attrs.field(factory=Domain)
    fit: Fit = attrs.field(factory=Fit)
    based_on: str = ""
    software: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    family: str = ""
    grade: str = ""
    block_scales_of: str = ""
    vendors: tuple[str, ...] = ()
    facts: Mapping[str, Fact] = attrs.field(factory=dict)
    note: str = ""
    origin: str = ""
    _cache: dict[object, list[Any]] = attrs.field(factory=dict, init=False, repr=False)

    @cached_property
    def ideal(self) -> bool:
        """Efficiency 1, full overlap, no launch, no host: hardware against hardware."""
        bare = (self.host, self.overlap_across) == (Host(), Across()) and not self.tuning
        return bare and self.time_model.neutral(self.figures)

    @property
    def schedules(self) -> bool:
        """Whether it says how its engine takes requests."""
        return self.scheduler is not None

    @cached_property
    def tables(self) -> dict[str, tuple[PerKernel, ByKernel]]:
        """Tables by kind of kernel that have entries, by path (`launch`, `efficiency.memory`)."""
        return self.time_model.tables(self.figures)

    @cached_property
    def lasting(self) -> list[PerKernel]:
        """Those tables of which an entry alone says how long a kernel takes."""
        return [table for table, mark in self.tables.values() if mark.lasting]

    @cached_property
    def unfitted(self) -> Unfitted:
        """How far kernels are off that it has no figure of."""
        return self.time_model.unfitted(self.figures)

    def time(self, cost: Cost, op: Op, formats: tuple[str, ...] = ()) -> Numeric:
        """Turn a cost into seconds by the time model, never fewer than the cost alone takes.

        Args:
            cost: Of one execution.
            op: What was costed; its kind, precision and size select the figures.
            formats: Compute format per precision, where it differs from the precision's own.

        Returns:
            Seconds, broadcastable to the grid.
        """
        if self.ideal:
            return exposed(maximum_of(list(cost.busy.values())), cost)
        found = variants(op)
        seconds = self._time(cost, op, found[0][0], formats)
        for names, mask in found[1:]:
            seconds = np.where(mask, self._time(cost, op, names, formats), seconds)
        return seconds

    def _time(self, cost: Cost, op: Op, names: tuple[str, ...], formats: tuple[str, ...]) -> Numeric:
        return self.time_model.time(cost, self.figures, Lookup(op, names, formats, self._cache))

    def kernel_error(self, op: Op, formats: tuple[str, ...] = ()) -> Numeric:
        """Log standard error of one kernel's time: its own and what it shares, in quadrature; 0 where none
        was fitted.
        """
        shared = self.shared_error(op, formats)
        own = self.own_error(op, formats)
        return own if not np.any(shared) else np.hypot(own, shared)

    def row_error(self, op: Op, formats: tuple[str, ...] = ()) -> Numeric:
        """Log standard error of one operator's time: its kernel's, under a prior that of a whole step; NaN
        where none is known.
        """
        error = np.asarray(self.fit.step if self.grade else self.kernel_error(op, formats), dtype=np.float64)
        return np.where(error > 0, error, np.nan)

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

        What the time model says of kernels without a figure, whose time is the roofline's, and of software
        that takes another kernel. 0 under a stack that was not fitted, and under a prior, which was fitted
        on whole steps of all kernels.
        """
        if not self.fit.rows or self.grade:
            return 0.0
        error, runs_another, known = self.unfitted, self.other_kernel(op), self.knows(op, formats)
        if not np.any(runs_another) and np.all(known):
            return 0.0
        other = np.where(runs_another, error.other, 0.0)
        each = np.where(np.asarray(op.useful) > 0, error.kernel, error.movement)
        shared: Array = np.maximum(other, np.where(known, 0.0, each))
        return shared

    def other_kernel(self, op: Op) -> Mask:
        """Where software runs another kernel than the one that was fitted."""
        return self.time_model.other_kernel(op, self.figures)[0]

    def knows(self, op: Op, formats: tuple[str, ...] = ()) -> Mask:
        """Whether there is a figure of a kernel; True under stacks that were fitted on whole steps, or not at
        all, or whose figures have no kinds (`tuning`, single figures of a time model).
        """
        if not self.fit.rows or not math.isnan(self.fit.step) or not self.lasting:
            return np.asarray(True)
        return np.asarray(self._figure("known", self._known, op, formats, 0.0)) > 0

    @cached_property
    def _known(self) -> PerKernel:
        """Kinds of kernels that there is a figure of."""
        return {key: 1.0 for table in self.lasting for key in table}

    def covers(self, op: Op, formats: tuple[str, ...] = ()) -> Mask:
        """Whether an operator lies in the box of its kind, has a figure, and runs in the kernel that was
        fitted.
        """
        inside = np.asarray(self.domain.holds(op))
        if not self.fit.rows or self.grade:
            return inside
        return inside & self.knows(op, formats) & ~self.other_kernel(op)

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

    def _figure(
        self, label: str, table: PerKernel, op: Op, formats: tuple[str, ...], default: float
    ) -> Numeric:
        """An entry of a table for each point's variant of the operator."""
        found = variants(op)
        value = Lookup(op, found[0][0], formats, self._cache).find(label, table, default)
        for names, mask in found[1:]:
            value = np.where(mask, Lookup(op, names, formats, self._cache).find(label, table, default), value)
        return value


IDEAL = Stack(
    name="ideal", title="Ideal software: efficiency 1, full overlap, no launch, no host", origin="inferbench"
)


@frozen(kw_only=True)
class StackFile:
    """The layout of a stack's TOML; `[time]` has the keys of the time model that it names.

    Attributes:
        time: `model`, the name of a time model, and that model's figures. Without a model it is that of
            `based_on`.
        kernels: Stack whose figures take the place of those of `based_on`; all else, and what was fitted, is
            that one's.
        collectives: Stacks whose figures of collectives it takes, each those that it and the ones before
            have none of.
        beside: Stacks of the same library whose figures of other kernels it takes, likewise.
    """

    title: str
    note: str = ""
    source: str = ""
    sources: Mapping[str, Source] = attrs.field(factory=dict)
    based_on: str = ""
    kernels: str = ""
    block_scales_of: str = ""
    collectives: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    software: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    family: str = ""
    grade: str = ""
    vendors: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    time: Mapping[str, object] = attrs.field(factory=dict)
    host: Host = attrs.field(factory=Host)
    scheduler: Scheduler | None = None
    overlap_across: Across = attrs.field(factory=Across)
    tuning: Mapping[str, Mapping[str, object]] = attrs.field(factory=dict)
    energy: Mapping[str, Times] = attrs.field(factory=dict)
    kernel_energy: Mapping[str, EnergyByKernel] = attrs.field(factory=dict)
    power: Mapping[str, Mapping[str, object]] = attrs.field(factory=dict)
    energy_fit: Fit = attrs.field(factory=Fit)
    domain: Domain = attrs.field(factory=Domain)
    fit: Fit = attrs.field(factory=Fit)
