"""Published rates through the whole road: chip and network specs, operator graph, fabric, stack."""

from __future__ import annotations

import pytest

import inferbench as ib

for needed in ("inferbench_specs", "inferbench_llm", "inferbench_fabrics"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")


def rate(system, network, **settings):
    run = ib.run(system, f"{network}/decode", **{"stack": "ideal", **settings})
    assert run.values(run.feasible).all()
    return float(1.0 / run.values(run.seconds).item())


@pytest.mark.parametrize(
    ("system", "network", "context", "published"),
    [
        ("576xgroq-lpu:tp36pp16", "llama2-70b", 4096, 300),
        ("32xgroq-lpu:tp16pp2", "llama2-7b", 2048, 750),
        ("40xgroq-lpu:tp4pp10", "llama3-8b", 2048, 800),
    ],
)
def test_groq_of_2024_is_within_15_percent(system, network, context, published):
    settings = {"precision": "int8", "context": context}
    assert rate(system, network, stack="groq-2024", **settings) == pytest.approx(published, rel=0.15)
    # hops and bandwidth alone are an order of magnitude too fast
    assert rate(system, network, **settings) > 10 * published


def test_one_wafer_is_reproduced():
    settings = {"precision": "fp16", "context": 2048}
    assert rate("wse-3", "llama3.1-8b", stack="cerebras-2024", **settings) == pytest.approx(1800, rel=0.01)
    # crossing the wafer is hardware: of the waiting an eighth remains where software costs nothing
    assert 5 * 1800 < rate("wse-3", "llama3.1-8b", **settings) < 10 * 1800


def test_no_placement_on_a_wafer_beats_the_bound():
    """WaferLLM (He et al., OSDI 2025) decodes Llama 3 8B at 2,700 tokens/s per user on a WSE-2."""
    assert rate("wse-2", "llama3-8b", precision="fp16", context=2048) > 2700


def test_a_network_too_big_for_the_chips_is_refused_with_the_numbers():
    run = ib.run("groq-lpu", "llama3-8b/decode", precision="int8", context=2048, stack="ideal")
    assert not run.values(run.feasible).any()
