"""Cycles against SCALE-Sim, against figures worked out by hand, against an event-by-event schedule, and
laws.
"""

from __future__ import annotations

import inferbench_data
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inferbench_systolic import Shape, cycles, sram_reads, sram_writes, unfold

FLOWS = ("ws", "is", "os")
sizes = st.integers(1, 600).map(float)
flows = st.sampled_from(FLOWS)
shapes = st.builds(
    Shape,
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    loading=st.sampled_from(["serial", "double"]),
    weight_rows_per_cycle=st.integers(1, 4),
)


@pytest.fixture(scope="module")
def reference() -> list[dict[str, float | str]]:
    return list(inferbench_data.table("systolic_cycles").rows())


def sizes_of(row):
    return row["m"], row["n"], row["k"]


def array_of(row):
    return int(row["rows"]), int(row["columns"])


def test_every_cycle_count_of_scale_sim_is_met_exactly(reference):
    wrong = [
        row for row in reference if cycles(row["dataflow"], *sizes_of(row), *array_of(row)) != row["cycles"]
    ]
    assert len(reference) == 370
    assert wrong == []


def test_every_sram_read_count_of_scale_sim_is_met_exactly(reference):
    for row in reference:
        reads = sram_reads(row["dataflow"], *sizes_of(row), *array_of(row))
        assert reads == (row["input_reads"], row["weight_reads"]), row["layer"]


def test_sram_writes_equal_scale_sim_except_its_output_stationary_counter(reference):
    for row in reference:
        writes = sram_writes(row["dataflow"], *sizes_of(row), int(row["rows"]))
        counted = row["output_writes"]
        assert writes < counted if row["dataflow"] == "os" else writes == counted


def test_double_buffering_is_never_slower_on_the_reference_shapes(reference):
    for row in reference:
        double = cycles(row["dataflow"], *sizes_of(row), *array_of(row), "double")
        assert double <= row["cycles"]


@pytest.mark.parametrize(
    ("dataflow", "shape", "array", "loading", "expected"),
    [
        # 1 x 1 x 1 on one cell: load in cycle 0, multiply in 1, result in 1; the last cycle's number is 1.
        ("ws", (1, 1, 1), (1, 1), "serial", 1),
        # 64 cubed, one fold: 64 to load, 64 rows, 126 of skew, from cycle 0; on 128 x 128: 128 + 64 + 254 -
        # 1.
        ("ws", (64, 64, 64), (64, 64), "serial", 253),
        ("ws", (64, 64, 64), (128, 128), "serial", 445),
        # Four folds (k 512) by four (n 512) of 128 + 1 + 254 cycles; 16 * 383 - 1.
        ("ws", (1, 512, 512), (128, 128), "serial", 6127),
        # Inputs stay: k 512 in four folds, m 1 in one; 4 * (128 + 512 + 254) - 1.
        ("is", (1, 512, 512), (128, 128), "serial", 3575),
        # Results stay: n 512 in sixteen folds of 512 + 62; 16 * 574 - 1.
        ("os", (1, 512, 512), (32, 32), "serial", 9183),
        # Two folds of 3 rows on 4 x 4, loads hidden: 4, then max(3, 4), then 3 + 6, less 1.
        ("ws", (3, 8, 4), (4, 4), "double", 16),
        # The same with 10 rows, more than a load: 4 + 10 + 10 + 6 - 1.
        ("ws", (10, 8, 4), (4, 4), "double", 29),
        # Inputs stay, 10 columns stream, m 8 in two folds: the mirror image.
        ("is", (8, 10, 4), (4, 4), "double", 29),
        # Nothing to load: double buffering changes nothing. Two folds of 4 + 4 + 5 - 2, less 1.
        ("os", (8, 4, 5), (4, 4), "double", 21),
    ],
)
def test_cycles_by_hand(dataflow, shape, array, loading, expected):
    assert cycles(dataflow, *map(float, shape), *array, loading) == expected


@pytest.mark.parametrize(("w", "expected"), [(1, 4), (2, 2), (3, 2), (4, 1)])
def test_wider_loading_shortens_the_load_and_nothing_else(w, expected):
    # 10 rows through a 4 x 4 array once: load + 10 + 6 - 1.
    assert cycles("ws", 10.0, 4.0, 4.0, 4, 4, "serial", w) == expected + 15


def schedule(folds: int, rows: int, columns: int, streamed: int, w: int) -> int:
    """Two weight buffers, one loader, one stream: start every event as early as its causes allow."""
    load = -(-rows // w)
    loaded = started = 0
    for fold in range(folds):
        loaded = (started if fold else 0) + load
        started = loaded if fold == 0 else max(loaded, started + streamed)
    return started + streamed + rows + columns - 2 - 1


@settings(deadline=None)
@given(
    m=st.integers(1, 60),
    rows=st.integers(1, 24),
    columns=st.integers(1, 24),
    tiles=st.integers(1, 6),
    w=st.integers(1, 4),
)
def test_double_buffering_equals_an_event_by_event_schedule(m, rows, columns, tiles, w):
    counted = cycles("ws", float(m), float(columns * tiles), float(rows), rows, columns, "double", w)
    assert counted == schedule(tiles, rows, columns, m, w)


@settings(deadline=None)
@given(flow=flows, m=sizes, n=sizes, k=sizes, shape=shapes)
def test_double_buffering_is_never_slower_and_equal_for_a_single_fold(flow, m, n, k, shape):
    array = (shape.rows, shape.columns)
    w = shape.weight_rows_per_cycle
    serial = cycles(flow, m, n, k, *array, "serial", w)
    double = cycles(flow, m, n, k, *array, "double", w)
    assert double <= serial
    if unfold(flow, m, n, k, shape).folds == 1.0:
        assert double == serial


@pytest.mark.parametrize("m", [1.0, 8.0, 64.0, 127.0, 128.0, 1000.0])
def test_utilization_of_many_double_buffered_folds_tends_to_the_smaller_of_1_and_m_over_rows(m):
    def utilization(folds: float) -> float:
        useful = folds * m
        return useful / float(cycles("ws", m, 128.0 * folds, 128.0, 128, 128, "double"))

    limit = min(1.0, m / 128.0)
    errors = [limit - utilization(folds) for folds in (1.0, 100.0, 1e4, 1e6)]
    assert errors == sorted(errors, reverse=True)
    assert 0.0 < errors[-1] < 1e-5 * limit


def test_that_limit_is_far_from_a_single_fold():
    # 128 rows through one 128 x 128 tile: 128 to load + 128 + 254 - 1 cycles, a quarter used, where the limit
    # says 1.
    assert cycles("ws", 128.0, 128.0, 128.0, 128, 128, "double") == 509


@settings(deadline=None)
@given(
    flow=flows,
    m=sizes,
    more=sizes,
    n=sizes,
    k=sizes,
    shape=shapes,
    g=st.integers(1, 9),
    arrays=st.integers(1, 8),
)
def test_more_rows_never_take_fewer_cycles(flow, m, more, n, k, shape, g, arrays):
    few, many = (unfold(flow, rows, n, k, shape, float(g), arrays).cycles for rows in (m, m + more))
    assert few <= many


@settings(deadline=None)
@given(flow=flows, m=sizes, n=sizes, k=sizes, shape=shapes, g=st.integers(1, 20))
def test_copies_on_one_array_cost_that_many_times_one_but_for_the_fills_behind_streams(
    flow, m, n, k, shape, g
):
    """Double-buffered, g products fill and drain the array once; each saves the skew of the others."""
    one, copies = (unfold(flow, m, n, k, shape, count) for count in (1.0, float(g)))
    if one.double:
        whole = unfold(flow, m, n * g, k, shape) if flow == "ws" and n % shape.columns == 0 else copies
        assert copies.cycles == whole.cycles <= g * one.cycles
    else:
        assert copies.cycles == g * one.cycles


@settings(deadline=None)
@given(flow=flows, m=sizes, n=sizes, k=sizes, shape=shapes, g=st.integers(1, 20), arrays=st.integers(1, 8))
def test_more_arrays_are_never_slower_and_never_faster_than_an_even_share(flow, m, n, k, shape, g, arrays):
    alone = unfold(flow, m, n, k, shape, float(g))
    shared = unfold(flow, m, n, k, shape, float(g), arrays)
    assert shared.cycles <= alone.cycles
    assert shared.folds * arrays >= alone.folds


@settings(deadline=None)
@given(flow=flows, m=sizes, n=sizes, k=sizes, shape=shapes)
def test_no_cell_multiplies_more_than_once_per_cycle(flow, m, n, k, shape):
    # Counted from cycle 0 to the last, that is one more than SCALE-Sim reports per product.
    counted = cycles(flow, m, n, k, shape.rows, shape.columns, shape.loading, shape.weight_rows_per_cycle)
    assert (counted + 1.0) * shape.rows * shape.columns >= m * n * k


def test_folds_are_dealt_out_evenly_and_products_side_by_side():
    shape = Shape(4, 4, "double")
    # 3 products of 5 folds on 4 arrays: 15 folds, 4 on the busiest, which belong to one product.
    work = unfold("ws", 10.0, 20.0, 4.0, shape, count=3.0, arrays=4)
    assert (work.folds, work.chains) == (4.0, 1.0)
    # 4 loads, four streams of 10, skew 6, from cycle 0.
    assert work.cycles == 4 + 4 * 10 + 6 - 1


def test_an_empty_product_takes_no_cycles():
    assert unfold("ws", 1.0, 0.0, 128.0, Shape(128, 128, "double")).cycles == 0.0


@pytest.mark.parametrize("flow", FLOWS)
def test_a_grid_equals_its_points(flow):
    ms, ns = np.array([1.0, 33.0, 700.0]).reshape(-1, 1), np.array([5.0, 129.0])
    whole = cycles(flow, ms, ns, 300.0, 32, 16, "double", 3)
    assert whole.shape == (3, 2)
    for i, j in np.ndindex(3, 2):
        assert cycles(flow, ms[i, 0], ns[j], 300.0, 32, 16, "double", 3) == whole[i, j]
