"""llama-bench as JSON, JSON lines or CSV: nanoseconds of a whole test, one sequence."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import inferbench as ib
from inferbench_importers.record import NANO, Row, gather, lacks, objects

__all__ = ["IMPORTER"]

NEEDED = ("n_prompt", "n_gen", "avg_ns")


def _sniff(path: Path, text: str) -> str:
    if text.lstrip()[:1] in ("{", "["):
        return lacks(text, *NEEDED)
    header = next(csv.reader([text.split("\n", 1)[0]]), [])
    absent = [name for name in NEEDED if name not in header]
    return f"no column '{absent[0]}' in its first line" if absent else ""


def _build(row: Row) -> ib.Measurement:
    prompt, output = row.number("n_prompt"), row.number("n_gen")
    depth = row.number("n_depth")
    held = 0.0 if math.isnan(depth) else depth
    seconds = row.positive("avg_ns", unit=NANO)
    rate = row.positive("avg_ts")
    _same_unit(row, (prompt + output) / seconds, rate)
    chip, chips, caveats = _chip(row)
    times: dict[str, Any]
    if output == 0:
        times = {"phase": "prefill", "latency_s": seconds, "ttft_s": seconds}
        axes = {"context": prompt}
        if held:
            caveats.append(f"a prompt after {held:g} tokens that are held already")
    elif prompt == 0:
        # Positions held grow by one per token: over n tokens the mean is the depth and half of n.
        step = seconds / output
        times = {"phase": "decode", "latency_s": step, "tpot_s": step, "tokens_per_s": rate}
        axes = {"context": held + output / 2.0}
    else:
        times = {"phase": "generate", "latency_s": seconds, "tokens_per_s": output / seconds}
        axes = {"context": prompt, "output": output}
    build = row.text("build_commit")
    return ib.Measurement(
        source=row.where,
        chip=chip,
        chips=chips,
        software=f"llama.cpp-{build}" if build else "llama.cpp",
        network=row.text("model_type", "model_filename"),
        precision=_precision(row),
        axes={"batch": 1.0, **axes},
        **times,
        caveats=tuple(caveats),
        extra=row.extra(),
    )


def _same_unit(row: Row, computed: float, rate: float) -> None:
    if not math.isnan(rate) and not 0.5 < computed / rate < 2.0:
        raise row.fault(
            "avg_ns",
            f"{computed:.4g} tokens/s follow from it, avg_ts says {rate:.4g}",
            "avg_ns is of the whole test, in nanoseconds",
        )


def _precision(row: Row) -> str:
    # model_type reads `llama 8B Q4_K - Medium`: the format of the weights is its last part.
    words = str(row.values.get("model_type") or "").split()
    return " ".join(words[2:])


def _chip(row: Row) -> tuple[str, int, list[str]]:
    layers = row.number("n_gpu_layers")
    gpus = [name.strip() for name in row.text("gpu_info").split(",") if name.strip()]
    if not gpus or layers == 0:
        return row.text("cpu_info"), 1, []
    caveats = [f"different GPUs: {', '.join(gpus)}"] if len(set(gpus)) > 1 else []
    return gpus[0], len(gpus), caveats


def _read(path: Path) -> list[ib.Measurement]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        json = stream.read(1) in ("{", "[")
        stream.seek(0)
        records: list[Mapping[str, Any]] = [] if json else list(csv.DictReader(stream))
    return gather(path, objects(path) if json else records, _build, "test")


IMPORTER = ib.Importer("llama-bench", "llama-bench JSON, JSONL or CSV", _sniff, _read)
