"""Score the replay of all prompts offered at once on TensorRT-LLM's published tables.

python tools/score_throughput.py            a line per group, and one per row below

How the benchmark ran is as its page and its program say (NVIDIA/TensorRT-LLM, perf-overview.md and
tensorrt_llm/bench/build/tuning.py): how many requests, and how the largest batch and the most tokens of a
step follow from memory, weights and lengths.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np

import inferbench as ib
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import Situation, read_rows, situate
from inferbench.evidence.served import load_of, plan_for
from inferbench.records.measurement import Measurement
from inferbench.serving.simulate import simulate

TABLE = "nvidia_multichip"
# Requests by prompt and answer, all of them queued at the beginning.
REQUESTS = {
    (1024, 1024): 3000,
    (1024, 8192): 1500,
    (8192, 1024): 1500,
    (1024, 32768): 1000,
    (32768, 1024): 1000,
}
# Bytes per weight as trtllm-bench counts them, those of any other format, and its share for caches.
WEIGHTS, OTHER, SHARE = {"fp8": 1.0, "nvfp4": 0.5}, 2.0, 0.95
# Formats of its checkpoints: 8-bit and 4-bit ones bring a cache in fp8.
FORMATS = {"nvfp4": "nvfp4", "fp8": "fp8", "mxfp4": "mxfp4"}


@attrs.frozen
class Seen:
    """One row: what it is of, its lengths, and measured and predicted output tokens per second."""

    chip: str
    network: str
    precision: str
    lengths: tuple[float, float]
    measured: float
    predicted: float
    stack: str
    batch: float


def rows(registry: Registry) -> Iterator[Measurement]:
    """Rows of throughput with every request queued, as closed loops of as many users as requests."""
    with tempfile.TemporaryDirectory() as folder:
        for m in read_rows(registry.get("tables", TABLE).write(Path(folder)), registry):
            if not (m.queueing and m.tokens_per_s > 0.0 and "concurrency" not in m.axes):
                continue  # a closed loop, or no rate
            name = m.precision.split()[0]
            many = float(REQUESTS[int(m.axes["context"]), int(m.axes["output"])])
            axes = {**m.axes, "concurrency": many, "requests": many}
            extra = {**m.extra, "kv_dtype": m.extra.get("kv_precision", "")}
            yield attrs.evolve(m, axes=axes, extra=extra, precision=FORMATS[name])


def settings(s: Situation, prompt: float, output: float) -> tuple[float, float]:
    """Largest batch and most tokens of a step that trtllm-bench gives its engine."""
    assert s.network is not None
    p, tp, name = s.network.params, s.system.count, s.precision
    cache = 1.0 if "kv8" in name or name == "fp8" else 2.0
    token = 2.0 * p.num_hidden_layers * max(tp, p.num_key_value_heads) * p.head_dim * cache
    weights = s.network.published.parameters * WEIGHTS.get(name.removesuffix("kv8"), OTHER)
    free = SHARE * (tp * s.system.chip.memory[s.system.chip.main].capacity - weights)
    batch = min(free / (token * (prompt + output)), 4096.0)
    tokens = min(batch * (1.0 + prompt / output), 32768.0)
    by = 32 if batch < 256 else 128 if batch < 1024 else 256
    to = 256 if tokens < 4096 else 512 if tokens < 8192 else 1024
    return max(64.0, by * math.ceil(batch / by)), max(2048.0, to * math.ceil(tokens / to))


def score(m: Measurement, registry: Registry) -> Seen | None:
    """Replay a row; None where it can't be said or doesn't fit."""
    s = situate(m, registry)
    if not isinstance(s, Situation) or s.network is None:
        return None
    load = load_of(m.axes)
    most, chunk = settings(s, m.axes["context"], m.axes["output"])
    try:
        plan = plan_for(s, load, registry, m.software)
        rules = attrs.evolve(plan.rules, most=most, chunk=chunk, joint=True)
        found = simulate(attrs.evolve(plan, rules=rules), load).found
    except InferBenchError as error:
        print(error.faults[0].found, file=sys.stderr)
        return None
    return Seen(
        s.system.chip.name,
        s.network.name,
        s.precision,
        (m.axes["context"], m.axes["output"]),
        m.tokens_per_s,
        found.tokens_per_s,
        s.stack.name,
        found.batch,
    )


def main() -> None:
    """Print the table of docs/results/serving.md, and each row."""
    registry = ib.installed()
    seen = [one for m in rows(registry) if (one := score(m, registry)) is not None]
    groups: dict[tuple[bool, str, str], list[Seen]] = {}
    for one in seen:
        groups.setdefault(("b200" in one.chip, one.network, one.precision), []).append(one)
    print("| system, network | n | MAPE % | bias % |\n|---|---|---|---|")
    for (new, network, precision), some in sorted(groups.items()):
        errors = np.array([one.predicted / one.measured - 1.0 for one in some])
        where = "B200 and GB200" if new else "H100 and H200"
        mape, bias = 100 * np.abs(errors).mean(), 100 * errors.mean()
        print(f"| {where}, {network}, {precision} | {len(some)} | {mape:.0f} | {bias:+.0f} |")
    for one in seen:
        error = 100.0 * (one.predicted / one.measured - 1.0)
        lengths = "/".join(f"{length:g}" for length in one.lengths)
        print(
            f"{one.chip} {one.network} {one.precision} {lengths} {one.stack} {one.measured:.0f} {error:+.0f}%"
        )


if __name__ == "__main__":
    main()
