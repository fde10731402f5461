"""An architecture without a method is a roofline, by hand and by every law."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib
from inferbench.testing import ArchitectureContract


class Empty(ib.Architecture):
    name = "empty"
    title = "Empty"
    params = ib.NoParams


class OnlyProducts(Empty):
    def gemm(self, op, site):
        return ib.Cost()


CHIP = ib.Chip(
    name="round",
    title="Round",
    vendor="nobody",
    architecture_type="empty",
    architecture=ib.NoParams(),
    peak={"bf16": 1e12, "fp8": 2e12},
    memory={"hbm": ib.MemoryLevel(capacity=80e9, bandwidth=1e12)},
)


class TestEmpty(ArchitectureContract):
    architecture = Empty()
    chip = CHIP


def test_a_product_by_hand():
    contract = TestEmpty()
    op = ib.Gemm(name="g", precision=ib.Precision.of(["bf16"]), m=100.0, n=200.0, k=500.0)
    cost = Empty().cost(op, contract.site())
    # 2 * 100 * 200 * 500 = 2e7 operations; 2 * (200*500 + 100*500 + 100*200) = 340,000 bytes.
    assert float(np.max(cost.busy["compute"])) == pytest.approx(20e-6)
    assert float(np.max(cost.busy["memory.hbm"])) == pytest.approx(0.34e-6)
    assert float(np.max(cost.actions["ops"])) == 2e7


def test_one_that_models_some_kinds_refuses_the_others():
    op = ib.Move(name="m", precision=ib.Precision.of(["bf16"]), elements=100.0)
    with pytest.raises(ib.UnsupportedOp, match="'move' are not modelled"):
        OnlyProducts().cost(op, TestEmpty().site())
