"""Mixture-of-experts language models: routed and shared experts on top of the dense workload."""

from __future__ import annotations

from collections.abc import Iterator

import inferbench as ib
from inferbench_moe.config import read_moe
from inferbench_moe.experts import ExpertGemm, ExpertLayers
from inferbench_moe.params import MoeOptions, MoeParams
from inferbench_moe.routing import Route, distinct_experts, distinct_parts, inclusion
from inferbench_moe.workload import MixtureOfExperts, active_parameters

__all__ = [
    "ExpertGemm",
    "ExpertLayers",
    "MixtureOfExperts",
    "MoeOptions",
    "MoeParams",
    "Route",
    "active_parameters",
    "distinct_experts",
    "distinct_parts",
    "inclusion",
    "read_moe",
]


@ib.hookimpl
def inferbench_workloads() -> Iterator[ib.Workload]:
    """Yield the generator of mixtures of experts."""
    yield MixtureOfExperts()
