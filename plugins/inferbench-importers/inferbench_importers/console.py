"""What the serving benchmarks of vLLM and SGLang print: a block between lines of equals signs."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import inferbench as ib
from inferbench_importers.record import MILLI, NAN, Row, gather

__all__ = ["IMPORTER"]

_HEAD = re.compile(r"=+ *Serving Benchmark Result *=+")
_LINE = re.compile(r"^\s*([A-Za-z][^:\n]*?):\s+(\S+)\s*$", re.MULTILINE)
# What lines are called, newer spellings behind older ones; SGLang adds its backend and the whole latency.
DONE = ("successful requests",)
USERS = ("maximum request concurrency", "max request concurrency")
RATE = ("traffic request rate", "request rate configured (rps)")
PROMPTS = ("total input tokens",)
ANSWERS = ("total generated tokens",)
OUTPUT = ("output token throughput (tok/s)",)
BACKEND = ("backend",)
SOFTWARE = {"vllm": "vLLM", "sglang": "SGLang", "trt": "TensorRT-LLM", "tensorrt-llm": "TensorRT-LLM"}


def _sniff(path: Path, text: str) -> str:
    if not _HEAD.search(text):
        return "no line '==== Serving Benchmark Result ===='"
    return "" if re.search(r"Mean TTFT \(ms\):", text) else "no line 'Mean TTFT (ms):'"


def _blocks(text: str) -> list[dict[str, Any]]:
    """The lines of each block, names in small letters; what stands before a block belongs to it."""
    starts = [found.start() for found in _HEAD.finditer(text)]
    ends = [*starts[1:], len(text)]
    return [
        {name.strip().lower(): value for name, value in _LINE.findall(text[low:high])}
        for low, high in zip(starts, ends, strict=True)
    ]


def _build(row: Row) -> ib.Measurement:
    done = row.number(*DONE)
    if not done >= 1:
        raise row.fault(DONE[0], "no request was successful", "remove the block")
    users, rate = row.number(*USERS), row.text(*RATE).lower()
    axes = {"context": row.positive(*PROMPTS) / done, "output": row.positive(*ANSWERS) / done}
    if rate not in ("", "inf", "infinity"):
        axes["request_rate"] = row.number(*RATE)
    elif math.isnan(users) and rate:
        users = done
    if not math.isnan(users):
        axes["concurrency"] = min(users, done)
    backend = row.text(*BACKEND).lower()
    failed = row.number("failed requests")
    accepted = row.number("accept length", "acceptance length")
    return ib.Measurement(
        source=row.where,
        chip="",
        software=SOFTWARE.get(backend.partition("-")[0], ""),
        phase="generate",
        axes={name: value for name, value in axes.items() if not math.isnan(value)},
        latency_s=row.positive("mean e2e latency (ms)", "mean e2el (ms)", unit=MILLI),
        ttft_s=row.positive("mean ttft (ms)", unit=MILLI),
        tpot_s=NAN if axes["output"] <= 1.0 else row.positive("mean tpot (ms)", unit=MILLI),
        tokens_per_s=row.positive(*OUTPUT),
        queueing=True,
        conditions={ib.Condition.SPECULATIVE} if accepted > 1.0 else (),
        caveats=(f"failed requests: {failed:g} beside {done:g} completed",) if failed > 0 else (),
        extra={**row.extra(), "requests": done},
    )


def _read(path: Path) -> list[ib.Measurement]:
    blocks = _blocks(path.read_text(encoding="utf-8-sig", errors="replace"))
    return gather(path, blocks, _build, "block" if len(blocks) > 1 else "")


IMPORTER = ib.Importer("console", "block that vLLM's and SGLang's benchmarks print", _sniff, _read)
