"""d-Matrix' Corsair: two tiers of memory, and which of them a network lives in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import inferbench as ib

__all__ = ["LPDDR", "SRAM_CARDS", "inferbench_metrics"]


def _weights(run: ib.Run) -> float:
    """Bytes of the weights of the whole network."""
    return float(np.max(run.footprint.weights)) * run.system.count


def _cards(run: ib.Run) -> ib.Numeric:
    return run.seconds * 0.0 + ib.ceil_div(_weights(run), run.system.chip.memory["sram"].capacity)


def _lpddr(run: ib.Run) -> ib.Numeric:
    bandwidth = run.system.chip.memory["ddr"].bandwidth
    return run.seconds * 0.0 + _weights(run) / (bandwidth * run.system.count)


def _ours(run: ib.Run) -> bool:
    return run.system.chip.vendor == "d-Matrix" and {"sram", "ddr"} <= set(run.system.chip.memory)


SRAM_CARDS = ib.Metric(
    "sram_cards", "cards for weights in SRAM", "", "lower", _cards, applies=_ours, order=310
)
LPDDR = ib.Metric(
    "lpddr_tpot_s",
    "time per token from LPDDR",
    "s",
    "lower",
    _lpddr,
    applies=lambda run: _ours(run) and run.latency == "tpot_s",
    order=311,
)


@ib.hookimpl
def inferbench_metrics() -> Iterator[ib.Metric]:
    """Yield what two tiers decide."""
    yield SRAM_CARDS
    yield LPDDR
