"""Measurements against predictions: every row is scored, or says why not.

The rules that keep a row out stand in `RULES`; none of them looks at how well a prediction does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from inferbench.calibration.layers import Layers, layer_rows
from inferbench.case import Case, prepare
from inferbench.errors import InferBenchError
from inferbench.evaluate import evaluate
from inferbench.grid import Grid
from inferbench.intervals import bounds
from inferbench.operators import FIELDS, OpResult, between, cost_rows
from inferbench.records.measurement import Measurement
from inferbench.registry import Registry
from inferbench.resolve import Situation, Target, situate, targets

__all__ = ["RULES", "Row", "validate"]

# Code -> rule. The first two are about names, the rest about what a figure means.
RULES: Mapping[str, str] = {
    "name": "a chip, network, precision or layout that no alias resolves",
    "no-stack": "no stack is fitted for this software",
    "incomplete": "the row doesn't say what is needed to compute it (a context, a shape)",
    "not-modelled": "no installed model computes this phase or operator",
    "infeasible": "the model says that it doesn't fit, so it ran in parts or elsewhere",
    "not-comparable": "waiting in a queue, speculative decoding, quantised caches or part of a pipeline: another quantity",
    "launch-bound": "an operator measured below 10 us: launching it takes as long",
    "host-bound": "under a stack without host time, less than 5 us of chip time per kernel",
    "beats-floor": "faster than operations at peak and compulsory bytes at full bandwidth allow",
    "no-power": "no power model serves the chip",
    "boundary": "power or energy counted at another boundary than the model's, with no figure that converts one to the other",
}
# What a figure shares its interval with; every other one is a time.
KINDS: Mapping[str, str] = {"power_w": "power", "energy_j": "energy"}
LAUNCH_BOUND = 10e-6
HOST_BOUND = 5e-6
SCREENED = ("launch-bound", "host-bound", "beats-floor", "infeasible")

# What would turn the first boundary's figure into the board's; a scenario's overheads are assumptions, not this machine's.
CONVERTS: Mapping[str, str] = {
    "chip": "the board's memory and regulators beside the chip",
    "board": "the share of the chip in its board's power",
    "server": "the power of host, fans and network beside the boards",
    "wall": "the losses of the power supplies, and the power of host and fans",
    "facility": "the facility's PUE, the losses of the power supplies, and the power of host and fans",
}

Progress = Callable[[int, int], None]


@attrs.frozen(kw_only=True)
class Row:
    """One figure of a measurement beside its prediction; SI units, NaN where unknown.

    Attributes:
        set: Measurement set or file.
        source: Citation with the row's place.
        metric: `latency_s`, `ttft_s`, `tpot_s`, `power_w` or `energy_j`.
        software: As the source writes it; `stack` is what scores it.
        low, high: Between which nine in ten were expected.
        inside: Whether the point lies in the box in which the stack was fitted.
        fitted: Whether the stack was fitted on this row; None where that can't be known.
        trivial: What predictors without a model say: `bandwidth` (weights over bandwidth), `tdp`.
        code, why: Why the row is not scored; empty if it is. A prediction may stand all the same.
    """

    set: str
    source: str
    chip: str
    chips: int
    software: str
    stack: str
    network: str
    phase: str
    op: str
    metric: str
    precision: str
    axes: Mapping[str, float]
    measured: float
    predicted: float = math.nan
    low: float = math.nan
    high: float = math.nan
    inside: bool = False
    fitted: bool | None = False
    trivial: Mapping[str, float] = attrs.field(factory=dict)
    code: str = ""
    why: str = ""

    @property
    def scored(self) -> bool:
        """Whether it counts."""
        return not self.code

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted / self.measured - 1.0

    @property
    def covered(self) -> bool:
        """Whether the measurement lies in the interval."""
        return self.low <= self.measured <= self.high


def validate(
    sets: Mapping[str, Sequence[Measurement]], registry: Registry, stack: str = "", progress: Progress | None = None,
    digests: Mapping[str, str] | None = None,
) -> list[Row]:  # fmt: skip
    """Predict every figure of some measurement sets.

    Args:
        sets: Name to measurements.
        registry: Of plugins.
        stack: Scores all rows; empty: the stack fitted for each row's chip and software.
        progress: Called with (done, all).
        digests: SHA-256 (hexadecimal) of the sets that are files: by it a stack knows the table it was fitted on.

    Returns:
        A row per figure, in order of the sets. None is dropped.

    Example:
        >>> rows = validate({"mine": [Measurement(source="a table", chip="H100", tpot_s=0.007)]}, ib.installed())
        ... # doctest: +SKIP
    """
    work = [(name, m) for name, rows in sets.items() for m in rows]
    found: dict[int, list[Row]] = {}
    groups: dict[Any, list[tuple[int, str, Measurement, Situation]]] = {}
    for i, (name, m) in enumerate(work):
        situation = situate(m, registry, stack)
        if isinstance(situation, Situation):
            groups.setdefault(situation.key, []).append((i, name, m, situation))
        else:
            code, why = situation
            unknown = None if name in (digests or {}) else m.fitted
            found[i] = [
                attrs.evolve(_bare(name, m, target, code, why), fitted=unknown) for target in targets(m)
            ]
    done = len(found)
    for group in groups.values():
        known = {i: _seen(m, s, (digests or {}).get(name, "")) for i, name, m, s in group}
        for i, rows in _group(group, registry):
            found[i] = [attrs.evolve(row, fitted=known[i] if _could(row) else row.fitted) for row in rows]
        done += len(group)
        if progress:
            progress(done, len(work))
    return [row for i in range(len(work)) for row in found[i]]


def _seen(m: Measurement, s: Situation, digest: str) -> bool | None:
    """Whether the row is of a table that the stack was fitted on; None for a file that it doesn't cite.

    A file that a stack doesn't cite may still hold some of the cited rows, written anew. Rows of another chip, software,
    precision or number of chips than the stack's were never among those fitted.
    """
    domain, counts = s.stack.domain, s.stack.domain.counts or (1, m.chips)
    if not digest or not s.stack.fit.rows or m.fitted:
        return m.fitted
    by = s.stack.software
    named = not by or any(m.software.lower().startswith(one.lower()) for one in by)
    alike = s.op == "collective" or not domain.precisions or s.precision in domain.precisions
    counted = bool(s.op) or counts[0] <= m.chips <= counts[-1]
    if s.system.chip.name not in domain.chips or not (named and alike and counted):
        return False
    cited = re.findall(r"sha256[: ]([0-9a-f]{8,64})", s.stack.fit.on)
    return True if any(digest.startswith(one) for one in cited) else None


def _could(row: Row) -> bool:
    """Whether a fit can have used a row: kernels are fitted on times that pass the rules, and their box is of these rows."""
    passes = row.scored or row.op == "collective"
    return not row.op or (row.metric == "latency_s" and row.inside and passes)


def _bare(name: str, m: Measurement, target: Target, code: str, why: str) -> Row:
    return Row(
        set=name, source=m.source, chip=m.chip, chips=m.chips, software=m.software, stack="", network=m.network, phase=target.phase,
        op=m.op, metric=target.metric, precision=m.precision, axes=target.axes, measured=target.measured, fitted=m.fitted,
        code=code, why=why,
    )  # fmt: skip


def _group(
    group: Sequence[tuple[int, str, Measurement, Situation]], registry: Registry
) -> Iterator[tuple[int, list[Row]]]:
    """Predict measurements of one chip, stack, network, phase and precision."""
    if group[0][3].op:
        yield from _operators(group, registry)
        return
    seen: dict[Any, _Predicted | InferBenchError] = {}
    for i, name, m, situation in group:
        rows = []
        for target in targets(m):
            key = (target.phase, *sorted(target.axes.items()))
            if key not in seen:
                seen[key] = _predict(situation, target, registry)
            rows.append(_row(name, m, situation, target, seen[key]))
        yield i, rows


@attrs.frozen(eq=False)
class _Predicted:
    """What the model says of one point."""

    seconds: float
    factors: Mapping[str, tuple[float, float]]
    inside: bool
    watts: float
    joules: float
    why_power: str
    floor: float
    reason: str
    weights: float
    tdp: float
    per_kernel: float
    hosted: bool
    boundary: str


def _predict(s: Situation, target: Target, registry: Registry) -> _Predicted | InferBenchError:
    try:
        assert s.network is not None
        case = prepare(s.system, s.network, target.phase, stack=s.stack, registry=registry, options=s.options)
        axes = {**case.workload.defaults(s.network, target.phase), **target.axes}
        unknown = [name for name in target.axes if name not in case.phase.axes]
        if unknown:
            raise InferBenchError.at(target.phase, f"the model has no axis '{unknown[0]}'")
        run = evaluate(case, Grid.of({name: [value] for name, value in axes.items()}, [s.precision]))
    except InferBenchError as error:
        return error
    one = _first(run.values)
    factors = {
        of: (one(low), one(high)) for of in ("time", *KINDS.values()) for low, high in [bounds(run, of)]
    }
    flags = {name: bool(one(mask)) for name, mask in run.flags.items()}
    reasons = [r for r in run.reasons if bool(one(r.where))]
    weights, kernels = _streamed(case, run.grid)
    power = run.energy
    return _Predicted(
        seconds=one(run.seconds), factors=factors,
        inside=bool(s.stack.fit.rows) and not flags.get("extrapolated", True),
        watts=one(power.watts), joules=one(power.joules), why_power=power.why, floor=one(run.roofline),
        reason=reasons[0].code if reasons else "", weights=weights, tdp=s.system.chip.power.tdp * s.system.count,
        per_kernel=one(run.seconds) / kernels, hosted=s.stack.host.step > 0 or s.stack.host.kernel > 0,
        boundary=power.boundary,
    )  # fmt: skip


def _first(values: Callable[[Any], Any]) -> Callable[[Any], float]:
    return lambda array: float(np.asarray(values(array)).ravel()[0])


def _streamed(case: Case, grid: Grid) -> tuple[float, float]:
    """Seconds to read all weights as often as they are used, and kernels of the step."""
    moved: Any = 0.0
    kernels: Any = 0.0
    for op in case.graph(grid.at):
        moved = moved + op.bytes.weights * op.repeat
        kernels = kernels + op.repeat
    bandwidth = case.chip.memory[case.chip.outermost].bandwidth * case.system.count
    return float(np.asarray(moved).ravel()[0]) / bandwidth, float(np.asarray(kernels).ravel()[0])


def _row(name: str, m: Measurement, s: Situation, target: Target, found: _Predicted | InferBenchError) -> Row:
    row = attrs.evolve(
        _bare(name, m, target, "", ""), chip=s.system.chip.name, stack=s.stack.name, precision=s.precision,
        network=s.network.name if s.network else "",
    )  # fmt: skip
    if isinstance(found, InferBenchError):
        fault = found.faults[0]
        return attrs.evolve(row, code="not-modelled", why=f"{fault.where}: {fault.found}")
    kind = KINDS.get(target.metric, "time")
    value = {"power": found.watts, "energy": found.joules, "time": found.seconds}[kind]
    trivial = {"power": {"tdp": found.tdp}, "energy": {}, "time": {"bandwidth": found.weights}}[kind]
    low, high = found.factors[kind]
    row = attrs.evolve(
        row, predicted=value, low=value * low, high=value * high, inside=found.inside, trivial=trivial
    )
    code, why = _screen(row, found)
    if not code and kind != "time":
        code, why = _apart(m.boundary, found.boundary)
    return attrs.evolve(row, code=code, why=why)


def _apart(measured: str, predicted: str) -> tuple[str, str]:
    """The rule for boundaries: figures of different ones never meet without conversion."""
    if measured == predicted:
        return "", ""
    return (
        "boundary",
        f"measured at the {measured}, predicted at the {predicted}; {CONVERTS[measured]} would convert it",
    )


def _screen(row: Row, found: _Predicted) -> tuple[str, str]:
    """The rules for a network, in order."""
    timed = row.metric not in ("power_w", "energy_j")
    if found.reason:
        return "infeasible", f"infeasible: {found.reason}"
    if math.isnan(row.predicted):
        return ("not-modelled", "the model gives no time") if timed else ("no-power", found.why_power)
    if timed and row.measured < found.floor:
        return "beats-floor", f"the physical floor is {found.floor:.4g} s"
    if timed and not found.hosted and found.per_kernel < HOST_BOUND:
        return (
            "host-bound",
            f"{found.per_kernel * 1e6:.2g} us of chip time per kernel, and the stack has no host time",
        )
    return "", ""


def _operators(
    group: Sequence[tuple[int, str, Measurement, Situation]], registry: Registry
) -> Iterator[tuple[int, list[Row]]]:
    """Cost operators of one kind in one call; a row alone where the call refuses."""
    s = group[0][3]
    chip = s.system.chip
    try:
        real, floor = _costed([m for _, _, m, _ in group], s, registry)
    except InferBenchError as error:
        fault = error.faults[0]
        for i, name, m, _ in group:
            yield i, [_bare(name, m, t, "not-modelled", f"{fault.where}: {fault.found}") for t in targets(m)]
        return
    bandwidth = chip.memory[chip.outermost].bandwidth
    known = bool(s.stack.fit.rows) and s.inside
    boundary = real.energy.boundary if isinstance(real, OpResult) else "board"
    ends = {of: between(real, of, chip.power.tdp) for of in ("time", *KINDS.values())}
    for k, (i, name, m, _) in enumerate(group):
        rows = []
        for target in targets(m):
            row = attrs.evolve(
                _bare(name, m, target, "", ""), chip=chip.name, stack=s.stack.name, precision=s.precision
            )
            values = {"power_w": real.watts[k], "energy_j": real.joules[k]}
            t = float(values.get(target.metric, real.seconds[k]))
            low, high = (float(end[k]) for end in ends[KINDS.get(target.metric, "time")])
            row = attrs.evolve(
                row, predicted=t, low=t * low, high=t * high, inside=known and bool(real.inside[k]), trivial={"bandwidth": float(real.moved[k]) / bandwidth}
            )  # fmt: skip
            row = _screened(row, float(floor[k]))
            if not row.code and target.metric in KINDS:
                code, why = _apart(m.boundary, boundary)
                row = attrs.evolve(row, code=code, why=why)
            rows.append(row)
        yield i, rows


def _costed(rows: Sequence[Measurement], s: Situation, registry: Registry) -> tuple[OpResult | Layers, Any]:
    """What the model says of operators, and their floor in seconds."""
    chip = s.system.chip
    if s.op == "moe":
        layers = layer_rows(rows, s.precision, chip, s.stack, registry)
        return layers, layers.ideal
    columns = _columns(rows, s.op)
    collective = str(rows[0].extra.get("variant", "")) or "all_reduce"
    real = cost_rows(s.op, columns, s.precision, chip, s.stack, registry, collective)
    ideal = cost_rows(s.op, columns, s.precision, chip, registry.stack("ideal"), registry, collective)
    return real, ideal.seconds


def _columns(rows: Iterable[Measurement], op: str) -> dict[str, Any]:
    listed = list(rows)
    names = [name for name in FIELDS.get(op, {}) if all(name in m.axes for m in listed)]
    return {name: np.array([m.axes[name] for m in listed]) for name in names}


def _screened(row: Row, floor: float) -> Row:
    """The rules for an operator, in order."""
    if math.isnan(row.predicted):
        power = row.metric != "latency_s"
        return attrs.evolve(
            row, code="no-power" if power else "not-modelled", why="the model gives no figure"
        )
    if row.metric == "latency_s" and row.measured < LAUNCH_BOUND:
        return attrs.evolve(row, code="launch-bound", why=f"measured {row.measured * 1e6:.3g} us")
    if row.metric == "latency_s" and row.measured < floor:
        return attrs.evolve(row, code="beats-floor", why=f"the physical floor is {floor * 1e6:.4g} us")
    return row
