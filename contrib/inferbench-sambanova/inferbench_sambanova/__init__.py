"""SambaNova's SN40L: three tiers of memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import inferbench as ib

__all__ = ["DDR", "IN_DDR", "IN_HBM", "inferbench_metrics"]

# Prabhakar et al., SambaNova SN40L: Scaling the AI Memory Wall with Dataflow and Composition of Experts,
# 2024, https://arxiv.org/abs/2405.07518: up to 1.5 TB of DDR behind each socket.
DDR = 1.5e12


def _resident(run: ib.Run, tier: float) -> ib.Numeric:
    """Networks whose weights a tier of the whole system holds, whole ones."""
    weights = float(np.max(run.footprint.weights)) * run.system.count
    return run.seconds * 0.0 + float(tier * run.system.count // weights)


def _ours(run: ib.Run) -> bool:
    return run.system.chip.vendor == "SambaNova" and "hbm" in run.system.chip.memory


IN_HBM = ib.Metric(
    "models_in_hbm",
    "networks that HBM holds",
    "",
    "higher",
    lambda run: _resident(run, run.system.chip.memory["hbm"].capacity),
    applies=_ours,
    order=320,
)
IN_DDR = ib.Metric(
    "models_in_ddr",
    "networks that DDR holds",
    "",
    "higher",
    lambda run: _resident(run, DDR),
    applies=_ours,
    order=321,
)


@ib.hookimpl
def inferbench_metrics() -> Iterator[ib.Metric]:
    """Yield what the tiers hold."""
    yield IN_HBM
    yield IN_DDR
