"""Points of a set are computed together; each has the prediction that it has alone."""

from __future__ import annotations

import math

import pytest

import inferbench as ib
from inferbench.validation.validate import validate


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")
def test_a_point_of_a_set_has_the_prediction_that_it_has_alone():
    axes = [(1.0, 512.0), (8.0, 2048.0), (64.0, 512.0), (64.0, 2048.0), (256.0, 8192.0)]
    rows = [
        ib.Measurement(
            source=f"row {i}",
            chip="h100-sxm",
            network="llama3-8b",
            phase="decode",
            software="vllm",
            precision="bf16",
            axes={"batch": batch, "context": context},
            tpot_s=0.01,
        )
        for i, (batch, context) in enumerate(axes)
    ]
    known = ib.installed()
    together = validate({"all": rows}, known)
    alone = [row for one in rows for row in validate({"all": [one]}, known)]
    assert [row.code for row in together] == [row.code for row in alone]
    assert [(row.predicted, row.low, row.high) for row in together] == [
        (row.predicted, row.low, row.high) for row in alone
    ]
    assert len({row.predicted for row in together if math.isfinite(row.predicted)}) == len(axes)


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")
def test_a_point_that_does_not_fit_spoils_no_other():
    common = {"chip": "h100-sxm", "network": "llama3-8b", "phase": "decode", "software": "vllm"}
    rows = [
        ib.Measurement(source="good", axes={"batch": 8.0, "context": 2048.0}, tpot_s=0.01, **common),
        ib.Measurement(source="bad", axes={"batch": 1e6, "context": 2048.0}, tpot_s=0.01, **common),
    ]
    good, bad = validate({"all": rows}, ib.installed())
    (alone,) = validate({"all": rows[:1]}, ib.installed())
    assert (good.predicted, good.code) == (alone.predicted, alone.code)
    assert bad.code == "infeasible"
