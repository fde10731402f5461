"""Least squares on the logarithm of time, with physical bounds; what the data can't fix is found and said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import attrs
import numpy as np

from inferbench.calibration.forms import Free, form
from inferbench.calibration.kernels import Kernel
from inferbench.errors import InferBenchError
from inferbench.intervals import INTERVAL
from inferbench.num import Array
from inferbench.records.fit import FitPart
from inferbench.records.stack import Stack

__all__ = ["FOLDS", "Fitted", "fit", "stack_of"]

FOLDS = 5
# Residuals beyond about this much of a time count linearly, not squared: an odd row pulls less.
ROBUST = 0.1
# A parameter is fixed by the data if its standard error is below this share of it.
LOOSE = 1.0
SEED = 20_25


@attrs.frozen(eq=False)
class Fitted:
    """A kernel's parameters and how well they do.

    Attributes:
        kernel: What was fitted.
        frees: Parameters that the data fixed.
        values: Their values.
        part: The record for the stack's file.
        residuals: log(predicted / measured) of every row, groups left out; screened rows by the fit to all others.
    """

    kernel: Kernel
    frees: tuple[Free, ...]
    values: tuple[float, ...]
    part: FitPart
    residuals: Array


def stack_of(key: str, values: Mapping[str, float]) -> Stack:
    """Build a stack that knows one key.

    Example:
        >>> stack_of("gemm", {"launch": 5e-6, "efficiency.compute": 0.8}).launch
        {'gemm': 5e-06}
    """
    tables: dict[str, Any] = {"efficiency": {}}
    for table, value in values.items():
        table, _, of = table.partition("@")
        name, _, engine = table.partition(".")
        if name == "tuning":
            continue
        if engine:
            tables[name].setdefault(engine, {})[of or key] = value
        else:
            tables[name] = {key: value}
    return Stack(name="fit", title="fit", **tables)


def fit(kernel: Kernel) -> Fitted:
    """Fit one kernel, and score it on rows left out by group and at random.

    Parameters that the data can't fix are set to what says nothing, the loosest first, and the rest fitted again.

    Raises:
        InferBenchError: Fewer than two rows per parameter, with which rows would settle what.
    """
    frees = form(kernel.flavour, kernel.narrow, kernel.tiled)
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
    if rows >= 2 * len(frees):
        return
    gone = len(kernel.measured) - rows
    beside = f", {gone} more were screened" if gone else ""
    wanted = "; ".join(f"{free.path}: {free.settled}" for free in frees)
    raise InferBenchError.at(
        kernel.key, f"{rows} rows for {len(frees)} parameters; at least {2 * len(frees)} were expected{beside}",
        f"measure what would settle them ({wanted})",
    )  # fmt: skip


@attrs.frozen(eq=False)
class _Solution:
    values: Array
    deviations: Array
    correlation: Array


def _solve(kernel: Kernel, frees: Sequence[Free], used: Any, start: Array | None = None) -> _Solution:
    """Minimise the robust sum of squared log ratios over the rows used; values in units of their starts inside."""
    least_squares = _scipy()
    scale = np.array([free.start for free in frees])
    low, high = (np.array([getattr(free, end) for free in frees]) / scale for end in ("low", "high"))
    first = np.ones(len(frees)) if start is None else np.clip(start / scale, low, high)
    measured = np.log(kernel.measured[used])

    def residuals(x: Array) -> Array:
        logs: Array = np.log(_predict(kernel, frees, x * scale)[used]) - measured
        return logs

    found = least_squares(residuals, first, bounds=(low, high), loss="soft_l1", f_scale=ROBUST, x_scale="jac")
    freedom = max(len(measured) - len(frees), 1)
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * (2.0 * found.cost / freedom)
    # A column of zeros says that nothing depends on the parameter: pinv would call it certain.
    dead = ~np.any(np.abs(found.jac) > 1e-12, axis=0)
    deviations = np.where(dead, np.inf, np.sqrt(np.maximum(np.diag(covariance), 0.0)))
    known = np.where(dead, 0.0, deviations)
    outer = np.outer(known, known)
    correlation = np.divide(
        covariance, outer, out=np.zeros_like(covariance), where=np.isfinite(outer) & (outer > 0)
    )
    return _Solution(found.x * scale, deviations * scale, correlation)


def _predict(kernel: Kernel, frees: Sequence[Free], values: Sequence[float] | Array) -> Array:
    named = {free.path: float(value) for free, value in zip(frees, values, strict=True)}
    return kernel.time(stack_of(kernel.key, named), _tuned(named))


def _tuned(named: Mapping[str, float]) -> dict[str, float]:
    return {table.partition(".")[2]: value for table, value in named.items() if table.startswith("tuning.")}


def _loosest(frees: Sequence[Free], solution: _Solution) -> str | None:
    """The parameter that the data fixes least, if it does not fix it; an efficiency may be fixed at its end."""
    worst, name = LOOSE, None
    for free, value, deviation in zip(frees, solution.values, solution.deviations, strict=True):
        nothing = value <= 1e-3 * free.start and free.absent == 0.0
        ratio = np.inf if nothing else deviation / max(abs(value), 1e-300)
        if ratio > worst:
            worst, name = ratio, free.path
            if nothing:
                break
    return name


def _scored(
    kernel: Kernel, frees: tuple[Free, ...], solution: _Solution, defaults: tuple[str, ...]
) -> Fitted:
    used, scored = kernel.fitted, kernel.fitted & ~kernel.unscored
    if not scored.any():
        scored = used
    by_group = _left_out(kernel, frees, solution, _folds(kernel.groups))
    by_row = _left_out(kernel, frees, solution, _folds([str(i) for i in range(len(used))]))
    measured, roofline = np.log(kernel.measured), np.log(kernel.roofline)
    constant = np.full_like(measured, np.median(measured[used]))
    part = FitPart(
        rows=int(used.sum()), screened=int((~used).sum()), error=_mape(by_group, scored), error_rows=_mape(by_row, scored),
        error_all=_mape(by_group, np.ones_like(used)), constant=_mape(constant - measured, scored),
        roofline=_mape(roofline - measured, scored), sd=_sd(by_group[scored]), coverage=_coverage(by_group[scored]),
        regimes=_regimes(kernel, frees, solution, by_group, scored), parameters=tuple(free.path for free in frees),
        deviations=tuple(_relative(solution)), correlation=tuple(tuple(row) for row in solution.correlation.tolist()),
        defaults=defaults, at_bound=tuple(_at_bound(frees, solution.values)),
    )  # fmt: skip
    return Fitted(kernel, frees, tuple(solution.values.tolist()), part, by_group)


def _mape(logs: Array, mask: Any) -> float:
    """Mean of |predicted / measured - 1| in percent."""
    return float(100.0 * np.mean(np.abs(np.expm1(logs[mask]))))


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


def _folds(groups: Sequence[str]) -> list[Any]:
    """Masks of the rows of each fold: whole groups, shuffled the same way every time."""
    names = sorted(set(groups))
    np.random.default_rng(SEED).shuffle(names)
    fold = {name: i % FOLDS for i, name in enumerate(names)}
    of_row = np.array([fold[group] for group in groups])
    return [of_row == i for i in range(min(FOLDS, len(names)))]


def _left_out(kernel: Kernel, frees: Sequence[Free], solution: _Solution, folds: Sequence[Any]) -> Array:
    """log(predicted / measured) of each row under a fit that never saw its fold."""
    logs = np.full(len(kernel.measured), np.nan)
    for out in folds:
        used = kernel.fitted & ~out
        if used.sum() < len(frees):
            used = kernel.fitted
        values = _solve(kernel, frees, used, solution.values).values
        logs[out] = np.log(_predict(kernel, frees, values)[out] / kernel.measured[out])
    return logs


def _sd(logs: Array) -> float:
    return float(np.sqrt(np.mean(np.square(logs))))


def _coverage(logs: Array) -> float:
    """Share of residuals inside the 90% interval that their own standard deviation gives."""
    return float(np.mean(np.abs(logs) <= INTERVAL * _sd(logs)))


def _regimes(
    kernel: Kernel, frees: Sequence[Free], solution: _Solution, logs: Array, scored: Any
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


def _scipy() -> Any:
    try:
        return import_module("scipy.optimize").least_squares
    except ImportError:
        raise InferBenchError.at(
            "calibrate", "scipy is not installed", "pip install 'inferbench[calibrate]'"
        ) from None
