"""Energies of kernels alone in a loop: watts of a known law are found again, and scored by groups left out.

100 W flow at all times, an operation takes 0.5 pJ in one format and 0.25 in another, a byte 20 pJ.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.kernel_power import Readings, _study
from inferbench.model.intervals import INTERVAL
from inferbench.records.free import Free

pytest.importorskip("scipy", reason="scipy is not installed: pip install 'inferbench-core[calibrate]'")

FREES = (
    Free("baseline", 80.0, 1.0, 1000.0, None, "kernels of little work"),
    Free("ops", 1e-12, 0.0, 1e-10, None, "kernels of much arithmetic"),
    Free("bytes.hbm", 1e-11, 0.0, 1e-9, None, "kernels of many bytes"),
)
OPS = np.array([1e14, 2e14, 4e14, 1e13, 5e13, 3e14])
BYTES = np.array([1e11, 2e12, 1e12, 3e12, 5e11, 1e12])


def readings(*errors: float, groups: str = "aabbcc") -> Readings:
    """Six rows of each format, of three groups; the last rows are read wrong by so much in logs."""
    rates = np.concatenate([OPS, OPS]), np.concatenate([BYTES, BYTES])
    each = np.where(np.arange(12) < 6, 0.5e-12, 0.25e-12)
    watts = 100.0 + each * rates[0] + 2e-11 * rates[1]
    watts[12 - len(errors) :] *= np.exp(np.array(errors))
    return Readings(
        np.array(["one"] * 6 + ["two"] * 6),
        np.array(list(groups * 2)),
        {"ops": rates[0], "bytes.hbm": rates[1]},
        watts,
        np.array(["f"] * 12),
    )


def test_baseline_operations_and_bytes_are_found_again():
    found, parts, errors = _study(readings(), FREES, None, 1e4, "gemm")
    assert found == pytest.approx([100.0, 0.5e-12, 0.25e-12, 2e-11], rel=1e-4)
    assert {name: (part.rows, part.scored) for name, part in parts.items()} == {"one": (6, 6), "two": (6, 6)}
    assert [part.error for part in parts.values()] == pytest.approx([0.0, 0.0], abs=0.05)
    assert list(errors.values()) == pytest.approx([0.0, 0.0], abs=1e-3)


def test_joules_per_byte_may_be_known():
    found, _, _ = _study(readings(), FREES, 2e-11, 1e4, "gemm")
    assert found == pytest.approx([100.0, 0.5e-12, 0.25e-12], rel=1e-4)


def test_no_kernel_draws_more_than_the_limit():
    """Rows of more than 250 W are at the limit; what is below says what they would take."""
    some = readings()
    limited = Readings(some.keys, some.groups, some.rates, np.minimum(some.watts, 250.0), some.files)
    assert (some.watts > 250.0).any()
    found, parts, _ = _study(limited, FREES, None, 250.0, "gemm")
    assert found[0] == pytest.approx(100.0, rel=0.1)
    assert max(part.error for part in parts.values()) < 6.0


def test_a_constant_is_what_other_groups_of_the_kernel_have():
    """Three groups at 100, 200 and 400 W: geometric means of the others are 283, 200 and 141."""
    watts = np.array([100.0, 100.0, 200.0, 200.0, 400.0, 400.0])
    some = readings()
    made = Readings(some.keys, some.groups, some.rates, np.concatenate([watts, np.full(6, 50.0)]), some.files)
    _, parts, _ = _study(made, FREES, None, 1e4, "gemm")
    off = [math.sqrt(8) - 1, 0.0, 1 - math.sqrt(2) / 4]
    assert parts["one"].constant == pytest.approx(100 * sum(off) / 3)
    assert parts["two"].constant == pytest.approx(0.0)


def test_the_error_is_of_groups_left_out():
    """The last group of the second format reads 0.3 higher in logs: only its own rows are far off."""
    _, parts, errors = _study(readings(0.3, 0.3), FREES, None, 1e4, "gemm")
    assert parts["two"].error > 100 * (1 - math.exp(-0.3)) / 3 * 0.8
    assert parts["two"].error > 3 * parts["one"].error
    # Of six residuals the largest, about 0.3, stretched by the root of four thirds for three groups.
    assert errors["two"] == pytest.approx(0.3 * math.sqrt(4 / 3) / INTERVAL, rel=0.2)
    assert parts["two"].coverage == pytest.approx(4 / 6)


def test_two_rows_for_each_figure_are_needed():
    few = readings().of(np.arange(12) % 2 == 0)
    with pytest.raises(ib.InferBenchError, match="6 rows for 4 parameters; at least 8 were expected"):
        _study(few, FREES, None, 1e4, "gemm")
    assert len(_study(few, FREES, 2e-11, 1e4, "gemm")[0]) == 3
    with pytest.raises(ib.InferBenchError, match="5 rows for 3 parameters; at least 6 were expected"):
        _study(few.of(np.arange(6) < 5), FREES, 2e-11, 1e4, "gemm")
