"""The synthetic dense family: its sizes are what they are called, its shapes those of networks that exist."""

from __future__ import annotations

import pytest
from inferbench_llm import SIZES, Options, Transformer, dense, family

import inferbench as ib


def parameters(network: ib.Network) -> float:
    """All weights of the operator graph, as the evaluation counts them."""
    at = ib.Grid.of({"batch": [1.0], "context": [1.0]}, ["bf16"]).at
    return float(
        sum(op.parameters * op.instances for op in Transformer().graph(network, at, "decode", Options()))
    )


@pytest.mark.parametrize("network", list(family()), ids=lambda network: network.name)
def test_a_network_has_the_parameters_of_its_name(network):
    billions = float(network.name.removeprefix("dense-").removesuffix("b"))
    assert parameters(network) == pytest.approx(billions * 1e9, rel=0.015)


def test_the_rule_gives_back_llama_3():
    """config.json of Meta-Llama-3-8B and -70B (Hugging Face): the 8B exactly, the 70B within one layer
    of 80.
    """
    small, large = dense(8.03e9), dense(70.55e9)
    shape = (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "intermediate_size",
        "vocab_size",
    )
    assert [getattr(small, name) for name in shape] == [4096, 32, 32, 8, 14336, 128256]
    assert [getattr(large, name) for name in shape] == [8192, 80, 64, 8, 28672, 128256]


def test_the_head_is_tied_as_in_llama_3_2():
    assert [dense(size * 1e9).tie_word_embeddings for size in SIZES] == [True, True] + [False] * 7


def test_sizes_span_the_space_and_grow_in_width_and_depth_together():
    shapes = [dense(size * 1e9) for size in SIZES]
    widths = [shape.hidden_size for shape in shapes]
    assert (min(SIZES), max(SIZES)) == (1, 200)
    assert widths == sorted(widths)
    assert all(50 <= shape.hidden_size / shape.num_hidden_layers <= 200 for shape in shapes)


def test_the_family_is_installed():
    names = ib.installed().names("networks")
    assert {f"dense-{size}b" for size in SIZES} <= set(names)
