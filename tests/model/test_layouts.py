"""Layouts that cut attention and experts apart: what every one of them must do alike."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib
from inferbench.model import partition

pytestmark = pytest.mark.needs_plugins(
    "chips/h200", "chips/tpu-v5p", "networks/mixtral-8x7b", "networks/deepseek-v3"
)

AXES = {"batch": [8, 16, 100, 1000], "context": [128, 4096]}
LAYOUTS = (
    "tp8",
    "tp8ep8",
    "dp8ep8",
    "tp2dp4ep8",
    "tp2dp4ep4",
    "tp2cp2dp2ep8",
    "cp8ep8",
    "pp2dp4ep4",
    "tp4cp2",
    "dp8",
)
# One server's software for all: the best one depends on the precisions that are asked for together.
SERVER = "sglang-serving-h200"
FIELDS = ("seconds", "model", "bound_seconds", "silicon", "roofline", "needed", "feasible")


def run(layout, phase="decode", chip="h200", network="mixtral-8x7b", **more):
    settings = {
        "precision": ["bf16", "fp8"],
        "ignore_capacity": True,
        **({} if "batch" in more else AXES),
        **more,
    }
    return ib.run(f"8x{chip}:{layout}", f"{network}/{phase}", **settings)


@pytest.mark.parametrize("phase", ["decode", "prefill"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_grid_equals_its_points(layout, phase):
    whole = run(layout, phase, stack=SERVER)
    for at, index in list(whole.points())[::3]:
        at = dict(at)
        alone = run(layout, phase, precision=at.pop("precision"), ignore_capacity=True, stack=SERVER, **at)
        for name in FIELDS:
            (value,) = np.ravel(alone.values(getattr(alone, name)))
            assert value == whole.values(getattr(whole, name))[index], name
        (joules,) = np.ravel(alone.values(alone.energy.joules))
        assert joules == whole.values(whole.energy.joules)[index]


@pytest.mark.parametrize("phase", ["decode", "prefill"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("chip", ["h200", "tpu-v5p"])
def test_order_of_times_and_more_work_takes_longer(layout, phase, chip):
    done = run(layout, phase, chip)
    known = np.isfinite(done.values(done.peak))
    bound, model, roofline = (done.values(x) for x in (done.bound_seconds, done.model, done.roofline))
    assert np.all(bound[known] <= model[known])
    assert np.all(roofline[known] <= model[known] * (1 + 1e-12))
    assert np.all(np.diff(model, axis=0)[known[1:]] >= -1e-12)
    assert np.all(np.diff(bound, axis=0)[known[1:]] >= -1e-12)


@pytest.mark.parametrize("layout", ["dp8ep8", "tp2dp4ep8", "cp8ep8", "tp8", "tp8ep8"])
def test_the_chips_together_compute_what_the_network_needs(layout):
    """By the operations that the power model is told, at a batch that all ranks share evenly."""
    plain = run("tp8", batch=64, context=1024, precision="bf16", options={"imbalance": 1.0})
    spread = run(layout, batch=64, context=1024, precision="bf16", options={"imbalance": 1.0})
    assert spread.energy.joules == pytest.approx(plain.energy.joules, rel=0.35)
    assert float(np.squeeze(spread.useful)) == float(np.squeeze(plain.useful))


def test_more_ranks_than_sequences_are_refused_with_the_reason():
    done = run("dp8ep8", batch=[4, 8], context=128, precision="bf16")
    assert np.ravel(done.values(done.feasible)).tolist() == [False, True]
    assert [reason.code for reason in done.reasons] == ["ranks"]
    assert np.all(np.isfinite(done.values(done.seconds)))


def test_a_search_shares_contexts_in_pipelines_too():
    names = {str(one) for one in partition.candidates(8, 61, 128, experts=False)}
    assert {"cp2pp4", "cp4pp2", "tp2cp2pp2", "cp8"} <= names


def test_experts_held_twice_take_memory_and_nothing_else():
    """DeepSeek-V3: 256 experts and 32 copies on 8 chips are 36 instead of 32 each, 58 layers of 44.04 M."""
    asked = {"network": "deepseek-v3", "batch": 64, "context": 128, "precision": "fp8"}
    plain, twice = (run("dp8ep8", **asked, options={"redundant": copies}) for copies in (0, 32))
    more = float(np.squeeze(twice.footprint.weights - plain.footprint.weights))
    assert more == pytest.approx(4 * 58 * 3 * 7168 * 2048, rel=1e-6)
    assert twice.values(twice.seconds) == plain.values(plain.seconds)
    assert twice.options == {"redundant": 32.0}


def test_a_search_tries_attention_and_experts_apart():
    names = {str(one) for one in partition.candidates(8, 61, 128, experts=True)}
    assert {
        "tp8",
        "tp8ep8",
        "dp8ep8",
        "tp2dp4ep8",
        "tp4dp2ep8",
        "cp8ep8",
        "pp8",
        "tp4pp2",
        "pp2dp4ep4",
    } <= names
    dense = partition.candidates(8, 61, 128, experts=False)
    assert {layout.ep for layout in dense} == {1}
    assert {layout.chips for layout in dense} == {8}
    assert all(layout.contradiction is None for layout in dense)


@pytest.mark.parametrize("count", [1, 2, 6, 8, 12, 72])
def test_every_candidate_takes_all_chips_and_reads_back(count):
    for layout in partition.candidates(count, 61, 128, experts=True):
        assert layout.chips == count
        assert ib.Layout.parse(str(layout)) == layout


@pytest.mark.parametrize("batch", [64, 256, 1024])
def test_a_rank_reads_its_own_cache_only(batch):
    """512 more positions of 61 x 576 bytes a sequence: an eighth of them on a rank, all of them on each chip
    of a tensor-parallel group.
    """

    def grown(layout):
        few, many = (
            run(layout, network="deepseek-v3", batch=batch, context=context, precision="fp8")
            for context in (1024, 1536)
        )
        return float(np.squeeze(many.busy["memory.hbm"]) - np.squeeze(few.busy["memory.hbm"]))

    cache = batch * 512 * 61 * 576 / 4.8e12
    assert grown("tp8") == pytest.approx(cache, rel=1e-6)
    assert grown("dp8ep8") == pytest.approx(cache / 8, rel=1e-6)


@pytest.mark.needs_plugins("networks/llama3-8b")
@pytest.mark.parametrize(("stages", "hops"), [(2, 1), (4, 3), (8, 7)])
def test_a_pipeline_hands_its_activations_over_once_per_further_stage(stages, hops):
    """1,000 tokens of 4,096 channels in 2 bytes: 8.192 MB per hop."""
    found = ib.run(
        f"{stages}xh200:pp{stages}", "llama3-8b/prefill", context=1000, stack="ideal", precision="bf16"
    )
    link = found.system.chip.interconnect["scale_up"].bandwidth
    busy = float(np.squeeze(found.values(found.busy["network"])))
    assert busy == pytest.approx(hops * 8.192e6 / link, rel=1e-6)
