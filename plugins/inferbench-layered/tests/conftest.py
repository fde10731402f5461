from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inferbench_layered import LayeredOptions

import inferbench as ib


class Bench:
    """A network's graph at one point or grid, and sums over it."""

    def __init__(self, network: ib.Network) -> None:
        self.network = network

    def ops(
        self, phase: str, precision: str = "bf16", options: LayeredOptions | None = None, **axes: Any
    ) -> dict[str, ib.Op]:
        grid = ib.Grid.of({"batch": [1.0], "context": [2048.0], **axes}, [precision])
        workload = ib.installed().workload(self.network.type)
        graph = list(workload.graph(self.network, grid.at, phase, options or LayeredOptions()))
        assert len({op.name for op in graph}) == len(graph)
        return {op.name: op for op in graph}

    def total(self, phase: str, get: Callable[[ib.Op], Any], **given: Any) -> float:
        return float(np.squeeze(sum(get(op) for op in self.ops(phase, **given).values())))

    def flops(self, phase: str, **given: Any) -> float:
        return self.total(phase, lambda op: op.useful * op.repeat, **given)

    def parameters(self, phase: str = "decode", **given: Any) -> float:
        return self.total(phase, lambda op: op.parameters * op.instances, **given)

    def cache(self, phase: str = "decode", **given: Any) -> float:
        return self.total(phase, lambda op: op.resident.state * op.instances, **given)

    def moved(self, phase: str = "decode", **given: Any) -> float:
        return self.total(phase, lambda op: op.bytes.state * op.repeat, **given)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Bench]:
    """Write a config to a file and read it as a user does."""

    def from_config(config: dict[str, Any], **changes: Any) -> Bench:
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**config, **changes}))
        return Bench(ib.installed().network(str(path)))

    return from_config


@pytest.fixture
def bench() -> type[Bench]:
    return Bench


@pytest.fixture(autouse=True)
def _our_own_defaults(monkeypatch):
    """Read configs alike whether the library transformers is installed or not."""
    monkeypatch.setattr("inferbench_llm.hf.find_spec", lambda name: None)
