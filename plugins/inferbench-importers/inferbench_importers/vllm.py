"""Results of `vllm bench serve`: one JSON object per run, or several appended."""

from __future__ import annotations

from pathlib import Path

import inferbench as ib
from inferbench_importers.bench import bench
from inferbench_importers.record import Row, gather, has, lacks, objects

__all__ = ["IMPORTER"]


def _sniff(path: Path, text: str) -> str:
    foreign = has(text, "sharegpt_output_len", "random_range_ratio", "mean_e2e_latency_ms")
    if foreign:
        return f'"{foreign}" is SGLang\'s'
    if has(text, "steady_state_energy", "steady_state_duration"):
        return "ML.ENERGY's steady state"
    return lacks(
        text, "num_prompts", ("model_id", "tokenizer_id"), "completed", ("request_throughput", "duration")
    )


def _build(row: Row) -> ib.Measurement:
    version = row.text("version", "vllm_version")
    # `backend` names the client's protocol: `openai` says nothing about the server behind it.
    backend = str(row.values.get("backend") or row.values.get("endpoint_type") or "vllm")
    name = {"vllm": "vLLM", "sglang": "SGLang", "tensorrt-llm": "TensorRT-LLM"}.get(backend.lower(), "")
    software = f"{name}-{version}" if version and name else name
    fields = {"software": software, "network": row.text("model_id")}
    return bench(row, "e2el", fields, "spec_decode_acceptance_length")


def _read(path: Path) -> list[ib.Measurement]:
    found = objects(path)
    return gather(path, found, _build, "run" if len(found) > 1 else "")


IMPORTER = ib.Importer("vllm", "vLLM bench serve JSON", _sniff, _read)
