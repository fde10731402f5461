"""Priors of classes: known effects are found again, and chips left out lie in their intervals."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.priors import Effects, left_out, predict, prior_for, priors
from inferbench.calibration.samples import Sample
from inferbench.specs.assemble_stack import stack_from

pytestmark = pytest.mark.needs_plugins("chips/mi300x", "chips/tpu-v6e", "stacks/groq-2024", "importers/csv")


BETWEEN, SOFTWARE, WITHIN = 0.30, 0.15, 0.10
SHARES = np.array([0.6, 0.5, 0.5])


def made(seed=7, chips=24, versions=4, rows=12):
    """Steps of a known class: memory or arithmetic at known shares, errors of known spread."""
    pull = np.random.default_rng(seed)
    for c in range(chips):
        own = pull.normal(0.0, BETWEEN)
        for v in range(versions):
            state = own + pull.normal(0.0, SOFTWARE)
            for k in range(rows):
                phase = ("decode", "prefill")[k % 2]
                memory, compute = (4e-3, 1e-3) if phase == "decode" else (1e-3, 40e-3)
                work = np.array([[memory, compute, 0.0, 0.0, 0.0, 0.0]])
                true = float(np.max(work[0, :3] / SHARES))
                seconds = true * math.exp(state + pull.normal(0.0, WITHIN))
                yield Sample(
                    f"chip{c}", f"vendor{c % 6}", "made", f"v{v}", "net", phase, "made", seconds, work
                )


@pytest.fixture(scope="module")
def known():
    return list(made())


def test_figures_and_effects_are_found_again(known):
    found = next(one for one in priors(known) if one.architecture == "made" and not one.vendor)
    # Of 24 chips that differ by 0.30 the mean is known to 0.06; figures are drawn a little to their start.
    assert np.exp(found.figures[:2]) == pytest.approx([0.6, 0.5], rel=0.15)
    for effects in found.effects.values():
        assert effects.between == pytest.approx(BETWEEN, rel=0.35)
        assert effects.software == pytest.approx(SOFTWARE, rel=0.35)
        assert effects.within == pytest.approx(WITHIN, rel=0.2)
        assert effects.chips == 24


@pytest.mark.slow
def test_chips_left_out_lie_in_their_intervals_nine_times_in_ten():
    missed = list(left_out(list(made(chips=14, versions=2, rows=6))))
    assert 0.82 <= np.mean([one.covered for one in missed]) <= 0.97


def test_a_chip_left_out_is_told_what_the_others_say():
    """Four chips alike and a fifth that takes twice as long: each is off from the mean of the others."""
    work = np.array([[4e-3, 1e-4, 0.0, 0.0, 0.0, 0.0]])
    some = [
        Sample(f"c{i}", f"v{i}", "made", f"s{k}", "n", "decode", "t", slow * seconds, work)
        for i, slow in enumerate((1.0, 1.0, 1.0, 1.0, 2.0))
        for k, seconds in enumerate((8e-3, 8.8e-3))
    ]
    found = list(left_out(some))
    assert [id(one.sample) for one in found] == [id(one) for one in some]
    assert {one.prior for one in found} == {"class-made"}
    last = [one.error for one in found if one.sample.chip == "c4"]
    # Twice as long as all others, 10 % between its own two rows; figures of the others lie between these.
    assert last[0] - last[1] == pytest.approx(math.log(1.1))
    assert sum(last) / 2 == pytest.approx(-math.log(2.0), abs=0.02)
    first = [one.error for one in found if one.sample.chip == "c0"]
    assert sum(first) / 2 == pytest.approx(math.log(2.0) / 4, abs=0.05)
    assert all(one.covered == (abs(one.error) <= 1.6449 * one.log_error) for one in found)


def test_chips_that_are_as_expected_to_the_last_bit_have_intervals_all_the_same():
    """Steps of bytes alone, at the six tenths of the bandwidth that is expected before anybody measures."""
    work = np.array([[4e-3, 0.0, 0.0, 0.0, 0.0, 0.0]])
    same = [
        Sample(f"c{i}", f"v{i}", "made", f"s{k // 2}", "n", "decode", "t", 4e-3 / 0.6, work)
        for i in range(5)
        for k in range(4)
    ]
    found = next(one for one in priors(same) if one.name == "class-made")
    assert np.exp(found.figures[0]) == pytest.approx(0.6)
    assert 0.0 <= found.effects["decode"].log_error < 1e-3


def test_no_class_is_faster_than_datasheets():
    """Steps of half the time that their bytes and operations take at full rates: both shares end at one."""
    work = np.array([[4e-3, 0.0, 0.0, 0.0, 0.0, 0.0]]), np.array([[0.0, 4e-3, 0.0, 0.0, 0.0, 0.0]])
    some = [
        Sample(f"c{i}", f"v{i}", "made", "s", "n", phase, "t", 2e-3, one)
        for i in range(3)
        for phase, one in zip(("decode", "prefill"), work, strict=True)
    ]
    assert np.exp(priors(some)[-1].figures[:2]) == pytest.approx([1.0, 1.0], rel=1e-3)


def test_rows_that_stand_alone_say_nothing_of_what_differs_within():
    """Two rows of one version differ by 0.2 in logs: a variance of 0.02. Single rows of others have none."""
    work = np.array([[4e-3, 1e-4, 0.0, 0.0, 0.0, 0.0]])
    rows = [("a", "v1", 0.1), ("a", "v1", -0.1), ("a", "v2", 0.0), ("b", "v1", 0.0), ("c", "v1", 0.0)]
    some = [
        Sample(chip, chip, "made", version, "n", "decode", "t", 8e-3 * math.exp(off), work)
        for chip, version, off in rows
    ]
    prior = next(one for one in priors(some) if one.name == "class-made")
    assert prior.effects["decode"].within == pytest.approx(math.sqrt(0.02))
    assert prior.chips == ("a", "b", "c")


def test_the_error_of_an_unseen_chip_holds_all_three_effects_and_the_error_of_the_mean():
    # 0.09 (1 + 1/9) + 0.01 + 0.04 = 0.15
    assert Effects(90, 9, 0.3, 0.1, 0.2).log_error == pytest.approx(math.sqrt(0.15))
    assert Effects(90, 9, 0.3, 0.1, 0.2, 2.0).log_error == pytest.approx(2.0 * math.sqrt(0.15))


def test_an_operator_takes_as_long_as_its_slowest_engine_and_its_waits():
    # max(1 ms / 0.5, 3 ms / 1.0, 0) + 0.5 ms exposed + 2 x 10 us + 1 x 100 us = 3.62 ms
    one = Sample("c", "v", "a", "s", "n", "decode", "t", 3.62e-3, np.array([[1e-3, 3e-3, 0, 5e-4, 2.0, 1.0]]))
    assert predict([one], np.log([0.5, 1.0, 1.0, 1e-5, 1e-4])) == pytest.approx([0.0], abs=1e-12)


def test_the_narrowest_class_is_taken(known):
    found = priors(known)
    assert prior_for(found, "made", "vendor0").vendor == "vendor0"
    assert prior_for(found, "made", "nobody").name == "class-made"
    assert prior_for(found, "other", "nobody").name == "class-any"


def test_more_software_narrows_the_interval():
    """A class of two chips is as wide as all classes are; with ten more of them it is known better."""
    some, more = list(made(chips=3)), list(made(chips=16))
    wide, narrow = (
        next(one for one in priors(rows) if one.architecture == "made" and not one.vendor).effects["decode"]
        for rows in (some, more)
    )
    seen = [math.sqrt(1.0 + 1.0 / one.chips) for one in (wide, narrow)]
    assert seen[0] > seen[1]


@pytest.fixture(scope="module")
def published_times(tool, samples_once):
    """At most twenty published times of every chip and software, evenly spread, and all of those with few:
    every chip weighs the same, so one row less of a chip with two would say more than a hundred of the H200.
    """
    fit = tool("tools/priors_page.py")
    fit.samples_of = samples_once
    groups = defaultdict(list)
    for one in fit.samples(ib.installed())[0]:
        groups[one.chip, one.software].append(one)
    return fit, [one for rows in groups.values() for one in rows[:: -(-len(rows) // 20)]]


@pytest.mark.xdist_group("refits of classes")
@pytest.mark.slow
def test_published_times_of_chips_left_out_lie_in_their_intervals(published_times):
    fit, samples = published_times
    missed = fit.pooled(list(left_out(samples)))
    chips = {one.sample.chip for one in missed}
    each = [np.mean([one.covered for one in missed if one.sample.chip == chip]) for chip in chips]
    assert len(chips) >= 17
    assert 0.85 <= np.mean(each) <= 0.95
    others = [one.covered for one in missed if one.sample.table == "other_vendors"]
    assert 0.85 <= np.mean(others) <= 0.97


@pytest.mark.needs_plugins("stacks/class-any")
def test_shipped_priors_say_what_they_rest_on():
    registry = ib.installed()
    found = [registry.stack(name) for name in registry.names("stacks") if registry.stack(name).grade]
    assert {stack.architectures for stack in found} >= {(), ("simt",), ("systolic",), ("dataflow",)}
    for stack in found:
        assert stack.grade == "class"
        assert stack.fit.rows == sum(part.rows for part in stack.fit.parts.values())
        assert set(stack.fit.steps) == {"decode", "generate"}
        for part in stack.fit.parts.values():
            # The interval is no narrower than what differs between rows of one chip.
            assert part.log_error > 0.5 * part.sd > 0


def test_a_written_prior_reads_back(known):
    from inferbench.calibration.prior_files import prior_stack

    prior = next(one for one in priors(known) if one.architecture == "made" and not one.vendor)
    text = prior_stack(prior, "Made", (), "a test", "2026-11-26")
    stack = stack_from(text.encode(), "class-made", "class-made.toml", None)
    assert (stack.grade, stack.architectures, stack.vendors) == ("class", ("made",), ())
    assert stack.figures.efficiency["memory"]["default"] == pytest.approx(
        math.exp(prior.figures[0]), abs=1e-3
    )
    assert stack.fit.steps["decode"] == pytest.approx(prior.effects["decode"].log_error, abs=1e-3)
