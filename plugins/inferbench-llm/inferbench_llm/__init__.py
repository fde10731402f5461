"""Dense language models: prefill, decode and generate of decoder-only transformers."""

from __future__ import annotations

from collections.abc import Iterator

import inferbench as ib
from inferbench_llm.architectures import family_of, text_part, unread_parts
from inferbench_llm.config import given, is_mixture, read_dense, read_table, refuse_unread
from inferbench_llm.family import SIZES, dense, family
from inferbench_llm.hf import completed
from inferbench_llm.layers import Layers
from inferbench_llm.ops import CachedAttention
from inferbench_llm.params import Options, Size, TransformerParams
from inferbench_llm.quantization import PARTS, stored
from inferbench_llm.sweep import Sweep
from inferbench_llm.workload import PHASES, Transformer, context_warnings, items, passes, sweeps

__all__ = [
    "PARTS",
    "PHASES",
    "SIZES",
    "CachedAttention",
    "Layers",
    "Options",
    "Size",
    "Sweep",
    "Transformer",
    "TransformerParams",
    "completed",
    "context_warnings",
    "dense",
    "family",
    "family_of",
    "given",
    "is_mixture",
    "items",
    "passes",
    "read_dense",
    "read_table",
    "refuse_unread",
    "stored",
    "sweeps",
    "text_part",
    "unread_parts",
]


@ib.hookimpl
def inferbench_workloads() -> Iterator[ib.Workload]:
    """Yield the generator of dense transformers."""
    yield Transformer()


@ib.hookimpl
def inferbench_networks() -> Iterator[ib.Network]:
    """Yield the synthetic dense family, 1B to 200B."""
    yield from family()
