"""Energies of kernels alone: by hand, on published readings, and against the tool that writes them."""

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from inferbench_power import Linear

import inferbench as ib

ROOT = Path(__file__).parents[3]
BF16 = ib.Precision.of(["bf16"])
CHIP = ib.Chip(
    name="b200",
    title="B200",
    vendor="V",
    architecture_type="simt",
    architecture=None,
    peak={"bf16": 2250e12, "fp8": 4500e12},
    memory={"hbm": ib.MemoryLevel(180e9, 8e12)},
    power=ib.Power(tdp=1000.0),
)
OWN = {"baseline": 200.0, "ops": 0.5e-12, "bytes.hbm": 200e-12}


def run(actions, energies, chip=CHIP, formats=("bf16",)):
    return Linear().energy(
        ib.ActivityCounts(actions, 1.0, 1, BF16, formats, energies=energies), ib.System(chip)
    )


def value(array):
    return float(np.ravel(array)[0])


@pytest.fixture(scope="module")
def fit():
    pytest.importorskip("scipy")
    path = Path(__file__).parents[1] / "tools" / "fit_kernel_power.py"
    spec = importlib.util.spec_from_file_location("fit_kernel_power", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fit_kernel_power"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def products(fit):
    return fit.read("gemm", fit.product)


def test_readings_of_the_software_take_the_place_of_the_chips_energies():
    # 200 W + 0.5 pJ x 400 TOP/s + 200 pJ x 1 TB/s.
    found = run({"ops": 400e12, "bytes.hbm": 1e12}, OWN)
    assert value(found.watts) == pytest.approx(600.0)
    assert {name: value(part) for name, part in found.parts.items()} == pytest.approx(
        {"idle": 200.0, "ops": 200.0, "bytes.hbm": 200.0}
    )
    assert (found.estimated, found.why) == (False, "")


def test_the_limit_cuts_them_and_slows_nothing():
    found = run({"ops": 1500e12, "bytes.hbm": 1e12}, OWN)  # 200 + 750 + 200 W
    assert value(found.watts) == pytest.approx(1000.0)
    assert value(found.throttle) == 1.0


def test_a_baseline_above_the_limit_is_the_limit():
    assert value(run({"ops": 1e12}, {"baseline": 1200.0}).watts) == pytest.approx(1000.0)


def test_where_there_is_no_reading_the_chips_own_energy_holds():
    plain = run({"ops": 400e12}, {})
    half = run({"ops": 400e12}, {"baseline": math.nan, "ops": math.nan})
    assert value(half.watts) == value(plain.watts)
    assert half.estimated


class TestFit:
    def test_the_stacks_hold_what_the_fit_gives(self, fit, products, capsys):
        results = fit.study(products)
        results |= fit.study(fit.read("attention", fit.attention), results["fp8"].byte)
        for stack in {stack for stack, _ in fit.HOMES.values()}:
            assert fit.block(results, stack) in (fit.STACKS / f"{stack}.toml").read_text()
        # What docs/explanation/power.md and tools/validation_page.py say of them.
        said = capsys.readouterr().out
        assert "345 in their intervals" in said
        assert "459 in their intervals" in said
        page = (ROOT / "docs/explanation/power.md").read_text()
        for one in results.values():
            assert f"| {one.baseline:.1f} W | {one.op * 1e12:.3f} pJ | {one.byte * 1e12:.1f} pJ" in page

    def test_shapes_left_out_are_within_fourteen_percent_and_beat_what_needs_no_physics(self, fit, products):
        some = products.trusted
        ours = fit.mape(fit.predicted(products, products.group), products, some)
        assert int(some.sum()) == 376
        assert ours < 14.0
        assert ours < fit.mape(fit.constant(products), products, some) / 2

    def test_intervals_cover_shapes_that_had_no_part_in_their_width(self, fit, products):
        hits = 0
        out = fit.predicted(products, products.group)
        for kernel in set(products.kernel):
            mine = (products.kernel == kernel) & products.trusted
            hits += fit.covered(np.log(out[mine] / products.watts[mine]), products.group[mine])
        assert 0.85 <= hits / 376 <= 0.95
