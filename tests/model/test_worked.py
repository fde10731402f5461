"""Worked examples on real specs, every expected value reckoned by hand from published numbers.

Llama 3 70B: 80 layers, hidden 8,192, 8 KV heads of 128, MLP 28,672, vocabulary 128,256; 70,553,706,496
parameters, of which the embedding's 128,256 x 8,192 = 1,050,673,152 are looked up and not multiplied. In
fp8 a parameter is a byte.
"""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib
from inferbench.model.capacity import smallest_layout
from inferbench.model.evaluate import prepare

pytestmark = pytest.mark.needs_plugins(
    "chips/tpu-v5p", "chips/groq-lpu", "architectures/dataflow", "architectures/systolic", "stacks/reference"
)

PARAMETERS = 70_553_706_496
TABLE = 128_256 * 8192
KV = 80 * 2 * 8 * 128  # bytes per position in fp8: 163,840


def one(array):
    (value,) = np.ravel(array)
    return float(value)


def run(system, workload="llama3-70b/decode", **more):
    return ib.run(system, workload, **{"precision": "fp8", "stack": "ideal", **more})


def read_per_token(context):
    """All weights but the table, one row of the table, the KV cache."""
    return PARAMETERS - TABLE + 8192 + KV * context


def test_b200_reads_its_weights_and_cache_at_8_tb_per_second():
    """69.84 GB over 8 TB/s: 8.73 ms, 114.6 tokens/s."""
    result = run("b200")
    bound = read_per_token(2048) / 8e12
    assert bound == pytest.approx(8.73e-3, rel=1e-3)
    assert one(result.roofline) == pytest.approx(bound, rel=1e-5)
    assert 0 < one(result.model) / bound - 1 < 1e-3  # activations
    assert np.ravel(result.bound).tolist() == ["memory.hbm"]


def test_b200_ridge_is_562_operations_per_byte():
    assert one(run("b200").ridge) == 4500 / 8


def test_b200_utilization_is_two_operations_per_weight_over_the_peak():
    """2 per multiplied weight, and 4 x 64 x 128 per position and layer of attention."""
    useful = 2 * (PARAMETERS - TABLE - 161 * 8192) + 80 * 4 * 64 * 128 * 2048
    result = run("b200")
    assert one(result.useful) == useful
    assert one(result.useful / result.peak / result.seconds) == pytest.approx(
        useful / 4.5e15 / one(result.seconds), rel=1e-15
    )


def test_tpu_v5p_computes_fp8_in_bf16_and_says_so():
    """70 GB / 2,765 GB/s is 25.3 ms; nobody says how fast weights load into the arrays, so memory binds."""
    result = run("tpu-v5p")
    assert result.formats == ("bf16",)
    assert bool(np.all(result.flags["precision-fallback"]))
    assert one(result.peak) == 459e12
    assert one(result.roofline) == pytest.approx(70.6e9 / 2765e9, rel=0.02)
    assert one(result.roofline) == pytest.approx(read_per_token(2048) / 2.765e12, rel=1e-5)
    assert one(result.model) == pytest.approx(one(result.roofline), rel=0.02)
    assert np.ravel(result.bound).tolist() == ["memory.hbm"]
    assert any("loading is taken to keep up with memory" in said for said in result.notes.values())


def test_b200_has_fp8_and_flags_nothing():
    assert not np.any(run("b200").flags["precision-fallback"])


@pytest.mark.parametrize(
    ("network", "weights", "with_cache"), [("llama3-70b", 307, 309), ("llama3-8b", 35, 36)]
)
def test_groq_capacity_bounds(network, weights, with_cache):
    """230 MB a chip: 70.55 GB / 230 MB = 306.8, 8.03 GB / 230 MB = 34.9; with the cache of 2,048 positions
    one or two more.
    """
    result = run("groq-lpu", f"{network}/decode")
    assert not bool(np.any(result.feasible))
    numbers = result.reasons[0].numbers
    assert (one(numbers["bound"]), one(numbers["bound_state"])) == (weights, with_cache)


def test_groq_smallest_layout_of_70b_is_336_chips():
    """Two layers to a stage over eight chips: 2 x 856 MB / 8 = 214 MB; 40 stages of layers, one for either
    end.
    """
    known = ib.installed()
    case = prepare(
        ib.System(known.chip("groq-lpu")),
        known.network("llama3-70b"),
        "decode",
        stack=known.stack("ideal"),
        registry=known,
    )
    found = smallest_layout(case, ib.Grid.of({"batch": [1], "context": [2048]}, ["fp8"]))
    assert (found.chips, str(found.layout)) == (336, "tp8pp42")
    layer = (PARAMETERS - 2 * TABLE - 8192) / 80
    assert 2 * layer / 8 < 230e6 < 3 * layer / 8
    needed = one(run("336xgroq-lpu:tp8pp42").needed)
    assert needed == pytest.approx(2 * layer / 8 + 2 * KV / 80 * 2048 / 8, rel=1e-3)


def test_groq_ignoring_capacity_8b_takes_a_tenth_of_a_millisecond():
    """8.03 GB less the table, and the cache, at 80 TB/s: 0.0950 ms; the note says 0.1 ms."""
    result = run("groq-lpu", "llama3-8b/decode", ignore_capacity=True)
    assert bool(np.all(result.feasible))
    assert one(result.model) == pytest.approx(0.1e-3, rel=0.1)


def test_largest_batch_of_70b_on_one_b200():
    """(192.3 GB - weights) over the cache of 2,048 positions and the widest operator's activations (the
    head).
    """
    room = 183_359 * 2**20 - PARAMETERS  # as the driver reports it
    each = KV * 2048 + 8192 + 128_256
    assert one(run("b200", batch="max").batch) == np.floor(room / each) == 362


def test_kv_heads_are_replicated_above_their_number():
    """16 chips share 8 KV heads: each holds one whole head, as if there were 16."""
    for degree, heads in ((4, 2), (8, 1), (16, 1), (32, 1)):
        result = run(f"{degree}xh100-sxm:tp{degree}", breakdown=True, context=8192)
        (attention,) = (row for row in result.ops if row.name == "attention")
        cache = 80 * heads * 256 * 8192
        queries = 80 * 2 * 64 / degree * 128
        assert one(attention.moved) == pytest.approx(cache + queries, rel=1e-12)


@pytest.mark.parametrize("degree", [2, 4, 8])
def test_tensor_parallel_divides_the_weights_and_reduces_twice_a_layer(degree):
    result = run(f"{degree}xh100-sxm:tp{degree}", breakdown=True)
    reduces = [row for row in result.ops if row.name.endswith("all_reduce") and row.repeat == 80]
    assert [row.name for row in reduces] == ["o.all_reduce", "down.all_reduce"]
    norms = 161 * 8192  # every chip has all of them
    assert one(result.needed) == pytest.approx(
        (PARAMETERS - norms) / degree + norms + KV * 2048 / degree, rel=1e-4
    )
    assert one(result.roofline) == pytest.approx(read_per_token(2048) / 3.35e12 / degree, rel=1e-5)
    assert one(result.model) > one(result.silicon) > one(result.roofline)


def test_a_pipeline_at_batch_1_leaves_all_other_stages_empty():
    """One sequence visits the stages one after the other: four chips take as long as one, plus three
    hand-overs.
    """
    alone, four = run("b200"), run("4xb200:pp4")
    assert one(four.model) > one(alone.model)
    assert one(four.model) == pytest.approx(one(alone.model), rel=2e-3)
    assert one(four.silicon) == pytest.approx(one(alone.model) / 4, rel=1e-9)


def test_a_full_pipeline_keeps_all_stages_busy():
    """Four microbatches over four stages: a step takes four times the fullest stage, not all four stages
    each.
    """
    alone, four = run("b200", batch=64), run("4xb200:pp4", batch=256)
    ratio = one(four.model) / one(alone.model)
    assert 1.0 < ratio < 1.06  # 20 of 80 layers, and the head


def test_reference_stack_on_prefill_is_85_percent_of_the_peak():
    """2,048 rows: interpolated between 512 (70 %) and 4,096 (85 %) at two thirds of the logarithm: 80 %."""
    ideal, real = (
        run("b200", "llama3-70b/prefill", stack=stack, breakdown=True) for stack in ("ideal", "reference")
    )
    by_hand = {row.name: row for row in ideal.ops}
    (gate_up,) = (row for row in real.ops if row.name == "gate_up")
    assert one(gate_up.seconds) == pytest.approx(one(by_hand["gate_up"].busy["compute"]) / 0.80, rel=1e-12)
