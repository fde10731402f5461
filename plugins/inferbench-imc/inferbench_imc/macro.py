"""The macro: what a chip's `[architecture]` table says, and the closed forms that follow from it.

One *pass* applies one slice of the inputs to all rows of an array and delivers one sum per column. Weights
wider than a cell are spread over columns, inputs wider than the converter take several passes:

    outputs = floor(columns / ceil(weight_bits / bits_per_cell)) passes  = ceil(input_bits / dac_bits)
    t_pass  = max(t_array, share x conversions x t_adc),   share = ceil(columns / adcs_per_array) OPS
    = 2 arrays rows outputs / (t_pass x passes)

The design note's `n_passes = ceil(input / dac) x ceil(effective / adc)` is the case where every column has
its own converter (share 1), the array being faster (t_array <= t_adc): then t_pass = conversions x t_adc.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import attrs

import inferbench as ib

__all__ = [
    "Macro",
    "cells",
    "conversions",
    "exact_bits",
    "operations_per_second",
    "outputs",
    "passes",
    "share",
    "t_pass",
]

Cell = Literal["sram", "rram", "pcm"]
MaybeNone = Annotated[float, ib.Unit("", "a count", "256", zero=True)]
NAN = math.nan


def _alike(value: float) -> float | str:
    return "missing" if math.isnan(value) else value


def _at_least_one(macro: Any, field: attrs.Attribute[Any], value: float) -> None:
    if value < 1:
        raise ValueError(f"{field.name} is {value:g}; at least 1 was expected")


def _bits(macro: Any, field: attrs.Attribute[Any], value: float) -> None:
    if not math.isnan(value) and (value < 1 or value > 64 or value != int(value)):
        raise ValueError(f"{field.name} is {value:g}; a whole number of bits from 1 to 64 was expected")


def _not_negative(macro: Any, field: attrs.Attribute[Any], value: float) -> None:
    if value < 0:
        raise ValueError(f"{field.name} is {value:g} s; a time can't be below 0")


@attrs.frozen(kw_only=True)
class Macro:
    """The `[architecture]` table of an in-memory-compute chip; NaN where not published.

    Attributes:
        kind: `analog` sums currents or charges on a column and digitises the sum; `digital` adds in logic,
            exactly, and has no converter.
        arrays: Arrays of the chip that work at the same time.
        rows: Rows that take part in one pass.
        columns: Columns that deliver one sum each per pass. Cells merged before the converter are one column.
        bits_per_cell: Weight bits that one column carries.
        weight_bits, input_bits: Widest integers it multiplies; narrower ones use fewer columns and passes.
        dac_bits: Input bits applied per pass (analog: the converter's; digital: 1 if bit-serial).
        adc_bits, adcs_per_array: Resolution of a converter and converters per array; analog only.
        effective_bits: Bits of a sum that must be digitised; a converter with fewer works several times. NaN:
            the converter's resolution is accepted, and what it drops shows as `bits.dropped`.
        t_array: Time in which an array produces its sums once (s); one clock of a digital one.
        t_adc: Time of one conversion (s).
        conversion: `pipelined`, sums are held while the next pass starts, or `serial`, an integrator that is
            also the converter: t_pass = t_array + share x conversions x t_adc.
        t_write: Time to write one row of an array (s), all arrays at once. NaN: one t_array for SRAM, an
            estimate for resistive cells.
        home: Memory level that is the arrays, with whatever banks stand behind them.
        cell: What stores a weight; by default read from the name of `home`, else `sram`.

    Raises:
        ValueError: Sizes below 1, bits that are no whole number, an analog chip with 0 converters, a digital
            chip with converters, an array too narrow for one weight.

    Example:
        >>> tile = Macro(kind="analog", arrays=1, rows=256, columns=256, bits_per_cell=8, weight_bits=8,
        ...              input_bits=8, dac_bits=8, adc_bits=8, adcs_per_array=256, t_array=1e-9, t_adc=1e-9)
        >>> round(operations_per_second(tile) / 1e12, 3)
        131.072
    """

    kind: Literal["analog", "digital"]
    arrays: ib.Count = attrs.field(default=NAN, eq=_alike, validator=_at_least_one)
    rows: ib.Count = attrs.field(default=NAN, eq=_alike, validator=_at_least_one)
    columns: ib.Count = attrs.field(default=NAN, eq=_alike, validator=_at_least_one)
    bits_per_cell: ib.Count = attrs.field(default=NAN, eq=_alike, validator=_bits)
    weight_bits: ib.Count = attrs.field(default=NAN, eq=_alike, validator=_bits)
    input_bits: ib.Count = attrs.field(default=NAN, eq=_alike, validator=_bits)
    dac_bits: ib.Count = attrs.field(default=NAN, eq=_alike, validator=_bits)
    adc_bits: ib.Count = attrs.field(default=NAN, eq=_alike, validator=_bits)
    adcs_per_array: MaybeNone = attrs.field(default=NAN, eq=_alike)
    effective_bits: ib.Count = attrs.field(default=NAN, eq=_alike, validator=_bits)
    t_array: ib.Seconds = attrs.field(default=NAN, eq=_alike, validator=_not_negative)
    t_adc: ib.Seconds = attrs.field(default=NAN, eq=_alike, validator=_not_negative)
    conversion: Literal["pipelined", "serial"] = "pipelined"
    t_write: ib.Seconds = attrs.field(default=NAN, eq=_alike, validator=_not_negative)
    home: str = "sram"
    cell: Literal["", "sram", "rram", "pcm"] = ""

    def __attrs_post_init__(self) -> None:
        if self.kind == "analog" and self.adcs_per_array < 1:
            raise ValueError(
                f"adcs_per_array is {self.adcs_per_array:g}; an analog array needs at least 1 converter to "
                f'read its sums (a chip that adds in logic has kind = "digital")'
            )
        if self.kind == "digital" and self.adcs_per_array > 0:
            raise ValueError(
                f"adcs_per_array is {self.adcs_per_array:g}; a digital array adds in logic and has no "
                f'converter (leave it out, or write kind = "analog")'
            )
        if math.ceil(_or(self.weight_bits, 1) / _or(self.bits_per_cell, 64)) > self.columns:
            raise ValueError(
                f"columns is {self.columns:g}; one {self.weight_bits:g}-bit weight at {self.bits_per_cell:g} "
                f"bits per cell takes {math.ceil(self.weight_bits / self.bits_per_cell)} columns"
            )

    @property
    def stores(self) -> Cell:
        """What stores a weight."""
        if self.cell:
            return self.cell
        return "pcm" if self.home == "pcm" else "rram" if self.home == "rram" else "sram"

    @property
    def known(self) -> bool:
        """Whether geometry and times are complete, so that the peak can be derived."""
        return math.isfinite(operations_per_second(self))

    @property
    def bytes(self) -> float:
        """Bytes of weights that take part in a pass, all arrays together; NaN where not known."""
        return self.arrays * self.rows * self.columns * self.bits_per_cell / 8


def _or(value: float, otherwise: float) -> float:
    return otherwise if math.isnan(value) else value


def _ceil(value: float) -> float:
    return value if math.isnan(value) else float(math.ceil(value))


def cells(macro: Macro, weight_bits: float) -> float:
    """Return the columns that hold one weight: `ceil(weight_bits / bits_per_cell)`; NaN where not known."""
    return _ceil(weight_bits / macro.bits_per_cell)


def outputs(macro: Macro, weight_bits: float) -> float:
    """Return the results of one array and pass: `floor(columns / cells)`.

    Example:
        >>> outputs(Macro(kind="digital", columns=512, bits_per_cell=1), 8)
        64.0
    """
    per_array = macro.columns / cells(macro, weight_bits)
    return per_array if math.isnan(per_array) else float(math.floor(per_array))


def passes(macro: Macro, input_bits: float) -> float:
    """Return how often an input vector is applied, a slice at a time: `ceil(input_bits / dac_bits)`."""
    return _ceil(input_bits / macro.dac_bits)


def share(macro: Macro) -> float:
    """Return the columns that one converter serves, one after the other; 0 for a digital array."""
    return 0.0 if macro.kind == "digital" else _ceil(macro.columns / macro.adcs_per_array)


def conversions(macro: Macro) -> float:
    """Return how often a sum is converted: `ceil(effective_bits / adc_bits)`, 1 if not asked for."""
    if macro.kind == "digital":
        return 0.0
    return 1.0 if math.isnan(macro.effective_bits) else _ceil(macro.effective_bits / macro.adc_bits)


def exact_bits(macro: Macro) -> float:
    """Return the converter resolution that loses nothing: bits of the largest possible sum of a column.

    `ceil(log2(rows (2^dac_bits - 1) (2^bits_per_cell - 1) + 1))`. What a smaller converter drops costs
    accuracy, not time; this model shows it and does not judge it.

    Example:
        256 rows, 1-bit inputs, 1-bit cells: sums 0 to 256.

        >>> exact_bits(Macro(kind="analog", rows=256, dac_bits=1, bits_per_cell=1))
        9.0
    """
    largest = macro.rows * (2.0**macro.dac_bits - 1.0) * (2.0**macro.bits_per_cell - 1.0)
    return _ceil(math.log2(largest + 1.0))


def t_pass(macro: Macro) -> float:
    """Return the seconds of one pass: `max(t_array, share x conversions x t_adc)`, their sum if `serial`.

    Example:
        ISAAC: the crossbar needs 100 ns, one converter of 1.28 GS/s serves 128 columns, 100 ns as well.

        >>> isaac = Macro(kind="analog", columns=128, adcs_per_array=1, t_array=100e-9, t_adc=1 / 1.28e9)
        >>> round(t_pass(isaac) * 1e9, 6)
        100.0
    """
    if macro.kind == "digital":
        return macro.t_array
    converting = share(macro) * conversions(macro) * macro.t_adc
    if macro.conversion == "serial":
        return macro.t_array + converting
    return float(ib.maximum(macro.t_array, converting))


def operations_per_second(macro: Macro, weight_bits: float = NAN, input_bits: float = NAN) -> float:
    """Return the peak of a chip from its geometry: `2 arrays rows outputs / (t_pass passes)`.

    Args:
        macro: Geometry and times.
        weight_bits, input_bits: Of the operands; by default the widest the chip has.

    Returns:
        Operations per second (1 MAC = 2); NaN where a figure is missing or the operands are too wide.

    Example:
        Halving both widths of a bit-serial digital array gives four times the rate: half the columns per
        weight, half the passes.

        >>> chip = Macro(kind="digital", arrays=4, rows=512, columns=4096, bits_per_cell=1,
        ...              weight_bits=8, input_bits=8, dac_bits=1, t_array=1.25e-9)
        >>> round(operations_per_second(chip, 4, 4) / operations_per_second(chip, 8, 8), 9)
        4.0
    """
    weight, given = _or(weight_bits, macro.weight_bits), _or(input_bits, macro.input_bits)
    if weight > macro.weight_bits or given > macro.input_bits:
        return NAN
    time = t_pass(macro) * passes(macro, given)
    return 2.0 * macro.arrays * macro.rows * outputs(macro, weight) / time if time > 0 else NAN
