"""Ownership and rental cost per hour, per million tokens, and the design note's cost efficiency.

Ownership per earning hour = (price x system factor / depreciation + wall watts x PUE x price of energy) /
utilization.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

import inferbench as ib
from inferbench_metrics.energy import wall_watts
from inferbench_metrics.speed import useful_rate, yields_tokens

__all__ = ["METRICS", "cloud", "ownership"]

End = Literal["low", "mid", "high"]


def capital(run: ib.Run, end: End = "mid") -> Any:
    """Write-off of the purchase price per earning hour, US dollars."""
    if run.scenario is None:
        return np.nan
    price = getattr(run.system.chip.price.purchase, end) * run.system.count
    return (
        price * run.scenario.system_factor / (run.scenario.depreciation / 3600.0) / run.scenario.utilization
    )


def electricity(run: ib.Run) -> Any:
    """Electricity with cooling per earning hour, US dollars."""
    if run.scenario is None:
        return np.nan
    return wall_watts(run) * run.scenario.pue / 1000.0 * run.scenario.electricity / run.scenario.utilization


def ownership(run: ib.Run, end: End = "mid") -> Any:
    """Ownership cost of the system per earning hour, US dollars."""
    return capital(run, end) + electricity(run)


def cloud(run: ib.Run, end: End = "mid") -> Any:
    """Rental of the system per hour, US dollars."""
    return getattr(run.system.chip.price.rental, end) * run.system.count


def _own_why(run: ib.Run) -> str:
    chip = run.system.chip
    if run.scenario is None:
        return "needs an economic scenario"
    if np.isnan(chip.price.purchase.mid):
        return f"no purchase price: {chip.missing('price.purchase')}"
    return run.energy.why if np.all(np.isnan(np.asarray(run.energy.watts))) else ""


def _cloud_why(run: ib.Run) -> str:
    chip = run.system.chip
    return f"no rental rate: {chip.missing('price.rental')}" if np.isnan(chip.price.rental.mid) else ""


def _per_mtok(cost: Callable[..., Any], end: End = "mid") -> Callable[[ib.Run], Any]:
    """US dollars per million tokens: dollars per second over tokens per second."""

    def compute(run: ib.Run) -> Any:
        if run.item != "token":
            return np.nan
        return cost(run, end) / 3600.0 * run.seconds / run.items * 1e6

    return compute


def _token(why: Callable[[ib.Run], str]) -> Callable[[ib.Run], str]:
    return lambda run: (
        why(run) or ("" if run.item == "token" else f"a step of {run.phase} yields {run.item}s, not tokens")
    )


METRICS = (
    ib.Metric("usd_per_hour", "ownership, $/h", "", "lower", ownership, _own_why, order=80),
    ib.Metric(
        "usd_per_hour_low",
        "ownership, $/h, low",
        "",
        "lower",
        lambda run: ownership(run, "low"),
        _own_why,
        order=281,
    ),
    ib.Metric(
        "usd_per_hour_high",
        "ownership, $/h, high",
        "",
        "lower",
        lambda run: ownership(run, "high"),
        _own_why,
        order=282,
    ),
    ib.Metric("usd_per_hour_capital", "of it capital, $/h", "", "lower", capital, _own_why, order=283),
    ib.Metric(
        "usd_per_hour_electricity", "of it electricity, $/h", "", "lower", electricity, _own_why, order=284
    ),
    ib.Metric("usd_per_hour_cloud", "rental, $/h", "", "lower", cloud, _cloud_why, order=85),
    ib.Metric(
        "usd_per_mtok",
        "ownership, $/Mtok",
        "",
        "lower",
        _per_mtok(ownership),
        _token(_own_why),
        applies=yields_tokens,
        order=90,
    ),
    ib.Metric(
        "usd_per_mtok_cloud",
        "rental, $/Mtok",
        "",
        "lower",
        _per_mtok(cloud),
        _token(_cloud_why),
        applies=yields_tokens,
        order=91,
    ),
    ib.Metric(
        "usd_per_mtok_cloud_low",
        "rental, $/Mtok, low",
        "",
        "lower",
        _per_mtok(cloud, "low"),
        _token(_cloud_why),
        applies=yields_tokens,
        order=292,
    ),
    ib.Metric(
        "usd_per_mtok_cloud_high",
        "rental, $/Mtok, high",
        "",
        "lower",
        _per_mtok(cloud, "high"),
        _token(_cloud_why),
        applies=yields_tokens,
        order=293,
    ),
    ib.Metric(
        "cost_efficiency",
        "useful TOPS per $/h",
        "",
        "higher",
        lambda run: useful_rate(run) / 1e12 / ownership(run),
        _own_why,
        order=92,
    ),
)
