"""The replay on published tables of servers under load."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins(
    "chips/h200", "networks/qwen3-32b", "stacks/trtllm-serving-h200", "tables/serving", "importers/csv"
)
DENSE = ("llama3.1-70b", "qwen3-32b")


@pytest.fixture(scope="module")
def seen(tool):
    """A sparse sample; docs/results/serving.md has more."""
    score, registry = tool("tools/score_serving.py"), ib.installed()
    found = [score.score(m, registry) for m in score.rows(23, registry)]
    return [one for one in found if one is not None and one.group[2] in DENSE]


@pytest.mark.slow
def test_first_tokens_of_dense_networks_are_within_35_percent_waiting_included(seen):
    """A prompt without waiting is off by 80 %."""
    errors = np.array([abs(one.ttft[1] / one.ttft[0] - 1.0) for one in seen])
    alone = np.array([abs(one.alone / one.ttft[0] - 1.0) for one in seen])
    assert len(seen) >= 20
    assert errors.mean() <= 0.35
    assert alone.mean() >= 2.0 * errors.mean()


@pytest.mark.slow
def test_times_per_token_of_dense_networks_are_within_12_percent(seen):
    """Reading weights and caches at the full bandwidth is off by more than half."""
    errors = np.array([abs(one.tpot[1] / one.tpot[0] - 1.0) for one in seen])
    floor = np.array([abs(one.floor / one.tpot[0] - 1.0) for one in seen])
    assert errors.mean() <= 0.12
    assert floor.mean() >= 0.5
    covered = [one.tpot[2] <= one.tpot[0] <= one.tpot[3] for one in seen]
    assert np.mean(covered) >= 0.85


@pytest.mark.needs_plugins("tables/nvidia_multichip", "networks/llama3.3-70b", "stacks/trtllm-serving-h100")
@pytest.mark.slow
def test_throughput_of_a_dense_network_with_all_prompts_offered_at_once_is_within_20_percent(tool):
    """By the batch, the tokens of a step and the number of requests that the benchmark itself sets."""
    score, registry = tool("tools/score_throughput.py"), ib.installed()
    rows = [m for m in score.rows(registry) if m.precision == "fp8" and m.axes["output"] == 1024.0]
    seen = [one for m in rows if (one := score.score(m, registry)) is not None]
    errors = np.array([abs(one.predicted / one.measured - 1.0) for one in seen])
    assert {one.network for one in seen} == {"llama3.3-70b"}
    assert len(seen) >= 4
    assert errors.mean() <= 0.20
