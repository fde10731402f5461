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
