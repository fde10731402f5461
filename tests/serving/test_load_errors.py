"""How wide the interval of a figure under load is, beside that of its steps."""

from __future__ import annotations

import math

import pytest

from inferbench.discovery.registry import installed
from inferbench.serving.errors import scheduler_error
from inferbench.serving.simulate import Simulated

TIMES = ("tpot_s", "itl_s", "e2e_s", "rate")


@pytest.mark.needs_plugins("stacks/vllm-h100")
def test_a_stack_of_idle_machines_gets_the_scheduler_s_error_beside_its_own():
    """docs/results/serving.md: 0.10 of times per token, 0.45 of the time to the first."""
    stack = installed().stack("vllm-h100")
    assert {scheduler_error(name, stack) for name in TIMES} == {0.10}
    assert scheduler_error("ttft_s", stack) == 0.45


@pytest.mark.needs_plugins("stacks/vllm-serving-h200")
def test_a_stack_of_loaded_servers_has_it_in_its_own():
    """First tokens were not fitted: their error stays."""
    stack = installed().stack("vllm-serving-h200")
    assert {scheduler_error(name, stack) for name in TIMES} == {0.0}
    assert scheduler_error("ttft_s", stack) == 0.45


def test_errors_join_in_quadrature_and_nothing_has_no_factor_around_it():
    """ln 2 on either side, with 90 % of 0.3 beside it: 1.6449 x 0.3."""
    low, high = Simulated._joined(4.0, 2.0, 8.0, 0.3)
    wide = math.hypot(math.log(2.0), 1.6449 * 0.3)
    assert (low, high) == pytest.approx((4.0 / math.exp(wide), 4.0 * math.exp(wide)), rel=1e-4)
    assert Simulated._joined(0.0, 0.0, 1.0, 0.3) == (0.0, 1.0)
