"""Eight bits are each chip's own fastest format of that width, and the table says which."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib
from inferbench.errors import InferBenchError
from inferbench.model.own_formats import own_formats

pytestmark = pytest.mark.needs_plugins(
    "chips/tpu-v5p", "chips/groq-lpu", "chips/a100-sxm-80gb", "suites/reference"
)


@pytest.mark.parametrize(
    ("chip", "own"),
    [
        # Published peaks: int8 twice bf16 on TPU v5p, the A100 and Inferentia2; fp8 on GPUs since Hopper.
        ("tpu-v5p", "int8"),
        ("a100-sxm-80gb", "int8"),
        ("inferentia2", "int8"),
        ("groq-lpu", "int8"),
        ("corsair", "int8"),
        ("b200", "fp8"),
        ("h100-sxm", "fp8"),
        ("b300", "fp8"),
        ("gaudi-3", "fp8"),
        ("trainium2", "fp8"),
    ],
)
def test_a_chip_takes_its_own_format_of_eight_bits(chip, own):
    known = ib.installed()
    assert own_formats(["8bit", "bf16"], known.chip(chip), known)[0] == [own, "bf16"]


def test_the_word_is_nobodys_alias():
    assert ib.installed().alias("precisions", "8bit") == "8bit"
    with pytest.raises(InferBenchError, match="9bit"):
        ib.sweep(["b200"], "llama3-8b/decode", batch=1, context=2048, precision="9bit")


def test_a_sweep_of_eight_bits_compares_each_chip_in_its_own_format():
    """One name for all chips, so that they meet in the same points; the numbers are of int8 on the TPU."""
    chips = ["b200@ideal", "tpu-v5p@ideal"]
    ours = ib.sweep(chips, "llama3-8b/decode", batch=[1, 64], context=2048, precision="8bit")
    tpu = ib.sweep(chips[1:], "llama3-8b/decode", batch=[1, 64], context=2048, precision="int8")
    assert "TPU v5p: 8bit is int8" in ours.report().tables[0].notes
    assert ours.space.count == tpu.space.count == 2
    assert np.array_equal(ours.space.values["utilization"][1], tpu.space.values["utilization"][0])


@pytest.mark.parametrize(
    "ask",
    [
        lambda bits: ib.frontier("2xtpu-v5p", "llama3-8b", batch=[1, 8], precision=bits),
        lambda bits: ib.size("llama3-8b/decode", "tpu-v5p", 10, tpot="50ms", precision=bits),
        lambda bits: ib.simulate("tpu-v5p", "llama3-8b", concurrency=2, requests=6, output=8, precision=bits),
    ],
)
def test_searches_and_replays_take_the_chips_own_format(ask):
    def numbers(bits):
        found = ask(bits).to_dict()["results"]
        rows = found if isinstance(found, list) else [found]
        return [{name: row[name] for name in row if name != "precision"} for row in rows]

    assert repr(numbers("8bit")) == repr(numbers("int8"))


def test_a_run_in_eight_bits_is_the_run_in_the_chips_format_and_says_so():
    own = ib.run("tpu-v5p", "llama3-8b/decode", precision="8bit", stack="ideal")
    named = ib.run("tpu-v5p", "llama3-8b/decode", precision="int8", stack="ideal")
    assert own["tpot_s"] == named["tpot_s"]
    assert own.grid.precisions == ("int8",)
    assert any("8 bits are int8" in said for said in own.notes.values())


def test_a_comparison_names_the_format_of_each_chip():
    """TPU v5p multiplies int8 at 918 TOP/s; in fp8 it would fall back to bf16 at 459."""
    table = ib.compare(["b200", "tpu-v5p"], "llama3-8b/prefill", precision="8bit", stack="ideal")
    gpu, tpu = table.runs
    assert (gpu.grid.precisions, tpu.grid.precisions) == (("fp8",), ("int8",))
    assert float(np.squeeze(tpu.peak)) == 918e12
    assert not np.any(tpu.flags["precision-fallback"])
    assert "fp8/int8" in table.report().tables[0].title


def test_the_reference_suite_asks_for_eight_bits():
    table = ib.compare(["b200", "tpu-v5p"])
    assert {run.grid.precisions[0] for run in table.runs} == {"fp8", "int8"}
    assert "fp8 (B200), int8 (TPU v5p)" in table.report().tables[0].title
