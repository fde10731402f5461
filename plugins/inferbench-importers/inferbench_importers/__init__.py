"""Readers of measured results: serving benchmarks, single-node benchmarks, power logs, plain CSV."""

from __future__ import annotations

from collections.abc import Iterator

import inferbench as ib
from inferbench_importers import (
    aiconfigurator,
    aiperf,
    amd_smi,
    console,
    guidellm,
    inferencex,
    llama_bench,
    ml_energy,
    mlperf,
    nvidia_smi,
    optimum,
    plain,
    prometheus,
    sglang,
    vllm,
    zeus,
)

__all__ = ["inferbench_importers"]

FAMILIES = (
    aiconfigurator,
    aiperf,
    amd_smi,
    console,
    guidellm,
    inferencex,
    llama_bench,
    ml_energy,
    mlperf,
    nvidia_smi,
    optimum,
    plain,
    prometheus,
    sglang,
    vllm,
    zeus,
)


@ib.hookimpl
def inferbench_importers() -> Iterator[ib.Importer]:
    """Yield every importer of this package."""
    for family in FAMILIES:
        yield family.IMPORTER
