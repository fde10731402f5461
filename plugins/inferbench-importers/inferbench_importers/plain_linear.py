"""Kernels of linear attention in a plain CSV: the short convolution before it, and the recurrence."""

from __future__ import annotations

from typing import Any

from inferbench_importers.record import NAN, Row

__all__ = ["linear_fields"]

# By the block that they are of: the rule, and bytes per number of a state. Of 32 bits, large steps of gated
# delta nets would beat the bandwidth of an H100; Kimi's kernels keep 32 bits.
BLOCKS = {"gdn": ("delta", 2.0), "kda": ("kda", 4.0), "mamba2": ("mamba2", 2.0)}
STAGES = ("context", "generation")
# Heads, and the shape of a head's state.
DELTA = {"heads": "v_heads", "key_dim": "k_dim", "value_dim": "v_dim"}
MAMBA = {"heads": "num_heads", "key_dim": "state_dim", "value_dim": "head_dim"}


def linear_fields(row: Row, name: str) -> dict[str, Any] | None:
    """Fields of a kernel of linear attention; None where a row is of something else.

    Such rows say no format: activations are of 16 bits.

    Args:
        row: With the columns of the table `linear_attention` of inferbench-data.
        name: What its column `op` says: `gdn`, `kda`, `mamba2`.
    """
    stage = str(row.values.get("stage", ""))
    if name not in BLOCKS or stage not in STAGES:
        return None
    rule, width = BLOCKS[name]
    axes = row.axes(batch="batch", tokens="queries")
    axes["tokens"] = 1.0 if stage == "generation" else axes.get("tokens", NAN)
    # A prompt of one token runs in the prompts' kernel: nothing here costs such a thing.
    there = stage == "generation" or axes["tokens"] > 1.0
    common = {"phase": "op", "refused": {}, "precision": "bf16"}
    if "conv" in str(row.values.get("kernel", "")):
        axes["channels"] = _channels(row, rule)
        return {**common, "op": "convolution" if there else name, "variant": "", "axes": axes}
    axes |= row.axes(**(MAMBA if rule == "mamba2" else DELTA))
    axes |= {"element_bytes": width, "products": 2.0 if rule == "mamba2" else 3.0}
    return {**common, "op": "recurrence" if there else name, "variant": rule, "axes": axes}


def _channels(row: Row, rule: str) -> float:
    """Channels of a short convolution.

    Gated delta nets with 16 and with 64 heads of values take the same time in the table, at the latter three
    times the bandwidth of an H100: only channels as many as the keys have were convolved.
    """
    if rule == "mamba2":
        inner = row.number("num_heads") * row.number("head_dim")
        return inner + 2.0 * row.number("groups") * row.number("state_dim")
    keys = row.number("k_heads") * row.number("k_dim")
    return keys if rule == "delta" else 2.0 * keys + row.number("v_heads") * row.number("v_dim")
