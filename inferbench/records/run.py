"""`Run`: arrays over the grid, with what they rest on; `Metric`: a figure of merit computed from one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import attrs
import numpy as np

from inferbench.errors import blamed_on
from inferbench.records.energy import Energy
from inferbench.records.grid import Grid
from inferbench.records.network import Network
from inferbench.records.placement import Reason
from inferbench.records.scenario import Scenario
from inferbench.records.stack import Stack
from inferbench.records.system import Layout, System

__all__ = ["Metric", "OpRow", "Run"]


@attrs.frozen(eq=False)
class OpRow:
    """One operator of the breakdown: arrays over the grid, all of its executions together.

    Attributes:
        seconds: Under the stack.
        model: Under the ideal stack.
        useful: Operations of the whole system.
        moved: Bytes of the whole system.
        busy: Engine to seconds.
    """

    name: str
    kind: str
    repeat: Any
    useful: Any
    moved: Any
    busy: Mapping[str, Any]
    exposed: Mapping[str, Any]
    model: Any
    seconds: Any


@attrs.frozen(eq=False, kw_only=True)
class Run:
    """One workload on one system under one stack, at every point of a grid.

    Arrays are float64 and broadcast to `grid.shape`; use `values` to get them in the order the user gave.

    Attributes:
        seconds: One step under the stack (a token step, a prefill, an image), throttled.
        model: The same under the ideal stack: pure hardware.
        roofline: The ideal roofline, all chips perfectly shared.
        silicon: The architecture on perfectly shared chips: `model` without empty stages and collectives.
        useful: Useful operations of the step.
        peak: Dense operations per second of all chips at the compute format.
        compulsory: Bytes the roofline counts.
        items: Tokens, images, … that a step yields, all sequences together.
        batch: Sequences in flight.
        busy: Engine to seconds per step, for `bound`.
        energy: What the power model said.
        log_error: Log standard error of `seconds`; NaN under a stack that was not fitted.
        power_log_error, energy_log_error: The same of mean power and of joules, errors of the time in them.
        feasible: Boolean mask.
        reasons: Why not.
        options: Workload options that differ from their defaults (speculation, chunking, parts left out).
        layouts: Candidate layouts; `layout` indexes them point by point.
    """

    system: System
    network: Network
    workload: str
    phase: str
    latency: str
    item: str
    stack: Stack
    scenario: Scenario | None
    grid: Grid
    seconds: Any
    model: Any
    roofline: Any
    silicon: Any
    useful: Any
    peak: Any
    ridge: Any
    compulsory: Any
    items: Any
    batch: Any
    busy: Mapping[str, Any]
    energy: Energy
    feasible: Any
    held: Any
    reasons: tuple[Reason, ...]
    layouts: tuple[Layout, ...]
    layout: Any
    formats: tuple[str, ...]
    log_error: Any = np.nan
    power_log_error: Any = np.nan
    energy_log_error: Any = np.nan
    options: Mapping[str, Any] = attrs.field(factory=dict)
    notes: Mapping[str, str] = attrs.field(factory=dict)
    flags: Mapping[str, Any] = attrs.field(factory=dict)
    ops: tuple[OpRow, ...] = ()
    provenance: Mapping[str, Any] = attrs.field(factory=dict)
    chain: Mapping[str, Any] = attrs.field(factory=dict)

    def values(self, array: Any) -> Any:
        """Broadcast an array to the full grid, axes in the order the user gave, precision last."""
        return self.grid.full(array)

    @property
    def unknown(self) -> str:
        """Why times are not known at some point: the facts that the spec lacks; empty if all are known."""
        if not np.any(np.isnan(np.asarray(self.seconds, dtype=np.float64)) & np.asarray(self.feasible)):
            return ""
        chip = self.system.chip
        homes = set(self.chain["placement"].homes.values()) if self.chain else set(chip.memory)
        links = chip.interconnect if self.system.count > 1 else ()
        paths = [f"memory.{name}.bandwidth" for name in chip.memory if name in homes]
        paths += [f"interconnect.{name}.bandwidth" for name in links]
        lacking = [f"{path} ({chip.missing(path)})" for path in paths if chip.missing(path)]
        return f"{chip.title} lacks {', '.join(lacking) or 'a figure that its cost needs'}"

    @property
    def bound(self) -> Any:
        """Name of the engine with the longest busy time, per point (object array); empty where a time is not
        known.
        """
        names = list(self.busy)
        stacked = np.stack(
            [
                np.broadcast_to(np.asarray(self.busy[name], dtype=np.float64), self.grid.shape)
                for name in names
            ]
        )
        bound = np.array(names, dtype=object)[np.argmax(stacked, axis=0)]
        unknown = np.broadcast_to(np.isnan(np.asarray(self.seconds, dtype=np.float64)), self.grid.shape)
        return np.where(unknown, "", bound) if unknown.any() else bound

    def points(self) -> Iterator[tuple[dict[str, Any], tuple[int, ...]]]:
        """Yield coordinates (with the precision's name) and the index into `values(...)`."""
        names = (*self.grid.axes, "precision")
        for index in np.ndindex(*self.values(0.0).shape):
            at: dict[str, Any] = {
                name: float(self.grid.axes[name][i]) for name, i in zip(names[:-1], index, strict=False)
            }
            at["precision"] = self.grid.precisions[index[-1]]
            for name, solved in self.grid.solved.items():
                at[name] = float(self.values(solved)[index])
            yield at, index


@attrs.frozen(eq=False)
class Metric:
    """A figure of merit computed from a finished run.

    Attributes:
        name: Key in JSON, the unit in it: `joules_per_token`.
        title: Row label: `energy per token`.
        unit: SI symbol for screens (`J`, `OP/s`, `USD`), empty for plain numbers.
        better: Which direction is better, or `none`.
        compute: Run to array; NaN where it can't be known.
        why: Run to the reason where it is NaN everywhere; empty if it is known.
        applies: Whether a run can have it at all: a prefill has no time per output token.
        order: Place among the rows; 200 and above only with `-v`.
        kind: `number`, `fraction` (shown in per cent) or `text`.
    """

    name: str
    title: str
    unit: str
    better: Literal["higher", "lower", "none"]
    compute: Callable[[Run], Any]
    why: Callable[[Run], str] = lambda run: ""
    applies: Callable[[Run], bool] = lambda run: True
    order: int = 1000
    kind: Literal["number", "fraction", "text"] = "number"

    def of(self, run: Run) -> Any:
        """Compute it; a failure is blamed on the metric."""
        with blamed_on(f"{self.compute.__module__}: metric {self.name}"):
            return self.compute(run)

    def reason(self, run: Run) -> str:
        """Why it is not known, where it isn't."""
        with blamed_on(f"{self.why.__module__}: metric {self.name}"):
            return run.unknown or self.why(run)
