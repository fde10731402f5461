"""New operators on every architecture: the identity of utilization, capacity, what a bound must satisfy."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib

pytest.importorskip("inferbench_specs", reason="the package of specs is not installed")

CHIPS = {
    "b200": "inferbench_simt",
    "tpu-v5p": "inferbench_systolic",
    "groq-lpu": "inferbench_dataflow",
    "sn40l": "inferbench_cgra",
    "corsair": "inferbench_imc",
}
NETWORKS = ("nemotron3-nano-30b", "qwen3-next-80b", "deepseek-v4-flash", "glm-5")


def one(value: object) -> float:
    return float(np.squeeze(np.asarray(value)))


@pytest.mark.parametrize("chip", sorted(CHIPS))
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("phase", ["decode", "prefill"])
def test_utilization_is_the_product_of_its_factors(chip, network, phase):
    pytest.importorskip(CHIPS[chip])
    precision = "int8" if chip == "corsair" else "bf16"
    run = ib.run(
        f"8x{chip}:tp8",
        f"{network}/{phase}",
        precision=precision,
        batch=2,
        context=4096,
        ignore_capacity=True,
    )
    factors = [one(run[name]) for name in ("algorithm", "hardware", "software")]
    assert one(run["utilization"]) == pytest.approx(np.prod(factors), rel=1e-9)
    assert all(0 < factor <= 1 + 1e-9 for factor in factors)


def test_a_decode_step_is_at_least_its_bytes_over_the_bandwidth():
    run = ib.run("8xh200:tp8", "qwen3.5-397b/decode", precision="fp8", batch=64, context=2**17)
    # 64 sequences of 2^17 positions at 15,360 B, and states read and written.
    moved = 64 * (2**17 * 15360 + 2 * 45 * (64 * 128 * 128 * 4 + 3 * 12288))
    assert one(run["tpot_s"]) > moved / (8 * 4.8e12)


def test_states_take_room_and_contexts_hardly_any():
    def largest(context: float) -> float:
        run = ib.run("1xh200", "nemotron3-nano-30b/decode", precision="fp8", batch=0, context=context)
        return one(run.batch)

    short, long = largest(2.0**12), largest(2.0**16)
    # 49.1 MB of state; 3,072 B of fp8 cache per position: a factor of 16 in context costs one of about 4.1.
    assert short / long == pytest.approx((49.1 + 3.072 * 65.536) / (49.1 + 3.072 * 4.096), rel=0.02)
