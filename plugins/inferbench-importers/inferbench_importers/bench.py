"""What vLLM's and SGLang's serving benchmarks share: summaries in milliseconds beside arrays in seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import inferbench as ib
from inferbench_importers.record import MILLI, NAN, Row, mean, numbers, serving

__all__ = ["bench"]

# Summaries and arrays are rounded and may count other requests; a unit's mistake is a factor of 1000.
SAME = 30.0


def bench(row: Row, latency: str, fields: Mapping[str, Any], accepted: str) -> ib.Measurement:
    """Build the measurement of one run of a serving benchmark.

    Args:
        row: The run's record.
        latency: How the benchmark calls the time of a whole request: `e2el` or `e2e_latency`.
        fields: What the caller knows: `software`, `network`.
        accepted: Field with the mean number of tokens accepted per step of speculative decoding.

    Raises:
        InferBenchError: Summaries and arrays disagree by a unit, or a time is zero.
    """
    done = row.number("completed")
    if not done >= 1:
        raise row.fault("completed", "no request was completed", "remove the run")
    prompt, output = row.positive("total_input_tokens"), row.positive("total_output_tokens")
    statistic, times = _times(row, latency, output / done)
    row.values = {**row.values, "requests": done}
    _same_unit(row, "ttfts", times["ttft_s"])
    return serving(
        row,
        **fields,
        **times,
        statistic=statistic,
        tokens_per_s=row.positive("output_throughput"),
        axes=_axes(row, prompt / done, output / done),
        conditions={ib.Condition.SPECULATIVE} if row.number(accepted) > 1.0 or row.get("speculative") else (),
        caveats=tuple(_caveats(row, accepted, done)),
    )


def _times(row: Row, latency: str, output: float) -> tuple[str, dict[str, float]]:
    statistic = (
        "mean" if row.get(f"mean_{latency}_ms", "mean_ttft_ms", "mean_tpot_ms") is not None else "median"
    )

    def time(name: str) -> float:
        return row.positive(f"{statistic}_{name}_ms", unit=MILLI)

    # One token per request: the benchmark writes a zero for the time between tokens that were none.
    if output <= 1.0:
        row.get(f"{statistic}_tpot_ms")
    times = {
        "latency_s": time(latency),
        "ttft_s": time("ttft"),
        "tpot_s": NAN if output <= 1.0 else time("tpot"),
    }
    return statistic, times


def _same_unit(row: Row, key: str, summary: float) -> None:
    """Arrays are in seconds: a summary that is a thousand times off was written in another unit."""
    measured = mean(value for value in numbers(row.values.get(key)) if value > 0.0)
    if math.isnan(measured) or math.isnan(summary):
        return
    if not 1.0 / SAME < summary / measured < SAME:
        raise row.fault(
            key,
            f"the array's mean is {measured:.4g} s, the summary says {summary:.4g} s: one is in another unit",
            "arrays are in seconds and summaries in milliseconds",
        )


def _axes(row: Row, prompt: float, output: float) -> dict[str, float]:
    axes = {"context": prompt, "output": output}
    concurrency, done = row.number("max_concurrency"), row.number("completed")
    # "inf": every request is sent at once, no rate at all.
    if row.text("request_rate").lower() not in ("", "inf", "infinity"):
        axes["request_rate"] = row.number("request_rate")
    elif math.isnan(concurrency) and row.values.get("request_rate") is not None:
        concurrency = done
    if not math.isnan(concurrency):
        axes["concurrency"] = min(concurrency, done)
    return {name: value for name, value in axes.items() if not math.isnan(value)}


def _caveats(row: Row, accepted: str, done: float) -> list[str]:
    caveats = []
    length = row.number(accepted)
    if not math.isnan(length) and length > 1.0:
        caveats.append(
            f"speculative decoding: {length:.3g} tokens accepted per step; a time per token is not a step"
        )
    failed = row.number("failed")
    if failed > 0:
        caveats.append(f"failed requests: {failed:g} beside {done:g} completed")
    return caveats
