"""What engines do by default."""

from __future__ import annotations

import pytest

import inferbench as ib
from inferbench.serving.schedulers import rules_of


@pytest.mark.parametrize(
    ("stack", "said"),
    [
        ("trtllm-serving-h100", ("chunked", 3000.0, True)),
        ("sglang-serving-h100", ("interleaved", 8192.0, False)),
        ("vllm-serving-h100", ("chunked", 2048.0, False)),
        ("atom-mi355x", ("interleaved", 8192.0, False)),
        ("neuronx", ("interleaved", 4096.0, False)),
    ],
)
@pytest.mark.needs_plugins(
    "stacks/trtllm-serving-h100",
    "stacks/sglang-serving-h100",
    "stacks/vllm-serving-h100",
    "stacks/atom-mi355x",
    "stacks/neuronx",
)
def test_engines_have_policies_limits_and_ways_to_let_requests_in(stack, said):
    found = rules_of(ib.installed().stack(stack), longest=3000.0)
    assert (found.policy, found.chunk, found.whole) == said
