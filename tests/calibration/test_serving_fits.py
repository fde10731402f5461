"""Fits of serving and diffusion stacks hold on networks left out, by the published measurements."""

from __future__ import annotations

import functools
import math

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.recipe import Recipe
from inferbench.records.stack import Host

pytestmark = pytest.mark.needs_plugins(
    "chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100", "stacks/diffusers-h100"
)


LANGUAGE = ("vllm-a100", "vllm-h100", "tensorrt-llm-a100", "tensorrt-llm-h100")
IMAGES = {"diffusers": ("diffusers-a100", "diffusers-h100"), "xDiT": ("xdit-h100", "xdit-b200")}


@pytest.fixture(scope="module")
def again(published, fit_once):
    """Fit a shipped stack by its own command."""

    @functools.cache
    def fit(name):
        recipe = Recipe.parse(ib.installed().stack(name).fit.command)
        files = tuple(str(published(file)) for file in recipe.files)
        return fit_once(attrs.evolve(recipe, files=files), ib.installed())

    return fit


def errors(found):
    """Lines of the chip that was fitted, each with its error under the fit on the other networks."""
    return [one for one in found.steps.unseen if one.line.chip == found.chip.name]


@pytest.mark.parametrize(
    ("file", "phase", "rows", "most"),
    [
        ("llm_end_to_end.csv", "generate", 167, 0.04),
        ("llm_ttft_tpot.csv", "decode", 6, 0.05),
        ("llm_ttft_tpot.csv", "prefill", 6, 0.07),
        ("llm_ttft_tpot.csv", "generate", 56, 0.06),
    ],
)
@pytest.mark.xdist_group("refits of language models")
@pytest.mark.slow
def test_language_models_hold_on_networks_left_out(again, file, phase, rows, most):
    every = [one for name in LANGUAGE for one in errors(again(name))]
    here = [abs(one.time) for one in every if (one.line.file, one.line.phase) == (file, phase)]
    assert len(here) == rows
    assert np.mean(here) <= most


@pytest.mark.xdist_group("refits of language models")
@pytest.mark.slow
def test_intervals_cover_networks_that_had_no_part_in_their_width(again):
    parts = [part for name in LANGUAGE for part in again(name).fit.parts.values()]
    hits, total = sum(part.coverage * part.rows for part in parts), sum(part.rows for part in parts)
    assert total == 295
    assert 0.85 <= hits / total <= 0.95


def test_serving_stacks_free_host_time_and_nothing_else():
    """Every figure beside host time stands in the kernel stack beneath, or is the cited one of the A100's
    cache.
    """
    registry = ib.installed()
    for name in ("vllm-a100", "vllm-h100", "tensorrt-llm-a100", "tensorrt-llm-h100"):
        stack = registry.stack(name)
        base = registry.stack(stack.based_on)
        known = {value for table in base.figures.efficiency.values() for value in table.values()} | {0.5}
        own = {value for table in stack.figures.efficiency.values() for value in table.values()}
        assert own <= known | {1.0}
        others = {path: table for path, (table, _) in stack.tables.items() if "efficiency" not in path}
        assert {"launch", "overlap", "quantize", "loop_overlapped", "ramp_time"} <= set(others)
        for path, table in others.items():
            theirs = base.tables[path][0]
            for key, value in table.items():
                assert value in (theirs.get(key, math.nan), theirs.get("attention.generation.mha", math.nan))


@pytest.mark.parametrize(
    ("here", "table", "experts"),
    [
        ("trtllm-fused-b200-block", "trtllm-1.3-b200-block", "fp8"),
        ("trtllm-fused-h100", "trtllm-1.3", "wmxfp4a16"),
        ("trtllm-fused-h100-block", "trtllm-1.3-block", "wmxfp4a16"),
    ],
)
def test_experts_that_a_server_names_take_the_place_of_those_in_its_librarys_table(here, table, experts):
    """TensorRT-LLM serves fp8 experts on the B200 in kernels that SGLang's table has, mxfp4 ones on Hopper in
    OpenAI's Triton kernels, which vLLM's has.
    """
    known = ib.installed()
    key = f"gemm.experts.{experts}"
    mine, theirs = (_entries(known.stack(one), key) for one in (here, table))
    assert {"efficiency.compute", "efficiency.memory", "launch"} <= set(mine)
    assert mine["efficiency.memory"] != theirs["efficiency.memory"]


@pytest.mark.parametrize(
    ("server", "kernels", "key"),
    [
        ("trtllm-serving-b200-block", "trtllm-1.3-b200-latent", "attention.generation.mla.kv8"),
        ("sglang-serving-h200-block", "trtllm-1.3-mla", "attention.context.mla"),
        ("trtllm-serving-h100", "trtllm-1.3-linear", "recurrence.context.delta"),
        ("sglang-serving-h100", "sglang-0.5-h100-linear", "recurrence.generation.kda"),
    ],
)
def test_servers_stand_on_kernels_of_latent_and_linear_attention(server, kernels, key):
    known = ib.installed()
    assert _entries(known.stack(server), key) == _entries(known.stack(kernels), key) != {}


def _entries(stack, key):
    return {path: table[key] for path, (table, _) in stack.tables.items() if key in table}


def test_keys_that_each_query_head_reads_cost_a_group_more_than_those_that_are_shared():
    """Llama 3's 4 query heads per key head: 4 times the cache's bytes through an L2 of twice the memory's
    bandwidth.
    """
    points = {"batch": 64.0, "context": 4096.0}
    alone, shared = (
        float(np.ravel(ib.run("h100-sxm", "llama3-8b/decode", stack=stack, **points).seconds)[0])
        for stack in ("tensorrt-llm-h100", "vllm-h100")
    )
    cache = 64 * 4096 * 32 * 2 * 8 * 128 * 2.0
    assert alone - shared > 0.5 * cache * (4 / 6.65e12 - 1 / 3.35e12)
    few = [
        float(
            np.ravel(ib.run("h100-sxm", "llama2-7b/decode", stack=stack, batch=8.0, context=512.0).seconds)[0]
        )
        for stack in ("tensorrt-llm-h100", "vllm-h100")
    ]
    assert few[0] < few[1]  # heads with keys of their own read them once; what is left is host time


@pytest.mark.parametrize(
    ("software", "rows", "seconds", "joules"), [("diffusers", 45, 0.06, 0.08), ("xDiT", 41, 0.08, 0.08)]
)
@pytest.mark.xdist_group("refits of images")
@pytest.mark.slow
def test_images_hold_on_networks_left_out(again, software, rows, seconds, joules):
    every = [one for name in IMAGES[software] for one in errors(again(name))]
    assert len(every) == rows
    assert np.mean([abs(one.time) for one in every]) <= seconds
    assert np.mean([abs(one.joules) for one in every]) <= joules


@pytest.mark.xdist_group("refits of images")
@pytest.mark.slow
def test_power_and_energy_of_images_cover_networks_that_had_no_part_in_their_width(again):
    for figure in ("image.power", "image.joules"):
        parts = [again(name).fit.parts[figure] for names in IMAGES.values() for name in names]
        assert sum(part.rows for part in parts) == 86
        assert 0.85 <= sum(part.coverage * part.rows for part in parts) / 86 <= 0.95


def seconds(stack, **axes):
    run = ib.run("h100-sxm", "llama3-8b/generate", stack=stack, context=512.0, **axes)
    return float(np.ravel(run.seconds)[0])


def test_host_time_is_spent_once_per_prompt_and_token():
    """101 passes, of which each waits for the host once and once more for each of 8 sequences."""
    host = ib.installed().stack("vllm-h100").host
    spent = 101 * (host.step + 8 * host.sequence)
    longer = seconds("vllm-h100", batch=8.0, output=100.0)
    assert longer > spent
    more = seconds("vllm-h100", batch=8.0, output=100.0) - seconds("vllm-h100", batch=8.0, output=99.0)
    one = ib.run("h100-sxm", "llama3-8b/decode", stack="vllm-h100", batch=8.0, context=612.0)
    assert more == pytest.approx(float(np.ravel(one.seconds)[0]), rel=1e-3)


def test_a_host_that_launches_kernels_shows_where_it_is_longer():
    """1000 kernels of 10 us: 10 ms beside 1 ms of chip time, hidden beside 100 ms."""
    host = Host(kernel=10e-6)
    assert host.add(1e-3, 1000.0, 1.0, 1.0) == pytest.approx(10e-3, rel=1e-3)
    assert host.add(0.1, 1000.0, 1.0, 1.0) == pytest.approx(0.1, rel=1e-3)
    assert host.add(10e-3, 1000.0, 1.0, 1.0) == pytest.approx(10e-3 * 2 ** (1 / 6))


def test_what_software_spends_changes_power_and_not_time():
    registry = ib.Registry()
    stack = registry.stack("diffusers-h100")
    assert stack.energy["ops"] > 1
    point = {"options": {"cfg": True}, "batch": 1.0}
    eager = ib.run("h100-sxm", "sd1.5/image", stack="diffusers-h100", **point)
    plain = ib.run("h100-sxm", "sd1.5/image", stack="eager-kernels-h100", **point)
    parts = {name: float(np.ravel(joules)[0]) for name, joules in eager.energy.parts.items()}
    bare = {name: float(np.ravel(joules)[0]) for name, joules in plain.energy.parts.items()}
    assert parts["ops"] == pytest.approx(bare["ops"] * stack.energy["ops"])
    assert parts["bytes.hbm"] == pytest.approx(bare["bytes.hbm"])


@pytest.mark.parametrize(
    "name",
    [
        "vllm-a100",
        "vllm-h100",
        "tensorrt-llm-a100",
        "tensorrt-llm-h100",
        "diffusers-a100",
        "diffusers-h100",
        "xdit-h100",
        "xdit-b200",
    ],
)
def test_a_fitted_stack_says_on_what(name):
    stack = ib.installed().stack(name)
    assert stack.software
    assert stack.domain.chips
    assert stack.fit.rows >= 20
    assert stack.fit.rows == sum(file.rows for file in stack.fit.files)
    assert 0 < stack.fit.step < 0.25
    assert all(
        0 < share <= 1
        for table in stack.figures.efficiency.values()
        for share in table.values()
        if isinstance(share, float)
    )
    assert all(not math.isnan(part.error) for part in stack.fit.parts.values())
