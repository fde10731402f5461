"""Points of a frontier by hand: replicas whose steps have round durations, power and errors."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.records.scenario import HourlyCost, Term
from inferbench.records.system import Layout, System
from inferbench.serving.frontier import Frontier, goodput, points_of
from inferbench.serving.points import TABLE
from inferbench.serving.replica import Chunked, Question, Replica, replica
from inferbench.serving.replicas import layouts_of
from inferbench.serving.steady_state import (
    Service,
    Steps,
    Traffic,
    at_users,
    chunked,
    disaggregated,
    queue,
)
from inferbench.serving.within import meets

TRAFFIC = Traffic(prompt=100.0, output=11.0)
Z = 1.6448536269514722
"""Of a normal distribution, five in a hundred lie above so many standard deviations."""


class TestSteadyState:
    def test_chunks_by_hand(self):
        """Two sequences of ten steps, prompts in two chunks: two of five steps are mixed, 14 ms on average.

        Mixed steps take 8 of 14 ms. One of two meets another, and waits for half a step of 10 ms and for the
        chunks before it.
        """
        steps = Steps(batch=2.0, decode=0.01, prefill=0.05, occupancy=0.05, mixed=0.02, chunks=2.0)
        found = chunked(steps, TRAFFIC)
        assert (found.rate, found.tpot) == pytest.approx((2 / 0.14, 0.014))
        assert float(found.share) == pytest.approx(8 / 14)
        wait = 0.5 * (8 / 14) * 0.04 / (1 - 8 / 14) + 0.005
        assert float(found.ttft) == pytest.approx(0.04 + 0.5 * wait)
        assert float(found.users) == pytest.approx(2 / 0.14 * (float(found.ttft) + 0.14))
        assert bool(found.sustained)

    def test_lanes_carry_chunks_side_by_side(self):
        """Two lanes: one step in five is mixed, and chunks have two servers."""
        steps = Steps(batch=2.0, decode=0.01, prefill=0.05, occupancy=0.05, mixed=0.02, chunks=2.0, lanes=2.0)
        found = chunked(steps, TRAFFIC)
        assert float(found.tpot) == pytest.approx(0.012)
        assert float(found.share) == pytest.approx(4 / 12)
        wait = float(queue(4 / 12, 0.04, 2.0)) + 0.005
        assert float(found.ttft) == pytest.approx(0.04 + 0.5 * wait)

    def test_one_sequence_alone_waits_for_nobody(self):
        steps = Steps(batch=1.0, decode=0.01, prefill=0.05, occupancy=0.05, mixed=0.02, chunks=8.0)
        assert float(chunked(steps, TRAFFIC).ttft) == pytest.approx(0.16)
        none = chunked(attrs.evolve(steps, mixed=math.nan), TRAFFIC)
        assert not bool(none.sustained)

    def test_prompts_and_tokens_apart_by_hand(self):
        """Two replicas for prompts of 40 ms, one for four sequences: 40 requests a second, four fifths busy.

        The second token waits 100 ms for the cache, a tenth of that a token.
        """
        both = Steps(batch=4.0, decode=0.01, prefill=0.04, occupancy=0.04)
        found = disaggregated(both, both, TRAFFIC, (2.0, 1.0), 0.1)
        assert (float(found.rate), float(found.share)) == pytest.approx((40.0, 0.8))
        assert float(found.tpot) == pytest.approx(0.02)
        wait = 0.5 * 0.04 * 0.8 ** (math.sqrt(6.0) - 1.0) / (2 * 0.2)  # Sakasegawa 1977, two servers
        assert float(found.ttft) == pytest.approx(0.04 + wait)
        assert float(found.users) == pytest.approx(40 * (0.04 + wait + 0.2))
        assert bool(found.sustained)
        # A pipeline of two stages: half the occupancy, and each is a server of its own.
        deep = attrs.evolve(both, occupancy=0.02)
        assert float(disaggregated(deep, both, TRAFFIC, (1.0, 1.0)).ttft) == pytest.approx(0.04 + wait)
        assert not bool(disaggregated(both, both, TRAFFIC, (1.0, 1.0)).sustained)

    def test_a_closed_loop_lies_between_loads_and_ends_where_prompts_do_not_keep_up(self):
        """Loads of 1, 4 and 8: the third is not sustained. One more is in processing at the second."""
        served = Service(
            rate=np.array([1.0, 4.0, 9.0]),
            tpot=np.array([0.01, 0.02, 0.03]),
            ttft=0.0,
            users=0.0,
            share=0.0,
            sustained=np.array([True, True, False]),
        )
        batch, inside = np.array([1.0, 4.0, 8.0]), np.array([0.0, 1.0, 1.0])
        assert at_users(3.0, batch, served, inside) == pytest.approx((2.5, 0.015))
        assert at_users(1.0, batch, served, inside) == pytest.approx((1.0, 0.01))
        assert at_users(50.0, batch, served, inside) == pytest.approx((4.0, 0.02))

    def test_a_share_of_the_load_above_one_waits_for_ever(self):
        assert np.isinf(queue(np.array([1.0, 1.5, 3.0]), 0.1)).all()
        assert float(queue(0.0, 0.1)) == 0.0

    def test_who_asks_for_less_than_a_prompt_and_two_tokens_is_refused(self):
        assert Traffic(prompt=1.0, output=2.0).steps == 1.0
        for wrong in ({"prompt": 0.5}, {"output": 1.5}, {"output": math.inf}):
            with pytest.raises(ib.InferBenchError, match="is out of range"):
                Traffic(**{"prompt": 100.0, "output": 11.0, **wrong})


def question(**more: Any) -> Question:
    known = ib.installed()
    settings: dict[str, Any] = {
        "network": known.network("llama3-8b"),
        "traffic": TRAFFIC,
        "batches": (4.0,),
        "precisions": ("bf16",),
        "chunks": (),
        "stack": known.stack("vllm-h100"),
        "scenario": known.get("scenarios", "reference"),
        "registry": known,
    }
    return Question(**{**settings, **more})


def grid(value: float) -> Any:
    return np.array([[value]])


def made(layout: Layout, asked: Question, prefill: float, decode: float = 0.01, **more: Any) -> Replica:
    """A replica of four sequences with steps and watts of round numbers."""
    real = replica(asked, ib.installed().chip("h100-sxm"), layout)
    steps = Steps(
        batch=grid(4.0), decode=grid(decode), prefill=grid(prefill), occupancy=grid(prefill), lanes=grid(1.0)
    )
    watts = {"decode": grid(300.0), "prefill": grid(600.0), "idle": grid(100.0 * layout.chips)}
    doubt = {"decode": grid(0.1), "prefill": grid(0.2), "power": grid(0.03), "energy": grid(0.04)}
    usual = {
        "plain": steps,
        "watts": watts,
        "doubt": doubt,
        "cache": 0.0,
        "fits": grid(1.0) > 0,
        "fits_prompt": grid(1.0) > 0,
    }
    return attrs.evolve(real, **{**usual, **more})


def found(count: int, *replicas: Replica, asked: Question | None = None) -> Frontier:
    return points_of(asked or question(), System(ib.installed().chip("h100-sxm"), count), replicas)


def only(points: Frontier, **wanted: str) -> dict[str, Any]:
    rows = [points.points.at(i) for i in range(points.count)]
    (row,) = [row for row in rows if all(row[name] == text for name, text in wanted.items())]
    return row


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")
class TestPoints:
    def test_two_replicas_that_do_both(self):
        """A cycle of 300 ms, two thirds of it prompts: twice 500 W, and 80/3 requests of 11 tokens."""
        asked = question()
        row = only(found(2, made(Layout(), asked, 0.05)), policy="interleaved")
        assert (row["replicas"], row["prompt_replicas"]) == (2, 0)
        assert row["requests_per_s"] == pytest.approx(80 / 3)
        assert row["users"] == pytest.approx(80 / 3 * (0.09125 + 0.25))
        assert row["tokens_per_s"] == pytest.approx(880 / 3)
        assert row["tokens_per_s_per_chip"] == pytest.approx(440 / 3)
        assert row["tokens_per_s_per_user"] == pytest.approx(1 / 0.025)
        assert row["power_w"] == pytest.approx(1000.0)
        assert row["joules_per_token"] == pytest.approx(3000 / 880)
        assert row["prompt_chips_per_token_chip"] == pytest.approx(0.05 * 4 / 0.1)
        # Two thirds of the time have the errors of prompts.
        assert row["log_error"] == pytest.approx(2 / 3 * 0.2 + 1 / 3 * 0.1)
        assert (row["ttft_log_error"], row["power_log_error"]) == (0.2, 0.03)
        assert row["joules_log_error"] == 0.04
        assert math.isnan(row["chunk"])

    def test_chunks_are_points_of_their_own(self):
        """Two of five steps are mixed, at 500 instead of 300 W: 8 of 14 ms."""
        asked = question()
        one = made(Layout(), asked, 0.05)
        steps = attrs.evolve(one.plain, batch=grid(2.0), mixed=grid(0.02), chunks=2.0)
        cut = attrs.evolve(
            one, batch=grid(2.0), chunks={50.0: Chunked(steps, grid(500.0), np.array([[True]]))}
        )
        row = only(found(1, cut), policy="chunked")
        assert (row["chunk"], row["replicas"]) == (50.0, 1)
        assert row["power_w"] == pytest.approx((8 * 500 + 6 * 300) / 14)
        assert row["requests_per_s"] == pytest.approx(2 / 0.14)

    def test_prompts_apart_take_as_few_replicas_as_keep_up(self):
        """A replica decodes 40 requests a second; prompts of 40 ms take 1.6 of its chips: two of three.

        They are busy for four fifths of the time: 500 W each, and 300 W.
        """
        asked = question()
        row = only(found(3, made(Layout(), asked, 0.04)), policy="disaggregated")
        assert (row["prompt_replicas"], row["replicas"]) == (2, 1)
        assert row["prompt_chips_per_token_chip"] == pytest.approx(1.6)
        assert row["requests_per_s"] == pytest.approx(40.0)
        assert row["power_w"] == pytest.approx(2 * 500 + 300)
        assert row["tokens_per_s_per_chip"] == pytest.approx(440 / 3)
        assert row["log_error"] == pytest.approx(0.8 * 0.2 + 0.2 * 0.1)

    def test_chips_that_are_left_over_idle(self):
        """Replicas of two chips for tokens. Of four chips one keeps up with prompts: one idles."""
        asked = question()
        one, two = made(Layout(), asked, 0.02), made(Layout(tp=2), asked, 0.02)
        row = only(found(4, one, two), policy="disaggregated", layout="tp2", prompt_layout="tp1")
        assert (row["prompt_replicas"], row["replicas"]) == (1, 1)
        assert row["power_w"] == pytest.approx(0.8 * 600 + 0.2 * 100 + 300 + 100)

    def test_a_cache_moves_over_the_links_of_the_smaller_replica(self):
        """NVLink of 450 GB/s: 45 GB take 100 ms, which ten tokens wait for."""
        asked = question()
        row = only(found(3, made(Layout(), asked, 0.04, cache=45e9)), policy="disaggregated")
        assert row["tpot_s"] == pytest.approx(0.01 + 0.1 / 10)
        one, two = made(Layout(), asked, 0.04), made(Layout(tp=2), asked, 0.03, cache=45e9)
        row = only(found(8, one, two), policy="disaggregated", layout="tp2", prompt_layout="tp2")
        assert row["tpot_s"] == pytest.approx(0.01 + 0.05 / 10)

    def test_shares_of_many_chips(self):
        """Of eight chips 1.6 of 2.6 read prompts: five, 96 % busy, for the 120 requests/s of three."""
        row = only(found(8, made(Layout(), question(), 0.04)), policy="disaggregated")
        assert (row["prompt_replicas"], row["replicas"]) == (5, 3)
        assert row["requests_per_s"] == pytest.approx(120.0)
        assert row["power_w"] == pytest.approx(5 * (0.96 * 600 + 0.04 * 100) + 3 * 300)

    def test_one_replica_less_reads_prompts_where_the_chips_that_it_frees_are_of_no_use(self):
        """Eight chips, four to a replica of tokens. Prompts of 70 ms take 3.3: four; three keep up."""
        one, four = made(Layout(), question(), 0.07), made(Layout(tp=4), question(), 0.07)
        row = only(found(8, one, four), policy="disaggregated", layout="tp4", prompt_layout="tp1")
        assert (row["prompt_replicas"], row["replicas"]) == (3, 1)
        assert row["requests_per_s"] == pytest.approx(40.0)

    def test_a_cache_that_comes_from_fewer_chips_takes_their_links(self):
        one, two = made(Layout(), question(), 0.02), made(Layout(tp=2), question(), 0.02, cache=45e9)
        row = only(found(4, one, two), policy="disaggregated", layout="tp2", prompt_layout="tp1")
        assert row["tpot_s"] == pytest.approx(0.01 + 0.1 / 10)

    def test_dollars_are_as_unsure_as_times_and_prices(self):
        """An hour of an H100 costs from the least to the most that its spec has: nine in ten lie between."""
        asked = question()
        row = only(found(1, made(Layout(), asked, 0.05)), policy="interleaved")
        system = System(ib.installed().chip("h100-sxm"), 1)
        cost = HourlyCost.under(asked.scenario, system, row["power_w"])
        for term, name in ((Term.ON_DEMAND, "usd_cloud_log_error"), (Term.PURCHASE, "usd_log_error")):
            low, high = (float(cost.of(term, end)) for end in ("low", "high"))
            assert high > 1.02 * low
            alone = math.log(high / low) / 2 / Z
            assert row[name] == pytest.approx(math.hypot(row["log_error"], alone), rel=0.02)

    def test_joules_at_the_wall_are_as_unsure_as_boards_servers_and_time(self):
        """Boards have the error of energy, what idles beside them that of time, and servers their own."""
        row = only(found(1, made(Layout(), question(), 0.05)), policy="interleaved")
        alone = System(ib.installed().chip("h100-sxm"), 1).wall_log_error
        within = math.sqrt(row["wall_log_error"] ** 2 - alone**2)
        assert min(0.04, row["log_error"]) < within < max(0.04, row["log_error"])
        assert within - 0.04 < row["log_error"] - within  # more of it is boards'

    def test_what_lies_on_a_frontier_depends_on_what_it_is_of(self):
        """Twice the throughput at the same speed, and the cheaper of two as fast."""
        fast, slow = made(Layout(), question(), 0.02), made(Layout(tp=2), question(), 0.05)
        points = found(2, fast, slow)
        chips, wall = (
            points.best(name).tolist() for name in ("tokens_per_s_per_chip", "wall_joules_per_token")
        )
        speed, rate = points.points.tokens_per_s_per_user, points.points.tokens_per_s_per_chip
        joules = points.points.wall_joules_per_token
        everyone = range(points.count)
        assert chips == [
            i
            for i in sorted(everyone, key=lambda i: -speed[i])
            if not any(speed[j] >= speed[i] and rate[j] > rate[i] for j in everyone)
            and not any(speed[j] > speed[i] and rate[j] >= rate[i] for j in everyone)
        ]
        assert set(wall) == {
            i
            for i in everyone
            if not any(
                (speed[j] >= speed[i] and joules[j] < joules[i])
                or (speed[j] > speed[i] and joules[j] <= joules[i])
                for j in everyone
            )
        }

    def test_the_best_within_limits_is_the_one_of_most_tokens(self):
        """Limits hold to the end: a point at its limit is within."""
        points = found(2, made(Layout(), question(), 0.05), made(Layout(tp=2), question(), 0.02))
        tpot, ttft = points.points.tpot_s, points.points.ttft_s
        rate = points.points.tokens_per_s_per_chip
        for i in range(points.count):
            within = [j for j in range(points.count) if tpot[j] <= tpot[i] and ttft[j] <= ttft[i]]
            assert goodput(points, float(tpot[i]), float(ttft[i])) == max(within, key=lambda j: rate[j])
        assert goodput(points, 0.5 * float(tpot.min()), math.inf) is None
        assert goodput(points, math.inf, 0.5 * float(ttft.min())) is None

    def test_layouts_that_are_slower_and_dearer_process_no_prompts(self):
        """Two chips: 30 ms are 60 ms of chips, more than one chip's 40. As fast as one they are of no use."""
        asked = question()
        one, fast, slow = (
            made(Layout(tp=tp), asked, prefill) for tp, prefill in ((1, 0.04), (2, 0.03), (4, 0.05))
        )
        points = found(8, one, fast, slow).points
        assert set(points.prompt_layout[points.policy == "disaggregated"]) == {"tp1", "tp2"}
        assert set(points.layout) == {"tp1", "tp2", "tp4"}
        slower = attrs.evolve(fast, plain=one.plain)  # as long on twice the chips
        points = found(8, one, slower).points
        assert set(points.prompt_layout[points.policy == "disaggregated"]) == {"tp1"}

    def test_what_is_left_out_is_counted_by_its_reason(self):
        asked = question()
        full = made(Layout(), asked, 0.04, fits=grid(0.0) > 0)
        assert found(1, full).infeasible == {"the cache of all sequences doesn't fit": 1}
        long = made(Layout(), asked, 0.04, fits_prompt=grid(0.0) > 0)
        assert found(1, long).infeasible == {"a prompt's processing doesn't fit": 1}
        late = found(2, made(Layout(), asked, 0.1))  # four chips of prompts for one of tokens
        assert late.infeasible == {"prompts don't keep up with this load": 1}
        assert late.count == 1

    def test_intervals_hold_what_schedulers_differ_by(self):
        """Beside the steps' error, a log standard error of 0.10 of times per token, 0.45 to the first."""
        asked = question()
        row = only(found(1, made(Layout(), asked, 0.05)), policy="interleaved")
        wide = {name: math.log(row[f"{name}_high"] / row[name]) / Z for name in ("tpot_s", "ttft_s")}
        assert row["tpot_s"] ** 2 == pytest.approx(row["tpot_s_low"] * row["tpot_s_high"])
        assert wide["tpot_s"] > 0.1
        assert wide["ttft_s"] ** 2 - wide["tpot_s"] ** 2 == pytest.approx(0.45**2 - 0.1**2, rel=1e-4)
        rate = math.log(row["tokens_per_s_high"] / row["tokens_per_s"]) / Z
        assert rate == pytest.approx(wide["tpot_s"])

    def test_chances_multiply(self):
        asked = question()
        points = found(1, made(Layout(), asked, 0.05)).points
        tpot, ttft = float(points.tpot_s[0]), float(points.ttft_s[0])
        assert meets(points, 0, tpot, ttft) == pytest.approx(0.25)
        assert meets(points, 0, math.inf, ttft) == pytest.approx(0.5)
        one_above = meets(points, 0, math.inf, ttft * math.exp(0.2))
        assert one_above == pytest.approx(0.8413447)  # a standard deviation above
        assert meets(points, 0, tpot * math.exp(float(points.log_error[0])), math.inf) == pytest.approx(
            0.8413447
        )
        assert meets(points, 0, math.inf, math.inf) == 1.0
        sure = attrs.evolve(points, log_error=np.array([math.nan]))
        assert math.isnan(meets(sure, 0, tpot, math.inf))


@pytest.mark.needs_plugins(
    "chips/h100-sxm", "networks/llama3-8b", "networks/mixtral-8x7b", "stacks/vllm-h100"
)
@pytest.mark.parametrize(
    ("layout", "depth", "network"),
    [
        ("tp1", 1, "llama3-8b"),
        ("pp2", 2, "llama3-8b"),
        ("tp2", 1, "llama3-8b"),
        ("dp2ep2", 2, "mixtral-8x7b"),
        ("pp2dp2ep2", 4, "mixtral-8x7b"),
    ],
)
def test_a_replicas_steps_are_what_runs_say_of_them(layout, depth, network):
    """One prompt alone is the first token's; what is full has one for each of its stages and ranks."""
    traffic = Traffic(prompt=100.0, output=12.0)  # half of the output is written on average
    net = ib.installed().network(network)
    asked = question(batches=(4.0, 16.0), traffic=traffic, network=net)
    one = replica(asked, ib.installed().chip("h100-sxm"), Layout.parse(layout))

    def seconds(phase: str, batch: float, context: float) -> float:
        system = f"{one.layout.chips}xh100-sxm:{layout}@vllm-h100"
        run = ib.run(system, f"{network}/{phase}", batch=batch, context=context, precision="bf16")
        return float(np.ravel(run.seconds)[0])

    steps = [seconds("decode", batch, 106.0) for batch in (4.0, 16.0)]
    assert np.ravel(one.plain.decode) == pytest.approx(steps)
    alone, full = (seconds("prefill", batch, 100.0) for batch in (1.0, depth))
    assert np.ravel(one.plain.prefill) == pytest.approx([alone])
    assert np.ravel(one.plain.occupancy) == pytest.approx([full / depth])


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-70b", "stacks/vllm-h100")
def test_replicas_are_of_layouts_that_hold_a_request_in_some_precision():
    """70.6 billion weights: 141 GB in 16 bits take two H100 of 80 GB, 71 GB in 8 bits one of them."""
    known = ib.installed()
    system, net = System(known.chip("h100-sxm"), 2), known.network("llama3-70b")

    def named(*precisions: str) -> tuple[set[str], int]:
        asked = question(network=net, precisions=precisions, stack=known.stack("ideal"))
        layouts, refused = layouts_of(asked, system)
        return {str(one) for one in layouts}, sum(refused.values())

    wide, narrow, both = named("bf16"), named("fp8"), named("bf16", "fp8")
    assert wide[1] >= 1
    assert "tp1" not in wide[0]
    assert {"tp2", "pp2"} <= wide[0] < narrow[0] == both[0]
    assert "tp1" in narrow[0]
    assert (narrow[1], both[1]) == (0, 0)


def test_a_table_sets_speed_and_throughput_first_and_costs_behind_times():
    assert [one.title for one in TABLE] == [
        *("tokens/s per user", "tokens/s per chip", "users", "first token", "per token"),
        *("own $/Mtok", "on demand $/Mtok", "J/token, wall", "P:D"),
    ]
