"""What a fitted stack knows beside its figures: kinds of kernels, errors and boxes; how norms join."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib
from inferbench.records.fit import Domain
from inferbench.records.overlap import power_sum
from inferbench.records.variants import variants
from inferbench.specs.assemble_stack import stack_from


def read(text):
    return stack_from(f'title = "S"\n{text}\n[time]\nmodel = "roofline"'.encode(), "s", "s.toml", None)


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
        '[time.launch]\n"attention.context" = "1 s"\n"attention.generation" = "2 s"\n'
        '"attention.generation.mha" ='
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
    stack = read('[time.launch]\n"attention.generation" = "1 s"\n"attention.generation.kv8" = "3 s"')
    assert stack.time(ib.Cost(busy={"compute": 0.0}), attention(name)) == seconds


@pytest.mark.parametrize("p", [1, 1.0, 2, 1.7, 12.0])
def test_a_norm_does_not_depend_on_the_order(p):
    parts = [np.array([3.0, 0.0]), np.array([4.0, 5.0]), np.array([12.0, 0.0])]
    expected = sum(part**p for part in parts) ** (1 / p)
    for order in (parts, parts[::-1]):
        np.testing.assert_allclose(power_sum(order, p), expected, rtol=1e-13)


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


def test_based_on_merges_every_table():
    """The model of the base holds, and its entries where the stack has none."""
    base = read('[time.launch]\ngemm = "2 s"\n[time.overlap]\ngemm = 3\n[fit.kernels]\ngemm = 0.1')
    text = 'title = "T"\nbased_on = "b"\n[time.launch]\n"gemm.fp8" = "1 s"\n[fit.kernels]\nattention = 0.2'
    one = stack_from(text.encode(), "t", "t.toml", lambda name: base)
    assert one.time_model is base.time_model
    assert one.figures.launch == {"gemm": 2.0, "gemm.fp8": 1.0}
    assert one.figures.overlap == {"gemm": 3.0}
    assert one.fit.kernels == {"gemm": 0.1, "attention": 0.2}


@pytest.mark.parametrize("name", ["nvfp4", "nvfp4kv8", "nvfp4kv16"])
def test_the_cache_has_no_say_in_products(name):
    stack = read('[time.launch]\ngemm = "1 s"\n"gemm.nvfp4" = "2 s"')
    nothing = ib.Cost(busy={"compute": 0.0})
    assert stack.time(nothing, gemm(name), ("fp4",)) == 2.0


def test_experts_stored_in_a_format_of_their_own_have_a_kernel_of_their_own():
    stack = read('[time.launch]\ngemm = "1 s"\n"gemm.experts" = "2 s"\n"gemm.experts.wmxfp4a16" = "3 s"')
    nothing = ib.Cost(busy={"compute": 0.0})
    experts = {"split": ("experts",)}
    narrow = precision("bf16").with_weights("bf16", "mxfp4")
    packed = ib.Gemm(name="g", precision=narrow, m=1.0, n=8.0, k=8.0, **experts)
    assert stack.time(nothing, gemm(**experts)) == 2.0
    assert stack.time(nothing, packed) == 3.0
