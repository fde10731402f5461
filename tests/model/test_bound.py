"""The bound: operators overlap as they like, and nothing published or modelled is faster."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import inferbench as ib

US = 1e-6


@pytest.fixture
def run(toy):
    def go(system="2xtoy-chip:tp2", **more):
        return ib.run(
            system, "toy-net/decode", **{"precision": "fp8", "scenario": "toy", "registry": toy, **more}
        )

    return go


def one(array):
    (value,) = np.ravel(array)
    return float(value)


def test_communication_hides_behind_memory(run):
    """Half of five products of 100 us and 0.03 us; the exchanges of 5 x 1.1 us run beside them."""
    result = run()
    assert one(result.model) == pytest.approx(5 * 51.115 * US, rel=1e-14)
    assert one(result.bound_seconds) == pytest.approx(5 * 50.015 * US, rel=1e-14)


def test_the_longest_engine_is_that_of_the_whole_step(run):
    """1,000 tokens compute for 5 x 500 us; memory's 5 x 65 us and the network's 5 x 100 us run beside it."""
    assert one(run(batch=1000).bound_seconds) == pytest.approx(5 * 500 * US, rel=1e-14)


def test_one_sequence_waits_for_every_exchange(run, toy):
    """Five hops of 60 us one after the other, longer than 250 us of reading weights."""
    chip = toy.chip("toy-chip")
    slow = {"scale_up": attrs.evolve(chip.interconnect["scale_up"], latency=60 * US)}
    system = ib.System(attrs.evolve(chip, interconnect=slow), 2, ib.Layout(tp=2))
    assert one(run(system).bound_seconds) == pytest.approx(5 * 60 * US, rel=1e-14)


def test_stages_of_a_pipeline_count_as_busy_side_by_side(run):
    """Half of five products, however they are cut; all four sequences read their weights once."""
    result = run("2xtoy-chip:pp2", batch=4)
    assert one(result.bound_seconds) == pytest.approx(2.5 * 100.08 * US, rel=1e-14)
    assert one(result.model) == pytest.approx(2 * (3 * 100.04 + 1.2) * US, rel=1e-14)


def test_a_free_layout_has_the_least_bound_of_all(run):
    """Two chips: 250.075 us cut in two, 500.1 us for a copy each, 250.05 us in two stages."""
    assert one(run("2xtoy-chip").bound_seconds) == pytest.approx(2.5 * 100.02 * US, rel=1e-14)


def test_a_stack_that_overlaps_operators_wins_a_share_of_what_is_left(run, tmp_path):
    """Half of the way from 5 x 51.115 us to 5 x 50.015 us: faster than operators in sequence can be."""
    path = tmp_path / "s.toml"
    path.write_text('title = "S"\n[overlap_across]\nshare = 0.5\n')
    result = run(stack=str(path))
    assert one(result.seconds) == pytest.approx(5 * 50.565 * US, rel=1e-12)
    assert one(result.model) == pytest.approx(5 * 51.115 * US, rel=1e-14)


def test_a_share_above_one_is_refused(run, tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('title = "S"\n[overlap_across]\nshare = 1.5\n')
    with pytest.raises(ib.InferBenchError, match="overlap_across"):
        run(stack=str(path))


def test_a_further_sequence_never_shortens_a_pipelines_step(run):
    """Four layers and a head over three stages: 8 sequences are no faster than 7, nor 4 than 3."""
    result = run("3xtoy-chip:pp3", batch=list(range(1, 20)))
    assert np.all(np.diff(result.values(result.model)[:, 0]) >= 0)
    assert np.all(np.diff(result.values(result.bound_seconds)[:, 0]) >= 0)


def test_the_cut_of_a_pipeline_does_not_depend_on_the_other_precisions(run):
    both = run("3xtoy-chip:pp3", precision=["fp8", "bf16"], batch=9)
    for k, name in enumerate(("fp8", "bf16")):
        alone = run("3xtoy-chip:pp3", precision=name, batch=9)
        for field in ("model", "bound_seconds", "needed"):
            assert np.ravel(both.values(getattr(both, field)))[k] == one(getattr(alone, field))


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/gpt-oss-20b")
@pytest.mark.parametrize("system", ["4xh100-sxm:pp4", "8xh100-sxm:pp8"])
def test_experts_in_four_bits_beside_sixteen_cut_a_pipeline_each_for_itself(system):
    names = ["bf16", "mxfp4"]
    both = ib.run(system, "gpt-oss-20b/decode", batch=64, precision=names, stack="ideal")
    for k, name in enumerate(names):
        alone = ib.run(system, "gpt-oss-20b/decode", batch=64, precision=name, stack="ideal")
        assert np.ravel(both.values(both.seconds))[k] == one(alone.values(alone.seconds))


LAYOUTS = ("tp8", "dp8", "pp8", "tp2pp4", "tp2pp2dp2", "tp4ep4dp2", "tp8ep8")


@pytest.mark.needs_plugins("chips/h100-sxm", "chips/tpu-v5p", "chips/mi300x", "networks/mixtral-8x7b")
@pytest.mark.parametrize("seed", range(8))
def test_no_run_of_a_random_system_is_faster(seed):
    """Random chips, layouts, batches and contexts: above arithmetic and weights, below every duration."""
    draw = np.random.default_rng(seed)
    chip = str(draw.choice(["h100-sxm", "mi300x", "tpu-v5p", "b200"]))
    network, phase = draw.choice(["mixtral-8x7b", "llama3-8b"]), draw.choice(["decode", "prefill"])
    layout = str(draw.choice(LAYOUTS if network == "mixtral-8x7b" else LAYOUTS[:5]))
    axes = {"batch": np.unique(draw.integers(1, 600, 5)).tolist(), "context": [int(draw.integers(64, 9000))]}
    stack = str(draw.choice(["ideal", "reference"]))
    done = ib.run(f"8x{chip}:{layout}", f"{network}/{phase}", precision=["bf16", "fp8"], stack=stack, **axes)
    bound, model, seconds = (done.values(x) for x in (done.bound_seconds, done.model, done.seconds))
    known = np.isfinite(done.values(done.peak))
    assert np.all(bound[known] <= model[known] * (1 + 1e-12))
    assert np.all(bound[known] <= seconds[known] * (1 + 1e-12))
    least = done.values(done.useful / done.peak)
    assert np.all(bound[known] >= least[known] * (1 - 1e-9))
