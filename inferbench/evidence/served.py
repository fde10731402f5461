"""A measured server under load as a plan and requests to replay."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from inferbench.discovery.registry import Registry
from inferbench.evidence.matching import Situation
from inferbench.records.choice import Choice
from inferbench.records.network import Network
from inferbench.records.system import System
from inferbench.serving.engine import Rules
from inferbench.serving.replica import Question
from inferbench.serving.requests import Lengths, Requests, at_a_rate, in_a_loop
from inferbench.serving.schedulers import rules_of
from inferbench.serving.simulate import Plan, layout_for
from inferbench.serving.steady_state import Traffic

__all__ = ["NOTHING", "load_of", "plan_for", "rules_told", "serves"]

# Requests of a loop that are replayed where a source doesn't say how many there were: ten times the users, as
# benchmarks send, but no more than a replay takes seconds for.
ROUNDS, FEWEST, MOST = 10, 40, 2560
NOTHING: Mapping[str, object] = MappingProxyType({})


def serves(network: Network | None, registry: Registry) -> bool:
    """Whether a network has prompts and tokens to serve."""
    if network is None:
        return False
    workload = registry.workload(network.type)
    return workload.of_role("prompt") is not None and workload.of_role("token") is not None


def plan_for(
    s: Situation,
    load: Requests,
    registry: Registry,
    software: str = "",
    told: Mapping[str, object] = NOTHING,
) -> Plan:
    """Return what is replayed: the measured system under its engine's own rules, and those that it was told.

    Args:
        s: What the measurement is of.
        load: Its requests.
        registry: Of plugins.
        software: That ran: it schedules, whatever stack stands for its kernels.
        told: Its server's settings, by their names in `SETTINGS`.

    Raises:
        InferBenchError: No layout holds one request.
    """
    assert s.network is not None
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
    return Plan(
        asked=asked,
        choice=Choice.of(s.stack, s.system.chip.name),
        system=System(s.system.chip, s.system.count),
        layout=attrs.evolve(whole, dp=whole.sharing),
        copies=whole.replicas,
        rules=rules_of(
            s.stack,
            rules_told(told),
            chunk=_number(told, "step_tokens"),
            software=software,
            longest=load.longest,
            registry=registry,
        ),
    )


def rules_told(told: Mapping[str, object]) -> Rules:
    """Rules of a server's settings, where a measurement says them.

    Args:
        told: By their names in `SETTINGS`; what is not there stays as engines have it.

    Example:
        >>> rules_told({"wait_steps": 40.0, "wait_share": 0.8}).wait
        40
    """
    usual = Rules()
    return Rules(
        wait=int(_number(told, "wait_steps") or usual.wait),
        enough=_number(told, "wait_share") or usual.enough,
        poll=int(_number(told, "poll_steps") or usual.poll),
        compiled=(_number(told, "computed_batch") or 0.0, _number(told, "computed_positions") or 0.0),
    )


def _number(told: Mapping[str, object], name: str) -> float | None:
    value = told.get(name)
    return float(value) if isinstance(value, int | float) and value > 0 else None


def load_of(axes: Mapping[str, Any]) -> Requests:
    """Requests of the lengths that a source gives; where it gives means, lengths are drawn around them.

    Args:
        axes: `context` and `output` in tokens, `concurrency` or `request_rate`, `requests` where known.

    Example:
        >>> found = load_of({"context": 100.0, "output": 20.0, "concurrency": 8.0})
        >>> len(found), found.users
        (80, 8)
    """
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
