"""ML.ENERGY: a run's `results.json`, and the leaderboard's rows; power and energy are sums over GPUs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import inferbench as ib
from inferbench_importers.record import MILLI, NAN, Row, gather, has, lacks, layout, mean, numbers, objects

__all__ = ["IMPORTER"]

ITEMS = {"energy_per_image_joules": "image", "energy_per_video_joules": "video"}
LISTS = ("configurations", "rows", "results", "data")


def _sniff(path: Path, text: str) -> str:
    if has(text, "steady_state_energy", "steady_state_duration"):
        return lacks(text, "model_id", ("gpu_model", "num_gpus"))
    return lacks(
        text, ("energy_per_token_joules", *ITEMS), ("avg_power_watts", "median_itl_ms", "batch_latency_s")
    )


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    for one in objects(path):
        inner = next((key for key in LISTS if isinstance(one.get(key), list)), "")
        if "steady_state_energy" in one or not inner:
            yield one
        else:
            common = {
                key: value
                for key, value in one.items()
                if key != inner and not isinstance(value, dict | list)
            }
            yield from ({**common, **entry} for entry in one[inner])


def _build(row: Row) -> ib.Measurement:
    if "steady_state_energy" in row.values:
        return _run(row)
    item = next((name for name in ITEMS if row.values.get(name) is not None), "")
    return _image(row, item) if item else _decode(row)


def _base(row: Row) -> dict[str, Any]:
    spread = row.get("parallelization")
    degrees = Row(spread if isinstance(spread, dict) else {}, row.where)
    tp, pp = degrees.number("tensor_parallel"), degrees.number("pipeline_parallel")
    ep = degrees.number("expert_parallel")
    return {
        "source": row.where,
        "chip": row.text("gpu_model", "gpu"),
        "chips": row.count("num_gpus"),
        "layout": layout(tp=tp, pp=pp, ep=ep),
        "network": row.text("model_id", "model", "nickname"),
        "precision": row.text("weight_precision", "precision"),
        "boundary": "board",
    }


def _run(row: Row) -> ib.Measurement:
    """The steady state of a run: power is its energy by its duration, a step's time the mean gap between
    tokens.
    """
    base = _base(row)
    energy, seconds = row.positive("steady_state_energy"), row.positive("steady_state_duration")
    requests = [one for one in row.get("results") or [] if isinstance(one, dict) and one.get("success", True)]
    gaps = [gap for one in requests for gap in numbers(one.get("itl")) if gap > 0.0]
    first = [value for value in numbers([one.get("ttft") for one in requests]) if value > 0.0]
    each = row.positive("steady_state_energy_per_token")
    rate = row.positive("output_throughput")
    step = mean(gaps)
    # Running requests = tokens per second x seconds per token; the limit (max_num_seqs) is not what ran.
    running = energy / seconds / each * step
    return ib.Measurement(
        **base,
        software=row.text("software", "version"),
        phase="decode",
        axes={
            name: value
            for name, value in {"batch": running, "context": _mean_context(requests)}.items()
            if not math.isnan(value)
        },
        latency_s=step,
        tpot_s=step,
        ttft_s=mean(first),
        tokens_per_s=rate,
        power_w=energy / seconds,
        energy_j=energy / seconds * step,
        queueing=True,
        conditions={ib.Condition.STEADY_STATE},
        caveats=("steady state: prefill of new requests is interleaved",),
        extra={**row.extra(), "energy_per_token_joules": each},
    )


def _mean_context(requests: Sequence[Mapping[str, Any]]) -> float:
    """Positions held in the mean step: each request's prompt and half its answer, as often as it has
    tokens.
    """
    pairs = [
        (float(one["input_len"]), float(one["output_len"]))
        for one in requests
        if one.get("input_len") is not None and one.get("output_len")
    ]
    steps = math.fsum(output for _, output in pairs)
    return math.fsum((prompt + output / 2.0) * output for prompt, output in pairs) / steps if steps else NAN


def _decode(row: Row) -> ib.Measurement:
    base = _base(row)
    step, power = row.positive("median_itl_ms", unit=MILLI), row.positive("avg_power_watts")
    each, rate = row.positive("energy_per_token_joules"), row.positive("output_throughput_tokens_per_sec")
    if not math.isnan(power) and not math.isnan(rate) and not 0.8 < each * rate / power < 1.25:
        raise row.fault(
            "energy_per_token_joules",
            f"{each:g} J per token at {rate:g} tokens/s is {each * rate:.4g} W, avg_power_watts says"
            f" {power:g}",
            "both are sums over GPUs; one of them is per GPU or of another unit",
        )
    batch = row.axes(batch="avg_batch_size")
    return ib.Measurement(
        **base,
        software=row.text("software"),
        phase="decode",
        axes=batch,
        latency_s=step,
        tpot_s=step,
        tokens_per_s=rate,
        power_w=power,
        energy_j=each * batch.get("batch", NAN),
        statistic="median",
        conditions={ib.Condition.STEADY_STATE},
        caveats=("steady state: prefill of new requests is interleaved",),
        extra={**row.extra(), "energy_per_token_joules": each},
    )


def _image(row: Row, item: str) -> ib.Measurement:
    base = _base(row)
    axes = row.axes(
        batch="batch_size",
        steps="inference_steps",
        height="image_height",
        width="image_width",
        frames="num_frames",
    )
    if ITEMS[item] == "image":
        axes.pop("frames", None)
        if axes.get("height") == axes.get("width") and "height" in axes:
            axes["pixels"] = axes.pop("height")
            axes.pop("width")
    seconds, each = row.positive("batch_latency_s"), row.positive(item)
    energy = each * axes.get("batch", 1.0)
    power = row.positive("avg_power_watts")
    return ib.Measurement(
        **base,
        software=row.text("software"),
        phase=ITEMS[item],
        axes=axes,
        latency_s=seconds,
        power_w=energy / seconds if math.isnan(power) else power,
        energy_j=energy,
        extra=row.extra(),
    )


def _read(path: Path) -> list[ib.Measurement]:
    return gather(path, list(_records(path)), _build, "row")


IMPORTER = ib.Importer("ml-energy", "ML.ENERGY results and leaderboard rows", _sniff, _read)
