"""Closed forms by hand, published throughput, and what a bad `[architecture]` table is told."""

import math

import pytest
from inferbench_imc import Macro, conversions, exact_bits, operations_per_second, outputs, passes, t_pass

PUBLISHED = {
    # Shafiee et al., ISAAC, ISCA 2016: 12 x 8 x 168 crossbars of 128 x 128 two-bit cells, 16-bit operands,
    # one input bit per 100 ns read, one 1.28 GS/s converter per crossbar; 478.95 GOPS/mm2 on 85.4 mm2.
    "ISAAC": (
        {
            "arrays": 16128,
            "rows": 128,
            "columns": 128,
            "bits_per_cell": 2,
            "weight_bits": 16,
            "input_bits": 16,
            "dac_bits": 1,
        }
        | {"adc_bits": 8, "adcs_per_array": 1, "t_array": 100e-9, "t_adc": 1 / 1.28e9},
        40.9,
    ),
    # Khaddam-Aljameh et al., HERMES-Core, JSSC 2022: 8-bit sign-magnitude pulse widths at the 1 GHz clock are
    # 2^7 - 1 ns; converters count 300 ps per step, 256 steps; 1.59 TOPS/mm2 on 0.634 mm2.
    "HERMES core": (
        {
            "arrays": 1,
            "rows": 256,
            "columns": 256,
            "bits_per_cell": 8,
            "weight_bits": 8,
            "input_bits": 8,
            "dac_bits": 8,
        }
        | {"adc_bits": 8, "adcs_per_array": 256, "t_array": 127e-9, "t_adc": 256 * 0.3e-9},
        1.59 * 0.634,
    ),
    # Le Gallo et al., Nature Electronics 2023: 64 such cores, one-phase read 63.1 TOPS.
    "HERMES 64 cores, one phase": (
        {
            "arrays": 64,
            "rows": 256,
            "columns": 256,
            "bits_per_cell": 8,
            "weight_bits": 8,
            "input_bits": 8,
            "dac_bits": 8,
        }
        | {"adc_bits": 8, "adcs_per_array": 256, "t_array": 127e-9, "t_adc": 256 * 0.3e-9},
        63.1,
    ),
    # The same in the four-phase read, 16.1 TOPS: four reads of the array, one after the other.
    "HERMES 64 cores, four phases": (
        {
            "arrays": 64,
            "rows": 256,
            "columns": 256,
            "bits_per_cell": 8,
            "weight_bits": 8,
            "input_bits": 8,
            "dac_bits": 8,
        }
        | {"adc_bits": 8, "adcs_per_array": 256, "t_array": 4 * 127e-9, "t_adc": 256 * 0.3e-9},
        16.1,
    ),
    # Wan et al., NeuRRAM, Nature 2022, 48 cores of 128 differential rows; integration 270 ns per unit pulse,
    # 300 ns sampling, 300 ns per output bit, one after the other. Two input, four output bits: 1.7931 TOPS.
    "NeuRRAM 2 bits": (
        {
            "arrays": 48,
            "rows": 128,
            "columns": 256,
            "bits_per_cell": 4,
            "weight_bits": 4,
            "input_bits": 2,
            "dac_bits": 2,
        }
        | {"adc_bits": 4, "adcs_per_array": 256, "t_array": 570e-9, "t_adc": 1200e-9, "conversion": "serial"},
        1.7931,
    ),
    # Four input bits (seven unit pulses), six output bits: 0.7439 TOPS.
    "NeuRRAM 4 bits": (
        {
            "arrays": 48,
            "rows": 128,
            "columns": 256,
            "bits_per_cell": 4,
            "weight_bits": 4,
            "input_bits": 4,
            "dac_bits": 4,
        }
        | {
            "adc_bits": 6,
            "adcs_per_array": 256,
            "t_array": 2190e-9,
            "t_adc": 1800e-9,
            "conversion": "serial",
        },
        0.7439,
    ),
}


def tile(**changes):
    """The design note's tile: 256 x 256 cells, 256 converters at 1 GHz, everything in a single pass."""
    fields = {
        "kind": "analog",
        "arrays": 1,
        "rows": 256,
        "columns": 256,
        "bits_per_cell": 8,
        "weight_bits": 8,
        "input_bits": 8,
    }
    fields |= {"dac_bits": 8, "adc_bits": 8, "adcs_per_array": 256, "t_array": 1e-9, "t_adc": 1e-9}
    return Macro(**(fields | changes))


@pytest.mark.parametrize("name", PUBLISHED)
def test_throughput_from_cited_times_is_the_published_one(name):
    fields, published = PUBLISHED[name]
    derived = operations_per_second(Macro(kind="analog", **fields)) / 1e12
    assert derived == pytest.approx(published, rel=0.07)


def test_isaac_pass_is_limited_by_neither_or_both():
    fields, _ = PUBLISHED["ISAAC"]
    assert t_pass(Macro(kind="analog", **fields)) == pytest.approx(100e-9)
    assert t_pass(Macro(kind="analog", **(fields | {"t_adc": 2 / 1.28e9}))) == pytest.approx(200e-9)


def test_digital_throughput_from_its_clock():
    # Axelera Metis, ISSCC 2024: 4 engines of 512 x 512 8-bit weights, bit-serial at 800 MHz, 209.6 TOPS.
    metis = Macro(
        kind="digital",
        arrays=4,
        rows=512,
        columns=4096,
        bits_per_cell=1,
        weight_bits=8,
        input_bits=8,
        dac_bits=1,
        t_array=1 / 800e6,
    )
    assert operations_per_second(metis) == pytest.approx(209.6e12, rel=0.001)
    assert operations_per_second(metis, 4, 4) == pytest.approx(4 * 209.7e12, rel=0.001)


def test_the_notes_tile_is_130_times_the_measured_core_of_the_same_geometry():
    """256 x 256, 256 converters, 1 GHz: the note converts in one clock, the silicon needs 130."""
    note = operations_per_second(tile())
    assert note == pytest.approx(2 * 256 * 256 * 1e9, rel=1e-9)
    assert round(note / 1e12) == 131
    core = operations_per_second(Macro(kind="analog", **PUBLISHED["HERMES core"][0]))
    assert core == pytest.approx(1.008e12, rel=0.03)
    assert 120 < note / core < 135


@pytest.mark.parametrize(
    ("given", "dac", "effective", "adc", "expected"),
    [(8, 8, 8, 8, 1), (8, 4, 8, 8, 2), (8, 1, 8, 4, 16), (16, 4, 12, 8, 8), (4, 4, 7, 8, 1), (5, 2, 9, 8, 6)],
)
def test_the_notes_pass_count_is_a_special_case(given, dac, effective, adc, expected):
    """n_passes = ceil(input / dac) x ceil(effective / adc), one converter per column that hides the array."""
    macro = tile(input_bits=given, dac_bits=dac, effective_bits=effective, adc_bits=adc)
    assert passes(macro, given) * conversions(macro) == expected
    assert operations_per_second(macro) == pytest.approx(131.072e12 / expected)


def test_more_bits_cost_throughput():
    bits = [1, 2, 4, 8]
    fields = {
        "kind": "digital",
        "arrays": 1,
        "rows": 64,
        "columns": 64,
        "bits_per_cell": 1,
        "weight_bits": 8,
        "input_bits": 8,
    }
    macro = Macro(**fields, dac_bits=1, t_array=1e-9)
    rates = [operations_per_second(macro, width, width) / 1e9 for width in bits]
    assert rates == pytest.approx([8192.0, 2048.0, 512.0, 128.0])


def test_shared_converters_stretch_the_pass():
    assert t_pass(tile(adcs_per_array=16)) == pytest.approx(16e-9)
    assert t_pass(tile(adcs_per_array=100)) == pytest.approx(3e-9)
    assert t_pass(tile(adcs_per_array=16, t_array=50e-9)) == pytest.approx(50e-9)
    assert t_pass(tile(adcs_per_array=16, t_array=50e-9, conversion="serial")) == pytest.approx(66e-9)


def test_lossless_converter_resolution():
    """128 rows of 2-bit cells and 1-bit inputs: sums to 384 need 9 bits (ISAAC's encoding saves one)."""
    assert exact_bits(tile(rows=128, dac_bits=1, bits_per_cell=2)) == 9
    assert exact_bits(tile(rows=2304, dac_bits=1, bits_per_cell=1)) == 12


def test_columns_left_over_deliver_nothing():
    assert outputs(tile(columns=100, bits_per_cell=3), 8) == 33
    assert outputs(tile(columns=100, bits_per_cell=8), 4) == 100


def test_wider_operands_than_the_chip_has_are_not_supported():
    assert math.isnan(operations_per_second(tile(), 16, 16))
    assert math.isnan(operations_per_second(tile(t_adc=math.nan)))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"adcs_per_array": 0}, "adcs_per_array is 0; an analog array needs at least 1 converter"),
        ({"kind": "digital"}, "adcs_per_array is 256; a digital array adds in logic and has no converter"),
        ({"rows": -4}, "rows is -4; at least 1 was expected"),
        ({"arrays": 0}, "arrays is 0; at least 1 was expected"),
        ({"weight_bits": -8}, "weight_bits is -8; a whole number of bits from 1 to 64 was expected"),
        ({"adc_bits": 7.5}, "adc_bits is 7.5; a whole number of bits"),
        ({"t_adc": -1e-9}, "t_adc is -1e-09 s; a time can't be below 0"),
        (
            {"columns": 4, "bits_per_cell": 1},
            "columns is 4; one 8-bit weight at 1 bits per cell takes 8 columns",
        ),
    ],
)
def test_bad_tables_are_told_once_and_clearly(changes, told):
    with pytest.raises(ValueError) as error:
        tile(**changes)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_digital_chip_may_say_that_it_has_no_converters():
    assert Macro(kind="digital", adcs_per_array=0).kind == "digital"
