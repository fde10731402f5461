"""Laws of a replay whose steps take as long as the work in them: nothing is lost, and nothing comes twice.

A decode step takes a microsecond per position that it attends to, a prompt a millisecond per token. Tables of
such steps are bilinear, so that what lies between their entries, and beyond them, is exact.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest

from inferbench.records.system import Layout
from inferbench.serving.engine import Rules
from inferbench.serving.outcome import outcome
from inferbench.serving.replay import replay, replay_disaggregated
from inferbench.serving.requests import Lengths, Requests, at_a_rate, in_a_loop
from inferbench.serving.tabulated import Axis, StepTable

NOBODY: Any = None
POSITION, TOKEN, PAIR = 1e-6, 1e-3, 1e-6
"""Seconds of a position attended to, of a prompt's token, and of one that attends to an earlier chunk's."""
WATTS = 100.0


def table(room: float = 1e9, layout: Layout | None = None, position: float = POSITION) -> StepTable:
    """Steps that take as long as the work in them; prompts at twice the watts of decoding."""
    batches, contexts, tokens, pasts = [1.0, 64.0], [1.0, 4096.0], [16.0, 1024.0], [0.0, 1000.0]
    return StepTable(
        layout=layout or Layout(),
        batches=Axis(batches),
        contexts=Axis(contexts),
        tokens=Axis(tokens),
        pasts=Axis(pasts),
        mean=100.0,
        decode=[[position * batch * context for context in contexts] for batch in batches],
        joint=[[TOKEN * count] * 2 for count in tokens],
        prompts=[[TOKEN * count + PAIR * count * past for past in pasts] for count in tokens],
        deep=[2 * TOKEN * count for count in tokens],
        decode_watts=[[WATTS] * 2] * 2,
        joint_watts=[[2 * WATTS] * 2] * 2,
        prompt_watts=[2 * WATTS] * 2,
        idle=0.0,
        decode_error=[0.1, 0.1],
        prompt_error=[0.1, 0.1],
        outside=[False, False],
        room=room,
        run=NOBODY,
    )


def even(room: float = 1e9, layout: Layout | None = None) -> StepTable:
    """A decode step takes 10 ms, whatever is in it."""
    return attrs.evolve(table(room, layout), decode=[[0.01, 0.01]] * 2, pasts=Axis([0.0]))


def asked(arrival: list[float], prompt: list[int], output: list[int], **more: Any) -> Requests:
    arrays = (np.array(column, dtype=float) for column in (arrival, prompt, output))
    return Requests(**dict(zip(("arrival", "prompt", "output"), arrays, strict=True)), **more)


def attended(requests: Requests) -> float:
    """Positions that all tokens but the first attend to: P + 1, P + 2, … P + O - 1 of each request."""
    prompt, more = requests.prompt, requests.output - 1.0
    return float((prompt * more + more * (more + 1.0) / 2.0).sum())


LENGTHS = Lengths("lognormal", 200.0, 0.8), Lengths("lognormal", 60.0, 0.8)


def loads() -> list[Requests]:
    return [in_a_loop(24, 200, *LENGTHS), at_a_rate(3.0, 200, *LENGTHS), at_a_rate(0.2, 60, *LENGTHS)]


@pytest.mark.parametrize("load", range(3))
@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize(("policy", "chunk"), [("interleaved", 4096.0), ("chunked", 4096.0)])
def test_work_is_the_same_whoever_shares_a_step(policy, chunk, copies, load):
    """However requests meet in steps, busy time is that of all positions and all tokens of prompts."""
    requests = loads()[load]
    flat = attrs.evolve(table(), pasts=Axis([0.0]))
    log, engines = replay(requests, [flat] * copies, Rules(policy=policy, chunk=chunk))
    reading, decoding = TOKEN * requests.prompt.sum(), POSITION * attended(requests)
    assert sum(one.busy for one in engines) == pytest.approx(reading + decoding)
    if policy == "interleaved":
        assert sum(one.read for one in engines) == pytest.approx(reading)
        joules = 2 * WATTS * reading + WATTS * decoding
        assert sum(one.joules for one in engines) == pytest.approx(joules)
    assert [(one.used, one.positions, one.load) for one in engines] == [(0, 0, 0)] * copies
    assert sum(count for _, count in log.gaps) == (requests.output - 1).sum()


@pytest.mark.parametrize("load", range(3))
def test_replicas_for_tokens_do_the_tokens_and_those_for_prompts_the_prompts(load):
    requests = loads()[load]
    rules = Rules(policy="prompts", chunk=4096.0), Rules(policy="tokens")
    flat = attrs.evolve(table(), pasts=Axis([0.0]))
    log, engines = replay_disaggregated(requests, [flat] * 2, [flat] * 3, rules, 1e-6)
    busy = sum(one.busy for one in engines[:2]), sum(one.busy for one in engines[2:])
    assert busy == pytest.approx((TOKEN * requests.prompt.sum(), POSITION * attended(requests)))
    assert sum(one.read for one in engines[:2]) == pytest.approx(busy[0])
    assert sum(one.read + one.stalled for one in engines[2:]) == 0.0
    several = requests.output > 1
    moved = (np.array(log.done) - np.array(log.first))[several]
    least = 1e-6 * requests.prompt + POSITION * (requests.prompt + 1.0)
    assert np.all(moved >= least[several] - 1e-12)
    assert [(one.used, one.positions, one.load, one.due) for one in engines] == [(0, 0, 0, 0)] * 5


def test_time_of_sequences_is_a_step_for_each_of_their_tokens():
    """Steps of 10 ms, whatever is in them: every token but the first costs its sequence one of them."""
    requests = loads()[0]
    rules = Rules(policy="prompts", chunk=4096.0), Rules(policy="tokens")
    _, engines = replay_disaggregated(requests, [even()], [even()] * 2, rules, 0.0)
    assert sum(one.weighted for one in engines) == pytest.approx(0.01 * (requests.output - 1).sum())


def test_chunks_of_a_prompt_attend_to_those_before_them():
    """Five chunks of 100: the last four attend to 100, 200, 300 and 400 positions."""
    log, engines = replay(asked([0.0], [500], [1]), [table()], Rules(chunk=100.0))
    assert log.first == pytest.approx([0.5 + PAIR * 100 * (100 + 200 + 300 + 400)])
    assert engines[0].read == engines[0].busy


def test_prompts_of_one_step_do_not_attend_to_each_other():
    """200 and 400 tokens at once: of the 600 tokens of one prompt, 200 x 400 pairs are left out."""
    log, _ = replay(asked([0.0, 0.0], [200, 400], [1, 1]), [table()], Rules())
    assert log.first == pytest.approx([0.6 - PAIR * 200 * 400] * 2)


def test_a_chunk_beside_tokens_attends_to_those_before_it():
    """The first decodes while the second's chunks of 100 attend to nothing and to 100 positions."""
    requests = asked([0.0, 0.0], [100, 200], [4, 1])
    log, _ = replay(requests, [table()], Rules(chunk=100.0))
    first = 0.1 + (0.1 + POSITION * 101)
    assert log.first == pytest.approx([0.1, first + 0.1 + POSITION * 102 + PAIR * 100 * 100])
    assert log.done[0] == pytest.approx(log.first[1] + POSITION * 103)


def test_who_comes_while_steps_get_longer_takes_part_from_the_next_one_on():
    """Steps of a millisecond per position: 11, 12 … 15 ms. Who comes in the third waits for its end."""
    slow = table(position=1e-3)
    log, _ = replay(asked([0.0, 0.01 + 0.025], [10, 1], [6, 1]), [slow], Rules(policy="interleaved"))
    third = 0.01 + 0.011 + 0.012 + 0.013
    assert log.first == pytest.approx([0.01, third + 0.001])
    assert log.done[0] == pytest.approx(third + 0.001 + 0.014 + 0.015)
    # In the first step, in the last, after which nobody is there, and in the first of two.
    for arrival, seen, output in ((0.011, 0.021, 6), (0.01 + 0.0515, 0.075, 6), (0.011, 0.021, 3)):
        log, _ = replay(asked([0.0, arrival], [10, 1], [output, 1]), [slow], Rules(policy="interleaved"))
        assert log.first[1] == pytest.approx(seen + 0.001)


def test_three_who_come_one_by_one_in_a_step_begin_together():
    log, _ = replay(asked([0.0, 0.112, 0.114, 0.116], [100, 10, 10, 10], [50, 2, 2, 2]), [even()], Rules())
    assert log.first[1:] == pytest.approx([0.12 + 0.01 + 0.03] * 3)


def test_a_step_reads_no_more_tokens_of_prompts_than_a_chunk():
    """A token of a prompt takes 1 ms: the longest gap between two tokens is a full step's."""
    log, _ = replay(in_a_loop(30, 150, *LENGTHS), [even()], Rules(chunk=128.0))
    assert max(seconds for seconds, _ in log.gaps) == pytest.approx(0.01 + 0.128)


def test_a_prompt_waits_for_its_own_chunks_alone_where_the_last_is_short():
    """Of 90 and 30 tokens in chunks of 50: 50, then 40 of the first and 10 of the second, then 20."""
    log, _ = replay(asked([0.0, 0.0], [90, 30], [1, 1]), [even()], Rules(chunk=50.0))
    assert log.first == pytest.approx([0.1, 0.12])
    log, _ = replay(asked([0.0], [8193], [1]), [even()], Rules())
    assert len(log.steps) == 2  # 8,192 tokens in a step unless told otherwise


def test_whole_prompts_share_a_step_while_they_fit_into_a_chunk():
    """Of 40, 50 and 20 tokens the first two fit into 100, the third waits for them."""
    whole = Rules(policy="interleaved", chunk=100.0)
    log, _ = replay(asked([0.0] * 3, [40, 50, 20], [1] * 3), [even()], whole)
    assert log.first == pytest.approx([0.09, 0.09, 0.11])
    log, _ = replay(asked([0.0] * 3, [40, 60, 20], [1] * 3), [even()], whole)
    assert log.first == pytest.approx([0.1, 0.1, 0.12])
    log, _ = replay(asked([0.0] * 2, [250, 20], [1] * 2), [even()], whole)
    assert log.first == pytest.approx([0.25, 0.27])


def test_there_are_no_more_sequences_than_allowed_and_those_at_once():
    """Two of four at a time: the others begin when they end."""
    four = asked([0.0] * 4, [10] * 4, [11] * 4)
    log, engines = replay(four, [even()], Rules(most=2))
    assert engines[0].peak == 2
    assert log.first == pytest.approx([0.02, 0.02, 0.14, 0.14])
    assert replay(four, [even()], Rules(most=3))[1][0].peak == 3


def test_a_newcomer_leaves_a_hundredth_of_the_cache_free():
    """Three hundred blocks of ten: beside 150, 147 may come in at once, and 148 must wait."""
    for blocks, waits in ((147, False), (148, True)):
        two = asked([0.0, 0.0], [1500, blocks * 10], [2, 1])
        log, _ = replay(two, [even(room=3000.0)], Rules(block=10))
        assert (log.first[1] > log.first[0]) == waits
    alone, _ = replay(asked([0.0], [2990], [11]), [even(room=3000.0)], Rules(block=10))
    assert alone.done == pytest.approx([2.99 + 0.1])


def test_preemption_by_hand():
    """Three blocks of 16: both prompts fill one, and the first step of both would take two more.

    The newer gives up its block, and waits for the other's nineteen steps. Then its prompt is processed again
    with the token that it had: 17 tokens, one more token out, and eighteen steps.
    """
    log, engines = replay(asked([0.0, 0.0], [16, 16], [20, 20]), [even(room=48.0)], Rules())
    assert log.preempted == 1
    assert log.first == pytest.approx([0.032, 0.032])
    assert log.done == pytest.approx([0.222, 0.222 + 0.017 + 0.18])
    assert (engines[0].used, engines[0].positions, engines[0].peak) == (0, 0, 2)


def test_steps_go_on_while_the_cache_has_blocks_and_then_the_newest_is_put_off():
    """Seven blocks of 4. Prompts of 8 and 6 take four, steps take blocks for tokens 9 and 13, and 9 and 13.

    Before step 1 the older takes one, before step 3 the newer: six. Before step 5 the older takes the last.
    Before step 7 the newer has none: it is put off after six steps, and begins again with 6 + 7 tokens.
    """
    requests = asked([0.0, 0.0], [8, 6], [13, 13])
    log, _ = replay(requests, [even(room=28.0)], Rules(block=4))
    began = 0.014
    assert log.preempted == 1
    assert log.done[0] == pytest.approx(began + 0.12)
    # The newer's 13 tokens need four blocks: there is room when the older has ended.
    assert log.done[1] == pytest.approx(began + 0.12 + 0.013 + 0.05)
    assert [seconds for _, seconds, _ in log.steps] == pytest.approx([0.014, 0.06, 0.06, 0.013, 0.05])


def test_an_answer_is_let_in_where_it_has_room_to_its_end():
    """Five blocks of 10 hold requests of 20 + 10 and of 15 + 5 positions; of 15 + 6 not."""
    for output, waits in ((5, False), (6, True)):
        two = asked([0.0, 0.0], [20, 15], [10, output])
        log, engines = replay(two, [even(room=50.0)], Rules(block=10, whole=True))
        assert (log.first[1] > log.first[0]) == waits
        assert (engines[0].due, engines[0].used) == (0, 0)
    # Replicas for prompts hold no answers.
    rules = Rules(policy="prompts", block=10, whole=True), Rules(policy="tokens", block=10, whole=True)
    two = asked([0.0, 0.0], [20, 30], [10, 10])
    log, _ = replay_disaggregated(two, [even(room=50.0)], [even()], rules, 0.0)
    assert log.first == pytest.approx([0.05, 0.05])


def test_a_router_counts_who_waits_who_reads_and_who_decodes():
    """The first replica decodes when the second request comes, and both read when the others do."""
    _, engines = replay(asked([0.0, 0.05], [10, 10], [50, 50]), [even()] * 2, Rules())
    assert [one.peak for one in engines] == [1, 1]
    _, engines = replay(asked([0.0, 0.01, 0.02, 0.03], [100] * 4, [2] * 4), [even()] * 2, Rules())
    assert [one.read for one in engines] == pytest.approx([0.21, 0.21])


def test_tokens_come_later_than_they_were_made():
    """Two steps later: the first token, and the last by as much."""
    log, _ = replay(asked([0.0], [100], [11]), [even()], Rules(lag=2.0))
    assert (log.first, log.done) == (pytest.approx([0.12]), pytest.approx([0.22]))
    # A step of a microsecond a position: after the prompt 100 of the other, 101 + 102 after the second's.
    both, _ = replay(asked([0.0, 0.0], [100, 1], [3, 1]), [table()], Rules(lag=1.0, chunk=100.0))
    assert both.first[1] == both.done[1] > both.first[0]
    three, _ = replay(asked([0.0] * 3, [100, 50, 25], [11] * 3), [table()], Rules(lag=1.0, chunk=4096.0))
    plain, _ = replay(asked([0.0] * 3, [100, 50, 25], [11] * 3), [table()], Rules(chunk=4096.0))
    assert three.first[2] - plain.first[2] == pytest.approx(POSITION * (101 + 51))
    loop, _ = replay(in_a_loop(1, 2, *(Lengths("fixed", 10.0),) * 2), [even()], Rules(lag=2.0))
    assert loop.arrival == pytest.approx([0.0, loop.done[0]])


def test_errors_lie_between_those_of_the_batches_and_of_prompts():
    """0.1 of one sequence, 0.3 of 64 and 0.2 of prompts; outside of its box is what lies nearer to 64."""
    some = attrs.evolve(table(), decode_error=[0.1, 0.3], prompt_error=[0.5, 0.2], outside=[False, True])
    assert some.error(1.0, 0.0) == pytest.approx((0.1, 0.2))
    assert some.error(64.0, 0.0) == pytest.approx((0.3, 0.2))
    assert some.error(64.0, 0.25) == pytest.approx((0.75 * 0.3 + 0.25 * 0.2, 0.2))
    between = [some.error(batch, 0.0)[0] for batch in (1.0, 4.0, 16.0, 64.0)]
    assert between == sorted(between)
    assert [some.leaves_the_box(batch) for batch in (1.0, 2.0, 60.0, 64.0)] == [False, False, True, True]


@pytest.mark.parametrize("compiled", [False, True])
def test_seconds_and_watts_of_prompts_lie_between_those_of_the_table(compiled):
    """16 tokens at 100 W and 1,024 at 300: 520 lie in the middle. What is compiled is always as long."""
    flat = attrs.evolve(table(), pasts=Axis([0.0]), prompt_watts=[100.0, 300.0])
    if not compiled:
        for tokens, watts in ((16.0, 100.0), (520.0, 200.0), (1024.0, 300.0)):
            assert flat.of_prompts(tokens, 0.0, 1) == pytest.approx((TOKEN * tokens, watts))
        slow = attrs.evolve(flat, scale=2.0)
        assert slow.of_prompts(520.0, 0.0, 1) == pytest.approx((2 * TOKEN * 520.0, 200.0))
        return
    padded = attrs.evolve(flat, least=(4.0, 520.0))
    for count in (1, 3):  # one after the other
        assert padded.of_prompts(16.0 * count, 0.0, count) == pytest.approx((count * TOKEN * 520.0, 200.0))
    assert padded.of_tokens(1.0, 100.0)[0] == pytest.approx(POSITION * 4.0 * 520.0)


@pytest.mark.parametrize(("layout", "lanes"), [(Layout(pp=2), 2), (Layout(pp=2, dp=2, ep=2), 4)])
def test_prompts_side_by_side_take_up_to_what_all_lanes_take(layout, lanes):
    """All lanes full take twice as long as one: two of four a third of the way."""
    flat = attrs.evolve(table(layout=layout), pasts=Axis([0.0]))
    assert flat.depth == lanes
    for count in range(1, 6):
        side = min(count, lanes)
        found = flat.of_prompts(100.0 * side, 0.0, count)[0]
        assert found == pytest.approx(TOKEN * 100.0 * (1.0 + (side - 1) / (lanes - 1)))


def test_schedulers_know_of_requests_a_little_later():
    """Seconds apart, so that nobody waits for another: first tokens are late by the mean entry."""
    many = asked(list(range(0, 4000, 2)), [100] * 2000, [2] * 2000)
    late = np.array(replay(many, [even()], Rules(entry=0.03))[0].first) - many.arrival - 0.1
    assert late.min() >= -1e-9
    assert late.mean() == pytest.approx(0.03, rel=0.05)
    assert late.std() == pytest.approx(0.03, rel=0.1)  # of an exponential, the mean
    assert replay(many, [even()], Rules())[0].first == pytest.approx(many.arrival + 0.1)


def test_a_replay_begins_whenever_its_first_request_comes():
    requests = at_a_rate(3.0, 100, *LENGTHS)
    later = attrs.evolve(requests, arrival=requests.arrival + 1000.0)
    one, two = (replay(each, [table()] * 2, Rules(chunk=256.0)) for each in (requests, later))
    assert np.array(two[0].first) - 1000.0 == pytest.approx(np.array(one[0].first))
    assert np.array(two[0].done) - 1000.0 == pytest.approx(np.array(one[0].done))
    first, second = outcome(*one), outcome(*two)
    assert second.power == pytest.approx(first.power, rel=1e-6)
    assert second.duration == pytest.approx(first.duration)


def test_first_tokens_come_in_the_order_in_which_requests_do():
    for policy in ("chunked", "interleaved"):
        log, _ = replay(at_a_rate(5.0, 150, *LENGTHS), [table()], Rules(policy=policy, chunk=256.0))
        assert log.first == sorted(log.first)


class TestLanes:
    """Two pipeline stages: each microbatch has room for a chunk, a prompt alone fills one stage."""

    TWO = Layout(pp=2)

    def test_a_chunk_for_each_microbatch(self):
        """Nobody decodes: one lane, 100 tokens a step. Two decode: two lanes, and 200."""
        log, _ = replay(asked([0.0], [400], [1]), [even(layout=self.TWO)], Rules(chunk=100.0))
        assert len(log.steps) == 4
        three = asked([0.0, 0.0, 0.045], [10, 10, 400], [100, 100, 1])
        log, _ = replay(three, [even(layout=self.TWO)], Rules(chunk=100.0))
        # 20 tokens of two prompts fill both stages: 10 in each, twice as long. Then steps of 10 ms until 50
        # ms; the newcomer's 400 tokens take four steps of 100 of one prompt, in two lanes of 50.
        began = 0.02 + 0.03
        assert log.first[2] == pytest.approx(began + 4 * (0.01 + 0.05))

    def test_prompts_side_by_side_fill_the_stages(self):
        """Two of 50 tokens take as long as the table says of both stages: 100 ms, one of them 50 ms."""
        log, _ = replay(asked([0.0, 0.0], [50, 50], [1, 1]), [even(layout=self.TWO)], Rules())
        assert log.first == pytest.approx([0.1, 0.1])
        log, _ = replay(asked([0.0], [50], [1]), [even(layout=self.TWO)], Rules())
        assert log.first == pytest.approx([0.05])


class TestPrefixes:
    """Blocks of 512 tokens that earlier prompts left are read no more, the longest unused go first."""

    def hits(self, hashes: list[tuple[int, ...]], room: float, prompt: int = 1100) -> list[int]:
        count = len(hashes)
        requests = asked(
            [10.0 * i for i in range(count)], [prompt] * count, [2] * count, hashes=tuple(hashes)
        )
        found: list[int] = replay(requests, [even(room=room)], Rules())[0].hit
        return found

    def test_the_longest_unused_go_first(self):
        """Beside a prompt of 69 blocks of 16, 2,640 positions keep three of 512, 2,100 keep one."""
        one, two, three = (1, 2), (3, 4), (1, 5)
        assert self.hits([one, one], 2640.0) == [0, 1024]
        assert self.hits([one, two, one, two], 1e6) == [0, 0, 1024, 1024]
        # The second use of 1 and 2 makes 3 the longest unused: it goes, and what is behind it is of no use.
        assert self.hits([one, two, one, two], 2640.0) == [0, 0, 1024, 0]
        # No more goes than must: 4 is still there for a prompt that begins with it, and goes next.
        assert self.hits([one, two, one, (4, 9)], 2640.0) == [0, 0, 1024, 512]
        assert self.hits([one, two, one, three, one], 2640.0) == [0, 0, 1024, 512, 1024]
        # 1 goes for the second prompt.
        assert self.hits([one, two, one], 2100.0) == [0, 0, 0]

    def test_a_prompt_that_is_there_reads_its_last_token(self):
        assert self.hits([(1, 2), (1, 2)], 1e6, prompt=1024) == [0, 1023]

    def test_what_comes_behind_an_unknown_block_is_not_known(self):
        assert self.hits([(1, 2), (3, 2), (1, 4)], 1e6) == [0, 0, 512]

    def test_what_is_known_leaves_room_in_a_step_for_others(self):
        """Two prompts of 1,100 whose first 1,024 are there: 76 tokens each, in one step."""
        hashed = ((1, 2), (1, 2), (1, 2))
        three = asked([0.0, 10.0, 10.0], [1100] * 3, [2] * 3, hashes=hashed)
        log, _ = replay(three, [even()], Rules(chunk=1100.0))
        assert log.first[1:] == pytest.approx([10.152, 10.152])

    def test_only_replicas_that_read_prompts_know_what_they_read(self):
        """Turns whose prompts go to the other replica are read whole, though one replica decodes them all."""
        two = asked(
            [0.0, 0.0, 10.0, 10.0],
            [100, 100, 200, 200],
            [20, 20, 5, 5],
            session=np.array([1.0, 2.0, 2.0, 1.0]),
            history=np.array([0.0, 0.0, 120.0, 120.0]),
        )
        rules = Rules(policy="prompts"), Rules(policy="tokens")
        log, _ = replay_disaggregated(two, [even()] * 2, [even()], rules, 0.0)
        assert log.hit == [0, 0, 0, 0]
        log, _ = replay_disaggregated(two, [even()], [even()], rules, 0.0)
        assert log.hit == [0, 0, 120, 120]

    def test_a_conversation_knows_no_more_than_its_history(self):
        """Two conversations whose turns alternate: each knows its own positions, not the other's."""
        turns = asked(
            [0.0, 10.0, 20.0, 30.0],
            [100, 50, 300, 70],
            [20, 10, 5, 5],
            session=np.array([7.0, 8.0, 7.0, 8.0]),
            history=np.array([0.0, 0.0, 120.0, 60.0]),
        )
        assert replay(turns, [even()], Rules())[0].hit == [0, 0, 120, 60]
        lost = replay(attrs.evolve(turns, history=np.array([0.0, 0.0, 200.0, 40.0])), [even()], Rules())[0]
        assert lost.hit == [0, 0, 120, 40]


def test_a_gap_in_a_thousand_is_in_no_percentile():
    """Two thousand gaps of 10 ms and two of 110: the mean has them, the 99th percentile doesn't."""
    found = outcome(
        *replay(asked([0.0, 0.0], [100, 100], [1002, 1001]), [even()], Rules(policy="chunked", chunk=100.0))
    )
    gaps = found.times["itl_s"]
    assert gaps["mean"] == pytest.approx((2000 * 0.01 + 0.11) / 2001)
    assert [gaps[name] for name in ("p50", "p90", "p95", "p99")] == pytest.approx([0.01] * 4)


def test_rates_of_requests():
    """A second between two is one a second; of one alone, of a loop and of all at once there is none."""
    assert asked([5.0, 6.0], [1, 1], [1, 1]).rate == 1.0
    assert asked([0.0, 1.0, 4.0], [1] * 3, [1] * 3).rate == 0.5
    none = [asked([3.0], [1], [1]), asked([2.0, 2.0], [1, 1], [1, 1]), in_a_loop(2, 4, *LENGTHS)]
    assert np.isnan([one.rate for one in none]).all()
    assert asked([0.0, 1.0], [5, 9], [7, 1]).longest == 12.0
    once = asked([3.0, 4.0], [5, 9], [7, 1], users=2).at_once()
    assert (once.arrival.tolist(), once.users, len(once)) == ([0.0, 0.0], 0, 2)


def test_turns_of_a_conversation_arrive_together_at_the_rate_that_was_asked_for():
    """Half the conversations of two turns: first turns come half as often as requests."""
    drawn = at_a_rate(4.0, 4000, *LENGTHS, turns=2)
    first = drawn.arrival[0::2]
    assert np.isnan(drawn.arrival[1::2]).all()
    assert (len(first) - 1) / (first[-1] - first[0]) == pytest.approx(2.0, rel=0.06)
    assert drawn.rate == pytest.approx(4.0, rel=0.06)
    assert drawn.follows is not None
    assert drawn.follows[:4].tolist() == [-1, 0, -1, 2]
    assert drawn.session is not None
    assert drawn.session[:4].tolist() == [0, 0, 1, 1]
    assert drawn.history is not None
    assert drawn.history[1] == drawn.prompt[0] + drawn.output[0]
    log, _ = replay(drawn, [table()] * 40, Rules())
    assert np.all(np.array(log.arrival[1::2]) >= np.array(log.done[0::2]))


def test_who_watches_is_told_of_fifty_more_at_a_time():
    told: list[tuple[int, int]] = []
    replay(in_a_loop(4, 260, *LENGTHS), [table()], Rules(), lambda done, total: told.append((done, total)))
    steps = np.diff([0, *(done for done, _ in told)])
    assert len(told) >= 4
    assert steps.min() >= 50
    assert {total for _, total in told} == {260}


def test_copies_of_requests_know_nothing_of_each_other():
    """Each copy finds what its own earlier prompts left, and nothing that another copy's did."""
    hashed = asked([0.0, 1.0], [1100, 1100], [2, 2], hashes=((1, 2), (1, 3)))
    log, _ = replay(hashed.repeated(3), [even()], Rules(chunk=1100.0))
    assert log.hit == [0, 512] * 3
    turns = in_a_loop(1, 4, Lengths("fixed", 100.0), Lengths("fixed", 20.0), turns=2).at_once()
    again = turns.repeated(2)
    assert again.session is not None
    assert again.session.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert again.prompt.tolist() == turns.prompt.tolist() * 2
    chained = attrs.evolve(turns, follows=np.array([-1.0, 0.0, -1.0, 2.0])).repeated(2).follows
    assert chained is not None
    assert chained.tolist() == [-1, 0, -1, 2, -1, 4, -1, 6]
    assert len(asked([0.0], [5], [5]).repeated(1)) == 1
