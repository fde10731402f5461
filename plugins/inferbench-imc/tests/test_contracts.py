"""The conformance suite on installed chips and on a toy that needs no spec."""

from typing import ClassVar

import attrs
import numpy as np
import pytest
from inferbench_imc import ArrayPower, InMemoryCompute, Macro

import inferbench as ib
import inferbench.testing as contracts

pytest.importorskip("inferbench_specs", reason="chip specs are not installed")


class TestCorsair(contracts.ArchitectureContract):
    architecture = InMemoryCompute()
    chip = "corsair"
    precisions = ("int8", "int4")


class TestHermes(contracts.ArchitectureContract):
    architecture = InMemoryCompute()
    chip = "hermes"
    precisions = ("int8", "int4")


class TestMetis(contracts.ArchitectureContract):
    architecture = InMemoryCompute()
    chip = "metis"
    precisions = ("int8",)


class TestUnknownGeometry(contracts.ArchitectureContract):
    """Only a stored peak: products at that rate, no tiles."""

    architecture = InMemoryCompute()
    chip = ib.Chip(
        name="closed",
        title="Closed",
        vendor="nobody",
        architecture_type="imc",
        architecture=Macro(kind="digital"),
        peak={"int8": 1e14, "bf16": 2.5e13},
        memory={"sram": ib.MemoryLevel(1e9, 1e14), "ddr": ib.MemoryLevel(1e11, 1e11)},
    )
    precisions = ("int8", "bf16")


class TestPower(contracts.PowerModelContract):
    """On a Corsair of which an idle power was published."""

    power_model = ArrayPower()
    chip = "corsair"
    actions: ClassVar[dict[str, float]] = {"array.cell_ops": 1e16, "array.writes": 1e9, "bytes.ddr": 1e10}

    def the_chip(self):
        return attrs.evolve(super().the_chip(), power=ib.Power(tdp=600.0, idle=100.0))


@pytest.mark.parametrize("name", ["corsair", "metis", "hermes"])
def test_no_installed_chip_gets_a_number_that_leaves_idle_out(name):
    run = ib.run(name, "resnet-50/forward", precision="int8", stack="ideal")
    assert np.all(run.energy.watts > run.energy.parts["idle"] / run.seconds)
    assert np.all(run.energy.parts["idle"] > 0.0)
    assert "idle power is not published" in run.energy.why


class TestPowerAsInstalled(contracts.PowerModelContract):
    """On the Corsair itself, whose idle power is estimated."""

    power_model = ArrayPower()
    chip = "corsair"
    actions: ClassVar[dict[str, float]] = {"array.cell_ops": 1e16, "array.writes": 1e9, "bytes.ddr": 1e10}


def hermes():
    return ib.installed().chip("hermes")


def test_installed_hermes_has_its_published_peak_and_not_the_notes():
    """64 tiles of 256 x 256 at the note's 1 ns per pass would be 8,389 TOPS; IBM measures 63.1."""
    peak = InMemoryCompute().peak(hermes(), "int8")
    assert peak == pytest.approx(63.1e12, rel=0.01)
    assert 64 * 131.072e12 / peak > 100


@pytest.mark.parametrize("name", ["corsair", "metis"])
def test_digital_chips_count_no_conversions(name):
    prices = ArrayPower().prices(ib.installed().chip(name))
    assert "adc.conversions" not in prices
    assert {"array.cell_ops", "array.writes", "bytes.sram"} <= set(prices)


def test_derived_peaks_agree_with_the_published_ones():
    for name, formats in (("corsair", ("int8", "int4")), ("metis", ("int8",)), ("hermes", ("int8",))):
        chip = ib.installed().chip(name)
        for precision in formats:
            assert InMemoryCompute().peak(chip, precision) == pytest.approx(chip.peak[precision], rel=0.01)


@pytest.mark.parametrize("layout", ["2xcorsair:pp2", "3xcorsair:pp3", "4xcorsair:pp4", "8xcorsair:tp2pp4"])
def test_more_sequences_never_take_less_time_where_the_fullest_stage_changes(layout):
    """The stage with the head is the fullest at few sequences, one with more layers at many."""
    run = ib.run(layout, "llama3-8b/decode", precision="int8", stack="ideal", batch=list(range(1, 34)))
    seconds = np.where(run.values(run.feasible), run.values(run.seconds), np.nan).ravel()
    assert np.isfinite(seconds).sum() > 1
    assert np.nanmin(np.diff(np.log(seconds))) >= -1e-12
