"""The linear board-power model: a baseline, an energy per action, and the power limit as a roofline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

import inferbench as ib
from inferbench_power.coefficients import Coefficients, Own, resolve
from inferbench_power.fitting import Figures, given, kernels_frees, shipped, steps_frees

__all__ = ["Linear"]

ESTIMATED = "coefficients estimated, not calibrated for this chip"
OTHER_WIDTH = "calibrated for 16-bit operations; the energy of narrower ones is estimated"
_CALIBRATED_FORMATS = {"bf16", "fp16"}
_TINY = 1e-300
_BOUNDARIES = {"chip": "chip", "board": "board", "system": "server"}
NINE_IN_TEN = 1.6449  # standard errors on either side
# How far figures are off where nothing fitted them, as log standard errors (docs/explanation/power.md has the
# evidence). The A100's figures give the H100's runs, and the other way round, with an rms of 0.08 and 0.10
# in logs: hardly more than the fits themselves have, but on two chips of one vendor. Classes of process and
# memory gave 0.11 and 0.14 on the same two.
KIN, CLASS = 0.15, 0.25
# Of one action's energy, in proportion to its share of all. Formats: GEMM readings of the B200 put an
# operation of fp8 and fp4 between 0.3 below and 1.9 above what the peak's inverse says. Outside the rates
# of decoding: eager diffusion, one doubling above in operations, spends 2.3 to 2.9 times as much per
# operation, 0.8 to 1.1 in logs.
FORMAT, STRANGE, STRANGE_BYTES, GUESSED = 1.0, 1.0, 0.5, 0.5


class Linear(ib.PowerModel):
    """`P = P0 + (sum of action counts x energy per action) / t`, held below the TDP by stretching t.

    Energy that must be spent however fast makes a chip at its limit take longer: the step lasts `throttle
    = max(1, E_floor / ((TDP - P0) t))` times as long. The fitted energies are those of decoding, where
    much of the chip waits; dense kernels do with less. So E_floor counts with what a GEMM that was
    measured within the limit can have spent at most, and with the memory devices alone; what the fitted
    energies exceed the limit by is cut off. Without calibration E_floor is zero, and so it is for formats
    narrower than 16 bits: a guess slows no chip.

    An operation's energy depends on its compute format: a chip is taken to reach its limit at the peak
    rate of every format, so energies are inverse to the datasheet's rates.

    A chip without a published limit is reckoned with the limit of its class (`limits`), and its standard
    error grows by the class's.

    Figures are of what the spec's limit is of, mostly the board, for all chips of the system.

    Example:
        >>> chip = ib.Chip(name="x", title="X", vendor="V", architecture_type="simt", architecture=None,
        ...                peak={"bf16": 100e12}, power=ib.Power(tdp=400.0, idle=100.0))
        >>> counts = ib.ActivityCounts({"ops": 0.0}, 2.0, 1, ib.Precision.of(["bf16"]), ("bf16",))
        >>> float(Linear().energy(counts, ib.System(chip)).watts[0])
        100.0
    """

    name: ClassVar[str] = "linear"
    title: ClassVar[str] = "baseline and energy per action, capped at the TDP"
    fidelity: ClassVar[int] = 1
    figures: ClassVar[type] = Figures

    def __init__(self, given: Mapping[str, Own] | None = None) -> None:
        self._given: Mapping[str, Own] = given or {}
        self._known: dict[int, tuple[ib.Chip, Coefficients]] = {}

    def frees(self, chip: ib.Chip, alone: bool = False) -> tuple[ib.Free, ...]:
        """Joules per operation and per byte of the main memory; of kernels alone the baseline too."""
        return kernels_frees(chip) if alone else steps_frees(chip)

    def under(self, chip: ib.Chip, figures: Figures) -> Linear:
        """The model with these figures for a chip."""
        return Linear({**self._given, chip.name: given(chip, figures)})

    def fitted(self) -> Mapping[str, tuple[ib.Fit, Mapping[str, float]]]:
        """The chips that were fitted, with their figures."""
        return shipped()

    def accepts(self, chip: ib.Chip) -> str:
        """Decline chips without a power limit and without a rate to estimate one from, and those whose limit
        leaves nothing to work with.

        Example:
            >>> chip = ib.Chip(name="x", title="X", vendor="V", architecture_type="simt", architecture=None,
            ...                power=ib.Power(tdp=600.0, idle=900.0))
            >>> Linear().accepts(chip)
            'idle 900 W is not below the TDP of 600 W'
        """
        c = self.coefficients(chip)
        if math.isnan(c.limit):
            return f"no power figure is published for {chip.title}, and no rate to estimate one from"
        if c.baseline < c.limit:
            return ""
        what = "idle" if c.baseline == chip.power.idle else "baseline"
        limit = "an estimated limit" if c.limit_error else "the TDP"
        return f"{what} {c.baseline:g} W is not below {limit} of {c.limit:g} W"

    def coefficients(self, chip: ib.Chip) -> Coefficients:
        """What is computed with for this chip; resolved once per chip record."""
        known = self._known.get(id(chip))
        if known is None:
            known = self._known[id(chip)] = (chip, resolve(chip, self._given.get(chip.name)))
        return known[1]

    def energy(self, counts: ib.ActivityCounts, system: ib.System) -> ib.Energy:
        """Joules, watts and throttle of a step, shapes as the counts'; all chips together. NaN where it
        declines.
        """
        if declined := self.accepts(system.chip):
            return ib.Energy(math.nan, math.nan, why=declined)
        c = self.coefficients(system.chip)
        formats = counts.formats or ("bf16",) * len(counts.precision.points)
        active = counts.seconds * counts.chips
        parts, unknown = _parts(c, counts, formats)
        dynamic: Any = sum(parts.values(), start=0.0)
        throttle = _throttle(c, counts, formats, (c.limit - c.baseline) * active) if c.floor else 1.0
        baseline = ib.minimum(counts.each("baseline", c.baseline), c.limit)
        room = (c.limit - baseline) * active
        share = ib.minimum(1.0, room * throttle / ib.maximum(dynamic, _TINY))
        parts = {
            "idle": baseline * active * throttle,
            **{name: part * share for name, part in parts.items()},
        }
        joules = parts["idle"] + dynamic * share
        measured = _measured(counts)
        estimated = not measured and (not c.calibrated or not _CALIBRATED_FORMATS.issuperset(formats))
        why = [OTHER_WIDTH if c.calibrated else ESTIMATED] if estimated else []
        why += [_class_limit(c)] if c.limit_error else []
        why += [f"no energy known for {', '.join(unknown)}"] if unknown else []
        return ib.Energy(
            joules=joules,
            watts=joules / (counts.seconds * throttle),
            throttle=throttle,
            why="; ".join(why),
            estimated=estimated or bool(unknown),
            boundary=_BOUNDARIES[system.chip.power.boundary],
            limit=c.limit,
            parts=parts,
        )

    def log_error(self, counts: ib.ActivityCounts, system: ib.System, energy: ib.Energy) -> Any:
        """Log standard error of mean power that the energies leave open at the step's true duration.

        In quadrature: the fit's own on left-out networks (0.11 to 0.13); 0.15 where the figures are a
        sibling's, 0.25 where they are those of a class of process and memory; the class's error where
        the limit is one of a class, as the baseline follows it; and for each action its share of the
        energy times how unsure its energy is: of operations 1.0 in formats other than 16 bits, and up
        to 1.0 outside the rates at which decoding was fitted (reached one doubling beyond), of bytes
        half of it there, 0.5 of whatever no run has ever measured.

        Args:
            counts: As `energy` was given it.
            system: Its chips.
            energy: What it answered.

        Returns:
            As `energy.watts`; NaN where the model declines.

        Example:
            >>> chip = ib.Chip(name="x", title="X", vendor="V", architecture_type="simt", architecture=None,
            ...                peak={"bf16": 100e12}, power=ib.Power(tdp=400.0, idle=100.0))
            >>> counts = ib.ActivityCounts({"ops": 0.0}, 2.0, 1, ib.Precision.of(["bf16"]), ("bf16",))
            >>> model, system = Linear(), ib.System(chip)
            >>> error = model.log_error(counts, system, model.energy(counts, system))
            >>> round(float(error[0]), 2)                      # an idle chip, by the energies of its class
            0.3
        """
        if self.accepts(system.chip):
            return math.nan
        c = self.coefficients(system.chip)
        formats = counts.formats or ("bf16",) * len(counts.precision.points)
        active = counts.seconds * counts.chips
        parts, _ = _parts(c, counts, formats)
        total = counts.each("baseline", c.baseline) * active + sum(parts.values(), start=0.0)
        square: Any = c.log_error**2 + (0.0 if c.calibrated else KIN**2 if c.kin else CLASS**2)
        square = square + c.limit_error**2
        for action, part in parts.items():
            unsure = _unsure(c, action, counts.actions[action], active, counts, formats)
            square = square + np.square(part / total * unsure)
        return np.sqrt(square)


def _class_limit(c: Coefficients) -> str:
    """That the limit is a class's, and how far a chip may be off it, one in ten chips more.

    Example:
        >>> c = Coefficients(calibrated=False, limit=569.0, baseline=142.0, ops={}, bytes={}, actions={},
        ...                  limit_error=0.32)
        >>> _class_limit(c)
        'no TDP is published: 569 W as chips of such rates have, 336 W to 963 W'
    """
    factor = math.exp(NINE_IN_TEN * c.limit_error)
    low, high = (ib.show(watts, "W") for watts in (c.limit / factor, c.limit * factor))
    return f"no TDP is published: {ib.show(c.limit, 'W')} as chips of such rates have, {low} to {high}"


def _unsure(
    c: Coefficients, action: str, count: Any, active: Any, counts: ib.ActivityCounts, formats: tuple[str, ...]
) -> Any:
    """Log standard error of one action's energy per count, beside the fit's own."""
    if action not in c.rates:
        return GUESSED
    low, high = c.rates[action]
    if action == "ops":  # counted as if in 16 bits
        count = count * counts.precision.along_axis(
            [c.ops.get(name, math.nan) / c.ops["bf16"] for name in formats]
        )
    rate = np.log2(
        ib.maximum(count / active, low / 4.0)
    )  # all is said one doubling beyond; nothing has no logarithm
    beyond = ib.minimum(ib.maximum(rate - math.log2(high), math.log2(low) - rate), 1.0)
    strange = ib.maximum(beyond, 0.0) * (STRANGE if action == "ops" else STRANGE_BYTES)
    if action != "ops" or _CALIBRATED_FORMATS.issuperset(formats):
        return strange
    return np.hypot(
        strange, counts.precision.along_axis([FORMAT * (name not in _CALIBRATED_FORMATS) for name in formats])
    )


def _throttle(c: Coefficients, counts: ib.ActivityCounts, formats: tuple[str, ...], room: Any) -> Any:
    """Factor by which the limit stretches the step: the energy certainly spent against what fits into its
    time.
    """
    spent: Any = 0.0
    for action, each in c.floor.items():
        if action == "ops":
            width = counts.precision.along_axis([each * (name in _CALIBRATED_FORMATS) for name in formats])
            spent = spent + counts.actions.get(action, 0.0) * width
        elif action in counts.actions:
            spent = spent + counts.actions[action] * each
    return ib.maximum(1.0, spent / room)


def _parts(
    c: Coefficients, counts: ib.ActivityCounts, formats: tuple[str, ...]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Joules per action, and the actions that no energy is known for (left out)."""
    parts: dict[str, Any] = {}
    unknown = []
    for action in counts.actions:
        count = counts.spent(action)
        if action == "ops":
            own = counts.precision.along_axis([c.ops.get(name, math.nan) for name in formats])
            parts[action] = count * counts.each(action, own)
            continue
        each = counts.each(action, c.energy(action))
        if np.any(np.isnan(each)):
            unknown.append(action)
        elif np.any(each):
            parts[action] = count * each
    return parts, tuple(unknown)


def _measured(counts: ib.ActivityCounts) -> bool:
    """Whether the software has readings of its own for everything that is counted, at every point."""
    return bool(counts.energies) and all(
        np.all(np.isfinite(counts.energies.get(name, math.nan))) for name in ("baseline", *counts.actions)
    )
