"""Measured latencies of eight SN40L sockets: one waiting time per layer for Llama 3 8B; Llama 2 7B scored
beside it.
"""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

import inferbench_data
import pytest
from inferbench_cgra.fit import errors, fit, left_out, plain_errors, plain_tau, report
from inferbench_cgra.published import LLAMA2_7B, LLAMA3_8B


def test_five_rows_within_ten_percent():
    """tau near 12 us; from the longest row by hand: (1.6055 - 1.1727 - 0.0315 - 0.03) ms / 32 = 11.6 us."""
    fitted = fit(LLAMA3_8B)
    assert 11e-6 < fitted.tau < 13e-6
    assert 9e-6 < fitted.low < fitted.high < 15e-6
    assert max(map(abs, errors(LLAMA3_8B, fitted.tau))) < 0.10
    assert max(map(abs, left_out(LLAMA3_8B))) < 0.10
    assert fit([LLAMA3_8B[-1]]).tau == pytest.approx(11.6e-6, rel=0.01)


def test_the_shortest_formula_does_it_too():
    """W / (n BW) = 16.06 GB / 12.8 TB/s = 1.2547 ms, and L tau: the same within a microsecond per layer."""
    plain = plain_tau(LLAMA3_8B)
    assert LLAMA3_8B[0].streaming == pytest.approx(1.2547e-3, rel=1e-4)
    assert plain.tau == pytest.approx(11e-6, rel=0.03)
    assert max(map(abs, plain_errors(LLAMA3_8B, plain.tau))) < 0.10


def test_the_smaller_network_ran_slower_and_stays_out():
    """6.7B parameters took 1.08 to 1.71 times as long as 8.0B at every length: no property of the hardware
    does that.
    """
    ratios = [small.seconds / big.seconds for small, big in zip(LLAMA2_7B, LLAMA3_8B, strict=True)]
    assert min(ratios) > 1.0
    assert [row.floor for row in LLAMA2_7B] < [row.floor for row in LLAMA3_8B]
    own = [fit([row]).tau * 1e6 for row in LLAMA2_7B]
    assert own == pytest.approx([57, 50, 46, 17, 39], abs=1)
    assert all(error < -0.09 for error in errors(LLAMA2_7B, fit(LLAMA3_8B).tau))


def test_the_stack_carries_what_was_fitted():
    stack = tomllib.loads((files("inferbench_cgra") / "stacks" / "sn40l-2024.toml").read_text())
    value, unit = stack["tuning"]["cgra"]["tau"].split()
    assert unit == "us"
    assert float(value) * 1e-6 == pytest.approx(fit(LLAMA3_8B).tau, rel=5e-3)
    assert stack["fit"]["rows"] == len(LLAMA3_8B)


def test_the_report_says_what_was_not_fitted():
    text = "\n".join(report())
    assert "another software state, not fitted" in text
    assert len(re.findall(r"Llama 2 7B +\d", text)) == 5


def test_transcription_agrees_with_the_compiled_table():
    table = {
        (row["network"], int(row["input_len"]), row["latency_s"])
        for row in inferbench_data.table("dataflow_published").rows()
        if row["chip"] == "SambaNova SN40L" and row["phase"] == "e2e" and row["batch"] == 1.0
    }
    names = {"Llama 3 8B": "meta-llama/Meta-Llama-3-8B", "Llama 2 7B": "meta-llama/Llama-2-7b-hf"}
    assert {(names[row.network], row.length, row.seconds) for row in (*LLAMA3_8B, *LLAMA2_7B)} == table
