"""The largest batch that fits, and what is said of what doesn't."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-70b", "networks/llama3-8b")
CONTEXTS = [128, 1000, 8192, 131072]


def test_one_more_sequence_than_the_largest_batch_never_fits():
    """Contexts whose batches differ by a thousand are searched at once: each gets its own answer."""
    asked = {"precision": "fp8", "context": CONTEXTS}
    largest = np.ravel(ib.run("h100-sxm", "llama3-8b/decode", batch="max", **asked).batch)
    assert largest[0] > 500 * largest[-1]
    for context, batch in zip(CONTEXTS, largest.tolist(), strict=True):
        run = ib.run(
            "h100-sxm", "llama3-8b/decode", precision="fp8", context=context, batch=[batch, batch + 1]
        )
        assert run.values(run.feasible).ravel().tolist() == [True, False]


def test_what_two_chips_lack_is_said_of_both_together():
    """Two H100 have 171 GB; Llama 3 70B takes 70.6 GB in fp8, and 64 sequences of 16,384 take 171.8 GB."""
    asked = {"precision": "fp8", "batch": 64, "context": 16384, "reserve": 0.0}
    run = ib.run("2xh100-sxm:tp2", "llama3-70b/decode", **asked)
    said = run.to_dict()["results"][0]["reason"]
    assert said.startswith("needs 242 GB with KV cache, has 171 GB: 1 chips or more for the weights alone")
    assert said.endswith(", 3 with KV cache")


@pytest.mark.parametrize(("system", "share"), [("h100-sxm", 1), ("4xh100-sxm:tp2dp2", 4)])
def test_operators_add_up_to_the_step(system, share):
    """The rows are of one chip; four that share a network and a batch evenly have a quarter each."""
    run = ib.run(system, "llama3-8b/decode", batch=8, context=1000, precision="bf16", breakdown=True)
    useful = sum(float(np.ravel(op.useful)[0]) for op in run.ops)
    assert useful * share == pytest.approx(float(np.ravel(run.useful)[0]))
    layer = next(op for op in run.ops if op.name == "attention")
    # 32 layers and heads of 128; of every position a product with its key and one with its value.
    assert float(np.ravel(layer.useful)[0]) * share == 8 * 32 * 1000 * 32 * 128 * 4


@pytest.mark.needs_plugins("stacks/sglang-serving-h100", "chips/h800")
@pytest.mark.parametrize(("chip", "why"), [("h100-sxm", "this chip"), ("h800", "a sibling of this chip")])
def test_software_says_on_whom_it_was_fitted(chip, why):
    run = ib.run(f"{chip}@best", "llama3-8b/decode", batch=8, context=1000, precision="bf16")
    assert run.choice.why == f"fitted on {why}"
