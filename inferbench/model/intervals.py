"""How far a prediction under a fitted stack may be off: residuals in quadrature, wider outside the fitted
box.

A step's logarithm has the standard error `sqrt(sum_i (share_i s_i)^2 + s_step^2 + s_outside^2)`: kernels
of different shape err independently, repeats of one shape together. Kinds of kernels that a stack has no
figure of run at the roofline, which no software beats: they are all taken at the upper end of what
kernels do (`together`), and the interval is as wide below, where nothing lies. `s_step` is what a whole
step has beside its kernels (a stated 0.15 where only kernels were fitted). Nine in ten figures are then
within `exp(-1.645 s)` and `exp(1.645 s)` times the prediction. No schedule beats the bound, so an
interval of time ends there.

Energy is `E = P0 t + E_dyn`, mean power `P = P0 + E_dyn / t`. With w = P0 t / E, the share of the energy
that time alone costs, an error s of log t moves log E by w s and log P by (1 - w) s, the other way; what
the coefficients leave open at the true t moves both alike. The two are joined in quadrature. Power never
exceeds the limit, nor energy the limit times the longest t; at the limit energy is the limit times t, so
there w is 1 for the energy. Under the ideal stack nothing has an interval: its figures are bounds, which
no measurement is expected around, and what their coefficients rest on stands beside them in words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inferbench.model.case import Case
from inferbench.model.fitted_on import fitted_on
from inferbench.num import Array, Mask, Numeric, grown
from inferbench.records.energy import Energy
from inferbench.records.grid import Point
from inferbench.records.run import Metric, Run

__all__ = [
    "INTERVAL",
    "ISOLATED",
    "LEVEL",
    "bounds",
    "conformal",
    "conformal_logs",
    "ends",
    "energy_log_errors",
    "error_of",
    "factors",
    "covered",
    "inside",
    "longest",
    "outside",
    "slower",
    "log_error",
    "step_log_errors",
    "together",
]

# What a metric may be the inverse of.
INVERSE = {"rate": "time", "per_energy": "energy", "per_wall_energy": "wall_energy"}
LEVEL = 0.90
INTERVAL = 1.6448536269514722  # standard errors of a normal distribution: 5% lie above, 5% below
# Outside the box. An unseen chip, precision or phase errs like a neighbour's stack, not like its own
# residuals: stacks of one chip differ by a quarter to a third on the same work. Along an axis trust is lost
# per doubling beyond the edge.
UNSEEN = 0.25
PER_DOUBLING = 0.10
# A stack without a step residual was fitted on kernels alone and knows nothing of what runs them. On the
# same kernels (Llama 3 8B, one token at 2,048 of context, H100: 6.30 ms) tensorrt-llm-h100 says 7.40 ms and
# vllm-h100 7.96 ms: 0.16 and 0.23 in logs. 90% reach the farther one at 0.23 / 1.645 = 0.14, rounded up.
HOSTLESS = 0.15
# A stack fitted on so few rows that none could be left out has no residual of its own. On one chip times
# differ by 0.30 in logs from network to network and by 0.25 from one version of software to the next
# (class-any, steps of one token): 0.39 together.
LONE = 0.39
# A point is outside if operators outside their boxes take more than this part of its step. Each is given
# 0.25 more: below a tenth the step moves by less than 0.025, which is less than any stack's own residual.
# What errs more counts as much more.
MATERIAL = 0.10
# A kernel alone in a loop draws other power than an application at the same counts. 933 trusted readings of
# the B200 (ai-dynamo/aiconfigurator) against energies of decoding: an rms of 0.63 in logs; products 0.46,
# attention over prompts 0.74.
ISOLATED = 0.63


def log_error(case: Case, at: Point, kernels: Numeric) -> Numeric:
    """Log standard error of a step's time at the points of a grid; NaN under a stack that was not fitted.

    Args:
        case: With the stack.
        at: The points.
        kernels: Relative standard error of the sum of all kernels.

    Returns:
        Broadcastable to the grid.
    """
    fit = case.stack.fit
    if not fit.rows:
        return np.asarray(np.nan)
    if np.isnan(fit.step) and np.isnan(fit.kernel) and not fit.kernels:
        return np.hypot(LONE, outside(case, at))
    step = fit.steps.get(case.phase.name, HOSTLESS if np.isnan(fit.step) else fit.step)
    return np.sqrt(np.square(kernels) + step**2 + np.square(outside(case, at)))


def outside(case: Case, at: Point) -> Numeric:
    """Log standard error added outside the box in which the stack was fitted; 0 inside.

    0.25 for each of an unseen chip, precision or phase, 0.1 per doubling beyond an axis (or what the stack's
    own rows showed) or a number of chips, in quadrature; for a chip of another vendor, where none of the
    kernels is one that was fitted, the time model's error of such kernels.

    Example:
        Batch 128 where 64 was the largest: one doubling, 0.1.
    """
    domain = case.stack.domain
    total: Numeric = 0.0
    if domain.chips and case.chip.name not in domain.chips:
        total = total + (UNSEEN if _kindred(case) else case.stack.unfitted.kernel) ** 2
    if domain.counts:
        least, most = domain.counts[0], domain.counts[-1]
        beyond = np.log2(max(case.system.count / most, least / case.system.count, 1.0))
        total = total + np.square(PER_DOUBLING * beyond)
    if domain.phases and case.phase.name not in domain.phases:
        total = total + UNSEEN**2
    if domain.precisions:
        unseen = at.precision.along_axis(
            [float(name not in domain.precisions) for name in at.precision.names]
        )
        total = total + UNSEEN**2 * unseen
    for axis, (low, high) in domain.axes.items():
        if axis in at.coordinates:
            value = np.maximum(np.asarray(at[axis]), 1e-300)
            below, above = domain.widening.get(axis, (PER_DOUBLING, PER_DOUBLING))
            total = total + np.square(below * np.log2(np.maximum(low / value, 1.0)))
            total = total + np.square(above * np.log2(np.maximum(value / max(high, 1e-300), 1.0)))
    return np.sqrt(total)


def _kindred(case: Case) -> bool:
    """Whether the stack was fitted on a chip of the same vendor, or on none that is installed."""
    known = [chip.vendor for chip in fitted_on(case.stack, case.registry)]
    return not known or case.chip.vendor in known


def step_log_errors(
    case: Case, at: Point, time: Numeric, energy: Energy, waiting: Numeric
) -> tuple[Numeric, Numeric]:
    """Log standard errors of a step's mean power and of its energy.

    A stack with energies of its own brings both, from steps that were predicted whole; outside its box
    they widen by the rule of times (`outside`). For any other the power model's error is joined with the
    time's.

    Args:
        case: With a stack that was fitted.
        at: The points.
        time: Log standard error of the duration.
        energy: What the power model answered.
        waiting: Joules that passing time alone costs.
    """
    fit = case.stack.fit
    if np.isnan(fit.energy):
        return energy_log_errors(time, energy, waiting, case.chip.power.tdp * case.system.count)
    beyond = outside(case, at)
    return np.hypot(fit.power, beyond), np.hypot(fit.energy, beyond)


def energy_log_errors(
    time: Numeric, energy: Energy, waiting: Numeric, limit: float
) -> tuple[Numeric, Numeric]:
    """Log standard errors of mean power and of energy.

    Args:
        time: Log standard error of the duration.
        energy: Joules, watts and the coefficients' own error.
        waiting: Joules that passing time alone costs; where not known, the whole error of time counts for
            both.
        limit: Watts at most, all chips together; NaN: none is known.

    Returns:
        Of power, of energy; NaN where either error is.

    Example:
        128 J of 400 J are baseline: 10% in time move energy by 3.2%, power by 6.8%; with 6% of the
        coefficients' own.

        >>> one = Energy(400.0, 400.0, log_error=0.06)
        >>> [round(float(s), 4) for s in energy_log_errors(0.10, one, 128.0, 700.0)]
        [0.0907, 0.068]
    """
    share = waiting / np.where(np.asarray(energy.joules) > 0, energy.joules, 1.0)
    known = np.isfinite(share)
    capped = np.asarray(energy.watts) >= limit * (1.0 - 1e-9)
    of_power = np.where(known, 1.0 - share, 1.0)
    of_energy = np.where(known & ~capped, share, 1.0)
    return np.hypot(of_power * time, energy.log_error), np.hypot(of_energy * time, energy.log_error)


def inside(case: Case, at: Point) -> Mask:
    """Whether points lie in the box in which the stack was fitted."""
    return np.asarray(outside(case, at)) <= 0.0


def conformal(errors: Sequence[float], groups: int) -> float:
    """Half width in logs of a 90% interval, from the errors of rows whose whole group took no part in the
    fit.

    Split-conformal (Vovk et al. 2005): the `(n + 1) 0.9`-th smallest absolute error of n. It is stretched by
    `sqrt(1 + 1/g)` for g groups: a further network differs from the mean of the g as they differ among each
    other.

    Args:
        errors: Predicted over measured, less one.
        groups: Networks that the rows are of.

    Example:
        Nine errors of 0 and one of 0.2, ten networks: rank 10 of 10.

        >>> round(conformal([0.0] * 9 + [0.2], 10), 4)
        0.1912
    """
    logs = np.log1p(np.asarray(errors, dtype=np.float64))
    return float(conformal_logs(logs) * np.sqrt(1.0 + 1.0 / groups))


def conformal_logs(logs: Array) -> float:
    """The `(n + 1) 0.9`-th smallest of n absolute residuals; of fewer than nine the largest.

    Example:
        >>> conformal_logs(np.array([0.1] * 8 + [-0.3]))
        0.3
    """
    some = np.sort(np.abs(logs))
    return float(some[min(len(some), int(np.ceil((len(some) + 1) * LEVEL))) - 1])


def covered(errors: Sequence[float], groups: Sequence[str]) -> Array:
    """Which errors lie in 90% intervals that are made of the errors of all other groups: an interval's honest
    test.

    Args:
        errors: Predicted over measured, less one, of rows whose group took no part in the fit.
        groups: What each row is of.

    Returns:
        Booleans of shape (rows,).

    Example:
        What a network errs by holds the other's only if that one errs no more.

        >>> covered([0.1, 0.1, 0.5], ["a", "a", "b"]).tolist()
        [True, True, False]
    """
    of, found = np.asarray(groups), np.asarray(errors, dtype=np.float64)
    inside = np.zeros(len(found), dtype=bool)
    for group in set(groups):
        others = of != group
        wide = conformal(found[others].tolist(), len(set(of[others].tolist())))
        inside[~others] = np.abs(np.log1p(found[~others])) <= wide
    return inside


def bounds(run: Run, of: str = "time") -> tuple[Array, Array]:
    """Factors on a figure between which nine in ten measured ones lie; 1 and 1 would be certainty, NaN is
    unknown.

    Args:
        run: With its standard errors.
        of: `time` (never below the bound), `power` (never above the power limit), `energy` (never above the
            limit for the longest time), `wall_power` or `wall_energy`.

    Returns:
        Low and high, each of the run's full shape.

    Example:
        A standard error of 0.04 gives 0.936 and 1.068.
    """
    if of in ("wall_power", "wall_energy"):
        return _at_wall(run, of)
    log_errors = {"time": run.log_error, "power": run.power_log_error, "energy": run.energy_log_error}
    log_error = run.values(log_errors[of])
    if of == "time":
        low, high = ends(log_error)
        least = run.values(run.bound_seconds) / run.values(run.seconds)
        return np.where(least <= 1.0, np.maximum(low, least), low), high
    room = run.system.chip.power.tdp * run.system.count / run.values(run.energy.watts)
    return ends(log_error, room if of == "power" else longest(room, run.values(run.log_error)))


def _at_wall(run: Run, of: str) -> tuple[Array, Array]:
    """Factors on watts or joules at the wall: fixed watts cost joules as time does, the rest errs as the
    chips' own figure; what the server's line errs by is joined in quadrature.
    """
    share = run.values(run.system.boards_share(run.energy.watts, run.energy.limit))
    inner = bounds(run, "power" if of == "wall_power" else "energy")
    fixed: tuple[Numeric, Numeric] = (1.0, 1.0) if of == "wall_power" else bounds(run, "time")
    low, high = (np.log((1.0 - share) * a + share * b) for a, b in zip(fixed, inner, strict=True))
    wide = INTERVAL * run.system.wall_log_error
    return np.exp(-np.hypot(low, wide)), grown(np.hypot(high, wide))


def factors(metric: Metric, run: Run) -> tuple[Array, Array]:
    """Factors on a metric between which nine in ten measured ones lie, over the full grid.

    A rate errs as the time does, the other way round; what is per joule as the energy does. A range of a
    price is joined in quadrature of logs: the price says nothing of the time.

    Args:
        metric: One that declares whose error it has.
        run: With its standard errors.

    Example:
        >>> import inferbench as ib
        >>> run = ib.run("h100@best", "llama3-8b/decode")
        >>> (slow, _), (_, fast) = (factors(run.metrics()[name], run)
        ...     for name in ("tpot_s", "tokens_per_s_per_user"))
        >>> round(float(slow.ravel()[0] * fast.ravel()[0]), 12)
        1.0
    """
    if metric.interval is None:
        return run.values(np.nan), run.values(np.nan)
    inverse = metric.interval in INVERSE
    low, high = bounds(run, INVERSE.get(metric.interval, metric.interval))
    with np.errstate(divide="ignore"):  # an end that is infinite stands beside one at zero
        if inverse:
            low, high = 1.0 / high, 1.0 / low
        if metric.spec_range is None:
            return low, high
        cheap, dear = (np.log(run.values(one)) for one in metric.spec_range(run))
        return np.exp(-np.hypot(np.log(low), cheap)), grown(np.hypot(np.log(high), dear))


def error_of(low: Numeric, high: Numeric) -> Array:
    """Log standard error that the ends of a 90% interval say: of the wider side, as the other may be cut at
    what is possible.

    Args:
        low, high: Factors on the figure.

    Example:
        >>> round(float(error_of(0.5, 1.2)), 3)
        0.421
    """
    sides = np.abs(np.log(np.asarray(low))), np.abs(np.log(np.asarray(high)))
    wide: Array = np.maximum(*sides) / INTERVAL
    return wide


def longest(room: Numeric, log_error: Numeric) -> Numeric:
    """Largest factor on an energy: the power limit, so many times the watts, for as long as the time's
    interval reaches.
    """
    return room * grown(INTERVAL * np.asarray(log_error, dtype=np.float64))


def slower(shared: Numeric) -> Numeric:
    """How much of its time an operator may take in addition, at the upper end of an error that it shares with
    others.
    """
    return np.expm1(INTERVAL * np.asarray(shared)) if np.any(shared) else 0.0


def together(own: Numeric, slower: Numeric) -> Numeric:
    """Log standard error of a sum of kernels.

    Args:
        own: What errs independently, in quadrature, as a share of the sum.
        slower: What all operators without a figure add together at the upper end of their intervals, as a
            share of the sum: they are off the same way, and by factors, so that it is the sum's logarithm
            that counts.

    Example:
        Half of a step at the roofline, where nine in ten kernels take up to ten times as long: 5.5 times, ln
        5.5 / 1.645.

        >>> round(float(together(0.0, 0.5 * 9.0)), 3)
        1.036
    """
    return np.hypot(own, np.log1p(slower) / INTERVAL) if np.any(slower) else own


def ends(log_error: Numeric, most: Numeric = np.nan) -> tuple[Array, Array]:
    """Low and high factor of a 90% interval from a log standard error.

    Args:
        log_error: Log standard error; NaN is unknown.
        most: Largest factor that is possible at all; NaN: any.

    Example:
        >>> low, high = ends(0.1, 1.05)
        >>> round(float(low), 3), float(high)
        (0.848, 1.05)
    """
    wide = grown(INTERVAL * np.asarray(log_error, dtype=np.float64))
    possible = np.where(np.isnan(most), np.inf, np.maximum(most, 1.0))
    return 1.0 / wide, np.minimum(wide, possible)
