"""Fit the priors of classes of chips, and write their stacks and the page of how they came out.

    python tools/fit_priors.py [--check]

Read are the published times of whole steps in inferbench-data. A row takes part if its chip, network and
precision are known here and its batch and lengths are given; rows of speculative decoding, rows that beat the
ideal roofline (speculation that the source doesn't tell), and rows that the table flags as computed,
assumed or limited by something else than the chip don't. `--check` writes nothing and fails if the stacks
are stale.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import inferbench_data
import numpy as np

import inferbench as ib
from inferbench.calibration.prior_files import stack_text
from inferbench.calibration.priors import LeftOut, Prior, left_out, priors
from inferbench.calibration.samples import Sample, sample
from inferbench.errors import InferBenchError
from inferbench.model.case import prepare
from inferbench.model.evaluate import evaluate

ROOT = Path(__file__).parents[1]
OUT = ROOT / "specs/inferbench_specs/stacks"
PAGE = ROOT / "docs/results/priors.md"
COMMAND, DATE = "python tools/fit_priors.py", "2026-11-26"
TABLES = (
    "other_vendors",
    "aws_neuron",
    "nvidia_multichip",
    "dataflow_published",
    "serving_current",
    "serving",
    "splitwise_a100",
    "llm_end_to_end",
)
# What the tables call things, beside the aliases of the specs.
PRECISIONS = {
    "": "bf16",
    "4bit": "w4a16",
    "8-bit": "int8",
    "8bit": "w8a16",
    "BF16": "bf16",
    "FP16": "fp16",
    "INT8/FP8": "int8",
    "bf16 (16-bit)": "bf16",
    "bf16 (autocast)": "bf16",
    "bfp4 feed-forward, bfp8 attention": "w4a16",
    "bfp8 feed-forward, bf16 attention": "w8a16",
    "fp16/bf16": "bf16",
    "fp4": "mxfp4",
    "int8/fp8 (8-bit)": "int8",
}
CHIPS = {
    "A100-SXM4-40GB": "a100-sxm-40gb",
    "A100-SXM4-80GB": "a100-sxm-80gb",
    "B200-SXM-180GB": "b200",
    "Cerebras CS-3 (WSE-3)": "wse-3",
    "Groq LPU v1": "groq-lpu",
    "H100-SXM5-80GB": "h100-sxm",
    "H200-SXM-141GB": "h200",
    "SambaNova SN40L": "sn40l",
}
# Flags of figures that are no time of the chip at the point given.
FLAGS = (
    "latency_not_measured",
    "outlier",
    "throughput_disagrees",
    "check",
    "kv_or_queue",
    "tpot_is_upper",
    "prompt_length_missing",
    "n_chips_assumed",
    "chip_assumed",
    "same_shape",
    "kv_waves",
    "saturated",
    "latency_computed",
)
SHORTER = 0.9  # InferenceX draws lengths from 0.8 to 1.0 of the nominal ones
# A shared service states neither load nor lengths: one user, a short question and answer.
SHARED = {"batch": 1.0, "input_len": 1000.0, "output_len": 200.0}
IMAGES = {"vit": "forward", "resnet": "forward", "clip": "forward", "unet": "image"}
TITLES = {
    "class-any": "Any chip: pooled over all architectures",
    "class-cgra": "Reconfigurable dataflow chips",
    "class-dataflow": "Dataflow chips with weights on the chip",
    "class-simt": "Chips of the SIMT kind",
    "class-simt-nvidia": "SIMT chips of NVIDIA",
    "class-systolic": "Systolic arrays",
}


@attrs.frozen(eq=False)
class Timed:
    """A published time in our names: which phases it consists of, and how often each counts."""

    table: str
    system: ib.System
    network: ib.Network
    precision: str
    software: str
    phase: str
    seconds: float
    parts: tuple[tuple[float, str, Mapping[str, float]], ...]


def number(row: Mapping[str, Any], name: str) -> float:
    """A number, NaN where the table has none."""
    value = row.get(name, math.nan)
    return value if isinstance(value, float) else math.nan


def rows(name: str, known: ib.Registry, left: Counter[str]) -> Iterator[Timed]:
    """The rows of a table that give a time at a known point; why the others don't is counted."""
    for row in inferbench_data.table(name).rows():
        if any(flag in str(row.get("flag", "")) for flag in FLAGS):
            left["flagged by the table"] += 1
        elif str(row.get("spec_decode", "no")).startswith("yes"):
            left["speculative decoding"] += 1
        else:
            found = list(timed(name, named(row), known, left))
            if not found:
                left["no time at a known point"] += 1
            yield from found


def named(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the axes that its table leaves to the reader."""
    full = dict(row)
    if "shared service" in str(row.get("batch_kind", "")):
        full |= SHARED
    if not math.isnan(number(row, "concurrency")):
        full["batch"] = row["concurrency"]
        full |= {axis: number(row, axis) * SHORTER for axis in ("input_len", "output_len")}
    return full


def timed(name: str, row: Mapping[str, Any], known: ib.Registry, left: Counter[str]) -> Iterator[Timed]:
    """The times of one row."""
    try:
        chip = known.chip(CHIPS.get(str(row["chip"]), str(row["chip"])))
        network = known.network(str(row["network"]))
        written = str(row.get("precision", ""))
        precision = known.alias("precisions", PRECISIONS.get(written, written))
        ib.PrecisionName.parse(precision)
    except InferBenchError as error:
        left[f"{error.faults[0].where}: {error.faults[0].found.split(';')[0]}"] += 1
        return
    chips = number(row, "n_chips")
    chips = 1.0 if math.isnan(chips) else chips
    if chips < 1.0 or chips != round(chips):
        left["a part of a chip"] += 1
        return
    count = int(chips)
    layout = ib.Layout(tp=count) if count in (2, 4, 8) else None
    software = " ".join(str(row.get(key, "")) for key in ("software", "version")).strip()
    for phase, seconds, parts in times(name, row, network):
        yield Timed(name, ib.System(chip, count, layout), network, precision, software, phase, seconds, parts)


Times = tuple[str, float, tuple[tuple[float, str, Mapping[str, float]], ...]]


def times(name: str, row: Mapping[str, Any], network: ib.Network) -> Iterator[Times]:
    """The times of a row: what phase, seconds, and what they consist of."""
    batch, prompt, output = (number(row, key) for key in ("batch", "input_len", "output_len"))
    latency, first, token = (number(row, key) for key in ("latency_s", "ttft_s", "tpot_s"))
    if network.type in IMAGES:
        if latency > 0 and batch > 0:
            yield "prefill", latency, ((1.0, IMAGES[network.type], {"batch": batch}),)
        return
    if name == "dataflow_published" and math.isnan(token) and row["phase"] == "decode":
        token, prompt, output = batch / number(row, "tokens_per_s"), 500.0, 500.0
    kind = str(row.get("batch_kind", ""))
    if not batch > 0 or not prompt > 0 or "max_num_seqs" in kind or "queued" in kind:
        return
    if row["phase"] == "prefill":
        seconds = latency if math.isnan(first) else first
        if seconds > 0:
            yield "prefill", seconds, ((1.0, "prefill", {"batch": batch, "context": prompt}),)
        return
    middle = {"batch": batch, "context": prompt + (0.0 if math.isnan(output) else output / 2.0)}
    if token > 0 and "prefill_in_tpot" not in str(row.get("flag", "")):
        parts = [(1.0, "decode", middle)]
        if batch > 1 and ("concurrency" in kind or "concurrency" in row) and output > 0:
            # A server prefills one newcomer for each answer that ends.
            parts.append((batch / output, "prefill", {"batch": 1.0, "context": prompt}))
        yield "decode", token, tuple(parts)
    elif latency > 0 and output > 0:
        whole = {"batch": batch, "context": prompt, "output": output}
        yield "decode", latency, ((1.0, "generate", whole),)
    if first > 0 and "serving" not in (row["phase"], name[:7]):
        # Tenstorrent's tables prefill one user at a time, whatever the batch.
        alone = 1.0 if "tt-metal" in str(row.get("software", "")) else batch
        yield "prefill", first, ((1.0, "prefill", {"batch": alone, "context": prompt}),)


def samples(
    known: ib.Registry, tables: Sequence[str] = TABLES, every: int = 1
) -> tuple[list[Sample], Counter[str]]:
    """Samples of some tables, or every so-manieth of a chip and software; and why rows were left out."""
    left: Counter[str] = Counter()
    found, seen = [], Counter[tuple[str, str]]()
    for name in tables:
        for one in rows(name, known, left):
            key = (one.system.chip.name, one.software)
            seen[key] += 1
            if (seen[key] - 1) % every:
                continue
            runs = [(weight, ideal(one, phase, axes, known)) for weight, phase, axes in one.parts]
            floor = sum(weight * float(np.ravel(run.roofline)[0]) for weight, run in runs)
            if not all(np.isfinite(run.seconds).all() for _, run in runs):
                left["the model gives no time"] += 1
            elif one.seconds < floor:
                left["faster than the roofline"] += 1
            else:
                found.append(sample(one.seconds, runs, one.software, one.phase, name))
    return found, left


def ideal(one: Timed, phase: str, axes: Mapping[str, float], known: ib.Registry) -> ib.Run:
    """A run under ideal software, with its operators."""
    case = prepare(
        one.system,
        one.network,
        phase,
        stack=known.stack("ideal"),
        registry=known,
        ignore_capacity=True,
        breakdown=True,
    )
    full = {**case.workload.defaults(one.network, phase), **axes}
    return evaluate(case, ib.Grid.of({name: [value] for name, value in full.items()}, [one.precision]))


def write(found: Sequence[Prior], missed: Sequence[LeftOut]) -> dict[Path, str]:
    """Path to text of every stack."""
    on = f"tables {', '.join(TABLES)}: published times of whole steps, rows beyond the roofline left out"
    return {
        OUT / f"{one.name}.toml": stack_text(one, TITLES[one.name], missed, on, COMMAND, DATE)
        for one in found
    }


def share(some: Sequence[LeftOut]) -> str:
    """Share of the rows in their intervals, the same with every chip weighing alike, and how many."""
    chips = sorted({one.sample.chip for one in some})
    each = [np.mean([one.covered for one in some if one.sample.chip == chip]) for chip in chips]
    return (
        f"{np.mean([one.covered for one in some]):.0%} | {np.mean(each):.0%} | {len(some):,} | {len(chips)}"
    )


def page(found: Sequence[Prior], missed: Sequence[LeftOut], left: Counter[str]) -> str:
    """The page of results."""
    lines = [
        HEAD,
        "| class | memory | arithmetic | links | kernel | exchange | chips |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for one in found:
        shares = " | ".join(f"{math.exp(value):.0%}" for value in one.figures[:3])
        waits = " | ".join(f"{1e6 * math.exp(value):.1f} µs" for value in one.figures[3:])
        lines.append(f"| `{one.name}` | {shares} | {waits} | {len(one.chips)} |")
    lines += [EFFECTS]
    for one in found:
        for phase, effects in one.effects.items():
            low, high = math.exp(-1.645 * effects.spread), math.exp(1.645 * effects.spread)
            sds = f"{effects.between:.2f} | {effects.software:.2f} | {effects.within:.2f}"
            lines.append(
                f"| `{one.name}` | {phase} | {effects.rows:,} | {effects.chips} | {sds}"
                f" | {low:.2f} to {high:.2f} |"
            )
    lines += [COVERAGE]
    groups = [
        *((name, [one for one in missed if one.sample.table == name]) for name in TABLES),
        ("**`other_vendors` and `serving_current`**", pooled(missed)),
        *(
            (f"`{name}`", [one for one in missed if one.prior == name])
            for name in sorted({o.prior for o in missed})
        ),
    ]
    lines += [f"| {name} | {share(some)} |" for name, some in groups if some]
    lines += [CHIPWISE]
    for chip in sorted({one.sample.chip for one in missed}):
        for phase in ("decode", "prefill"):
            some = [one for one in missed if one.sample.chip == chip and one.sample.phase == phase]
            if some:
                ratio = math.exp(float(np.median([one.error for one in some])))
                inside = np.mean([one.covered for one in some])
                lines.append(
                    f"| {chip} | {phase} | `{some[0].prior}` | {len(some)} | {ratio:.2f} | {inside:.0%} |"
                )
    lines += [LEFT, *(f"- {count:,}: {why}" for why, count in left.most_common(12)), ""]
    return "\n".join(lines)


def pooled(missed: Sequence[LeftOut]) -> list[LeftOut]:
    """The rows of the two tables that no stack was fitted on."""
    return [one for one in missed if one.sample.table in ("other_vendors", "serving_current")]


HEAD = """# Priors of classes of chips

Written by `python tools/fit_priors.py`, which fits the stacks `class-*` to published times of whole steps.
[What a number rests on](../explanation/grades.md) says how they are used, `inferbench.calibration.priors` how
they are fitted.

## Figures

Shares of the datasheet's rates that software reaches, and what it waits before each kernel and before each
exchange between chips.
"""
EFFECTS = """
## What is left

Standard deviations of the logarithm of predicted over measured: between chips, between versions of software
on a chip, and the rest. The factors are those between which nine in ten times of an unseen chip lie.

| class | step | rows | chips | between | software | rest | 90 % |
|---|---|--:|--:|--:|--:|--:|--:|"""
COVERAGE = """
## Chips left out

Every chip is predicted by the prior of its class as if nobody had measured it. Fit, variances and the width
of intervals use none of its rows. How many of its times lie in the 90 % interval:

| rows of | of all rows | chips alike | rows | chips |
|---|--:|--:|--:|--:|"""
CHIPWISE = """
Times of one chip err together, so that the column in which all chips weigh alike is the fair one. The chips
of `serving_current` are three of NVIDIA's largest, which are more alike than chips are in general. Their
intervals are wider than they need to be.

| chip | step | prior without it | rows | median predicted / measured | in the interval |
|---|---|---|--:|--:|--:|"""
LEFT = """
## Rows that took no part
"""


def main() -> int:
    """Fit, and write or check."""
    known = ib.installed()
    made, left = samples(known)
    found, missed = priors(made), list(left_out(made))
    texts = {**write(found, missed), PAGE: page(found, missed, left)}
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{'stale' if '--check' in sys.argv else 'updated'}: {path.relative_to(ROOT)}")
        if "--check" not in sys.argv:
            path.write_text(texts[path])
    print(f"{len(made):,} samples; in the interval, chips left out: {share(pooled(missed))}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
