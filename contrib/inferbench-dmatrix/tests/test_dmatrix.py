"""Corsair against what d-Matrix published."""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_dmatrix import LPDDR, SRAM_CARDS

import inferbench as ib
from inferbench.testing import PackageContract


class TestPackage(PackageContract):
    package = "inferbench-dmatrix"


def run(system, network, **more):
    return ib.run(system, f"{network}/decode", precision="int8", batch=60, context=1024, **more)


def test_the_published_server_holds_8_billion_parameters_in_sram():
    """A server has eight cards, a rack 64 (EE Times, January 2025): 8 and 70 billion weights."""
    assert float(np.max(SRAM_CARDS.compute(run("corsair", "llama3-8b", ignore_capacity=True)))) == 5
    cards = float(np.max(SRAM_CARDS.compute(run("corsair", "llama3-70b", ignore_capacity=True))))
    assert 8 < cards <= 64


def test_weights_from_lpddr_take_longer_by_the_ratio_of_bandwidths():
    """8.03 GB over 400 GB/s are 20 ms; one card's SRAM has 375 times the bandwidth."""
    found = run("corsair", "llama3-8b", ignore_capacity=True, stack="ideal")
    assert float(np.max(LPDDR.compute(found))) == pytest.approx(8.03e9 / 400e9, rel=0.01)


def test_a_server_runs_8_billion_parameters_at_the_published_rate():
    """60,000 tokens/s at 1 ms per token, 48 to 64 sequences (EE Times, January 2025), within the interval."""
    pytest.importorskip("inferbench_metrics", reason="inferbench-metrics is not installed")
    low, high = (float(np.max(end)) for end in run("8xcorsair", "llama3-8b").interval("tpot_s"))
    assert low <= 1e-3 <= high
