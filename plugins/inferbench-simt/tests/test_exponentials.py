"""Softmax takes exponentials, of which special function units yield so many a clock."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inferbench_simt import Params, Simt, Tuning
from inferbench_simt.model import exponentials_per_second

import inferbench as ib

FORMATS = ib.Precision.of(["bf16", "fp8", "fp4"])
# A B200 by its datasheet and driver: 148 multiprocessors at 1.965 GHz, 16 results per clock.
B200 = Params(sms=148, clock=1.965e9, exponentials=16)
PEAKS = {"fp32": 80e12, "bf16": 2.25e15, "fp8": 4.5e15, "fp4": 9e15}


def cost(
    params: Params, op: ib.Attention, peaks: dict[str, float] = PEAKS, tuning: Tuning | None = None
) -> ib.Cost:
    chip = ib.Chip(
        name="g",
        title="G",
        vendor="nobody",
        architecture_type="simt",
        architecture=params,
        peak=peaks,
        memory={"hbm": ib.MemoryLevel(180e9, 8e12)},
    )
    homes = dict.fromkeys(("weights", "state", "inputs", "outputs"), "hbm")
    site = ib.Site(
        chip=chip,
        layout=ib.Layout(),
        placement=ib.Placement(homes=homes, resident={}),
        tuning=tuning or Tuning(),
        peak=lambda name: Simt().peak(chip, name),
    )
    return Simt().cost(op, site)


def attention(keys: float = 16384.0, dim: float = 128.0, heads: float = 256.0) -> ib.Attention:
    return ib.Attention(
        name="a",
        precision=FORMATS,
        batch=1.0,
        heads=heads,
        kv_heads=8.0,
        queries=keys,
        keys=keys,
        pairs=keys * (keys + 1) / 2,
        qk_dim=dim,
        v_dim=dim,
    )


def test_long_prompts_on_blackwell_are_bound_by_exponentials_below_sixteen_bits():
    """4 x 64 heads, 16k causal: 34.4 G pairs. Special units alone yield 4.65 T/s, with multiply-adds 7.54:
    4.56 ms. Products take 7.8 ms in bf16, 3.91 in fp8 and 1.95 in fp4.
    """
    found = cost(B200, attention())
    pairs = 256 * 16384 * 16385 / 2
    rate = (40e12 + 6 * 148 * 16 * 1.965e9) / 9
    assert rate == pytest.approx(7.546e12, rel=1e-3)
    busy = {name: np.ravel(np.broadcast_to(x, (3,))) for name, x in found.busy.items()}
    assert busy["compute"] == pytest.approx(4 * 128 * pairs / np.array([2.25e15, 4.5e15, 9e15]))
    assert busy["compute.exp"][0] == 0.0
    assert busy["compute.exp"][1:] == pytest.approx(pairs / rate)
    assert busy["compute.exp"][1] > busy["compute"][1]


def test_no_published_kernel_takes_more_exponentials_than_the_bound_allows():
    """FlashAttention-4 reaches 1,605 TFLOP/s in bf16 at 128 wide heads; 1,420 were published in fp8."""
    rate = exponentials_per_second(148 * 16 * 1.965e9, 40e12)
    assert rate > 1605e12 / 512 > 1420e12 / 512


@pytest.mark.parametrize(
    "params",
    [Params(sms=148, clock=1.965e9), Params(sms=148, exponentials=16)],
)
def test_what_is_unknown_or_fast_enough_adds_nothing(params):
    assert set(cost(params, attention()).busy) == {"compute", "memory.hbm"}


def test_attention_that_a_stack_tiles_was_fitted_with_its_exponentials():
    assert "compute.exp" not in cost(B200, attention(), tuning=Tuning(attention_rows=128)).busy


def test_without_vector_figures_special_units_work_alone():
    found = cost(B200, attention(), {name: rate for name, rate in PEAKS.items() if name != "fp32"})
    pairs = 256 * 16384 * 16385 / 2
    assert np.max(found.busy["compute.exp"]) == pytest.approx(pairs / (148 * 16 * 1.965e9))


@settings(max_examples=100, deadline=None)
@given(special=st.floats(1e9, 1e14), vector=st.floats(1e9, 1e15), more=st.floats(1.0, 8.0))
def test_more_units_never_take_longer(special, vector, more):
    rate = exponentials_per_second(special, vector)
    assert 0 < rate <= vector / 3 * (1 + 1e-12) or math.isnan(vector)
    assert exponentials_per_second(special * more, vector) >= rate * (1 - 1e-12)
    assert exponentials_per_second(special, vector * more) >= rate * (1 - 1e-12)
