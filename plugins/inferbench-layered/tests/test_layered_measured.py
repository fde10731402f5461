"""Published kernel and module times of linear and sparse attention: none beats the bound of its operators.

Of each row: useful operations over the chip's peak, or bytes of weights and state over its bandwidth, the
longer of the two. States are taken in 16 bits and products at the fastest format that a row names.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import attrs
import numpy as np
import pytest
from inferbench_layered import Attention, Indexer, LayeredOptions, Recurrence
from inferbench_llm import Layers, Sweep, TransformerParams

import inferbench as ib

inferbench_data = pytest.importorskip("inferbench_data", reason="the package of data is not installed")
pytest.importorskip("inferbench_specs", reason="the package of specs is not installed")

CHIPS = {"H100-SXM5-80GB": "h100-sxm", "B200-SXM-180GB": "b200"}
FORMATS = {"bfloat16": "bf16", "fp8_block": "fp8", "nvfp4": "nvfp4"}
NETWORKS = {
    "deepseek-ai/DeepSeek-V3.2": "deepseek-v3.2",
    "zai-org/GLM-5": "glm-5",
    "sgl-project/DeepSeek-V4-Flash-FP8": "deepseek-v4-flash",
    "sgl-project/DeepSeek-V4-Pro-FP8": "deepseek-v4-pro",
}
M3 = Attention(
    layers=1.0,
    num_attention_heads=64.0,
    num_key_value_heads=4.0,
    head_dim=128.0,
    qk_norm="head",
    indexer=Indexer(num_heads=4.0, head_dim=128.0, top_k=16.0, block=128.0, weighted=False, norms=256.0),
)


@cache
def chip(name: str) -> ib.Chip:
    return ib.installed().chip(CHIPS[name])


def bound(ops: list[ib.Op], name: str, fastest: str) -> float:
    """Seconds that no kernel can do without, all operators overlapping."""
    known = chip(name)
    peak = known.peak.get({"nvfp4": "fp4"}.get(fastest, fastest), known.peak["fp8"])
    useful = sum(float(np.max(op.useful)) for op in ops)
    moved = sum(float(np.max(op.bytes.weights + op.bytes.state)) for op in ops)
    return max(useful / peak, moved / known.memory["hbm"].bandwidth)


def recurrences() -> Iterator[tuple[dict[str, Any], Recurrence]]:
    """Rows of scans and recurrent steps, each with its operator."""
    for row in inferbench_data.table("linear_attention").rows():
        if "conv" in row["kernel"] or row["stage"] not in ("context", "generation"):
            continue
        mamba = np.isnan(row["v_heads"])
        shape = (
            (row["num_heads"], row["state_dim"], row["head_dim"])
            if mamba
            else (row["v_heads"], row["k_dim"], row["v_dim"])
        )
        heads, keys, values = shape
        tokens = 1.0 if row["stage"] == "generation" else row["tokens"] / row["batch"]
        yield (
            row,
            Recurrence(
                name="scan",
                precision=ib.Precision.of(["bf16"]),
                batch=row["batch"],
                tokens=tokens,
                heads=heads,
                key_dim=keys,
                value_dim=values,
                products=2.0 if mamba else 3.0,
                operands=heads * (keys + values),
                element_bytes=2.0,
            ),
        )


def test_no_recurrence_beats_its_bound():
    ratios = [row["latency_s"] / bound([op], row["chip"], "bf16") for row, op in recurrences()]
    assert len(ratios) > 700
    assert min(ratios) > 1.0


def test_large_recurrent_steps_are_bound_by_their_states():
    # Steps of more than 100 us move nothing else to speak of.
    ratios = [
        row["latency_s"] / bound([op], row["chip"], "bf16")
        for row, op in recurrences()
        if row["stage"] == "generation" and bound([op], row["chip"], "bf16") > 100e-6
    ]
    assert len(ratios) >= 10
    assert 1.5 < np.median(ratios) < 3.0


def module(row: dict[str, Any]) -> list[ib.Op]:
    """The operators of one layer's attention with the heads of one rank."""
    heads = float(row["num_heads"])
    hidden: float = 6144.0
    if row["network"] in NETWORKS:
        params = ib.installed().network(NETWORKS[row["network"]]).params
        hidden = params.hidden_size
        name = "attention" if params.latent else ("chosen" if row["compress_ratio"] == 4 else "pooled")
        block = (params.latent or params.compressed)[name]
        if not params.latent:
            groups = max(1.0, block.o_groups * heads / block.num_attention_heads)
            block = attrs.evolve(block, o_groups=groups)
    else:
        block = attrs.evolve(M3, num_key_value_heads=max(1.0, heads / 16))
    precision = ib.Precision.of([FORMATS[row["gemm_precision"]]])
    cache_bytes = 1.0 if row["kv_dtype"] == "fp8" else 2.0
    precision = attrs.evolve(precision, kv=np.array([cache_bytes]))
    sweep = Sweep(
        batch=row["batch"],
        start=row["input_len"] - row["queries"],
        tokens=row["queries"],
        decoding="generation" in row["op"],
    )
    trunk = TransformerParams(
        hidden_size=hidden,
        num_hidden_layers=1.0,
        num_attention_heads=1.0,
        num_key_value_heads=1.0,
        head_dim=1.0,
        intermediate_size=1.0,
        vocab_size=1.0,
    )
    one = attrs.evolve(block.resized(1.0), num_attention_heads=heads)
    return list(one.ops(Layers(trunk, sweep, precision, LayeredOptions(elementwise=False))))


def test_no_module_of_sparse_attention_beats_its_bound():
    ratios: dict[str, list[float]] = {}
    for row in inferbench_data.table("sparse_attention").rows():
        limit = bound(module(row), row["chip"], FORMATS[row["gemm_precision"]])
        ratios.setdefault(row["op"], []).append(row["latency_s"] / limit)
    assert sum(map(len, ratios.values())) > 3600
    assert min(min(found) for found in ratios.values()) > 1.0
    # The best of DeepSeek's sparse decode takes 1.6 times as long.
    assert min(ratios["dsa_generation_module"]) < 2.0
