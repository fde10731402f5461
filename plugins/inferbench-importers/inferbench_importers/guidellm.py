"""guidellm's `benchmarks.json`: one benchmark per rate; request latency in seconds, the rest in
milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import inferbench as ib
from inferbench_importers.record import CHIP, MILLI, NAN, Row, gather, lacks, objects

__all__ = ["IMPORTER"]


def _sniff(path: Path, text: str) -> str:
    return lacks(text, "benchmarks", ("guidellm_version", "request_latency", "scheduler_metrics", "type_"))


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    for report in objects(path):
        metadata = report.get("metadata")
        for benchmark in report.get("benchmarks") or []:
            yield {"metadata": metadata, "args": report.get("args"), **benchmark}


def _build(row: Row) -> ib.Measurement:
    metrics = row.get("metrics") or {}
    strategy, streams = _strategy(row)
    prompt, output = _mean(row, metrics, "prompt_token_count"), _mean(row, metrics, "output_token_count")
    axes = {
        "context": prompt,
        "output": output,
        **_load(strategy, streams, _mean(row, metrics, "request_concurrency")),
    }
    return ib.Measurement(
        source=row.where,
        chip=row.text(*CHIP),
        network=_model(row),
        phase="generate",
        axes={name: value for name, value in axes.items() if not math.isnan(value)},
        latency_s=_mean(row, metrics, "request_latency"),
        ttft_s=_mean(row, metrics, "time_to_first_token_ms", MILLI),
        # Its time_per_output_token counts the first token's wait; only this one leaves it out.
        tpot_s=_mean(row, metrics, "inter_token_latency_ms", MILLI),
        tokens_per_s=_mean(row, metrics, "output_tokens_per_second"),
        statistic="mean",
        queueing=strategy != "synchronous",
        caveats=tuple(_caveats(metrics)),
        extra={**row.extra(), "metrics": metrics},
    )


def _mean(row: Row, metrics: Mapping[str, Any], name: str, unit: float = 1.0) -> float:
    """The mean over successful requests; those of failed ones would be of other work."""
    split = metrics.get(name)
    part = split.get("successful") if isinstance(split, dict) else None
    if not isinstance(part, dict) or part.get("count") == 0:
        return NAN
    return Row(part, f"{row.where}: {name}.successful").positive("mean", unit=unit)


def _strategy(row: Row) -> tuple[str, float]:
    """How requests are sent, and streams or requests per second; reports from 0.4 on have it in `config`,
    earlier ones in `args`.
    """
    for place in (row.values.get("config"), row.values.get("args")):
        found = place.get("strategy") if isinstance(place, dict) else None
        if isinstance(found, dict):
            inner = Row(found, row.where)
            return inner.text("type_"), inner.number("streams", "max_concurrency", "rate")
        if found:
            return str(found), NAN
    return "", NAN


def _load(strategy: str, streams: float, running: float) -> dict[str, float]:
    """How many requests there are: one, as many as streams, so many a second, or as many as happen to be in
    flight.
    """
    if strategy == "synchronous":
        return {"batch": 1.0, "concurrency": running}
    if strategy == "concurrent":
        return {"concurrency": running if math.isnan(streams) else streams}
    if strategy in ("constant", "poisson", "async") and not math.isnan(streams):
        return {"request_rate": streams, "in_flight": running}
    return {"in_flight": running}


def _model(row: Row) -> str:
    names = ("args", "config", "metadata", "worker")
    places = [place for place in (row.values.get(name) for name in names) if isinstance(place, dict)]
    for place in [*places, *(place.get("backend") for place in places)]:
        found = (place.get("model") or place.get("backend_model")) if isinstance(place, dict) else None
        if isinstance(found, str):
            return found
    return ""


def _caveats(metrics: Mapping[str, Any]) -> list[str]:
    totals = metrics.get("request_totals")
    if not isinstance(totals, dict):
        return []
    lost = {name: totals.get(name) or 0 for name in ("incomplete", "errored")}
    return [f"{name} requests: {count:g}, left out" for name, count in lost.items() if count]


def _read(path: Path) -> list[ib.Measurement]:
    return gather(path, list(_records(path)), _build, "benchmark")


IMPORTER = ib.Importer("guidellm", "guidellm benchmarks.json", _sniff, _read)
