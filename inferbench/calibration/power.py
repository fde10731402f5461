"""Fit a power model's figures to the mean power of whole steps, by the parameters that the model declares.

Counts are those of the evaluation: what the model applies its energies to. The time is the measured one.
Errors that count are those of networks left out, on all chips that were fitted the same way.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from inferbench.calibration.steps import FOLDS, scipy_optimize
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import Situation, situate
from inferbench.model.case import prepare
from inferbench.model.evaluate import evaluate
from inferbench.model.intervals import INTERVAL, conformal_logs
from inferbench.num import Array, Numeric
from inferbench.records.chip import Chip
from inferbench.records.energy import ActivityCounts
from inferbench.records.fit import FitPart
from inferbench.records.free import Free
from inferbench.records.grid import Grid
from inferbench.records.interfaces import PowerModel
from inferbench.records.measurement import PREFILL, Condition, Measurement
from inferbench.records.run import Run
from inferbench.records.system import System
from inferbench.specs.figures import STEADY, targets
from inferbench.specs.structure import structure

__all__ = ["PowerFit", "Reading", "declared", "fit_power", "readings_of"]

# Errors beyond about this much of a power count linearly, not squared.
SCALE = 0.06


@attrs.frozen(eq=False)
class Reading:
    """Mean power of one step: what happened in it, in the measured time, and the watts of all chips."""

    file: str
    network: str
    counts: ActivityCounts
    system: System
    measured: float

    @property
    def chip(self) -> str:
        """Name of the chip."""
        return self.system.chip.name

    def watts(self, model: PowerModel) -> float:
        """Mean power by a model."""
        return float(np.ravel(np.asarray(model.energy(self.counts, self.system).watts))[0])


@attrs.frozen(eq=False)
class PowerFit:
    """Figures of a power model on one chip, and how well they do.

    Attributes:
        model: The model.
        frees: What was free.
        values: By their tables.
        readings: What was fitted.
        log_error: Log standard error with the network left out, over all chips: its 90% interval holds
            nine in ten.
        error: Mean absolute error of the chip in per cent, networks left out.
        part: How well it does.
    """

    model: PowerModel
    frees: tuple[Free, ...]
    values: Mapping[str, float]
    readings: tuple[Reading, ...]
    log_error: float
    error: float
    part: FitPart


def readings_of(
    rows: Sequence[tuple[str, Measurement]],
    chips: Sequence[str],
    software: Sequence[str],
    stack: str,
    registry: Registry,
    precisions: Sequence[str] = (),
) -> tuple[list[Reading], dict[str, int]]:
    """Turn rows with a power of all chips into readings.

    Args:
        rows: Each with its file's name.
        chips: Whose rows to take.
        software: Beginnings of the software's names; none: all.
        stack: Under which steps are counted; their time is the measured one.
        registry: For aliases, networks and plugins.
        precisions: Precisions to take, as the rows write them; none: all.

    Returns:
        Readings in the order of the rows, and how many rows were not taken, by reason.
    """
    left: Counter[str] = Counter()
    found = []
    for file, m in rows:
        spelled = not precisions or m.precision in precisions
        reading = (
            _reading(file, m, chips, software, stack, registry)
            if spelled
            else f"in {m.precision or 'nothing'}"
        )
        if isinstance(reading, Reading):
            found.append(reading)
        else:
            left[reading] += 1
    return found, dict(left)


def _reading(
    file: str, m: Measurement, chips: Sequence[str], software: Sequence[str], stack: str, registry: Registry
) -> Reading | str:
    """A row's reading, or why it has none."""
    if registry.alias("chips", m.chip) not in chips:
        return f"of the chip {m.chip}"
    if software and not any(m.software.lower().startswith(one.lower()) for one in software):
        return f"under {m.software or 'software that is not named'}"
    if math.isnan(m.power_w) or math.isnan(m.latency_s):
        return "without a time and a power"
    m = _at_mean_length(m)
    s = situate(m, registry, stack)
    if not isinstance(s, Situation):
        return s[1]
    target = next((one for one in targets(m) if one.metric == "power_w" and one.regime in ("", STEADY)), None)
    if s.network is None or target is None:
        return "of no whole step"
    try:
        run = _step(s, target.phase, target.axes, registry, drawn=_said(m, "top_p") < 1.0)
        actions = dict(run.chain["actions"])
        prompt, output = _said(m, "prompt_len"), _said(m, "output_len")
        if target.regime == STEADY and prompt > 0 and output > 0:
            actions["ops"] = actions["ops"] + _prompts(s, prompt, registry) * target.axes["batch"] / output
    except InferBenchError as error:
        return f"not modelled: {error.faults[0].found}"
    counts = ActivityCounts(actions, m.latency_s, s.system.count, run.grid.at.precision, run.formats)
    return Reading(file, s.network.name, counts, s.system, m.power_w)


def _step(
    s: Situation, phase: str, axes: Mapping[str, float], registry: Registry, drawn: bool = False
) -> Run:
    """One step at a point; `drawn`: tokens are drawn by sorting the logits."""
    assert s.network is not None
    options = {**s.options, "top_p": True} if drawn else s.options
    case = prepare(s.system, s.network, phase, stack=s.stack, registry=registry, options=options, reserve=0)
    full = {**case.workload.defaults(s.network, phase), **axes}
    return evaluate(case, Grid.of({name: [value] for name, value in full.items()}, [s.precision]))


def _prompts(s: Situation, prompt: float, registry: Registry) -> Numeric:
    """Operations that a newcomer's prompt takes on all chips. The weights it needs are read for the tokens
    anyway; what it writes is little beside what they read.
    """
    run = _step(s, PREFILL, {"batch": 1.0, "context": prompt}, registry)
    found: Numeric = run.chain["actions"]["ops"]
    return found


def _said(m: Measurement, name: str) -> float:
    """A number beside a row's figures; NaN where it has none."""
    return float(m.extra.get(name) or math.nan)


def _at_mean_length(m: Measurement) -> Measurement:
    """A steady load as its mean step.

    The cache has the prompt, where it is told, and half an answer. As many sequences write a token in a step
    as the rate of tokens times the time per token says; the others that run wait for their prompts.
    """
    output, prompt = _said(m, "output_len"), _said(m, "prompt_len")
    if "context" in m.axes or Condition.STEADY_STATE not in m.conditions or math.isnan(output):
        return m
    axes = {**m.axes, "context": output / 2.0 + (prompt if prompt > 0 else 0.0)}
    writing = m.tokens_per_s * m.latency_s
    if writing > 0:
        axes["batch"] = min(writing, axes.get("batch", writing))
    return attrs.evolve(m, axes=axes)


def fit_power(chip: Chip, readings: Sequence[Reading], registry: Registry) -> PowerFit:
    """Fit the figures that the chip's power model declares; other chips are fitted alike, and count too.

    Args:
        chip: Whose figures are wanted.
        readings: Of this and other chips.
        registry: For power models.

    Raises:
        InferBenchError: No model serves the chip, it declares nothing, or there are too few readings.
    """
    model, frees = declared(chip, registry)
    mine = [reading for reading in readings if reading.chip == chip.name]
    frees = _counted(frees, mine)
    if len(mine) < 2 * len(frees):
        wanted = "; ".join(f"{free.table}: {free.settled}" for free in frees)
        raise InferBenchError.at(
            "--power",
            f"{len(mine)} readings of {chip.name} for {len(frees)} parameters; at least {2 * len(frees)} were"
            " expected",
            f"measure what would settle them ({wanted})",
        )
    logs: dict[str, Array] = {}
    for name in dict.fromkeys([chip.name, *(reading.chip for reading in readings)]):
        some = [reading for reading in readings if reading.chip == name]
        logs[name] = _left_out(registry.chip(name), some, registry)
    pooled = np.concatenate(list(logs.values()))
    networks = [reading.network for name in logs for reading in readings if reading.chip == name]
    own = logs[chip.name]
    part = FitPart(
        rows=len(mine),
        scored=len(mine),
        error=_mape(own),
        error_rows=_mape(_folds(chip, mine, model, frees)),
        constant=_mape(_constant(mine)),
        sd=float(np.std(own)),
        coverage=_coverage(own, [one.network for one in mine], pooled, networks),
    )
    values = _fit(chip, mine, model, frees)
    return PowerFit(model, frees, values, tuple(mine), _width(pooled, networks), part.error, part)


def declared(chip: Chip, registry: Registry, alone: bool = False) -> tuple[PowerModel, tuple[Free, ...]]:
    """The power model of a chip, and what it declares to be fitted; `alone`: to kernels in a loop.

    Raises:
        InferBenchError: No model serves the chip, or it declares nothing.
    """
    model, why = registry.power_model(chip)
    if model is None:
        raise InferBenchError.at(chip.name, why, "give the chip's spec its power limit")
    frees = model.frees(chip, alone)
    if not frees:
        raise InferBenchError.at(
            model.name, "the power model declares nothing to be fitted", "give it `frees` and `under`"
        )
    return model, frees


def _counted(frees: Sequence[Free], some: Sequence[Reading]) -> tuple[Free, ...]:
    """The parameters of which readings say something: those whose action, if they name one, is counted."""
    seen = {action for reading in some for action in reading.counts.actions}
    return tuple(free for free in frees if not free.action or free.action in seen)


def model_with(model: PowerModel, chip: Chip, values: Mapping[str, float]) -> PowerModel:
    """The model with figures by their tables, in SI units."""
    return model.under(chip, structure(nested(values), model.figures, f"figures of {model.name}"))


def nested(values: Mapping[str, float]) -> dict[str, Any]:
    """Tables of what stands under dotted names.

    Example:
        >>> nested({"op": 1e-12, "bytes.hbm": 2e-10})
        {'op': 1e-12, 'bytes': {'hbm': 2e-10}}
    """
    found: dict[str, Any] = {}
    for path, value in values.items():
        table, _, name = path.rpartition(".")
        (found.setdefault(table, {}) if table else found)[name] = value
    return found


def _fit(chip: Chip, some: Sequence[Reading], model: PowerModel, frees: Sequence[Free]) -> dict[str, float]:
    """Least soft-L1 error of log power within the bounds."""
    scale = np.array([free.start for free in frees])
    measured = np.log([reading.measured for reading in some])

    def off(x: Array) -> Array:
        trial = model_with(model, chip, _values(frees, x * scale))
        return np.asarray(np.log([reading.watts(trial) for reading in some]) - measured)

    low, high = (np.array([getattr(free, end) for free in frees]) / scale for end in ("low", "high"))
    found = scipy_optimize("least_squares")(
        off, np.ones(len(frees)), bounds=(low, high), loss="soft_l1", f_scale=SCALE, xtol=1e-12, ftol=1e-12
    )
    return _values(frees, found.x * scale)


def _values(frees: Sequence[Free], x: Array) -> dict[str, float]:
    return {free.table: float(value) for free, value in zip(frees, x, strict=True)}


def _left_out(chip: Chip, some: Sequence[Reading], registry: Registry) -> Array:
    """log(predicted / measured) of every reading by the fit on other networks; of one network, of folds."""
    model, frees = declared(chip, registry)
    frees = _counted(frees, some)
    names = sorted({reading.network for reading in some})
    if len(names) < 2:
        return _folds(chip, some, model, frees)
    logs = np.empty(len(some))
    for name in names:
        rest = [reading for reading in some if reading.network != name]
        trial = model_with(model, chip, _fit(chip, rest, model, frees))
        for i, reading in enumerate(some):
            if reading.network == name:
                logs[i] = math.log(reading.watts(trial) / reading.measured)
    return logs


def _folds(chip: Chip, some: Sequence[Reading], model: PowerModel, frees: Sequence[Free]) -> Array:
    """The same by the fit on four fifths of the readings."""
    logs = np.empty(len(some))
    for fold in range(min(FOLDS, len(some))):
        rest = [reading for i, reading in enumerate(some) if i % FOLDS != fold]
        trial = model_with(model, chip, _fit(chip, rest, model, frees))
        for i, reading in enumerate(some[fold::FOLDS]):
            logs[fold + FOLDS * i] = math.log(reading.watts(trial) / reading.measured)
    return logs


def _constant(some: Sequence[Reading]) -> Array:
    """Logs of the geometric mean of a chip's power on other networks, over what was measured."""
    logs = np.log([reading.measured / reading.system.count for reading in some])
    names = np.array([reading.network for reading in some])
    found = np.full(len(some), np.nan)
    for name in set(names.tolist()):
        if not np.all(names == name):
            found[names == name] = logs[names != name].mean() - logs[names == name]
    return np.asarray(found[np.isfinite(found)])


def _coverage(own: Array, names: Sequence[str], pooled: Array, networks: Sequence[str]) -> float:
    """Share of a chip's readings in 90% intervals whose width comes from other networks' errors alone."""
    of = np.array(networks)
    hits = []
    for log, name in zip(own.tolist(), names, strict=True):
        others = pooled[of != name]
        if len(others):
            hits.append(abs(log) <= INTERVAL * _width(others, [one for one in networks if one != name]))
    return float(np.mean(hits)) if hits else math.nan


def _width(logs: Array, networks: Sequence[str]) -> float:
    """Log standard error of another network's power: its 90% interval holds nine in ten of these errors,
    stretched as there are few networks.
    """
    few = math.sqrt(1.0 + 1.0 / len(set(networks)))
    return few * max(_rms(logs), conformal_logs(logs) / INTERVAL)


def _rms(logs: Array) -> float:
    return float(np.sqrt(np.mean(np.square(logs))))


def _mape(logs: Array) -> float:
    """Mean absolute error in per cent; NaN of no readings."""
    return 100.0 * float(np.mean(np.abs(np.expm1(logs)))) if len(logs) else math.nan
