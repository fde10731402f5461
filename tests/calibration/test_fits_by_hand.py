"""Fits of a few rows whose figures, left-out errors and regimes are known in closed form."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.calibrate import Calibration, _doubts, _strange
from inferbench.calibration.entries import beside, entries
from inferbench.calibration.fitting import fit, stack_of
from inferbench.calibration.kernels import FASTER, Kernel
from inferbench.calibration.text import part_lines
from inferbench.calibration.writing import Labels, stack_toml
from inferbench.records.cost import Cost
from inferbench.records.fit import FitFile, FitPart
from inferbench.records.roofline import LAUNCH, MEMORY, Roofline, RooflineFigures
from inferbench.records.stack import Stack
from inferbench.specs.assemble_stack import stack_from

pytest.importorskip("scipy", reason="scipy is not installed: pip install 'inferbench-core[calibrate]'")


class Bytes(Roofline):
    """Only the bandwidth's share is free."""

    def frees(self, variant, narrow=False, tiled=False):
        return (MEMORY,)


class Launches(Roofline):
    """The bandwidth's share and the launch are."""

    def frees(self, variant, narrow=False, tiled=False):
        return (MEMORY, LAUNCH)


def kernel(memory: Any, measured: Any, groups: str, model: Roofline | None = None, **more: Any) -> Kernel:
    """Rows of a product, whose bytes take so many seconds at the datasheet's bandwidth."""
    busy = np.asarray(memory, dtype=float)[None, :]
    rows = busy.shape[1]
    op = ib.Gemm(
        name="gemm",
        precision=ib.Precision.of([more.get("precision", "bf16")]),
        m=np.arange(1.0, rows + 1.0)[None, :],
        n=8.0,
        k=8.0,
        repeat=more.pop("repeat", 1.0),
    )
    cost = Cost(busy={"memory.hbm": busy, **more.pop("busy", {})})
    usual: dict[str, Any] = {
        "variant": "gemm",
        "precision": "bf16",
        "spelled": "bf16",
        "key": "gemm",
        "ops": (op,),
        "costs": (cost,),
        "bare": (cost,),
        "formats": ("bf16",),
        "model": model or Bytes(),
        "measured": np.asarray(measured, dtype=float),
        "groups": tuple(groups),
        "screened": ("",) * rows,
        "unscored": np.zeros(rows, dtype=bool),
        "fields": {"m": np.arange(rows, dtype=float)},
    }
    return Kernel(**{**usual, **more})


class TestOneShare:
    """Time is bytes over a share of the bandwidth: its logarithm is a mean of logarithms."""

    def test_a_share_is_the_middle_of_those_that_rows_say(self):
        """Shares of 0.5 and 0.4: their geometric mean, from which both are as far."""
        found = fit(kernel([1.0, 2.0], [2.0, 5.0], "ab"))
        assert found.values == pytest.approx([math.sqrt(0.2)])
        off = 0.5 * math.log(0.5 / 0.4)
        assert np.log(found.seconds / np.array([2.0, 5.0])) == pytest.approx([off, -off])

    def test_each_group_is_told_what_the_other_says(self):
        """A group of 0.5 and one of 0.4: each is off by their whole ratio."""
        found = fit(kernel([1.0, 2.0, 4.0], [2.0, 4.0, 10.0], "aab"))
        off = math.log(0.5 / 0.4)
        assert found.residuals == pytest.approx([off, off, -off])
        part = found.part
        assert part.error == pytest.approx(100 * (2 * 0.25 + 0.2) / 3)
        assert part.sd == pytest.approx(off)
        assert part.log_error == pytest.approx(off)
        assert (part.rows, part.scored, part.screened, part.coverage) == (3, 3, 0, 1.0)
        # Rows left out: the one of 0.4 is told 0.5, the others a mean of 0.5 and 0.4.
        other = math.sqrt(0.5 / 0.4) - 1.0
        assert part.error_rows == pytest.approx(100 * (2 * other + 0.2) / 3, rel=0.02)

    def test_what_says_nothing_is_scored_beside_it(self):
        """A constant is the median, 4 s: off by 100 %, 0 and 60 %. The roofline is half of two times."""
        part = fit(kernel([1.0, 2.0, 4.0], [2.0, 4.0, 10.0], "aab")).part
        assert part.constant == pytest.approx(100 * (1.0 + 0.0 + 0.6) / 3)
        assert part.roofline == pytest.approx(100 * (0.5 + 0.5 + 0.6) / 3)

    def test_a_standard_error_falls_with_the_rows_beyond_the_one_that_the_share_takes(self):
        """Residuals of plus and minus 1 %: 0.01 sqrt(n / (n - 1)) / sqrt(n)."""
        for rows in (2, 10, 50):
            signs = np.where(np.arange(rows) % 2, 0.01, -0.01)
            busy = np.ones(rows)
            found = fit(kernel(busy, 2.0 * np.exp(signs), "abcdefghij" * (rows // 10) if rows > 2 else "ab"))
            assert found.values == pytest.approx([0.5], rel=1e-4)
            assert found.part.deviations == pytest.approx([0.01 / math.sqrt(rows - 1)], rel=0.02)

    def test_screened_rows_are_predicted_and_not_fitted(self):
        """The fourth is three times too long: it is scored with all rows, and with no others."""
        one = kernel([1.0, 2.0, 4.0, 1.0], [2.0, 4.0, 8.0, 6.0], "abcd", screened=("", "", "", "odd"))
        found = fit(one)
        assert found.values == pytest.approx([0.5])
        assert found.residuals == pytest.approx([0.0, 0.0, 0.0, -math.log(3.0)], abs=1e-6)
        part = found.part
        assert (part.rows, part.scored, part.screened) == (3, 3, 1)
        assert part.error == pytest.approx(0.0, abs=1e-4)
        assert part.error_all == pytest.approx(100 * (2 / 3) / 4, rel=1e-4)

    def test_a_row_far_off_lies_outside_of_the_interval(self):
        """One of ten takes three times as long: 1.1 in logs, where nine hardly err and the mean is 0.35."""
        times = np.full(10, 2.0)
        times[3] = 6.0
        part = fit(kernel(np.ones(10), times, "abcdefghij")).part
        assert part.sd == pytest.approx(math.log(3.0) / math.sqrt(10), rel=0.1)
        assert part.coverage == 0.9

    def test_rows_that_are_fitted_only_have_no_part_in_errors(self):
        one = kernel([1.0, 2.0, 4.0], [2.0, 4.0, 10.0], "abc", unscored=np.array([False, False, True]))
        found = fit(one)
        assert (found.part.rows, found.part.scored) == (3, 2)
        assert found.part.constant == pytest.approx(100 * (1.0 + 0.0) / 2)
        few = attrs.evolve(one, unscored=np.ones(3, dtype=bool))
        assert fit(few).part.scored == 3

    def test_a_single_group_is_scored_by_rows(self):
        """Nothing is known of another group; rows of one know of each other."""
        found = fit(kernel([1.0, 2.0], [2.0, 5.0], "aa"))
        assert math.isnan(found.part.error)
        assert found.part.sd == pytest.approx(math.log(0.5 / 0.4))
        assert found.part.error_rows == pytest.approx(100 * (0.25 + 0.2) / 2)


class TestTwoFigures:
    def test_a_group_that_leaves_too_few_rows_behind_is_not_scored(self):
        """Without the first group one row is left for two figures. It is a tenth longer than the rest."""
        memory = np.array([1e-5, 1e-4, 1e-3, 2e-3, 5e-4])
        true = memory / 0.5 + 1e-5
        true[4] *= 1.1
        found = fit(kernel(memory, true, "aaaab", Launches()))
        assert np.isnan(found.residuals[:4]).all()
        assert found.residuals[4] == pytest.approx(-math.log(1.1), rel=1e-4)
        assert found.part.error == pytest.approx(100 * (1 - 1 / 1.1), rel=1e-3)
        assert found.part.sd == pytest.approx(math.log(1.1), rel=1e-4)

    @pytest.mark.parametrize("repeat", [1.0, 3.0])
    def test_rows_belong_to_what_takes_longest(self, repeat):
        """Launches of 100 us beside 1 to 5 us of bytes, and beside 1 to 6 ms: halves of the rows."""
        memory = np.array([*np.linspace(1e-6, 5e-6, 5), *np.linspace(1e-3, 6e-3, 6)])
        true = repeat * (memory / 0.5 + 1e-4)
        wrong = np.exp(np.where(np.arange(11) < 5, 0.0, [0.05, -0.05] * 5 + [0.05]))
        found = fit(kernel(memory, true * wrong, "abcdefghijk", Launches(), repeat=repeat))
        assert dict(zip(found.part.parameters, found.values, strict=True)) == pytest.approx(
            {"efficiency.memory": 0.5, "launch": 1e-4}, rel=0.05
        )
        assert set(found.part.regimes) == {"memory", "latency"}
        assert found.part.regimes["latency"] < 0.005
        assert 0.04 < found.part.regimes["memory"] < 0.08

    def test_a_regime_of_few_rows_is_not_said(self):
        memory = np.array([*np.linspace(1e-6, 5e-6, 4), *np.linspace(1e-3, 6e-3, 6)])
        found = fit(kernel(memory, memory / 0.5 + 1e-4, "abcdefghij", Launches()))
        assert set(found.part.regimes) == {"memory"}

    def test_two_rows_for_each_figure_and_as_many_shapes(self):
        with pytest.raises(ib.InferBenchError, match="3 rows for 2 parameters; at least 4 were expected"):
            fit(kernel([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], "abc", Launches()))
        two = {"fields": {"m": np.array([5.0, 5.0, 6.0, 6.0])}}
        assert fit(
            kernel([1e-4, 1e-4, 1e-2, 1e-2], [3e-4, 3e-4, 3e-2, 3e-2], "abcd", Launches(), **two)
        ).values
        same = {"fields": {"m": np.full(4, 5.0)}}
        with pytest.raises(ib.InferBenchError, match="4 rows of 1 shape for 2 parameters; at least 2 shapes"):
            fit(kernel([1.0] * 4, [2.0] * 4, "abcd", Launches(), **same))


class TestLooseFigures:
    """A launch of 1 us beside 9 us of bytes, and rows of bytes alone; residuals of both signs cancel."""

    def fitted(self, off: float) -> Any:
        memory = np.concatenate([np.full(20, 4.5e-6), np.full(20, 1.0)])
        wrong = np.where(memory < 1.0, off * np.where(np.arange(40) % 2, 1.0, -1.0), 0.0)
        groups = "".join(chr(97 + i % 26) for i in range(40))
        return fit(kernel(memory, (memory / 0.5 + 1e-6) * np.exp(wrong), groups, Launches()))

    @pytest.mark.parametrize("off", [0.01, 0.1, 0.2])
    def test_a_figure_larger_than_its_own_standard_error_stays(self, off):
        found = self.fitted(off)
        assert found.part.defaults == ()
        assert found.values == pytest.approx([0.5, 1e-6], rel=1e-3)
        deviation = found.part.deviations[1]
        assert deviation < 1.0
        if off == 0.01:  # launches are a tenth of 20 times, which err by 1 %, of 40 of which two are spent
            assert deviation == pytest.approx(0.01 * math.sqrt(20 / 38) / 0.1 / math.sqrt(20), rel=0.4)

    def test_one_that_is_smaller_says_nothing(self):
        found = self.fitted(0.3)
        assert found.part.defaults == ("launch",)
        assert found.part.parameters == ("efficiency.memory",)


class TestEntries:
    """A stack of the entries says of a kernel what its fit says, whatever it is based on."""

    FIGURES = RooflineFigures(
        efficiency={"memory": {"default": 0.9}, "memory.hbm": {"default": 0.3}, "compute": {"gemm": 0.2}},
        launch={"gemm": 9e-5, "default": 1e-5},
        overlap={"default": 2.0},
    )

    @pytest.mark.parametrize("based", [False, True])
    def test_lookups_find_what_the_fit_had(self, based):
        base = Stack(name="base", title="B", figures=self.FIGURES) if based else None
        memory = np.array([1e-5, 1e-4, 1e-3, 2e-3, 5e-4])
        one = kernel(memory, memory / 0.5 + 1e-5, "abcde", Launches(), busy={"compute": memory[None, :] / 3})
        found = fit(attrs.evolve(one, beside=beside(base, one)))
        assert found.values == pytest.approx([0.5, 1e-5], rel=1e-3)
        tables = entries([found], base)
        mine = {name: dict(table) for name, table in tables.items()}
        theirs = {} if base is None else {path: dict(table) for path, (table, _) in base.tables.items()}
        both = {name: {**theirs.get(name, {}), **mine.get(name, {})} for name in {*theirs, *mine}}
        stack = Stack(name="new", title="N", figures=Roofline().record(both))
        assert one.time(stack) == pytest.approx(memory / 0.5 + 1e-5, rel=1e-3)
        assert one.time(stack) == pytest.approx(found.seconds, rel=1e-9)

    def test_a_stack_of_values_has_them_under_the_kernels_key(self):
        """Parts of an engine that others have entries of get the engine's figure for this kernel."""
        one = stack_of("gemm", {"efficiency.memory": 0.5}, {"efficiency.memory.hbm": {"move": 0.7}})
        assert one.figures.efficiency["memory"] == {"gemm": 0.5}
        assert one.figures.efficiency["memory.hbm"] == {"move": 0.7, "gemm": 0.5}
        two = stack_of("gemm", {"launch@elementwise.experts": 3e-6, "tuning.prologue": 4.0})
        assert two.figures == RooflineFigures(launch={"elementwise.experts": 3e-6})


class TestDoubts:
    """Times in another unit, or of another chip, are likelier than software that is so slow."""

    def test_a_median_of_thirty_times_the_roofline(self):
        times = np.array([10.0, 25.0, 40.0, 80.0, 90.0])
        found = fit(kernel(np.full(5, 1e-3), 1e-3 * times, "abcde"))
        median, _ = _strange(found)
        assert median.startswith("gemm: the median row takes 40 times as long as the roofline of the chip")
        screened = kernel(np.full(5, 1e-3), 1e-3 * times, "abcde", screened=("", "", "", "odd", "odd"))
        assert not [said for said in _strange(fit(screened)) if "median" in said]

    @pytest.mark.parametrize(
        ("beaten", "refused", "warned"), [(1, False, False), (2, False, True), (3, True, True)]
    )
    def test_rows_faster_than_the_roofline(self, toy, beaten, refused, warned):
        """Of four rows more than half are refused, and more than three in ten are doubted."""
        screened = tuple([FASTER] * beaten + [""] * (4 - beaten))
        one = kernel(np.full(4, 1e-3), np.full(4, 2e-3), "abcd", screened=screened)
        if refused:
            with pytest.raises(
                ib.InferBenchError, match="3 of 4 rows are faster than the roofline of toy-chip"
            ):
                _doubts([one], toy.chip("toy-chip"))
        else:
            assert bool(_doubts([one], toy.chip("toy-chip"))) is warned
            good = kernel(np.full(8, 1e-3), np.full(8, 2e-3), "abcdefgh")
            said = _doubts([one, good], toy.chip("toy-chip"))
            assert [text.split(":")[0] for text in said] == ["gemm"] * warned  # of one kernel alone

    def test_a_share_at_its_lowest(self):
        slow = fit(kernel(np.full(4, 1e-3), np.full(4, 24e-3), "abcd"))
        (said,) = _strange(slow)
        assert said.startswith("gemm: efficiency.memory ends at 0.05, the lowest that is thought possible")
        assert not list(_strange(fit(kernel(np.full(4, 1e-3), np.full(4, 15e-3), "abcd"))))


def test_a_part_of_a_fit_is_written_in_few_digits_and_without_what_is_not_known():
    part = FitPart(
        rows=12,
        scored=0,
        error=2.34567,
        regimes={"memory": 0.0123456},
        parameters=("launch",),
        deviations=(0.123456,),
        correlation=((1.0, -1 / 3), (-1 / 3, 1.0)),
    )
    lines = part_lines(part)
    assert "rows = 12" in lines
    assert "correlation = [[1, -0.33], [-0.33, 1]]" in lines
    assert 'parameters = ["launch"]' in lines
    (deviation,) = (line for line in lines if line.startswith("deviations"))
    assert float(deviation.split("[")[1].rstrip("]")) == pytest.approx(0.1235, abs=5e-4)
    assert not any(line.startswith(("sd", "coverage", "defaults", "chips", "constant")) for line in lines)


def test_what_data_could_not_fix_is_written_as_a_default_alone():
    """No row told the second of three: neither its figure nor its row of the table is written."""
    part = FitPart(
        rows=3,
        parameters=("memory", "launch", "compute"),
        deviations=(0.01, math.inf, 0.02),
        correlation=((1.0, 0.0, 0.5), (0.0, 1.0, 0.0), (0.5, 0.0, 1.0)),
        defaults=("launch",),
    )
    lines = part_lines(part)
    assert 'parameters = ["memory", "compute"]' in lines
    assert "deviations = [0.01, 0.02]" in lines
    assert "correlation = [[1, 0.5], [0.5, 1]]" in lines
    assert 'defaults = ["launch"]' in lines
    alone = attrs.evolve(part, parameters=("launch",), deviations=(math.inf,), correlation=((1.0,),))
    assert not any("inf" in line or line.startswith("parameters") for line in part_lines(alone))


class TestWritten:
    """Two kernels of 4 and 12 rows, written as a stack and read again."""

    @pytest.fixture
    def calibration(self, toy: Any) -> Calibration:
        memory = np.array([1e-5, 1e-4, 1e-3, 2e-3])
        signs = np.array([0.02, -0.02] * 6)
        narrow = kernel(memory, memory / 0.5, "abcd", key="gemm.fp8", precision="fp8", formats=("fp8",))
        wide = kernel(np.tile(memory, 3), np.tile(memory, 3) / 0.4 * np.exp(signs), "abcdefghijkl")
        files = (FitFile("rows.csv", "00ff", 16),)
        fits = (fit(narrow), fit(wide))
        return Calibration(toy.chip("toy-chip"), fits, {}, {}, files, ("Lib 2", "Lib 1"))

    def read(self, found: Calibration, labels: Labels) -> Stack:
        return stack_from(stack_toml(found, labels).encode(), "mine", "mine.toml", None)

    def test_figures_come_back_in_four_digits(self, calibration):
        stack = self.read(calibration, Labels("Mine"))
        assert stack.figures.efficiency == {"memory": {"gemm.fp8": 0.5, "gemm": pytest.approx(0.4, abs=5e-5)}}
        assert (stack.title, stack.architectures) == ("Mine", ("toy",))
        assert stack.domain.chips == ("toy-chip",)
        assert set(stack.domain.precisions) == {"bf16", "fp8"}
        assert stack.domain.ops == {"gemm": {"m": (0.0, 11.0)}}

    def test_its_software_is_what_was_measured_unless_something_else_is_said(self, calibration):
        assert self.read(calibration, Labels("Mine")).software == ("Lib 2", "Lib 1")
        assert self.read(calibration, Labels("Mine", software=("Lib",))).software == ("Lib",)

    def test_errors_of_all_kernels_weigh_by_their_rows(self, calibration):
        """4 rows without an error and 12 of about 2 %: three quarters of it, and in quadrature the root."""
        wide = calibration.fits[1].part
        assert wide.error == pytest.approx(2.0, rel=0.2)
        record = calibration.fit
        assert (record.rows, record.error) == (16, pytest.approx(0.75 * wide.error, rel=1e-3))
        assert record.kernel == pytest.approx(math.sqrt(0.75) * wide.log_error, rel=1e-3)
        assert record.kernels["gemm"] == wide.log_error
        assert record.kernels["gemm.fp8"] == pytest.approx(0.0, abs=1e-6)
        assert record.on == "16 rows of toy-chip under Lib 2, Lib 1"
        back = self.read(calibration, Labels("Mine", command="calibrate rows.csv")).fit
        assert (back.rows, back.command, back.files) == (16, "calibrate rows.csv", calibration.files)
        assert back.error == pytest.approx(record.error, rel=0.01)
        assert set(back.parts) == {"gemm", "gemm.fp8"}
        assert back.parts["gemm"].rows == 12
