"""The model against hand-derived times and against laws over random operators and chips."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inferbench_dataflow import Dataflow, DataflowParams, DataflowTuning
from inferbench_dataflow.model import crossing

import inferbench as ib

MODEL = Dataflow()
INT8 = ib.Precision.of(["int8"])
SIZES = st.integers(min_value=1, max_value=20_000).map(float)


def chip(bandwidth=80e12, peak=750e12, capacity=230e6, hop=0.7e-6, link=True, **more):
    """A Groq-like chip; figures of its 2020 and 2024 vendor statements."""
    links = {"scale_up": ib.Link("switch", 240e9, 0.7e-6, 576)} if link else {}
    return ib.Chip(
        name="lpu",
        title="LPU",
        vendor="",
        architecture_type="dataflow",
        architecture=DataflowParams(hop=hop, **more),
        peak={"int8": peak, "fp16": peak / 4},
        memory={"sram": ib.MemoryLevel(capacity, bandwidth)},
        interconnect=links,
    )


def site(a_chip, layout=None, sync=0.0, homes=None):
    homes = homes or dict.fromkeys(("weights", "state", "inputs", "outputs"), "sram")
    return ib.Site(
        chip=a_chip,
        layout=layout or ib.Layout(),
        placement=ib.Placement(homes=homes, resident={}),
        tuning=DataflowTuning(sync),
        peak=lambda name: a_chip.peak.get(name, math.nan),
    )


def seconds(op, at):
    cost = MODEL.cost(op, at)
    return max(float(np.max(x)) for x in cost.busy.values()) + sum(
        float(np.max(x)) for x in cost.exposed.values()
    )


def product(name, n, k, cut):
    return ib.Gemm(name=name, precision=INT8, repeat=32.0, m=1.0, n=n, k=k, split=(cut,))


def layer():
    """The products of a decoder layer of Llama 2 7B at batch 1 (4096 wide, 11008 hidden)."""
    return [
        product("qkv", 3 * 4096.0, 4096.0, "n"),
        product("o", 4096.0, 4096.0, "k"),
        product("gate_up", 2 * 11008.0, 4096.0, "n"),
        product("down", 4096.0, 11008.0, "k"),
    ]


def test_weights_set_the_time_of_a_vector():
    """4096 x 4096 INT8 weights and 2 x 4096 activations at 80 TB/s take 0.2098 us; 2 x 4096^2 operations
    0.0447.
    """
    gemm = ib.Gemm(name="o", precision=INT8, m=1.0, n=4096.0, k=4096.0)
    cost = MODEL.cost(gemm, site(chip()))
    assert float(cost.busy["memory.sram"][0]) == pytest.approx(0.20982e-6, rel=1e-4)
    assert float(cost.busy["compute"][0]) == pytest.approx(0.044739e-6, rel=1e-4)
    assert not cost.exposed


def test_ridge_is_where_the_two_meet():
    """750 TOPS over 80 TB/s is 9.4 operations per byte: INT8 weights are compute-bound from 5 tokens on."""
    gemm = ib.Gemm(name="o", precision=INT8, m=np.arange(1.0, 9.0)[:, None], n=16384.0, k=16384.0)
    cost = MODEL.cost(gemm, site(chip()))
    bound = cost.busy["compute"] > cost.busy["memory.sram"]
    assert bound[:, 0].tolist() == [False] * 4 + [True] * 4


@pytest.mark.parametrize(("sync", "tau"), [(0.0, 0.0), (20e-6, 40e-6)])
def test_each_layer_waits_twice(sync, tau):
    """L tau on top of the bandwidth: 32 layers x 2 x 20 us = 1.28 ms for Llama 2 7B, whatever tp."""
    for tp in (1, 16):
        ops = [op.shard(ib.Layout(tp=tp)) for op in layer()]
        waits = [MODEL.cost(op, site(chip(), ib.Layout(tp=tp), sync)).exposed for op in ops]
        total = sum(op.repeat * float(sum(wait.values())) for op, wait in zip(ops, waits, strict=True))
        assert total == pytest.approx(32 * tau)


def test_llama2_7b_reads_its_layers_once():
    """32 x 202.4 MB of INT8 layers at 80 TB/s are 81 us, or 12,350 tok/s: 16 times the 750 that Groq
    published.
    """
    total = sum(op.repeat * seconds(op, site(chip())) for op in layer())
    assert total == pytest.approx(32 * 202.375168e6 / 80e12, rel=2e-3)
    assert 15 < (1 / 750) / total < 17


def test_hops_are_the_fabrics_unless_there_is_none():
    op = layer()[1]
    linked = MODEL.cost(op, site(chip(), ib.Layout(tp=8)))
    assert linked.exposed["hops"] == 0.0
    alone = MODEL.cost(op, site(chip(link=False), ib.Layout(tp=8)))
    assert alone.exposed["hops"] == pytest.approx(0.7e-6)
    assert MODEL.cost(op, site(chip(link=False))).exposed["hops"] == 0.0
    unknown = MODEL.cost(op, site(chip(link=False, hop=math.nan), ib.Layout(tp=8)))
    assert unknown.exposed["hops"] == 0.0


def test_a_product_waits_for_its_operands_to_cross_its_region():
    """A mesh of 100 x 100 cores and hops of 1 ns: 198 ns corner to corner. 4096 x 4096 INT8 weights take
    0.2098 us on all cores, so all of them are taken and crossed once.
    """
    one = ib.Gemm(name="o", precision=INT8, m=1.0, n=4096.0, k=4096.0)
    cost = MODEL.cost(one, site(chip(cores=10_000, core_hop=1e-9)))
    assert float(np.squeeze(cost.exposed["crossing"])) == pytest.approx(198e-9, rel=1e-9)
    # A thousand times the cores: of 6.3 us corner to corner a sixth of the cores is the best region.
    large = MODEL.cost(one, site(chip(cores=10_000_000, core_hop=1e-9)))
    whole, across = 0.20982e-6, 2 * (10_000_000**0.5 - 1) * 1e-9
    share = (2 * whole / across) ** (2 / 3)
    assert 0.15 < share < 0.18
    assert float(np.squeeze(large.exposed["crossing"])) == pytest.approx(
        whole / share + across * share**0.5 - whole, rel=1e-4
    )


def test_what_moves_alone_crosses_nothing_and_what_is_unknown_costs_nothing():
    norm = ib.Elementwise(name="norm", precision=INT8, elements=4096.0)
    assert "crossing" not in MODEL.cost(norm, site(chip(cores=10_000, core_hop=1e-9))).exposed
    one = ib.Gemm(name="o", precision=INT8, m=1.0, n=4096.0, k=4096.0)
    assert "crossing" not in MODEL.cost(one, site(chip(cores=10_000))).exposed


@settings(max_examples=200, deadline=None)
@given(
    whole=st.floats(1e-12, 1e-3),
    diameter=st.floats(1e-9, 1e-4),
    share=st.floats(1e-6, 1.0),
)
def test_no_region_is_faster_than_the_one_that_is_charged(whole, diameter, share):
    best = whole + float(crossing(whole, diameter))
    assert best <= (whole / share + diameter * share**0.5) * (1 + 1e-9)
    assert float(crossing(whole, diameter)) >= 0


@settings(max_examples=50, deadline=None)
@given(whole=st.floats(1e-12, 1e-3), more=st.floats(1.0, 10.0), diameter=st.floats(1e-9, 1e-4))
def test_more_work_is_never_faster(whole, more, diameter):
    assert whole + crossing(whole, diameter) <= (whole * more + crossing(whole * more, diameter)) * (1 + 1e-9)


def test_weights_are_installed_at_the_rate_that_is_known():
    """4096 x 4096 INT8 weights at 9.2 TB/s take 1.82 us, longer than to read them."""
    one = ib.Gemm(name="o", precision=INT8, m=1.0, n=4096.0, k=4096.0)
    cost = MODEL.cost(one, site(chip(install=9.2e12)))
    assert float(np.squeeze(cost.busy["compute.load"])) == pytest.approx(4096 * 4096 / 9.2e12)
    assert cost.bound == "compute.load"


def test_capacity_is_a_cliff():
    """230 MB hold 229 MB and not 231 MB; the reason tells both numbers."""
    need = np.array([229e6, 231e6])
    graph = ib.Graph((), ib.Footprint(need, 0.0, 0.0), 1)
    placement = MODEL.place(graph, chip(), ib.Layout())
    assert placement.fits.tolist() == [True, False]
    reason = placement.reasons[0]
    assert reason.where.tolist() == [False, True]
    assert reason.numbers["need"][1] == 231e6
    assert reason.numbers["has"] == 230e6


def test_an_unknown_home_teaches():
    wrong = ib.Chip(
        name="x",
        title="x",
        vendor="",
        architecture_type="dataflow",
        architecture=DataflowParams(home="srm"),
        memory={"sram": ib.MemoryLevel(1e9, 1e12)},
    )
    with pytest.raises(ib.InferBenchError, match='write home = "sram"'):
        MODEL.place(ib.Graph((), ib.Footprint(0.0, 0.0, 0.0), 1), wrong, ib.Layout())


def test_keys_and_values_are_read_from_the_same_sram():
    """Llama 2 7B, 2,048 positions: 2 x 32 x 128 x 2048 bytes of KV per layer, 16.8 MB or 0.21 us."""
    attention = ib.Attention(
        name="attention",
        precision=INT8,
        batch=1.0,
        heads=32.0,
        kv_heads=32.0,
        queries=1.0,
        keys=2048.0,
        pairs=2048.0,
        qk_dim=128.0,
        v_dim=128.0,
    )
    cost = MODEL.cost(attention, site(chip()))
    assert float(cost.busy["memory.sram"][0]) == pytest.approx((16.777216e6 + 8192) / 80e12)
    assert float(cost.actions["bytes.sram"][0]) == 16785408.0


def test_activations_cost_their_traffic_and_nothing_else():
    for op in (
        ib.Elementwise(name="e", precision=INT8, elements=4096.0, reads=2.0),
        ib.Reduce(name="r", precision=INT8, elements=8192.0, results=4096.0),
        ib.Move(name="m", precision=INT8, elements=6144.0),
    ):
        cost = MODEL.cost(op, site(chip()))
        assert set(cost.busy) == {"memory.sram"}
        assert float(cost.busy["memory.sram"][0]) == pytest.approx(12288 / 80e12)


def test_every_primitive_is_modelled():
    for kind in (ib.Gemm, ib.Attention, ib.Elementwise, ib.Reduce, ib.Move):
        assert MODEL.support(kind) is ib.Support.FULL


@given(
    m=SIZES,
    n=SIZES,
    k=SIZES,
    bandwidth=st.floats(1e10, 1e16),
    peak=st.floats(1e10, 1e17),
    sync=st.floats(0, 1e-3),
)
@settings(max_examples=60, deadline=None)
def test_never_faster_than_the_roofline_and_better_chips_never_slower(m, n, k, bandwidth, peak, sync):
    gemm = ib.Gemm(name="g", precision=INT8, m=m, n=n, k=k, split=("k",))
    base = seconds(gemm, site(chip(bandwidth, peak), sync=sync))
    assert base >= max(2 * m * n * k / peak, n * k / bandwidth) * (1 - 1e-12)
    assert seconds(gemm, site(chip(2 * bandwidth, peak), sync=sync)) <= base
    assert seconds(gemm, site(chip(bandwidth, 2 * peak), sync=sync)) <= base
    bigger = ib.Gemm(name="g", precision=INT8, m=m + 1, n=n, k=k, split=("k",))
    assert seconds(bigger, site(chip(bandwidth, peak), sync=sync)) >= base


@given(m=st.lists(SIZES, min_size=1, max_size=4), n=SIZES, k=SIZES, sync=st.floats(0, 1e-4))
@settings(max_examples=40, deadline=None)
def test_a_grid_is_its_points(m, n, k, sync):
    names = ["int8", "fp16"]
    at = site(chip(), sync=sync)
    grid = ib.Gemm(
        name="g", precision=ib.Precision.of(names, (1, -1)), m=np.array(m)[:, None], n=n, k=k, split=("k",)
    )
    whole = MODEL.cost(grid, at)
    for i, rows in enumerate(m):
        for j, name in enumerate(names):
            alone = ib.Gemm(
                name="g",
                precision=ib.Precision.of([name], (1, -1)),
                m=np.array([[rows]]),
                n=n,
                k=k,
                split=("k",),
            )
            point = MODEL.cost(alone, at)
            for group in ("busy", "exposed", "actions"):
                for key, value in getattr(point, group).items():
                    full = np.broadcast_to(getattr(whole, group)[key], (len(m), 2))
                    assert full[i, j] == np.asarray(value).reshape(-1)[0]
