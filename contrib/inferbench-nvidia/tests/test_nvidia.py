"""Domains and limits against published figures."""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_nvidia import nvlink

import inferbench as ib
from inferbench.testing import PackageContract


class TestPackage(PackageContract):
    package = "inferbench-nvidia"


def test_72_gpus_have_the_published_130_terabytes_per_second():
    """ "130 TB/s" of aggregate NVLink bandwidth, both directions (NVIDIA, GB200 NVL72)."""
    assert 72 * 2 * nvlink(5, 72).bandwidth == pytest.approx(130e12, rel=0.005)


def test_the_specs_have_the_same_links():
    known = ib.installed()
    for name, generation in (("a100-sxm-80gb", 3), ("h100-sxm", 4), ("gb200", 5)):
        link = known.chip(name).interconnect["scale_up"]
        assert link.bandwidth == nvlink(generation, link.size).bandwidth


def test_a_smaller_domain_and_a_lower_limit_are_all_that_differs():
    known = ib.installed()
    assert known.chip("gb200-nvl36").interconnect["scale_up"].size == 36
    assert known.chip("h200-500w").power.tdp == 500.0
    assert known.chip("h200-500w").peak == known.chip("h200").peak


def test_a_limited_server_draws_what_mlperf_measured():
    """6,161 W at the wall of eight H200 limited to 500 W (MLPerf Inference v4.1, SPEC PTDaemon): within the
    interval of a server that was not measured, and to 10 %.
    """
    system = ib.System(ib.installed().chip("h200-500w"), 8)
    drawn = float(np.max(system.wall(8 * 500.0, 500.0)))
    spread = float(np.exp(1.645 * system.wall_log_error))
    assert drawn / spread <= 6161 <= drawn * spread
    assert drawn == pytest.approx(6161, rel=0.1)
