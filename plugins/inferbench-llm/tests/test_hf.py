"""Defaults from the classes of `transformers`, and without them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
from inferbench_llm import completed, hf, read_dense

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
}


class Shouting:
    """A config class whose defaults nobody else has."""

    def __init__(self, **given: Any) -> None:
        if given.get("num_hidden_layers") == 13:
            raise ValueError("unlucky")
        self.given = given

    def to_dict(self) -> dict[str, Any]:
        return {"intermediate_size": 77, "head_dim": None, "num_key_value_heads": 2, **self.given}


@pytest.fixture
def shouting(monkeypatch):
    monkeypatch.setattr(hf, "find_spec", lambda name: True)
    monkeypatch.setattr(hf, "_class", lambda kind: Shouting if kind == "llama" else None)


def test_keys_that_a_file_leaves_out_are_the_class_s(shouting):
    table = read_dense(LLAMA)
    assert table is not None
    assert (table["intermediate_size"], table["num_key_value_heads"]) == (77, 2)
    assert table["head_dim"] == 16


def test_what_the_file_says_wins_and_null_is_said(shouting):
    assert completed({**LLAMA, "intermediate_size": 96})["intermediate_size"] == 96
    assert completed({**LLAMA, "num_key_value_heads": None})["num_key_value_heads"] is None


def test_a_class_that_refuses_a_file_leaves_it_to_the_reader(shouting):
    odd = {**LLAMA, "num_hidden_layers": 13}
    assert completed(odd) is odd


def test_a_type_without_a_class_is_left_alone(shouting):
    odd = {**LLAMA, "model_type": "new"}
    assert completed(odd) is odd


def test_without_the_library_nothing_is_added(monkeypatch):
    monkeypatch.setattr(hf, "find_spec", lambda name: None)
    assert completed(LLAMA) is LLAMA


if find_spec("transformers"):  # optional, and large: where it is not installed there is nothing to test

    def test_the_library_itself(monkeypatch):
        monkeypatch.setattr(hf, "find_spec", find_spec)
        assert completed({"model_type": "llama"})["intermediate_size"] == 11008
