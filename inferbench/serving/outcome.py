"""What a replay yields: means and percentiles of times, rates, goodput, power over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from inferbench.num import Array
from inferbench.serving.engine import Engine
from inferbench.serving.log import Log

__all__ = ["STATISTICS", "TIMES", "Outcome", "outcome"]

STATISTICS = ("mean", "p50", "p90", "p95", "p99")
TIMES = ("ttft_s", "tpot_s", "itl_s", "e2e_s")
BINS = 100


@attrs.frozen(eq=False, kw_only=True)
class Outcome:
    """Figures of one replay; seconds, watts, joules; NaN where not known.

    Attributes:
        times: Name of a time (`TIMES`) to statistic (`STATISTICS`) to seconds. TTFT, TPOT and E2E are of
            requests, TPOT of those with two tokens and more; ITL is of all gaps between two tokens of a
            request.
        duration: From the first arrival to the last token.
        requests_per_s, tokens_per_s: Over that time; output tokens.
        good: Share of the requests that meet the limits.
        joules: Of all replicas, idling ones included.
        power: Mean watts in equal parts of the duration.
        batch: Mean sequences that decode together on a replica, while steps run; `peak` the most.
        share: Of the busy time in which prompts are processed.
        busy: Share of the time in which replicas work.
        hits: Share of the prompts' tokens that were there already.
        preempted: Sequences that lost their blocks and began again.
    """

    times: Mapping[str, Mapping[str, float]]
    duration: float
    requests_per_s: float
    tokens_per_s: float
    good: float
    joules: float
    power: Array
    batch: float
    peak: int
    share: float
    busy: float
    hits: float
    preempted: int

    @property
    def watts(self) -> float:
        """Mean power."""
        return self.joules / self.duration


def outcome(
    log: Log, engines: Sequence[Engine], limits: tuple[float, float] = (math.inf, math.inf)
) -> Outcome:
    """Sum up a replay.

    Args:
        log: What happened.
        engines: The replicas.
        limits: Longest time per token and to the first token, seconds.
    """
    arrival, first, done = (np.array(one) for one in (log.arrival, log.first, log.done))
    tokens = np.array(log.output, dtype=np.float64)
    several = tokens > 1
    gaps = np.where(several, (done - first) / np.maximum(tokens - 1.0, 1.0), np.nan)
    start, end = float(arrival.min()), float(done.max())
    duration = max(end - start, 1e-12)
    good = (first - arrival <= limits[1]) & ((gaps <= limits[0]) | ~several)
    busy = sum(one.busy for one in engines)
    idle = sum(one.table.idle * (duration - one.busy) for one in engines)
    decoding = [one for one in engines if one.rules.policy != "prompts"]
    return Outcome(
        times={
            "ttft_s": _statistics(first - arrival),
            "tpot_s": _statistics(gaps[several]),
            "itl_s": _weighted(log.gaps),
            "e2e_s": _statistics(done - arrival),
        },
        duration=duration,
        requests_per_s=len(done) / duration,
        tokens_per_s=float(tokens.sum()) / duration,
        good=float(good.mean()),
        joules=sum(one.joules for one in engines) + idle,
        power=_power(log, engines, start, duration),
        batch=sum(one.weighted for one in decoding) / max(sum(one.busy for one in decoding), 1e-300),
        peak=max(one.peak for one in engines),
        share=sum(one.read for one in engines) / max(busy, 1e-300),
        busy=busy / (duration * len(engines)),
        hits=sum(log.hit) / sum(log.prompt),
        preempted=log.preempted,
    )


def _statistics(values: Array) -> dict[str, float]:
    if not len(values):
        return dict.fromkeys(STATISTICS, math.nan)
    points = np.percentile(values, [50, 90, 95, 99])
    return dict(zip(STATISTICS, (float(values.mean()), *points.tolist()), strict=True))


def _weighted(gaps: Sequence[tuple[float, int]]) -> dict[str, float]:
    """Statistics of gaps that come so many times each."""
    if not gaps:
        return dict.fromkeys(STATISTICS, math.nan)
    values, counts = (np.array(column, dtype=np.float64) for column in zip(*gaps, strict=True))
    order = np.argsort(values)
    values, counts = values[order], counts[order]
    reached = np.cumsum(counts) / counts.sum()
    points = [
        float(values[min(int(np.searchsorted(reached, q)), len(values) - 1)]) for q in (0.5, 0.9, 0.95, 0.99)
    ]
    return dict(zip(STATISTICS, (float((values * counts).sum() / counts.sum()), *points), strict=True))


def _power(log: Log, engines: Sequence[Engine], start: float, duration: float) -> Array:
    """Mean watts in equal parts of the time: what steps take beyond idling, and the idling of all."""
    idle = sum(one.table.idle for one in engines)
    if not log.steps or math.isnan(idle):
        return np.full(BINS, np.nan)
    began, seconds, watts = (np.array(column) for column in zip(*log.steps, strict=True))
    more = watts - idle / len(engines)
    edges = start + duration * np.arange(BINS + 1) / BINS
    # Joules until a time are piecewise linear: over steps, their power times what has passed of them.
    times = np.concatenate([began, began + seconds])
    slopes = np.concatenate([more, -more])
    order = np.argsort(times, kind="stable")
    times, rate = times[order], np.cumsum(slopes[order])
    joules = np.concatenate([[0.0], np.cumsum(rate[:-1] * np.diff(times))])
    found: Array = np.diff(np.interp(edges, times, joules)) / (duration / BINS) + idle
    return found
