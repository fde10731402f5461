"""Score the replay of all prompts offered at once on TensorRT-LLM's published tables.

python tools/score_throughput.py            a line per group, and one per row below
"""

from __future__ import annotations

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
# What TensorRT-LLM's page says of its runs: so many requests, all of them queued at the beginning.
REQUESTS = 1500.0
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
            if not str(m.extra.get("batch_kind", "")).startswith("all requests queued"):
                continue
            name = m.precision.split()[0]
            axes = {**m.axes, "concurrency": REQUESTS, "requests": REQUESTS}
            extra = {**m.extra, "kv_dtype": m.extra.get("kv_precision", "")}
            yield attrs.evolve(
                m, axes=axes, extra=extra, precision=FORMATS[name], phase="generate", queueing=True
            )


def score(m: Measurement, registry: Registry) -> Seen | None:
    """Replay a row; None where it can't be said or doesn't fit."""
    s = situate(m, registry)
    if not isinstance(s, Situation) or s.network is None:
        return None
    load = load_of(m.axes)
    try:
        found = simulate(plan_for(s, load, registry, m.software), load).found
    except InferBenchError as error:
        print(error.faults[0].found, file=sys.stderr)
        return None
    return Seen(
        s.system.chip.name,
        s.network.name,
        s.precision,
        (m.axes["context"], m.axes["output"]),
        float(m.extra["tokens_per_s"]),
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
