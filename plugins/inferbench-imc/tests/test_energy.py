"""Joules per operation against published silicon, by hand, and against the published table."""

import math
import statistics

import inferbench_data
import pytest
from inferbench_imc import Macro, adc_energy, cell_energy, energy_per_op, operations_per_second
from inferbench_imc.energy import coefficients


def rows():
    return [row for row in inferbench_data.table("imc_macros").rows() if not math.isnan(row["rows"])]


def macro(row):
    """The table's geometry; `outputs_per_array` is divided by bit columns already, so they are multiplied
    back unless every output has a converter of its own: then its bit columns were merged before."""
    kind, weight = row["kind"], row["weight_bits"]
    own = not row["converters"] < row["outputs"]
    cell_bits = 1.0 if kind == "digital" else weight if own else row["cell_bits"]
    columns = row["outputs"] * weight / cell_bits
    fields = {name: row[name] for name in ("kind", "cell", "arrays", "rows")}
    fields |= {"columns": columns, "bits_per_cell": cell_bits, "weight_bits": weight}
    fields |= {"input_bits": row["input_bits"], "dac_bits": row["pass_bits"], "t_array": row["pass_s"]}
    if kind == "analog":
        adcs = row["converters"]
        fields |= {
            "adc_bits": row["adc_bits"],
            "t_adc": 0.0,
            "adcs_per_array": columns if math.isnan(adcs) else adcs,
        }
    return Macro(**fields)


def efficiency(row):
    """Estimated over published TOPS/W."""
    return energy_per_op(macro(row), row["node_m"]).tops_per_watt * 1e12 / row["ops_per_j"]


def test_throughput_is_consistent_with_the_published_time_of_a_pass():
    errors = [
        abs(operations_per_second(macro(row)) / row["ops_per_s"] - 1)
        for row in rows()
        if not math.isnan(row["ops_per_s"])
    ]
    assert len(errors) == 18
    assert statistics.median(errors) < 0.05
    assert max(errors) < 0.10


def test_efficiency_is_within_a_factor_of_two_on_ten_of_eleven_designs():
    ratios = {}
    for row in rows():
        if not math.isnan(row["ops_per_j"]):
            ratios.setdefault(row["name"], []).append(efficiency(row))
    inside = {name for name, values in ratios.items() if 0.5 <= statistics.median(values) <= 2.0}
    assert len(ratios) == 11
    assert set(ratios) - inside == {"ISSCC2023-16.3 28nm DIMC"}, (
        "its 275 TOPS/W counts skipped and approximate work"
    )


def test_efficiency_follows_the_precision_of_neurram():
    points = [row for row in rows() if row["design"].startswith("wan_")]
    assert len(points) == 10
    assert sum(0.5 <= efficiency(row) <= 2.0 for row in points) >= 9


def test_coefficients_go_by_cell_and_node_and_each_has_a_source():
    table = coefficients()
    assert {kind: set(table[kind]) for kind in ("analog", "digital", "write")} == {
        "analog": {"sram", "rram", "pcm"},
        "digital": {"sram"},
        "write": {"sram", "rram", "pcm"},
    }
    entries = [entry for group in table.values() for entry in group.values()]
    assert all(len(entry["source"]) > 30 for entry in entries)
    assert all(entry["basis"] in ("published", "estimate") for entry in entries)


def test_energy_of_a_converter_doubles_per_bit_and_rises_with_its_rate():
    assert adc_energy(9, 1e6) == pytest.approx(2 * adc_energy(8, 1e6), abs=0.0)
    # ISAAC's 8-bit converter at 1.28 GS/s takes 1.67 pJ, Jia's at 0.74 MS/s 1.79 pJ (measured).
    assert 1.67e-12 < adc_energy(8, 1.28e9) < 3 * 1.67e-12
    assert adc_energy(8, 0.74e6) == pytest.approx(1.79e-12, rel=0.2, abs=0.0)


def test_energy_against_designs_without_geometry():
    """TSMC's 22 nm macro set the digital coefficient at 4 bits; others stand beside it."""
    digital = Macro(kind="digital", bits_per_cell=1, weight_bits=8, input_bits=8, dac_bits=1)
    assert energy_per_op(digital, 22e-9, 4, 4).tops_per_watt == pytest.approx(89, rel=0.01)
    assert energy_per_op(digital, 5e-9, 4, 4).tops_per_watt == pytest.approx(254, rel=0.01)
    # d-Matrix claims 38 TOPS/W for Corsair (6 nm), Axelera 15 for Metis (12 nm): whole engines.
    assert 1.0 < energy_per_op(digital, 6e-9).tops_per_watt / 38 < 2.0
    assert 2.0 < energy_per_op(digital, 12e-9).tops_per_watt / 15 < 2.5


def test_imagine_is_what_the_sram_cell_predicts():
    # IMAGINE, arXiv 2412.19750: 22 nm, 150 TOPS/W at 8 x 8 bits = 0.208 fJ per bit product; anchor is 65 nm.
    assert cell_energy(Macro(kind="analog", adcs_per_array=1), 22e-9) == pytest.approx(
        0.208e-15, rel=0.2, abs=0.0
    )


def test_wider_weights_cost_more_energy():
    fields = {
        "kind": "analog",
        "arrays": 1,
        "rows": 256,
        "columns": 256,
        "bits_per_cell": 1,
        "weight_bits": 8,
        "input_bits": 8,
    }
    wide = Macro(**fields, dac_bits=1, adc_bits=8, adcs_per_array=256, t_array=1e-8, t_adc=1e-8)
    eight, four = energy_per_op(wide, 22e-9), energy_per_op(wide, 22e-9, 4, 4)
    assert eight.cells == pytest.approx(4 * four.cells, abs=0.0)
    assert eight.converters == pytest.approx(4 * four.converters, abs=0.0)
    # By hand: 8 columns x 8 passes of 6 fJ x 256 (100 MS/s is fast: 17 fJ) over 256 rows, halved.
    assert eight.converters == pytest.approx(8 * 8 * 17e-15 / 2, rel=1e-6, abs=0.0)
