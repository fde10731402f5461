"""Figures of servers under load beside a replay of their requests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import attrs

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import Situation
from inferbench.records.choice import Choice
from inferbench.records.network import Network
from inferbench.records.system import System
from inferbench.serving.replica import Question
from inferbench.serving.requests import Lengths, Requests, at_a_rate, in_a_loop
from inferbench.serving.schedulers import rules_of
from inferbench.serving.simulate import Plan, Simulated, layout_for, simulate
from inferbench.serving.steady_state import Traffic
from inferbench.specs.figures import Target

__all__ = ["Served", "serve", "serves"]

# Requests of a loop that are replayed where a source doesn't say how many there were: ten times the users, as
# benchmarks send, but no more than a replay takes seconds for.
ROUNDS, FEWEST, MOST = 10, 40, 2560
TIMES = {"ttft_s": "ttft_s", "tpot_s": "tpot_s", "latency_s": "e2e_s"}


@attrs.frozen
class Served:
    """One predicted figure with its interval."""

    value: float
    low: float
    high: float


def serves(network: Network | None, registry: Registry) -> bool:
    """Whether a network has prompts and tokens to serve."""
    if network is None:
        return False
    workload = registry.workload(network.type)
    return workload.of_role("prompt") is not None and workload.of_role("token") is not None


def serve(s: Situation, target: Target, statistic: str, registry: Registry, software: str = "") -> Served:
    """Predict a figure by a replay.

    Args:
        s: What the measurement is of.
        target: Its figure; its axes are lengths and load.
        statistic: Of times, `mean` or a percentile.
        registry: Of plugins.
        software: That ran: it schedules, whatever stack stands for its kernels.

    Raises:
        InferBenchError: As `simulate`.
    """
    found = _replayed((s.key, software), _Box((s, registry)), tuple(sorted(target.axes.items())))
    if target.metric == "tokens_per_s":
        return Served(found.found.tokens_per_s, *found.between("tokens_per_s"))
    name = {"mean": "mean", "median": "p50"}.get(statistic, statistic)
    time = TIMES[target.metric]
    if name not in found.found.times[time]:
        raise InferBenchError.at("replay", f"it knows no {statistic} of times")
    value = found.found.times[time][name]
    return Served(value, *found.interval(time, name))


class _Box:
    """What a replay needs beside its key; equal to any other, so that results are kept by the key."""

    def __init__(self, content: tuple[Situation, Registry]) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Box)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=64)
def _replayed(key: object, box: _Box, axes: tuple[tuple[str, float], ...]) -> Simulated:
    s, registry = box.content
    assert isinstance(key, tuple)
    assert s.network is not None
    load = _load(dict(axes))
    traffic = Traffic(prompt=float(load.prompt.mean()), output=max(2.0, float(load.output.mean())))
    asked = Question(
        network=s.network,
        traffic=traffic,
        batches=(1.0,),
        precisions=(s.precision,),
        chunks=(),
        stack=s.stack,
        scenario=None,
        registry=registry,
        options=s.options,
    )
    whole = layout_for(asked, s.system, load)
    plan = Plan(
        asked=asked,
        choice=Choice.of(s.stack, s.system.chip.name),
        system=System(s.system.chip, s.system.count),
        layout=attrs.evolve(whole, dp=whole.sharing),
        copies=whole.replicas,
        rules=rules_of(s.stack, software=str(key[1])),
    )
    return simulate(plan, load)


def _load(axes: Mapping[str, Any]) -> Requests:
    """Requests of the lengths that a source gives; where it gives means, lengths are drawn around them."""
    prompt, output = _lengths(axes["context"]), _lengths(axes["output"])
    count = int(axes.get("requests", 0))
    if "request_rate" in axes:
        made = at_a_rate(axes["request_rate"], min(max(count, 200), MOST), prompt, output)
        return attrs.evolve(made, drawn=False)
    users = int(axes["concurrency"])
    many = count or min(max(ROUNDS * users, FEWEST), MOST)
    return in_a_loop(users, max(min(many, max(MOST, 2 * users)), min(users, count or users)), prompt, output)


def _lengths(mean: float) -> Lengths:
    """Equal lengths where a mean is a whole number; else a tenth around it, as random lengths leave it."""
    if math.isclose(mean, round(mean), abs_tol=1e-9):
        return Lengths("fixed", mean)
    return Lengths("uniform", max(1.0, 0.9 * mean), 1.1 * mean)
