"""Least squares on the logarithm of time, with physical bounds; what the data can't fix is found and said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import attrs
import numpy as np

from inferbench.calibration.forms import Free
from inferbench.calibration.kernels import Kernel
from inferbench.errors import InferBenchError
from inferbench.model.intervals import INTERVAL, conformal_logs
from inferbench.num import Array, Mask
from inferbench.records.fit import FitPart
from inferbench.records.lookup import PerKernel
from inferbench.records.roofline import ROOFLINE
from inferbench.records.stack import Stack
from inferbench.records.time_model import TimeModel

__all__ = ["FOLDS", "Fitted", "fit", "stack_of"]

FOLDS = 5
# Residuals beyond about this much of a time count linearly, not squared: an odd row pulls less.
ROBUST = 0.1
# A parameter is fixed by the data if without it the sum of squares rises by more than so many times a row's
# share: the square of its value over its standard error.
LOOSE = 1.0
# Those whose standard error is above this share of the value are tried.
DOUBTED = 0.4
# Directions whose singular value is below this share of the largest are noise of finite differences (about
# 1e-8), and a parameter has a part in one from this on.
RANK, WEIGHT = 1e-6, 1e-3
# From this many residuals on their 90% quantile is not one of the few largest, which chance makes.
MANY = 50
SEED = 20_25
# A search begins at the usual values and at this many points around them, each value up to so many times
# larger or smaller. Few rows have many valleys, and cost little.
STARTS, STARTS_OF_FEW, AROUND = 3, 8, 4.0
# Searches from all of these are rough; the deepest few go on until nothing changes, since another processor's
# rounding must not decide where they end.
ROUGH = {"ftol": 1e-5, "xtol": 1e-5, "gtol": 1e-5, "max_nfev": 12}
TIGHT = {"ftol": 1e-11, "xtol": 1e-10, "gtol": 1e-11, "max_nfev": 60}
DEEPEST = 2
# A value below this share of its start is zero: its standard error is not relative to it.
NOUGHT = 1e-9
# Sums of squares closer than this are the same: what comes first is taken.
TIE = 1e-6


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
    key: str,
    values: Mapping[str, float],
    beside: Mapping[str, PerKernel] | None = None,
    model: TimeModel = ROOFLINE,
) -> Stack:
    """Build a stack that knows one key.

    Args:
        key: The kernel's.
        values: By the paths of its parameters.
        beside: Entries of other kinds, by table.
        model: The time model that the parameters are of.

    Example:
        >>> stack_of("gemm", {"launch": 5e-6, "efficiency.compute": 0.8}).figures.launch
        {'gemm': 5e-06}
    """
    found = {table: dict(some) for table, some in (beside or {}).items()}
    for path, value in values.items():
        table, _, of = path.partition("@")
        if not table.startswith("tuning."):
            for name in (table, *(other for other in found if other.startswith(f"{table}."))):
                found.setdefault(name, {})[of or key] = value
    return Stack(name="fit", title="fit", time_model=model, figures=model.record(found))


def fit(kernel: Kernel) -> Fitted:
    """Fit one kernel, and score it on rows left out by group and at random.

    Parameters that the data can't fix are set to what says nothing, that first without which the rest fits
    best, and the rest fitted again.

    Raises:
        InferBenchError: Fewer than two rows per parameter, or fewer shapes than parameters, with which rows
            would settle what.
    """
    frees = kernel.model.frees(kernel.variant, kernel.narrow, kernel.tiled)
    used = kernel.fitted
    _enough(kernel, frees, int(used.sum()))
    defaults: list[str] = []
    solution = _solve(kernel, frees, used, _around(frees, used))
    while len(frees) > 1:
        fits = [_without(kernel, frees, solution, name, used) for name in _loose(frees, solution)]
        freedom = max(int(used.sum()) - len(frees), 1)
        rises = [
            freedom * (found.cost / max(solution.cost, 1e-300) - 1.0) / (len(frees) - len(rest))
            for rest, found in fits
        ]
        if not rises or min(rises) >= LOOSE:
            break
        rest, solution = next(
            one for one, rise in zip(fits, rises, strict=True) if rise <= min(rises) + TIE * freedom
        )
        defaults += [free.path for free in frees if free not in rest]
        frees = rest
    return _scored(kernel, frees, solution, tuple(defaults))


def _without(
    kernel: Kernel, frees: tuple[Free, ...], solution: _Solution, name: str, used: Mask
) -> tuple[tuple[Free, ...], _Solution]:
    """The fit without a parameter, and without those that mean nothing then."""
    dropped = {name, *(free.path for free in frees if free.needs == name)}
    kept = np.array([free.path not in dropped for free in frees])
    if not kept.any():  # one of the last two: the other one is told as it is
        kept = np.array([free.path != name for free in frees])
    rest = tuple(free for free, stays in zip(frees, kept, strict=True) if stays)
    starts = _around(rest, used)[: 1 + STARTS]
    return rest, _solve(kernel, rest, used, (solution.values[kept], *starts))


def _around(frees: Sequence[Free], used: Mask) -> tuple[Array, ...]:
    """Where searches begin: the usual values, and points around them, the same every time."""
    usual = np.array([free.start for free in frees])
    count = STARTS_OF_FEW if used.sum() < MANY else STARTS
    factors = AROUND ** np.random.default_rng(SEED).uniform(-1.0, 1.0, (count, len(frees)))
    return (usual, *(usual * factors))


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
    fixes; `cost` is half of the robust sum of squares.
    """

    values: Array
    deviations: Array
    correlation: Array
    free: Array
    cost: float


def _solve(kernel: Kernel, frees: Sequence[Free], used: Mask, starts: Sequence[Array]) -> _Solution:
    """Minimise the robust sum of squared log ratios over the rows used; values in units of their starts
    inside. Of several searches that end in different valleys the deepest counts.
    """
    least_squares = least_squares_of_scipy()
    scale = np.array([free.start for free in frees])
    low, high = (np.array([getattr(free, end) for free in frees]) / scale for end in ("low", "high"))
    measured = np.log(kernel.measured[used])

    def residuals(x: Array) -> Array:
        logs: Array = np.log(_predict(kernel, frees, x * scale)[used]) - measured
        return logs

    how: dict[str, Any] = {"bounds": (low, high), "loss": "soft_l1", "f_scale": ROBUST, "x_scale": "jac"}
    firsts = [np.clip(start / scale, low, high) for start in starts]
    if len(firsts) > DEEPEST:
        rough = [least_squares(residuals, first, **how, **ROUGH) for first in firsts]
        firsts = [one.x for one in sorted(rough, key=lambda one: float(one.cost))[:DEEPEST]]
    every = [least_squares(residuals, first, **how, **TIGHT) for first in firsts]
    best = min(one.cost for one in every)
    found = next(one for one in every if one.cost <= best * (1.0 + TIE))
    freedom = max(len(measured) - len(frees), 1)
    return _solution_of(found.jac, found.x, scale, float(found.cost), freedom)


def _solution_of(jac: Array, x: Array, scale: Array, cost: float, freedom: int) -> _Solution:
    """Standard errors from the singular values of the derivatives by the parameters' logarithms.

    A direction along which nothing changes is fixed by nothing: whatever parameter has a part in it is
    infinitely uncertain.
    """
    unit = np.where(np.abs(x) > NOUGHT, np.abs(x), 1.0)
    _, sizes, directions = np.linalg.svd(jac * unit, full_matrices=False)
    told = sizes > RANK * max(float(sizes.max()), 1e-300)
    covariance = (directions[told].T / np.square(sizes[told])) @ directions[told] * 2.0 * cost / freedom
    free = np.linalg.norm(directions[~told], axis=0) if not told.all() else np.zeros(len(x))
    deviations = np.where(free > WEIGHT, np.inf, np.sqrt(np.maximum(np.diag(covariance), 0.0)))
    known = np.where(np.isfinite(deviations), deviations, 0.0)
    outer = np.outer(known, known)
    correlation = np.divide(covariance, outer, out=np.zeros_like(covariance), where=outer > 0)
    return _Solution(x * scale, deviations * unit * scale, correlation, free, cost)


def _predict(kernel: Kernel, frees: Sequence[Free], values: Sequence[float] | Array) -> Array:
    named = {free.path: float(value) for free, value in zip(frees, values, strict=True)}
    return kernel.time(stack_of(kernel.key, named, kernel.beside, kernel.model), _tuned(named))


def _tuned(named: Mapping[str, float]) -> dict[str, float]:
    return {table.partition(".")[2]: value for table, value in named.items() if table.startswith("tuning.")}


def _loose(frees: Sequence[Free], solution: _Solution) -> list[str]:
    """The parameters that the data may not fix; an efficiency may be fixed at its end.

    Those that nothing fixes at all come alone if there are any: what else is loose may be so because of them.
    """
    loose, nothing = [], []
    for free, value, deviation in zip(frees, solution.values, solution.deviations, strict=True):
        if (value <= 1e-3 * free.start and (free.absent is None or free.absent <= 0.0)) or not np.isfinite(
            deviation
        ):
            nothing.append(free.path)
        elif deviation > DOUBTED * max(abs(value), 1e-300):
            loose.append(free.path)
    return nothing or loose


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
    sd, log_error = _sd(left), _interval(left)
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
        log_error=log_error,
        coverage=float(np.mean(np.abs(left) <= INTERVAL * log_error)),
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
        values = _solve(kernel, frees, used, (solution.values,)).values
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
    rates = {table: value for table, value in named.items() if table.startswith("efficiency")}
    only = stack_of(kernel.key, rates, model=kernel.model)
    rows = len(kernel.measured)
    engines: dict[str, Any] = {}
    for op, cost in zip(kernel.ops, kernel.costs, strict=True):
        for engine in cost.busy:
            alone = attrs.evolve(cost, busy={engine: cost.busy[engine]}, exposed={})
            family = engine.partition(".")[0]
            seconds = np.broadcast_to(only.time(alone, op, kernel.formats) * op.repeat, (1, rows))[0]
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
