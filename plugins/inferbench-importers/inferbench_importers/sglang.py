"""Results of SGLang's `bench_serving`: one JSON object per line."""

from __future__ import annotations

from pathlib import Path

import inferbench as ib
from inferbench_importers.bench import bench
from inferbench_importers.record import Row, gather, has, lacks, objects

__all__ = ["IMPORTER"]


def _sniff(path: Path, text: str) -> str:
    missing = lacks(text, "completed", "request_throughput")
    if missing:
        return missing
    if not has(text, "sharegpt_output_len", "random_range_ratio", "mean_e2e_latency_ms"):
        return 'none of the keys "sharegpt_output_len", "random_range_ratio", "mean_e2e_latency_ms"'
    return ""


def _build(row: Row) -> ib.Measurement:
    network = row.text("model_id", "model", "model_path", "served_model_name")
    version = row.text("version", "sglang_version")
    backend = row.text("backend") or "sglang"
    name = "SGLang" if "sglang" in backend.lower() else backend
    fields = {"software": f"{name}-{version}" if version else name, "network": network}
    return bench(row, "e2e_latency", fields, "accept_length")


def _read(path: Path) -> list[ib.Measurement]:
    return gather(path, objects(path), _build, "line")


IMPORTER = ib.Importer("sglang", "SGLang bench_serving JSONL", _sniff, _read)
