"""Points of a frontier replayed: what requests that come at random meet there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.records.choice import Choice
from inferbench.records.system import Layout, System
from inferbench.serving.engine import Rules
from inferbench.serving.frontier import Frontier
from inferbench.serving.outcome import Outcome
from inferbench.serving.replica import Question
from inferbench.serving.requests import Lengths, Requests, at_a_rate
from inferbench.serving.schedulers import rules_of, scheduler_of
from inferbench.serving.simulate import Plan, Simulated, simulate, times_of

__all__ = ["best_replayed", "plan_of", "simulated", "within"]

# Requests of one replay, and points that are tried before a limit is said to be out of reach.
FEW, TRIES = 200, 40


def plan_of(asked: Question, system: System, point: Mapping[str, Any]) -> Plan:
    """The plan that a point of a frontier stands for.

    Args:
        asked: What the frontier was asked.
        system: Its chips.
        point: One of its points: column to value.
    """
    policy = "interleaved" if point["policy"] == "interleaved" else "chunked"
    chunk = float(point["chunk"])
    size = asked.traffic.prompt if math.isnan(chunk) else chunk
    asked_for = float(point["batch"]), asked.traffic.prompt + asked.traffic.output
    compiled = scheduler_of(asked.stack, asked.registry).compiled
    whole = Rules(compiled=asked_for) if compiled else Rules()
    rules = rules_of(asked.stack, whole, policy, size, registry=asked.registry)
    prompts = None
    if point["policy"] == "disaggregated":
        prompts = int(point["prompt_replicas"]), Layout.parse(str(point["prompt_layout"]))
    return Plan(
        asked=attrs.evolve(asked, precisions=(str(point["precision"]),), beside=()),
        choice=Choice.of(asked.stack, system.chip.name),
        system=system,
        layout=Layout.parse(str(point["layout"])),
        copies=int(point["replicas"]),
        prompts=prompts,
        rules=rules,
        reserve=0.0,
    )


def _load(asked: Question, rate: float) -> Requests:
    lengths = Lengths("fixed", asked.traffic.prompt), Lengths("fixed", asked.traffic.output)
    return attrs.evolve(at_a_rate(rate, FEW, *lengths), drawn=False)


def simulated(
    asked: Question, system: System, point: Mapping[str, Any], limits: tuple[float, float], rate: float
) -> Simulated:
    """Replay a point under a load, with intervals where it is within the limits; of many copies that share
    nothing, a few stand for all.

    Args:
        asked: What the frontier was asked.
        system: Its chips.
        point: One of its points.
        limits: Longest time per token and to the first token, seconds.
        rate: Requests per second at random, of the whole system.
    """
    plan = attrs.evolve(plan_of(asked, system, point), limits=limits)
    prompts = plan.prompts[0] if plan.prompts else plan.copies
    alike = math.gcd(plan.copies, prompts)
    few = attrs.evolve(
        plan,
        copies=plan.copies // alike,
        prompts=(prompts // alike, plan.prompts[1]) if plan.prompts else None,
    )
    load = _load(asked, rate / alike)
    seen = simulate(few, load, intervals=False, sustained=False)
    return simulate(few, load, sustained=False) if within(seen.found, limits) else seen


def within(found: Outcome, limits: tuple[float, float]) -> bool:
    """Whether mean times are within limits.

    Args:
        found: Of a replay.
        limits: Longest time per token and to the first token, seconds.
    """
    times = found.times
    return times["tpot_s"]["mean"] <= limits[0] and times["ttft_s"]["mean"] <= limits[1]


def best_replayed(
    asked: Question, system: System, found: Frontier, limits: tuple[float, float]
) -> int | None:
    """Index of the point of highest throughput whose mean times are within both limits, first tokens as a
    replay has them.

    Points that the closed formulas see beyond a limit are not replayed.

    Args:
        asked: What the frontier was asked.
        system: Its chips.
        found: The frontier.
        limits: Longest time per token and to the first token, seconds; infinity for none.
    """
    points = found.points
    good = np.flatnonzero((points.tpot_s <= limits[0]) & (points.ttft_s <= limits[1]))
    order = good[np.argsort(-points.tokens_per_s_per_chip[good], kind="stable")]
    if math.isinf(limits[1]) or not len(order):
        return int(order[0]) if len(order) else None
    for i in order[:TRIES]:
        point = points.at(int(i))
        rate = float(point["requests_per_s"])
        try:
            times = times_of(plan_of(asked, system, point), _load(asked, rate))
        except InferBenchError:
            continue
        if times["ttft_s"]["mean"] <= limits[1]:
            return int(i)
    return None
