"""The replay by hand: steps of round durations, two or three requests, and laws that any replay obeys."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest

from inferbench.errors import InferBenchError
from inferbench.records.system import Layout
from inferbench.serving.engine import Rules
from inferbench.serving.outcome import outcome
from inferbench.serving.replay import replay, replay_disaggregated
from inferbench.serving.requests import Lengths, Requests, at_a_rate, in_a_loop
from inferbench.serving.tabulated import Axis, StepTable

NOBODY: Any = None


def toy(room: float = 1e9, watts: float = 100.0) -> StepTable:
    """A decode step lasts 10 ms, a token of a prompt 1 ms, whatever the batch and the context."""
    tokens = [16.0, 1024.0]
    return StepTable(
        layout=Layout(),
        batches=Axis([1.0, 64.0]),
        contexts=Axis([1.0, 4096.0]),
        tokens=Axis(tokens),
        pasts=Axis([0.0]),
        mean=100.0,
        decode=[[0.01, 0.01]] * 2,
        joint=[[1e-3 * count] * 2 for count in tokens],
        prompts=[[1e-3 * count] for count in tokens],
        deep=[],
        decode_watts=[[watts] * 2] * 2,
        joint_watts=[[2 * watts] * 2] * 2,
        prompt_watts=[2 * watts] * 2,
        idle=0.2 * watts,
        decode_error=[0.1, 0.1],
        prompt_error=[0.1, 0.1],
        outside=[False, False],
        room=room,
        run=NOBODY,
    )


def asked(arrival: list[float], prompt: list[int], output: list[int], **more: Any) -> Requests:
    arrays = (np.array(column, dtype=float) for column in (arrival, prompt, output))
    return Requests(**dict(zip(("arrival", "prompt", "output"), arrays, strict=True)), **more)


def test_one_request_alone():
    """100 ms for its prompt, then ten steps."""
    log, _ = replay(asked([0.0], [100], [11]), [toy()], Rules())
    assert log.first == pytest.approx([0.1])
    assert log.done == pytest.approx([0.2])


def test_a_second_prompt_rides_along_with_a_step_of_the_first():
    log, _ = replay(asked([0.0, 0.0], [100, 100], [11, 11]), [toy()], Rules(chunk=100.0))
    # 100 ms; then a step of 10 + 100 ms; the first has nine steps to go, the second ten.
    assert log.first == pytest.approx([0.1, 0.21])
    assert log.done == pytest.approx([0.30, 0.31])


def test_interleaved_prompts_let_the_others_wait():
    log, _ = replay(
        asked([0.0, 0.105], [100, 100], [11, 11]), [toy()], Rules(policy="interleaved", chunk=100.0)
    )
    # One step until 110 ms, the second prompt until 210 ms, then the first's other nine steps.
    assert log.first == pytest.approx([0.1, 0.21])
    assert log.done == pytest.approx([0.30, 0.31])
    assert max(gap for gap, _ in log.gaps) == pytest.approx(0.11)


def test_who_comes_during_a_step_takes_part_from_the_next_one_on():
    log, _ = replay(asked([0.0, 0.1234], [100, 50], [101, 2]), [toy()], Rules())
    # Steps end at 0.11, 0.12, 0.13: the newcomer's prompt lies in the step from 0.13 to 0.19.
    assert log.first[1] == pytest.approx(0.19)
    assert log.done[1] == pytest.approx(0.20)


def test_pieces_of_a_prompt():
    log, _ = replay(asked([0.0], [250], [2]), [toy()], Rules(chunk=100.0))
    assert log.first == pytest.approx([0.25])
    assert len(log.steps) == 4


def test_disaggregated_moves_the_cache_in_between():
    rules = Rules(policy="prompts", chunk=100.0), Rules(policy="tokens")
    log, _ = replay_disaggregated(asked([0.0], [100], [11]), [toy()], [toy()], rules, 1e-4)
    # 100 ms, 100 positions of 0.1 ms, ten steps.
    assert log.first == pytest.approx([0.1])
    assert log.done == pytest.approx([0.21])


def test_a_cache_that_overflows_preempts_the_newest():
    """Three blocks of 16: each request ends with 35 positions, all three of them."""
    log, engines = replay(asked([0.0, 0.0], [16, 16], [20, 20]), [toy(room=48.0)], Rules())
    assert log.preempted >= 1
    assert log.done[0] < log.done[1]
    assert all(np.isfinite(log.done))
    assert (engines[0].used, engines[0].positions) == (0.0, 0)


def test_an_engine_that_puts_nobody_off_lets_in_who_has_room_to_the_end():
    """Each needs three of five blocks of 16 to its end: the second waits, though its prompt has room."""
    two = asked([0.0, 0.0], [16, 16], [20, 20])
    log, engines = replay(two, [toy(room=80.0)], Rules(whole=True))
    assert log.preempted == 0
    assert log.first[1] > log.done[0]
    assert (engines[0].used, engines[0].due) == (0.0, 0)
    eager, _ = replay(two, [toy(room=80.0)], Rules())
    assert eager.first[1] < eager.done[0]


def test_tokens_of_those_who_decode_count_among_those_of_a_step():
    """Sixty decode: of 100 tokens 40 are left, and a prompt of 80 takes two steps instead of one."""
    many = asked([0.0] * 60 + [0.05], [1] * 60 + [80], [100] * 60 + [2])
    steps = {}
    for joint in (True, False):
        log, _ = replay(many, [toy()], Rules(chunk=100.0, joint=joint))
        steps[joint] = log.first[60] - log.first[0]
    assert steps[True] == pytest.approx(steps[False] + 0.01)


def test_a_prefix_that_another_prompt_left_is_not_processed_again():
    twice = asked([0.0, 10.0], [1100, 1100], [2, 2], hashes=((1, 2, 3), (1, 2, 4)))
    log, _ = replay(twice, [toy()], Rules())
    assert log.hit == [0, 1024]
    assert log.first[1] - 10.0 == pytest.approx(0.076)
    again, _ = replay(twice, [toy()], Rules(reuse=False))
    assert again.hit == [0, 0]


def test_a_conversation_keeps_its_history_while_there_is_room():
    three = in_a_loop(1, 3, Lengths("fixed", 100.0), Lengths("fixed", 20.0), turns=3, think=1.0)
    assert three.prompt.tolist() == [100.0, 220.0, 340.0]
    log, _ = replay(three, [toy()], Rules())
    assert log.hit == [0, 120, 240]
    assert log.arrival[1] == pytest.approx(log.done[0] + 1.0)
    other = in_a_loop(2, 6, Lengths("fixed", 100.0), Lengths("fixed", 20.0), turns=3, think=1.0)
    tight, _ = replay(other, [toy(room=400.0)], Rules())
    assert sum(tight.hit) < 720


def test_requests_go_to_the_replica_with_the_fewest():
    log, engines = replay(asked([0.0] * 4, [100] * 4, [11] * 4), [toy(), toy()], Rules(chunk=100.0))
    assert [one.peak for one in engines] == [2, 2]
    assert sorted(log.first) == pytest.approx([0.1, 0.1, 0.21, 0.21])


class TestLaws:
    LENGTHS = Lengths("lognormal", 200.0, 0.8), Lengths("lognormal", 60.0, 0.8)

    @pytest.mark.parametrize("policy", ["chunked", "interleaved"])
    @pytest.mark.parametrize("room", [1e9, 6000.0])
    def test_every_token_comes_once(self, policy, room):
        log, engines = replay(
            in_a_loop(24, 300, *self.LENGTHS), [toy(room)], Rules(policy=policy, chunk=256.0)
        )
        assert log.finished == 300
        assert engines[0].used == 0
        if not log.preempted:
            assert sum(count for _, count in log.gaps) == sum(log.output) - 300
        first, done = np.array(log.first), np.array(log.done)
        assert np.all(first >= np.array(log.arrival))
        assert np.all(done >= first + 0.01 * (np.array(log.output) - 1) - 1e-9)

    def test_steps_twice_as_long_take_twice_the_time_of_a_closed_loop(self):
        loop = in_a_loop(8, 100, *self.LENGTHS)
        slow = attrs.evolve(toy(), scale=2.0)
        one, two = (outcome(*replay(loop, [table], Rules())) for table in (toy(), slow))
        assert two.times["ttft_s"]["p99"] == pytest.approx(2.0 * one.times["ttft_s"]["p99"])
        assert two.tokens_per_s == pytest.approx(0.5 * one.tokens_per_s)

    def test_a_higher_rate_never_shortens_the_wait(self):
        waits = []
        for rate in (0.5, 1.0, 2.0):
            drawn = at_a_rate(rate, 400, *self.LENGTHS)
            waits.append(outcome(*replay(drawn, [toy()], Rules())).times["ttft_s"]["mean"])
        assert waits == sorted(waits)

    def test_the_power_over_time_adds_up(self):
        found = outcome(*replay(at_a_rate(1.0, 100, *self.LENGTHS), [toy(), toy()], Rules()))
        assert float(found.power.mean()) == pytest.approx(found.watts)
        assert found.watts > 40.0  # two replicas idle at 20 W each

    def test_percentiles_rise(self):
        found = outcome(*replay(at_a_rate(2.0, 300, *self.LENGTHS), [toy()], Rules()))
        for values in found.times.values():
            rising = [values[name] for name in ("p50", "p90", "p95", "p99")]
            assert rising == sorted(rising)

    def test_goodput_is_a_share(self):
        log, engines = replay(at_a_rate(2.0, 300, *self.LENGTHS), [toy()], Rules())
        shares = [outcome(log, engines, (np.inf, limit)).good for limit in (0.05, 0.5, 5.0, np.inf)]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0


class TestLengths:
    @pytest.mark.parametrize("text", ["1024", "uniform:512:1536", "lognormal:1024:0.5", "exponential:1024"])
    def test_the_mean_is_what_was_asked_for(self, text):
        drawn = Lengths.parse(text).draw(40_000, np.random.default_rng(1))
        assert drawn.min() >= 1.0
        assert drawn.mean() == pytest.approx(1024.0, rel=0.02)

    @pytest.mark.parametrize(
        "text",
        ["", "0", "-3", "nan", "long", "uniform:5", "uniform:9:5", "lognormal:9:-1", "lognormal:9:4.1"],
    )
    def test_what_is_no_length_is_refused(self, text):
        with pytest.raises(InferBenchError, match="prompt"):
            Lengths.parse(text)


class TestOutcome:
    """Every figure by hand: a prompt of 100 tokens takes 100 ms at 200 W, ten steps 100 ms at 100 W."""

    def test_two_requests_one_after_the_other(self):
        """Between them the replica idles for 800 ms at 20 W."""
        found = outcome(*replay(asked([0.0, 1.0], [100, 100], [11, 11]), [toy()], Rules()))
        assert found.duration == pytest.approx(1.2)
        assert (found.requests_per_s, found.tokens_per_s) == pytest.approx((2 / 1.2, 22 / 1.2))
        assert found.joules == pytest.approx(2 * (20 + 10) + 16)
        assert (found.busy, found.share, found.batch) == pytest.approx((1 / 3, 0.5, 0.5))
        assert (found.peak, found.hits, found.preempted) == (1, 0.0, 0)
        means = [found.times[name]["mean"] for name in ("ttft_s", "tpot_s", "itl_s", "e2e_s")]
        assert means == pytest.approx([0.1, 0.01, 0.01, 0.2])
        # A hundredth lasts 12 ms: the ninth begins with 4 ms of the prompt, the 17th ends in 4 ms of steps.
        assert found.power[[0, 8, 12, 16, 50, 83, 99]] == pytest.approx(
            [200, 400 / 3, 100, 220 / 3, 20, 140, 100]
        )

    def test_two_requests_at_once(self):
        """100 ms for one prompt, 110 ms for the other beside a step, nine steps of both, one of one."""
        log, engines = replay(asked([0.0, 0.0], [100, 100], [11, 11]), [toy()], Rules(chunk=100.0))
        found = outcome(log, engines)
        assert found.joules == pytest.approx(20 + 22 + 10)
        assert (found.busy, found.share) == pytest.approx((1.0, 0.21 / 0.31))
        assert found.batch == pytest.approx((0.11 + 2 * 0.09 + 0.01) / 0.31)
        gaps = found.times["itl_s"]  # 19 of 10 ms, one of 110
        assert (gaps["mean"], gaps["p50"], gaps["p95"], gaps["p99"]) == pytest.approx(
            (0.015, 0.01, 0.01, 0.11)
        )
        # The first waits for its tokens and the second for its prompt: one meets, none meets, both do.
        met = [
            outcome(log, engines, limits).good
            for limits in ((0.015, 1.0), (1.0, 0.15), (0.015, 0.15), (1.0, 1.0))
        ]
        assert met == [0.5, 0.5, 0.0, 1.0]

    def test_a_request_of_one_token_has_no_time_between_tokens(self):
        found = outcome(*replay(asked([0.0], [100], [1]), [toy()], Rules()), limits=(1e-9, 0.15))
        assert np.isnan(list(found.times["tpot_s"].values())).all()
        assert np.isnan(list(found.times["itl_s"].values())).all()
        assert (found.good, found.peak) == (1.0, 0)
        assert (found.duration, found.joules, found.times["e2e_s"]["p99"]) == pytest.approx((0.1, 20.0, 0.1))

    def test_hits_are_a_share_of_all_prompts(self):
        twice = asked([0.0, 10.0], [1100, 1100], [2, 2], hashes=((1, 2, 3), (1, 2, 4)))
        assert outcome(*replay(twice, [toy()], Rules())).hits == pytest.approx(1024 / 2200)


def test_places_on_an_axis_go_on_beyond_its_ends():
    axis = Axis([1.0, 2.0, 4.0])
    places = [axis.place(value) for value in (0.0, 1.0, 1.5, 2.0, 4.0, 8.0)]
    assert places == [(0, -1.0), (0, 0.0), (0, 0.5), (1, 0.0), (1, 1.0), (1, 3.0)]
    assert Axis([7.0]).place(99.0) == (0, 0.0)


# One who decodes from 100 ms on, and a prompt of 50 tokens that comes in the step that ends at 110 ms.
LATER = [0.0, 0.105], [100, 50], [201, 2]


def first_tokens(rules: Rules, *requests: list) -> list[float]:
    log, _ = replay(asked(*(requests or LATER)), [toy()], rules)
    return log.first


def test_a_prompt_rides_along_with_the_next_step_if_nobody_told_it_to_wait():
    """10 ms and 50 ms of tokens, from 110 ms on."""
    assert first_tokens(Rules(chunk=1000.0)) == pytest.approx([0.1, 0.17])


def test_a_prompt_waits_five_steps_for_others():
    assert first_tokens(Rules(chunk=1000.0, wait=5)) == pytest.approx([0.1, 0.22])


def test_it_waits_no_longer_when_the_step_has_enough_tokens():
    """Its 50 and the one of who decodes are 5.1% of 1,000."""
    assert first_tokens(Rules(chunk=1000.0, wait=5, enough=0.051)) == pytest.approx([0.1, 0.17])
    assert first_tokens(Rules(chunk=1000.0, wait=5, enough=0.052)) == pytest.approx([0.1, 0.22])


def test_who_comes_while_others_wait_goes_with_them():
    """The third comes at 125 ms; both prompts go at 160 ms, 110 ms long."""
    three = [0.0, 0.105, 0.125], [100, 50, 50], [201, 2, 2]
    assert first_tokens(Rules(chunk=1000.0, wait=5), *three) == pytest.approx([0.1, 0.27, 0.27])


def test_nobody_waits_while_nobody_decodes():
    assert first_tokens(Rules(chunk=1000.0, wait=5), [0.0], [100], [2]) == pytest.approx([0.1])


def test_a_scheduler_looks_for_requests_every_ten_steps():
    """It looked at 100 ms, when the first prompt was through, and again ten steps later."""
    assert first_tokens(Rules(chunk=1000.0, poll=10)) == pytest.approx([0.1, 0.26])


def test_an_idle_scheduler_finds_a_request_at_once():
    assert first_tokens(Rules(poll=10), [0.0, 5.0], [100, 100], [3, 2]) == pytest.approx([0.1, 5.1])


def test_who_decodes_has_a_step_between_two_prompts():
    two = [0.0, 0.0], [100, 100], [3, 3]
    rules = Rules(policy="interleaved", chunk=100.0)
    assert first_tokens(rules, *two) == pytest.approx([0.1, 0.2])
    assert first_tokens(attrs.evolve(rules, turns=True), *two) == pytest.approx([0.1, 0.21])


def test_a_compiled_engine_computes_all_its_positions_and_sequences():
    """A prompt of 100 tokens takes 1,024 ms; a step of one sequence as long as one of 64."""
    table = attrs.evolve(toy(), decode=[[0.01, 0.01], [0.02, 0.02]], least=(64.0, 1024.0))
    log, _ = replay(asked([0.0, 0.0], [100, 900], [11, 11]), [table], Rules(policy="interleaved"))
    assert log.first == pytest.approx([2.048, 2.048])
    assert log.done == pytest.approx([2.248, 2.248])
