"""Energies of kernels alone, by hand."""

import math

import numpy as np
import pytest
from inferbench_power import Linear

import inferbench as ib

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
    assert half.estimated == plain.estimated
