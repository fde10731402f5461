"""What a row of a plain CSV is of: an operator with its shape, or a phase of a network with its axes."""

from __future__ import annotations

import math
from typing import Any

import inferbench as ib
from inferbench_importers.plain_linear import linear_fields
from inferbench_importers.record import NAN, Row

__all__ = ["PREFIXES", "op_fields", "time", "work_fields"]

PREFIXES = {"ms": 1e-3, "s": 1.0, "us": 1e-6, "ns": 1e-9}
COLLECTIVES = {
    "all_reduce": "all_reduce",
    "allreduce": "all_reduce",
    "all_gather": "all_gather",
    "allgather": "all_gather",
    "reduce_scatter": "reduce_scatter",
    "alltoall": "all_to_all",
    "all_to_all": "all_to_all",
    "send": "send",
}
ATTENTION = {
    "context_attention": "context",
    "generation_attention": "generation",
    "encoder_attention": "encoder",
}
# Attention of DeepSeek V3 beside a latent of 512 and 64 shared dimensions: keys and values are expanded for
# prompts (128 + 64 and 128 wide), absorbed for tokens.
LATENT = {
    "mla_context": ("context", {"head_dim": 192.0, "v_dim": 128.0, "latent": 576.0}),
    "mla_generation": ("generation", {"head_dim": 576.0, "v_dim": 512.0, "latent": 576.0, "kv_heads": 1.0}),
}
# Layers of experts that chips with tokens of their own share, and which phase they are measured in.
WIDE = {
    "wideep_moe": "wide",
    "wideep_moe_eplb": "wide",
    "moe_context": "wide.context",
    "moe_generation": "wide.generation",
}
# Fewest rows of an expert with which layers of an even routing ran as they say: a tile, and one.
FILLED = {"moe_context": 128.0, "moe_generation": 1.0}
# How near a rate must be to tokens by time to be taken for that count.
NEAR = 0.05
# Phase of servers under load, and what `batch_kind` says where their batch is the requests in flight.
SERVING = "serving"
IN_FLIGHT = ("concurrency", "at once")

# What a run was, and what its server was told.
SAID = ("requests", "ttft_output_len", *ib.plugin.SETTINGS)

# How far two columns of one time may be apart: what rounding leaves.
ROUNDED = 0.01


def time(row: Row, name: str) -> float:
    """Return seconds from the column whose name says the unit; NaN if there is none.

    Raises:
        InferBenchError: Two columns with different units don't say the same.
    """
    found = {
        f"{name}_{prefix}": unit for prefix, unit in PREFIXES.items() if row.values.get(f"{name}_{prefix}")
    }
    seconds = {key: row.positive(key, unit=unit) for key, unit in found.items()}
    if not seconds:
        return NAN
    first, *others = seconds
    for other in others:
        if abs(seconds[other] / seconds[first] - 1.0) > ROUNDED:
            raise row.fault(
                other,
                f"{seconds[other]:g} s, and {first} says {seconds[first]:g} s",
                "remove the column that is wrong",
            )
    return seconds[first]


def settings(row: Row) -> dict[str, float]:
    """Return the settings of a row's run and server that it names.

    Raises:
        InferBenchError: One that is no number above 0.
    """
    return {name: row.positive(name) for name in SAID if row.values.get(name)}


def op_fields(row: Row, chips: int) -> dict[str, Any]:
    """Fields of a single operator: kind, shape, and what its name says beside."""
    name = row.text("op").split("(")[0].strip()
    if row.text("phase") != "op":
        row.used.discard("phase")
    if name == "gemm":
        return _op("gemm", row.axes(m="m", n="n", k="k"))
    if name in ATTENTION:
        return _op("attention", _attention(row, ATTENTION[name]), variant=ATTENTION[name])
    if name in LATENT:
        part, known = LATENT[name]
        axes = {**_attention(row, part), **known}
        # A prompt of one token runs in the prompts' kernel: nothing here costs such a thing.
        return _op("attention" if part == "generation" or axes["queries"] > 1 else name, axes, variant=part)
    linear = linear_fields(row, name)
    if linear is not None:
        return linear
    if name in COLLECTIVES:
        axes = {"payload": row.number("message_bytes"), "group": float(chips)}
        return _op("collective", axes, variant=COLLECTIVES[name])
    if name in WIDE or name.startswith("moe"):
        names = ("tp", "ep", "hidden", "inter", "topk", "experts")
        shared = {"slots": "slots", "came": "tokens_first_rank"} if name in WIDE else {}
        axes = row.axes(tokens="batch", **{key: key for key in names}, **shared)
        return _op(name if _uncovered(row, name, axes) else "moe", axes, variant=WIDE.get(name, ""))
    kind = ib.op_kinds().get(name)
    fields = kind.fields if kind is not None else ("batch", *"mnk")
    return _op(name or "unknown", row.axes(**{key: key for key in fields if key in row.values}))


def _op(kind: str, axes: dict[str, float], variant: str = "") -> dict[str, Any]:
    return {"phase": "op", "op": kind, "variant": variant, "axes": axes, "refused": {}}


def _uncovered(row: Row, name: str, axes: dict[str, float]) -> bool:
    """Whether an even routing gave the kernel other experts than it is said to have: a benchmark of SGLang
    hands prompts on without filling tiles, and a few tokens to more experts than they have.
    """
    each = axes.get("tokens", NAN) * axes.get("topk", NAN) / axes.get("experts", NAN)
    return name in FILLED and row.values.get("distribution") == "uniform" and each < FILLED[name]


def _attention(row: Row, kind: str) -> dict[str, float]:
    """In generation the length is that of the keys held, and there is one query."""
    axes = row.axes(
        batch="batch", keys="input_len", heads="num_heads", kv_heads="kv_heads", head_dim="head_dim"
    )
    axes.setdefault("kv_heads", axes.get("heads", NAN))
    axes["queries"] = 1.0 if kind == "generation" else axes.get("keys", NAN)
    axes["causal"] = 0.0 if kind == "encoder" else 1.0
    return axes


def work_fields(row: Row, latency: float) -> dict[str, Any]:
    """Fields of a network's phase: its axes, times to tokens, tokens per second."""
    users = _users(row)
    queueing = bool(users) or row.text("phase") == SERVING
    phase, part = _phase(row)
    axes = (
        _image_axes(row) if phase in ("image", "denoise", "forward", "part") else _language_axes(row, phase)
    )
    if queueing:
        # In a closed loop the batch is what the scheduler makes of it; only the requests in flight are known.
        axes.pop("batch", None)
        row.used.discard("batch")
        open_loop = bool(row.values.get("request_rate"))
        load = {"request_rate": "request_rate"} if open_loop else {"concurrency": users} if users else {}
        axes.update(row.axes(**load))
    ttft, tpot = time(row, "ttft"), time(row, "tpot")
    rate, refused = _output_rate(row, phase, axes, latency)
    items = row.positive("items_per_s")
    row.used.discard("items_per_s")
    if not math.isnan(items) and math.isnan(latency):
        refused = {**refused, "items_per_s": (items, "of images or requests: give the time of a batch")}
    return {
        "phase": phase,
        "variant": part,
        "axes": axes,
        "ttft_s": ttft,
        "tpot_s": latency if math.isnan(tpot) and phase == "decode" else tpot,
        "tokens_per_s": rate,
        "refused": refused,
        "queueing": queueing,
    }


def _users(row: Row) -> str:
    """The column of requests in flight: its own, or the batch of a server that says so of it; empty: none."""
    if row.values.get("concurrency"):
        return "concurrency"
    kind = row.text("batch_kind").lower()
    known = row.text("phase") == SERVING and any(word in kind for word in IN_FLIGHT)
    return "batch" if known and row.values.get("batch") else ""


def _phase(row: Row) -> tuple[str, str]:
    written, part = row.text("phase"), row.text("op")
    if written not in ("e2e", SERVING, ""):
        return written, part
    if part:
        return {"pipeline": "image", "unet": "denoise"}.get(part.split()[0].lower(), "part"), part
    if row.values.get("steps"):
        return ("video" if row.number("frames") > 1 else "image"), ""
    return ("forward" if row.values.get("image_px") else "generate"), ""


def _image_axes(row: Row) -> dict[str, float]:
    axes = row.axes(batch="batch", pixels=("image_px",), steps="steps")
    height, width = row.number("height"), row.number("width")
    if "pixels" not in axes and height == width:
        axes["pixels"] = height
    elif not math.isnan(height + width) and height != width:
        axes.update(height=height, width=width)
    return axes


def _language_axes(row: Row, phase: str) -> dict[str, float]:
    axes = row.axes(batch="batch", context=("input_len", "context"), output=("output_len", "output"))
    if phase in ("prefill", "decode"):
        output = axes.pop("output", 0.0)
        row.used.difference_update(("output_len", "output"))
        if phase == "decode" and "context" in axes:
            # The mean over the steps: the prompt and half of what is generated.
            axes["context"] += output / 2.0
    return axes


def _output_rate(
    row: Row, phase: str, axes: dict[str, float], latency: float
) -> tuple[float, dict[str, tuple[float, str]]]:
    """Generated tokens per second, or why there are none; a rate that counts the prompt too is told by
    arithmetic and corrected.

    Where nothing tells what a whole request's rate counts, it stays in `extra`.
    """
    rate = row.number("tokens_per_s")
    if math.isnan(rate) or phase == "decode":
        return row.positive("tokens_per_s"), {}
    batch, prompt, output = (axes.get(name, NAN) for name in ("batch", "context", "output"))
    counts = row.text("tokens_counted").lower().replace(" ", "")
    if phase == "generate" and counts.startswith(("output,system", "input+output,system")):
        share = output / (prompt + output) if counts.startswith("input") else 1.0
        return row.positive("tokens_per_s") * share, {}
    counted = rate * latency / batch
    if phase == "generate" and abs(counted / output - 1.0) < NEAR:
        return row.positive("tokens_per_s"), {}
    if phase == "generate" and abs(counted / (prompt + output) - 1.0) < NEAR:
        return rate * output / (prompt + output), {}
    row.positive("tokens_per_s")
    row.used.discard("tokens_per_s")
    if phase == "generate":
        return NAN, {"tokens_per_s": (rate, "of whole requests: nothing tells whether the prompt is counted")}
    timed = not math.isnan(latency) or not math.isnan(time(row, "ttft"))
    # Beside a time it says the same again.
    return NAN, {} if timed else {"tokens_per_s": (rate, f"of '{phase}': give the time of a batch")}
