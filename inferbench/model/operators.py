"""One operator at a time: what a chip architect asks first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from inferbench.discovery.paired import architecture_of
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, blamed_on
from inferbench.model.causes import LAUNCH, idle_seconds
from inferbench.model.exchange import cost_at
from inferbench.model.intervals import ISOLATED, ends, energy_log_errors, longest
from inferbench.num import Array
from inferbench.records.chip import Chip
from inferbench.records.cost import Cost
from inferbench.records.energy import ActivityCounts, Energy
from inferbench.records.grid import Grid
from inferbench.records.kinds import op_kind
from inferbench.records.op import Collective, Op
from inferbench.records.placement import Footprint, Graph, Site
from inferbench.records.precision import Precision
from inferbench.records.stack import Stack
from inferbench.records.system import Layout, System
from inferbench.specs.options import power_under, structured_tuning

__all__ = ["OpResult", "between", "cost_rows"]

_IDEAL = Stack(name="ideal", title="ideal")


@attrs.frozen(eq=False)
class OpResult:
    """Rows of operators costed on one chip; arrays of shape (rows,).

    Attributes:
        columns: Field name to values asked for.
        precision: Name of the precision.
        seconds: Under the stack.
        cost: Busy parts, exposed parts, counts, details.
        bound: What most of the time goes to: an engine, or `launch`.
        utilization: Useful operations over the peak times seconds; NaN for what computes nothing.
        energy: Of one execution.
        error: Log standard error of `seconds`; NaN where the stack was not fitted on such operators.
        inside: 1 where a row lies in the box of operators in which the stack was fitted, else 0.
        model: Seconds on ideal software: what the hardware alone takes.
        power_error, energy_error: Log standard error of watts and of joules; NaN where not known.
        limit: Watts at most; NaN where not published.
    """

    columns: Mapping[str, Array]
    precision: str
    seconds: Array
    useful: Array
    moved: Array
    cost: Cost
    bound: Sequence[str]
    utilization: Array
    energy: Energy
    error: Array
    inside: Array
    power_error: Array
    energy_error: Array
    model: Array
    limit: float = math.nan

    def between(self, of: str) -> tuple[Array, Array]:
        """Factors between which nine in ten measured figures lie; NaN where not known.

        Args:
            of: `time`, `power` or `energy`.
        """
        return between(self, of, self.limit)

    @property
    def watts(self) -> Array:
        """Mean power."""
        return np.asarray(self.energy.watts)

    @property
    def joules(self) -> Array:
        """Energy."""
        return np.asarray(self.energy.joules)


def cost_rows(
    kind: str,
    columns: Mapping[str, Array],
    precision: str,
    chip: Chip,
    stack: Stack,
    registry: Registry,
    words: Mapping[str, str] | None = None,
) -> OpResult:
    """Cost rows of one operator kind in one vectorised call.

    Args:
        kind: Any kind that the core or a plugin defines: `gemm`, `attention`, `conv2d`.
        columns: Field to float64 array of shape (rows,); missing optional fields take their default.
        precision: Name of a precision.
        chip: The chip.
        stack: Software.
        registry: For plugins.
        words: Text that says more, `{"collective": "all_gather"}`; numbers that the kind calls `same` are the
            same in all rows of a call.

    Raises:
        InferBenchError: Unknown kind or field, a field that must be given, a value below 1.
    """
    named = op_kind(kind)
    full = named.checked(columns)
    rows = len(next(iter(full.values())))
    point = Precision.of([precision], (-1, 1))
    with blamed_on(f"operator kind {kind}"):
        op = named.op({name: values[None, :] for name, values in full.items()}, point, words)
    architecture = architecture_of(chip, registry)
    site = _site(chip, stack, registry, op)
    formats = tuple(site.computes_in(p.compute) for p in point.points)
    cost = cost_at(op, site, architecture, registry.fabric)
    seconds = _rows(stack.time(cost, op, formats), rows)
    error = _rows(stack.row_error(op, formats), rows)
    energy, seconds = _energy(cost, seconds, op, chip, stack, formats, registry)
    of_power, of_energy = energy_log_errors(error, energy, energy.parts.get("idle", np.nan), chip.power.tdp)
    rate = _rows(site.rate(op), rows)
    useful = _rows(op.useful, rows)
    utilization = np.where(useful > 0, useful / (rate * seconds), np.nan)
    flat = _flat(cost, rows)
    launch = np.zeros(rows) if stack.ideal else _rows(idle_seconds(stack, cost, op, formats), rows)
    return OpResult(
        full,
        precision,
        seconds,
        useful,
        _rows(op.bytes.total, rows),
        flat,
        _bounds(flat, launch, seconds),
        utilization,
        energy,
        error,
        np.asarray(_rows(stack.covers(op, formats), rows)),
        np.asarray(of_power),
        np.asarray(of_energy),
        _rows(_IDEAL.time(cost, op), rows),
        limit=chip.power.tdp,
    )


def between(costed: Any, of: str, limit: float) -> tuple[Array, Array]:
    """Factors on the `time`, `power` or `energy` of costed rows between which nine in ten measured ones lie.

    Args:
        costed: With `error`, `power_error`, `energy_error` and `watts`.
        of: Which figure.
        limit: Watts at most; NaN where not published.
    """
    if of == "time":
        return ends(costed.error)
    room = limit / costed.watts
    return (
        ends(costed.power_error, room)
        if of == "power"
        else ends(costed.energy_error, longest(room, costed.error))
    )


def _flat(cost: Cost, rows: int) -> Cost:
    """The cost with every part spread over the rows."""
    groups = ("busy", "exposed", "actions", "detail")
    busy, exposed, actions, detail = (
        {name: _rows(value, rows) for name, value in getattr(cost, group).items()} for group in groups
    )
    return Cost(busy, exposed, actions, detail)


def _site(chip: Chip, stack: Stack, registry: Registry, op: Op) -> Site:
    architecture = architecture_of(chip, registry)
    if stack.architectures and architecture.name not in stack.architectures:
        raise InferBenchError.of_argument(
            "stack",
            f"'{stack.name}' applies to {', '.join(stack.architectures)}; {chip.name} is {architecture.name}",
            "use {give}",
            stack.name,
            stack="ideal",
        )
    resident = op.resident
    needed = Footprint(np.max(resident.weights), np.max(resident.state), 0.0)
    layout = Layout(tp=op.group) if isinstance(op, Collective) else Layout()
    tuning = structured_tuning(architecture, stack)
    return architecture.site(chip, Graph((op,), needed, 1), layout, tuning=tuning)


def _rows(value: Any, rows: int) -> Array:
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (1, rows))[0])


def _energy(
    cost: Cost, seconds: Array, op: Op, chip: Chip, stack: Stack, formats: tuple[str, ...], registry: Registry
) -> tuple[Energy, Array]:
    """Energy of one execution and its seconds within the power limit; a kernel's own energies where the stack
    has them.
    """
    rows = len(seconds)
    model, why = registry.power_model(chip)
    if model is None:
        unknown = np.full(rows, np.nan)
        return Energy(unknown, unknown, np.ones(rows), why), seconds
    model = power_under(model, chip, stack)
    own = chip.name in stack.domain.chips
    energies = stack.kernel_energies(op, formats) if own else {}
    counts = ActivityCounts(cost.actions, seconds[None, :], 1, op.precision, formats, energies=energies)
    energy = model.energy(counts, System(chip, 1))
    log_error = np.hypot(model.log_error(counts, System(chip, 1), energy), ISOLATED)
    if own:
        fitted = stack.power_error(op, formats)
        log_error = np.where(np.isnan(fitted), log_error, fitted)
    watts, joules, throttle, doubt = (
        _rows(value, rows) for value in (energy.watts, energy.joules, energy.throttle, log_error)
    )
    parts = {name: _rows(part, rows) for name, part in energy.parts.items()}
    flat = attrs.evolve(energy, watts=watts, joules=joules, throttle=throttle, log_error=doubt, parts=parts)
    return flat, seconds * throttle


def _bounds(cost: Cost, launch: Array, seconds: Array) -> list[str]:
    """What most of each row's time goes to."""
    names = [*cost.busy, *(f"exposed.{name}" for name in cost.exposed)]
    if not names:
        return [""] * len(seconds)
    stacked = np.stack([*cost.busy.values(), *cost.exposed.values()])
    engines = [names[i] for i in np.argmax(stacked, axis=0)]
    waits = (launch > 0) & (launch > seconds - launch)
    return [LAUNCH if wait else engine for wait, engine in zip(waits, engines, strict=True)]


def product_rows(axes: Mapping[str, Sequence[float] | Array]) -> dict[str, Array]:
    """All combinations of some lists as columns, the last list varying fastest.

    Example:
        >>> product_rows({"m": [1, 8], "n": [64]})["m"].tolist()
        [1.0, 8.0]
    """
    grid = Grid.of(axes, ["bf16"])
    names = list(axes)
    mesh = np.meshgrid(*(grid.axes[name] for name in names), indexing="ij")
    return {name: values.reshape(-1) for name, values in zip(names, mesh, strict=True)}
