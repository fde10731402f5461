"""Language models whose layers are of several kinds: attention, recurrences, experts, image encoders."""

from __future__ import annotations

from collections.abc import Iterator

import inferbench as ib
from inferbench_layered.attention import Attention, Latent
from inferbench_layered.block import Block, Indexer
from inferbench_layered.compressed import Compressed
from inferbench_layered.feed import Dense, Experts
from inferbench_layered.ops import Recurrence, StatefulElementwise, StateProduct
from inferbench_layered.params import LayeredOptions, LayeredParams, Prediction
from inferbench_layered.recurrent import Delta, Mamba, SelectiveScan
from inferbench_layered.vision import Projection, Vision
from inferbench_layered.workload import Layered, active_parameters

__all__ = [
    "Attention",
    "Block",
    "Compressed",
    "Delta",
    "Dense",
    "Experts",
    "Indexer",
    "Latent",
    "Layered",
    "LayeredOptions",
    "LayeredParams",
    "Mamba",
    "Prediction",
    "Projection",
    "Recurrence",
    "SelectiveScan",
    "StateProduct",
    "StatefulElementwise",
    "Vision",
    "active_parameters",
]


@ib.hookimpl
def inferbench_workloads() -> Iterator[ib.Workload]:
    """Yield the generator of networks with layers of several kinds."""
    yield Layered()
