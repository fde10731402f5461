"""Least squares on the logarithm of time, with physical bounds; what the data can't fix is found and said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import attrs
import numpy as np

from inferbench.calibration.forms import Free, form
from inferbench.calibration.kernels import Kernel
from inferbench.errors import InferBenchError
from inferbench.model.intervals import INTERVAL, conformal_logs
from inferbench.num import Array, Mask
from inferbench.records.fit import FitPart
from inferbench.records.stack import Stack

__all__ = ["FOLDS", "Fitted", "fit", "stack_of"]

FOLDS = 5
# Residuals beyond about this much of a time count linearly, not squared: an odd row pulls less.
ROBUST = 0.1
# A parameter is fixed by the data if its standard error is below this share of it.
LOOSE = 1.0
# Directions whose singular value is below this share of the largest are noise of finite differences (about
# 1e-8), and a parameter has a part in one from this on.
RANK, WEIGHT = 1e-6, 1e-3
# From this many residuals on their 90% quantile is not one of the few largest, which chance makes.
MANY = 50
SEED = 20_25


@attrs.frozen(eq=False)
class Fitted:
    """A kernel's parameters and how well they do.

    Attributes:
        kernel: What was fitted.
        frees: Parameters that the data fixed.
        values: Their values.
        part: The record for the stack's file.
        residuals: log(predicted / measured) of every row, groups left out; screened rows by the fit to all
            others.
    """

    kernel: Kernel
    frees: tuple[Free, ...]
    values: tuple[float, ...]
    part: FitPart
    residuals: Array

    @property
    def seconds(self) -> Array:
        """What the fit predicts for every row."""
        return _predict(self.kernel, self.frees, self.values)

    @property
    def tuned(self) -> dict[str, float]:
        """Fields of the architecture's tuning that were fitted."""
        return _tuned(dict(zip((free.path for free in self.frees), self.values, strict=True)))


def stack_of(
    key: str, values: Mapping[str, float], beside: Mapping[str, Mapping[str, Any]] | None = None
) -> Stack:
    """Build a stack that knows one key.

    Args:
        key: The kernel's.
        values: By the paths of its parameters.
        beside: Entries of other kinds, by table.

    Example:
        >>> stack_of("gemm", {"launch": 5e-6, "efficiency.compute": 0.8}).launch
        {'gemm': 5e-06}
    """
    found = {table: dict(some) for table, some in (beside or {}).items()}
    for path, value in values.items():
        table, _, of = path.partition("@")
        if not table.startswith("tuning."):
            for name in (table, *(other for other in found if other.startswith(f"{table}."))):
                found.setdefault(name, {})[of or key] = value
    tables: dict[str, Any] = {"efficiency": {}}
    for table, some in found.items():
        name, _, engine = table.partition(".")
        if engine:
            tables[name][engine] = some
        else:
            tables[name] = some
    return Stack(name="fit", title="fit", **tables)


def fit(kernel: Kernel) -> Fitted:
    """Fit one kernel, and score it on rows left out by group and at random.

    Parameters that the data can't fix are set to what says nothing, the loosest first, and the rest fitted
    again.

    Raises:
        InferBenchError: Fewer than two rows per parameter, or fewer shapes than parameters, with which rows
            would settle what.
    """
    frees = form(kernel.variant, kernel.narrow, kernel.tiled)
    used = kernel.fitted
    _enough(kernel, frees, int(used.sum()))
    defaults: list[str] = []
    while True:
        solution = _solve(kernel, frees, used)
        loose = _loosest(frees, solution)
        if loose is None or len(frees) == 1:
            break
        dropped = {loose, *MEANINGLESS.get(loose, ())}
        defaults += [free.path for free in frees if free.path in dropped]
        frees = tuple(free for free in frees if free.path not in dropped)
    return _scored(kernel, frees, solution, tuple(defaults))


# What means nothing without what was dropped.
MEANINGLESS = {
    "ramp": ("ramp_bytes",),
    "ramp_bytes": ("ramp",),
    "serial": ("piece",),
    "depth": ("tail",),
}


def _enough(kernel: Kernel, frees: Sequence[Free], rows: int) -> None:
    """Refuse too few rows, and repeats of a few shapes: they say how noisy a time is, not what it is
    made of.
    """
    few, shapes = rows < 2 * len(frees), kernel.shapes if rows else 0
    if not few and shapes >= len(frees):
        return
    gone = len(kernel.measured) - rows
    beside = f", {gone} more were screened" if gone else ""
    wanted = "; ".join(f"{free.path}: {free.settled}" for free in frees)
    said = f"{rows} rows for {len(frees)} parameters; at least {2 * len(frees)} were expected{beside}"
    if not few:
        noun = "shape" if shapes == 1 else "different shapes"
        said = (
            f"{rows} rows of {shapes} {noun} for {len(frees)} parameters; at least {len(frees)} shapes were"
            f" expected{beside}"
        )
    raise InferBenchError.at(kernel.key, said, f"measure what would settle them ({wanted})")


@attrs.frozen(eq=False)
class _Solution:
    """Values, their standard errors and correlation; `free` is each one's part in directions that nothing
    fixes.
    """

    values: Array
    deviations: Array
    correlation: Array
    free: Array


def _solve(kernel: Kernel, frees: Sequence[Free], used: Mask, start: Array | None = None) -> _Solution:
    """Minimise the robust sum of squared log ratios over the rows used; values in units of their starts
    inside.
    """
    least_squares = least_squares_of_scipy()
    scale = np.array([free.start for free in frees])
    low, high = (np.array([getattr(free, end) for free in frees]) / scale for end in ("low", "high"))
    first = np.ones(len(frees)) if start is None else np.clip(start / scale, low, high)
    measured = np.log(kernel.measured[used])

    def residuals(x: Array) -> Array:
        logs: Array = np.log(_predict(kernel, frees, x * scale)[used]) - measured
        return logs

    found = least_squares(residuals, first, bounds=(low, high), loss="soft_l1", f_scale=ROBUST, x_scale="jac")
    freedom = max(len(measured) - len(frees), 1)
    return _spread(found.jac, found.x, scale, 2.0 * found.cost / freedom)


def _spread(jac: Array, x: Array, scale: Array, variance: float) -> _Solution:
    """Standard errors from the singular values of the derivatives by the parameters' logarithms.

    A direction along which nothing changes is fixed by nothing: whatever parameter has a part in it is
    infinitely uncertain.
    """
    unit = np.where(x != 0, np.abs(x), 1.0)
    _, sizes, directions = np.linalg.svd(jac * unit, full_matrices=False)
    told = sizes > RANK * max(float(sizes.max()), 1e-300)
    covariance = (directions[told].T / np.square(sizes[told])) @ directions[told] * variance
    free = np.linalg.norm(directions[~told], axis=0) if not told.all() else np.zeros(len(x))
    deviations = np.where(free > WEIGHT, np.inf, np.sqrt(np.maximum(np.diag(covariance), 0.0)))
    known = np.where(np.isfinite(deviations), deviations, 0.0)
    outer = np.outer(known, known)
    correlation = np.divide(covariance, outer, out=np.zeros_like(covariance), where=outer > 0)
    return _Solution(x * scale, deviations * unit * scale, correlation, free)


def _predict(kernel: Kernel, frees: Sequence[Free], values: Sequence[float] | Array) -> Array:
    named = {free.path: float(value) for free, value in zip(frees, values, strict=True)}
    return kernel.time(stack_of(kernel.key, named, kernel.beside), _tuned(named))


def _tuned(named: Mapping[str, float]) -> dict[str, float]:
    return {table.partition(".")[2]: value for table, value in named.items() if table.startswith("tuning.")}


def _loosest(frees: Sequence[Free], solution: _Solution) -> str | None:
    """The parameter that the data fixes least, if it does not fix it; an efficiency may be fixed at its
    end.
    """
    worst, name = (LOOSE, 0.0), None
    for free, value, deviation, part in zip(
        frees, solution.values, solution.deviations, solution.free, strict=True
    ):
        nothing = value <= 1e-3 * free.start and free.absent <= 0.0
        loose = (np.inf, 1.0) if nothing else (deviation / max(abs(value), 1e-300), round(float(part), 2))
        if loose > worst:
            worst, name = loose, free.path
    return name


def _scored(
    kernel: Kernel, frees: tuple[Free, ...], solution: _Solution, defaults: tuple[str, ...]
) -> Fitted:
    used, scored = kernel.fitted, kernel.scored
    by_group = _left_out(kernel, frees, solution, _folds(kernel.groups))
    by_row = _left_out(kernel, frees, solution, _folds([str(i) for i in range(len(used))]))
    measured, roofline = np.log(kernel.measured), np.log(kernel.roofline)
    constant = np.full_like(measured, np.median(measured[used]))
    known = scored & np.isfinite(by_group)
    left = (
        by_group[known] if known.any() else by_row[scored]
    )  # of one group no interval of new ones can be known
    sd, spread = _sd(left), _interval(left)
    part = FitPart(
        rows=int(used.sum()),
        scored=int(scored.sum()),
        screened=int((~used).sum()),
        error=_mape(by_group, scored),
        error_rows=_mape(by_row, scored),
        error_all=_mape(by_group, np.ones_like(used)),
        constant=_mape(constant - measured, scored),
        roofline=_mape(roofline - measured, scored),
        sd=sd,
        spread=spread,
        coverage=float(np.mean(np.abs(left) <= INTERVAL * spread)),
        regimes=_regimes(kernel, frees, solution, by_group, known),
        parameters=tuple(free.path for free in frees),
        deviations=tuple(_relative(solution)),
        correlation=tuple(tuple(row) for row in solution.correlation.tolist()),
        defaults=defaults,
        at_bound=tuple(_at_bound(frees, solution.values)),
    )
    return Fitted(kernel, frees, tuple(solution.values.tolist()), part, by_group)


def _mape(logs: Array, mask: Mask) -> float:
    """Mean of |predicted / measured - 1| in percent; NaN where no row was left out."""
    known = logs[mask & np.isfinite(logs)]
    return float(100.0 * np.mean(np.abs(np.expm1(known)))) if len(known) else math.nan


def _relative(solution: _Solution) -> list[float]:
    ratios = solution.deviations / np.maximum(np.abs(solution.values), 1e-300)
    return [float(ratio) for ratio in ratios]


def _at_bound(frees: Sequence[Free], values: Array) -> list[str]:
    return [
        free.path
        for free, value in zip(frees, values, strict=True)
        if value >= free.high * (1 - 1e-3)
        or value <= free.low + 1e-3 * min(free.start, abs(free.low) or free.start)
    ]


def _folds(groups: Sequence[str]) -> list[Mask]:
    """Masks of the rows of each fold: whole groups, shuffled the same way every time."""
    names = sorted(set(groups))
    np.random.default_rng(SEED).shuffle(names)
    fold = {name: i % FOLDS for i, name in enumerate(names)}
    of_row = np.array([fold[group] for group in groups])
    return [of_row == i for i in range(min(FOLDS, len(names)))]


def _left_out(kernel: Kernel, frees: Sequence[Free], solution: _Solution, folds: Sequence[Mask]) -> Array:
    """log(predicted / measured) of each row under a fit that never saw its fold; NaN where too few rows were
    left.
    """
    logs = np.full(len(kernel.measured), np.nan)
    for out in folds:
        used = kernel.fitted & ~out
        if used.sum() < len(frees):
            continue
        values = _solve(kernel, frees, used, solution.values).values
        logs[out] = np.log(_predict(kernel, frees, values)[out] / kernel.measured[out])
    return logs


def _sd(logs: Array) -> float:
    return float(np.sqrt(np.mean(np.square(logs))))


def _interval(logs: Array) -> float:
    """Log standard error whose 90% interval holds nine in ten left-out rows: the conformal quantile where
    tails are heavy.
    """
    return _sd(logs) if len(logs) < MANY else max(_sd(logs), conformal_logs(logs) / INTERVAL)


def _regimes(
    kernel: Kernel, frees: Sequence[Free], solution: _Solution, logs: Array, scored: Mask
) -> dict[str, float]:
    """Residuals by what takes longest: an engine's busy time, or everything that is no engine's."""
    named = {free.path: float(value) for free, value in zip(frees, solution.values, strict=True)}
    only = stack_of(
        kernel.key, {table: value for table, value in named.items() if table.startswith("efficiency")}
    )
    rows = len(kernel.measured)
    engines: dict[str, Any] = {}
    for op, cost in zip(kernel.ops, kernel.costs, strict=True):
        for engine in cost.busy:
            alone = attrs.evolve(cost, busy={engine: cost.busy[engine]}, exposed={})
            family = engine.partition(".")[0]
            stack = attrs.evolve(
                only, efficiency={k: v for k, v in only.efficiency.items() if k != "convert"}
            )
            seconds = np.broadcast_to(stack.time(alone, op, kernel.formats) * op.repeat, (1, rows))[0]
            engines[family] = engines.get(family, 0.0) + seconds
    total = _predict(kernel, frees, solution.values)
    rest = total - np.maximum.reduce([*engines.values(), np.zeros(rows)])
    names = [*engines, "latency"]
    which = np.argmax(np.stack([*engines.values(), rest]), axis=0)
    return {
        name: _sd(logs[scored & (which == i)])
        for i, name in enumerate(names)
        if (scored & (which == i)).sum() >= 5
    }


def least_squares_of_scipy() -> Any:
    """Return SciPy's solver.

    Raises:
        InferBenchError: SciPy is not installed.
    """
    try:
        return import_module("scipy.optimize").least_squares
    except ImportError:
        raise InferBenchError.at(
            "calibrate", "scipy is not installed", "pip install 'inferbench-core[calibrate]'"
        ) from None
