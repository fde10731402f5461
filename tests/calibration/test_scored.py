"""How fits are scored: errors, baselines and boxes of a few rows, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.entries import _is
from inferbench.calibration.kernel_power import (
    Readings,
    _constant,
    _covered,
    _mape,
    _study,
    _watts,
    _width,
)
from inferbench.calibration.line import Line, Power
from inferbench.calibration.samples import sample
from inferbench.calibration.step_writing import step_domain
from inferbench.calibration.steps import Unseen, _factor, _inside, _part
from inferbench.records.free import Free


def line(measured=1.0, **more):
    usual = {
        "file": "f",
        "chip": "c",
        "chips": 1,
        "network": "n",
        "software": "s",
        "phase": "decode",
        "axes": {"batch": 1.0, "context": 100.0},
        "groups": {},
        "seconds": np.array([1.0]),
        "kernels": 10.0,
        "passes": 1.0,
        "floor": 0.5,
        "precision": "bf16",
        "power": None,
    }
    return Line(**{**usual, "measured": measured, **more})


def test_errors_of_a_phase_beside_its_baselines():
    """Times of 1, 2 and 4 s predicted as 1.1, 1.8 and 4; half of each is the floor.

    The geometric mean of the other two is 2.83, 2 and 1.41: 183 %, 0 % and 65 % off.
    """
    own = [Unseen(line(m, floor=m / 2), p, math.nan) for m, p in ((1.0, 1.1), (2.0, 1.8), (4.0, 4.0))]
    rows = [Unseen(line(1.0), 1.3, math.nan), Unseen(line(1.0), 0.9, math.nan)]
    part = _part(own, rows, 0.75, several=True)
    assert (part.rows, part.scored, part.coverage) == (3, 3, 0.75)
    assert (part.error, part.error_rows, part.roofline) == pytest.approx((20 / 3, 20.0, 50.0))
    assert part.constant == pytest.approx(100 * (math.sqrt(8) - 1 + 1 - math.sqrt(2) / 4) / 3)
    logs = [math.log(1.1), math.log(0.9), 0.0]
    assert part.sd == pytest.approx(float(np.std(logs)))


def test_of_two_rows_each_is_told_the_other():
    """1 s told as 4 s is 300 % off, 4 s told as 1 s 75 %."""
    own = [Unseen(line(m), m, math.nan) for m in (1.0, 4.0)]
    assert _part(own, own, math.nan, several=True).constant == pytest.approx((300 + 75) / 2)


def test_one_row_has_no_constant_and_one_network_no_error_of_others():
    own = [Unseen(line(1.0), 1.1, math.nan)]
    part = _part(own, own, math.nan, several=False)
    assert math.isnan(part.error)
    assert math.isnan(part.constant)
    assert part.error_rows == pytest.approx(10.0)


def test_rows_are_inside_intervals_that_others_errors_make():
    """Network b errs by half, more than a ever did; a errs by a tenth, less than b."""
    errors = [("a", 1.1), ("a", 1.1), ("b", 1.5)]
    pooled = [Unseen(line(1.0, network=name), predicted, math.nan) for name, predicted in errors]
    assert _inside(pooled, pooled, "time", 2) == pytest.approx(2 / 3)
    assert _inside(pooled[2:], pooled, "time", 2) == 0.0
    assert math.isnan(_inside(pooled, pooled, "time", 1))


def test_errors_of_power_and_of_energy():
    """110 W of 100 W over 2 s of 1 s: 10 % and 120 % too much."""
    one = Unseen(line(1.0, power=Power(100.0, 10.0, 1.0, 1.0, math.inf)), 2.0, 110.0)
    assert (one.time, one.power, one.joules) == pytest.approx((1.0, 0.1, 1.2))


def test_the_factor_on_operations_is_the_one_that_readings_had():
    """60 W of idling, 20 J of operations and 10 J of bytes over 1 s at twice the energy: 110 W."""
    read = line(1.0, power=Power(110.0, 60.0, 20.0, 10.0, 700.0))
    assert _factor([read]) == pytest.approx(2.0, rel=0.02)  # a grid of factors
    assert Power(110.0, 60.0, 20.0, 10.0, 90.0).watts(2.0, 1.0) == 90.0  # the limit
    assert Power(110.0, 60.0, 20.0, 10.0, 700.0).watts(2.0, 2.0) == 85.0


def readings(keys, groups, watts):
    rates = {"ops": np.ones(len(watts))}
    return Readings(np.array(keys), np.array(groups), rates, np.array(watts), np.array(["f"] * len(watts)))


def test_a_constant_power_is_that_of_the_other_groups():
    """Kernel x: 100 W in one group, 200 and 400 W in the other; each is told the other's mean."""
    some = readings(["x", "x", "x", "y"], ["1", "2", "2", "1"], [100.0, 200.0, 400.0, 9.0])
    assert np.exp(_constant(some, "x")) == pytest.approx([math.sqrt(8.0), 0.5, 0.25])
    assert len(_constant(some, "y")) == 0
    assert math.isnan(_mape(_constant(some, "y")))
    assert _mape(np.log([1.1, 0.8])) == pytest.approx(15.0)


def test_intervals_of_groups_left_out():
    """Of fewer than nine errors the largest, stretched by the root of one and a half for two groups."""
    logs, groups = np.array([0.1, -0.3, 0.2, 0.5]), np.array(["a", "a", "b", "c"])
    assert _width(logs[:3], groups[:3]) == pytest.approx(0.3 * math.sqrt(1.5))
    # a in 0.5 x 1.22 of b and c: both; b in 0.61 of a and c; c, 0.5, in 0.37 of a and b: not.
    assert _covered(logs, groups) == 3
    assert _covered(logs[:2], groups[:2]) == 0


def test_a_box_holds_its_lines():
    """Contexts of 100 and 1,000 with answers of 50: up to 1,050 positions are held."""
    lines = [
        line(axes={"batch": 2.0, "context": 100.0}, chips=4, groups={"gqa": 8.0}, precision="fp8"),
        line(axes={"batch": 64.0, "context": 1000.0, "output": 50.0}, chips=1, phase="generate"),
        line(axes={"batch": 8.0, "context": 500.0}, chips=2, groups={"gqa": 4.0}, chip="d", precision="fp8"),
    ]
    box = step_domain(lines)
    assert box.axes == {"batch": (2.0, 64.0), "context": (100.0, 1050.0), "output": (50.0, 50.0)}
    assert (box.chips, box.counts, box.phases) == (("c", "d"), (1, 4), ("decode", "generate"))
    assert box.ops == {"gqa": {"group": (4.0, 8.0)}}
    assert "fp8" in box.precisions
    assert not box.loaded
    assert step_domain([*lines, line(together=3.5)]).loaded
    assert step_domain(lines, ["prefill"]).phases == ("prefill",)


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b")
@pytest.mark.parametrize(("system", "exchanges"), [("h100-sxm", 0), ("2xh100-sxm:tp2", 2 * 32 + 2)])
def test_an_ideal_step_is_the_longest_engine_of_each_operator(system, exchanges):
    """Two exchanges per layer of 32, and those of the two tables; whatever a part weighs counts so often."""
    run = ib.run(system, "llama3-8b/decode", stack="ideal", batch=4, context=1000, breakdown=True)
    one, twice = (
        sample(1.0, parts, "s", "decode", "t") for parts in ([(1.0, run)], [(1.0, run), (2.0, run)])
    )
    engines, exposed, kernels, together = np.split(one.work, [3, 4, 5], axis=1)
    assert engines.max(axis=1).sum() + exposed.sum() == pytest.approx(float(np.ravel(run.seconds)[0]))
    assert together.sum() == exchanges
    assert kernels.sum() > 32
    assert (engines[:, 2] > 0).sum() == (together > 0).sum()
    assert twice.work.sum(axis=0) == pytest.approx(3 * one.work.sum(axis=0))
    assert (one.chip, one.count) == ("h100-sxm", run.system.count)


def test_entries_are_of_a_kind_in_whatever_precision():
    assert [_is(key, "gemm") for key in ("gemm", "gemm.fp8", "gemm2", "attention.gemm", "gem")] == [
        True,
        True,
        False,
        False,
        False,
    ]


FREES = (
    Free("baseline", 100.0, 0.0, 1000.0, 0.0, "idle machines", unit="W"),
    Free("ops", 1e-12, 0.0, 1e-11, 0.0, "large products", unit="J/OP"),
    Free("bytes.hbm", 1e-10, 0.0, 1e-9, 0.0, "copies", unit="J/B"),
)


def two_kernels(count=24, limit=math.inf):
    """Readings of 200 W, 0.4 and 0.8 pJ per operation of two kernels, and 150 pJ per byte."""
    random = np.random.default_rng(3)
    keys = np.array(["a", "b"] * (count // 2))
    ops, moved = random.uniform(1e13, 5e14, count), random.uniform(1e10, 2e12, count)
    watts = 200.0 + np.where(keys == "a", 0.4e-12, 0.8e-12) * ops + 150e-12 * moved
    groups = np.array([str(i // 2 % 4) for i in range(count)])
    files = np.array(["f"] * count)
    return Readings(keys, groups, {"ops": ops, "bytes.hbm": moved}, np.minimum(watts, limit), files)


def test_energies_of_two_kernels_share_their_baseline_and_their_bytes():
    pytest.importorskip("scipy", reason="scipy is not installed")
    found, parts, errors = _study(two_kernels(), FREES, None, 1e6, "gemm")
    assert found == pytest.approx([200.0, 0.4e-12, 0.8e-12, 150e-12], rel=1e-3, abs=0.0)
    given, _, _ = _study(two_kernels(), FREES, 150e-12, 1e6, "gemm")
    assert given == pytest.approx([200.0, 0.4e-12, 0.8e-12], rel=1e-3, abs=0.0)
    for part in parts.values():
        assert (part.rows, part.scored) == (12, 12)
        assert 0.5 <= part.coverage <= 1.0  # of errors that are rounding
        assert part.error < 0.1 < 10.0 < part.constant
        assert part.error_rows < 0.1
    assert all(0 <= error < 1e-3 for error in errors.values())


def test_power_stays_below_the_limit_that_the_rows_met():
    watts = _watts(np.array([200.0, 1e-12, 1e-10]), ["a"], readings_of(3e14, 4e12), FREES, None, 700.0)
    assert watts.tolist() == [700.0]  # 200 + 300 + 400
    free_ = _watts(np.array([200.0, 1e-12]), ["a"], readings_of(3e14, 1e12), FREES, 1e-10, 700.0)
    assert free_ == pytest.approx([600.0])


def readings_of(ops, moved):
    rates = {"ops": np.array([ops]), "bytes.hbm": np.array([moved])}
    return Readings(np.array(["a"]), np.array(["1"]), rates, np.array([1.0]), np.array(["f"]))


@pytest.mark.parametrize(("byte", "least"), [(None, 8), (150e-12, 6)])
def test_two_rows_per_parameter_are_needed(byte, least):
    """Two kernels have an energy each beside the baseline, and bytes where these are fitted too."""
    pytest.importorskip("scipy", reason="scipy is not installed")
    with pytest.raises(ib.InferBenchError, match=f"{least - 2} rows for .* at least {least} were expected"):
        _study(two_kernels(least - 2), FREES, byte, 1e6, "gemm")
    assert len(_study(two_kernels(least), FREES, byte, 1e6, "gemm")[0]) == least // 2
