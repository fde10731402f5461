"""What a fitted stack knows beside efficiencies: kinds of kernels, startup, depth, ramp and conversion."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inferbench as ib
from inferbench.records.fit import Domain
from inferbench.records.overlap import power_sum
from inferbench.records.variants import variants
from inferbench.specs.assemble_stack import stack_from


def read(text, find=None):
    return stack_from(f'title = "S"\n{text}'.encode(), "s", "s.toml", find)


def precision(*names):
    return ib.Precision.of(list(names))


def gemm(name="bf16", m=1.0, n=8.0, k=8.0, **more):
    return ib.Gemm(name="g", precision=precision(name), m=m, n=n, k=k, **more)


def attention(name="bf16", queries=1.0, heads=8.0, kv_heads=2.0, keys=100.0, **more):
    return ib.Attention(
        name="a",
        precision=precision(name),
        batch=1.0,
        heads=heads,
        kv_heads=kv_heads,
        queries=queries,
        keys=keys,
        pairs=queries * keys,
        qk_dim=64.0,
        v_dim=64.0,
        **more,
    )


def reduce(group=8):
    return ib.Collective(
        name="r", precision=precision("bf16"), collective="all_reduce", payload=1e6, group=group
    )


BUSY = ib.Cost(busy={"compute": 3.0, "memory.hbm": 4.0}, actions={"bytes.hbm": 400.0})


@pytest.mark.parametrize(
    ("op", "first"),
    [
        (gemm(), "gemm"),
        (gemm(split=("experts",)), "gemm.experts"),
        (attention(queries=128.0), "attention.context"),
        (attention(), "attention.generation"),
        (attention(kv_heads=8.0), "attention.generation.mha"),
        (attention(queries=128.0, cached=False), "attention.encoder"),
        (reduce(), "collective.all_reduce.8"),
        (
            ib.Elementwise(name="e", precision=precision("bf16"), elements=8.0, of="experts"),
            "elementwise.experts",
        ),
    ],
)
def test_kinds_of_a_kind(op, first):
    ((names, mask),) = variants(op)
    assert names[0] == first
    assert names[-1] == op.kind
    assert mask is True


def test_points_of_different_kinds_each_get_their_own_figures():
    stack = read(
        '[launch]\n"attention.context" = "1 s"\n"attention.generation" = "2 s"\n"attention.generation.mha" ='
        ' "3 s"'
    )
    rows = attention(queries=np.array([1.0, 128.0, 1.0]), kv_heads=np.array([2.0, 2.0, 8.0]))
    np.testing.assert_array_equal(stack.time(ib.Cost(busy={"compute": np.zeros(3)}), rows), [2.0, 1.0, 3.0])


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("bf16", 1.0),
        ("fp8", 3.0),  # no entry of its own: that of an 8-bit cache
        ("w8a16kv8", 3.0),
        ("w4a16", 1.0),  # caches 16 bits
    ],
)
def test_attention_is_looked_up_by_the_width_of_its_cache(name, seconds):
    stack = read('[launch]\n"attention.generation" = "1 s"\n"attention.generation.kv8" = "3 s"')
    assert stack.time(ib.Cost(busy={"compute": 0.0}), attention(name)) == seconds


def test_startup_runs_beside_the_engines():
    """Busy 3 and 4 and a startup of 12: 13 under p = 2, the longest under p = inf."""
    assert read('[overlap]\ngemm = 2\n[startup]\ngemm = "12 s"').time(BUSY, gemm()) == pytest.approx(13.0)
    assert read('[startup]\ngemm = "12 s"').time(BUSY, gemm()) == 12.0


def test_depth_runs_beside_the_engines_and_serial_after_them():
    """A loop of 6 steps of 2 s: 13 beside 3 and 4 under p = 2, 4 + 12 after them."""
    assert read('[overlap]\ngemm = 2\n[depth]\ngemm = "2 s"').time(BUSY, gemm(k=6.0)) == pytest.approx(13.0)
    assert read('[serial]\ngemm = "2 s"').time(BUSY, gemm(k=6.0)) == 16.0
    assert read('[serial]\nattention = "2 s"').time(BUSY, attention(keys=6.0)) == 16.0


def test_half_of_the_ramp_is_lost_at_its_bytes():
    """8 x 8 weights, 8 inputs and 8 results of 2 bytes are 160 bytes."""
    stack = read('[ramp]\ngemm = "10 s"\n[ramp_bytes]\ngemm = "160 B"')
    assert float(np.ravel(stack.time(BUSY, gemm()))[0]) == 4.0 + 5.0


def test_conversion_reads_16_bits_and_writes_what_is_stored():
    """4 s for 400 bytes; 100 activations of 1 byte are read as 200 and written as 100: 3 s, 6 s at half the
    rate.
    """
    stack = read('[efficiency.convert]\n"gemm.fp8" = 0.5')
    assert float(np.ravel(stack.time(BUSY, gemm("fp8", m=10.0, k=10.0)))[0]) == pytest.approx(4.0 + 6.0)
    assert float(np.ravel(stack.time(BUSY, gemm("bf16", m=10.0, k=10.0)))[0]) == 4.0  # no entry, no pass
    assert read("[efficiency.convert]\ngemm = inf").time(BUSY, gemm()) == 4.0


@settings(max_examples=50)
@given(
    st.floats(0.01, 1),
    st.floats(1, 20),
    st.floats(0, 1e-3),
    st.floats(0, 1e-6),
    st.floats(0, 1e3),
    st.floats(0, 1e3),
)
def test_no_stack_beats_the_hardware(efficiency, p, seconds, per_step, compute, memory):
    stack = ib.Stack(
        name="s",
        title="s",
        efficiency={"compute": {"default": efficiency}, "convert": {"default": efficiency}},
        overlap={"default": p},
        launch={"default": seconds},
        startup={"default": seconds},
        depth={"default": per_step},
        serial={"default": per_step},
        ramp={"default": seconds},
        ramp_bytes={"default": 1e6},
    )
    cost = ib.Cost(
        busy={"compute": compute, "memory.hbm": memory}, exposed={"hops": 0.5}, actions={"bytes.hbm": 1e6}
    )
    for op in (gemm("fp8", m=64.0), attention(), reduce()):
        assert np.all(stack.time(cost, op) >= (max(compute, memory) + 0.5) * (1 - 1e-12))


@pytest.mark.parametrize("p", [1, 1.0, 2, 1.7, 12.0])
def test_a_norm_does_not_depend_on_the_order(p):
    parts = [np.array([3.0, 0.0]), np.array([4.0, 5.0]), np.array([12.0, 0.0])]
    expected = sum(part**p for part in parts) ** (1 / p)
    for order in (parts, parts[::-1]):
        np.testing.assert_allclose(power_sum(order, p), expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("waves", "seconds"),
    [
        (0.5, 50.0),  # a loop of 100 steps of half a second; 3 s of work hide in it
        (1.0, 50.0),
        (4.0, 3.0 + 0.2 * 50.0),  # work, and the last tile outlasts the mean by a fifth of its loop
    ],
)
def test_up_to_one_wave_a_tile_is_the_kernel_and_beyond_it_work_and_a_tail(waves, seconds):
    stack = read('[depth]\nattention = "0.5 s"\n[tail]\nattention = 0.2\n[overlap]\nattention = inf')
    cost = ib.Cost(busy={"compute": 3.0, "memory.hbm": 4.0}, waves=waves)
    assert stack.time(cost, attention(queries=128.0)) == pytest.approx(seconds)


def test_without_tiles_or_without_a_tail_the_loop_runs_beside_the_engines():
    tail = "[tail]\nattention = 0.2\n[overlap]\nattention = inf\n"
    depth = '[depth]\nattention = "0.5 s"\ngemm = "0.5 s"\n'
    untiled = ib.Cost(busy={"compute": 60.0})
    assert read(tail + depth).time(untiled, attention(queries=128.0)) == pytest.approx(60.0)
    tiled = ib.Cost(busy={"compute": 60.0}, waves=4.0)
    assert read(depth + "[overlap]\nattention = inf").time(tiled, attention(queries=128.0)) == pytest.approx(
        60.0
    )
    assert read(tail + depth).time(tiled, attention(queries=128.0)) == pytest.approx(60.0 + 0.2 * 50.0)


@given(waves=st.floats(0.01, 100.0), tail=st.floats(0.0, 1.0), depth=st.floats(0.0, 1.0))
def test_tiles_never_make_a_kernel_faster_than_its_work(waves, tail, depth):
    stack = read(f"[tail]\nattention = {tail}\n[overlap]\nattention = inf")
    stack = attrs.evolve(stack, depth={"attention": depth})
    cost = ib.Cost(busy={"compute": 3.0, "memory.hbm": 4.0}, waves=waves)
    assert stack.time(cost, attention(queries=128.0)) >= 4.0


@pytest.mark.parametrize(
    ("piece", "waves", "steps"),
    [
        ("inf", 0.0, 100.0),  # never cut
        ("25", 0.0, 20.0),  # units without end: 100 / (1 + 100/25)
        ("25", 0.75, 50.0),  # 100 / (1 + 100/(25 + 75))
        ("1", 1e9, 100.0),  # nobody idles
    ],
)
def test_a_long_loop_is_cut_for_idle_units(piece, waves, steps):
    stack = read(f'[serial]\nattention = "1 s"\n[piece]\nattention = {piece}')
    cost = ib.Cost(busy={"memory.hbm": 4.0}, waves=waves)
    assert stack.time(cost, attention()) == pytest.approx(4.0 + steps)


@pytest.mark.parametrize("text", ["[tail]\ngemm = 1.5", "[tail]\ngemm = true", "[piece]\ngemm = 0.5"])
def test_unphysical_tails_and_pieces_are_refused(text):
    with pytest.raises(ib.InferBenchError):
        read(text)


def test_based_on_merges_every_table():
    base = read(
        '[depth]\ngemm = "2 s"\n[ramp]\ngemm = "3 s"\n[ramp_bytes]\ngemm = "4 MB"\n[fit.kernels]\ngemm = 0.1'
    )
    one = read(
        'based_on = "b"\n[depth]\n"gemm.fp8" = "1 s"\n[fit.kernels]\nattention = 0.2', lambda name: base
    )
    assert one.depth == {"gemm": 2.0, "gemm.fp8": 1.0}
    assert (one.ramp, one.ramp_bytes) == ({"gemm": 3.0}, {"gemm": 4e6})
    assert one.fit.kernels == {"gemm": 0.1, "attention": 0.2}


def test_errors_of_kernels_are_looked_up_like_efficiencies():
    stack = read(
        '[fit]\nkernel = 0.5\n[fit.kernels]\ngemm = 0.1\n"gemm.fp8" = 0.2\n"attention.context" = 0.3'
    )
    assert stack.kernel_error(gemm()) == 0.1
    assert stack.kernel_error(gemm("fp8")) == 0.2
    assert stack.kernel_error(attention()) == 0.5
    mixed = attention(queries=np.array([1.0, 128.0]))
    np.testing.assert_array_equal(stack.kernel_error(mixed), [0.5, 0.3])


def test_a_kernel_outside_its_box_errs_by_a_quarter_more():
    stack = read("[domain.ops.gemm]\nk = [1, 100]\n[fit.kernels]\ngemm = 0.1")
    errors = stack.kernel_error(gemm(k=np.array([100.0, 101.0])))
    np.testing.assert_allclose(errors, [0.1, np.sqrt(0.1**2 + 0.25**2)])


def test_more_query_heads_per_key_head_than_fitted_lie_outside():
    domain = Domain(ops={"attention.generation": {"group": (1.0, 32.0), "keys": (1.0, 1000.0)}})
    inside = domain.holds(attention(heads=64.0, kv_heads=np.array([1.0, 2.0, 8.0])))
    np.testing.assert_array_equal(inside, [False, True, True])
    assert not domain.holds(attention(keys=2000.0))
    assert domain.holds(gemm())
    assert domain.holds(attention(queries=128.0, keys=2000.0))  # another kernel, of which nothing is said
