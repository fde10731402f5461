"""Expected figures and chances, by closed forms worked by hand and by laws."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.model.chances import meets
from inferbench.model.expected import Estimate, chances, expected, ranks
from inferbench.records.choice import GRADES

Z90 = 1.6448536269514722


def estimate(middle, log_error):
    """An estimate with a given standard error of its logarithm."""
    wide = math.exp(Z90 * log_error)
    return Estimate(middle, middle / wide, middle * wide)


def test_the_interval_says_the_error():
    assert estimate(7.0, 0.25).log_error == pytest.approx(0.25)
    assert math.isnan(Estimate(7.0).log_error)


def test_the_chance_of_meeting_a_limit():
    """One standard error above the middle: 84.1 % of a normal law lie below."""
    assert estimate(10.0, 0.2).chance_below(10.0 * math.exp(0.2)) == pytest.approx(0.8413, abs=1e-4)
    assert estimate(10.0, 0.2).chance_below(10.0) == pytest.approx(0.5)
    assert Estimate(10.0).chance_below(9.0) == 0.0


@pytest.mark.parametrize("higher", [True, False])
def test_two_log_normals_have_a_closed_form(higher):
    """P(a > b) = Phi(ln(a/b) / sqrt(sa^2 + sb^2)); here ln 1.3 / 0.25 = 1.0495, which gives 0.853."""
    first, second = estimate(130.0, 0.15), estimate(100.0, 0.2)
    found = chances([first, second], higher, [True, True])
    assert found[0 if higher else 1] == pytest.approx(0.853, abs=0.002)
    assert sum(found) == pytest.approx(1.0)


def test_equals_share_the_chance():
    assert chances([estimate(5.0, 0.3)] * 4, True, [True] * 4) == pytest.approx([0.25] * 4)


def test_what_rests_on_a_bound_takes_no_part():
    found = chances([estimate(1e6, 0.1), estimate(10.0, 0.1), estimate(9.0, 0.1)], True, [False, True, True])
    assert math.isnan(found[0])
    assert found[1] + found[2] == pytest.approx(1.0)


def test_no_winner_without_a_rival():
    assert all(
        math.isnan(one) for one in chances([estimate(5.0, 0.1), Estimate(math.nan)], True, [True, True])
    )


def test_without_an_error_the_better_one_is_sure():
    assert chances([Estimate(3.0), Estimate(2.0)], True, [True, True]) == pytest.approx([1.0, 0.0])


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")
def test_a_price_is_as_uncertain_as_the_time_and_the_list_together():
    run = ib.run("h100-sxm", "llama3-8b/decode", stack="vllm-h100", precision="bf16")
    (_, index), *_ = run.points()
    found = expected(run, index)
    assert 0.0 < found.dollars.low < found.dollars.value < found.dollars.high
    assert found.dollars.low * found.dollars.high == pytest.approx(found.dollars.value**2)
    cost = run.scenario.cost(run.system, float(run.values(run.energy.watts)[index]))
    listed = math.log(cost.of(found.term, "high") / cost.of(found.term, "low")) / (2.0 * Z90)
    together = math.hypot(found.seconds.log_error, float(listed))
    assert found.dollars.log_error == pytest.approx(together)


def test_an_end_that_was_cut_leaves_the_error_to_the_other_side():
    cut = Estimate(30.0, 10.0, 40.0, limit=40.0)
    assert cut.log_error == pytest.approx(Estimate(30.0, 10.0, 90.0).log_error)
    assert cut.chance_below(40.0) == 1.0
    assert cut.chance_below(39.9) < 0.8
    assert Estimate(30.0, 25.0, 90.0, limit=25.0).chance_below(24.0) == 0.0


def test_a_figure_of_uneven_sides_and_no_limit_may_lie_beyond_both():
    """Joules at the wall err unevenly, as fixed watts err as the time does; neither end is a limit."""
    uneven = Estimate(18.5, 12.0, 28.0)
    assert uneven.log_error == pytest.approx(math.log(28.0 / 12.0) / (2.0 * Z90))
    assert 0.0 < uneven.chance_below(11.0) < 0.05
    assert 0.95 < uneven.chance_below(29.0) < 1.0
    sure = Estimate(11.0, 10.99, 11.01)
    assert chances([uneven, sure], False, [True, True])[0] > 0.01


def test_a_figure_at_its_bound_never_beats_what_lies_above():
    sure = Estimate(41.0, 40.5, 41.5)
    low, open_ended = chances([Estimate(30.0, 10.0, 40.0, limit=40.0), sure], True, [True, True])
    assert low < 0.01
    assert open_ended > 0.99
    assert chances([Estimate(30.0, 10.0, 90.0), sure], True, [True, True])[0] > 0.2


@pytest.mark.parametrize(
    ("one", "sure", "higher"),
    [
        (Estimate(30.0, 10.0, 40.0, limit=40.0), 35.0, True),
        (Estimate(10.0, 8.0, 20.0, limit=8.0), 9.0, False),
    ],
)
def test_a_limit_beyond_what_is_to_beat_takes_no_chance(one, sure, higher):
    """A wider side of a factor of 3, or of 2: to reach 35 from 30, or 9 from 10, is a share of it."""
    wide = math.log(one.value / one.low if higher else one.high / one.value) / Z90
    far = abs(math.log(sure / one.value)) / wide
    chance = 0.5 * math.erfc(far / math.sqrt(2.0))
    found = chances([one, Estimate(sure)], higher, [True, True])
    assert found == pytest.approx([chance, 1.0 - chance], abs=0.005)
    # Beyond the limit it never comes, however far it may be off to the other side.
    beyond = one.limit * (1.02 if higher else 0.98)
    assert chances([one, Estimate(beyond)], higher, [True, True]) == pytest.approx([0.0, 1.0], abs=1e-9)


@pytest.mark.needs_plugins("chips/tpu-v5p", "stacks/tpu-serving")
def test_no_interval_of_a_time_passes_the_bound():
    """TPU v5p takes the figures of its siblings, so that its interval is wide; the bound cuts it."""
    run = ib.run("tpu-v5p", "llama3-70b/decode", batch=[1, 8], context=2048, precision="int8")
    low, _ = run.interval("tpot_s")
    bound = run.values(run.bound_seconds)
    assert np.all(low >= bound * (1.0 - 1e-12))
    assert np.any(low == pytest.approx(bound, rel=1e-12))
    assert np.all(run.interval("software")[1] <= 1.0 + 1e-12)
    at = next(run.points())[1]
    point = expected(run, at)
    assert point.per_user.high == pytest.approx(1.0 / point.bound)
    never = meets(run.metrics()["tpot_s"], run, float(bound[at]) * 0.99)
    assert never[at] == 0.0
    assert (
        0.0 < meets(run.metrics()["tpot_s"], run, float(bound[at]))[at] < 0.5
    )  # at it, all that would lie below


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")
def test_points_are_ranked_by_what_was_measured_and_not_by_bounds():
    fitted, bound = (
        ib.run("h100-sxm", "llama3-8b/decode", stack=stack, precision="bf16")
        for stack in ("vllm-h100", "ideal")
    )
    at = next(fitted.points())[1]
    point = expected(fitted, at)
    assert ranks(point)
    assert not ranks(expected(bound, at))
    assert not ranks(attrs.evolve(point, seconds=Estimate(1.0)))
    assert not ranks(attrs.evolve(point, grade=GRADES.index("bound")))
    # Rates and times are of the same step: one user's, and of the chip's.
    (users,) = {float(np.ravel(fitted.values(fitted.batch))[0])}
    assert point.per_user.value * point.seconds.value == pytest.approx(1.0)
    assert point.per_chip.value == pytest.approx(users * point.per_user.value)
    assert point.per_user.low == pytest.approx(1.0 / point.seconds.high)
    assert point.seconds.limit == pytest.approx(point.bound)
    for one in (point.per_user, point.per_chip):  # rates are the other way round of times
        ends = (one.low, one.high, one.limit)
        times = (point.seconds.high, point.seconds.low, point.seconds.limit)
        assert [end / one.value for end in ends] == pytest.approx([point.seconds.value / t for t in times])
    assert point.joules.low < point.joules.value < point.joules.high


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")
@pytest.mark.parametrize(("layout", "chips"), [("tp2", 2), ("tp2dp2", 4)])
def test_figures_of_a_system_are_of_each_chip_and_each_user(layout, chips):
    """16 sequences: a chip makes their share of tokens, and the server's joules are of one token."""
    run = ib.run(
        f"{chips}xh100-sxm:{layout}", "llama3-8b/decode", batch=16, stack="vllm-h100", precision="bf16"
    )
    at = next(run.points())[1]
    point = expected(run, at)
    step = point.seconds.value
    assert step == pytest.approx(float(run.values(run.seconds)[at]))
    assert point.per_user.value == pytest.approx(1.0 / step)
    assert point.per_chip.value == pytest.approx(16.0 / chips / step)
    assert point.joules.value == pytest.approx(float(run.values(run.wall_watts)[at]) * step / 16.0)
    # A million tokens cost what the system costs in the hours that it takes for them.
    hours = 1e6 / (16.0 / step) / 3600.0
    cost = run.scenario.cost(run.system, float(run.values(run.energy.watts)[at]), run.energy.limit)
    assert point.dollars.value == pytest.approx(float(np.ravel(cost.of(point.term))[0]) * hours, rel=1e-6)


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")
def test_one_chip_has_no_layout_that_costs_time():
    """What one perfectly shared chip takes is what the model takes where there is one chip alone."""
    for stack in ("ideal", "vllm-h100"):
        run = ib.run("h100-sxm", "llama3-8b/decode", batch=[1, 64], stack=stack, precision="bf16")
        assert run.values(run.silicon) == pytest.approx(run.values(run.model))
    two = ib.run("2xh100-sxm:tp2", "llama3-8b/decode", batch=[1, 64], stack="ideal", precision="bf16")
    assert np.all(two.values(two.silicon) < two.values(two.model))  # exchanges
