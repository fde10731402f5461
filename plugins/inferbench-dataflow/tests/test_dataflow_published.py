"""Published rates: one waiting time per layer for Groq's software of 2024, networks left out in turn."""

from __future__ import annotations

import math
import tomllib
from importlib.resources import files

import attrs
import inferbench_data
import pytest
from inferbench_dataflow.fit import errors, fit, left_out, predict, report, sync
from inferbench_dataflow.published import CEREBRAS_2024, GROQ_2023, GROQ_2024


def test_one_tau_explains_the_rates_of_2024():
    """From the rates alone: 1/300/80 = 41.7, 1/750/32 = 41.7 and 1/800/32 = 39.1 us per layer, less the
    reading.
    """
    fitted = fit(GROQ_2024)
    assert 39e-6 < fitted.tau < 42e-6
    assert fitted.low < 38e-6
    assert fitted.high > 42e-6
    assert max(map(abs, errors(GROQ_2024, fitted.tau))) < 0.05


def test_a_network_left_out_is_within_15_percent():
    assert max(map(abs, left_out(GROQ_2024))) < 0.08


@pytest.mark.parametrize("tps", [(4, 1, 1), (8, 8, 8), (16, 16, 16), (72, 32, 32)])
def test_the_assumed_layouts_hardly_matter(tps):
    """Chip counts are mostly unpublished; tau moves by 7% over all layouts that could hold the networks."""
    rows = [attrs.evolve(row, tp=tp) for row, tp in zip(GROQ_2024, tps, strict=True)]
    assert fit(rows).tau == pytest.approx(fit(GROQ_2024).tau, rel=0.07)
    assert max(map(abs, left_out(rows))) < 0.15


def test_2023_was_other_software():
    """100 tok/s over 80 layers are 125 us per layer, three times as much: scored, not fitted."""
    assert fit([GROQ_2023]).tau == pytest.approx(125e-6, rel=0.01)
    assert errors([GROQ_2023], fit(GROQ_2024).tau)[0] > 1.9


def test_one_wafer_row_is_reproduced_and_validates_nothing():
    """1/1800 s less 16.06 GB at 21 PB/s (0.765 us), over 32 layers: 17.34 us."""
    fitted = fit([CEREBRAS_2024])
    assert fitted.tau == pytest.approx(17.337e-6, rel=1e-4)
    assert fitted.low != fitted.low
    assert 1 / predict(CEREBRAS_2024, fitted.tau) == pytest.approx(1800)


def test_bandwidth_alone_is_off_by_orders_of_magnitude():
    """Reading all weights once at one chip's bandwidth: 3.9, 16, 12 and 726 times too fast; shared by tp, 50
    to 253.
    """
    alone = [row.seconds * row.bandwidth / row.weights for row in (*GROQ_2024, CEREBRAS_2024)]
    assert alone == pytest.approx([3.865, 15.83, 12.45, 726.4], rel=1e-3)
    assert [row.seconds / row.reading for row in GROQ_2024] == pytest.approx([139, 253, 49.8], rel=5e-3)


@pytest.mark.parametrize(("name", "rows"), [("groq-2024", GROQ_2024), ("cerebras-2024", (CEREBRAS_2024,))])
def test_the_stacks_carry_what_was_fitted(name, rows):
    text = (files("inferbench_dataflow") / "stacks" / f"{name}.toml").read_text()
    stack = tomllib.loads(text)
    value, unit = stack["tuning"]["dataflow"]["sync"].split()
    assert unit == "us"
    assert float(value) * 1e-6 == pytest.approx(sync(rows), rel=5e-3)
    assert stack["fit"]["rows"] == len(rows)


def test_the_report_names_every_row_once():
    text = "\n".join(report())
    assert text.count("Llama 2 70B") == 2
    assert "earlier software" in text
    assert "no validation" in text


def test_transcription_agrees_with_the_compiled_table():
    rates = {
        (row["network"], row["year"], row["tokens_per_s"])
        for row in inferbench_data.table("dataflow_published").rows()
        if row["spec_decode"] == "no" and not math.isnan(row["tokens_per_s"])
    }
    ours = {(row.network.replace(" ", "-"), row.rate) for row in (*GROQ_2024, GROQ_2023, CEREBRAS_2024)}
    assert ours == {(model, rate) for model, _, rate in rates}
