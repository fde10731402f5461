"""Every shipped chip has an expected value, a grade and an interval, or the reason in words."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.errors import InferBenchError
from inferbench.records.choice import BOUND, CALIBRATED, GRADES, TRANSFERRED

pytestmark = pytest.mark.needs_plugins(
    "chips/tpu-v5p", "stacks/groq-2024", "architectures/imc", "architectures/cgra"
)


KNOWN = ib.installed()
# The first that a chip can hold and compute is asked.
WORK = (
    "llama3-70b/decode",
    "llama3-8b/decode",
    "llama3.2-1b/decode",
    "qwen2.5-0.5b/decode",
    "resnet-50/forward",
)
FORMATS = ("bf16", "fp16", "fp8", "int8", "int4", "fp4")


def asked(chip):
    """The run of the largest network that the chip, or a few of it, can hold; None if there is none."""
    precision = next(name for name in FORMATS if name in KNOWN.chip(chip).peak)
    why = []
    for work in WORK:
        try:
            table = ib.compare([f"{chip}@best"], work, precision=precision, batch=1)
        except InferBenchError as error:
            why.append(str(error))
            continue
        (run,) = table.runs
        if "capacity-unknown" in run.flags:  # nobody knows whether it fits: a bound, and this reason
            why += table.notes
        elif np.all(run.feasible) and np.isfinite(run.values(run.seconds)).all():
            return run, why
        why += [run.to_dict()["results"][0]["reason"] or "", run.unknown, *table.notes]
    return None, [text for text in why if text]


@pytest.mark.parametrize("chip", KNOWN.names("chips"))
def test_every_chip_gives_a_value_with_a_grade_and_an_interval_or_says_why_not(chip):
    run, why = asked(chip)
    if run is None:
        assert any(" " in text for text in why), "a reason in words"
        return
    assert int(run.grade.ravel()[0]) < BOUND, run.choice.why
    name = run.latency
    low, high = (float(np.ravel(end)[0]) for end in run.interval(name))
    assert 0 < low < float(np.ravel(run[name])[0]) < high
    # No software beats the bound, whatever is expected of it.
    bound = ib.run(
        run.system,
        f"{run.network.name}/{run.phase}",
        precision=run.grid.precisions[0],
        stack="ideal",
        **dict(run.grid.axes),
    )
    assert float(np.ravel(run.seconds)[0]) >= float(np.ravel(bound.seconds)[0]) * (1 - 1e-12)


def test_nearly_all_chips_are_answered():
    lacking = [chip for chip in KNOWN.names("chips") if asked(chip)[0] is None]
    # Of a Hailo-10H's memory no bandwidth was published, of a Hailo-8's no size: the reasons that they give.
    assert set(lacking) <= {"hermes", "hailo-8", "hailo-10h"}, lacking


@pytest.mark.parametrize(
    ("system", "work", "published"),
    [
        # Groq, February 2024: 300 tokens per second and user (TechPowerUp); Cerebras, August 2024: 1,800.
        ("groq-lpu", "llama3-70b/decode", 300.0),
        ("wse-3", "llama3.1-8b/decode", 1800.0),
    ],
)
def test_published_rates_of_single_users_lie_in_their_intervals(system, work, published):
    precision = "int8" if system == "groq-lpu" else "fp16"
    (run,) = ib.compare([f"{system}@best"], work, precision=precision, batch=1, context=1000).runs
    low, high = (float(np.ravel(end)[0]) for end in run.interval("tokens_per_s_per_user"))
    assert low < published < high
    assert float(np.ravel(run["tokens_per_s_per_user"])[0]) == pytest.approx(published, rel=0.1)


@pytest.mark.parametrize("chip", ["rtx-4090", "rngd", "l4", "groq-3-lpu"])
def test_more_bandwidth_or_peak_is_never_slower_under_a_prior(chip):
    one = KNOWN.chip(chip)
    level = one.outermost
    faster = attrs.evolve(one.memory[level], bandwidth=2.0 * one.memory[level].bandwidth)
    better = (
        attrs.evolve(one, memory={**one.memory, level: faster}),
        attrs.evolve(one, peak={name: 2.0 * value for name, value in one.peak.items()}),
    )
    precision = "fp8" if chip == "groq-3-lpu" else "bf16"

    def seconds(of, phase):
        run = ib.run(
            ib.System(of),
            f"llama3-8b/{phase}",
            precision=precision,
            batch=[1, 64],
            stack="best",
            ignore_capacity=True,
        )
        assert GRADES[int(run.grade.ravel()[0])] == "class"
        return np.asarray(run.values(run.seconds))

    for phase in ("decode", "prefill"):
        assert all(np.all(seconds(other, phase) <= seconds(one, phase) * (1 + 1e-12)) for other in better)


def test_grades_order_from_best_to_bound():
    assert CALIBRATED < TRANSFERRED < BOUND
    assert len(GRADES) == 4


def test_the_three_factors_make_the_utilization_under_a_prior():
    run = ib.run("mi300x@best", "llama3-8b/decode", batch=[1, 64], precision="bf16")
    product = run["algorithm"] * run["hardware"] * run["software"]
    assert product == pytest.approx(run["utilization"])
