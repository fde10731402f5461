"""Fit what whole steps add to their kernels: host time, the share of kernels without a figure, energy.

Host time per pass and per sequence enters linearly: a non-negative least-squares problem on relative errors,
solved again with the weights of a soft-L1 loss until it stands. Host time per kernel and the share of the
bandwidth are searched on a grid by soft-L1 of the log error: no start, no local minimum. Errors that count
are those of networks left out of the fit, on all chips that were fitted the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import attrs
import numpy as np

from inferbench.calibration.forms import ENERGY, SHARE
from inferbench.calibration.line import Line
from inferbench.errors import InferBenchError
from inferbench.model.intervals import INTERVAL, PER_DOUBLING, UNSEEN, conformal, covered
from inferbench.num import Array
from inferbench.records.fit import FitPart
from inferbench.records.free import Free
from inferbench.records.host import Host
from inferbench.records.overlap import power_sum

__all__ = ["FOLDS", "StepFit", "Values", "fit_step", "scipy_optimize"]

# Errors beyond about this much of a time count linearly, not squared.
SCALE = 0.05
ROUNDS = 30
FOLDS = 5
# Octaves at either end of an axis that are left out to see how errors grow beyond it.
REACH = 2.0
LINEAR = ("host.step", "host.sequence", "host.gap", "host.exchange", "host.eager")
Values = Mapping[str, float]


@attrs.frozen(eq=False)
class Unseen:
    """A figure as predicted by the fits on the other networks; watts are at the predicted seconds."""

    line: Line
    seconds: float
    watts: float

    @property
    def time(self) -> float:
        """Error of the time."""
        return self.seconds / self.line.measured - 1.0

    @property
    def power(self) -> float:
        """Error of mean power."""
        assert self.line.power is not None
        return self.watts / self.line.power.measured - 1.0

    @property
    def joules(self) -> float:
        """Error of energy."""
        assert self.line.power is not None
        return self.watts * self.seconds / (self.line.power.measured * self.line.measured) - 1.0


@attrs.frozen(eq=False)
class StepFit:
    """Parameters of a step on one chip, and how well they do.

    Attributes:
        chip: Whose stack it is.
        lines: What was fitted; of other chips too, where they share its parameters.
        frees: Parameters.
        values: By their paths.
        step: Log standard error of a whole step of another network.
        power, energy: The same of mean power and of joules; NaN where no energy was fitted.
        error: Mean absolute error in per cent, networks left out; of one network, a fifth of its rows.
        parts: By phase, and by phase and figure (`image.power`).
        unseen: Every line of all chips by the fits on other networks.
        widening: Axis to the log standard errors that a doubling below and above its range adds.
    """

    chip: str
    lines: tuple[Line, ...]
    frees: tuple[Free, ...]
    values: Values
    step: float
    power: float
    energy: float
    error: float
    parts: Mapping[str, FitPart]
    unseen: tuple[Unseen, ...]
    widening: Mapping[str, tuple[float, float]] = attrs.field(factory=dict)


def fit_step(chip: str, lines: Sequence[Line], frees: Sequence[Free], joined: Sequence[str] = ()) -> StepFit:
    """Fit the lines of one chip; lines of other chips are fitted alike, and their errors count too.

    Args:
        chip: Whose parameters are wanted.
        lines: Of this and other chips.
        frees: From `step_form`.
        joined: Chips whose lines are fitted together with this one's. A network that is left out is left out
            on all of them.

    Raises:
        InferBenchError: Fewer than two rows of the chip per parameter, or parameters that can't be fitted
            together.
    """
    together = {chip, *joined}
    mine = [line for line in lines if line.chip in together]
    _enough(mine, frees)
    pooled = _unseen(mine, frees)
    for name in sorted({line.chip for line in lines} - together):
        pooled += _unseen([line for line in lines if line.chip == name], frees)
    values = _fit(mine, frees)
    own = [one for one in pooled if one.line.chip == chip]
    networks = len({one.line.network for one in pooled})
    spent = [one for one in pooled if one.line.power is not None] if ENERGY in frees else []
    step, power, energy = (
        conformal([getattr(one, figure) for one in some], len({one.line.network for one in some})) / INTERVAL
        if some
        else math.nan
        for figure, some in (("time", pooled), ("power", spent), ("joules", spent))
    )
    error = 100.0 * float(np.mean([abs(one.time) for one in own]))
    parts = _parts(mine, own, pooled, frees, networks)
    if networks < 2:
        step = math.hypot(step, UNSEEN)  # what another network adds was not seen
    wider = {"batch": _widening(mine, frees, "batch")} if any(_looped(line) for line in mine) else {}
    return StepFit(
        chip, tuple(mine), tuple(frees), values, step, power, energy, error, parts, tuple(pooled), wider
    )


def _looped(line: Line) -> bool:
    return not math.isnan(line.together)


def _widening(lines: Sequence[Line], frees: Sequence[Free], axis: str) -> tuple[float, float]:
    """Log standard errors per doubling below and above the range of an axis: by how much rows of the two
    octaves at an end are further off than the others, by the fit on the others.
    """
    at = np.log2([line.axes[axis] for line in lines])
    found = []
    for side in (at - at.min(), at.max() - at):
        out = side < REACH
        if not out.any() or out.sum() > len(lines) // 2:
            found.append(PER_DOUBLING)
            continue
        values = _fit([line for line, one in zip(lines, out, strict=True) if not one], frees)
        logs = np.log([_seconds(line, values) / line.measured for line in lines])
        excess = np.mean(logs[out] ** 2) - np.mean(logs[~out] ** 2)
        found.append(math.sqrt(max(float(excess), 0.0)) / float(np.mean(REACH - side[out])))
    return found[0], found[1]


def _enough(lines: Sequence[Line], frees: Sequence[Free]) -> None:
    times = [free for free in frees if free is not ENERGY]
    wanted = "; ".join(f"{free.table}: {free.settled}" for free in frees)
    if len(lines) < 2 * max(len(times), 1):
        raise InferBenchError.at(
            "--serving",
            f"{len(lines)} rows for {len(times)} parameters; at least {2 * len(times)} were expected",
            f"measure what would settle them ({wanted})",
        )
    if ENERGY in frees and not any(line.power for line in lines):
        raise InferBenchError.at("--free energy.ops", "no row has a power that is modelled", ENERGY.settled)


def _fit(lines: Sequence[Line], frees: Sequence[Free]) -> Values:
    """All parameters, by their paths."""
    times = [free for free in frees if free is not ENERGY]
    names = {free.table for free in times}
    if not times:
        found: dict[str, float] = {}
    elif names <= set(LINEAR):
        found = _linear(lines, times)
    elif names.isdisjoint(LINEAR):
        found = _searched(lines, times)
    else:
        raise InferBenchError.at(
            "--free", f"{', '.join(names)} can't be told from each other", f"fit {' and '.join(LINEAR)} alone"
        )
    if ENERGY in frees:
        found[ENERGY.path] = _factor([line for line in lines if line.power is not None])
    return found


def _linear(lines: Sequence[Line], frees: Sequence[Free]) -> dict[str, float]:
    """Non-negative least squares on relative errors, soft-L1 by reweighting."""
    counts = {
        "host.step": [line.passes for line in lines],
        "host.sequence": [line.passes * line.batch for line in lines],
        "host.gap": [line.kernels - line.joined for line in lines],
        "host.exchange": [line.exchanges for line in lines],
        "host.eager": [line.eager for line in lines],
    }
    measured = np.array([line.measured for line in lines])
    a = np.stack([np.array(counts[free.table]) for free in frees], axis=1) / measured[:, None]
    b = 1.0 - np.array([float(line.seconds[-1]) for line in lines]) / measured
    weights, x = np.ones(len(lines)), np.zeros(len(frees))
    solve = scipy_optimize("nnls")
    for _ in range(ROUNDS):
        root = np.sqrt(weights)
        x = solve(a * root[:, None], b * root)[0]
        weights = 1.0 / np.sqrt(1.0 + ((a @ x - b) / SCALE) ** 2)
    return {free.path: float(value) for free, value in zip(frees, x, strict=True)}


def _searched(lines: Sequence[Line], frees: Sequence[Free]) -> dict[str, float]:
    """The point of least soft-L1 error on a grid of shares and of seconds per kernel."""
    kernel = next((free for free in frees if free is not SHARE), None)
    shares = SHARE.values if SHARE in frees else np.ones(1)
    taus = kernel.values if kernel else np.zeros(1)
    total = np.zeros((len(shares), len(taus)))
    for line in lines:
        t = line.at(shares)[:, None] if SHARE in frees else np.full((1, 1), line.seconds[-1])
        modelled = power_sum([t, line.kernels * taus[None, :]], Host().overlap)
        error = np.log(modelled / line.measured) / SCALE
        total += np.sqrt(1 + error**2) - 1
    i, j = np.unravel_index(np.argmin(total), total.shape)
    found = {SHARE.path: float(shares[i])} if SHARE in frees else {}
    return {**found, kernel.path: float(taus[j])} if kernel else found


def _factor(lines: Sequence[Line]) -> float:
    """Factor on the energy of an operation of least soft-L1 error, at the measured times."""
    factors = ENERGY.values
    total = np.zeros(len(factors))
    for line in lines:
        assert line.power is not None
        modelled = np.array([line.power.watts(factor, line.measured) for factor in factors.tolist()])
        total += np.sqrt(1 + (np.log(modelled / line.power.measured) / SCALE) ** 2) - 1
    return float(factors[int(np.argmin(total))])


def _seconds(line: Line, values: Values) -> float:
    """What the fit predicts."""
    t = float(line.seconds[-1])
    if SHARE.path in values:
        t = float(line.at(np.array([values[SHARE.path]]))[0])
    host = Host(**{path.partition(".")[2]: v for path, v in values.items() if path.startswith("host.")})
    return float(host.add(t, line.kernels, line.passes, line.batch, line.exchanges, line.eager, line.joined))


def _predicted(line: Line, values: Values) -> Unseen:
    seconds = _seconds(line, values)
    known = line.power is not None and ENERGY.path in values
    watts = line.power.watts(values[ENERGY.path], seconds) if known and line.power else math.nan
    return Unseen(line, seconds, watts)


def _unseen(lines: Sequence[Line], frees: Sequence[Free]) -> list[Unseen]:
    """Every line by the fit on the other networks; of one network, by the fit on four fifths of its rows."""
    networks = sorted({line.network for line in lines})
    if len(networks) < 2:
        return _folds(lines, frees)
    found = []
    for network in networks:
        values = _fit([line for line in lines if line.network != network], frees)
        found += [_predicted(line, values) for line in lines if line.network == network]
    return found


def _folds(lines: Sequence[Line], frees: Sequence[Free]) -> list[Unseen]:
    """Every line by the fit on four fifths of the rows, its own fifth left out."""
    found = []
    for fold in range(min(FOLDS, len(lines))):
        values = _fit([line for i, line in enumerate(lines) if i % FOLDS != fold], frees)
        found += [_predicted(line, values) for line in lines[fold::FOLDS]]
    return found


def _parts(
    lines: Sequence[Line], own: Sequence[Unseen], pooled: Sequence[Unseen], frees: Sequence[Free], groups: int
) -> dict[str, FitPart]:
    """How well each phase is met, and its power and energy where they were fitted."""
    random = [one for one in _folds(lines, frees) if one.line.chip == own[0].line.chip]
    several = len({line.network for line in lines}) > 1
    found = {}
    for phase in dict.fromkeys(one.line.phase for one in own):
        here = [one for one in own if one.line.phase == phase]
        others = [one for one in random if one.line.phase == phase]
        found[phase] = _part(here, others, _inside(here, pooled, "time", groups), several)
    if ENERGY in frees:
        spent = [one for one in pooled if one.line.power is not None]
        for phase in tuple(found):
            some = [one for one in own if one.line.phase == phase and one.line.power is not None]
            for figure in ("power", "joules") if some else ():
                errors = np.array([getattr(one, figure) for one in some])
                found[f"{phase}.{figure}"] = FitPart(
                    rows=len(some),
                    scored=len(some),
                    error=100.0 * float(np.abs(errors).mean()),
                    sd=float(np.std(np.log1p(errors))),
                    coverage=_inside(some, spent, figure, groups),
                )
    return found


def _part(own: Sequence[Unseen], random: Sequence[Unseen], coverage: float, several: bool) -> FitPart:
    out, rows = (np.array([one.time for one in some]) for some in (own, random))
    measured = np.array([one.line.measured for one in own])
    floor = np.array([one.line.floor for one in own])
    logs = np.log(measured)
    others = np.exp((logs.sum() - logs) / max(len(logs) - 1, 1))
    return FitPart(
        rows=len(own),
        scored=len(own),
        error=_mape(out) if several else math.nan,
        error_rows=_mape(rows),
        roofline=_mape(floor / measured - 1),
        constant=_mape(others / measured - 1) if len(own) > 1 else math.nan,
        sd=float(np.std(np.log1p(out))),
        coverage=coverage,
    )


def _mape(errors: Array) -> float:
    return 100.0 * float(np.abs(errors).mean())


def _inside(some: Sequence[Unseen], pooled: Sequence[Unseen], figure: str, groups: int) -> float:
    """Share of some lines in intervals made of the other networks' errors on all chips; NaN of one."""
    if groups < 2:
        return math.nan
    hits = covered([getattr(one, figure) for one in pooled], [one.line.network for one in pooled])
    chosen = {id(one) for one in some}
    return float(np.mean([hit for one, hit in zip(pooled, hits, strict=True) if id(one) in chosen]))


def scipy_optimize(name: str) -> Any:
    """Return a function of `scipy.optimize`, which is imported when a fit needs it.

    Raises:
        InferBenchError: SciPy is not installed.
    """
    try:
        return getattr(import_module("scipy.optimize"), name)
    except ImportError:
        raise InferBenchError.at(
            "calibrate", "scipy is not installed", "pip install 'inferbench-core[calibrate]'"
        ) from None
