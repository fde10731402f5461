"""InferenceX aggregates: `agg_*.json` (an object or an array), times in seconds, power per GPU."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import inferbench as ib
from inferbench_importers.record import NAN, Row, gather, has, lacks, layout, objects

__all__ = ["IMPORTER"]

# The version of the power fields whose joules count every GPU of a deployment; earlier ones may be of one
# role.
SCHEMA = 2
POWER = (
    "avg_power_w",
    "avg_total_gpu_power_w",
    "total_gpu_energy_j",
    "joules_per_successful_query",
    "joules_per_input_token",
    "joules_per_output_token",
    "joules_per_total_token",
    "prefill_gpu_energy_j",
    "decode_gpu_energy_j",
    "prefill_avg_power_w",
    "decode_avg_power_w",
    "prefill_joules_per_input_token",
    "decode_joules_per_output_token",
)


def _sniff(path: Path, text: str) -> str:
    if has(text, "scenario_type", "request_accounting"):
        return "an InferenceX agent row (scenario_type): its requests have no fixed shape"
    return lacks(text, "hw", ("conc", "framework"), ("tput_per_gpu", "output_tput_per_gpu", "metrics"))


def _build(row: Row) -> ib.Measurement:
    if isinstance(row.values.get("metrics"), dict):
        flat = {k: v for k, v in row.values.items() if k != "metrics"}
        row = Row({**flat, **row.values["metrics"]}, row.where)
    if row.get("score", "task") is not None:
        raise row.fault("score", "an evaluation's score, no timing", "give the file of the benchmark rows")
    chips, decoding, spread = _chips(row)
    separate, drafted = _separate(row), _drafted(row)
    statistic = "mean" if row.get("mean_e2el", "mean_ttft", "mean_tpot") is not None else "median"
    tpot = row.positive(f"{statistic}_tpot")
    _same_unit(row, statistic, tpot)
    power, caveats = _power(row, chips)
    return ib.Measurement(
        source=row.where,
        chip=_pool(row.text("hw", "decode_hw")),
        chips=chips,
        layout=spread,
        software=row.text("framework"),
        network=row.text("model", "infmax_model_prefix"),
        phase="generate",
        precision=row.text("precision"),
        axes=row.axes(context="isl", output="osl", concurrency="conc"),
        latency_s=row.positive(f"{statistic}_e2el"),
        ttft_s=row.positive(f"{statistic}_ttft"),
        tpot_s=tpot,
        tokens_per_s=row.positive("output_tput_per_gpu") * decoding,
        statistic=statistic,
        queueing=True,
        conditions=_conditions(drafted, separate),
        caveats=(
            *([f"speculative decoding: {drafted}; a time per token is not a step"] if drafted else []),
            *(["disaggregated: prompts and steps run on different chips"] if separate else []),
            *caveats,
        ),
        **power,
        extra=row.extra(),
    )


def _pool(name: str) -> str:
    """The chip of a pool of runners: `h200-dgxc`, `b200-multinode` are called by it."""
    return name.partition("-")[0] if re.fullmatch(r"[a-z]+\d+[a-z]?-[a-z0-9-]+", name) else name


def _chips(row: Row) -> tuple[int, int, str]:
    """All GPUs, those that the output rate is divided by, and the layout."""
    prefill, decode = row.count("num_prefill_gpu", default=0), row.count("num_decode_gpu", default=0)
    if prefill or decode:
        # With disaggregation output is counted per decode GPU, input per prefill GPU.
        return prefill + decode, decode if _separate(row) else prefill + decode, ""
    if math.isnan(row.number("tp")):
        raise row.fault(
            "tp", "missing: the rates are per GPU and can't be summed", "add tp, or the GPU counts"
        )
    tp, pp, ep = row.count("tp"), row.count("pp"), row.number("ep")
    prompts, tokens = row.count("pcp_size"), row.count("dcp_size")
    chips = tp * pp * prompts
    if tokens > 1:
        raise row.fault(
            "dcp_size",
            f"{tokens} chips share the positions of a token step and their heads at once (decode context"
            " parallelism), which no layout here says",
            "leave the row out",
        )
    if _true(row.values.get("dp_attention")):
        if ep not in (1.0, float(tp)) or ep == 1.0:
            raise row.fault(
                "dp_attention",
                f"attention is data parallel and experts are cut over ep{ep:g} of {tp} chips, which no layout"
                " here says",
                "leave the row out",
            )
        return chips, chips, layout(dp=tp, cp=prompts, pp=pp, ep=tp)
    return chips, chips, layout(tp=tp, cp=prompts, pp=pp, ep=ep)


def _true(value: object) -> bool:
    return str(value).lower() in ("true", "1", "1.0")


def _same_unit(row: Row, statistic: str, tpot: float) -> None:
    """Interactivity is 1 / TPOT: it tells whether TPOT was left in milliseconds."""
    pace = row.number(f"{statistic}_intvty")
    product = tpot * pace
    if not math.isnan(product) and not 0.03 < product < 30.0:
        raise row.fault(
            f"{statistic}_tpot",
            f"{tpot:g} s does not agree with an interactivity of {pace:g} tokens/s",
            "aggregates have seconds; the raw file's milliseconds are a thousand times more",
        )


def _power(row: Row, chips: int) -> tuple[dict[str, Any], list[str]]:
    present = [key for key in POWER if row.values.get(key) is not None]
    version, valid = row.number("power_metric_schema_version"), row.number("power_valid")
    if not present:
        return {}, []
    if version != SCHEMA or valid != 1:
        why = (
            f"schema version {'missing' if math.isnan(version) else f'{version:g}'}, {SCHEMA} was expected; "
            "joules may be of one role"
            if version != SCHEMA
            else "the file says that its power is not valid (power_valid)"
        )
        caveat = f"power refused: {why}"
        return {"refused": {"power_w": (NAN, caveat), "energy_j": (NAN, caveat)}}, [caveat]
    total, each = row.positive("avg_total_gpu_power_w"), row.positive("avg_power_w")
    if not math.isnan(total) and not math.isnan(each) and abs(total / (each * chips) - 1.0) > 0.05:
        raise row.fault(
            "avg_total_gpu_power_w",
            f"{total:g} W is not {chips} GPUs at {each:g} W (avg_power_w)",
            "check the number of GPUs: tp, pp, num_prefill_gpu, num_decode_gpu",
        )
    energy = row.positive("joules_per_successful_query")
    return {"power_w": each * chips if math.isnan(total) else total, "energy_j": energy}, []


def _conditions(drafted: str, separate: bool) -> Iterator[ib.Condition]:
    if drafted:
        yield ib.Condition.SPECULATIVE
    if separate:
        yield ib.Condition.DISAGGREGATED


def _separate(row: Row) -> bool:
    """Whether prompts and steps ran on different chips."""
    return str(row.values.get("disagg")).lower() in ("true", "1")


def _drafted(row: Row) -> str:
    """How tokens were drafted; empty where none were."""
    kind = row.text("spec_decoding").lower()
    return "" if kind in ("none", "off", "false", "0") else kind


def _read(path: Path) -> list[ib.Measurement]:
    return gather(path, objects(path), _build, "row")


IMPORTER = ib.Importer("inferencex", "InferenceX aggregate JSON", _sniff, _read)
