"""Time, throughput and the chain utilization = algorithm x hardware x software."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import inferbench as ib

__all__ = ["METRICS", "useful_rate", "yields_tokens"]


def useful_rate(run: ib.Run) -> Any:
    """Useful operations per second of the whole system."""
    return run.useful / run.seconds


def yields_tokens(run: ib.Run) -> bool:
    """Whether a step yields tokens."""
    return run.item == "token"


def _latency(name: str) -> Callable[[ib.Run], Any]:
    return lambda run: run.seconds if run.latency == name else np.nan


def _not_this(name: str, what: str) -> Callable[[ib.Run], str]:
    return lambda run: "" if run.latency == name else f"{run.phase} has no {what}"


def _per_user(run: ib.Run) -> Any:
    return run.items / (run.batch * run.seconds)


def _tokens_only(run: ib.Run) -> str:
    return "" if run.item == "token" else f"a step of {run.phase} yields {run.item}s, not tokens"


def _tokens(compute: Callable[[ib.Run], Any]) -> Callable[[ib.Run], Any]:
    return lambda run: compute(run) if run.item == "token" else np.nan


def _bandwidth_use(run: ib.Run) -> Any:
    """Compulsory bytes per second over the memory bandwidth that homes them (MBU)."""
    placement = run.chain["placement"]
    homes = set(placement.homes.values()) or {run.system.chip.main}
    bandwidth: Any = sum(run.system.chip.memory[level].bandwidth for level in homes)
    if "spilled" in run.flags:  # the levels are read at the same time
        every = {level for shares in placement.level_shares.values() for level in shares} | homes
        more = sum(run.system.chip.memory[level].bandwidth for level in every - homes)
        bandwidth = bandwidth + np.where(run.flags["spilled"], more, 0.0)
    return run.compulsory / (run.seconds * bandwidth * run.system.count)


METRICS = (
    ib.Metric(
        "ttft_s",
        "time to first token",
        "s",
        "lower",
        _latency("ttft_s"),
        _not_this("ttft_s", "time to first token"),
        applies=lambda run: run.latency == "ttft_s",
        order=10,
        interval="time",
        chain="time",
    ),
    ib.Metric(
        "tpot_s",
        "time per token",
        "s",
        "lower",
        _latency("tpot_s"),
        _not_this("tpot_s", "time per output token"),
        applies=lambda run: run.latency == "tpot_s",
        order=11,
        interval="time",
        chain="time",
    ),
    ib.Metric(
        "latency_s",
        "latency",
        "s",
        "lower",
        lambda run: run.seconds,
        applies=lambda run: run.latency == "latency_s",
        order=12,
        interval="time",
        chain="time",
    ),
    ib.Metric(
        "tokens_per_s_per_user",
        "tokens/s per user",
        "",
        "higher",
        _tokens(_per_user),
        _tokens_only,
        applies=yields_tokens,
        order=20,
        interval="rate",
    ),
    ib.Metric(
        "tokens_per_s_per_chip",
        "tokens/s per chip",
        "",
        "higher",
        _tokens(lambda run: run.items / (run.seconds * run.system.count)),
        _tokens_only,
        applies=yields_tokens,
        order=21,
        interval="rate",
        role="tokens",
    ),
    ib.Metric(
        "items_per_s",
        "items per second",
        "",
        "higher",
        lambda run: run.items / run.seconds,
        applies=lambda run: not yields_tokens(run),
        order=22,
        interval="rate",
        role="items",
    ),
    ib.Metric("ridge_point", "ridge point", "OP/B", "none", lambda run: run.ridge, order=40),
    ib.Metric(
        "arithmetic_intensity",
        "arithmetic intensity",
        "OP/B",
        "none",
        lambda run: run.useful / run.compulsory,
        order=41,
    ),
    ib.Metric(
        "utilization",
        "utilization (MFU)",
        "",
        "higher",
        lambda run: run.useful / (run.peak * run.seconds),
        order=50,
        kind="fraction",
        interval="rate",
        role="utilization",
        chain="time",
    ),
    ib.Metric(
        "algorithm",
        "algorithm",
        "",
        "none",
        lambda run: run.useful / (run.peak * run.roofline),
        order=51,
        kind="fraction",
    ),
    ib.Metric(
        "hardware", "hardware", "", "higher", lambda run: run.roofline / run.model, order=52, kind="fraction"
    ),
    ib.Metric(
        "silicon",
        "hardware: silicon",
        "",
        "higher",
        lambda run: run.roofline / run.silicon,
        order=253,
        kind="fraction",
    ),
    ib.Metric(
        "layout_factor",
        "hardware: layout",
        "",
        "higher",
        lambda run: run.silicon / run.model,
        order=254,
        kind="fraction",
    ),
    ib.Metric(
        "software",
        "software",
        "",
        "higher",
        lambda run: run.model / run.seconds,
        order=55,
        kind="fraction",
        interval="rate",
    ),
    ib.Metric(
        "bandwidth_utilization",
        "bandwidth use (MBU)",
        "",
        "higher",
        _bandwidth_use,
        order=56,
        kind="fraction",
        interval="rate",
    ),
    ib.Metric(
        "overlap",
        "software: overlap left",
        "",
        "none",
        lambda run: run.bound_seconds / run.model,
        order=255,
        kind="fraction",
    ),
    ib.Metric("bound_s", "t_bound", "s", "none", lambda run: run.bound_seconds, order=209),
    ib.Metric("t_roofline_s", "t_roofline", "s", "none", lambda run: run.roofline, order=210),
    ib.Metric("t_model_s", "t_model", "s", "none", lambda run: run.model, order=211),
    ib.Metric(
        "useful_tops",
        "useful TOPS",
        "",
        "higher",
        lambda run: useful_rate(run) / 1e12,
        order=60,
        interval="rate",
        role="useful",
    ),
)
