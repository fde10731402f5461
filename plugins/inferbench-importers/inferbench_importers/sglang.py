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
    row = _with_server(row)
    network = row.text("model_id", "model", "model_path", "served_model_name")
    version = row.text("version", "sglang_version")
    backend = row.text("backend") or "sglang"
    name = "SGLang" if "sglang" in backend.lower() else backend
    fields = {"software": f"{name}-{version}" if version else name, "network": network}
    return bench(row, "e2e_latency", fields, "accept_length")


# What the server says of itself under `server_info`, and what we call it.
SERVER = {
    "model_path": "model_path",
    "tp_size": "tp",
    "pp_size": "pp",
    "ep_size": "ep",
    "dp_size": "dp",
    "dtype": "dtype",
    "quantization": "quantization",
    "version": "sglang_version",
}
OFF = ("", "none", "null", "false", "auto")


def _with_server(row: Row) -> Row:
    """The record with what its server says of itself, where the record doesn't say it."""
    server = row.values.get("server_info")
    if not isinstance(server, dict):
        return row
    told = {
        ours: server[theirs] for theirs, ours in SERVER.items() if str(server.get(theirs)).lower() not in OFF
    }
    cache = str(server.get("kv_cache_dtype") or "auto")
    if cache.lower() not in OFF:
        told["kv_dtype"] = cache
    if str(server.get("speculative_algorithm")).lower() not in OFF:
        told["speculative"] = server["speculative_algorithm"]
    rest = {name: value for name, value in row.values.items() if name != "server_info"}
    given = {name: value for name, value in rest.items() if value is not None}
    return Row({**rest, **told, **given}, row.where)


def _read(path: Path) -> list[ib.Measurement]:
    return gather(path, objects(path), _build, "line")


IMPORTER = ib.Importer("sglang", "SGLang bench_serving JSONL", _sniff, _read)
