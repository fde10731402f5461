"""genai-perf's and aiperf's summaries: one object per metric, each with its own unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import inferbench as ib
from inferbench_importers.record import CHIP, CHIPS, NAN, Row, gather, lacks, objects

__all__ = ["IMPORTER"]

UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "seconds": 1.0,
    "milliseconds": 1e-3,
    "nanoseconds": 1e-9,
    "w": 1.0,
    "kw": 1e3,
}
TIMES = ("request_latency", "time_to_first_token", "inter_token_latency")


def _sniff(path: Path, text: str) -> str:
    missing = lacks(text, "request_throughput", "request_latency", "avg")
    return missing or ('guidellm\'s key "benchmarks"' if '"benchmarks"' in text else "")


def _build(row: Row) -> ib.Measurement:
    flat = {**row.values, **(row.values.get("records") or {})}  # early aiperf nests its metrics
    row = Row({key: value for key, value in flat.items() if key != "records"}, row.where)
    statistic = "avg" if any("avg" in _metric(row, name) for name in TIMES) else "p50"
    config = Row(row.get("input_config") or {}, row.where)
    prompt, output = _plain(row, "input_sequence_length"), _plain(row, "output_sequence_length")
    axes = {"context": prompt, "output": output, **_load(config)}
    power = _power(row)
    chips = config.count(*CHIPS, default=power.pop("chips", 1))
    return ib.Measurement(
        source=row.where,
        chip=config.text(*CHIP),
        chips=chips,
        network=_model(config),
        phase="generate",
        axes={name: value for name, value in axes.items() if not math.isnan(value)},
        latency_s=_time(row, "request_latency", statistic),
        ttft_s=_time(row, "time_to_first_token", statistic),
        tpot_s=_time(row, "inter_token_latency", statistic),
        tokens_per_s=_plain(row, "output_token_throughput"),
        **power,
        statistic="mean" if statistic == "avg" else "median",
        queueing=True,
        caveats=tuple(_caveats(row)),
        extra={**row.extra(), "input_config": config.values},
    )


def _metric(row: Row, name: str) -> Mapping[str, Any]:
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def _time(row: Row, name: str, statistic: str) -> float:
    metric = _metric(row, name)
    if not metric:
        return NAN
    unit = UNITS.get(str(metric.get("unit", "")).lower())
    if unit is None:
        raise row.fault(
            f"{name}.unit", f"'{metric.get('unit')}' is no known unit of time", "write ns, us, ms or s"
        )
    return Row(metric, f"{row.where}: {name}").positive(statistic, unit=unit)


def _plain(row: Row, name: str) -> float:
    metric = _metric(row, name)
    return Row(metric, f"{row.where}: {name}").positive("avg", "p50") if metric else NAN


def _load(config: Row) -> dict[str, float]:
    """Requests in flight, and per second where they arrive at a rate."""
    nested = config.values.get("perf_analyzer") or config.values.get("loadgen") or {}
    stimulus = nested.get("stimulus") if isinstance(nested, dict) else None
    found = stimulus if isinstance(stimulus, dict) else nested if isinstance(nested, dict) else {}
    names = ("concurrency", "request_rate")
    row = Row({**{name: config.values.get(name) for name in names}, **found}, config.where)
    return {name: row.number(name) for name in names}


def _model(config: Row) -> str:
    endpoint = config.values.get("endpoint")
    names = config.get("model_names", "model") or (endpoint or {}).get("model_names") or ""
    return ", ".join(map(str, names)) if isinstance(names, list) else str(names)


def _power(row: Row) -> dict[str, Any]:
    """Sum over GPUs where they are told apart; a bare mean could be of one GPU or of all, so it is
    refused.
    """
    telemetry = row.values.get("telemetry_stats")
    metric = telemetry.get("gpu_power_usage") if isinstance(telemetry, dict) else None
    if not isinstance(metric, dict):
        return {}
    each = [Row(one, row.where).positive("avg") for one in metric.values() if isinstance(one, dict)]
    if not each:
        why = "power refused: one mean without its GPUs; it may be of one GPU or of all"
        return {"refused": {"power_w": (NAN, why)}} if "avg" in metric else {}
    unit = UNITS.get(str(metric.get("unit", "W")).lower(), NAN)
    return {"power_w": math.fsum(each) * unit, "chips": len(each), "boundary": "board"}


def _caveats(row: Row) -> list[str]:
    caveats = []
    failed = row.values.get("error_request_count")
    count = failed.get("avg", 0) if isinstance(failed, dict) else failed
    if count:
        caveats.append(f"failed requests: {count:g}")
    if row.get("was_cancelled"):
        caveats.append("cancelled: the run did not end by itself")
    telemetry = row.values.get("telemetry_stats")
    metric = telemetry.get("gpu_power_usage") if isinstance(telemetry, dict) else None
    if isinstance(metric, dict) and "avg" in metric:
        caveats.append("power refused: one mean without its GPUs; it may be of one GPU or of all")
    return caveats


def _read(path: Path) -> list[ib.Measurement]:
    found = objects(path)
    return gather(path, found, _build, "run" if len(found) > 1 else "")


IMPORTER = ib.Importer("aiperf", "genai-perf and aiperf JSON", _sniff, _read)
