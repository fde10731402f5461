"""Fits of a power model with one figure, whose errors on networks left out are ratios of watts."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.power import Reading, fit_power, readings_of
from inferbench.records.energy import ActivityCounts
from inferbench.records.measurement import Measurement

pytest.importorskip("scipy", reason="scipy is not installed: pip install 'inferbench-core[calibrate]'")
Z = 1.6448536269514722


@attrs.frozen(kw_only=True)
class Figures:
    idle: ib.Watts = 0.0
    each: ib.JoulesPerOp = 0.0


@attrs.frozen
class Idle(ib.PowerModel):
    """Watts of a chip, and joules of operations where they are counted."""

    name: ClassVar[str] = "made"
    title: ClassVar[str] = "Made up"
    figures: ClassVar[type] = Figures
    own: Figures = attrs.field(factory=Figures)

    def accepts(self, chip):
        return ""

    def frees(self, chip, alone=False):
        each = ib.Free("each", 1e-12, 0.0, 1e-10, 0.0, "large batches", unit="J/OP", action="ops")
        return ib.Free("idle", 120.0, 0.0, 7000.0, 0.0, "small batches", unit="W"), each

    def under(self, chip, figures):
        return Idle(figures)

    def energy(self, counts, system):
        watts = self.own.idle * system.count + self.own.each * counts.actions.get("ops", 0.0) / counts.seconds
        return ib.Energy(watts * counts.seconds, watts)


@pytest.fixture
def known(toy, plugin):
    made = plugin(inferbench_power_models=lambda: iter([Idle()]))
    toy.load("made", lambda: made, "made", "1")
    return toy


def reading(chip: Any, network: str, watts: float, count: int = 1, **actions: float) -> Reading:
    counts = ActivityCounts(actions, 0.01, count, ib.Precision.of(["bf16"]), ("bf16",))
    return Reading("f", network, counts, ib.System(chip, count), watts)


def test_both_figures_are_found_again(known):
    """150 W, and 5 pJ of 10 and of 80 trillion operations a second."""
    chip = known.chip("toy-chip")
    some = [reading(chip, name, 150.0 + 5e-12 * ops / 0.01, ops=ops) for name in "ab" for ops in (1e11, 8e11)]
    found = fit_power(chip, some, known)
    assert found.values == pytest.approx({"idle": 150.0, "each": 5e-12}, rel=1e-5)
    assert found.part.error == pytest.approx(0.0, abs=1e-3)
    assert (found.part.rows, found.part.coverage) == (4, 1.0)


class TestOneFigure:
    """No operation is counted: a network of 100 W and one of 200 W are told each other's."""

    def fitted(self, known: Any, more: Any = ()) -> Any:
        chip = known.chip("toy-chip")
        some = [reading(chip, name, watts) for name, watts in (("a", 100.0), ("b", 200.0)) for _ in range(3)]
        return fit_power(chip, [*some, *more], known)

    def test_it_lies_between_them(self, known):
        found = self.fitted(known)
        assert [free.table for free in found.frees] == ["idle"]
        assert found.values == pytest.approx({"idle": math.sqrt(100.0 * 200.0)}, rel=1e-4)

    def test_errors_are_of_networks_left_out(self, known):
        part = self.fitted(known).part
        assert part.error == pytest.approx(100 * (1.0 + 0.5) / 2, rel=1e-4)
        assert part.constant == pytest.approx(75.0)
        assert part.sd == pytest.approx(math.log(2.0), rel=1e-4)
        # A row left out is told a mean in which some of its own network are: errors are smaller.
        assert 30.0 < part.error_rows < 75.0
        assert part.coverage == 1.0  # stretched by the root of two: one network is left

    def test_the_error_of_another_network_is_stretched_for_few(self, known):
        assert self.fitted(known).log_error == pytest.approx(math.log(2.0) * math.sqrt(1.5), rel=1e-4)

    def test_other_chips_say_how_far_off_networks_are_and_not_what_this_one_takes(self, known):
        other = attrs.evolve(known.chip("toy-chip"), name="other")
        wide = known.with_records("chips", [other])
        more = [reading(other, name, watts) for name, watts in (("a", 100.0), ("b", 800.0)) for _ in range(3)]
        found = self.fitted(wide, more)
        assert found.values == pytest.approx({"idle": math.sqrt(100.0 * 200.0)}, rel=1e-4)
        both = math.sqrt((math.log(2.0) ** 2 + math.log(8.0) ** 2) / 2) * math.sqrt(1.5)
        assert found.log_error == pytest.approx(max(both, math.log(8.0) / Z * math.sqrt(1.5)), rel=1e-3)
        assert len(found.readings) == 6

    def test_watts_are_of_all_chips(self, known):
        """Four chips draw four times as much: a constant is one chip's."""
        chip = known.chip("toy-chip")
        some = [reading(chip, name, 400.0, 4) for name in "aab"] + [reading(chip, "b", 100.0)]
        found = fit_power(chip, some, known)
        assert found.values == pytest.approx({"idle": 100.0}, rel=1e-5)
        assert found.part.constant == pytest.approx(0.0, abs=1e-9)

    def test_of_one_network_rows_are_left_out_and_nothing_is_a_constant(self, known):
        chip = known.chip("toy-chip")
        found = fit_power(chip, [reading(chip, "a", 100.0), reading(chip, "a", 200.0)], known)
        assert found.part.error == pytest.approx(75.0, rel=1e-4)
        assert math.isnan(found.part.constant)
        assert math.isnan(found.part.coverage)

    def test_two_readings_for_each_figure_are_needed(self, known):
        chip = known.chip("toy-chip")
        with pytest.raises(ib.InferBenchError, match="1 readings of toy-chip for 1 parameters; at least 2"):
            fit_power(chip, [reading(chip, "a", 100.0)], known)
        with pytest.raises(ib.InferBenchError, match="3 readings of toy-chip for 2 parameters; at least 4"):
            fit_power(chip, [reading(chip, "a", 100.0, ops=1e11)] * 3, known)


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "power_models/linear")
def test_what_is_no_step_of_the_chip_and_software_is_counted_by_its_reason():
    step = Measurement(
        source="s",
        chip="h100-sxm",
        software="vLLM 0.6",
        network="llama3-8b",
        phase="decode",
        precision="bf16",
        axes={"batch": 8.0, "context": 100.0},
        latency_s=0.01,
        power_w=300.0,
    )
    shape = {"m": 8.0, "n": 4096.0, "k": 4096.0}
    kernel = attrs.evolve(step, network="", phase="op", op="gemm", axes=shape, latency_s=1e-5)
    rows = [
        step,
        kernel,
        attrs.evolve(step, chip="b200"),
        attrs.evolve(step, software="Other 1"),
        attrs.evolve(step, power_w=math.nan),
        attrs.evolve(step, latency_s=math.nan),
        attrs.evolve(step, precision="fp8"),
    ]
    found, left = readings_of(
        [("f", one) for one in rows], ["h100-sxm"], ["vllm"], "ideal", ib.installed(), ["bf16"]
    )
    assert [(one.network, one.measured, one.chip) for one in found] == [("llama3-8b", 300.0, "h100-sxm")]
    assert left == {
        "of no whole step": 1,
        "of the chip b200": 1,
        "under Other 1": 1,
        "without a time and a power": 2,
        "in fp8": 1,
    }
    assert np.ravel(found[0].counts.seconds) == pytest.approx([0.01])
