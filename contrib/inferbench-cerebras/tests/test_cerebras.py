"""Wafers against what Cerebras published."""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_cerebras import PORTS, STREAMED, WAFERS, wafers

import inferbench as ib
from inferbench.testing import PackageContract


class TestPackage(PackageContract):
    package = "inferbench-cerebras"


def run(system, network):
    return ib.run(system, f"{network}/decode", precision="fp16", batch=1, context=1024, ignore_capacity=True)


def test_70_billion_parameters_take_the_published_four_wafers():
    """20B models fit on one CS-3 and 70B models on as few as four (Cerebras, August 2024)."""
    assert float(np.max(WAFERS.compute(run("wse-3", "llama3.1-70b")))) == 4
    assert float(np.max(WAFERS.compute(run("wse-3", "llama3.1-8b")))) == 1
    assert wafers(40e9, 40, 44e9) == 1


def test_a_layer_that_fits_on_no_wafer_is_told():
    assert wafers(100e9, 2, 44e9) == 0


def test_streaming_alone_bounds_the_rate():
    """16.1 GB of weights through 150 GB/s: some nine tokens/s, which is why weights stay on the wafer."""
    rate = float(np.max(STREAMED.compute(run("wse-3", "llama3.1-8b"))))
    assert rate == pytest.approx(PORTS / 16.06e9, rel=0.01)


def test_70_billion_parameters_run_at_the_published_rate():
    """450 tokens/s of Llama 3.1 70B (Cerebras, August 2024), on four wafers."""
    pytest.importorskip("inferbench_metrics", reason="inferbench-metrics is not installed")
    found = ib.run("4xwse-3", "llama3.1-70b/decode", precision="fp16", batch=1, context=1024)
    low, high = (float(np.max(end)) for end in found.interval("tpot_s"))
    assert low <= 1 / 450 <= high
