"""llama-bench as JSON, JSON lines or CSV: nanoseconds of a whole test, one sequence."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import inferbench as ib
from inferbench_importers.record import NANO, Row, gather, lacks, objects

__all__ = ["IMPORTER"]

NEEDED = ("n_prompt", "n_gen", "avg_ns")
# Quantised caches of llama.cpp: 32 elements share a scale of 16 bits (and a minimum, in q4_1 and q5_1).
CACHES = {"q8_0": "q8.5", "q4_0": "q4.5", "q4_1": "q5", "q5_0": "q5.5", "q5_1": "q6", "f32": "fp32"}


def _sniff(path: Path, text: str) -> str:
    if _is_table(text):
        return ""
    if text.lstrip()[:1] in ("{", "["):
        return lacks(text, *NEEDED)
    header = next(csv.reader([text.split("\n", 1)[0]]), [])
    absent = [name for name in NEEDED if name not in header]
    return f"no column '{absent[0]}' in its first line" if absent else ""


def _build(row: Row) -> ib.Measurement:
    prompt, output = row.number("n_prompt"), row.number("n_gen")
    depth = row.number("n_depth")
    past = 0.0 if math.isnan(depth) else depth
    seconds = row.positive("avg_ns", unit=NANO)
    rate = row.positive("avg_ts")
    _same_unit(row, (prompt + output) / seconds, rate)
    chip, chips, caveats = _chip(row)
    times: dict[str, Any]
    if output == 0:
        times = {"phase": "prefill", "latency_s": seconds, "ttft_s": seconds}
        axes = {"context": prompt}
        if past:
            caveats.append(f"a prompt after {past:g} tokens that are held already")
    elif prompt == 0:
        # Positions held grow by one per token: over n tokens the mean is the depth and half of n.
        step = seconds / output
        times = {"phase": "decode", "latency_s": step, "tpot_s": step, "tokens_per_s": rate}
        axes = {"context": past + output / 2.0}
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
    """Format of the weights: the mean width of the file, where its size and parameters are known.

    `model_type` reads `llama 8B Q4_K - Medium`: a mixture whose name says none of its widths.
    """
    words = str(row.values.get("model_type") or "").split()
    named = " ".join(words[2:])
    bits = 8.0 * row.positive("model_size") / row.positive("model_n_params")
    for key in ("model_size", "model_n_params"):
        row.used.discard(key)
    whole = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}.get(named.upper(), "")
    if whole or math.isnan(bits) or not 1.0 <= bits <= 32.0:
        return whole or named
    cache = str(row.values.get("type_k") or "f16").lower()
    width = CACHES.get(cache, "")
    return f"wq{bits:.2f}a16" + (f"kv{width}" if width else "")


def _chip(row: Row) -> tuple[str, int, list[str]]:
    layers = row.number("n_gpu_layers")
    gpus = [name.strip() for name in row.text("gpu_info").split(",") if name.strip()]
    if not gpus or layers == 0:
        return row.text("cpu_info"), 1, []
    caveats = [f"different GPUs: {', '.join(gpus)}"] if len(set(gpus)) > 1 else []
    return gpus[0], len(gpus), caveats


def _markdown(text: str) -> list[dict[str, Any]]:
    """Rows of the table that llama-bench prints: `| model | size | params | backend | ngl | test | t/s |`."""
    lines = [line.strip().strip("|").split("|") for line in text.splitlines() if line.strip().startswith("|")]
    table = [[cell.strip() for cell in cells] for cells in lines]
    if not table:
        return []
    header = table[0]
    return [
        _of_table(dict(zip(header, cells, strict=True)))
        for cells in table[1:]
        if len(cells) == len(header) and not set("".join(cells)) <= set("-: ")
    ]


def _of_table(cells: Mapping[str, str]) -> dict[str, Any]:
    """A printed row as its JSON would be: `pp512`, `tg128`, `pp512+tg128`, each maybe `@ d4096`."""
    test, _, depth = cells["test"].partition("@")
    counts = {kind: int(number) for kind, number in re.findall(r"(pp|tg)(\d+)", test)}
    rate = float(cells["t/s"].split("±")[0])
    prompt, output = counts.get("pp", 0), counts.get("tg", 0)
    ngl = cells.get("ngl", "")
    return {
        "model_type": cells["model"],
        "model_size": _size(cells.get("size", "")),
        "model_n_params": _size(cells.get("params", "")),
        "backends": cells.get("backend"),
        "gpu_info": cells.get("gpu_info"),
        "cpu_info": cells.get("cpu_info"),
        "n_gpu_layers": float(ngl) if ngl.lstrip("-").isdigit() else None,
        "type_k": cells.get("type_k"),
        "n_prompt": prompt,
        "n_gen": output,
        "n_depth": int(re.sub(r"\D", "", depth) or 0),
        "avg_ns": (prompt + output) / rate * 1e9,
        "avg_ts": rate,
    }


def _size(text: str) -> float | None:
    """A number with its unit: `4.58 GiB`, `8.03 B` of parameters."""
    found = re.fullmatch(r"([\d.]+)\s*(KiB|MiB|GiB|TiB|K|M|B|T)", text)
    if found is None:
        return None
    units = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
    return float(found[1]) * float(units[found[2]])


def _is_table(text: str) -> bool:
    """Whether llama-bench printed it: a Markdown table with a test and tokens per second."""
    head = next((line for line in text.splitlines() if line.strip().startswith("|")), "")
    names = [cell.strip() for cell in head.strip().strip("|").split("|")]
    return {"model", "test", "t/s"} <= set(names)


def _read(path: Path) -> list[ib.Measurement]:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if _is_table(text):
        return gather(path, _markdown(text), _build, "test")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        json = stream.read(1) in ("{", "[")
        stream.seek(0)
        records: list[Mapping[str, Any]] = [] if json else list(csv.DictReader(stream))
    return gather(path, objects(path) if json else records, _build, "test")


IMPORTER = ib.Importer("llama-bench", "llama-bench JSON, JSONL, CSV or Markdown", _sniff, _read)
