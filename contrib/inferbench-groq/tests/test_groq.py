"""The network of Groq against what was published of it."""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_groq import NODE, RACK, Dragonfly, largest

import inferbench as ib
from inferbench.testing import FabricContract, PackageContract

LINK = ib.Link("groq-c2c", bandwidth=100e9, latency=0.7e-6, size=10440)


class TestPackage(PackageContract):
    package = "inferbench-groq"


class TestDragonfly(FabricContract):
    fabric = Dragonfly()


def test_the_largest_system_is_the_published_one():
    """ISCA 2022: up to 10,440 TSPs and more than 2 TB of global memory, 220 MiB each."""
    assert largest() == 10440
    assert largest() * 220 * 2**20 > 2e12


def test_the_furthest_chip_is_within_the_published_latency():
    """ISCA 2022: less than 3 us from end to end, at some 0.55 us a hop."""
    assert Dragonfly().wiring(largest(), LINK).hops * 0.55e-6 < 3e-6
    assert [Dragonfly().wiring(n, LINK).hops for n in (NODE, RACK, RACK + 1)] == [1.0, 3.0, 5.0]


def test_a_node_has_seven_of_eleven_links():
    assert Dragonfly().wiring(8, LINK).share == pytest.approx(7 / 11)


def test_llama_2_70b_runs_at_the_published_rate():
    """300 tokens/s of one user on 576 chips (Groq, February 2024; SemiWiki), within the fitted interval."""
    pytest.importorskip("inferbench_metrics", reason="inferbench-metrics is not installed")
    run = ib.run("576xgroq-lpu", "llama2-70b/decode", precision="int8", batch=1, context=1024)
    low, high = (float(np.max(end)) for end in run.interval("tpot_s"))
    assert low <= 1 / 300 <= high
