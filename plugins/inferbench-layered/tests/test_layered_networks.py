"""The shipped networks: parameters against published totals, caches against closed forms worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from inferbench_layered import LayeredOptions, active_parameters
from inferbench_moe import active_parameters as active_of_mixture

import inferbench as ib

pytest.importorskip("inferbench_specs", reason="the package of specs is not installed")

# Elements that one more position adds to the cache, once windows are full and entries are whole.
CACHE = {
    # 61 latents of 512 + 64, and 61 keys of the indexer of 132 bytes.
    "deepseek-v3.2": 61 * (576 + 132 / 2),
    # One entry per 4 positions, with a key of the indexer, in 21 layers; one per 128 in 20.
    "deepseek-v4-flash": 21 * (512 + 132 / 2) / 4 + 20 * 512 / 128,
    "deepseek-v4-pro": 30 * (512 + 132 / 2) / 4 + 31 * 512 / 128,
    "kimi-k2": 61 * 576,
    "kimi-k2.5": 61 * 576,
    "glm-4.6": 92 * 2 * 8 * 128,
    "glm-5": 78 * (576 + 132 / 2),
    "qwen3-next-80b": 12 * 2 * 2 * 256,
    "qwen3.5-397b": 15 * 2 * 2 * 256,
    "qwen3-vl-235b": 94 * 2 * 4 * 128,
    "qwen3-coder-480b": 62 * 2 * 8 * 128,
    "minimax-m2": 62 * 2 * 8 * 128,
    # One layer in four sees everything.
    "llama4-scout": 12 * 2 * 8 * 128,
    "llama4-maverick": 12 * 2 * 8 * 128,
    # One layer in six sees everything, with fewer and wider heads.
    "gemma4-26b-a4b": 5 * 2 * 2 * 512,
    "gemma4-31b": 10 * 2 * 4 * 512,
    "nemotron-h-56b": 10 * 2 * 8 * 128,
    "nemotron3-nano-30b": 6 * 2 * 2 * 128,
    "nemotron3-super-120b": 8 * 2 * 2 * 128,
    "nemotron3-ultra-550b": 12 * 2 * 2 * 128,
    "mistral-large-3": 61 * 576,
    "granite-4.0-h-small": 4 * 2 * 8 * 128,
    "falcon-h1-34b": 72 * 2 * 4 * 128,
    "jamba-v0.1": 4 * 2 * 8 * 128,
    "jamba-1.5-large": 9 * 2 * 8 * 128,
}
# Elements that stay at any context: windows and chunks, states and the positions under convolutions.
CONSTANT = {
    "deepseek-v4-flash": 43 * 128 * 512 + 21 * 8 * 2 * (512 + 128) + 20 * 128 * 2 * 512,
    "qwen3-next-80b": 36 * (32 * 128 * 128 + 3 * 8192),
    "llama4-scout": 36 * 8192 * 2 * 8 * 128,
    "gemma4-31b": 50 * 1024 * 2 * 16 * 256,
    "granite-4.0-h-small": 36 * (128 * 64 * 128 + 3 * (8192 + 256)),
    "falcon-h1-34b": 72 * (32 * 128 * 256 + 3 * (4096 + 1024)),
    "jamba-v0.1": 28 * (8192 * 16 + 3 * 8192),
}
# States in fp32 beside positions in bf16, in bytes.
STATES = {
    "qwen3.5-397b": 45 * (64 * 128 * 128 * 4 + 3 * 12288 * 2),
    "nemotron-h-56b": 54 * (256 * 64 * 256 * 4 + 3 * (16384 + 2 * 8 * 256) * 2),
    "nemotron3-nano-30b": 23 * (64 * 64 * 128 * 4 + 3 * (4096 + 2 * 8 * 128) * 2),
}


def total(name: str, get: Callable[[ib.Op], Any], context: float, options: Any = None) -> float:
    network = ib.installed().network(name)
    workload = ib.installed().workload(network.type)
    at = ib.Grid.of({"batch": [1.0], "context": [context]}, ["bf16"]).at
    ops = workload.graph(network, at, "decode", options or workload.options())
    return float(np.squeeze(sum(get(op) for op in ops)))


def needed(name: str, context: float) -> float:
    return total(name, lambda op: op.resident.state * op.instances, context)


def parameters(name: str, options: Any = None) -> float:
    return total(name, lambda op: op.parameters * op.instances, 1.0, options)


@pytest.mark.parametrize("name", sorted(CACHE))
def test_one_more_position(name):
    assert (needed(name, 2.0**18) - needed(name, 2.0**17)) / 2**17 == 2 * CACHE[name]


@pytest.mark.parametrize("name", sorted(CONSTANT))
def test_what_stays(name):
    assert needed(name, 2.0**17) - 2**17 * 2 * CACHE[name] == 2 * CONSTANT[name]


@pytest.mark.parametrize("name", sorted(STATES))
def test_states_in_fp32(name):
    assert needed(name, 2.0**17) - 2**17 * 2 * CACHE[name] == STATES[name]


def counted() -> list[str]:
    """Networks whose publishers count all parameters; the others have tests of their own."""
    published = {name: ib.installed().network(name).published for name in sorted(CACHE)}
    return [name for name, one in published.items() if not np.isnan(one.parameters)]


@pytest.mark.parametrize("name", counted())
def test_parameters_are_the_published_ones(name):
    published = ib.installed().network(name).published
    assert parameters(name) == pytest.approx(published.parameters, rel=max(0.005, published.rounding))


def test_glm_4_6_as_its_report_counts():
    # With the prediction layer, without embedding and head (table 1): "355B" and "32B".
    network = ib.installed().network("glm-4.6")
    tables = 2 * 151552 * 5120
    drafting = parameters("glm-4.6", LayeredOptions(mtp=True, draft=1.0))
    assert drafting - tables == pytest.approx(355e9, rel=0.0014)
    assert active_parameters(network) - tables == pytest.approx(32e9, rel=0.016)


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("deepseek-v3.2", 37e9),
        ("deepseek-v4-flash", 13e9),
        ("deepseek-v4-pro", 49e9),
        ("kimi-k2.5", 32e9),
        ("nemotron3-nano-30b", 3.6e9),
        ("jamba-v0.1", 12e9),
        ("jamba-1.5-large", 94e9),
        ("granite-4.0-h-small", 9e9),
    ],
)
def test_active_parameters_to_the_published_digits(name, digits):
    assert active_parameters(ib.installed().network(name)) == pytest.approx(digits, rel=0.025)


def test_active_parameters_of_kimi_k2():
    assert active_of_mixture(ib.installed().network("kimi-k2")) == pytest.approx(32e9, rel=0.016)


def test_weights_as_they_are_published():
    # 384 experts of 60 layers in four bits with a scale per 32; everything else in 16.
    experts = 60 * 384 * 3 * 7168 * 2048
    network = ib.installed().network("kimi-k2.5")
    at = ib.Grid.of({"batch": [1.0], "context": [1.0]}, [network.precision]).at
    workload = ib.installed().workload(network.type)
    ops = list(workload.graph(network, at, "decode", LayeredOptions()))
    stored = float(np.squeeze(sum(op.parameters * op.instances * op.precision.weights for op in ops)))
    router = 60 * (384 * 7168 + 384)  # and its bias, which count as the run's weights
    norms = parameters("kimi-k2.5") - experts
    assert stored == pytest.approx(experts * 18 / 32 + norms * 2, rel=3 * router / experts)
    # Kimi K2 Thinking, of the same shapes and formats without the encoder, is published in 594 GB.
    assert stored == pytest.approx(594e9, rel=0.01)


@pytest.mark.parametrize("name", ["deepseek-v4-flash", "deepseek-v4-pro"])
def test_one_key_of_132_bytes_is_scored_for_four_positions(name):
    def scored(op: ib.Op) -> Any:
        return op.bytes.state if op.name.endswith("index_scores") else 0.0

    assert total(name, scored, 4096.0) == 4096 / 4 * 132
