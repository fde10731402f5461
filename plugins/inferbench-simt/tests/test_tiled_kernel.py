"""What tiled kernels add to a roofline: their loop, its split and its tail, the ramp, quantising, and whom
the fits don't speak of.
"""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inferbench_simt import GroupedKernel, PagedKernel, TiledFigures, TiledKernel

import inferbench as ib
import inferbench.testing as contracts


def stack_of(figures, **more):
    return ib.Stack(name="s", title="S", time_model=TiledKernel(), figures=figures, **more)


def read(text):
    return stack_of(ib.read_spec(text.encode(), TiledFigures, "s.toml"))


def precision(*names):
    return ib.Precision.of(list(names))


def gemm(name="bf16", m=1.0, n=8.0, k=8.0, **more):
    return ib.Gemm(name="g", precision=precision(name), m=m, n=n, k=k, **more)


def attention(queries=1.0, heads=8.0, kv_heads=2.0, keys=100.0):
    return ib.Attention(
        name="a",
        precision=precision("bf16"),
        batch=1.0,
        heads=heads,
        kv_heads=kv_heads,
        queries=queries,
        keys=keys,
        pairs=queries * keys,
        qk_dim=64.0,
        v_dim=64.0,
    )


def reduce(group=8):
    return ib.Collective(
        name="r", precision=precision("bf16"), collective="all_reduce", payload=1e6, group=group
    )


class TestContract(contracts.TimeModelContract):
    """A stack with every term that there is."""

    time_model = TiledKernel()
    figures = TiledFigures(
        efficiency={"compute": {"default": 0.7}, "memory": {"default": 0.8, "gemm.fp8": 0.6}},
        quantize={"gemm.fp8": 0.4, "attention": None},
        overlap={"default": 3.0, "reduce": math.inf},
        launch={"default": 4e-6},
        min_time={"default": 2e-6},
        loop_overlapped={"gemm": 5e-10, "attention": 1e-9},
        loop_exposed={"attention": 1e-10},
        tail_share={"gemm": 0.5, "attention": None},
        min_split={"attention": 512.0, "gemm": None},
        ramp_time={"default": 3e-6},
        ramp_bytes={"default": 2e7, "move": None},
    )


BUSY = ib.Cost(busy={"compute": 3.0, "memory.hbm": 4.0}, actions={"bytes.hbm": 400.0})


def test_the_least_time_runs_beside_the_engines():
    """Busy 3 and 4 and a least time of 12: 13 under p = 2, the longest under p = inf."""
    assert read('[overlap]\ngemm = 2\n[min_time]\ngemm = "12 s"').time(BUSY, gemm()) == pytest.approx(13.0)
    assert read('[min_time]\ngemm = "12 s"').time(BUSY, gemm()) == 12.0


def test_the_loop_runs_beside_the_engines_and_what_is_exposed_of_it_after_them():
    """A loop of 6 steps of 2 s: 13 beside 3 and 4 under p = 2, 4 + 12 after them."""
    assert read('[overlap]\ngemm = 2\n[loop_overlapped]\ngemm = "2 s"').time(
        BUSY, gemm(k=6.0)
    ) == pytest.approx(13.0)
    assert read('[loop_exposed]\ngemm = "2 s"').time(BUSY, gemm(k=6.0)) == 16.0
    assert read('[loop_exposed]\nattention = "2 s"').time(BUSY, attention(keys=6.0)) == 16.0


def test_element_wise_work_loops_over_its_tiles():
    """Busy 4 and 6 tiles of 2 after each other on a unit: 12 beside 4; untiled there is no loop."""
    op = ib.Elementwise(name="e", precision=precision("bf16"), elements=8.0)
    stack = read('[loop_overlapped]\nelementwise = "2 s"')
    assert stack.time(ib.Cost(busy={"memory.hbm": 4.0}, waves=6.0), op) == 12.0
    assert stack.time(ib.Cost(busy={"memory.hbm": 4.0}), op) == 4.0


def test_half_of_the_ramp_is_lost_at_its_bytes():
    """8 x 8 weights, 8 inputs and 8 results of 2 bytes are 160 bytes."""
    stack = read('[ramp_time]\ngemm = "10 s"\n[ramp_bytes]\ngemm = "160 B"')
    assert float(np.ravel(stack.time(BUSY, gemm()))[0]) == 4.0 + 5.0


def test_quantizing_reads_16_bits_and_writes_what_is_stored():
    """4 s for 400 bytes; 100 activations of 1 byte are read as 200 and written as 100: 3 s, 6 s at half the
    rate.
    """
    stack = read('[quantize]\n"gemm.fp8" = 0.5')
    assert float(np.ravel(stack.time(BUSY, gemm("fp8", m=10.0, k=10.0)))[0]) == pytest.approx(4.0 + 6.0)
    assert float(np.ravel(stack.time(BUSY, gemm("bf16", m=10.0, k=10.0)))[0]) == 4.0  # no entry, no pass
    assert read('[quantize]\n"gemm.fp8" = false\ngemm = 0.5').time(BUSY, gemm("fp8")) == 4.0


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
    figures = TiledFigures(
        efficiency={"compute": {"default": efficiency}},
        quantize={"default": efficiency},
        overlap={"default": p},
        launch={"default": seconds},
        min_time={"default": seconds},
        loop_overlapped={"default": per_step},
        loop_exposed={"default": per_step},
        ramp_time={"default": seconds},
        ramp_bytes={"default": 1e6},
    )
    stack = stack_of(figures)
    cost = ib.Cost(
        busy={"compute": compute, "memory.hbm": memory}, exposed={"hops": 0.5}, actions={"bytes.hbm": 1e6}
    )
    for op in (gemm("fp8", m=64.0), attention(), reduce()):
        assert np.all(stack.time(cost, op) >= (max(compute, memory) + 0.5) * (1 - 1e-12))


@pytest.mark.parametrize(
    ("waves", "seconds"),
    [
        (0.5, 50.0),  # a loop of 100 steps of half a second; 3 s of work hide in it
        (1.0, 50.0),
        (4.0, 3.0 + 0.2 * 50.0),  # work, and the last tile outlasts the mean by a fifth of its loop
    ],
)
def test_up_to_one_wave_a_tile_is_the_kernel_and_beyond_it_work_and_a_tail(waves, seconds):
    stack = read(
        '[loop_overlapped]\nattention = "0.5 s"\n[tail_share]\nattention = 0.2\n[overlap]\nattention = inf'
    )
    cost = ib.Cost(busy={"compute": 3.0, "memory.hbm": 4.0}, waves=waves)
    assert stack.time(cost, attention(queries=128.0)) == pytest.approx(seconds)


def test_without_tiles_or_without_a_tail_the_loop_runs_beside_the_engines():
    tail = "[tail_share]\nattention = 0.2\n[overlap]\nattention = inf\n"
    depth = '[loop_overlapped]\nattention = "0.5 s"\ngemm = "0.5 s"\n'
    untiled = ib.Cost(busy={"compute": 60.0})
    assert read(tail + depth).time(untiled, attention(queries=128.0)) == pytest.approx(60.0)
    tiled = ib.Cost(busy={"compute": 60.0}, waves=4.0)
    assert read(depth + "[overlap]\nattention = inf").time(tiled, attention(queries=128.0)) == pytest.approx(
        60.0
    )
    assert read(tail + depth).time(tiled, attention(queries=128.0)) == pytest.approx(60.0 + 0.2 * 50.0)


@given(waves=st.floats(0.01, 100.0), tail=st.floats(0.0, 1.0), loop=st.floats(0.0, 1.0))
def test_tiles_never_make_a_kernel_faster_than_its_work(waves, tail, loop):
    stack = stack_of(TiledFigures(tail_share={"attention": tail}, loop_overlapped={"attention": loop}))
    cost = ib.Cost(busy={"compute": 3.0, "memory.hbm": 4.0}, waves=waves)
    assert stack.time(cost, attention(queries=128.0)) >= 4.0


@pytest.mark.parametrize(
    ("least", "waves", "steps"),
    [
        ("false", 0.0, 100.0),  # never split
        ("25", 0.0, 20.0),  # units without end: 100 / (1 + 100/25)
        ("25", 0.75, 50.0),  # 100 / (1 + 100/(25 + 75))
        ("1", 1e9, 100.0),  # nobody idles
    ],
)
def test_a_long_loop_is_split_for_idle_units(least, waves, steps):
    stack = read(f'[loop_exposed]\nattention = "1 s"\n[min_split]\nattention = {least}')
    cost = ib.Cost(busy={"memory.hbm": 4.0}, waves=waves)
    assert stack.time(cost, attention()) == pytest.approx(4.0 + steps)


@pytest.mark.parametrize(
    "text", ["[tail_share]\ngemm = 1.5", "[tail_share]\ngemm = true", "[min_split]\ngemm = 0.5"]
)
def test_unphysical_tails_and_splits_are_refused(text):
    with pytest.raises(ib.InferBenchError):
        read(text)


def test_more_than_32_query_heads_per_key_head_run_another_kernel():
    """Heads of 32 and a prompt, which is another kernel again, don't."""
    mask, why = TiledKernel().other_kernel(
        attention(heads=np.array([64.0, 32.0]), kv_heads=1.0), TiledFigures()
    )
    assert np.ravel(mask).tolist() == [True, False]
    assert why == "more than 32 query heads per KV head"
    prompt = attention(queries=128.0, heads=64.0, kv_heads=1.0)
    assert not TiledKernel().other_kernel(prompt, TiledFigures())[0]


def test_a_kind_at_the_roofline_may_take_ten_times_as_long():
    """Published kernels: nine of ten rows take up to 10.0 times the roofline, whatever the kind."""
    figures = TiledFigures(efficiency={"memory": {"gemm": 0.9}})
    stack = stack_of(figures, fit=ib.Fit(rows=9, kernel=0.05))
    assert math.exp(1.645 * float(np.ravel(stack.kernel_error(attention()))[0])) == pytest.approx(
        10.0, rel=0.01
    )
    assert stack.kernel_error(gemm()) == 0.05


def test_a_stack_may_say_itself_how_far_kernels_without_a_figure_are_off():
    stack = read("[unfitted]\nkernel = 0.5\n[efficiency.memory]\ngemm = 0.9")
    fitted = stack_of(stack.figures, fit=ib.Fit(rows=9, kernel=0.05))
    assert float(np.ravel(fitted.kernel_error(attention()))[0]) == pytest.approx(math.hypot(0.05, 0.5))
    assert (fitted.unfitted.movement, fitted.unfitted.group) == (1.0, 32.0)


def paged(text, model=PagedKernel):
    figures = ib.read_spec(text.encode(), model.figures, "s.toml")
    return ib.Stack(name="s", title="S", time_model=model(), figures=figures)


def test_new_keys_and_values_are_read_and_written_once_more():
    """4 s for 400 bytes. 10 new positions of 2 heads, 64 + 64 wide, 2 + 2 bytes: 102.4 s at full rate, 204.8
    at half the rate.
    """
    stack = paged("[store]\nattention = 0.5")
    op = attention(queries=10.0)
    assert float(np.ravel(stack.time(BUSY, op))[0]) == pytest.approx(208.8)
    assert paged('[store]\nattention = 0.5\n"attention.context" = false').time(BUSY, op) == 4.0
    assert paged("[store]\ndefault = 0.5").time(BUSY, gemm()) == 4.0


@pytest.mark.parametrize(("kv_heads", "blocks"), [(2.0, 1.5), (8.0, 6.0), (16.0, 6.0)])
def test_storing_starts_a_block_of_threads_per_token(kv_heads, blocks):
    """6 tokens of 2 x 64 numbers fill a quarter of 512 threads each; of 8 x 64 and more, all of them."""
    stack = paged('[store_time]\n"attention.context" = "2 s"')
    op = attention(queries=6.0, heads=16.0, kv_heads=kv_heads)
    assert stack.time(ib.Cost(busy={"compute": 4.0}), op) == pytest.approx(4.0 + 2.0 * blocks)


def test_each_wave_of_tiles_costs_its_time():
    """3 waves of 2 s after 4 s of memory."""
    waves = ib.Cost(busy=BUSY.busy, actions=BUSY.actions, waves=3.0)
    stack = paged('[tile_time]\nattention = "2 s"')
    assert float(np.ravel(stack.time(waves, attention()))[0]) == 4.0 + 6.0
    assert stack.time(BUSY, attention()) == 4.0  # an architecture that says no tiles


def test_state_that_tiles_read_again_takes_a_share_of_the_memorys_time():
    """100 positions of 2 heads, 64 + 64 wide, in 16 bits: 51,200 bytes. Read three times at 100 B/s, the
    second and third time at half of it: 4 s, and 512 s more.
    """
    stack = read("[reread]\nattention = 0.5")
    busy = ib.Cost(busy=BUSY.busy, actions=BUSY.actions, detail={"readings": 3.0})
    assert float(np.ravel(stack.time(busy, attention()))[0]) == pytest.approx(4.0 + 512.0)
    assert stack.time(BUSY, attention()) == 4.0  # an architecture that says nothing of it


def summed(away):
    """Four tokens of two experts each, 10 wide in a network of 5: 8 rows of (60 + 10) numbers of 2 bytes."""
    return ib.ExpertSum(
        name="sum",
        precision=precision("bf16"),
        elements=20.0,
        of="experts",
        rows=8.0,
        inner=10.0,
        hidden=5.0,
        away=away,
    )


@pytest.mark.parametrize(("away", "seconds"), [(0.0, 4.0), (0.5, 4.0 + 2.8), (1.0, 4.0 + 5.6)])
def test_rows_of_experts_elsewhere_are_moved_in_part(away, seconds):
    """4 s for 400 bytes; half of 8 x 70 x 2 = 1,120 bytes of rows elsewhere, if all are, in 5.6 s."""
    busy = ib.Cost(busy={"memory.hbm": 4.0}, actions={"bytes.hbm": 400.0})
    stack = paged('[elsewhere]\n"elementwise.experts" = 0.5', GroupedKernel)
    assert float(np.ravel(stack.time(busy, summed(away)))[0]) == pytest.approx(seconds)
    assert stack.time(busy, gemm()) == 4.0


@pytest.mark.parametrize(("seconds", "longer"), [(5e-6, 1.0), (5e-3, 1.1), (5.0, 1.2)])
def test_long_arithmetic_is_slower_at_the_power_limit(seconds, longer):
    """A fifth slower in the end, and half of that at 5 ms."""
    stack = paged("[throttle]\nattention = 0.2", GroupedKernel)
    busy = ib.Cost(busy={"compute": seconds, "memory.hbm": seconds / 2.0})
    assert float(np.ravel(stack.time(busy, attention()))[0]) == pytest.approx(seconds * longer, rel=1e-5)


@attrs.frozen(kw_only=True, slots=False, eq=False)
class Layer(ib.Gemm):
    routed: float


def test_the_loop_of_experts_is_shorter_for_few_tokens():
    """A loop of 8 steps of 2 s, and half of it where tokens are as many as the figure says."""
    stack = paged('[loop_overlapped]\ngemm = "2 s"\n[loop_tokens]\n"gemm.experts" = 4', GroupedKernel)
    one = ib.Cost(busy={"compute": 1.0})
    layer = Layer(name="up", precision=precision("bf16"), m=1.0, n=8.0, k=8.0, split=("experts",), routed=4.0)
    assert float(np.ravel(stack.time(one, layer))[0]) == pytest.approx(8.0)
    assert stack.time(one, gemm(k=8.0)) == pytest.approx(16.0)


def test_a_convolution_of_prompts_waits_beside_moving():
    tables = [free.table for free in GroupedKernel().frees("elementwise.convolution.context")]
    assert tables == ["efficiency.memory", "overlap", "launch", "loop_overlapped", "min_time"]
