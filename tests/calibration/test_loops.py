"""Closed loops as rows of a fit: what each further microsecond of a step costs a token."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.fits import fit_recipe
from inferbench.calibration.forms import step_form
from inferbench.calibration.line import Line
from inferbench.calibration.lines import lines_of
from inferbench.calibration.recipe import Recipe
from inferbench.calibration.steps import fit_step
from inferbench.evidence.matching import read_rows
from inferbench.records.grid import Grid
from inferbench.records.host import Host

pytest.importorskip("scipy", reason="scipy is not installed: pip install 'inferbench-core[calibrate]'")
pytestmark = pytest.mark.needs_plugins("importers/csv", "stacks/trtllm-1.3", "chips/h100-sxm", "chips/h200")

HEAD = "chip,n_chips,tp,software,network,precision,phase,concurrency,input_len,output_len,ttft_s,tpot_s"


def test_gaps_waits_and_launches_count_kernel_by_kernel():
    """100 kernels 2 us apart, 10 exchanges of 5 us, 50 launches of 20 us: 0.2 + 0.05 + 1 ms."""
    host = Host(gap=2e-6, exchange=5e-6, eager=20e-6)
    assert host.add(1e-3, 100.0, 1.0, 8.0, 10.0, 50.0) == pytest.approx(2.25e-3)
    assert host.add(1e-3, 100.0, 1.0, 8.0) == pytest.approx(1.2e-3)


def test_no_gap_lies_before_kernels_that_are_measured_as_one():
    """100 kernels 2 us apart, 30 of them measured with the one before: 70 gaps, 0.14 ms. All are launched."""
    assert Host(gap=2e-6).add(1e-3, 100.0, 1.0, 8.0, joined=30.0) == pytest.approx(1.14e-3)
    assert Host(eager=20e-6).add(1e-3, 100.0, 1.0, 8.0, 0.0, 50.0, 30.0) == pytest.approx(2e-3)


@pytest.mark.needs_plugins("networks/qwen3-30b-a3b", "workloads/moe")
def test_a_layer_of_experts_has_one_gap():
    """Its table times both products, what is between, and the weighted sum together: three of four follow."""
    known = ib.installed()
    workload, network = known.workload("moe"), known.network("qwen3-30b-a3b")
    at = Grid.of({"batch": [1.0], "context": [512.0]}, ["bf16"]).at
    layers = workload.graph(network, at, "decode", workload.options())
    joined = {op.name: op.repeat for op in layers if op.joined}
    assert joined == {"expert_activation": 48.0, "experts_down": 48.0, "combine": 48.0}


def with_host(folder, figure):
    """A file of a stack with nothing but one figure of the host on top of kernels."""
    path = folder / "other.toml"
    path.write_text(f'title = "Other"\nbased_on = "trtllm-1.3"\n[host]\n{figure}\n')
    return str(path)


@pytest.mark.parametrize(("phase", "launched"), [("decode", False), ("prefill", True)])
def test_only_prompts_are_launched_kernel_by_kernel(phase, launched, tmp_path):
    times = [
        float(np.ravel(ib.run("h100-sxm", f"llama3-8b/{phase}", stack=one, context=512.0).seconds)[0])
        for one in ("trtllm-1.3", with_host(tmp_path, 'eager = "10 us"'))
    ]
    assert (times[1] > times[0]) is launched


def a_line(network, chip, kernels, batch, gap):
    """A step of 5 ms by kernels alone whose kernels lie `gap` apart."""
    return Line(
        file="f.csv",
        chip=chip,
        chips=1,
        network=network,
        software="S",
        phase="decode",
        axes={"batch": batch, "context": 1000.0},
        groups={},
        seconds=np.array([5e-3]),
        kernels=kernels,
        passes=1.0,
        measured=5e-3 + kernels * gap,
        floor=1e-3,
        precision="bf16",
        power=None,
        together=batch,
    )


def test_chips_that_are_joined_have_one_value():
    """2 us on one chip and 4 us on the other, as many rows of each: joined it lies between."""
    lines = [
        a_line(network, chip, kernels, batch, gap)
        for chip, gap in (("h100-sxm", 2e-6), ("h200", 4e-6))
        for network, kernels in (("a", 300.0), ("b", 600.0))
        for batch in (4.0, 16.0, 64.0)
    ]
    frees = step_form(["host.gap"])
    assert fit_step("h100-sxm", lines, frees).values["host.gap"] == pytest.approx(2e-6, rel=1e-3)
    joined = fit_step("h100-sxm", lines, frees, ("h200",))
    assert 2.2e-6 < joined.values["host.gap"] < 3.8e-6
    assert joined.values == fit_step("h200", lines, frees, ("h100-sxm",)).values


def test_one_network_alone_widens_by_what_another_may_add():
    lines = [a_line("a", "h100-sxm", 300.0, batch, 2e-6) for batch in (4.0, 16.0, 64.0)]
    assert fit_step("h100-sxm", lines, step_form(["host.gap"])).step >= 0.25


def test_a_loop_is_fitted_as_it_is_replayed(tmp_path):
    """Rows made by a replay with 3 us between kernels give 3 us back; nothing of prompts is left over."""
    stack = with_host(tmp_path, 'gap = "3 us"')
    rows = [HEAD]
    for network in ("llama3-8b", "llama2-7b"):
        for users in (4, 8, 16):
            found = ib.simulate(
                "h100-sxm:tp1",
                network,
                stack=stack,
                precision="bf16",
                concurrency=users,
                requests=max(10 * users, 40),
                prompt="512",
                output="64",
            )
            tpot = found.found.found.times["tpot_s"]["mean"]
            rows.append(f"h100-sxm,1,1,TRTLLM 1.2,{network},bf16,e2e,{users},512,64,0.1,{tpot}")
    path = tmp_path / "loops.csv"
    path.write_text("\n".join(rows))
    recipe = Recipe(
        kind="serving",
        files=(str(path),),
        chip="h100-sxm",
        based_on="trtllm-1.3",
        free=("host.gap", "host.eager"),
        networks=("llama3-8b", "llama2-7b"),
    )
    found = fit_recipe(recipe, ib.installed())
    assert len(found.steps.lines) == 6
    assert found.stack.domain.loaded
    assert found.stack.host.gap == pytest.approx(3e-6, rel=0.1)
    assert found.stack.host.eager <= 2e-6


@pytest.mark.parametrize("users", [4, 16])
def test_a_loop_launches_the_kernels_of_the_prompts_that_a_token_waits_for(users, tmp_path):
    """Answers of 64 tokens: while a user gets them, every other user's prompt passes once at most."""
    path = tmp_path / "loops.csv"
    path.write_text(f"{HEAD}\nh100-sxm,1,1,Mine 1,llama3-8b,bf16,serving,{users},512,64,0.5,0.05\n")
    known = ib.installed()
    rows = [(path.name, one) for one in read_rows(path, known)]
    (line,), left = lines_of(rows, {"h100-sxm": "trtllm-1.3"}, (), False, known)
    assert left == {}
    graph = known.workload("transformer").graph(
        known.network("llama3-8b"),
        Grid.of({"batch": [1.0], "context": [512.0]}, ["bf16"]).at,
        "decode",
        known.workload("transformer").options(),
    )
    kernels = sum(float(np.squeeze(op.repeat)) for op in graph)
    assert line.kernels / line.passes == pytest.approx(kernels, rel=0.01)
    assert (line.exchanges, line.chips, line.axes["batch"]) == (0.0, 1, users)
    prompts = line.eager / kernels
    assert 0.1 * users / 64 < prompts <= 1.05 * users / 64
    assert line.batch <= users


def test_a_loop_is_above_the_roofline_of_its_mean_step(tmp_path):
    """At the mean length: 512 tokens of the prompt and half of 64. Two users have less than two sequences
    in a step, whose bytes lie between those of one and of two.
    """
    path = tmp_path / "loops.csv"
    path.write_text(f"{HEAD}\nh100-sxm,1,1,Mine 1,llama3-8b,bf16,serving,2,512,64,0.5,0.05\n")
    known = ib.installed()
    rows = [(path.name, one) for one in read_rows(path, known)]
    (line,), _ = lines_of(rows, {"h100-sxm": "trtllm-1.3"}, (), False, known)
    assert (line.axes["context"], line.axes["output"]) == (544.0, 64.0)
    run = ib.run("h100-sxm@ideal", "llama3-8b/decode", batch=[1, 2], context=544, precision="bf16")
    one, two = np.ravel(run.values(run.roofline)).tolist()
    assert 1.0 < line.batch < 2.0
    assert line.floor == pytest.approx(one + (line.batch - 1.0) * (two - one), rel=1e-9)
    assert line.floor < float(line.seconds[-1]) < line.measured == 0.05
