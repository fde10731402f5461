"""No published figure is faster than the bound, but for those named here with the reason.

Three laws hold for any software. More sequences in flight never lower the bound of a step, nor the rate that
it allows; so with B sequences offered,

- a token takes at least the bound of a step with one sequence;
- tokens per second are at most B over the bound of a step with B sequences, at the shortest context that the
  row allows; where no batch is stated, with as many as fit;
- a prompt takes at least the bound of its processing.

The layout is left free: the least bound of all of a system's layouts counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import inferbench_data
import numpy as np
import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("chips/h200", "chips/mi300x", "networks/deepseek-v3", "chips/gaudi-3")

NETWORKS = {"deepseek-r1": "deepseek-v3", "deepseek-v3/r1": "deepseek-v3"}
PRECISIONS = {
    "fp16/bf16": "bf16",
    "fp16": "bf16",
    "bf16": "bf16",
    "fp8": "fp8",
    "fp4": "mxfp4",
    "mxfp4": "mxfp4",
    "nvfp4": "nvfp4",
    "int8": "int8",
}

# (table, chip, network, figure, batch; "" for any): why the figure refutes nothing.
EXCEPTIONS = {
    ("splitwise_a100", "a100-sxm-80gb", "llama2-70b", "ttft", "64"): "9 times above the peak: not 64 whole"
    " prompts at once, as its neighbours of 32 and 16 prompts show",
}


def name_of(kind: str, text: str) -> str | None:
    """Our name of a published one; None if nothing of that name is installed."""
    known = ib.installed()
    for spelt in (text, text.split("/")[-1]):
        lower = spelt.lower()
        wanted = NETWORKS.get(lower, lower)
        for one in (spelt, wanted, wanted.removesuffix("-hf"), wanted.removesuffix("-instruct")):
            if one in known.entries(kind):
                return one
            alias = known.alias(kind, one)
            if alias in known.entries(kind):
                return str(alias)
    return None


def number(row: Mapping[str, Any], field: str) -> float:
    value = row.get(field)
    return float(value) if isinstance(value, float | int) else math.nan


@cache
def least(
    system: str, network: str, phase: str, precision: str, batch: float, context: float
) -> tuple[float, float]:
    """Seconds of the bound, and items of a step; `batch` 0: as many as fit."""
    run = ib.run(
        system,
        f"{network}/{phase}",
        precision=precision,
        batch=batch or "max",
        context=context,
        ignore_capacity=batch > 0,
        scenario=None,
        stack="ideal",
    )
    seconds, items = (float(np.ravel(run.values(x))[0]) for x in (run.bound_seconds, run.items))
    return seconds, items


class Row:
    """A published row on an installed chip, and what its figures may be at the best."""

    def __init__(self, table: str, row: Mapping[str, Any], chip: str, network: str) -> None:
        self.table, self.row, self.chip, self.network = table, row, chip, network
        count = int(number(row, "n_chips"))
        self.system = f"{count}x{chip}" if count > 1 else chip
        self.kind = str(row.get("batch_kind", ""))
        self.served = (
            number(row, "concurrency") > 0 or "concurrency" in self.kind or row["phase"] == "serving"
        )
        offered = number(row, "concurrency") if number(row, "concurrency") > 0 else number(row, "batch")
        self.offered = math.ceil(offered * (count if "per GPU" in self.kind else 1)) if offered > 0 else 0
        self.prompt, self.output = number(row, "input_len"), number(row, "output_len")
        drawn = 0.8 if number(row, "concurrency") > 0 else 1.0  # lengths from 0.8 to 1 of the nominal
        self.context = float(math.floor(drawn * self.prompt)) if self.prompt > 0 else 128.0

    def step(self, phase: str, batch: float) -> tuple[float, float]:
        precision = PRECISIONS[self.row["precision"]]
        return least(self.system, self.network, phase, precision, float(batch), self.context)

    def ratios(self) -> Iterator[tuple[str, float]]:
        """Yield each figure and how often the bound it is in rate: at most 1."""
        tpot, ttft, latency = (number(self.row, name) for name in ("tpot_s", "ttft_s", "latency_s"))
        if tpot > 0:
            yield "tpot", self.step("decode", 1)[0] / tpot
            if self.offered:
                each = (ttft + (self.output - 1) * tpot) / self.output if ttft > 0 and self.served else tpot
                yield "rate", self.step("decode", self.offered)[0] / each
        if ttft > 0:
            yield "ttft", self.step("prefill", 1 if self.served else max(1, self.offered))[0] / ttft
        whole = self.row["phase"] == "e2e" and "request" not in self.kind
        if whole and latency > 0 and self.offered and self.output > 1:
            steps = (self.output - 1) * self.step("decode", self.offered)[0]
            yield "latency", (self.step("prefill", self.offered)[0] + steps) / latency
        yield from self._rates()

    def _rates(self) -> Iterator[tuple[str, float]]:
        rate, counted = number(self.row, "tokens_per_s"), str(self.row.get("tokens_counted"))
        if rate > 0 and counted.startswith(("output, system", "output, per chip")):
            seconds, items = self.step("decode", 0 if "queued" in self.kind else self.offered)
            yield "tokens/s", rate * seconds / items
        if rate > 0 and counted.startswith("input, "):
            batch = self.offered or 64 * int(number(self.row, "n_chips"))
            seconds, items = self.step("prefill", batch)
            yield "prompt tokens/s", rate * seconds / items

    def excused(self, figure: str) -> bool:
        """Whether the row speculates, or is named above."""
        batch = f"{number(self.row, 'batch'):g}"
        mine = (self.table, self.chip, self.network, figure, batch)
        named = any(all(not a or a == b for a, b in zip(one, mine, strict=True)) for one in EXCEPTIONS)
        return named or str(self.row.get("spec_decode", "no")).startswith(("yes", "unknown"))


def rows(table: str) -> Iterator[Row]:
    """Every row of a language model on a chip, a network and in a precision that are known here."""
    for row in inferbench_data.table(table).rows():
        chip, network = name_of("chips", row["chip"]), name_of("networks", row["network"])
        if chip and network and row["precision"] in PRECISIONS and number(row, "n_chips") >= 1:
            phases = ib.installed().workload(ib.installed().network(network).type).phases
            if {"decode", "prefill"} <= {phase.name for phase in phases}:
                yield Row(table, row, chip, network)


@pytest.mark.slow
def test_deepseek_over_many_gpus_stays_below_the_bound():
    """SGLang on 72 H100 and on GB200, DeepSeek's own profile on H800, and the prompts of each."""
    ratios = {
        (one.chip, figure): ratio
        for one in rows("nvidia_multichip")
        if one.network == "deepseek-v3"
        for figure, ratio in one.ratios()
    }
    assert {chip for chip, _ in ratios} >= {"h100-sxm", "gb200"}
    assert all(0 < ratio <= 1.0 for ratio in ratios.values()), ratios


@pytest.mark.parametrize(
    ("system", "batch", "context", "published"),
    [
        # SGLang, 22,282 tokens/s per node of 8 (nvidia_multichip).
        ("72xh100-sxm:dp72ep72", 72 * 256, 2000, 22282 / 8),
        # DeepSeek, "DeepSeek-V3/R1 inference system overview", 2025: 14.8k tokens/s per node of H800 over
        # 144 GPUs, mean length 4,989; links of an H800 are slower than those of the H100 here.
        ("144xh100-sxm:dp144ep144", 144 * 128, 4989, 14800 / 8),
        # 32 GB200 at 8k/1k and 75 tokens/s per user: 643 output tokens/s per GPU (InferenceX, compare page).
        ("32xgb200:dp32ep32", 32 * 64, 8192 + 512, 643),
    ],
)
def test_wide_expert_parallelism_lies_above_what_is_published(system, batch, context, published):
    run = ib.run(system, "deepseek-v3/decode", precision="fp8", batch=batch, context=context, stack="ideal")
    assert bool(np.all(run.feasible))
    rate, bound = (
        float(np.squeeze(run.items / (seconds * run.system.count)))
        for seconds in (run.seconds, run.bound_seconds)
    )
    assert bound >= rate > published


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "checked"),
    [
        ("nvidia_multichip", 50),
        ("serving_current", 500),
        ("llm_end_to_end", 100),
        ("llm_ttft_tpot", 60),
        ("splitwise_a100", 200),
        ("other_vendors", 200),
    ],
)
def test_no_published_figure_beats_the_bound(table, checked):
    figures, faster = 0, []
    for one in rows(table):
        for figure, ratio in one.ratios():
            figures += 1
            if not (ratio <= 1.0 or math.isnan(ratio) or one.excused(figure)):
                faster.append((round(ratio, 3), one.system, one.network, figure, dict(one.row)))
    assert not faster
    assert figures >= checked


@pytest.mark.slow
def test_every_exception_is_needed():
    needed = set()
    for table in {key[0] for key in EXCEPTIONS}:
        for one in rows(table):
            needed |= {
                key
                for figure, ratio in one.ratios()
                for key in EXCEPTIONS
                if ratio > 1.0 and (key[0], key[1]) == (table, one.chip)
            }
    assert needed == set(EXCEPTIONS)
