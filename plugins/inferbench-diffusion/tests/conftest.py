"""Helpers shared by the tests of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from inferbench_diffusion.builder import Options

import inferbench as ib


class Case:
    """A network of the specs with its generator."""

    def __init__(self, name: str) -> None:
        self.network = ib.installed().network(name)
        self.workload = ib.installed().workload(self.network.type)

    def ops(self, phase: str = "denoise", axes: dict[str, Any] | None = None, **options: bool) -> list[ib.Op]:
        at = ib.Grid.of(
            {k: np.atleast_1d(v) for k, v in (axes or {}).items()} or {"batch": [1.0]}, ["bf16"]
        ).at
        return list(self.workload.graph(self.network, at, phase, Options(**options)))

    def operations(self, phase: str = "denoise", axes: dict[str, Any] | None = None, **options: bool) -> Any:
        return np.squeeze(sum(op.useful * op.repeat for op in self.ops(phase, axes, **options)))

    def parameters(self, phase: str = "denoise", **options: bool) -> float:
        return float(np.squeeze(sum(op.parameters * op.instances for op in self.ops(phase, **options))))


@pytest.fixture
def case() -> Callable[[str], Case]:
    pytest.importorskip("inferbench_specs", reason="the specs distribution is not installed")
    return Case
