"""`Run`: arrays over the grid, with what they rest on; `Metric`: a figure of merit computed from one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, Literal, Protocol, overload

import attrs
import numpy as np

from inferbench.errors import InferBenchError, blamed_on, suggest
from inferbench.num import Array, Indices, Mask, Numeric
from inferbench.records.choice import BOUND, CALIBRATED, CLASS, GRADES, TRANSFERRED, Choice
from inferbench.records.energy import Energy
from inferbench.records.grid import Grid, span
from inferbench.records.immutable import frozen
from inferbench.records.network import Network
from inferbench.records.op_row import OpRow
from inferbench.records.placement import Footprint, Reason
from inferbench.records.reserve import Reserve, bytes_per_chip
from inferbench.records.roles import SCREENS, Chain, Role
from inferbench.records.scenario import HourlyCost, Scenario
from inferbench.records.stack import Stack
from inferbench.records.system import Layout, System
from inferbench.records.typed import typed

__all__ = ["Metric", "OpRow", "Run", "View"]


@frozen(eq=False, kw_only=True, repr=False)
class Run:
    """One workload on one system under one stack, at every point of a grid.

    Arrays are float64 and broadcast to `grid.shape`; use `values` to get them in the order the user gave.

    Attributes:
        choice: The software, and why this one.
        seconds: One step under the stack (a token step, a prefill, an image), throttled.
        model: The same under the ideal stack, operators one after the other (`t_sequential`): what
            `hardware` is measured by.
        bound_seconds: What no schedule beats (`t_bound`), with operators overlapping as they like: the
            longest engine's total busy time, or the chain of latencies; at most `model`. Of the layout
            given, or the least of all layouts that fit where it was searched. Not `bound`, which names
            the busiest engine.
        roofline: The ideal roofline, all chips perfectly shared.
        silicon: The architecture on perfectly shared chips: `model` without empty stages and collectives.
        useful: Useful operations of the step.
        peak: Dense operations per second of all chips at the compute format.
        compulsory: Bytes the roofline counts.
        items: Tokens, images, … that a step yields, all sequences together.
        batch: Sequences in flight.
        busy: Engine to seconds per step that it works; engines overlap.
        causes: What the step's seconds go to: an engine has the time of the operators that it bounds, beside
            `launch`, `host` and `power limit`; together they are `seconds`. Empty under ideal software.
        energy: What the power model said.
        log_error: Log standard error of `seconds`; NaN under a stack that was not fitted.
        power_log_error, energy_log_error: The same of mean power and of joules, errors of the time in them.
        feasible: Boolean mask.
        needed, away: Bytes that the fullest chip must hold; those of them beyond the first level of memory.
        footprint: The same by what it is: weights, cache (state), activations.
        reasons: Why not.
        reserve: What the engine keeps for itself.
        strange: Operators that leave the box of their kind at some point, and by how much.
        options: Workload options that differ from their defaults (speculation, chunking, parts left out).
        layouts: Candidate layouts; `layout` indexes them point by point.
        view: What metrics, tables and documents are read through; `inferbench.run` gives it.

    Example:
        >>> import inferbench as ib
        >>> run = ib.run("b200", "llama3-8b/decode", batch=[1, 8])
        >>> run["tpot_s"].shape, run.best("tokens_per_s_per_chip")["batch"]
        ((2, 1, 1), 8.0)
    """

    system: System
    network: Network
    workload: str
    phase: str
    latency: str
    item: str
    choice: Choice
    scenario: Scenario | None
    grid: Grid
    seconds: Array
    model: Array
    bound_seconds: Array
    roofline: Array
    silicon: Array
    useful: Array
    peak: Array
    ridge: Array
    compulsory: Array
    items: Array
    batch: Array
    busy: Mapping[str, Array]
    energy: Energy
    feasible: Mask
    needed: Array
    away: Array
    footprint: Footprint
    reasons: tuple[Reason, ...]
    layouts: tuple[Layout, ...]
    layout: Indices
    formats: tuple[str, ...]
    log_error: Numeric = np.nan
    power_log_error: Numeric = np.nan
    energy_log_error: Numeric = np.nan
    reserve: Reserve = attrs.field(factory=Reserve)
    options: Mapping[str, Any] = attrs.field(factory=dict)
    notes: Mapping[str, str] = attrs.field(factory=dict)
    flags: Mapping[str, Mask] = attrs.field(factory=dict)
    strange: tuple[str, ...] = ()
    causes: Mapping[str, Array] = attrs.field(factory=dict)
    ops: tuple[OpRow, ...] = ()
    provenance: Mapping[str, Any] = attrs.field(factory=dict)
    chain: Mapping[str, Any] = attrs.field(factory=dict)
    view: View | None = None

    def metrics(self) -> dict[str, Metric]:
        """Return the metrics that this run can have, by name, in display order; refused without a view."""
        return {metric.name: metric for metric in self._view().metrics() if metric.applies(self)}

    @typed
    def __getitem__(self, name: str) -> Array:
        """Return a metric over the whole grid: axes in the order given, precision last, SI units.

        It is NaN where the point is infeasible and where the metric can't be known.

        Raises:
            InferBenchError: The run has no metric of that name.
        """
        metric = self._metric(name)
        with redirect_stdout(sys.stderr):  # standard output is the caller's, whatever a plugin prints
            values = np.asarray(self.values(metric.of(self)), dtype=np.float64)
        return np.where(self.values(self.feasible), values, np.nan)

    @typed
    def interval(self, name: str) -> tuple[Array, Array]:
        """Return the ends of a metric's 90% interval, each like `run[name]`; NaN under an unfitted stack.

        Raises:
            InferBenchError: The run has no metric of that name, or the metric has no interval.
        """
        metric, values = self._metric(name), self[name]
        if metric.interval is None:
            having = [one.name for one in self.metrics().values() if one.interval]
            found = f"the metric '{name}' has no interval"
            raise InferBenchError.of_argument("name", found, f"those that have one are {', '.join(having)}")
        low, high = self._view().factors(self, metric)
        return values * low, values * high

    @typed
    def best(self, name: str) -> dict[str, float | str] | None:
        """Return the feasible point at which a metric is best: its axes, the layout, and the value.

        None where no point fits, or the metric is known nowhere.

        Raises:
            InferBenchError: The run has no metric of that name; neither direction of it is better.
        """
        better = self._metric(name).better
        if better == "none":
            having = [one.name for one in self.metrics().values() if one.better != "none"]
            found = f"neither more nor less of '{name}' is better"
            raise InferBenchError.of_argument("name", found, f"take one of {', '.join(having)}")
        values = self[name]
        if not np.isfinite(values).any():
            return None
        known = np.where(np.isfinite(values), values, np.nan)
        place = np.nanargmax(known) if better == "higher" else np.nanargmin(known)
        at, index = next(point for i, point in enumerate(self.points()) if i == place)
        layout = self.layouts[int(self.values(self.layout)[index])]
        return {**at, "layout": str(layout), name: float(values[index])}

    def to_dict(self) -> dict[str, Any]:
        """Return the run as plain data: what `inferbench run --format json` writes."""
        return self._view().to_dict(self)

    @typed
    def to_frame(self, library: str | None = None) -> Any:
        """Return a data frame with a row per point.

        Args:
            library: `pandas` or `polars`; by default the one that is installed, pandas first.

        Raises:
            InferBenchError: The library is not installed.
        """
        return self._view().to_frame(self, library)

    @typed
    def plot(self, name: str = "") -> Any:
        """Return a picture of the run, as every answer does."""
        return self._view().plot(self, name)

    def _repr_html_(self) -> str | None:
        return self.view.html(self) if self.view else None

    def __repr__(self) -> str:
        fit = int(np.sum(np.broadcast_to(np.asarray(self.feasible), self.grid.shape)))
        axes = ", ".join(f"{name} {span(values)}" for name, values in self.grid.axes.items())
        return (
            f"<Run {self.system} {self.network.name}/{self.phase}: {axes}; {', '.join(self.grid.precisions)};"
            f" stack {self.stack.name}; {fit} of {self.grid.size} points fit>"
        )

    def _view(self) -> View:
        if self.view is None:
            raise InferBenchError.at("run", "it was made inside the model", "make it with inferbench.run")
        return self.view

    def _metric(self, name: str) -> Metric:
        known = self.metrics()
        if name not in known:
            remedy = suggest(name, known) or f"its metrics are {', '.join(known)}"
            raise InferBenchError.of_argument("name", f"a run of {self.phase} has no metric '{name}'", remedy)
        return known[name]

    @property
    def stack(self) -> Stack:
        """The software."""
        return self.choice.stack

    @property
    def grade_code(self) -> Array:
        """What each point rests on, as a place in `GRADES`, 0 the best; broadcastable to `grid.shape`.

        Outside its box a stack of this chip is `transferred`; of unknown capacity a prior leaves a bound.
        """
        best = GRADES.index(self.choice.grade)
        flag, less = ("capacity-unknown", BOUND) if best == CLASS else ("extrapolated", TRANSFERRED)
        changed = np.asarray(self.flags.get(flag, False)) & (best in (CALIBRATED, CLASS))
        return np.where(changed, less, best)

    @property
    def grade(self) -> Array:
        """The grade of each point, as a place in `GRADES`, over the full grid like `values`."""
        return np.asarray(self.values(self.grade_code))

    @overload
    def values(self, array: Mask) -> Mask: ...

    @overload
    def values(self, array: Indices) -> Indices: ...

    @overload
    def values(self, array: Numeric) -> Array: ...

    def values(self, array: Numeric | Mask | Indices) -> Array | Mask | Indices:
        """Broadcast an array to the full grid, axes in the order the user gave, precision last."""
        return self.grid.full(array)

    @property
    def memory(self) -> dict[str, Numeric]:
        """Bytes per chip, as `bytes_per_chip` counts them."""
        return bytes_per_chip(self.footprint, self.needed, self.reserve, self.system.chip)

    @property
    def wall_watts(self) -> Numeric:
        """Watts at the wall of all chips with their servers; NaN where power, or the server, is not known."""
        return self.system.wall(self.energy.watts, self.energy.limit)

    @property
    def cost(self) -> HourlyCost:
        """US dollars per hour on every term; without a scenario the listed rates alone."""
        return HourlyCost.under(self.scenario, self.system, self.energy.watts, self.energy.limit)

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
    def binding(self) -> Mapping[str, Array]:
        """Seconds by what they go to; under ideal software by engine."""
        return self.causes or self.busy

    @property
    def bound(self) -> Any:
        """Name of the engine that bounds most of the time, or `launch`, `host`, `power limit`, per point
        (object array); empty where a time is not known.
        """
        names, parts = list(self.binding), self.binding.values()
        stacked = np.stack(
            [np.broadcast_to(np.asarray(one, dtype=np.float64), self.grid.shape) for one in parts]
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


# Whose error a metric has.
Whose = Literal[
    "time", "power", "energy", "rate", "per_energy", "wall_power", "wall_energy", "per_wall_energy"
]


@frozen(eq=False)
class Metric:
    """A figure of merit computed from a finished run.

    .. versionadded:: 0.1

    Attributes:
        name: Key in JSON, the unit in it: `joules_per_token`.
        title: Row label: `energy per token`.
        unit: SI symbol for screens (`J`, `OP/s`, `USD`), empty for plain numbers.
        better: Which direction is better, or `none`.
        compute: Run to array; NaN where it can't be known.
        why: Run to the reason where it is NaN everywhere; empty if it is known.
        applies: Whether a run can have it at all: a prefill has no time per output token.
        order: Place among the rows; 200 and above only with `-v`.
        shown_in: Screens of `SCREENS` that show it without `-v`. JSON and CSV have all metrics.
        kind: `number`, `fraction` (shown in per cent) or `text`.
        interval: Whose error it has under a fitted stack: the step's time, its power or its energy, at the
            chips or at the wall; `rate` is per time, `per_energy` per energy. Such a metric is followed by
            `<name>_low` and `<name>_high` in JSON.
        spec_range: Run to low and high factor of ranges in specs (a price), beside the interval; or None.
        role: What scores over a space take it for, of `ROLES`.
        chain: Which chain of formulas `run --explain` prints for it; None: none.
    """

    name: str
    title: str
    unit: str
    better: Literal["higher", "lower", "none"]
    compute: Callable[[Run], Numeric]
    why: Callable[[Run], str] = lambda run: ""
    applies: Callable[[Run], bool] = lambda run: True
    order: int = 1000
    shown_in: frozenset[str] = SCREENS
    kind: Literal["number", "fraction", "text"] = "number"
    interval: Whose | None = None
    spec_range: Callable[[Run], tuple[Any, Any]] | None = None
    role: Role | None = None
    chain: Chain | None = None

    def shows(self, screen: str, verbose: bool = False) -> bool:
        """Whether a screen shows it, without `-v` or with it."""
        return verbose or (self.order < 200 and screen in self.shown_in)

    def of(self, run: Run) -> Numeric:
        """Compute it; a failure is blamed on the metric, and is NaN for a run that it does not apply to."""
        with blamed_on(f"{self.compute.__module__}: metric {self.name}"):
            try:
                return self.compute(run)
            except Exception:
                if self.applies(run):
                    raise
                return np.nan

    def reason(self, run: Run) -> str:
        """Why it is not known, where it isn't."""
        with blamed_on(f"{self.why.__module__}: metric {self.name}"):
            return run.unknown or self.why(run)


class View(Protocol):
    """What a run is read through: it belongs to the installed plugins, which a record doesn't know."""

    def metrics(self) -> Sequence[Metric]:
        """All metrics in display order."""

    def factors(self, run: Run, metric: Metric) -> tuple[Array, Array]:
        """Factors from a metric to the ends of its 90% interval."""

    def to_dict(self, run: Run) -> dict[str, Any]:
        """The run as plain data."""

    def to_frame(self, run: Run, library: str | None) -> Any:
        """The run as a data frame."""

    def plot(self, run: Run, name: str) -> Any:
        """A picture of the run."""

    def html(self, run: Run) -> str:
        """The run as a table of a notebook."""
