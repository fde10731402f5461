"""What binds is said of the time that is shown: launches, host and the power limit have their shares."""

from __future__ import annotations

import json

import numpy as np
import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")


@pytest.mark.parametrize(
    ("system", "work"),
    [
        ("h100@vllm-h100", "llama3-8b/decode"),
        ("8xh100:tp4pp2@vllm-h100", "llama3-70b/decode"),
        ("8xb200", "llama3-70b/prefill"),
        ("gaudi-3", "llama3-8b/decode"),
        ("576xgroq-lpu", "llama3-70b/decode"),
    ],
)
def test_the_causes_add_up_to_the_time_shown(system, work):
    run = ib.run(system, work, batch=[1, 8, 64])
    total = sum(run.values(one) for one in run.causes.values())
    np.testing.assert_allclose(total, run.values(run.seconds), rtol=1e-9)


def test_a_step_that_waits_for_launches_is_bound_by_them():
    """1.2 PB/s feed 16 chips: the bytes of a token take 1/50 of the step, and one kernel is 5 µs."""
    run = ib.run("16xh100@vllm-h100", "deepseek-v3/decode", batch=1)
    bytes_alone = float(np.max(run.values(run.busy["memory.hbm"]) / run.values(run.seconds)))
    assert bytes_alone < 0.2
    assert run.bound.ravel()[0] == "launch"


def test_a_long_prompt_waits_for_arithmetic_and_hardly_for_launches():
    """32 layers of a dozen kernels of some microseconds beside a tenth of a second of products."""
    run = ib.run("h100@vllm-h100", "llama3-8b/prefill", context=8192, precision="bf16")
    share = float(np.ravel(run.values(run.causes["launch"]) / run.values(run.seconds))[0])
    assert 0.0 < share < 0.05
    assert run.bound.ravel()[0] == "compute"


def test_ideal_software_has_engines_alone():
    run = ib.run("h100@ideal", "llama3-8b/decode")
    assert not run.causes
    assert run.bound.ravel()[0] == "memory.hbm"


@pytest.mark.parametrize("batch", ["1", "64"])
def test_the_shares_of_operators_add_up_to_all(cli, batch):
    code, out, _ = cli(
        "run", "h100@vllm-h100", "llama3-8b/decode", "--batch", batch, "-v", "--format", "json"
    )
    assert code == 0
    rows = json.loads(out)["results"][0]["operators"]
    assert sum(row["share"] for row in rows) == pytest.approx(1.0, abs=1e-9)
    assert {"gate_up", "host"} <= {row["name"] for row in rows}
