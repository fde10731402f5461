"""Energy of cells, converters and writes, by kind of cell and process node; see `coefficients.toml`.

    analog   joules per MAC = cells x input_bits x e_cell
                              + columns per weight x passes x conversions x e_adc / rows
    digital  joules per MAC = passes x weight_bits x e_cell

where a resistive cell holds `bits_per_cell` bits and an SRAM cell one, merged or not. Converter energy is
Walden's `step x 2^bits`, with the step of the efficient end of the ADC survey.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import attrs

from inferbench_imc.macro import Macro, cells, conversions, passes, share, t_pass

__all__ = [
    "EnergyPerOp",
    "adc_energy",
    "cell_energy",
    "cell_operations",
    "coefficients",
    "energy_per_op",
    "write_energy",
]


@cache
def coefficients() -> Mapping[str, Any]:
    """Return the cited coefficients, tables `adc`, `analog`, `digital`, `write`, `memory`, `chip`."""
    text = files(__package__).joinpath("coefficients.toml").read_text("utf-8")
    return tomllib.loads(text)


@attrs.frozen
class EnergyPerOp:
    """Joules per operation (half a MAC), in cells and in converters.

    Example:
        >>> round(EnergyPerOp(cells=30e-15, converters=20e-15).tops_per_watt, 9)
        20.0
    """

    cells: float
    converters: float

    @property
    def total(self) -> float:
        """Both."""
        return self.cells + self.converters

    @property
    def tops_per_watt(self) -> float:
        """Tera-operations per second and watt: 1e-12 / joules."""
        return 1e-12 / self.total


def _scaled(entry: Mapping[str, Any], node: float) -> float:
    if entry["exponent"] == 0.0:
        return float(entry["joules"])
    return float(entry["joules"] * (node / (entry["nm"] * 1e-9)) ** entry["exponent"])


def cell_energy(macro: Macro, node: float) -> float:
    """Return joules per cell operation: a cell and input bit (analog), a weight bit and pass (digital).

    Args:
        macro: Its kind and what stores a weight.
        node: Process node in metres.

    Example:
        >>> round(cell_energy(Macro(kind="digital"), 22e-9) * 1e15, 6)
        1.4
    """
    table = coefficients()
    entry = table["digital"]["sram"] if macro.kind == "digital" else table["analog"][macro.stores]
    return _scaled(entry, node)


def adc_energy(bits: float, rate: float) -> float:
    """Return joules per conversion, `step x 2^bits`.

    Args:
        bits: Resolution, taken as effective bits.
        rate: Conversions per second of one converter; fast converters need more energy per step.

    Example:
        8 bits at 1 MS/s: 256 steps of 6 fJ.

        >>> round(adc_energy(8, 1e6) * 1e12, 6)
        1.536
    """
    steps = coefficients()["adc"]
    step = steps["slow"]["joules"] if rate < steps["slow"]["below"] else steps["fast"]["joules"]
    return float(step * 2.0**bits)


def write_energy(macro: Macro, node: float) -> float:
    """Return joules to write one cell: a bit of SRAM, a resistive device until its value is reached."""
    return _scaled(coefficients()["write"][macro.stores], node)


def write_row(macro: Macro) -> float:
    """Return seconds to write one row: `t_write`, else an SRAM clock or an estimate for resistive cells."""
    if not math.isnan(macro.t_write):
        return macro.t_write
    return macro.t_array if macro.stores == "sram" else float(coefficients()["write"][macro.stores]["row"])


def converter_rate(macro: Macro) -> float:
    """Return conversions per second of one converter when passes follow each other."""
    return share(macro) * conversions(macro) / t_pass(macro)


def cell_operations(macro: Macro, weight_bits: float, input_bits: float) -> float:
    """Return cell operations per MAC: what `cell_energy` is multiplied by.

    Example:
        >>> cell_operations(Macro(kind="digital", dac_bits=2), 8, 8)
        32.0
    """
    if macro.kind == "digital":
        return passes(macro, input_bits) * weight_bits
    return input_bits * stored_cells(macro, weight_bits)


def stored_cells(macro: Macro, weight_bits: float) -> float:
    """Return the devices that hold one weight: SRAM cells hold a bit each, resistive ones `bits_per_cell`."""
    return weight_bits if macro.stores == "sram" else cells(macro, weight_bits)


def energy_per_op(
    macro: Macro, node: float, weight_bits: float = math.nan, input_bits: float = math.nan
) -> EnergyPerOp:
    """Estimate joules per operation of a full array, weights in place.

    Args:
        macro: Geometry, bits and times.
        node: Process node in metres.
        weight_bits, input_bits: Of the operands; by default the widest the chip has.

    Returns:
        Energy in cells and converters; NaN where a figure is missing. Without buffers, networks and control:
        whole chips need about twice as much.

    Example:
        Eight passes of 8 weight bits, 1.4 fJ each, are a MAC, two operations.

        >>> chip = Macro(kind="digital", bits_per_cell=1, weight_bits=8, input_bits=8, dac_bits=1)
        >>> round(energy_per_op(chip, 22e-9).total * 1e15, 3)
        44.8
    """
    weight = macro.weight_bits if math.isnan(weight_bits) else weight_bits
    given = macro.input_bits if math.isnan(input_bits) else input_bits
    in_cells = cell_operations(macro, weight, given) * cell_energy(macro, node)
    if macro.kind == "digital":
        return EnergyPerOp(in_cells / 2, 0.0)
    per_output = cells(macro, weight) * passes(macro, given) * conversions(macro)
    converting = per_output * adc_energy(macro.adc_bits, converter_rate(macro)) / macro.rows
    return EnergyPerOp(in_cells / 2, converting / 2)
