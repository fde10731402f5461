from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from inferbench_llm import Options, Transformer, TransformerParams

import inferbench as ib

LLAMA3_70B = {
    "hidden_size": 8192.0,
    "num_hidden_layers": 80.0,
    "num_attention_heads": 64.0,
    "num_key_value_heads": 8.0,
    "head_dim": 128.0,
    "intermediate_size": 28672.0,
    "vocab_size": 128256.0,
    "max_position_embeddings": 8192.0,
}


class Bench:
    """A network's graph at one point or grid, and sums over it."""

    def __init__(self, **params: Any) -> None:
        self.network = ib.Network(
            name="n", title="n", type="transformer", params=TransformerParams(**{**LLAMA3_70B, **params})
        )

    def ops(
        self, phase: str, precision: str = "bf16", options: Options | None = None, **axes: Any
    ) -> dict[str, ib.Op]:
        grid = ib.Grid.of({"batch": [1.0], "context": [2048.0], **axes}, [precision])
        graph = list(Transformer().graph(self.network, grid.at, phase, options or Options()))
        assert len({op.name for op in graph}) == len(graph)
        return {op.name: op for op in graph}

    def total(self, phase: str, get: Callable[[ib.Op], Any], **given: Any) -> Any:
        return np.squeeze(sum(get(op) for op in self.ops(phase, **given).values()))

    def flops(self, phase: str, **given: Any) -> Any:
        return self.total(phase, lambda op: op.useful * op.repeat, **given)

    def parameters(self, phase: str = "decode", **given: Any) -> Any:
        return self.total(phase, lambda op: op.parameters * op.instances, **given)

    def cache(self, phase: str = "decode", **given: Any) -> Any:
        return self.total(phase, lambda op: op.resident.state * op.instances, **given)


@pytest.fixture
def bench() -> type[Bench]:
    return Bench


@pytest.fixture(autouse=True)
def _our_own_defaults(monkeypatch):
    """Read configs alike whether the library transformers is installed or not."""
    monkeypatch.setattr("inferbench_llm.hf.find_spec", lambda name: None)
