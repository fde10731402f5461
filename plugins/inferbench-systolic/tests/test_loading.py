"""Weights enter the arrays as fast as memory delivers them, unless somebody says how fast they do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inferbench_systolic import Params, Systolic

import inferbench as ib

BF16 = ib.Precision.of(["bf16"], ())


def cost(params: Params, op: ib.Op, bandwidth: float = 1e12) -> ib.Cost:
    chip = ib.Chip(
        name="x",
        title="X",
        vendor="nobody",
        architecture_type="systolic",
        architecture=params,
        peak={"bf16": 2.0 * params.rows * params.columns * params.arrays * 1e9},
        memory={"hbm": ib.MemoryLevel(80e9, bandwidth)},
    )
    homes = dict.fromkeys(("weights", "state", "inputs", "outputs"), "hbm")
    site = ib.Site(
        chip=chip,
        layout=ib.Layout(),
        placement=ib.Placement(homes=homes, resident={}),
        tuning=ib.NoParams(),
        peak=lambda name: Systolic().peak(chip, name),
    )
    return Systolic().cost(op, site)


def product(m: float, n: float, k: float) -> ib.Gemm:
    return ib.Gemm(name="g", precision=BF16, m=m, n=n, k=k)


def test_without_a_figure_a_token_is_bound_by_memory():
    """8 arrays of 128 x 128 at 1 GHz, one row: 512 folds of a cycle, 67 MB a token at 1 TB/s."""
    found = cost(Params(rows=128, columns=128, arrays=8), product(1.0, 8192.0, 8192.0))
    assert found.bound == "memory.hbm"
    assert "compute.load" not in found.busy
    # 1 to load, 512 rows, 254 to drain, from cycle 0.
    assert found.busy["compute"].item() == pytest.approx((1 + 512 + 254 - 1) * 1e-9)


def test_what_is_missing_is_said_and_what_is_known_is_not():
    said = tuple(Systolic().remarks(chip_of(Params(rows=8, columns=8, arrays=1)), ib.NoParams()))
    assert len(said) == 1
    assert "not published" in said[0]
    known = Params(rows=8, columns=8, arrays=1, weight_rows_per_cycle=4)
    assert not tuple(Systolic().remarks(chip_of(known), ib.NoParams()))
    stays = Params(rows=8, columns=8, arrays=1, dataflow="os")
    assert not tuple(Systolic().remarks(chip_of(stays), ib.NoParams()))


def chip_of(params: Params) -> ib.Chip:
    return ib.Chip(name="x", title="X", vendor="v", architecture_type="systolic", architecture=params)


@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(1, 600),
    n=st.integers(1, 2000),
    k=st.integers(1, 2000),
    w=st.integers(1, 64),
    flow=st.sampled_from(["ws", "is", "os"]),
    loading=st.sampled_from(["serial", "double"]),
)
def test_no_known_rate_of_loading_is_faster_than_none(m, n, k, w, flow, loading):
    """A missing figure never makes a chip look worse than the one that somebody may publish."""

    def longest(rows: int | None) -> float:
        params = Params(64, 64, 2, dataflow=flow, loading=loading, weight_rows_per_cycle=rows)
        return max(
            float(np.max(x)) for x in cost(params, product(float(m), float(n), float(k))).busy.values()
        )

    assert longest(None) <= longest(w) * (1 + 1e-12)
