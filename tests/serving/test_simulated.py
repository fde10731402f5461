"""Replays of chips: what a system holds and sustains, how far that may be off, and what a step costs."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.model.intervals import INTERVAL
from inferbench.serving.simulate import Simulated, layout_for, simulate, waited
from inferbench.serving.tabulated import Span, tabulate

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")
POLICIES = ("chunked", "interleaved")
BARE: dict[str, Any] = {"precision": "bf16", "requests": 60, "prompt": 1000, "output": 101}


def replayed(system: str = "h100@vllm-h100", **more: Any) -> Simulated:
    return ib.simulate(system, "llama3-8b", **{**BARE, **more}).found


@pytest.fixture(scope="module")
def loop() -> Simulated:
    return replayed(concurrency=8, slo_tpot="8ms")


class TestIntervals:
    def test_steps_at_the_ends_of_their_interval_make_a_closed_loop_as_much_slower(self, loop):
        """Times per token have no waits from outside: their factor is that of the steps, on both sides."""
        middle, fast, slow = (one.times["tpot_s"]["mean"] for one in (loop.found, loop.fast, loop.slow))
        factor = math.exp(1.6448536 * loop.errors[0])
        assert factor > 1.01
        assert slow / middle == pytest.approx(factor, rel=0.02)
        assert middle / fast == pytest.approx(factor, rel=0.02)

    def test_what_schedulers_differ_by_is_in_quadrature_beside_them(self, loop):
        middle, slow = loop.found.times["tpot_s"]["mean"], loop.slow.times["tpot_s"]["mean"]
        low, high = loop.interval("tpot_s", "mean")
        wide = math.hypot(math.log(slow / middle), 1.6448536 * 0.10)
        assert high == pytest.approx(middle * math.exp(wide))
        assert low < loop.fast.times["tpot_s"]["mean"] < middle
        rates = loop.between("tokens_per_s")
        assert rates[0] < loop.slow.tokens_per_s < loop.found.tokens_per_s < rates[1]

    def test_power_is_never_above_the_limit_of_the_chips(self, loop):
        """700 W of an H100; below, as far off as the log standard error of power says."""
        low, high = loop.between("watts")
        middle = loop.found.watts
        error = float(np.nanmean(np.asarray(loop.run.power_log_error)))
        assert low == pytest.approx(middle * math.exp(-1.6448536 * error))
        assert middle < high <= 700.0
        assert high == pytest.approx(min(middle * math.exp(1.6448536 * error), 700.0))

    def test_two_chips_have_twice_the_limit(self):
        found = replayed("2xh100:dp2@vllm-h100", concurrency=64, requests=64)
        low, high = found.between("watts")
        error = float(np.nanmean(np.asarray(found.run.power_log_error)))
        assert low < found.found.watts < high <= 1400.0
        assert high == pytest.approx(min(found.found.watts * math.exp(1.6448536 * error), 1400.0))

    def test_a_share_lies_between_those_of_fast_and_slow_steps(self, loop):
        """Between 8 ms and the time per token lies the limit: fast steps meet it oftener."""
        assert loop.between("good") == (loop.slow.good, loop.fast.good)
        assert loop.slow.good <= loop.found.good <= loop.fast.good

    def test_the_chance_of_two_limits_is_that_of_the_harder(self, loop):
        tpot, ttft = (loop.found.times[name]["mean"] for name in ("tpot_s", "ttft_s"))

        def chance(*limits: float) -> float:
            return attrs.evolve(loop, plan=attrs.evolve(loop.plan, limits=limits)).chance()

        assert chance(tpot, math.inf) == pytest.approx(0.5)
        assert chance(tpot, ttft) == pytest.approx(0.5)
        assert chance(loop.interval("tpot_s", "mean")[1], ttft) == pytest.approx(0.5)
        assert chance(loop.interval("tpot_s", "mean")[1], math.inf) == pytest.approx(0.95)
        assert chance(loop.interval("tpot_s", "mean")[0], math.inf) == pytest.approx(0.05)
        assert math.isnan(chance(math.inf, math.inf))

    def test_a_bound_has_none(self):
        bound = replayed("h100@ideal", concurrency=8)
        assert (bound.fast, bound.slow, bound.name) == (None, None, "bound")
        assert np.isnan([*bound.interval("tpot_s", "mean"), *bound.between("watts")]).all()


class TestRoom:
    @pytest.mark.parametrize("reserve", [0.0, 0.25])
    def test_a_cache_holds_what_a_run_says_that_fits(self, reserve):
        """As many sequences of mean length as fit without a reserve, and a share less with one."""
        found = replayed("h100@ideal", concurrency=4, reserve=reserve, output=100)
        mean = 1000 + 100 / 2
        most = math.floor(found.room / (1.0 - reserve) / mean)
        run = ib.run("h100@ideal", "llama3-8b/decode", batch=[most, most + 1], context=mean, precision="bf16")
        assert np.ravel(run.values(run.feasible)).tolist() == [True, False]
        assert found.fit == pytest.approx(found.room / 1100.0)

    def test_replicas_hold_it_together(self):
        one, two = (replayed(f"{count}xh100:dp{count}@ideal", concurrency=4) for count in (1, 2))
        assert two.room == pytest.approx(2 * one.room)
        assert two.plan.copies == 2

    def test_with_capacity_ignored_nothing_is_full(self):
        assert replayed("h100@ideal", concurrency=4, ignore_capacity=True).room == math.inf

    def test_a_request_fits_up_to_the_last_block(self):
        """What the cache holds, rounded down to blocks, is the longest request."""
        room = replayed("h100@ideal", concurrency=1, requests=1).room
        whole = math.floor(room / 16) * 16
        with pytest.raises(ib.InferBenchError, match="the cache of a replica holds"):
            replayed("h100@ideal", concurrency=1, requests=1, prompt=1.01 * whole)
        assert replayed("h100@ideal", concurrency=1, requests=1, prompt=0.97 * whole).found.peak == 1


class TestCapacity:
    def test_it_is_what_comes_out_of_a_trace_that_asks_for_too_much(self):
        """Two thousand requests at three times the rate: all but the beginning and the end is at capacity."""
        found = replayed(rate=1.0, requests=2000, output="uniform:50:150")
        much = attrs.evolve(
            found.requests, arrival=found.requests.arrival / (3 * found.capacity), drawn=False
        )
        again = simulate(found.plan, much, intervals=False)
        assert again.found.requests_per_s == pytest.approx(found.capacity, rel=0.03)
        assert again.capacity == found.capacity

    @pytest.mark.parametrize("system", ["h100@vllm-h100", "h100@ideal"])
    def test_it_does_not_depend_on_how_many_are_asked(self, system):
        """Caches hold 430: fewer than that ask again and again, as more do."""
        found = [
            replayed(system, rate=1.0, requests=count, output="uniform:50:150").capacity
            for count in (40, 430, 1000)
        ]
        assert found == pytest.approx([found[-1]] * 3, rel=0.05)

    def test_it_does_not_depend_on_what_the_caches_hold_where_all_is_asked_at_once(self):
        """With an endless cache all decode together: steps get longer, and prompts stay what they are."""
        bound = replayed("h100@ideal", rate=1.0, requests=400)
        free = replayed("h100@ideal", rate=1.0, requests=400, ignore_capacity=True)
        assert free.capacity == pytest.approx(bound.capacity, rel=0.2)

    def test_nobody_who_does_not_ask_for_it_gets_other_times(self):
        found = replayed(rate=1.0, requests=50)
        alone = simulate(found.plan, found.requests, sustained=False)
        assert math.isnan(alone.capacity)
        assert alone.found.times == found.found.times
        assert alone.interval("tpot_s", "mean") == found.interval("tpot_s", "mean")

    def test_a_closed_loop_has_none(self, loop):
        assert math.isnan(loop.capacity)

    def test_a_rate_above_it_is_refused_and_one_below_is_not(self):
        capacity = replayed(rate=1.0, requests=200).capacity
        assert replayed(rate=0.9 * capacity, requests=200).found.requests_per_s < capacity
        with pytest.raises(ib.InferBenchError, match="sustains"):
            replayed(rate=1.3 * capacity, requests=200)

    def test_few_requests_say_nothing_of_it(self):
        assert math.isnan(replayed(rate=1.0, requests=39).capacity)
        assert math.isfinite(replayed(rate=1.0, requests=40).capacity)

    def test_copies_sustain_as_many_times_as_much(self):
        one, two = (replayed(f"{n}xh100:dp{n}@ideal", rate=1.0, requests=400 * n).capacity for n in (1, 2))
        assert two == pytest.approx(2 * one, rel=0.1)


class TestLayouts:
    """Of four H100 the layout of the shortest step, at the first load that makes a third more than asked."""

    def chosen(self, **load: Any) -> str:
        found = replayed("h100@vllm-h100", concurrency=1, requests=2)
        system = ib.System(ib.installed().chip("h100-sxm"), 4)
        return str(layout_for(found.plan.asked, system, attrs.evolve(found.requests, **load)))

    @pytest.mark.parametrize("rate", [0.1, 33.0, 40.0, 52.0, 70.0, 1e4])
    def test_it_is_that_of_a_step_that_keeps_up(self, rate):
        loads = [2.0**i for i in range(10)]
        run = ib.run("4xh100@vllm-h100", "llama3-8b/decode", batch=loads, context=1050, precision="bf16")
        seconds, which = run.values(run.seconds)[:, 0, 0], run.values(run.layout)[:, 0, 0]
        enough = [i for i in range(10) if loads[i] / (101 * seconds[i]) >= 4 * rate / 3]
        wanted = str(run.layouts[int(which[enough[0] if enough else -1])])
        assert self.chosen(users=0, arrival=np.array([0.0, 1.0 / rate])) == wanted
        assert wanted == {0.1: "tp4", 1e4: "dp4"}.get(rate, wanted)

    def test_prompts_run_in_the_layout_of_their_replicas(self):
        """Two chips read a prompt sooner than one, whoever decodes; a reader is told both."""
        split = {"requests": 20, "concurrency": 1, "decode": "1xtp1"}
        found = {
            layout: replayed("3xh100@ideal", prefill=f"1x{layout}", **split) for layout in ("tp1", "tp2")
        }
        first = {layout: one.found.times["ttft_s"]["mean"] for layout, one in found.items()}
        alone = [
            float(np.ravel(ib.run(system, "llama3-8b/prefill", context=1000, precision="bf16").seconds)[0])
            for system in ("h100@ideal", "2xh100:tp2@ideal")
        ]
        assert first["tp1"] - first["tp2"] == pytest.approx(alone[0] - alone[1], rel=0.01)
        assert found["tp2"].plan.how == "disaggregated 1×tp2 + 1×tp1"

    def test_it_is_told_with_the_policy_and_the_chunk(self):
        plans = (replayed("2xh100:dp2@ideal", requests=4, concurrency=2, policy=one).plan for one in POLICIES)
        how = dict(zip(POLICIES, (plan.how for plan in plans), strict=True))
        assert how["interleaved"] == "interleaved 2×tp1"
        assert how["chunked"].startswith("chunked ")
        assert how["chunked"].endswith(" 2×tp1")
        assert how["chunked"].split()[1].replace(",", "").isdigit()

    def test_a_closed_loop_has_its_users(self):
        assert [self.chosen(users=users) for users in (16, 512)] == ["tp4", "dp4"]

    def test_what_is_given_stays(self):
        found = replayed("h100@vllm-h100", concurrency=1, requests=2)
        one = ib.System(ib.installed().chip("h100-sxm"), 4, ib.Layout(dp=2, tp=2))
        assert layout_for(found.plan.asked, one, found.requests) == ib.Layout(dp=2, tp=2)
        assert layout_for(found.plan.asked, ib.System(one.chip, 1), found.requests) == ib.Layout()


class TestSteps:
    def test_a_token_of_one_user_waits_for_one_step_and_for_no_prompt(self):
        alone = replayed(concurrency=1, requests=20)
        _, steps, prompts = waited(alone.plan, alone.requests, 0.01)
        assert steps == pytest.approx(1.0, abs=0.01)
        assert prompts == pytest.approx(0.0, abs=0.01)

    def test_beside_prompts_in_chunks_a_token_waits_for_one_step_still(self):
        """Of a hundred steps at most 16 have the prompt of another user, two of which fit into one."""
        many = replayed(concurrency=16, requests=200)
        _, steps, prompts = waited(many.plan, many.requests, 0.01)
        assert steps == pytest.approx(1.0, abs=0.05)
        assert 0.03 < prompts <= 0.16

    def test_between_whole_prompts_it_waits_for_theirs_too(self):
        many = replayed(concurrency=16, requests=200, policy="interleaved")
        _, steps, prompts = waited(many.plan, many.requests, 0.01)
        assert steps == pytest.approx(1.0 + prompts, abs=0.02)


@pytest.mark.parametrize("layout", ["tp1", "tp2pp2", "dp2tp2"])
class TestTables:
    """What a table holds is what a run says at the same point."""

    def table(self, layout: str) -> Any:
        known = ib.installed()
        plan = replayed("8xh100@vllm-h100", concurrency=8).plan
        span = Span(batch=64.0, context=2048.0, tokens=2048.0, mean=1024.0)
        return tabulate(plan.asked, known.chip("h100-sxm"), ib.Layout.parse(layout), span)

    def figures(self, layout: str, phase: str, **at: Any) -> tuple[float, float, float]:
        chips = ib.Layout.parse(layout).chips
        run = ib.run(f"{chips}xh100:{layout}@vllm-h100", f"llama3-8b/{phase}", precision="bf16", **at)
        numbers = (run.seconds, run.energy.watts, run.log_error)
        return tuple(float(np.ravel(run.values(np.asarray(one)))[0]) for one in numbers)  # type: ignore[return-value]

    def test_steps(self, layout):
        table = self.table(layout)
        for batch, context in ((1.0, 2048.0), (8.0, 64.0), (64.0, 2048.0)):
            if batch < table.layout.dp:  # fewer sequences than ranks
                continue
            assert batch in table.batches.values
            seconds, watts, _ = self.figures(layout, "decode", batch=batch, context=context)
            assert table.of_tokens(batch, context) == pytest.approx((seconds, watts), rel=1e-6)

    def test_prompts(self, layout):
        table = self.table(layout)
        seconds, watts, _ = self.figures(layout, "prefill", batch=1, context=2048)
        assert table.of_prompts(2048.0, 0.0, 1) == pytest.approx((seconds, watts), rel=1e-6)
        behind, _, _ = self.figures(layout, "prefill", batch=1, context=4096, options={"cached": 2048})
        assert table.of_prompts(2048.0, 2048.0, 1)[0] == pytest.approx(behind, rel=1e-6)
        depth = table.depth
        full, _, _ = self.figures(layout, "prefill", batch=depth, context=2048)
        assert table.of_prompts(2048.0 * depth, 0.0, depth)[0] == pytest.approx(full, rel=1e-6)

    def test_both_together_take_less_than_one_after_the_other(self, layout):
        """Weights are read once for both; never less than either."""
        table = self.table(layout)
        ranks = table.layout.dp
        for batch, tokens in ((8.0, 16.0), (8.0, 2048.0), (64.0, 512.0)):
            alone, prompt = table.of_tokens(batch, 1024.0)[0], table.of_prompts(tokens * ranks, 0.0, ranks)[0]
            both = table.of_both(batch, 1024.0, tokens, 0.0)[0]
            assert alone < both < 1.05 * (alone + prompt)
        assert table.of_both(8.0, 2048.0, 512.0, 0.0)[0] > table.of_both(8.0, 1024.0, 512.0, 0.0)[0]
        assert table.of_both(8.0, 1024.0, 512.0, 2048.0)[0] > table.of_both(8.0, 1024.0, 512.0, 0.0)[0]


def test_the_interval_is_that_of_nine_in_ten():
    assert pytest.approx(1.6448536, abs=1e-4) == INTERVAL
