"""Mean board power that was published, and the fit that the coefficients come from."""

import attrs
import numpy as np
import pytest
from inferbench_power.coefficients import own
from inferbench_power.fitting import Figures, kernels_frees, steps_frees
from inferbench_power.model import Linear

import inferbench as ib

NETWORKS = {"llama2-7b": (32, 4096, 32, 32, 11008, 32000), "llama3-8b": (32, 4096, 32, 8, 14336, 128256)}


def count(network, batch, prompt, tokens):
    """Operations and HBM bytes of a whole run in 16 bits: weights once per step, keys and values, what goes
    in and out of products.
    """
    layers, width, heads, kv, hidden, vocabulary = NETWORKS[network]
    body = layers * (2 * width * (heads + kv) * 128 + 3 * width * hidden)
    head, state = width * vocabulary, layers * 2 * kv * 128 * 2
    moved = 2 * layers * (8 * width + 2 * kv * 128 + 4 * hidden)
    context, score = prompt + (tokens + 1) / 2, layers * 4 * heads * 128
    ops = batch * (2 * body * prompt + 2 * head + score * prompt**2 / 2)
    ops += tokens * batch * (2 * (body + head) + score * context)
    read = (tokens + 1) * 2 * (body + head) + tokens * batch * state * context
    return ops, read + batch * prompt * state + (prompt + tokens) * batch * moved


# argonne-lcf/LLM-Inference-Bench, Plots/Fig_16_a_b/power_results.csv and Plots/All_results.csv at 4211f5d:
# vLLM, bf16, 1024 tokens in and out, seconds of the whole batch, mean watts.
@pytest.mark.parametrize(
    ("chip", "network", "batch", "seconds", "measured"),
    [
        ("a100-sxm-40gb", "llama3-8b", 1, 14.936, 228.8),
        ("a100-sxm-40gb", "llama3-8b", 16, 19.914, 264.3),
        ("a100-sxm-40gb", "llama3-8b", 64, 36.162, 315.8),
        ("a100-sxm-40gb", "llama2-7b", 16, 25.051, 293.0),
        ("h100-sxm", "llama3-8b", 1, 8.098, 363.3),
        ("h100-sxm", "llama3-8b", 64, 18.809, 455.5),
        ("h100-sxm", "llama2-7b", 32, 18.988, 550.3),
    ],
)
def test_within_the_stated_error(chip, network, batch, seconds, measured):
    record = own()[chip]
    ops, moved = count(network, batch, 1024.0, 1024.0)
    model = (
        record.baseline.value + record.op.value * ops / seconds + record.bytes["hbm"].value * moved / seconds
    )
    assert abs(model / measured - 1) < 0.175  # the largest error that the coefficient files state is 17%


CHIP = ib.Chip(
    name="mine",
    title="Mine",
    vendor="V",
    architecture_type="simt",
    architecture=None,
    peak={"bf16": 1000e12},
    memory={"hbm": ib.MemoryLevel(80e9, 3e12)},
    power=ib.Power(tdp=500.0, idle=100.0),
)


class TestDeclared:
    def test_an_operation_lets_the_chip_run_its_peak_within_its_limit(self):
        """500 W less a quarter of it, over 1000 TOP/s: 0.375 pJ at most."""
        op, byte, _ = steps_frees(CHIP)
        assert (op.low, op.high) == (0.0, pytest.approx(0.375e-12, abs=0.0, rel=1e-9))
        assert byte.table == "bytes.hbm"
        assert byte.low == pytest.approx(48e-12, abs=0.0, rel=1e-9)

    def test_an_operation_of_a_step_takes_no_less_than_products_alone_on_that_process(self):
        """The B200's bf16 products, 0.466 pJ at 4 nm; a finer process may take less."""
        limit = ib.Power(tdp=700.0, idle=70.0)
        for node, least in ((4e-9, 0.466e-12), (7e-9, 0.466e-12), (3e-9, 0.0), (float("nan"), 0.0)):
            one = attrs.evolve(CHIP, power=limit, silicon=ib.Silicon(node=node))
            assert steps_frees(one)[0].low == pytest.approx(least, abs=0.0, rel=1e-9)

    def test_a_logit_is_free_only_where_readings_count_logits(self):
        assert [free.table for free in steps_frees(CHIP) if free.action] == ["logits"]

    def test_kernels_alone_free_the_baseline_too(self):
        baseline, _, _ = kernels_frees(CHIP)
        assert (baseline.low, baseline.high) == (125.0, 500.0)

    def test_figures_that_are_given_take_the_place_of_the_class(self):
        """125 W + 0.2 pJ x 500 TOP/s + 100 pJ x 1 TB/s."""
        model = Linear().under(CHIP, Figures(op=0.2e-12, bytes={"hbm": 100e-12}))
        counts = ib.ActivityCounts(
            {"ops": 500e12, "bytes.hbm": 1e12}, 1.0, 1, ib.Precision.of(["bf16"]), ("bf16",)
        )
        energy = model.energy(counts, ib.System(CHIP))
        assert float(np.ravel(energy.watts)[0]) == pytest.approx(325.0)
        assert not energy.estimated

    def test_what_ships_says_its_command(self):
        assert set(Linear().fitted()) == {"a100-sxm-40gb", "h100-sxm", "b200"}
        for chip, (fit, figures) in Linear().fitted().items():
            assert f"--chip {chip}" in fit.command
            drawn = {"logits"} if "llm_energy.csv" in fit.command else set()
            assert {"op", "bytes.hbm", "log_error"} | drawn == set(figures)
