"""Power, energy per item, and the design note's energy efficiency, counted at the wall."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import inferbench as ib
from inferbench_metrics.speed import useful_rate, yields_tokens

__all__ = ["METRICS", "wall_watts"]


def _why(run: ib.Run) -> str:
    """Why the power is not known; empty where it is."""
    return run.energy.why if np.all(np.isnan(np.asarray(run.energy.watts))) else ""


def wall_watts(run: ib.Run) -> Any:
    """Watts at the wall: the chips' mean power times the scenario's overhead (regulators, fans, host
    share).
    """
    return run.energy.watts * (run.scenario.wall_overhead if run.scenario else np.nan)


def _wall_why(run: ib.Run) -> str:
    return _why(run) or ("" if run.scenario else "needs an economic scenario for the wall overhead")


def _token(compute: Callable[[ib.Run], Any]) -> Callable[[ib.Run], Any]:
    return lambda run: compute(run) if run.item == "token" else np.nan


def _token_why(run: ib.Run) -> str:
    return _why(run) or (
        "" if run.item == "token" else f"a step of {run.phase} yields {run.item}s, not tokens"
    )


METRICS = (
    ib.Metric(
        "power_w", "power", "W", "lower", lambda run: run.energy.watts, _why, order=70, interval="power"
    ),
    ib.Metric(
        "joules_per_token",
        "energy per token",
        "J",
        "lower",
        _token(lambda run: run.energy.joules / run.items),
        _token_why,
        applies=yields_tokens,
        order=71,
        interval="energy",
    ),
    ib.Metric(
        "joules_per_item",
        "energy per item",
        "J",
        "lower",
        lambda run: run.energy.joules / run.items,
        _why,
        applies=lambda run: not yields_tokens(run),
        order=72,
        interval="energy",
    ),
    ib.Metric(
        "tokens_per_s_per_w",
        "tokens/s per W",
        "",
        "higher",
        _token(lambda run: run.items / run.energy.joules),
        _token_why,
        applies=yields_tokens,
        order=73,
    ),
    ib.Metric(
        "energy_efficiency",
        "useful TOPS per W (wall)",
        "",
        "higher",
        lambda run: useful_rate(run) / 1e12 / wall_watts(run),
        _wall_why,
        order=74,
    ),
)
