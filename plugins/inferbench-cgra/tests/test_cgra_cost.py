"""Kernels against hand-derived bytes and times."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inferbench_cgra import Cgra, CgraParams, CgraTuning, Fused

import inferbench as ib

MODEL = Cgra()
BF16 = ib.Precision.of(["bf16"])
ROLES = ("weights", "state", "inputs", "outputs")


def chip(buffer=520e6, hbm=1.6e12, peak=638e12, load=10e-6, sram=math.nan, link=math.nan):
    """An SN40L socket as its Hot Chips slides give it."""
    return ib.Chip(
        name="rdu",
        title="RDU",
        vendor="",
        architecture_type="cgra",
        architecture=CgraParams(units=1040, reconfiguration=load),
        peak={"bf16": peak},
        memory={
            "ddr": ib.MemoryLevel(1.5e12, 200e9),
            "hbm": ib.MemoryLevel(64e9, hbm),
            "sram": ib.MemoryLevel(buffer, sram),
        },
        interconnect={"scale_up": ib.Link("switch", link, math.nan, 16)},
    )


def site(a_chip=None, tp=1, **tuning):
    a_chip = a_chip or chip()
    return ib.Site(
        chip=a_chip,
        layout=ib.Layout(tp=tp),
        placement=ib.Placement(homes=dict.fromkeys(ROLES, "hbm"), resident={}),
        tuning=CgraTuning(**tuning),
        peak=lambda name: a_chip.peak.get(name, math.nan),
    )


def gemm(name, m, n, k, repeat=80.0, split=()):
    return ib.Gemm(name=name, precision=BF16, repeat=repeat, m=m, n=n, k=k, split=split)


def layer(m=1.0, repeat=80.0, precision=BF16):
    """A norm and three products, 8 wide and 16 in the middle; the norm runs twice per layer."""
    return (
        ib.Elementwise(name="norm", precision=precision, repeat=2 * repeat, elements=m * 8.0),
        ib.Gemm(name="qkv", precision=precision, repeat=repeat, m=m, n=8.0, k=8.0),
        ib.Gemm(name="up", precision=precision, repeat=repeat, m=m, n=16.0, k=8.0),
        ib.Gemm(name="down", precision=precision, repeat=repeat, m=m, n=8.0, k=16.0, split=("k",)),
    )


def planned(ops, at):
    return [op for op in MODEL.plan(ops, at) if isinstance(op, Fused)]


def total(ops, at, group="exposed", key=None):
    """Sum of one share of the costs, all executions."""
    amount = 0.0
    for op in planned(ops, at):
        parts = getattr(MODEL.cost(op, at), group)
        amount = amount + sum((v for k, v in parts.items() if key in (None, k)), 0.0) * op.repeat
    return amount


def step(ops, at):
    """Seconds of all operators under ideal software."""
    seconds = 0.0
    for op in planned(ops, at):
        cost = MODEL.cost(op, at)
        seconds = (
            seconds
            + (np.maximum.reduce(np.broadcast_arrays(*cost.busy.values())) + sum(cost.exposed.values()))
            * op.repeat
        )
    return seconds


def test_a_layer_is_one_kernel_that_moves_its_ends_and_its_weights():
    """Bytes in HBM: 2 norms read 32, weights (64 + 128 + 128) x 2 = 640, the result of `down` 16: 688. On
    chip the rest.
    """
    (kernel,) = planned(layer(), site())
    assert (kernel.repeat, kernel.times) == (80.0, (2.0, 1.0, 1.0, 1.0))
    cost = MODEL.cost(kernel, site())
    assert float(cost.actions["bytes.hbm"][0]) == 688.0
    # norms write 32, qkv reads and writes 32, up reads 16 and writes 32, down reads 32
    assert float(cost.actions["bytes.sram"][0]) == 144.0
    assert float(cost.busy["memory.hbm"][0]) == pytest.approx(688 / 1.6e12)
    assert cost.actions["ops"] == 2 * (64 + 128 + 128)


def test_without_fusion_everything_goes_through_memory():
    """The same layer, every operator a kernel: 688 + 144 bytes, none on chip."""
    at = site(fusion=False)
    assert len(planned(layer(), at)) == 4
    assert float(np.max(total(layer(), at, "actions", "bytes.hbm"))) == 80 * (688 + 144)
    assert float(np.max(total(layer(), at, "actions", "bytes.sram"))) == 0.0


def test_scores_are_written_by_the_baseline_only():
    """32 heads, 4096 x 4096 / 2 pairs, 2 bytes, four passes: 2.1 GB per layer that fusion never sees."""
    attention = ib.Attention(
        name="attention",
        precision=BF16,
        batch=1.0,
        heads=32.0,
        kv_heads=8.0,
        queries=4096.0,
        keys=4096.0,
        pairs=4096.0 * 4096.0 / 2,
        qk_dim=128.0,
        v_dim=128.0,
    )
    fused = MODEL.cost(attention, site()).actions["bytes.hbm"]
    unfused = MODEL.cost(attention, site(fusion=False)).actions["bytes.hbm"]
    assert float((unfused - fused)[0]) == 4 * 32 * 4096 * 4096 / 2 * 2 == 2147483648.0


def test_ten_microseconds_times_240_is_one_setting():
    """80 layers cut into three kernels, loaded anew for every layer: 10 us x 80 x 3 = 2.4 ms."""
    loads = total(layer(), site(groups=3, kernel_looping=False), key="reconfiguration")
    assert float(np.max(loads)) == pytest.approx(2.4e-3)


@pytest.mark.parametrize(
    ("tuning", "loads"),
    [
        ({}, 1),  # one configuration stays for all layers
        ({"kernel_looping": False}, 80),
        ({"groups": 3}, 240),  # each of three pushes the other two out, looping or not
        ({"fusion": False, "kernel_looping": False}, 80 * 5),  # two norms and three products
    ],
)
def test_loads_of_configurations(tuning, loads):
    assert float(np.max(total(layer(), site(**tuning), key="reconfiguration"))) == pytest.approx(
        loads * 10e-6
    )


def test_embedding_and_head_take_turns_with_the_layers():
    """100 tokens in one step: three configurations are loaded for each of them, 300 in all."""
    ends = [
        ib.Move(name="embed", precision=BF16, repeat=100.0, unit="embedding", elements=8.0, stored=800.0),
        *layer(repeat=8000.0),
        ib.Gemm(name="head", precision=BF16, repeat=100.0, unit="head", m=1.0, n=100.0, k=8.0),
    ]
    assert [op.name for op in planned(ends, site())] == ["embed", "norm..down", "head"]
    assert float(np.max(total(ends, site(), key="reconfiguration"))) == pytest.approx(300 * 10e-6)


def test_waiting_is_once_per_layer():
    assert float(np.max(total(layer(), site(tau=12e-6), key="sync"))) == pytest.approx(80 * 12e-6)


def test_a_missing_reconfiguration_time_counts_as_none():
    assert float(np.max(total(layer(), site(chip(load=math.nan)), key="reconfiguration"))) == 0.0


def test_what_does_not_fit_the_buffer_is_spilled_and_cuts_the_kernel():
    """Hand-overs of 16, 16 and 32 bytes: 64 fit whole; in 48 and 32 the middle one spills; in 16 the last
    too; in 8 all.
    """
    seen = {}
    for size in (64.0, 63.0, 32.0, 31.0, 16.0, 8.0):
        cost = MODEL.cost(planned(layer(), site(chip(buffer=size)))[0], site(chip(buffer=size)))
        seen[size] = (float(np.max(cost.detail["configurations"])), float(cost.actions["bytes.hbm"][0]) - 688)
    assert seen[64.0] == (1.0, 0.0)
    assert seen[63.0] == seen[32.0] == (2.0, 16.0 + 16.0)  # qkv writes 16, up reads 16
    assert seen[31.0] == seen[16.0] == (3.0, 32.0 + 64.0)  # and up writes 32, down reads 32
    assert seen[8.0] == (4.0, 144.0)


def test_layers_that_run_more_often_are_other_layers():
    """19 double blocks and 38 single ones are two kernels; every sixth layer's global attention is in the
    same one.
    """
    blocks = [gemm("double", 1.0, 8.0, 8.0, 19.0), gemm("single", 1.0, 8.0, 8.0, 38.0)]
    assert [(op.name, op.repeat) for op in planned(blocks, site())] == [("double", 19.0), ("single", 38.0)]
    mixed = [
        gemm("qkv", 1.0, 8.0, 8.0, 26.0),
        gemm("global", 1.0, 8.0, 8.0, 4.0),
        gemm("local", 1.0, 8.0, 8.0, 22.0),
    ]
    (kernel,) = planned(mixed, site())
    assert kernel.repeat == 26.0
    assert kernel.useful == pytest.approx(2 * 64 * (1 + 4 / 26 + 22 / 26))


def test_exchanges_stay_with_the_fabric_where_it_can_cost_them():
    ops = (*layer()[:-1], layer()[-1], *layer()[-1].exchanges(ib.Layout(tp=8)))
    known, unknown = site(chip(link=100e9), tp=8), site(tp=8)
    assert [op.kind for op in MODEL.plan(ops, known)] == ["fused", "collective"]
    assert [op.kind for op in MODEL.plan(ops, unknown)] == ["fused"]


def test_weights_live_in_hbm_not_in_the_larger_ddr():
    graph = ib.Graph((), ib.Footprint(65e9, 0.0, 0.0), 1)
    placement = MODEL.place(graph, chip(), ib.Layout())
    assert placement.homes["weights"] == "hbm"
    assert not placement.fits


def test_bad_tables_teach():
    with pytest.raises(ValueError, match="groups is 0; at least 1"):
        CgraTuning(groups=0)
    with pytest.raises(ValueError, match="units is 0; at least 1"):
        CgraParams(units=0)
    wrong = ib.Chip(
        name="x",
        title="x",
        vendor="",
        architecture_type="cgra",
        architecture=CgraParams(buffer="srm"),
        memory={"sram": ib.MemoryLevel(1e6, 1e12), "hbm": ib.MemoryLevel(1e9, 1e12)},
    )
    with pytest.raises(ib.InferBenchError, match='write buffer = "sram"'):
        MODEL.place(ib.Graph((), ib.Footprint(0.0, 0.0, 0.0), 1), wrong, ib.Layout())


def test_a_kind_that_nobody_lowers_is_refused():
    class Riddle(ib.Op):
        pass

    with pytest.raises(ib.UnsupportedOp, match="riddle"):
        MODEL.plan((Riddle(name="r", precision=BF16),), site())


@given(
    m=st.integers(1, 10**6).map(float),
    hbm=st.floats(1e9, 1e13),
    peak=st.floats(1e9, 1e16),
    buffer=st.floats(16.0, 1e9),
    tuning=st.sampled_from([{}, {"groups": 3}, {"fusion": False}, {"tau": 1e-6}]),
)
@settings(max_examples=60, deadline=None)
def test_laws(m, hbm, peak, buffer, tuning):
    """Never faster than op by op on an ideal roofline; better chips never slower, more rows never faster."""
    base = float(np.max(step(layer(m), site(chip(buffer, hbm, peak), **tuning))))
    floor = 80 * sum(max(2 * m * n * k / peak, 2 * n * k / hbm) for n, k in ((8, 8), (16, 8), (8, 16)))
    assert base >= floor * (1 - 1e-12)
    near = 1 + 1e-12
    assert float(np.max(step(layer(m), site(chip(buffer, 2 * hbm, peak), **tuning)))) <= base * near
    assert float(np.max(step(layer(m), site(chip(buffer, hbm, 2 * peak), **tuning)))) <= base * near
    assert float(np.max(step(layer(m), site(chip(2 * buffer, hbm, peak), **tuning)))) <= base * near
    assert float(np.max(step(layer(m + 1), site(chip(buffer, hbm, peak), **tuning)))) >= base / near


@given(rows=st.lists(st.integers(1, 10**4).map(float), min_size=1, max_size=4), buffer=st.floats(16.0, 1e6))
@settings(max_examples=40, deadline=None)
def test_a_grid_is_its_points(rows, buffer):
    names = ["bf16", "w8a16"]
    at = site(chip(buffer), tau=12e-6)
    whole = step(layer(np.array(rows)[:, None], precision=ib.Precision.of(names, (1, -1))), at)
    for i, m in enumerate(rows):
        for j, name in enumerate(names):
            point = step(layer(np.array([[m]]), precision=ib.Precision.of([name], (1, -1))), at)
            assert np.broadcast_to(whole, (len(rows), 2))[i, j] == point.reshape(-1)[0]


def test_lowering_a_kernel_gives_its_parts_back():
    (kernel,) = planned(layer(), site())
    parts = list(kernel.lower())
    assert [part.name for part in parts] == ["norm", "qkv", "up", "down"]
    assert sum(part.useful * part.repeat for part in parts) == kernel.useful
    assert (
        float(sum(part.bytes.total * part.repeat for part in parts)[0])
        == float(kernel.bytes.total[0])
        == 832.0
    )
    assert kernel.parameters == 320.0


def test_a_kernel_needs_what_its_parts_need_as_often_as_they_run():
    """A product of 1 x 4 x 8 in 16 bits once, and one of 1 x 8 x 2 in half of the kernel's executions."""
    bf16 = ib.Precision.of(["bf16"])
    up = ib.Gemm(name="up", precision=bf16, m=1.0, n=8.0, k=4.0)
    down = ib.Gemm(name="down", precision=bf16, m=1.0, n=2.0, k=8.0)
    fused = Fused(name="both", precision=bf16, parts=(up, down), times=(1.0, 0.5))
    assert fused.useful == 2 * 32 + 0.5 * 2 * 16
    assert fused.parameters == 32 + 0.5 * 16
    assert (fused.bytes.weights, fused.bytes.inputs, fused.bytes.outputs) == (64 + 16, 8 + 8, 16 + 2)
    assert fused.bytes.state == 0.0
    assert (fused.resident.weights, fused.resident.state) == (64 + 16, 0.0)
    assert [(op.name, op.repeat) for op in fused.lower()] == [("up", 1.0), ("down", 0.5)]


def test_what_attention_keeps_is_what_its_kernel_keeps():
    """Two sequences of 100 positions, 4 heads of 8 and 8, in 16 bits, in a quarter of the executions."""
    bf16 = ib.Precision.of(["bf16"])
    attention = ib.Attention(
        name="a", precision=bf16, batch=2.0, heads=4.0, kv_heads=4.0, queries=1.0, keys=100.0, pairs=100.0,
        qk_dim=8.0, v_dim=8.0,
    )  # fmt: skip
    fused = Fused(name="k", precision=bf16, parts=(attention,), times=(0.25,))
    assert fused.resident.state == 0.25 * 2 * 100 * 4 * (8 + 8) * 2
    assert fused.bytes.state == 0.25 * attention.bytes.state
    assert attention.bytes.state >= 2 * 99 * 4 * 16 * 2
