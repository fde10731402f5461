"""Figures of servers under load beside a replay of their requests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import attrs

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import Situation
from inferbench.evidence.served import NOTHING, load_of, plan_for, serves
from inferbench.records.choice import CALIBRATED, GRADES
from inferbench.records.measurement import SETTINGS
from inferbench.serving.simulate import Simulated, simulate
from inferbench.specs.figures import Target

__all__ = ["Served", "serve", "serves"]

TIMES = {"ttft_s": "ttft_s", "tpot_s": "tpot_s", "latency_s": "e2e_s"}


@attrs.frozen
class Served:
    """One predicted figure with its interval, and whether loops like this one were fitted."""

    value: float
    low: float
    high: float
    inside: bool = False


def serve(
    s: Situation,
    target: Target,
    statistic: str,
    registry: Registry,
    software: str = "",
    intervals: bool = True,
    told: Mapping[str, object] = NOTHING,
) -> Served:
    """Predict a figure by a replay.

    Args:
        s: What the measurement is of.
        target: Its figure; its axes are lengths and load.
        statistic: Of times, `mean` or a percentile.
        registry: Of plugins.
        software: That ran: it schedules, whatever stack stands for its kernels.
        intervals: Whether to replay for the ends of the interval too; else they are NaN.
        told: Settings of its server, as `plan_for` reads them.

    Raises:
        InferBenchError: As `simulate`.
    """
    axes = tuple(sorted(target.axes.items()))
    settings = tuple((name, told[name]) for name in SETTINGS if name in told)
    found = _replayed((s.key, software, settings), _Box((s, registry)), axes, intervals)
    inside = s.stack.domain.loaded and target.metric == "tpot_s" and found.name == GRADES[CALIBRATED]
    if target.metric == "tokens_per_s":
        return Served(found.found.tokens_per_s, *found.between("tokens_per_s"))
    name = {"mean": "mean", "median": "p50"}.get(statistic, statistic)
    time = TIMES[target.metric]
    if name not in found.found.times[time]:
        raise InferBenchError.at("replay", f"it knows no {statistic} of times")
    value = found.found.times[time][name]
    return Served(value, *found.interval(time, name), inside)


class _Box:
    """What a replay needs beside its key; equal to any other, so that results are kept by the key."""

    def __init__(self, content: tuple[Situation, Registry]) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Box)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=64)
def _replayed(key: object, box: _Box, axes: tuple[tuple[str, float], ...], intervals: bool) -> Simulated:
    s, registry = box.content
    assert isinstance(key, tuple)
    load = load_of(dict(axes))
    return simulate(plan_for(s, load, registry, str(key[1]), dict(key[2])), load, intervals=intervals)
