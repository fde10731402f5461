"""The systolic model on chips: times, what binds, attention, formats, bad input."""

from __future__ import annotations

import math

import attrs
import inferbench_systolic
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inferbench_systolic import Params, Systolic, documented_peak

import inferbench as ib

HOMES = dict.fromkeys(("weights", "state", "inputs", "outputs"), "hbm")
BF16 = ib.Precision.of(["bf16"], ())
# 2 arrays of 4 x 4 cells at 1 GHz that load a row of weights a cycle: 64 operations a beat.
SMALL = Params(rows=4, columns=4, arrays=2, clock=1e9, weight_rows_per_cycle=1)


def chip(params: Params = SMALL, peak: dict[str, float] | None = None, bandwidth: float = 1e12) -> ib.Chip:
    return ib.Chip(
        name="small",
        title="Small",
        vendor="nobody",
        architecture_type="systolic",
        architecture=params,
        peak={"bf16": 64e9, "int8": 128e9} if peak is None else peak,
        memory={"hbm": ib.MemoryLevel(80e9, bandwidth)},
    )


def site(of: ib.Chip) -> ib.Site:
    return ib.Site(
        chip=of,
        layout=ib.Layout(),
        placement=ib.Placement(homes=HOMES, resident={}),
        tuning=ib.NoParams(),
        peak=lambda name: Systolic().peak(of, name),
    )


def gemm(m, n, k, count=1.0, precision=BF16) -> ib.Gemm:
    return ib.Gemm(name="g", precision=precision, m=m, n=n, k=k, count=count)


def attention(**changes: float) -> ib.Attention:
    sizes = {"batch": 1.0, "heads": 4.0, "kv_heads": 1.0, "queries": 1.0, "keys": 8.0, "pairs": 8.0}
    return ib.Attention(name="a", precision=BF16, **{**sizes, "qk_dim": 4.0, "v_dim": 4.0, **changes})


def arrays_time(cost: ib.Cost) -> np.ndarray:
    return np.maximum(cost.busy["compute"], cost.busy.get("compute.load", 0.0))


def test_a_gemm_is_the_cycles_of_the_busiest_array_at_the_clock():
    # 8 x 8 weights are four folds, two per array: 4 + 10 + 10 + 6 - 1 = 29 cycles of 1 ns.
    cost = Systolic().cost(gemm(10.0, 8.0, 8.0), site(chip()))
    assert cost.detail["cycles"] == 29
    assert cost.detail["folds"] == 2
    assert arrays_time(cost).item() == pytest.approx(29e-9)
    assert cost.busy["memory.hbm"].item() == pytest.approx((2 * 10 * 8 + 2 * 64 + 2 * 10 * 8) / 1e12)
    assert cost.actions["ops"] == 1280
    assert cost.bound == "compute"


def test_a_single_token_is_bound_by_loading_weights_into_the_arrays():
    # One row: 2 folds of max(1, 4) cycles: 4 + 4 + 7 - 1 = 14; the stream alone would take 11.
    cost = Systolic().cost(gemm(1.0, 8.0, 8.0), site(chip()))
    assert cost.bound == "compute.load"
    assert cost.busy["compute.load"].item() == pytest.approx(14e-9)
    assert cost.busy["compute"].item() == pytest.approx(11e-9)


def test_loading_several_rows_per_cycle_gives_the_stream_back_its_place():
    wide = Params(rows=4, columns=4, arrays=2, clock=1e9, weight_rows_per_cycle=4)
    cost = Systolic().cost(gemm(2.0, 8.0, 8.0), site(chip(wide)))
    # 1 to load, two streams of 2, skew 6, from cycle 0: 10.
    assert cost.bound == "compute"
    assert cost.busy["compute"].item() == pytest.approx(10e-9)


@pytest.mark.parametrize(("loading", "dataflow"), [("serial", "ws"), ("double", "os")])
def test_where_nothing_loads_behind_the_stream_there_is_one_engine(loading, dataflow):
    params = Params(rows=4, columns=4, arrays=2, clock=1e9, loading=loading, dataflow=dataflow)
    assert set(Systolic().cost(gemm(1.0, 8.0, 8.0), site(chip(params))).busy) == {"compute", "memory.hbm"}


def test_twice_the_peak_at_int8_is_twice_the_beat_for_the_same_cycles():
    cost = Systolic().cost(gemm(10.0, 8.0, 8.0, precision=ib.Precision.of(["bf16", "int8"])), site(chip()))
    assert cost.detail["cycles"] == 29
    assert cost.busy["compute"] == pytest.approx([29e-9, 14.5e-9])


def test_the_stored_peak_wins_over_documented_arrays_that_do_not_multiply_out():
    # TPU v6e: 2 arrays of 256 x 256 would need 3.5 GHz for 918 TOP/s; a long stream must still reach the
    # peak.
    v6e = chip(Params(rows=256, columns=256, arrays=2, clock=1.75e9), {"bf16": 918e12}, 1.638e12)
    assert documented_peak(v6e.architecture) == pytest.approx(458.752e12)
    op = gemm(1e6, 8192.0, 8192.0)
    useful = 2 * 1e6 * 8192 * 8192 / 918e12
    assert useful <= arrays_time(Systolic().cost(op, site(v6e))).item() < 1.001 * useful


def test_tpu_v5p_loads_weights_a_little_faster_than_its_memory_delivers_them():
    # 8 arrays x 128 columns x 2 B x 1.751 GHz = 3.59 TB/s of bf16 weights against 2.765 TB/s from HBM: memory
    # binds.
    v5p = chip(Params(rows=128, columns=128, arrays=8, weight_rows_per_cycle=1), {"bf16": 459e12}, 2.765e12)
    half = Systolic().cost(gemm(1.0, 8192.0, 8192.0), site(v5p))
    assert half.detail["cycles"] == 128 + 511 * 128 + 255 - 1
    assert half.bound == "memory.hbm"
    # Stored in 4 bits and multiplied in bf16, memory delivers four times the weights: loading binds.
    quarter = gemm(1.0, 8192.0, 8192.0, precision=ib.Precision.of(["w4a16"], ()))
    assert Systolic().cost(quarter, site(v5p)).bound == "compute.load"


def test_decode_attention_is_two_products_per_kv_head_with_the_query_heads_as_rows():
    # Scores: 4 rows (4 heads on 1 KV head), n = 8 keys, k = 4: two folds, one per array: 4 + 4 + 6 - 1 = 13.
    # Values: n = 4, k = 8: again two folds; 26 cycles in all.
    cost = Systolic().cost(attention(), site(chip()))
    assert cost.detail["cycles"] == 26
    assert arrays_time(cost).item() == pytest.approx(26e-9)
    assert cost.actions["ops"] == 2 * 8 * 4 * 8


def test_masked_keys_are_skipped():
    # 8 queries, 32 keys, half of the pairs masked: as many cycles as 16 keys, not as 32.
    causal = Systolic().cost(attention(queries=8.0, keys=32.0, pairs=128.0), site(chip()))
    short = Systolic().cost(attention(queries=8.0, keys=16.0, pairs=128.0), site(chip()))
    full = Systolic().cost(attention(queries=8.0, keys=32.0, pairs=256.0), site(chip()))
    assert causal.detail["cycles"] == short.detail["cycles"] < full.detail["cycles"]
    # 32 rows (4 heads of 8 queries), 16 keys: four folds, two per array: 4 + 32 + 32 + 6 - 1; values alike.
    assert causal.detail["cycles"] == 2 * 73


def test_the_longer_engine_carries_all_cycles_where_two_products_differ_in_what_binds():
    # Inputs stay: scores stream 64 keys (longer than a load of 4), values stream 1 column (shorter).
    params = Params(rows=4, columns=4, arrays=1, clock=1e9, dataflow="is", weight_rows_per_cycle=1)
    op = attention(heads=64.0, keys=64.0, pairs=64.0, v_dim=1.0)
    cost = Systolic().cost(op, site(chip(params, {"bf16": 32e9})))
    # 16 folds: 4 + 15*64 + 64 + 6 - 1 = 1033; 256 folds: 4 + 255*4 + 1 + 6 - 1 = 1030.
    assert cost.detail["cycles"] == 2063
    assert arrays_time(cost).item() == pytest.approx(2063e-9)


def test_ops_without_products_cost_their_bytes_only():
    cost = Systolic().cost(ib.Elementwise(name="e", precision=BF16, elements=1000.0), site(chip()))
    assert set(cost.busy) == {"memory.hbm"}
    assert cost.busy["memory.hbm"].item() == pytest.approx(4e-9)
    assert (
        "compute" not in Systolic().cost(ib.Move(name="m", precision=BF16, elements=9.0), site(chip())).busy
    )


def test_a_native_format_gets_the_peak_of_the_arrays_and_other_formats_none():
    bare = chip(Params(rows=4, columns=4, arrays=2, clock=1e9, native="int8"), {})
    assert Systolic().peak(bare, "int8") == 64e9
    assert math.isnan(Systolic().peak(bare, "bf16"))
    assert math.isnan(Systolic().peak(chip(peak={}), "int8"))


@settings(deadline=None, max_examples=80)
@given(
    m=st.floats(1.0, 3000.0),
    n=st.integers(1, 500),
    k=st.integers(1, 500),
    count=st.floats(0.2, 40.0),
    array=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9)),
    dataflow=st.sampled_from(["ws", "os", "is"]),
    loading=st.sampled_from(["serial", "double"]),
)
def test_nothing_beats_the_roofline(m, n, k, count, array, dataflow, loading):
    params = Params(*array, dataflow=dataflow, loading=loading)
    cost = Systolic().cost(gemm(m, float(n), float(k), count), site(chip(params)))
    assert arrays_time(cost).item() >= 2.0 * m * n * k * count / 64e9 * (1 - 1e-11)
    assert all(np.all(np.isfinite(part)) and np.all(part >= 0) for part in cost.busy.values())


def test_a_grid_equals_its_points():
    batch, keys = np.array([1.0, 3.0, 40.0]).reshape(-1, 1, 1), np.array([7.0, 900.0]).reshape(-1, 1)
    names = ["bf16", "int8"]

    def cost(at_batch, at_keys, precision):
        op = ib.Attention(
            name="a",
            precision=ib.Precision.of(precision),
            batch=at_batch,
            heads=8.0,
            kv_heads=2.0,
            queries=1.0,
            keys=at_keys,
            pairs=at_keys,
            qk_dim=16.0,
            v_dim=16.0,
        )
        return Systolic().cost(op, site(chip()))

    grid = cost(batch, keys, names)
    for i, j, p in np.ndindex(3, 2, 2):
        point = cost(batch[i], keys[j], [names[p]])
        for engine, seconds in grid.busy.items():
            assert np.broadcast_to(seconds, (3, 2, 2))[i, j, p] == point.busy[engine].item()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 0}, "rows is 0; expected at least 1"),
        ({"arrays": -1}, "arrays is -1"),
        ({"weight_rows_per_cycle": 0}, "weight_rows_per_cycle is 0"),
        ({"weight_rows_per_cycle": 5}, "an array of 4 rows loads at most 4"),
        ({"native": "int9"}, "native is 'int9'; expected one of"),
    ],
)
def test_an_impossible_array_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Params(**{"rows": 4, "columns": 4, "arrays": 2, **changes})


def test_the_plugin_yields_the_model():
    (architecture,) = inferbench_systolic.inferbench_architectures()
    assert architecture.name == "systolic"
    assert architecture.support(ib.Attention) is ib.Support.FULL


def test_softmax_takes_an_exponential_per_pair_on_the_engine_beside_the_arrays():
    """Four heads with 32 pairs each: 128 exponentials, at a thousand a second longer than any product."""
    slow = attrs.evolve(SMALL, exponentials=1e3)
    cost = Systolic().cost(attention(queries=4.0, pairs=32.0), site(chip(slow)))
    assert np.squeeze(cost.busy["compute.exp"]) == pytest.approx(0.128)
    quick = attrs.evolve(SMALL, exponentials=1e15)
    for params in (SMALL, quick):  # not published, and too fast to matter
        assert "compute.exp" not in Systolic().cost(attention(), site(chip(params))).busy
