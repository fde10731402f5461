"""`Measurement`: one measured point: who measured what, how, at which boundary, where published."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import attrs

__all__ = [
    "DECODE",
    "EXPERTS",
    "GENERATE",
    "SETTINGS",
    "LANGUAGE",
    "PREFILL",
    "Boundary",
    "Condition",
    "Importer",
    "Measurement",
]

# Phases of language models, as files of measurements call them.
PREFILL, DECODE, GENERATE = "prefill", "decode", "generate"
LANGUAGE = (DECODE, PREFILL, GENERATE)
EXPERTS = "moe"
"""Kind of a measured row of a whole layer of experts: routing and products of several operators."""
SETTINGS = ("step_tokens", "wait_steps", "wait_share", "poll_steps", "computed_batch", "computed_positions")
"""Keys of `Measurement.extra` for what a server was told: tokens of prompts in one step, decode steps that
prompts wait for more of them and the share of a step's tokens at which they wait no longer, decode steps
between two looks for new requests, and the batch and positions it was compiled for.
"""


class Condition(StrEnum):
    """Under which a figure was measured, for the rules that compare it.

    `STEADY_STATE`: the batch is an average over time and may be a fraction. `SPECULATIVE`: tokens are
    drafted. `DISAGGREGATED`: prompts and steps run on different chips. `QUANTISED_CACHE`: keys and values
    have fewer bits than the precision says.
    """

    STEADY_STATE = "steady-state"
    SPECULATIVE = "speculative"
    DISAGGREGATED = "disaggregated"
    QUANTISED_CACHE = "quantised-cache"


Boundary = Literal["chip", "board", "server", "wall", "facility"]


def _conditions(names: Iterable[str]) -> frozenset[Condition]:
    return frozenset(map(Condition, names))


@attrs.frozen(kw_only=True)
class Measurement:
    """One row of a measurement set; SI inside, NaN where not measured.

    Attributes:
        source: Who measured and where it is published, with the row's place in it.
        chip: Name as written by the source (resolved through aliases later); empty where the file doesn't
            say.
        chips: Number of chips.
        layout: As written (`tp4`), empty if unknown.
        software: Framework and version.
        network: Name as written by the source; empty for a single operator.
        phase: A workload's phase (`prefill`, `decode`, `generate`, `image`, …), `op` for a single operator,
            or `log` for a power log, which knows no work.
        op: Operator kind for a single operator (`gemm`, `attention`, `collective`, `moe`), empty else.
        precision: As written by the source.
        axes: Axis or op field to value (`batch`, `context`, `output`, `m`, `n`, `k`). In `decode`,
            `context` is the mean number of positions held; in `prefill` and `generate` the length of the
            prompt.
        latency_s: Seconds of the point: one step (`decode`), one prompt batch (`prefill`), one batch from
            prompt to last token (`generate`), one batch of images; of one request where `queueing`.
        ttft_s, tpot_s: Seconds to the first token and per token after it.
        tokens_per_s: Generated tokens per second, all chips; prompt tokens are never counted here.
        power_w: Mean watts of all chips together at `boundary`.
        energy_j: Joules that all chips spend in what `latency_s` is of.
        boundary: Where power and energy are counted.
        statistic: `mean`, `median`, `p99`, … of the latency figures.
        queueing: Whether TTFT includes waiting in a queue.
        extra: Fields nobody interpreted, kept, and figures that were refused.
        conditions: Under which it was measured, for rules: `Condition`s or their names.
        caveats: What a reader must know before comparing, in sentences that no rule reads.
        refused: Figures that the source gives and that must not be used: name (`power_w`) to value, NaN
            where its unit isn't known, and why. They are listed, never scored.
        fitted: Whether it took part in fitting a shipped stack.

    Example:
        >>> row = Measurement(source="a table, row 2", chip="H100", phase="decode", tpot_s=0.0071)
        >>> row.chips, row.tpot_s, row.power_w
        (1, 0.0071, nan)
    """

    source: str
    chip: str
    chips: int = 1
    layout: str = ""
    software: str = ""
    network: str = ""
    phase: str = ""
    op: str = ""
    precision: str = ""
    axes: Mapping[str, float] = attrs.field(factory=dict)
    latency_s: float = math.nan
    ttft_s: float = math.nan
    tpot_s: float = math.nan
    tokens_per_s: float = math.nan
    power_w: float = math.nan
    energy_j: float = math.nan
    boundary: Boundary = "board"
    statistic: str = "mean"
    queueing: bool = False
    extra: Mapping[str, Any] = attrs.field(factory=dict)
    conditions: frozenset[Condition] = attrs.field(default=frozenset(), converter=_conditions)
    caveats: tuple[str, ...] = ()
    refused: Mapping[str, tuple[float, str]] = attrs.field(factory=dict)
    fitted: bool = False


@attrs.frozen
class Importer:
    """Reads one file format.

    .. versionadded:: 0.1

    Attributes:
        name: As given to `--importer`.
        title: What it reads.
        sniff: Path and first 64 KiB of text to the reason it declines; empty if it reads the file. It
            must not raise and should look at the text, not at the file's name; no two importers may
            accept the same file.
        read: Path to measurements; raises InferBenchError with what is wrong where.

    Example:
        >>> mine = Importer("mine", "My log", lambda path, text: "" if "#mine" in text else "no #mine",
        ...     lambda path: ())
        >>> mine.sniff(Path("run.txt"), "something else")
        'no #mine'
    """

    name: str
    title: str
    sniff: Callable[[Path, str], str]
    read: Callable[[Path], Iterable[Measurement]]
