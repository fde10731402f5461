"""Standard errors, folds and intervals of a fit, against closed forms of linear regression."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inferbench.calibration.fitting import (
    _around,
    _at_bound,
    _folds,
    _interval,
    _loose,
    _mape,
    _relative,
    _sd,
    _solution_of,
)
from inferbench.records.free import Free


def free(name="launch", **more):
    usual = {"start": 1.0, "low": 0.0, "high": 100.0, "absent": 0.0, "settled": ""}
    return Free(name, **{**usual, **more})


def test_standard_errors_are_those_of_linear_regression():
    """s^2 (J'J)^-1, J'J = ((3, 1), (1, 3)), s^2 = 2 cost / freedom: variances of 3/8, correlation of -1/3."""
    jac = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    found = _solution_of(jac, np.ones(2), np.array([10.0, 5.0]), cost=1.0, freedom=2)
    assert found.values.tolist() == [10.0, 5.0]
    assert found.deviations == pytest.approx([10 * math.sqrt(3 / 8), 5 * math.sqrt(3 / 8)])
    assert found.correlation[0] == pytest.approx([1.0, -1 / 3])
    assert found.free == pytest.approx([0.0, 0.0])
    four = _solution_of(jac, np.ones(2), np.array([10.0, 5.0]), cost=4.0, freedom=2)
    assert four.deviations == pytest.approx(2 * found.deviations)
    assert _relative(found) == pytest.approx([math.sqrt(3 / 8)] * 2)


def test_errors_are_of_the_value_itself_whatever_unit_it_was_fitted_in():
    """Derivatives by x at x = 4, whose unit is 10: an error of a quarter per unit of residual."""
    found = _solution_of(np.array([[4.0]]), np.array([4.0]), np.array([10.0]), cost=0.5, freedom=1)
    assert found.values == pytest.approx([40.0])
    assert found.deviations == pytest.approx([10 / 4])


def test_what_nothing_changes_is_fixed_by_nothing():
    found = _solution_of(np.array([[1.0, 0.0], [2.0, 0.0]]), np.ones(2), np.ones(2), cost=2.5, freedom=1)
    assert found.deviations.tolist() == [pytest.approx(1.0), math.inf]
    assert found.free == pytest.approx([0.0, 1.0])
    both = _solution_of(np.array([[1.0, 1.0], [2.0, 2.0]]), np.ones(2), np.ones(2), cost=2.5, freedom=1)
    assert both.deviations.tolist() == [math.inf, math.inf]  # only their sum is known
    assert both.correlation.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_what_the_rows_may_not_fix():
    """Nothing fixes what errs without end or went to zero; what errs by more than itself comes after."""
    frees = [free("a"), free("b"), free("c", absent=None), free("d", absent=1.0)]

    def loose(values, deviations):
        jac = np.eye(4)
        one = _solution_of(jac, np.ones(4), np.array(values), 0.5, 1)
        return _loose(frees, type(one)(one.values, np.array(deviations), one.correlation, one.free, one.cost))

    assert loose([1.0, 1.0, 1.0, 1.0], [0.1] * 4) == []
    assert loose([1.0, 1.0, 1.0, 1.0], [0.1, math.inf, 0.1, 0.1]) == ["b"]
    assert loose([1e-4, 1.0, 1e-4, 1e-4], [1e-6, 50.0, 1e-6, 1e-6]) == ["a", "c"]
    assert loose([1.0, 1.0, 1.0, 1.0], [0.1, 50.0, 0.1, 0.1]) == ["b"]


def test_every_row_is_left_out_once_and_groups_stay_together():
    groups = [f"g{i % 13}" for i in range(60)]
    folds = np.stack(_folds(groups))
    assert folds.sum(axis=0).tolist() == [1] * 60
    for name in set(groups):
        assert len({tuple(folds[:, i]) for i in range(60) if groups[i] == name}) == 1
    sizes = [len({groups[i] for i in np.flatnonzero(fold)}) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    assert [int(fold.sum()) for fold in _folds(["a", "b", "b"])] in ([1, 2], [2, 1])


def test_values_at_their_ends_are_named():
    frees = [free("a", high=2.0), free("b", low=0.5), free("c"), free("d")]
    assert _at_bound(frees, np.array([2.0, 0.5, 1.0, 1e-4])) == ["a", "b", "d"]
    assert _at_bound(frees, np.array([1.99, 0.51, 1.0, 0.01])) == []


def test_errors_in_per_cent_and_as_logs():
    logs = np.log([1.1, 0.8, 2.0, math.nan])
    assert _mape(logs, np.array([True, True, False, True])) == pytest.approx(15.0)
    assert math.isnan(_mape(logs, np.array([False, False, False, True])))
    assert _sd(np.array([3.0, -4.0])) == pytest.approx(math.sqrt(12.5))


def test_tails_widen_the_interval_of_many_rows():
    """A tenth of 100 rows errs by 1, the others by nothing: root mean square 0.316, conformal 1 / 1.645."""
    heavy = np.array([1.0] * 10 + [0.0] * 90)
    assert _interval(heavy) == pytest.approx(1 / 1.6449, rel=1e-3)
    assert _interval(heavy[:20]) == pytest.approx(math.sqrt(0.5))  # few: no quantile
    assert _interval(np.full(100, 0.2)) == pytest.approx(0.2)


@pytest.mark.parametrize(("rows", "starts"), [(10, 9), (50, 4)])
def test_searches_begin_at_the_usual_values_and_around_them(rows, starts):
    frees = [free("a", start=2.0), free("b", start=1e-6)]
    found = _around(frees, np.ones(rows, dtype=bool))
    assert len(found) == starts
    assert found[0].tolist() == [2.0, 1e-6]
    factors = np.stack(found) / found[0]
    assert factors.min() >= 0.25
    assert factors.max() <= 4.0
    assert all(np.array_equal(a, b) for a, b in zip(found, _around(frees, np.ones(rows, bool)), strict=True))
