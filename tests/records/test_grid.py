"""Grids: every axis in a dimension of its own, the longest last, results in the order given."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib
from inferbench.errors import InferBenchError
from inferbench.specs.ranges import points_of


@pytest.fixture
def grid():
    return ib.Grid.of({"batch": [1, 2, 4, 8], "context": [10, 20]}, ["bf16", "fp8", "w4a16"])


def test_the_longest_axis_lies_last_in_memory(grid):
    assert grid.dims == ("context", "precision", "batch")
    assert grid.shape == (2, 3, 4)
    assert grid.size == 24
    assert grid.at["batch"].shape == (1, 1, 4)
    assert grid.at["context"].shape == (2, 1, 1)
    assert grid.at.precision.weights.shape == (1, 3, 1)


def test_coordinates_are_float64(grid):
    assert grid.at["batch"].dtype == grid.at["context"].dtype == grid.at.precision.kv.dtype == np.float64


def test_results_come_in_the_order_given(grid):
    at = grid.at
    full = grid.full(at["batch"] * 1000 + at["context"] + at.precision.weights)
    assert full.shape == (4, 2, 3)
    assert full[2, 1, 0] == 4022.0
    assert full[3, 0, 1] == 8011.0
    assert full[0, 0, 2] == 1010.5


def test_an_array_that_depends_on_one_axis_is_broadcast_without_a_copy(grid):
    full = grid.full(grid.at["batch"])
    assert full.shape == (4, 2, 3)
    assert full.strides[1:] == (0, 0)


def test_an_empty_axis_is_an_error():
    for axes, precisions, flag in (({"batch": []}, ["bf16"], "batch"), ({"batch": [1]}, [], "precision")):
        with pytest.raises(InferBenchError) as caught:
            ib.Grid.of(axes, precisions)
        assert str(caught.value) == f"{flag}: the axis has no points\n  give at least one value"


def test_a_solved_coordinate_replaces_an_axis(grid):
    one = ib.Grid.of({"batch": [1], "context": [10, 20]}, ["bf16"])
    solved = one.solve(batch=np.array([5.0, 7.0]))
    np.testing.assert_array_equal(np.ravel(solved.at["batch"]), [5.0, 7.0])
    assert one.at["batch"].reshape(-1).tolist() == [1.0]


def test_a_point_is_replaced_and_not_changed(grid):
    at = grid.at
    other = at.replace(batch=2.0)
    assert other["batch"] == 2.0
    assert at["batch"].shape == (1, 1, 4)
    assert other.precision is at.precision
    with pytest.raises(KeyError):
        at["steps"]


def test_a_number_of_too_many_digits_is_refused():
    with pytest.raises(ib.InferBenchError, match="more digits than a number can hold"):
        ib.Grid.of({"batch": [10**400]}, ["bf16"])
    with pytest.raises(ib.InferBenchError, match="is not a number or a list of numbers"):
        points_of([10**400], "batch")
