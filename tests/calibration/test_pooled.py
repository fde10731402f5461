"""Stacks of few figures: drawn to their class where rows say little, to their rows where they say much."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.pooled import networks_left_out, weights
from inferbench.calibration.priors import Effects, Prior
from inferbench.calibration.published_times import published
from inferbench.calibration.samples import Sample

pytest.importorskip("scipy", reason="scipy is not installed: pip install 'inferbench-core[calibrate]'")
EFFECTS = Effects(10, 3, 0.3, 0.3, 0.4)
PRIOR = Prior(
    "made", "", np.log([0.5, 0.5, 0.5, 1e-6, 1e-5]), {"decode": EFFECTS, "prefill": EFFECTS}, ("a",)
)


def step(network, seconds, software="s 1"):
    work = np.array([[1e-3, 1e-5, 0.0, 0.0, 0.0, 0.0]])
    return Sample("chip", "v", "made", software, network, "decode", "t", seconds, work)


def test_a_network_left_out_is_predicted_by_the_others():
    # 1 ms at the datasheet's rate takes 4 ms: a share of a quarter, whatever the network.
    found = networks_left_out([step(name, 4e-3) for name in ("a", "b", "c", "d")], PRIOR)
    assert len(found) == 4
    assert all(abs(one.error) < 0.05 and one.covered for one in found)


def test_of_one_network_nothing_can_be_left_out():
    assert networks_left_out([step("a", 4e-3), step("a", 5e-3)], PRIOR) == []


def test_intervals_of_networks_that_agree_are_narrower_than_the_class():
    found = networks_left_out([step(name, 4e-3) for name in "abcdef"], PRIOR)
    # Without one network five are left, none of which errs: (5 x 0 + 2 (0.09 + 0.16)) / 7 = 0.27 squared.
    assert found[0].log_error == pytest.approx(0.267, abs=0.02)


def test_versions_share_the_weight_of_their_network():
    some = [step("a", 1.0, "s 1"), step("a", 1.0, "s 2"), step("a", 1.0, "s 2"), step("b", 1.0)]
    assert weights(some) == pytest.approx([0.5, 0.25, 0.25, 1.0])


@pytest.mark.needs_plugins("chips/mi300x", "networks/llama3.1-70b")
def test_prompts_offered_at_once_are_steps_and_prompts(tmp_path):
    path = tmp_path / "times.csv"
    path.write_text(
        "chip,n_chips,tp,software,network,precision,phase,batch,batch_kind,input_len,output_len,tokens_per_s,"
        "tokens_counted\n"
        "mi300x,8,8,vLLM,llama3.1-70b,fp8,serving,1600,prompts offered at once,128,2048,16000,output\n"
    )
    (one,) = published(str(path), ib.installed(), Counter())
    # 1,600 users at 16,000 tokens/s wait 0.1 s for each; 64 prompts of 128 make 8,192 tokens, so that
    # 1,600 / 64 = 25 passes are spread over 2,048 steps.
    assert one.seconds == pytest.approx(0.1)
    assert one.parts[0] == (1.0, "decode", {"batch": 1600.0, "context": 1152.0})
    assert one.parts[1][0] == pytest.approx(25 / 2048)


@pytest.mark.needs_plugins("chips/inferentia2", "networks/llama3.1-8b")
def test_one_user_of_a_padded_engine_pays_for_the_compiled_batch(tmp_path):
    path = tmp_path / "times.csv"
    path.write_text(
        "chip,n_chips,tp_parts,software,network,precision,phase,batch,batch_kind,input_len,output_len,tpot_s,"
        "computed_batch,computed_positions\n"
        "inferentia2,4,8,optimum-neuron vLLM,llama3.1-8b,bf16,serving,1,mean concurrency,1500,224,0.0245,"
        "32,4096\n"
    )
    (one,) = published(str(path), ib.installed(), Counter())
    assert one.parts[0][2] == {"batch": 32.0, "context": 4096.0}
    assert str(one.system.layout) == "tp4"


@pytest.mark.needs_plugins(
    "stacks/vllm-mi300x", "stacks/tpu-serving", "stacks/habana-gaudi", "stacks/neuronx"
)
@pytest.mark.parametrize(
    ("chip", "asked", "stack"),
    [
        ("mi300x", "best", "vllm-mi300x"),
        ("mi300x", "vllm", "vllm-mi300x"),
        ("mi300x", "rocm", "vllm-mi300x"),
        ("mi355x", "best", "atom-mi355x"),
        ("gaudi-3", "best", "habana-gaudi"),
        ("gaudi-2", "optimum-habana", "habana-gaudi"),
        ("tpu-v6e", "best", "tpu-serving"),
        ("tpu-v5e", "jetstream", "tpu-serving"),
        ("trainium2", "best", "neuronx"),
        ("n300", "best", "tt-metal"),
        ("ascend-910b", "best", "vllm-ascend"),
        ("apple-m4-max", "best", "mlx-m4-max"),
    ],
)
def test_the_software_that_was_measured_is_taken(chip, asked, stack):
    from inferbench.model.choice import choose

    known = ib.installed()
    network = known.network("llama3.1-8b")
    assert choose(asked, known.chip(chip), network, "decode", "bf16", known).stack.name == stack
