"""Power, energy per item, and the design note's energy efficiency, counted at the wall."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import inferbench as ib
from inferbench_metrics.speed import useful_rate, yields_tokens

__all__ = ["METRICS", "wall_why"]


def _why(run: ib.Run) -> str:
    """Why the power is not known; empty where it is."""
    return run.energy.why if np.all(np.isnan(np.asarray(run.energy.watts))) else ""


def wall_why(run: ib.Run) -> str:
    """Why watts at the wall are not known; empty where they are."""
    chip = run.system.chip
    known = chip.node is not None or chip.power.boundary == "system"
    return _why(run) or ("" if known else "no facts of its server are installed")


def _carbon(run: ib.Run) -> Any:
    """Grams of CO2 per million tokens: grams per hour over tokens per hour."""
    if run.scenario is None or run.item != "token":
        return np.nan
    hourly = run.scenario.carbon(run.system, run.energy.watts, run.energy.limit)
    return hourly / 3600.0 * run.seconds / run.items * 1e6


def _carbon_why(run: ib.Run) -> str:
    if run.scenario is None:
        return "needs an economic scenario"
    if np.isnan(run.scenario.carbon_intensity):
        return "the scenario has no carbon_intensity"
    return wall_why(run) or _token_why(run)


def _token(compute: Callable[[ib.Run], Any]) -> Callable[[ib.Run], Any]:
    return lambda run: compute(run) if run.item == "token" else np.nan


def _token_why(run: ib.Run) -> str:
    return _why(run) or (
        "" if run.item == "token" else f"a step of {run.phase} yields {run.item}s, not tokens"
    )


def _wall_token_why(run: ib.Run) -> str:
    return wall_why(run) or _token_why(run)


METRICS = (
    ib.Metric(
        "power_w",
        "power (chips)",
        "W",
        "lower",
        lambda run: run.energy.watts,
        _why,
        order=70,
        interval="power",
        chain="energy",
    ),
    ib.Metric(
        "wall_power_w",
        "power (wall)",
        "W",
        "lower",
        lambda run: run.wall_watts,
        wall_why,
        order=270,
        role="power",
        interval="wall_power",
    ),
    ib.Metric(
        "joules_per_token",
        "energy per token (chips)",
        "J",
        "lower",
        _token(lambda run: run.energy.joules / run.items),
        _token_why,
        applies=yields_tokens,
        order=271,
        interval="energy",
        chain="energy",
    ),
    ib.Metric(
        "joules_per_item",
        "energy per item (chips)",
        "J",
        "lower",
        lambda run: run.energy.joules / run.items,
        _why,
        applies=lambda run: not yields_tokens(run),
        order=272,
        interval="energy",
    ),
    ib.Metric(
        "wall_joules_per_token",
        "energy per token (wall)",
        "J",
        "lower",
        _token(lambda run: run.wall_watts * run.seconds / run.items),
        _wall_token_why,
        applies=yields_tokens,
        order=71,
        interval="wall_energy",
        chain="energy",
    ),
    ib.Metric(
        "wall_joules_per_item",
        "energy per item (wall)",
        "J",
        "lower",
        lambda run: run.wall_watts * run.seconds / run.items,
        wall_why,
        applies=lambda run: not yields_tokens(run),
        order=72,
        interval="wall_energy",
    ),
    ib.Metric(
        "tokens_per_s_per_w",
        "tokens/s per W (wall)",
        "",
        "higher",
        _token(lambda run: run.items / run.seconds / run.wall_watts),
        _wall_token_why,
        applies=yields_tokens,
        order=73,
        interval="per_wall_energy",
    ),
    ib.Metric(
        "energy_efficiency",
        "useful TOPS per W (wall)",
        "",
        "higher",
        lambda run: useful_rate(run) / 1e12 / run.wall_watts,
        wall_why,
        order=74,
        interval="per_wall_energy",
    ),
    ib.Metric(
        "grams_co2_per_mtok",
        "CO2, g/Mtok",
        "",
        "lower",
        _carbon,
        _carbon_why,
        applies=yields_tokens,
        order=275,
        interval="wall_energy",
    ),
)
