"""What lies outside a stack's box, in words."""

from __future__ import annotations

import pytest

import inferbench as ib
from inferbench.model.outside import outside_at

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "stacks/vllm-h100")


def said(system, workload="llama3-8b/decode", **more):
    run = ib.run(system, workload, **more)
    return outside_at(run, *next(run.points()))


def test_inside_the_box_there_is_nothing_to_say():
    assert said("h100@vllm-h100", batch=8, precision="bf16") == ()


def test_every_limit_that_is_exceeded_is_named_with_its_edge():
    # One and a half doublings beyond 64: 64 x 2^1.5 = 181.
    words = said("2xh200@vllm-h100", batch=181, context=128, precision="fp8")
    assert words == (
        "H200 SXM: fitted on h100-sxm",
        "2 chips: fitted on 1",
        "fp8: fitted in bf16, fp16",
        "batch 181: fitted to 64, 1.5 doublings beyond",
    )
    assert said("h100@vllm-h100", workload="llama3-8b/prefill", precision="bf16")[0].startswith(
        "prefill: fitted on decode"
    )


def test_bounds_and_priors_have_no_box():
    assert said("h100@ideal", batch=4096) == said("l4@class-simt", batch=4096) == ()


def test_json_says_it_too():
    row = ib.run("h200@vllm-h100", "llama3-8b/decode", precision="bf16").to_dict()["results"][0]
    assert row["grade"] == "transferred"
    assert row["rests_on"] == "h100-sxm"
    assert row["outside"] == ["H200 SXM: fitted on h100-sxm"]
    assert row["metrics"]["tokens_per_s_per_user_low"] < row["metrics"]["tokens_per_s_per_user"]
