"""Laws of expected values, under every shipped stack: identity, order, monotonicity, grid = points."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib
from inferbench.model.choice import ForeignStack

pytestmark = pytest.mark.needs_plugins(
    "chips/b200", "chips/groq-lpu", "chips/tpu-v6e", "networks/llama3.2-1b", "stacks/ideal"
)

KNOWN = ib.installed()
# One of each architecture, for stacks that name no chip; layouts without stages, which cut odd batches anew.
CHIPS = ("b200", "tpu-v6e", "16xgroq-lpu:tp16", "sn40l", "corsair")
COUNTS = {"groq-lpu": "16xgroq-lpu:tp16"}
BATCHES = [1.0, 2.0, 3.0, 8.0, 24.0, 33.0, 64.0, 65.0, 128.0, 129.0, 256.0]
CONTEXTS = [128.0, 500.0, 2048.0, 8192.0]


def asked(name, **axes):
    """A run under the stack on the chip that it was fitted on, else on the first that it applies to."""
    domain = KNOWN.stack(name).domain
    own = [COUNTS.get(chip, chip) for chip in domain.chips if chip in KNOWN.entries("chips")]
    for system in own[:1] or CHIPS:
        chip = KNOWN.chip(system.removeprefix("16x").partition(":")[0])
        formats = [one for one in (*domain.precisions, "bf16", "fp16", "int8") if one in chip.peak]
        try:
            return ib.run(system, "llama3.2-1b/decode", stack=name, precision=formats[0], **axes)
        except ForeignStack:
            continue
    raise AssertionError(f"{name} applies to none of {CHIPS}")


@pytest.fixture(params=KNOWN.names("stacks"))
def name(request):
    return request.param


@pytest.fixture
def run(name):
    return asked(name, batch=BATCHES, context=CONTEXTS)


def test_more_work_never_takes_less_time_and_no_software_beats_the_bound(run):
    seconds = np.where(run.values(run.feasible), run.values(run.seconds), np.nan)
    assert np.isfinite(seconds).any()
    for axis in (0, 1):
        steps = np.diff(np.log(seconds), axis=axis)
        assert np.all((steps >= -1e-9) | np.isnan(steps))
    bound = run.values(run.bound_seconds)
    assert np.all((seconds >= bound * (1 - 1e-12)) | np.isnan(seconds))


def test_the_three_factors_make_the_utilization(run):
    product = run["algorithm"] * run["hardware"] * run["software"]
    assert product == pytest.approx(run["utilization"], nan_ok=True)


def test_a_point_is_what_the_grid_says_of_it(name, run):
    for i, j in ((0, 0), (4, 2), (10, 1)):
        point = asked(name, batch=BATCHES[i], context=CONTEXTS[j])
        for field in ("seconds", "log_error"):
            here, there = (one.values(getattr(one, field)) for one in (point, run))
            np.testing.assert_array_equal(here.item(), there[i, j, 0])
