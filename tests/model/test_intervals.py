"""Which points a fitted stack vouches for, and how wide it says the figure is."""

from __future__ import annotations

import math
from types import SimpleNamespace

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.model.intervals import log_error, slower, together
from inferbench.model.operators import cost_rows
from inferbench.model.outside import unlike
from inferbench.records.fit import Domain, Fit
from inferbench.records.roofline import RooflineFigures
from inferbench.records.stack import Stack
from inferbench.report.intervals import domain_text

pytestmark = pytest.mark.needs_plugins(
    "chips/h100-sxm", "networks/llama3-8b", "stacks/trtllm-1.3", "stacks/nccl-2.29"
)

BF16 = ib.Precision.of(["bf16"])
# A byte takes 1 ps, an operation a tenth of an attosecond: everything below is bound by bytes.
SITE = SimpleNamespace(
    rate=lambda op: 1e19,
    bandwidth=lambda level: 1e12,
    chip=SimpleNamespace(main="hbm"),
    link=lambda n: None,
    computes_in=lambda name: name,
)


def attention(heads, kv_heads, queries=1.0):
    return ib.Attention(
        name="attention",
        precision=BF16,
        batch=1.0,
        queries=queries,
        keys=4096.0,
        pairs=queries * 4096.0,
        heads=heads,
        kv_heads=kv_heads,
        qk_dim=128.0,
        v_dim=128.0,
    )


def gemm(m):
    return ib.Gemm(name="up", precision=BF16, m=m, n=1024.0, k=1024.0)


def step(stack="trtllm-1.3", phase="decode", **axes):
    return ib.run("h100-sxm", f"llama3-8b/{phase}", stack=stack, precision="bf16", **axes)


def extrapolated(run):
    return bool(np.ravel(run.values(run.flags["extrapolated"]))[0])


def test_a_step_of_more_rows_than_any_fitted_product_is_extrapolated():
    # The products' box ends at M = 32,768; the language model's head alone (7% of the weights) is wider than
    # the box.
    assert not extrapolated(step(batch=32768.0, context=1.0))
    assert extrapolated(step(batch=65536.0, context=1.0))
    both = step(batch=[1.0, 65536.0], context=1.0)
    assert np.ravel(both.values(both.flags["extrapolated"])).tolist() == [False, True]


def test_a_stack_of_collectives_alone_vouches_for_no_step():
    assert extrapolated(step("nccl-2.29"))
    assert not extrapolated(step("trtllm-1.3"))
    assert not extrapolated(step("vllm-h100"))


def test_the_header_names_the_range_of_rows_and_that_host_time_is_missing():
    assert (
        domain_text([step()])
        == "inside calibrated domain (M ≤ 32,768; bf16, fp8, w16a16kv8, wmxfp4a16) · kernels only: no host"
        " time"
    )
    assert domain_text([step(batch=65536.0, context=1.0)]).startswith(
        "extrapolated: outside calibrated domain"
    )
    assert "kernels only" not in domain_text([step("vllm-h100")])


@pytest.mark.parametrize(
    ("widening", "said"),
    [
        ({}, "batch 16 to 128"),
        ({"batch": (0.0, 0.1)}, "batch ≤ 128"),
        ({"batch": (0.1, 0.0)}, "batch ≥ 16"),
    ],
)
def test_the_header_has_no_end_where_errors_do_not_grow_beyond_it(widening, said):
    """A batch of 1 is not said to lie inside of 16 to 128."""
    domain = Domain(axes={"batch": (16.0, 128.0)}, widening=widening)
    stack = attrs.evolve(ib.installed().stack("vllm-h100"), domain=domain)
    known = ib.installed().with_records("stacks", [stack])
    run = ib.run(
        "h100-sxm", "llama3-8b/decode", batch=16, precision="bf16", stack="vllm-h100", registry=known
    )
    assert domain_text([run]) == f"inside calibrated domain ({said})"


@pytest.mark.needs_plugins("stacks/vllm-h100", "metrics/tpot_s", "scenarios/reference")
def test_an_error_that_no_float_holds_has_ends_at_zero_and_infinity():
    stack = ib.installed().stack("vllm-h100")
    stack = attrs.evolve(stack, fit=attrs.evolve(stack.fit, step=1e4))
    known = ib.installed().with_records("stacks", [stack])
    run = ib.run("h100-sxm", "llama3-8b/decode", precision="bf16", stack="vllm-h100", registry=known)
    for name in ("tokens_per_s_per_user", "usd_per_mtok_published_ownership"):
        low, high = (float(np.ravel(end)[0]) for end in run.interval(name))
        assert 0.0 <= low <= float(np.ravel(run[name])[0]) <= high


def test_kernels_alone_reach_what_serving_stacks_on_them_say():
    run = step()
    high = float(np.ravel(run.seconds)[0]) * math.exp(1.645 * float(np.ravel(run.log_error)[0]))
    for serving in ("tensorrt-llm-h100", "vllm-h100"):
        assert float(np.ravel(run.seconds)[0]) < float(np.ravel(step(serving).seconds)[0]) < high


def test_more_than_32_query_heads_per_key_head_run_another_kernel():
    # A 90% interval must reach the 17.8 times of the tenth slowest of A100 pairs. Heads of 32 and a prompt
    # (another kernel again) get nothing.
    for stack in ("trtllm-1.0", "vllm-h100"):
        stack = ib.installed().stack(stack)
        assert math.exp(1.645 * float(stack.kernel_error(attention(64.0, 1.0)))) > 17.8
        assert float(stack.kernel_error(attention(64.0, 2.0))) < 0.3
    assert ib.installed().stack("ideal").kernel_error(attention(64.0, 1.0)) == 0.0


def test_operators_of_unknown_kinds_are_off_together():
    """Under a stack of collectives alone a step of hundreds of operators is as uncertain as each of them."""
    each = float(ib.installed().stack("nccl-2.29").kernel_error(gemm(1.0)))
    assert float(np.ravel(step("nccl-2.29").log_error)[0]) == pytest.approx(math.hypot(each, 0.15), rel=5e-3)


@pytest.mark.parametrize("columns", [{"heads": 64.0, "kv_heads": 1.0, "batch": 8.0, "keys": 4096.0}])
def test_single_operators_have_the_same_rule(columns):
    """`op` and `validate` say what `run` says: 5.4 to 7.5 times as long in the median lies in the
    interval.
    """
    registry = ib.installed()
    given = {name: np.array([value]) for name, value in columns.items()}
    found = cost_rows(
        "attention", given, "bf16", registry.chip("h100-sxm"), registry.stack("trtllm-1.3"), registry
    )
    assert found.between("time")[1][0] > 17.8
    assert not found.inside[0]


def test_the_share_outside_counts_operators_by_their_time():
    # 2 MiB of weights each; with 1,024 rows 2 MiB of inputs and 2 MiB of outputs more: 6 of 8 MiB are
    # outside.
    box = Domain(ops={"gemm": {"m": (1.0, 64.0)}})
    stack = Stack(
        name="s",
        title="S",
        figures=RooflineFigures(efficiency={"memory": {"gemm": 0.9}}),
        domain=box,
        fit=Fit(rows=9, kernel=0.1),
    )
    share = float(np.ravel(unlike(stack, [gemm(1.0), gemm(1024.0)], SITE))[0])
    assert share == pytest.approx(6.0 / 8.0, rel=0.01)
    assert float(np.ravel(unlike(stack, [gemm(1.0)], SITE))[0]) == 0.0


def test_a_kind_without_a_figure_is_unknown_unless_whole_steps_were_fitted():
    stack = Stack(
        name="s",
        title="S",
        figures=RooflineFigures(efficiency={"memory": {"gemm.bf16": 0.9}}),
        fit=Fit(rows=9, kernel=0.1),
    )
    assert stack.knows(gemm(1.0))
    assert not stack.knows(attention(8.0, 8.0))
    whole = Stack(
        name="s",
        title="S",
        figures=RooflineFigures(efficiency={"memory": {"gemm": 0.9}}),
        fit=Fit(rows=9, step=0.1),
    )
    assert whole.knows(attention(8.0, 8.0))
    assert Stack(name="s", title="S").knows(attention(8.0, 8.0))  # nothing was fitted, nothing is doubted


def test_a_figure_of_another_flavour_is_none():
    """Context attention alone: generation attention would run at the roofline."""
    context = Stack(
        name="s",
        title="S",
        figures=RooflineFigures(efficiency={"memory": {"attention.context": 0.9}}),
        fit=Fit(rows=9, kernel=0.1),
    )
    known = context.knows(attention(8.0, 8.0, queries=np.array([1.0, 128.0])))
    assert known.tolist() == [False, True]


def test_how_far_kernels_without_a_figure_are_off_is_not_known_where_nobody_measured_any():
    """A roofline's stack says nothing of other kernels: no interval, rather than one of another's."""
    figures = RooflineFigures(efficiency={"memory": {"gemm": 0.9}})
    stack = Stack(name="s", title="S", figures=figures, fit=Fit(rows=9, kernel=0.05))
    assert np.isnan(stack.kernel_error(attention(8.0, 8.0))).all()
    assert stack.kernel_error(gemm(1.0)) == 0.05


def test_a_sum_is_as_uncertain_as_what_its_unknown_half_may_become():
    """Half of a step at the roofline that takes up to ten times as long: at most 0.5 + 0.5 x 10 = 5.5
    times.
    """
    assert math.exp(1.645 * float(together(0.0, 0.5 * slower(1.4)))) == pytest.approx(5.5, rel=0.01)
    assert together(0.1, 0.0) == 0.1


def test_an_image_under_products_alone_reaches_what_was_measured(tmp_path):
    """An SDXL image of 1024 x 1024 in 50 steps takes 2.3 s on the H100 (ml-energy, diffusers); a stack that
    knows
    products alone has convolutions, attention and norms at the roofline."""
    (tmp_path / "mine.toml").write_text(
        'title = "M"\narchitectures = ["simt"]\n[time]\nmodel = "tiled-kernel"\n'
        "[time.efficiency.compute]\ngemm = 0.78\n[fit]\nrows = 900\nkernel"
        ' = 0.058\n[fit.kernels]\ngemm = 0.058\n[domain]\nchips = ["h100-sxm"]\nprecisions = ["bf16",'
        ' "fp16"]\n'
    )
    run = ib.run("h100-sxm", "sdxl/image", stack=str(tmp_path / "mine.toml"), precision="fp16")
    t, s = (float(np.ravel(run.values(value))[0]) for value in (run.seconds, run.log_error))
    assert extrapolated(run)
    assert t * math.exp(-1.645 * s) < 2.258 < t * math.exp(1.645 * s)


def test_the_share_outside_takes_the_longer_of_operations_and_bytes():
    """At 1e14 OP/s the wide product is bound by its 1.374e11 operations (1,374 us, its bytes take 271), the
    narrow one by its 2.101 MB (2.101 us).
    """
    slow = SimpleNamespace(**{**vars(SITE), "rate": lambda op: 1e14})
    stack = Stack(
        name="s", title="S", fit=Fit(rows=1, step=0.1), domain=Domain(ops={"gemm": {"m": (1.0, 64.0)}})
    )
    share = float(np.squeeze(unlike(stack, [gemm(1.0), gemm(65536.0)], slow)))
    assert share == pytest.approx(1374.4 / (1374.4 + 2.101), rel=1e-5)


def test_a_stack_of_too_few_rows_errs_like_another_network_under_another_version():
    """0.30 in logs from network to network and 0.25 from version to version, in quadrature."""
    stack = Stack(name="s", title="S", fit=Fit(rows=2))
    case = SimpleNamespace(stack=stack, phase=SimpleNamespace(name="decode"))
    at = ib.Grid.of({"batch": [1.0]}, ["bf16"]).at
    assert float(np.squeeze(log_error(case, at, 0.0))) == pytest.approx(math.hypot(0.30, 0.25), abs=0.001)


def test_a_step_has_the_error_of_its_kernels_and_of_what_runs_them():
    stack = Stack(name="s", title="S", fit=Fit(rows=9, step=0.12, steps={"prefill": 0.03}))
    at = ib.Grid.of({"batch": [1.0]}, ["bf16"]).at
    for phase, wanted in (("decode", 0.13), ("prefill", math.hypot(0.05, 0.03))):
        case = SimpleNamespace(stack=stack, phase=SimpleNamespace(name=phase))
        assert float(np.squeeze(log_error(case, at, 0.05))) == pytest.approx(wanted)
