"""Quantities: text with a unit in, SI float out, three digits back."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import inferbench as ib
from inferbench.units import DollarsPerKilowattHour, GramsPerKilowattHour, Unit, checked, count, parse, show

BANDWIDTH = get_args(ib.BytesPerSecond)[1]
AREA = get_args(ib.SquareMetres)[1]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("8 TB/s", ib.BytesPerSecond, 8e12),
        ("7.672TB/s", ib.BytesPerSecond, 7.672e12),
        ("2575 GiB/s", ib.BytesPerSecond, 2575 * 2**30),
        ("1.965 GHz", ib.Hertz, 1.965e9),
        ("2250 TOP/s", ib.OpsPerSecond, 2250e12),
        ("2.25 POP/s", ib.OpsPerSecond, 2250e12),
        ("2 us", ib.Seconds, 2e-6),
        ("2 µs", ib.Seconds, 2e-6),
        ("94.608e6 s", ib.Seconds, 94.608e6),
        ("0 s", ib.Seconds, 0.0),
        ("1 kW", ib.Watts, 1000.0),
        ("0.5 pJ/OP", ib.JoulesPerOp, 0.5e-12),
        ("4 nm", ib.Metres, 4e-9),
        ("814e-6 m2", ib.SquareMetres, 814e-6),
        ("814 mm2", ib.SquareMetres, 814e-6),
        ("814 mm²", ib.SquareMetres, 814e-6),
        ("462.25 cm2", ib.SquareMetres, 0.046225),
        ("989 TFLOPS", ib.OpsPerSecond, 989e12),
        ("1.8 PFLOP/s", ib.OpsPerSecond, 1.8e15),
        ("26 TOPS", ib.OpsPerSecond, 26e12),
        ("3 years", ib.Seconds, 94.608e6),
        ("1 year", ib.Seconds, 31.536e6),
        ("0.08 USD/kWh", DollarsPerKilowattHour, 0.08),
        ("80 USD/MWh", DollarsPerKilowattHour, 0.08),
        ("2.5 $/h", ib.DollarsPerHour, 2.5),
        ("$2.50/h", ib.DollarsPerHour, 2.5),
        ("$30k", ib.Dollars, 30_000.0),
        ("$0.08/kWh", DollarsPerKilowattHour, 0.08),
        ("3 yr", ib.Seconds, 94.608e6),
        ("400 gCO2/kWh", GramsPerKilowattHour, 400.0),
        ("367 g/kWh", GramsPerKilowattHour, 367.0),
        (132, ib.Count, 132.0),
        (0.85, ib.Fraction, 0.85),
    ],
)
def test_parse(text, kind, value):
    assert parse(text, get_args(kind)[1]) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    "text", ["1 m", "1 M", "1 k", "8 T", "nan", "inf B/s", "-1 B/s", "", " ", "B/s", "1 B/s 2"]
)
def test_no_bandwidth(text):
    """quantiphy reads "1 m" as 0.001 and accepts "nan": both must be refused."""
    with pytest.raises(ValueError, match="a bandwidth"):
        parse(text, BANDWIDTH)


def test_a_fraction_lies_between_0_and_1():
    kind = get_args(ib.Fraction)[1]
    assert (parse(0.0, kind), parse(1.0, kind)) == (0.0, 1.0)
    with pytest.raises(ValueError, match=r"^1\.01 is above 1; a fraction between 0 and 1 was expected$"):
        parse(1.01, kind)


def test_a_prefix_never_swallows_a_unit():
    """`m2` is an area: nobody means milli-twos."""
    with pytest.raises(ValueError, match='"3 m" is a number without unit; an area'):
        parse("3 m", AREA)


@pytest.mark.parametrize(
    ("value", "symbol", "text"),
    [
        (8.0e12, "B/s", "8.00 TB/s"),
        (70_551_994_368.0, "B", "70.6 GB"),
        (0.00354, "s", "3.54 ms"),
        (48.9, "", "48.9"),
        (0.999951, "s", "1.00 s"),
        (999.5, "W", "1.00 kW"),
        (999_499.0, "", "999,499"),
        (0.0, "J", "0 J"),
        (0.0, "", "0"),
        (math.nan, "W", "–"),
        (math.inf, "s", "–"),
        (-0.25, "s", "-250 ms"),
        (1.5e-16, "J", "0.150 fJ"),
        (3e21, "OP", "3,000 EOP"),
        (0.00367, "", "0.00367"),
        (8.96e-6, "", "8.96e-06"),
        (1.25e7, "", "12.5 M"),
        (814e-6, "m2", "814 mm²"),
        (0.046225, "m2", "46,225 mm²"),
        (94.608e6, "s", "3 years"),
        (0.08, "USD/kWh", "0.08 USD/kWh"),
    ],
)
def test_show(value, symbol, text):
    assert show(value, symbol) == text


def test_show_more_digits():
    assert show(2.765e12, "B/s", 4) == "2.765 TB/s"


@given(st.floats(1e-14, 9e17), st.sampled_from(["B", "s", "W", "OP/s"]))
def test_three_digits_come_back_within_half_of_the_last(value, symbol):
    kind = {"B": ib.ByteCount, "s": ib.Seconds, "W": ib.Watts, "OP/s": ib.OpsPerSecond}[symbol]
    assert parse(show(value, symbol).replace(",", ""), get_args(kind)[1]) == pytest.approx(
        value, rel=5.001e-3
    )


def test_the_middle_of_a_range():
    assert ib.Range(2.1, 6.0).mid == pytest.approx(4.05)
    assert math.isnan(ib.Range(math.nan, math.nan).mid)


@pytest.mark.parametrize(
    ("text", "value"), [("8k", 8192.0), ("128K", 131_072.0), ("8", 8.0), ("4096", 4096.0)]
)
def test_counts_of_tokens_are_read_in_binary_thousands(text, value):
    """Context lengths are named so: 128k is 131,072 in every model card that prints the digits."""
    assert count(text) == value


def test_a_quantity_below_all_others_is_a_slip():
    """1e-320 s of depreciation made dollars infinite, and their interval infinity over infinity."""
    with pytest.raises(ValueError, match="too small"):
        checked(1e-320, "1e-320 s", Unit("s", "a time", "1 ms"))
