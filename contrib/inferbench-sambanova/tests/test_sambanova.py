"""The tiers against the published composition of experts."""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_sambanova import IN_DDR, IN_HBM

import inferbench as ib
from inferbench.testing import PackageContract


class TestPackage(PackageContract):
    package = "inferbench-sambanova"


@pytest.fixture(scope="module")
def run():
    return ib.run("8xsn40l", "llama2-7b/decode", precision="bf16", batch=1, context=1024)


def test_150_experts_are_the_published_trillion_parameters():
    """ "150 experts and a trillion total parameters", each of Llama 2 7B (arXiv 2405.07518)."""
    experts = 150 * ib.installed().network("llama2-7b").published.parameters
    assert experts == pytest.approx(1e12, rel=0.02)


def test_eight_sockets_hold_the_experts_in_ddr_alone(run):
    """512 GB of HBM hold 37 networks of 13.5 GB; 12 TB of DDR hold 150 of them, and more."""
    assert float(np.max(IN_HBM.compute(run))) == 37
    assert float(np.max(IN_DDR.compute(run))) >= 150


def test_llama_3_8b_runs_within_the_interval_of_its_stack():
    """LLM-Inference-Bench, Llama 3 8B on 8 sockets, batch 1: 1.61 ms, 622 tokens/s (argonne-lcf)."""
    pytest.importorskip("inferbench_metrics", reason="inferbench-metrics is not installed")
    found = ib.run("8xsn40l", "llama3-8b/decode", precision="bf16", batch=1, context=1024)
    low, high = (float(np.max(end)) for end in found.interval("tpot_s"))
    assert low <= 1 / 622 <= high
