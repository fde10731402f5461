"""Tiles by hand, and a published rate."""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_tenstorrent import Params, Tensix

import inferbench as ib
from inferbench.testing import ArchitectureContract, PackageContract

# Round figures: 64 cores of 1 TOP/s together, so that a tile of k = 32 takes 65,536 / (1e12 / 64) = 4.194 us.
CHIP = ib.Chip(
    name="round",
    title="Round",
    vendor="nobody",
    architecture_type="tensix",
    architecture=Params(cores=64),
    peak={"bf16": 1e12, "fp8": 2e12},
    memory={"ddr": ib.MemoryLevel(capacity=12e9, bandwidth=1e15)},
)


class TestPackage(PackageContract):
    package = "inferbench-tenstorrent"


class TestTensix(ArchitectureContract):
    architecture = Tensix()
    chip = CHIP


@pytest.mark.parametrize(("m", "n", "rounds"), [(1.0, 32.0, 1), (32.0, 2048.0, 1), (33.0, 2048.0, 2)])
def test_tiles_by_hand(m, n, rounds):
    """One row takes as long as 32; 64 tiles fill the cores, the 65th row of tiles takes another round."""
    op = ib.Gemm(name="g", precision=ib.Precision.of(["bf16"]), m=m, n=n, k=32.0)
    cost = Tensix().cost(op, TestTensix().site())
    assert float(np.max(cost.busy["compute"])) == pytest.approx(rounds * 65536 * 64 / 1e12)


def test_llama_3_1_8b_runs_at_the_published_rate():
    """24.0 tokens/s per user of 32 on an n150 (tenstorrent/tt-metal, README at v0.56.0-rc6)."""
    pytest.importorskip("inferbench_metrics", reason="inferbench-metrics is not installed")
    run = ib.run("n150-tensix", "llama3.1-8b/decode", precision="fp8", batch=32, context=1024)
    low, high = (float(np.max(end)) for end in run.interval("tpot_s"))
    assert low <= 1 / 24.0 <= high
