"""Measured latencies through the whole road: chip and network specs, operator graph, stack."""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_cgra.published import LLAMA2_7B, LLAMA3_8B

import inferbench as ib

for needed in ("inferbench_specs", "inferbench_llm", "inferbench_fabrics"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")


def latency(network, row):
    settings = {"stack": "sn40l-2024", "context": row.length, "output": row.length}
    run = ib.run("8xsn40l:tp8", f"{network}/generate", **settings)
    return float(run.values(run.seconds).item())


@pytest.mark.parametrize("row", LLAMA3_8B, ids=lambda row: str(row.length))
def test_llama3_8b_is_within_10_percent(row):
    assert latency("llama3-8b", row) == pytest.approx(row.seconds, rel=0.10)


def test_llama2_7b_is_scored_and_too_fast_everywhere():
    errors = [latency("llama2-7b", row) / row.seconds - 1 for row in LLAMA2_7B]
    assert errors == pytest.approx([-0.50, -0.45, -0.42, -0.09, -0.36], abs=0.01)


def test_fusion_gains_what_bytes_waits_and_loads_say(tmp_path):
    """Decode at batch 1: 8 waits and loads per layer instead of one wait, between 2 and 13 times as the paper
    has it.
    """
    text = '{head}[tuning.cgra]\ntau = "12 us"\n{fusion}'
    seconds = {}
    for name, fusion in (("fused", ""), ("unfused", "fusion = false\nkernel_looping = false\n")):
        path = tmp_path / f"{name}.toml"
        path.write_text(text.format(head=f'title = "{name}"\n', fusion=fusion))
        run = ib.run("8xsn40l:tp8", "llama3-8b/decode", stack=str(path), context=2048)
        seconds[name] = float(run.values(run.seconds).item())
    waits_and_loads = 32 * (7 * 12e-6 + 8 * 10e-6) - 10e-6
    assert seconds["unfused"] - seconds["fused"] == pytest.approx(waits_and_loads, rel=0.02)
    assert 2 < seconds["unfused"] / seconds["fused"] < 13


def test_a_grid_is_its_points():
    lengths = [128.0, 2048.0, 8192.0]
    whole = ib.run("8xsn40l:tp8", "llama3-8b/prefill", stack="sn40l-2024", batch=[1, 16], context=lengths)
    table = whole.values(whole.seconds)
    for i, batch in enumerate([1, 16]):
        for j, length in enumerate(lengths):
            alone = ib.run(
                "8xsn40l:tp8", "llama3-8b/prefill", stack="sn40l-2024", batch=batch, context=length
            )
            assert np.ravel(table[i, j])[0] == alone.values(alone.seconds).item()
