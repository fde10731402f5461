"""Quantities at the edge of the program: text with a unit in, SI float64 inside, three digits out.

A record's field names its unit in its type (`bandwidth: BytesPerSecond`), so a vendor's own table has
units without a list of them in the core.
"""

from __future__ import annotations

import math
import re
from typing import Annotated

import attrs

__all__ = [
    "SMALLEST",
    "BitsPerSecond",
    "ByteCount",
    "BytesPerSecond",
    "Count",
    "Deviation",
    "Dollars",
    "DollarsPerHour",
    "DollarsPerKilowattHour",
    "Factor",
    "Fraction",
    "GramsPerKilowattHour",
    "Hertz",
    "Joules",
    "JoulesPerByte",
    "JoulesPerOp",
    "Least",
    "Metres",
    "OpsPerSecond",
    "Range",
    "Seconds",
    "Share",
    "SquareMetres",
    "Span",
    "Unit",
    "Watts",
    "WholeOrNone",
    "YEAR",
    "checked",
    "count",
    "parse",
    "show",
]

YEAR = 365 * 86400.0


@attrs.frozen
class Unit:
    """What a number of a record is measured in.

    Attributes:
        symbol: SI symbol as written in specs (`B/s`); empty for a plain number.
        meaning: What such a quantity is called in messages ("a bandwidth").
        zero: Whether 0 is allowed.
        top: Largest value allowed.
        least: Smallest value allowed, where that is above 0.
    """

    symbol: str
    meaning: str
    example: str
    zero: bool = False
    top: float = math.inf
    least: float = 0.0


@attrs.frozen
class Least:
    """The smallest whole number that a field may have, where that is not 1.

    Attributes:
        value: That number; 0 where it means that there are none.
    """

    value: int


@attrs.frozen
class Range:
    """A number known only to lie between two values: prices mostly. `mid` is what is computed with."""

    low: float
    high: float

    @property
    def mid(self) -> float:
        """The middle of the range."""
        return (self.low + self.high) / 2

    def times(self, factor: float) -> Range:
        """Both ends times a positive factor.

        Example:
            >>> Range(2.0, 3.0).times(10.0)
            Range(low=20.0, high=30.0)
        """
        return Range(self.low * factor, self.high * factor)


Hertz = Annotated[float, Unit("Hz", "a frequency", "1.75 GHz")]
ByteCount = Annotated[float, Unit("B", "a capacity", "180 GB")]
WholeOrNone = Annotated[int, Least(0)]
BitsPerSecond = Annotated[float, Unit("bit/s", "a rate of a pin", "6.4 Gbit/s")]
BytesPerSecond = Annotated[float, Unit("B/s", "a bandwidth", "8 TB/s")]
OpsPerSecond = Annotated[float, Unit("OP/s", "a rate of operations", "2250 TOP/s")]
Seconds = Annotated[float, Unit("s", "a time", "2 us", zero=True)]
Watts = Annotated[float, Unit("W", "a power", "700 W")]
Joules = Annotated[float, Unit("J", "an energy", "5 mJ", zero=True)]
JoulesPerOp = Annotated[float, Unit("J/OP", "an energy per operation", "0.5 pJ/OP", zero=True)]
JoulesPerByte = Annotated[float, Unit("J/B", "an energy per byte", "50 pJ/B", zero=True)]
Metres = Annotated[float, Unit("m", "a length", "4 nm")]
SquareMetres = Annotated[float, Unit("m2", "an area", "814 mm2")]
Dollars = Annotated[Range, Unit("USD", "a price", "30 to 40 kUSD")]
DollarsPerHour = Annotated[Range, Unit("USD/h", "a rental rate", "2.1 to 6.0 USD/h")]
DollarsPerKilowattHour = Annotated[float, Unit("USD/kWh", "a price of energy", "0.08 USD/kWh")]
GramsPerKilowattHour = Annotated[float, Unit("g/kWh", "a carbon intensity", "400 g/kWh", zero=True)]
Count = Annotated[float, Unit("", "a count", "132")]
Deviation = Annotated[float, Unit("", "a relative deviation", "0.05", zero=True)]
Factor = Annotated[float, Unit("", "a factor of at least 1", "1.25", least=1.0)]
Times = Annotated[float, Unit("", "a factor", "1.25", zero=True)]
Exponent = Annotated[float, Unit("", "an exponent of at least 1", "6", least=1.0)]
Share = Annotated[float, Unit("", "a fraction above 0 and up to 1", "0.85", top=1.0)]
Span = Annotated[float, Unit("s", "a time", "3 years")]
Fraction = Annotated[float, Unit("", "a fraction between 0 and 1", "0.85", zero=True, top=1.0)]

_BINARY = re.compile(r"[KMGTP]i[A-Za-z]")
_MEANINGS = {
    "Hz": "a frequency",
    "B": "a capacity",
    "B/s": "a bandwidth",
    "bit/s": "a rate of a pin",
    "OP/s": "a rate of operations",
    "s": "a time",
    "W": "a power",
    "J": "an energy",
    "m": "a length",
    "USD": "a price",
    "USD/h": "a rental rate",
    "USD/kWh": "a price of energy",
    "g/kWh": "a carbon intensity",
    "": "a number without unit",
}
# Dollars with the sign in front: "$2.50/h", "$30k".
_DOLLARS = re.compile(r"\$\s*(?P<number>[0-9.,_]+)\s*(?P<prefix>[kM]?)(?P<per>(?:/.+)?)")
# How people write operations per second, after a prefix: "2250 TFLOPS", "750 TOPS".
_RATES = re.compile(r"(?P<number>.*?)(?P<prefix>[kMGTPE]?)(?:FLOP/s|FLOPS|FLOPs|OPS|OP/s)")
# Spellings with a factor of their own, which take no prefix.
_SPELLINGS: dict[str, dict[str, float]] = {
    "m2": {"mm2": 1e-6, "mm²": 1e-6, "cm2": 1e-4, "cm²": 1e-4, "m²": 1.0},
    "s": {
        "years": YEAR,
        "year": YEAR,
        "yr": YEAR,
        "days": 86400.0,
        "day": 86400.0,
        "hours": 3.6e3,
        "hour": 3.6e3,
    },
    "USD/h": {"$/hour": 1.0, "$/h": 1.0, "USD/hour": 1.0, "USD/hr": 1.0, "$/hr": 1.0},
    "USD/kWh": {"$/kWh": 1.0, "USD/MWh": 1e-3},
    "g/kWh": {"gCO2/kWh": 1.0, "gCO2e/kWh": 1.0, "g CO2/kWh": 1.0, "kg/MWh": 1.0},
}


def parse(text: str | float, unit: Unit) -> float:
    """Read one quantity as an SI float.

    Args:
        text: `"8 TB/s"`, or a plain number where the unit is empty.
        unit: What is expected.

    Raises:
        ValueError: Not a number, not finite, not positive, or another unit; the message says what was
            found and what was expected, without saying where (the caller knows).

    Example:
        >>> parse("8 TB/s", Unit("B/s", "a bandwidth", "8 TB/s"))
        8000000000000.0
        >>> parse("2250 TFLOPS", Unit("OP/s", "a rate of operations", "2250 TOP/s"))
        2250000000000000.0
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ValueError(f'{text!r} is not a quantity; {unit.meaning} is written like "{unit.example}"')
    if not isinstance(text, str):
        if unit.symbol:
            raise ValueError(f'{text} has no unit; {unit.meaning} is written like "{unit.example}"')
        try:
            value = float(text)
        except OverflowError:
            raise ValueError(
                f'the number is beyond all others; {unit.meaning} is like "{unit.example}"'
            ) from None
        return checked(value, str(text), unit)
    if match := _DOLLARS.fullmatch(text.strip()):
        text = f"{match['number'].replace(',', '')} {match['prefix']}USD{match['per']}"
    if (spelt := _spelt(text, unit)) is not None:
        return checked(spelt, f'"{text}"', unit)
    from quantiphy import InvalidNumber, Quantity

    if unit.symbol == "OP/s" and (match := _RATES.fullmatch(text.strip())):
        text = f"{match['number']}{match['prefix']}OP/s"
    try:
        quantity = Quantity(text, binary=bool(_BINARY.search(text)))
    except InvalidNumber:
        raise ValueError(
            f'"{text}" is not a number; {unit.meaning} is written like "{unit.example}"'
        ) from None
    value, symbol = float(quantity), str(quantity.units)
    if symbol != unit.symbol and math.isfinite(value):
        is_a = _MEANINGS.get(symbol, f'in "{symbol}"')
        raise ValueError(f'"{text}" is {is_a}; {unit.meaning} is written like "{unit.example}"')
    return checked(value, f'"{text}"', unit)


def _spelt(text: str, unit: Unit) -> float | None:
    """Read a spelling that has a factor of its own; None where there is none."""
    for spelling, factor in _SPELLINGS.get(unit.symbol, {}).items():
        if text.rstrip().endswith(spelling):
            try:
                return float(text.rstrip().removesuffix(spelling)) * factor
            except ValueError:
                return None
    return None


def _plain(value: float, digits: int) -> str:
    """Digits without exponent: `46,225`, `7.16`, `0.08`."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


_COUNT = re.compile(r"(?P<number>[0-9][0-9_]*(?:\.[0-9]+)?)(?P<prefix>[kKmM]?)")
_BINARY_PREFIXES = {"": 1, "k": 1024, "m": 1024**2}


def count(text: str) -> float:
    """Read a count as people write lengths and batches: `8k` is 8,192, as in the names of context lengths.

    Args:
        text: Digits, perhaps with `_` between them, perhaps with `k` or `M` behind.

    Raises:
        ValueError: Something else.

    Example:
        >>> count("128k"), count("8_000"), count("1.5k")
        (131072.0, 8000.0, 1536.0)
    """
    match = _COUNT.fullmatch(text.strip())
    if match is None:
        return float(text.replace("_", ""))
    return float(match["number"].replace("_", "")) * _BINARY_PREFIXES[match["prefix"].lower()]


def checked(value: float, text: str, unit: Unit) -> float:
    """Return a value that its unit allows.

    Args:
        value: SI.
        text: How messages write it.
        unit: With its limits.

    Raises:
        ValueError: Not finite, negative, zero where that can't be, too small for any quantity, or outside of
            the unit's limits.
    """
    if not math.isfinite(value):
        raise ValueError(f'{text} is not finite; {unit.meaning} is written like "{unit.example}"')
    if value < 0:
        raise ValueError(f"{text} is negative; {unit.meaning} can't be below 0")
    if value == 0 and not unit.zero:
        raise ValueError(f"{text} is zero; {unit.meaning} must be above 0")
    if 0 < value < SMALLEST:
        raise ValueError(f"{text} is too small; {unit.meaning} was expected")
    if value < unit.least:
        raise ValueError(f"{text} is below {unit.least:g}; {unit.meaning} was expected")
    if value > unit.top:
        raise ValueError(f"{text} is above {unit.top:g}; {unit.meaning} was expected")
    return value


# No quantity is smaller: what such a number divides overflows.
SMALLEST = 1e-100
# Quantities that nobody writes with a prefix: a factor, and the unit that is written.
_UNPREFIXED = {
    "USD/h": (1.0, "USD/h"),
    "USD/kWh": (1.0, "USD/kWh"),
    "g/kWh": (1.0, "g/kWh"),
    "m2": (1e6, "mm²"),
}
_PREFIXES = {
    -15: "f",
    -12: "p",
    -9: "n",
    -6: "µ",
    -3: "m",
    0: "",
    3: "k",
    6: "M",
    9: "G",
    12: "T",
    15: "P",
    18: "E",
}


def show(value: float, symbol: str = "", digits: int = 3) -> str:
    """Write a number with `digits` significant digits, an SI prefix and its unit.

    Areas are shown in mm², times beyond two months in years, and money per hour or per kWh without a prefix.

    Example:
        >>> show(8.0e12, "B/s"), show(0.00354, "s"), show(48.9), show(70551994368.0, "B")
        ('8.00 TB/s', '3.54 ms', '48.9', '70.6 GB')
        >>> show(814e-6, "m2"), show(3 * YEAR, "s"), show(0.08, "USD/kWh")
        ('814 mm²', '3 years', '0.08 USD/kWh')
    """
    if not math.isfinite(value):
        return "–"
    if symbol in _UNPREFIXED:
        factor, written = _UNPREFIXED[symbol]
        return f"{_plain(value * factor, digits)} {written}"
    if symbol == "s" and value > YEAR / 6:
        return f"{_plain(value / YEAR, digits)} years"
    if value == 0:
        return f"0 {symbol}".rstrip()
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    power = min(18, max(-15, 3 * math.floor(exponent / 3)))
    if not symbol and exponent < -3:
        return f"{value:.{digits - 1}e}"
    if not symbol and exponent < 6:
        power = 0
    scaled = value / 10.0**power
    decimals = max(0, digits - 1 - (exponent - power))
    return f"{scaled:,.{decimals}f} {_PREFIXES[power]}{symbol}".rstrip()
