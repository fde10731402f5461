"""Replicas of a search: what a search leaves out, and what it remembers, changes no figure."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.model.evaluate import evaluate
from inferbench.records.grid import Grid
from inferbench.records.system import Layout, System
from inferbench.serving.replica import Question, replica
from inferbench.serving.steady_state import Traffic

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "networks/mixtral-8x7b")

BATCHES = (1.0, 7.0, 64.0)


def question(network, stack="vllm-h100"):
    known = ib.installed()
    return Question(
        network=known.network(network),
        traffic=Traffic(prompt=1000.0, output=300.0),
        batches=BATCHES,
        precisions=("bf16",),
        chunks=(512.0,),
        stack=known.stack(stack),
        scenario=None,
        registry=known,
    )


@pytest.mark.parametrize("network", ["llama3-8b", "mixtral-8x7b"])
@pytest.mark.parametrize("layout", ["tp4", "pp2", "tp2dp2"])
def test_a_bare_run_has_the_seconds_and_watts_of_a_full_one(network, layout):
    asked, cut = question(network), Layout.parse(layout)
    case = asked.case(System(asked.registry.chip("h100-sxm"), cut.chips, cut), "token")
    full = attrs.evolve(case, graphs=None, causes=True, ideal=True)
    grid = Grid.of({"batch": BATCHES, "context": [512.0, 4096.0]}, ["bf16", "fp8"])
    bare = evaluate(attrs.evolve(case, bare=True, causes=False), grid, [cut])
    whole = evaluate(full, grid, [cut])
    for name in ("seconds", "roofline", "needed"):
        np.testing.assert_array_equal(getattr(bare, name), getattr(whole, name))
    np.testing.assert_array_equal(bare.energy.watts, whole.energy.watts)
    np.testing.assert_array_equal(bare.feasible, whole.feasible)
    for name in ("log_error", "model", "bound_seconds"):
        assert np.isnan(getattr(bare, name)).all()
        assert np.isfinite(getattr(whole, name)).all()
    assert not bare.causes
    assert sum(whole.causes.values()) == pytest.approx(whole.seconds)


def test_a_stack_whose_operators_overlap_asks_what_ideal_software_takes(tmp_path):
    """Its own times rest on the bound, whoever reads them."""
    path = tmp_path / "s.toml"
    path.write_text('title = "S"\nbased_on = "vllm-h100"\n[overlap_across]\nshare = 0.5\n')
    asked = question("llama3-8b", str(path))
    case = asked.case(System(asked.registry.chip("h100-sxm")), "token")
    grid = Grid.of({"batch": BATCHES, "context": [512.0]}, ["bf16"])
    bare, whole = (evaluate(attrs.evolve(case, ideal=ideal), grid, [Layout()]) for ideal in (False, True))
    assert np.isfinite(bare.seconds).all()
    np.testing.assert_array_equal(bare.seconds, whole.seconds)
    np.testing.assert_array_equal(bare.model, whole.model)


def test_replicas_that_share_graphs_are_those_that_share_nothing():
    chip = ib.installed().chip("h100-sxm")
    shared = question("mixtral-8x7b")
    for layout in (Layout(tp=2), Layout(tp=4), Layout(pp=2), Layout(tp=2, dp=2, ep=4)):
        one, other = (replica(asked, chip, layout) for asked in (shared, question("mixtral-8x7b")))
        for name in ("decode", "prefill", "occupancy"):
            np.testing.assert_array_equal(getattr(one.plain, name), getattr(other.plain, name))
        np.testing.assert_array_equal(one.chunks[512.0].steps.mixed, other.chunks[512.0].steps.mixed)
        np.testing.assert_array_equal(one.doubt["decode"], other.doubt["decode"])
    assert shared.graphs


def test_chips_of_one_question_do_not_take_each_other_s_figures():
    known = ib.installed()
    asked = question("llama3-8b", stack="ideal")
    fast, slow = (
        known.chip("h100-sxm"),
        ib.override(known.chip("h100-sxm"), {"memory.hbm.bandwidth": "1 TB/s"}),
    )
    first, second, again = (replica(asked, chip, Layout()) for chip in (fast, slow, fast))
    # Decoding one sequence is reading the weights: a chip of 3.35 TB/s does it in 1 / 3.35 of the time.
    assert float(second.plain.decode[0, 0] / first.plain.decode[0, 0]) == pytest.approx(3.35, rel=0.01)
    np.testing.assert_array_equal(first.plain.decode, again.plain.decode)


def test_no_prompts_are_cut_where_every_step_is_too_slow():
    asked, chip = question("llama3-8b"), ib.installed().chip("h100-sxm")
    assert set(replica(asked, chip, Layout()).chunks) == {512.0}
    assert not replica(attrs.evolve(asked, longest=1e-6), chip, Layout()).chunks
