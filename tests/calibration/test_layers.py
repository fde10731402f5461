"""Measured layers of experts, costed: weights once for every expert, rows for every token's experts."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.layers import Layers, layer_rows
from inferbench.records.measurement import EXPERTS, Measurement

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "stacks/vllm-h100", "stacks/trtllm-1.3")
HIDDEN, INTER, TOPK, COUNT = 4096, 1536, 8, 128


def rows(*tokens: float, **extra: str) -> list[Measurement]:
    shape = {"hidden": HIDDEN, "inter": INTER, "topk": TOPK, "experts": COUNT}
    return [
        Measurement(
            source="s",
            chip="h100-sxm",
            op=EXPERTS,
            precision="bf16",
            axes={"tokens": count, **shape},
            latency_s=1e-3,
            extra=extra,
        )
        for count in tokens
    ]


def costed(*tokens: float, stack: str = "ideal") -> Layers:
    known = ib.installed()
    return layer_rows(rows(*tokens), "bf16", known.chip("h100-sxm"), known.stack(stack), known)


def test_bytes_are_those_of_all_weights_and_of_each_token():
    """Twice the bytes of T tokens less those of 2 T are the weights: three matrices of 128 experts."""
    found = costed(4096.0, 8192.0).moved
    weights = COUNT * 3 * HIDDEN * INTER * 2
    assert 2 * found[0] - found[1] == pytest.approx(weights, rel=1e-6)
    # A token's eight experts read it and write its inner and its outer vector at least.
    assert (found[1] - found[0]) / 4096 >= TOPK * 2 * (HIDDEN + 3 * INTER + HIDDEN)


def test_many_tokens_take_their_operations_and_few_their_weights():
    """An H100 has 989 TFLOP/s in bf16, and 3.35 TB/s."""
    found = costed(1.0, 2.0, 65536.0)
    rows = 65536 * TOPK
    products = rows * 2 * 3 * HIDDEN * INTER / 989e12
    # The gate reads two vectors of a row and writes one, the weighted sum reads a row and writes an eighth.
    beside = rows * 2 * (3 * INTER + HIDDEN * 9 / 8) / 3.35e12
    assert found.ideal[2] == pytest.approx(products + beside, rel=2e-3)
    one = TOPK * 3 * HIDDEN * INTER * 2 / 3.35e12
    assert found.ideal[0] == pytest.approx(one, rel=0.02)
    assert found.ideal[1] == pytest.approx(2 * one, rel=0.1)
    assert found.seconds == pytest.approx(found.ideal)


def test_software_takes_longer_and_says_how_far_off_it_is():
    found = costed(16.0, 512.0, 8192.0, stack="trtllm-1.3")
    assert np.all(found.seconds > found.ideal)
    assert np.all((found.error > 0) & (found.error < 1))
    assert found.inside.shape == found.watts.shape == (3,)
    assert np.isnan([found.watts, found.joules, found.power_error, found.energy_error]).all()
    assert np.isnan(costed(16.0).error).all()


def test_routing_that_is_not_known_is_refused():
    known = ib.installed()
    with pytest.raises(ib.InferBenchError, match="routed as 'sideways', which is not known"):
        layer_rows(
            rows(16.0, distribution="sideways"), "bf16", known.chip("h100-sxm"), known.stack("ideal"), known
        )


@pytest.mark.needs_plugins("stacks/trtllm-1.3-wide")
def test_only_experts_that_chips_share_take_the_figures_of_shared_ones():
    """A layer of one group costs as on the stack beneath; one whose tokens are sent doesn't."""
    known = ib.installed()
    chip, stacks = known.chip("h100-sxm"), [known.stack(f"trtllm-1.3-{name}") for name in ("block", "wide")]

    def seconds(**extra: str) -> list[float]:
        some = rows(256.0, distribution="balanced", **extra)
        each = [attrs.evolve(row, axes={**row.axes, "ep": 8.0}) for row in some]
        return [float(layer_rows(each, "fp8", chip, stack, known).seconds[0]) for stack in stacks]

    grouped, shared = seconds(), seconds(variant="wide")
    assert grouped[0] == grouped[1]
    assert shared[0] != shared[1]
