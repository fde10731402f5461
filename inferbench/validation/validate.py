"""Measurements against predictions: every row is scored, or says why not.

The rules that keep a row out stand in `inferbench.validation.rules`; none of them looks at how well a
prediction does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.errors import Fault, InferBenchError
from inferbench.evidence.matching import Situation, situate
from inferbench.model.case import Case, prepare
from inferbench.model.evaluate import evaluate
from inferbench.model.intervals import bounds
from inferbench.records.grid import Grid
from inferbench.records.measurement import Measurement
from inferbench.records.run import Run
from inferbench.specs.figures import Target, left_out, served, targets
from inferbench.validation.operators import Entry, operator_rows
from inferbench.validation.rows import KINDS, Row, bare
from inferbench.validation.rules import HOST_BOUND, RULES, boundary_mismatch
from inferbench.validation.served import serve, serves

__all__ = ["KINDS", "RULES", "UNITS", "Row", "doubts", "validate"]

# How many times a figure may be its prediction, or the other way round, before its unit is doubted.
UNITS = 30.0
Progress = Callable[[int, int], None]


def validate(
    sets: Mapping[str, Sequence[Measurement]],
    registry: Registry,
    stack: str | None = None,
    progress: Progress | None = None,
    digests: Mapping[str, str] | None = None,
    intervals: bool = True,
) -> list[Row]:
    """Predict every figure of some measurement sets.

    Args:
        sets: Name to measurements.
        registry: Of plugins.
        stack: Scores all rows; None: the stack fitted for each row's chip and software.
        progress: Called with (done, all).
        digests: SHA-256 (hexadecimal) of the sets that are files: by it a stack knows the table it was fitted
            on.
        intervals: Whether servers under load are replayed for the ends of intervals too: three replays in
            place of one.

    Returns:
        A row per figure, in order of the sets. None is dropped.

    Example:
        >>> rows = validate({"mine": [Measurement(source="a table", chip="H100", tpot_s=0.007)]},
        ...     ib.installed())
        ... # doctest: +SKIP
    """
    work = [(name, m) for name, rows in sets.items() for m in rows]
    if any(m.op for _, m in work):
        registry.wake()  # any plugin may define kinds of operators
    found: dict[int, list[Row]] = {}
    groups: dict[Any, list[Entry]] = {}
    for i, (name, m) in enumerate(work):
        situation = situate(m, registry, stack)
        if isinstance(situation, Situation):
            groups.setdefault(situation.key, []).append((i, name, m, situation))
        else:
            rows = _unresolved(name, m, *situation, registry)
            found[i] = [attrs.evolve(row, fitted=None) for row in rows] if name in (digests or {}) else rows
    done = len(found)
    for group in groups.values():
        known = {i: _seen(m, s, (digests or {}).get(name, "")) for i, name, m, s in group}
        beside = {i: _kept_out(name, m, s, registry) for i, name, m, s in group}
        for i, rows in _group(group, registry, intervals):
            scored = [attrs.evolve(row, fitted=known[i] if _could(row) else row.fitted) for row in rows]
            found[i] = [*scored, *beside[i]]
        done += len(group)
        if progress:
            progress(done, len(work))
    return [row for i in range(len(work)) for row in found[i]]


def _unresolved(name: str, m: Measurement, code: str, why: str, registry: Registry) -> list[Row]:
    """The rows of a measurement whose names don't resolve or that lacks something."""
    rows = [attrs.evolve(bare(name, m, target), code=code, why=why) for target in targets(m)]
    return [
        *rows,
        *(bare(name, m, figure) for figure in left_out(m, _waits(registry, registry.names("workloads")))),
    ]


def _waits(registry: Registry, workloads: Sequence[str]) -> dict[str, str]:
    """What the figures of some workloads' phases wait for under load."""
    phases = [phase for name in workloads for phase in registry.workload(name).phases]
    return {phase.latency: phase.waiting for phase in phases if phase.waiting}


def _kept_out(name: str, m: Measurement, s: Situation, registry: Registry) -> list[Row]:
    """The rows of figures that must not be compared, beside those of the same measurement that are."""
    ours: dict[str, Any] = {"chip": s.system.chip.name, "stack": s.stack.name, "precision": s.precision}
    if s.network:
        ours["network"] = s.network.name
    replayed = {target.metric for target in served(m)} if serves(s.network, registry) else ()
    waits = _waits(registry, [s.network.type] if s.network else [])
    return [
        attrs.evolve(bare(name, m, figure), **ours)
        for figure in left_out(m, waits)
        if figure.metric not in replayed
    ]


def doubts(rows: Sequence[Row]) -> Iterator[Fault]:
    """Figures so far from their predictions that a unit is likelier than an error; one warning per set and
    figure.
    """
    far: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        ratio = row.predicted / row.measured if row.measured else math.inf
        if row.op and not row.inside:
            continue  # kernels outside the box may well be that far off
        if row.code in ("", "beats-floor") and not 1.0 / UNITS <= ratio <= UNITS:
            far.setdefault((row.set, row.metric), []).append(row)
    for (name, metric), some in far.items():
        one = some[0]
        more = f" (and {len(some) - 1} more rows)" if len(some) > 1 else ""
        found = (
            f"{metric} of {one.measured:.3g} is predicted as {one.predicted:.3g}: are the units right?{more}"
        )
        yield Fault(one.source if name in one.source else f"{name}: {one.source}", found, "check the units")


def _seen(m: Measurement, s: Situation, digest: str) -> bool | None:
    """Whether the row is of a table that the stack was fitted on; None for a file that it doesn't cite.

    A file that a stack doesn't cite may still hold some of the cited rows, written anew. Rows of another
    chip, software, precision or number of chips than the stack's were never among those fitted.
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
    return True if any(digest == file.sha256 and file.rows for file in s.stack.fit.files) else None


def _could(row: Row) -> bool:
    """Whether a fit can have used a row: static batches, and closed loops in the box of a stack that was
    fitted on such; kernels are fitted on times that pass the rules, and their box is of these rows.
    """
    passes = row.scored or row.op == "collective"
    if row.regime:
        return row.inside
    return not row.op or (row.metric == "latency_s" and row.inside and passes)


def _group(group: Sequence[Entry], registry: Registry, intervals: bool) -> Iterator[tuple[int, list[Row]]]:
    """Predict measurements of one chip, stack, network, phase and precision."""
    if group[0][3].op:
        yield from operator_rows(group, registry)
        return
    loads = {i: list(served(m)) if serves(s.network, registry) else [] for i, _, m, s in group}
    replayed = {i: {target.metric for target in found} for i, found in loads.items()}
    asked = {i: [target for target in targets(m) if target.metric not in replayed[i]] for i, _, m, _ in group}
    seen = _predictions(group[0][3], [target for found in asked.values() for target in found], registry)
    for i, name, m, situation in group:
        rows = [_served_row(name, m, situation, target, registry, intervals) for target in loads[i]]
        rows += [_row(name, m, situation, target, seen[_point(target)]) for target in asked[i]]
        yield i, rows


def _served_row(
    name: str, m: Measurement, s: Situation, target: Target, registry: Registry, intervals: bool
) -> Row:
    """A figure of a server under load beside its replay."""
    row = _named(name, m, s, target)
    try:
        found = serve(s, target, m.statistic, registry, m.software, intervals, m.extra)
    except InferBenchError as error:
        fault = error.faults[0]
        return attrs.evolve(row, code="not-modelled", why=f"{fault.place}: {fault.found}")
    # The box is of times per token; when first tokens come lies outside of it.
    return attrs.evolve(
        row,
        predicted=found.value,
        low=found.low,
        high=found.high,
        inside=found.inside,
        trivial=_weights(s, target, registry),
    )


def _weights(s: Situation, target: Target, registry: Registry) -> dict[str, float]:
    """What reading the weights takes that a token of every user touches: a predictor without a model."""
    if target.metric != "tpot_s" or "concurrency" not in target.axes or s.network is None:
        return {}
    try:
        case = prepare(
            s.system, s.network, "decode", stack=s.stack, registry=registry, options=s.options, reserve=0
        )
        at = {"batch": [target.axes["concurrency"]], "context": [target.axes["context"]]}
        weights, _ = _streamed(case, Grid.of(at, [s.precision]))
        return {"bandwidth": float(np.asarray(weights).ravel()[0])}
    except InferBenchError:
        return {}


def _named(name: str, m: Measurement, s: Situation, target: Target) -> Row:
    """The row of a figure under our names."""
    row = bare(name, m, target)
    return attrs.evolve(
        row,
        chip=s.system.chip.name,
        stack=s.stack.name,
        precision=s.precision,
        network=s.network.name if s.network else "",
        caveats=(*row.caveats, *s.said),
    )


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


Predictions: TypeAlias = dict[Any, "_Predicted | InferBenchError"]
MOST_SPARE = 16
"""Points of a grid for each that was measured: beyond it, points are cheaper one by one."""


def _point(target: Target) -> tuple[Any, ...]:
    """What tells two predictions apart."""
    return (target.phase, *sorted(target.axes.items()))


def _predictions(s: Situation, asked: Sequence[Target], registry: Registry) -> Predictions:
    """What the model says of each point; points of one phase are computed as one grid."""
    alike: dict[Any, dict[Any, Target]] = {}
    for target in asked:
        alike.setdefault((target.phase, *sorted(target.axes)), {})[_point(target)] = target
    found: Predictions = {}
    for points in alike.values():
        together = list(points.values())
        axes = {name: sorted({one.axes[name] for one in together}) for name in together[0].axes}
        if math.prod(map(len, axes.values())) <= MOST_SPARE * len(together):
            found |= _tried(s, together, axes, registry)
        for key, one in points.items():
            # One point that is refused refuses its grid: then each is asked for itself.
            if len(together) > 1 and (key not in found or isinstance(found[key], InferBenchError)):
                found |= _tried(s, [one], {name: [value] for name, value in one.axes.items()}, registry)
    return found


def _tried(
    s: Situation, asked: Sequence[Target], axes: Mapping[str, list[float]], registry: Registry
) -> Predictions:
    try:
        return dict(_computed(s, asked, axes, registry))
    except InferBenchError as error:
        return {_point(one): error for one in asked}


def _computed(
    s: Situation, asked: Sequence[Target], axes: Mapping[str, list[float]], registry: Registry
) -> Iterator[tuple[Any, _Predicted]]:
    """Predict points of one phase that lie on a grid."""
    assert s.network is not None
    phase = asked[0].phase
    case = prepare(s.system, s.network, phase, stack=s.stack, registry=registry, options=s.options, reserve=0)
    unknown = [name for name in axes if name not in case.phase.axes]
    if unknown:
        raise InferBenchError.at(phase, f"the model has no axis '{unknown[0]}'")
    whole = {name: [value] for name, value in case.workload.defaults(s.network, phase).items()} | dict(axes)
    run = evaluate(case, Grid.of(whole, [s.precision]))
    shape = run.values(0.0).shape  # of factors, which lie in the order of the axes already
    factors = {
        of: tuple(np.broadcast_to(end, shape) for end in bounds(run, of)) for of in ("time", *KINDS.values())
    }
    weights, kernels = _streamed(case, run.grid)
    power = run.energy
    for target in asked:
        index = (whole[name].index(target.axes.get(name, whole[name][0])) for name in run.grid.axes)
        at = (*index, 0)
        one = _at(run, at)
        reasons = [reason for reason in run.reasons if bool(one(reason.where))]
        yield (
            _point(target),
            _Predicted(
                seconds=one(run.seconds),
                factors={of: (float(low[at]), float(high[at])) for of, (low, high) in factors.items()},
                inside=bool(s.stack.fit.rows) and not one(run.flags.get("extrapolated", True)),
                watts=one(power.watts),
                joules=one(power.joules),
                why_power=power.why,
                floor=one(run.roofline),
                reason=reasons[0].code if reasons else "",
                weights=one(weights),
                tdp=s.system.chip.power.tdp * s.system.count,
                per_kernel=one(run.seconds) / one(kernels),
                hosted=s.stack.host.step > 0 or s.stack.host.kernel > 0,
                boundary=power.boundary,
            ),
        )


def _at(run: Run, index: tuple[int, ...]) -> Callable[[Any], float]:
    return lambda array: float(run.values(array)[index])


def _streamed(case: Case, grid: Grid) -> tuple[Any, Any]:
    """Seconds to read all weights as often as they are used, and kernels of the step."""
    moved: Any = 0.0
    kernels: Any = 0.0
    for op in case.graph(grid.at):
        moved = moved + op.bytes.weights * op.repeat
        kernels = kernels + op.repeat
    bandwidth = case.chip.memory[case.chip.main].bandwidth * case.system.count
    return moved / bandwidth, kernels


def _row(name: str, m: Measurement, s: Situation, target: Target, found: _Predicted | InferBenchError) -> Row:
    row = _named(name, m, s, target)
    if isinstance(found, InferBenchError):
        fault = found.faults[0]
        return attrs.evolve(row, code="not-modelled", why=f"{fault.place}: {fault.said}")
    kind = KINDS.get(target.metric, "time")
    value = {"power": found.watts, "energy": found.joules, "time": found.seconds}[kind]
    trivial = {"power": {"tdp": found.tdp}, "energy": {}, "time": {"bandwidth": found.weights}}[kind]
    low, high = found.factors[kind]
    if target.regime:
        # Intervals were fitted on static batches: of a server's they say nothing.
        low = high = math.nan
    row = attrs.evolve(
        row,
        predicted=value,
        low=value * low,
        high=value * high,
        inside=found.inside and not target.regime,
        trivial=trivial,
    )
    code, why = _screen(row, found)
    if not code and kind != "time":
        code, why = boundary_mismatch(m.boundary, found.boundary)
    return attrs.evolve(row, code=code, why=why)


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
