"""Published times of whole steps, as samples: which phases a figure is made of, and how often each counts.

A table of whole steps has a row per published figure: chip, network, precision, batch, lengths, and a time
or a rate. A row takes part if its chip, network and precision are known and its batch and lengths are given.
Rows of speculative decoding, rows that beat the ideal roofline (speculation that the source doesn't tell),
and rows that the table flags as computed, assumed or limited by something else than the chip don't.

A rate stands for the time between two tokens of a user, batch over rate: a step of decoding and the prompts
that take the places of answers that end, one for each answer. Where all prompts are offered at once it is the
same, the prompts in batches of `TOGETHER` tokens.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from inferbench.calibration.samples import Sample, sample
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.model.case import prepare
from inferbench.model.evaluate import evaluate
from inferbench.records.grid import Grid
from inferbench.records.interfaces import Phase
from inferbench.records.measurement import DECODE, GENERATE, PREFILL
from inferbench.records.network import Network
from inferbench.records.precision import PrecisionName
from inferbench.records.run import Run
from inferbench.records.system import Layout, System

__all__ = ["Published", "published", "samples_of"]

Row = Mapping[str, str]
Parts = tuple[tuple[float, str, Mapping[str, float]], ...]
# Flags of figures that are no time of the chip at the point given.
FLAGS = (
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
    "regression",
    "eager",
    "host_sampling",
    "latency_not_measured",
    "latency_computed",
)
SHORTER = 0.9  # InferenceX draws lengths from 0.8 to 1.0 of the nominal ones
# A shared service states neither load nor lengths: one user, a short question and answer.
SHARED = {"batch": "1", "input_len": "1000", "output_len": "200"}
# Lengths that a source leaves open: means of OpenOrca, as MLPerf's Llama 2 70B has them.
UNSTATED = {"input_len": "294", "output_len": "294"}
TOGETHER = 8192.0  # prompt tokens that engines take in one step where many prompts wait
# What a table means by a precision that says less than ours: nothing at all, or the bits of weights alone.
FORMATS = {"": "bf16", "fp4": "mxfp4", "8bit": "w8a16"}


@attrs.frozen(eq=False)
class Published:
    """A published time in our names.

    Attributes:
        table: Name of its table.
        system, network, precision, software: What was measured; software with its version.
        phase: `decode` or `prefill`, whose errors are alike.
        seconds: Measured.
        parts: How often each phase of the workload counts, and at which point.
    """

    table: str
    system: System
    network: Network
    precision: str
    software: str
    phase: str
    seconds: float
    parts: Parts


def samples_of(files: Sequence[str], registry: Registry, every: int = 1) -> tuple[list[Sample], Counter[str]]:
    """Read the samples of some tables.

    Args:
        files: Paths of CSV files.
        registry: For aliases, chips, networks and plugins.
        every: 1, or take every so-manieth row of a chip and software.

    Returns:
        Samples in the order of the rows, and how many rows took no part, by reason.
    """
    left: Counter[str] = Counter()
    found, seen = [], Counter[tuple[str, str]]()
    graphs: dict[str, dict[Any, Any]] = {}
    for file in files:
        for one in published(file, registry, left):
            key = (one.system.chip.name, one.software)
            seen[key] += 1
            if (seen[key] - 1) % every:
                continue
            built = graphs.setdefault(one.network.name, {})
            runs = [(weight, _ideal(one, phase, axes, registry, built)) for weight, phase, axes in one.parts]
            floor = sum(weight * float(np.ravel(run.roofline)[0]) for weight, run in runs)
            if not all(np.isfinite(run.seconds).all() for _, run in runs):
                left["the model gives no time"] += 1
            elif one.seconds < floor:
                left["faster than the roofline"] += 1
            else:
                axes = one.parts[0][2]
                found.append(
                    sample(one.seconds, runs, one.software, one.phase, one.table, one.precision, axes)
                )
    return found, left


def published(file: str, registry: Registry, left: Counter[str]) -> Iterator[Published]:
    """Yield the times of a table's rows at known points.

    Args:
        file: Path of a CSV file with the columns of the tables of whole steps.
        registry: For names.
        left: Counts why the others are none.
    """
    name = Path(file).stem
    with open(file, encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            if any(flag in row.get("flag", "") for flag in FLAGS):
                left["flagged by the table"] += 1
            elif row.get("spec_decode", "no").startswith("yes"):
                left["speculative decoding"] += 1
            else:
                found = list(_timed(name, _full(row), registry, left))
                if not found:
                    left["no time at a known point"] += 1
                yield from found


def _full(row: Row) -> Row:
    """A row with the axes that its table leaves to the reader."""
    full = dict(row)
    if "shared service" in row.get("batch_kind", ""):
        full |= SHARED
    if "lengths_unknown" in row.get("flag", ""):
        full |= UNSTATED
    if row.get("concurrency"):
        full["batch"] = row["concurrency"]
        full |= {axis: str(_number(row, axis) * SHORTER) for axis in ("input_len", "output_len")}
    return full


def _number(row: Row, name: str) -> float:
    """A number, NaN where the table has none."""
    text = row.get(name) or ""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _or(row: Row, name: str, usual: float) -> float:
    """A number, or what it usually is."""
    found = _number(row, name)
    return usual if math.isnan(found) else found


def _timed(name: str, row: Row, registry: Registry, left: Counter[str]) -> Iterator[Published]:
    """The times of one row."""
    try:
        chip = registry.chip(registry.alias("chips", row["chip"]))
        network = registry.network(registry.alias("networks", row["network"]))
        precision = _format(row.get("precision", ""), registry)
        PrecisionName.parse(precision)
    except InferBenchError as error:
        left[f"{error.faults[0].where}: {error.faults[0].found.split(';')[0]}"] += 1
        return
    chips = _number(row, "n_chips")
    chips = 1.0 if math.isnan(chips) else chips
    if chips < 1.0 or chips != round(chips):
        left["a part of a chip"] += 1
        return
    count = int(chips)
    whole = count in (2, 4, 8) or any(_number(row, key) >= count > 1 for key in ("tp", "tp_parts"))
    system = System(chip, count, Layout(tp=count) if whole else None)
    software = " ".join(row.get(key, "") for key in ("software", "version")).strip()
    phases = registry.workload(network.type).phases
    for phase, seconds, parts in _times(row, phases):
        yield Published(name, system, network, precision, software, phase, seconds, parts)


def _format(written: str, registry: Registry) -> str:
    return FORMATS.get(written) or registry.alias("precisions", written)


def _times(row: Row, phases: Sequence[Phase]) -> Iterator[tuple[str, float, Parts]]:
    """The times of a row: what phase, seconds, and what they consist of."""
    batch, latency = _number(row, "batch"), _number(row, "latency_s")
    if not any("context" in phase.axes for phase in phases):  # no prompts: what is timed are whole images
        whole = next((phase.name for phase in phases if phase.item == "image"), "")
        if whole and latency > 0 and batch > 0:
            yield PREFILL, latency, ((1.0, whole, {"batch": batch}),)
        return
    prompt, first = _number(row, "input_len"), _number(row, "ttft_s")
    phase = row.get("phase", "")
    if not batch > 0 or not prompt > 0:
        yield from _served_alone(row, batch)
        return
    if phase == PREFILL:
        seconds = latency if math.isnan(first) else first
        if seconds > 0:
            yield PREFILL, seconds, ((1.0, PREFILL, {"batch": batch, "context": prompt}),)
        return
    yield from _tokens(row, batch, prompt)
    if first > 0 and phase != "serving" and not row.get("concurrency"):
        together = _or(row, "prompts_at_once", batch)
        yield PREFILL, first, ((1.0, PREFILL, {"batch": together, "context": prompt}),)


def _served_alone(row: Row, batch: float) -> Iterator[tuple[str, float, Parts]]:
    """A rate of decoding without lengths: a thousand positions, half of them generated."""
    rate = _number(row, "tokens_per_s")
    if row.get("phase") == DECODE and batch > 0 and rate > 0:
        yield DECODE, batch / rate, ((1.0, DECODE, {"batch": batch, "context": 750.0}),)


def _tokens(row: Row, batch: float, prompt: float) -> Iterator[tuple[str, float, Parts]]:
    """The time of a token, by a time per token, a time of whole answers, or a rate."""
    output, kind, flag = _number(row, "output_len"), row.get("batch_kind", ""), row.get("flag", "")
    token, latency, rate = (_number(row, key) for key in ("tpot_s", "latency_s", "tokens_per_s"))
    step = (1.0, DECODE, _computed(row, batch, prompt, 0.0 if math.isnan(output) else output))
    offered = "at once" in kind
    closed = offered or "slots" in kind or "concurrency" in kind or bool(row.get("concurrency"))
    if token > 0 and "prefill_in_tpot" not in flag:
        yield DECODE, token, (step, *(_newcomers(batch, prompt, output) if closed else ()))
    elif latency > 0 and output > 0 and not offered:
        whole = {"batch": batch, "context": prompt, "output": output}
        yield DECODE, latency, ((1.0, GENERATE, whole),)
    elif rate > 0 and closed and row.get("tokens_counted", "").startswith("output"):
        yield DECODE, batch / rate, (step, *_newcomers(batch, prompt, output, offered))


def _computed(row: Row, batch: float, prompt: float, output: float) -> dict[str, float]:
    """The mean step of an answer; of an engine that pads, the one that it computes."""
    return {
        "batch": _or(row, "computed_batch", batch),
        "context": _or(row, "computed_positions", prompt + output / 2.0),
    }


def _newcomers(
    batch: float, prompt: float, output: float, waiting: bool = False
) -> Iterator[tuple[float, str, Mapping[str, float]]]:
    """Prompts per step: one for each answer that ends; several in one pass where many wait."""
    if batch > 1 and output > 0:
        together = float(min(batch, max(1.0, math.floor(TOGETHER / prompt)))) if waiting else 1.0
        yield batch / output / together, PREFILL, {"batch": together, "context": prompt}


def _ideal(
    one: Published, phase: str, axes: Mapping[str, float], registry: Registry, graphs: dict[Any, Any]
) -> Run:
    """A run under ideal software, with its operators; graphs of the network that were built are taken."""
    case = prepare(
        one.system,
        one.network,
        phase,
        stack=registry.stack("ideal"),
        registry=registry,
        ignore_capacity=True,
        breakdown=True,
    )
    # What a sample takes of it is time and engines.
    case = attrs.evolve(case, bare=True, causes=False, graphs=graphs)
    full = {**case.workload.defaults(one.network, phase), **axes}
    return evaluate(case, Grid.of({name: [value] for name, value in full.items()}, [one.precision]))
