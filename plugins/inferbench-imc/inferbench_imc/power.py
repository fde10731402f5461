"""The power model of in-memory-compute chips: cell operations, conversions, writes, bytes, each priced."""

from __future__ import annotations

import math

import numpy as np

import inferbench as ib
from inferbench_imc.energy import adc_energy, cell_energy, coefficients, converter_rate, write_energy
from inferbench_imc.macro import Macro

__all__ = ["ArrayPower"]

OUTSIDE = {"hbm": "hbm", "ddr": "ddr", "lpddr": "ddr", "dram": "ddr"}


class ArrayPower(ib.PowerModel):
    """Joules from counts and the coefficients by kind of cell and node; never calibrated on a chip; unknown
    where idle power is.
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
            Joules and watts of all chips. Both are NaN where idle power is not published: `parts` has the
            joules of what is counted, and `why` the watts that this alone is.
        """
        chip, seconds = system.chip, counts.seconds
        prices = self.prices(chip)
        parts = {key: counts.spent(key) * prices[key] for key in counts.actions if key in prices}
        left_out = [key for key in counts.actions if key not in prices and key != "ops"]
        dynamic = sum(parts.values(), np.float64(0.0))
        idle = chip.power.idle * counts.chips
        known = not math.isnan(idle)
        throttle = self._throttle(dynamic, seconds, chip.power.tdp * counts.chips, idle if known else 0.0)
        if known:
            parts["idle"] = idle * seconds * throttle
        joules = dynamic + idle * seconds * throttle
        told = _told(left_out)
        return ib.Energy(
            joules=joules,
            watts=joules / (seconds * throttle),
            throttle=throttle,
            why=told if known else f"{_unknown(dynamic / (seconds * throttle), system)}; {told}",
            estimated=known,
            boundary="chip",
            parts=parts,
        )

    @staticmethod
    def _throttle(dynamic: ib.Numeric, seconds: ib.Numeric, cap: float, idle: float) -> ib.Numeric:
        if math.isnan(cap) or cap <= idle:
            return 1.0
        return ib.maximum(dynamic / ((cap - idle) * np.asarray(seconds)), 1.0)


def _unknown(watts: ib.Numeric, system: ib.System) -> str:
    """Say why the power is not known, and what the counted part alone draws.

    Of several chips without a named layout many layouts are tried, of which this is one: then without a
    figure.
    """
    why = "idle power is not published"
    found = np.asarray(watts)[np.isfinite(watts)]
    if not found.size or (system.count > 1 and system.layout is None):
        return f"{why}; what is counted would be a lower bound"
    low, high = (ib.show(float(end), "W") for end in (found.min(), found.max()))
    return f"{why}; arrays and moved bytes alone draw {low if low == high else f'{low} to {high}'}"


def _told(left_out: list[str]) -> str:
    told = "coefficients by kind of cell and process node, not calibrated for this chip"
    return f"{told}; without {', '.join(left_out)}" if left_out else told
