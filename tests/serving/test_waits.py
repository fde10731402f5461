"""Settings of servers: what a measurement or a command says, and how sure first tokens are."""

from __future__ import annotations

import pytest

import inferbench as ib
from inferbench.errors import InferBenchError
from inferbench.evidence.served import rules_told
from inferbench.serving.engine import Rules


def test_settings_of_a_measurement_become_rules():
    found = rules_told({"wait_steps": 40.0, "wait_share": 0.8, "poll_steps": 30.0, "computed_batch": 32.0})
    assert (found.wait, found.enough, found.poll, found.compiled) == (40, 0.8, 30, (32.0, 0.0))
    assert rules_told({"wait_steps": "many"}) == Rules()


NEURON = pytest.mark.needs_plugins("stacks/neuronx", "chips/inferentia2")


@NEURON
def test_what_was_compiled_is_a_setting():
    """Eight sequences of 2,048 positions instead of 32 of 4,096: every step is shorter."""
    load = {"concurrency": 4, "requests": 8, "prompt": 500, "output": 20, "precision": "bf16"}
    usual, small = (
        ib.simulate("inferentia2", "llama3-8b", compiled=one, **load).to_times() for one in (None, "8x2048")
    )
    assert small["tpot_s"]["mean"] < usual["tpot_s"]["mean"]
    assert small["ttft_s"]["mean"] < 0.6 * usual["ttft_s"]["mean"]


@NEURON
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt": 5000}, "4,096 are compiled"),
        ({"compiled": "32"}, "no number of sequences and of positions"),
        ({"compiled": "0x4096"}, "whole numbers of at least 1"),
        ({"wait": "40:2"}, "no share below 1"),
        ({"poll": 0}, "whole numbers of at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, said):
    with pytest.raises(InferBenchError, match=said):
        ib.simulate("inferentia2", "llama3-8b", concurrency=4, requests=8, precision="bf16", **given)


@pytest.mark.needs_plugins("stacks/vllm-mi300x", "chips/mi300x")
def test_first_tokens_are_as_uncertain_as_a_prompt_that_nobody_measured():
    """No prompt alone was fitted on MI300X: its interval is that of prompts on an unseen chip."""
    found = ib.simulate("8xmi300x:tp8", "llama3-70b", concurrency=4, requests=8, prompt=500, output=20).found
    low, high = found.interval("ttft_s", "mean")
    assert found.errors[1] > found.errors[0]
    assert high / low > 3.0**2


@pytest.mark.needs_plugins("stacks/trtllm-serving-h200-block", "chips/h200")
def test_a_loop_like_those_that_were_fitted_lies_in_the_box():
    found = ib.simulate("8xh200:tp8@trtllm", "deepseek-v3", concurrency=64, requests=64).found
    assert found.name == "calibrated"
