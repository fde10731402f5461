"""The one road, on the toy plugin alone: expected values are reckoned by hand from its round numbers.

A toy chip does 200 TOP/s in fp8 and 1 TB/s; the toy network is four layers and a head of 10,000 x 10,000.
One product in fp8 reads 100 MB of weights (100 us) and 20 kB of activations per token (0.02 us), and
computes 1 us per token.
"""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.errors import InferBenchError
from inferbench.records.host import Across
from inferbench.records.stack import Stack

US = 1e-6


@pytest.fixture
def run(toy):
    def go(system="toy-chip", **more):
        settings = {"precision": "fp8", "scenario": "toy", "registry": toy, **more}
        return ib.run(system, "toy-net/decode", **settings)

    return go


def one(array):
    (value,) = np.ravel(array)
    return float(value)


def test_one_token_is_bound_by_memory(run):
    result = run()
    assert one(result.seconds) == pytest.approx(5 * 100.02 * US, rel=1e-14)
    assert one(result.roofline) == pytest.approx(5 * 100 * US, rel=1e-14)
    assert one(result.useful) == 5 * 2e8
    assert one(result.ridge) == 200.0
    assert np.ravel(result.bound).tolist() == ["memory.hbm"]


def test_many_tokens_are_bound_by_compute(run):
    result = run(batch=200)
    assert one(result.seconds) == pytest.approx(5 * 200 * US, rel=1e-14)
    assert one(result.roofline) == pytest.approx(5 * 200 * US, rel=1e-14)
    assert np.ravel(result.bound).tolist() == ["compute"]


def test_the_three_factors_by_hand(run):
    """Useful time 5 x 1 us, roofline 5 x 100 us, model 5 x 100.02 us."""
    result = run()
    ideal = result.useful / result.peak
    assert one(ideal / result.roofline) == pytest.approx(0.01, rel=1e-14)
    assert one(result.roofline / result.model) == pytest.approx(100 / 100.02, rel=1e-14)
    assert one(result.model / result.seconds) == 1.0


def test_a_stack_stretches_the_model(run, toy, tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        'title = "S"\n[time]\nmodel = "roofline"\n[time.efficiency.memory]\ndefault = 0.5\n'
        '[time.launch]\ndefault = "3 us"\n'
        '[host]\nstep = "1 us"\nsequence = "2 us"\n'
    )
    result = run(stack=str(path), batch=[1, 4])
    expected = [(5 * (2 * (100 + 0.02 * b) + 3) + 1 + 2 * b) * US for b in (1, 4)]
    np.testing.assert_allclose(np.ravel(result.seconds), expected, rtol=1e-14)
    np.testing.assert_allclose(
        np.ravel(result.model), [5 * (100 + 0.02 * b) * US for b in (1, 4)], rtol=1e-14
    )


def test_tensor_parallel_halves_the_weights_and_adds_an_exchange(run):
    """Half of the weights 50 us; half of the inputs and all outputs (or the reverse) 0.015 us; an all-reduce
    of
    10 kB over 100 GB/s takes 0.1 us and one hop 1 us."""
    result = run("2xtoy-chip:tp2", breakdown=True)
    assert one(result.seconds) == pytest.approx(5 * (50.015 + 0.1 + 1.0) * US, rel=1e-14)
    assert [row.name for row in result.ops] == ["layer", "layer.all_reduce", "head", "head.all_gather"]
    assert one(result.silicon) == pytest.approx(5 * 50.015 * US, rel=1e-14)
    assert one(result.roofline) == pytest.approx(5 * 100 * US / 2, rel=1e-14)
    assert one(result.needed) == 2.5e8 + 15e3


@pytest.mark.parametrize("layout", ["tp2", "dp2", "pp2"])
def test_a_grid_too_large_to_remember_says_what_a_small_one_says(run, layout):
    """20,001 points and more are evaluated without keeping any graph."""
    many = run(f"2xtoy-chip:{layout}", batch=np.arange(1.0, 20_003.0))
    few = run(f"2xtoy-chip:{layout}", batch=[1, 20_000])
    for name in ("seconds", "model", "bound_seconds", "roofline", "silicon", "needed"):
        large, small = (np.ravel(one.values(getattr(one, name))) for one in (many, few))
        assert [large[0], large[19_999]] == pytest.approx(small.tolist(), rel=1e-12), name
    assert np.ravel(many.values(many.roofline))[0] == pytest.approx(5 * 100 * US / 2, rel=1e-12)


def test_a_pipeline_takes_the_sum_of_its_stages_at_batch_1(run):
    """All five products one after the other, and one hand-over of 10 kB: 1.1 us."""
    result = run("2xtoy-chip:pp2")
    assert one(result.seconds) == pytest.approx((5 * 100.02 + 1.1) * US, rel=1e-14)
    assert one(result.needed) == 3e8 + 20e3


def test_a_full_pipeline_takes_its_fullest_stage_per_microbatch(run):
    """Four sequences are two microbatches of two; three of five products stand in the fullest stage, which
    hands over 20 kB: 1.2 us."""
    result = run("2xtoy-chip:pp2", batch=4)
    assert one(result.seconds) == pytest.approx(2 * (3 * 100.04 + 1.2) * US, rel=1e-14)


def test_data_parallel_divides_the_batch(run):
    result = run("2xtoy-chip:dp2", batch=[1, 2, 7])
    per_replica = [1, 1, 4]
    expected = [5 * (100 + 0.02 * b) * US for b in per_replica]
    np.testing.assert_allclose(np.ravel(result.seconds), expected, rtol=1e-14)


def test_the_fastest_layout_that_fits_is_searched_point_by_point(run):
    """At batch 1 two chips halve the weights; at batch 1000 compute binds, and dp2 needs no exchange."""
    result = run("2xtoy-chip", batch=[1, 1000])
    found = [str(result.layouts[int(i)]) for i in np.ravel(result.values(result.layout))]
    assert found == ["tp2", "dp2"]
    assert {str(layout) for layout in result.layouts} == {"tp2", "pp2", "dp2"}


def test_infeasible_is_a_value_with_a_reason(run):
    result = run(precision=["fp8", "bf16"])
    assert np.ravel(result.values(result.feasible)).tolist() == [True, False]
    assert np.all(np.isfinite(result.values(result.seconds)))
    assert [reason.code for reason in result.reasons] == ["capacity"]
    numbers = result.reasons[0].numbers
    assert float(np.max(numbers["need"])) == 1e9
    assert float(np.max(numbers["bound"])) == 2.0


def test_ignoring_capacity_makes_everything_fit(run):
    result = run(precision="bf16", ignore_capacity=True)
    assert bool(np.all(result.feasible))
    assert one(result.seconds) == pytest.approx(5 * 200.04 * US, rel=1e-14)


def test_the_largest_batch_fills_the_memory(run):
    """600 MB hold 500 MB of weights and 20 kB of activations per sequence: 5,000 sequences."""
    result = run(batch="max")
    assert one(result.batch) == 5000.0
    assert bool(np.all(result.feasible))
    assert not bool(np.all(run(batch=5001).feasible))


def test_the_largest_batch_is_solved_per_precision(run):
    result = run("4xtoy-chip:tp4", batch="max", precision=["fp8", "bf16"])
    per_token = [(2500 + 10000) * 1.0, (2500 + 10000) * 2.0]
    expected = [np.floor((6e8 - w / 4) / a) for w, a in zip((5e8, 1e9), per_token, strict=True)]
    assert np.ravel(result.values(result.batch)).tolist() == expected


def test_the_largest_batch_of_what_never_fits_is_1_and_infeasible(run):
    result = run(batch="max", precision="bf16")
    assert one(result.batch) == 1.0
    assert not bool(np.any(result.feasible))


def test_options_choose_what_counts(run):
    assert one(run(options={"head": False}).useful) == 4 * 2e8
    with pytest.raises(InferBenchError) as caught:
        run(options={"haed": False})
    assert str(caught.value) == "options of toy-mlp: haed: unknown key\n  did you mean 'head'?"


def test_a_fallback_is_flagged(run):
    result = run(precision=["fp8", "int8", "bf16"], ignore_capacity=True)
    assert result.formats == ("fp8", "bf16", "bf16")
    assert np.ravel(result.values(result.flags["precision-fallback"])).tolist() == [False, True, False]
    np.testing.assert_array_equal(np.ravel(result.values(result.peak)), [200e12, 100e12, 100e12])


def test_a_precision_the_chip_cannot_compute_is_infeasible(run):
    result = run(precision=["fp8", "fp64"], ignore_capacity=True)
    assert np.ravel(result.values(result.feasible)).tolist() == [True, False]
    assert [reason.code for reason in result.reasons][-1] == "precision"


def test_power_is_not_known_without_a_model(run):
    result = run()
    assert np.isnan(result.energy.watts)
    assert result.energy.why == "no power model is installed (pip install inferbench-power)"


def test_counts_never_wrap(run, toy):
    """4096 x 10^6 x 16384^2 is 1.1e18, and 10^9 tokens more go far beyond int64."""
    network = attrs.evolve(
        toy.network("toy-net"), params=attrs.evolve(toy.network("toy-net").params, width=10**9)
    )
    toy._entries["networks"]["toy-net"] = attrs.evolve(toy.entries("networks")["toy-net"], record=network)
    result = run(batch=np.array([2**40], dtype=np.int64), ignore_capacity=True)
    assert one(result.useful) == pytest.approx(5 * 2 * 2**40 * 10**18, rel=1e-12)
    for array in (
        result.useful,
        result.seconds,
        result.roofline,
        result.compulsory,
        result.needed,
        result.items,
    ):
        assert np.asarray(array).dtype == np.float64


def test_a_formula_that_raises_names_plugin_and_operator(run, toy):
    class Branches(type(toy.architecture("toy"))):
        def gemm(self, op, site):
            return ib.Cost(busy={"compute": 1.0 if op.m > 2 else 2.0})

    toy._entries["architectures"]["toy"] = attrs.evolve(
        toy.entries("architectures")["toy"], record=Branches()
    )
    with pytest.raises(InferBenchError) as caught:
        run(batch=[1, 4])
    where = f"{Branches.__module__}: toy.gemm(layer)"
    assert str(caught.value).startswith(f"{where}: ValueError: The truth value of an array")
    assert str(caught.value).endswith(
        "formulas see whole grids: use inferbench.where, maximum and ceil_div instead of if, max and int"
    )


def test_a_group_without_a_link_is_told(run, toy):
    chip = attrs.evolve(toy.chip("toy-chip"), interconnect={})
    toy._entries["chips"]["toy-chip"] = attrs.evolve(toy.entries("chips")["toy-chip"], record=chip)
    with pytest.raises(InferBenchError) as caught:
        run("2xtoy-chip:tp2")
    assert str(caught.value) == (
        "toy-chip.toml: interconnect: a group of 2 chips needs a link, and the spec has none\n"
        "  add [interconnect.scale_up] with fabric, bandwidth and size"
    )


def test_a_step_that_takes_no_time_ends_without_a_warning(toy):
    """An architecture that says zero of every operator: there is nothing that could overlap."""

    class Swift(type(toy.architecture("toy"))):
        def gemm(self, op, site):
            cost = super().gemm(op, site)
            return attrs.evolve(cost, busy={name: 0.0 * busy for name, busy in cost.busy.items()}, exposed={})

    stack = Stack(name="half", title="Half", overlap_across=Across(share=0.5))
    known = toy.with_records("architectures", [Swift()]).with_records("stacks", [stack])
    settings = {"precision": "fp8", "scenario": "toy", "registry": known, "stack": "half"}
    assert one(ib.run("toy-chip", "toy-net/decode", **settings).seconds) == 0.0
