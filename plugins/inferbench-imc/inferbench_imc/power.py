"""The power model of in-memory-compute chips: cell operations, conversions, writes, bytes, each priced."""

from __future__ import annotations

import math

import numpy as np

import inferbench as ib
from inferbench_imc.energy import adc_energy, cell_energy, coefficients, converter_rate, write_energy
from inferbench_imc.macro import Macro

__all__ = ["ArrayPower", "idle_of", "limit_of"]

# Formats of which a rate may be known, the widest first.
INTEGERS = ("int8", "int4")
OUTSIDE = {"hbm": "hbm", "ddr": "ddr", "lpddr": "ddr", "dram": "ddr"}


class ArrayPower(ib.PowerModel):
    """Joules from counts and the coefficients by kind of cell and node; never calibrated on a chip.

    An idle power that is not published is a share of the power limit, with a wide error.
    """

    name = "imc"
    title = "In-memory compute: cells, converters, writes and bytes"
    fidelity = 2
    architectures = ("imc",)

    def accepts(self, chip: ib.Chip) -> str:
        """Say why it can't serve a chip (another architecture, a missing figure); empty if it can."""
        if chip.architecture_type != "imc":
            return f"{chip.title} is of type '{chip.architecture_type}', not 'imc'"
        if math.isnan(chip.silicon.node):
            return f"the process node of {chip.title} is not published"
        macro: Macro = chip.architecture
        if macro.kind == "analog" and math.isnan(adc_energy(macro.adc_bits, converter_rate(macro))):
            return f"the converters of {chip.title} are not published"
        return ""

    def prices(self, chip: ib.Chip) -> dict[str, float]:
        """Return joules per counted action, with `bytes.<level>` where a level has a coefficient."""
        macro: Macro = chip.architecture
        node, memory = chip.silicon.node, coefficients()["memory"]
        prices = {
            "array.cell_ops": cell_energy(macro, node),
            "array.writes": write_energy(macro, node),
        }
        if macro.kind == "analog":
            prices["adc.conversions"] = adc_energy(macro.adc_bits, converter_rate(macro))
        for level in chip.memory:
            kind = OUTSIDE.get(level, "sram" if level in (macro.home, "sram", "l2") else "")
            if kind:
                prices[f"bytes.{level}"] = memory[kind]["joules"]
        return prices

    def energy(self, counts: ib.ActivityCounts, system: ib.System) -> ib.Energy:
        """Add up counts times energies and idle power; stretch the step where that exceeds the chips' TDP.

        Args:
            counts: Counts of the whole system.
            system: Its chips.

        Returns:
            Joules and watts of all chips. Where idle power is not published, it is a share of the power
            limit, as chips have that publish both: `why` says so, and only a published TDP stretches.
        """
        chip, seconds = system.chip, counts.seconds
        prices = self.prices(chip)
        parts = {key: counts.spent(key) * prices[key] for key in counts.actions if key in prices}
        left_out = [key for key in counts.actions if key not in prices and key != "ops"]
        dynamic = sum(parts.values(), np.float64(0.0))
        each, _, assumed = idle_of(chip)
        idle = each * counts.chips
        throttle = self._throttle(dynamic, seconds, chip.power.tdp * counts.chips, idle)
        limit, unsure = limit_of(chip)
        if unsure:  # a guessed limit slows no chip: what exceeds it is cut off
            share = ib.minimum(1.0, (limit * counts.chips - idle) * seconds / ib.maximum(dynamic, 1e-300))
            parts, dynamic = {name: part * share for name, part in parts.items()}, dynamic * share
        parts["idle"] = idle * seconds * throttle
        joules = dynamic + idle * seconds * throttle
        return ib.Energy(
            joules=joules,
            watts=joules / (seconds * throttle),
            throttle=throttle,
            why="; ".join(part for part in (assumed, _told(left_out)) if part),
            estimated=True,
            boundary="chip",
            limit=limit,
            parts=parts,
        )

    def log_error(self, counts: ib.ActivityCounts, system: ib.System, energy: ib.Energy) -> ib.Numeric:
        """Log standard error of mean power: idle power has its own, all else that of chips beside macros.

        Args:
            counts: As `energy` was given it.
            system: Its chips.
            energy: What it answered.

        Returns:
            As `energy.watts`. Sources of both errors are in `coefficients.toml`.
        """
        _, unsure, _ = idle_of(system.chip)
        share = energy.parts["idle"] / ib.maximum(energy.joules, 1e-300)
        beside = coefficients()["chip"]["beside_macros"]["log_error"]
        error: ib.Numeric = np.hypot(share * unsure, (1.0 - share) * beside)
        return error

    @staticmethod
    def _throttle(dynamic: ib.Numeric, seconds: ib.Numeric, cap: float, idle: float) -> ib.Numeric:
        if math.isnan(cap) or cap <= idle:
            return 1.0
        return ib.maximum(dynamic / ((cap - idle) * np.asarray(seconds)), 1.0)


def idle_of(chip: ib.Chip) -> tuple[float, float, str]:
    """Return the watts of one idle chip, their log standard error, and what they rest on if not published.

    Example:
        >>> chip = ib.Chip(name="x", title="X", vendor="V", architecture_type="imc", architecture=None,
        ...                power=ib.Power(tdp=600.0))
        >>> idle_of(chip)
        (96.0, 0.61, 'idle power is not published: 96.0 W, 16% of the TDP as other chips have')
        >>> idle_of(ib.Chip(name="x", title="X", vendor="V", architecture_type="imc", architecture=None,
        ...                 power=ib.Power(idle=5.0)))
        (5.0, 0.0, '')
    """
    if not math.isnan(chip.power.idle):
        return chip.power.idle, 0.0, ""
    known = coefficients()["chip"]["idle"]
    limit, unsure = limit_of(chip)
    watts = known["share"] * limit
    kind = "an estimated limit" if unsure else "the TDP"
    said = f"{ib.show(watts, 'W')}, {100 * known['share']:.0f}% of {kind} as other chips have"
    return watts, math.hypot(known["log_error"], unsure), f"idle power is not published: {said}"


def limit_of(chip: ib.Chip) -> tuple[float, float]:
    """Return the power limit of a chip in watts, and its log standard error: 0 of a published TDP.

    Example:
        >>> chip = ib.Chip(name="x", title="X", vendor="V", architecture_type="imc", architecture=None,
        ...                peak={"int8": 100e12})
        >>> limit_of(chip)
        (16.0, 0.9)
    """
    if not math.isnan(chip.power.tdp):
        return chip.power.tdp, 0.0
    known = coefficients()["chip"]["limit"]
    return known["joules"] * max(chip.peak.get(name, 0.0) for name in INTEGERS), known["log_error"]


def _told(left_out: list[str]) -> str:
    told = "coefficients by kind of cell and process node, not calibrated for this chip"
    return f"{told}; without {', '.join(left_out)}" if left_out else told
