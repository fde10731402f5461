"""Cerebras' wafers: layers placed on them, and weights streamed to them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

import inferbench as ib

__all__ = ["STREAMED", "WAFERS", "inferbench_metrics", "wafers"]

# Twelve 100 Gb/s ports of a CS-3: Argonne's tutorial at SC24 (chip wse-3, interconnect.scale_up).
PORTS = 150e9


def wafers(weights: float, layers: int, capacity: float) -> int:
    """Wafers that hold some layers, each layer on one wafer alone.

    Args:
        weights: Bytes of all layers together.
        layers: Equal ones.
        capacity: Bytes of SRAM of a wafer.

    Returns:
        Wafers; 0 where a single layer does not fit.

    Example:
        Eighty layers of 1.76 GB, 25 on a wafer of 44 GB:

        >>> wafers(141e9, 80, 44e9)
        4
    """
    each = math.floor(capacity / (weights / layers))
    return math.ceil(layers / each) if each else 0


def _layers(run: ib.Run) -> int:
    return int(ib.installed().workload(run.network.type).layers(run.network))


def _weights(run: ib.Run) -> float:
    """Bytes of the weights of the whole network."""
    return float(np.max(run.footprint.weights)) * run.system.count


def _wafers(run: ib.Run) -> ib.Numeric:
    capacity = run.system.chip.memory["sram"].capacity
    return run.seconds * 0.0 + float(wafers(_weights(run), _layers(run), capacity))


def _streamed(run: ib.Run) -> ib.Numeric:
    return run.seconds * 0.0 + PORTS * run.system.count / _weights(run)


def _ours(run: ib.Run) -> bool:
    return run.system.chip.vendor == "Cerebras"


WAFERS = ib.Metric("wafers", "wafers for the weights", "", "lower", _wafers, applies=_ours, order=300)
STREAMED = ib.Metric(
    "streamed_tokens_per_s",
    "tokens/s per user, weights streamed",
    "",
    "higher",
    _streamed,
    applies=lambda run: _ours(run) and run.latency == "tpot_s",
    order=301,
)


@ib.hookimpl
def inferbench_metrics() -> Iterator[ib.Metric]:
    """Yield what only a wafer has."""
    yield WAFERS
    yield STREAMED
