"""How likely a limit is met, and how likely one system beats another, under the model's intervals.

A figure's logarithm is taken as normal around its expected value, with the standard error from which its 90%
interval is made. A limit beyond the bound is never met. A bound itself has no interval: no chance can be said
of it, and it is never ranked.
"""

from __future__ import annotations

import math

import numpy as np

from inferbench.model.intervals import INTERVAL, error_of, factors
from inferbench.num import Array
from inferbench.records.run import Metric, Run

__all__ = ["beats", "log_error_of", "meets", "normal"]


def normal(deviations: Array | float) -> Array:
    """The standard normal distribution function.

    Example:
        >>> [round(float(p), 3) for p in normal(np.array([-1.6448536, 0.0, 1.0]))]
        [0.05, 0.5, 0.841]
    """
    values = np.asarray(deviations, dtype=np.float64)
    flat = [0.5 * math.erfc(-value / math.sqrt(2.0)) for value in values.ravel().tolist()]
    return np.asarray(flat).reshape(values.shape)


def log_error_of(metric: Metric, run: Run) -> Array:
    """Log standard error of a metric over the full grid; NaN where there is none.

    Example:
        >>> import inferbench as ib
        >>> run = ib.run("h100@ideal", "llama3-8b/decode")
        >>> bool(np.isnan(log_error_of(run.metrics()["tpot_s"], run)).all())
        True
    """
    low, high = factors(metric, run)
    if _of_time(metric):  # the bound may have cut one side
        return error_of(low, high)
    error: Array = np.log(np.asarray(high) / np.asarray(low)) / (2.0 * INTERVAL)
    return error


def meets(metric: Metric, run: Run, limit: float) -> Array:
    """Probability that a metric is at its limit or on its better side, over the full grid.

    Args:
        metric: One of which more or less is better.
        run: Under software with an interval.
        limit: In the metric's unit.

    Returns:
        NaN where the point is infeasible, the figure not known, or without an interval.

    Example:
        A limit at the expected value is met with even odds.

        >>> import inferbench as ib
        >>> run = ib.run("h100@best", "llama3-8b/decode")
        >>> tpot = run.metrics()["tpot_s"]
        >>> round(float(meets(tpot, run, float(run["tpot_s"][0, 0, 0])).ravel()[0]), 3)
        0.5
    """
    sign = -1.0 if metric.better == "higher" else 1.0
    room = sign * np.log(limit / _values(metric, run))
    beyond = room < np.log(run.values(run.bound_seconds) / run.values(run.seconds))
    found = _chance(room, log_error_of(metric, run))
    return np.where(beyond & np.isfinite(found), 0.0, found) if _of_time(metric) else found


def beats(metric: Metric, one: Run, other: Run) -> Array:
    """Probability that a metric of one run is better than that of another, errors independent.

    Args:
        metric: One of which more or less is better.
        one, other: Over grids of one shape.

    Example:
        >>> import inferbench as ib
        >>> slow, fast = (ib.run(f"{chip}@best", "llama3-8b/decode") for chip in ("a100-sxm-80gb", "b200"))
        >>> bool(beats(fast.metrics()["tpot_s"], fast, slow).ravel()[0] > 0.9)
        True
    """
    sign = -1.0 if metric.better == "higher" else 1.0
    distance = sign * np.log(_values(metric, other) / _values(metric, one))
    return _chance(distance, np.hypot(log_error_of(metric, one), log_error_of(metric, other)))


def _of_time(metric: Metric) -> bool:
    """Whether a metric errs as the time does and by nothing else: it ends where the bound puts it."""
    return metric.interval in ("time", "rate") and metric.spec_range is None


def _values(metric: Metric, run: Run) -> Array:
    values = np.asarray(run.values(metric.of(run)), dtype=np.float64)
    return np.where(run.values(run.feasible) & (values > 0), values, np.nan)


def _chance(distance: Array, error: Array) -> Array:
    found = normal(distance / np.where(np.asarray(error) > 0, error, np.nan))
    return np.where(np.isfinite(distance) & np.isfinite(error), found, np.nan)
