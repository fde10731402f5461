"""What a replay is laid out for: lengths, layouts, links and chances by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.errors import InferBenchError
from inferbench.records.scenario import HourlyCost, Term
from inferbench.records.system import Layout, System
from inferbench.serving.engine import Rules
from inferbench.serving.fleet import Need, Way, _Search
from inferbench.serving.fleet import _below as numbers_below
from inferbench.serving.points import ABOUT
from inferbench.serving.replica import Question
from inferbench.serving.replicas import per_byte
from inferbench.serving.requests import Lengths, Requests
from inferbench.serving.simulate import _below, layout_for, span_of
from inferbench.serving.steady_state import Steps, Traffic, interleaved


def asked(prompt: list[float], output: list[float], **more: Any) -> Requests:
    arrays = {"arrival": np.zeros(len(prompt)), "prompt": np.array(prompt), "output": np.array(output)}
    return Requests(**arrays, **more)


def test_a_span_reaches_from_the_mean_to_the_longest_request():
    """Prompts of 100 and 300 and answers of 50 and 10: at most 310 positions and the next, 215 on average."""
    span = span_of(asked([100.0, 300.0], [50.0, 10.0]), Rules(chunk=256.0, most=64))
    assert (span.batch, span.context, span.tokens, span.mean) == (2.0, 311.0, 256.0, 215.0)
    whole = span_of(asked([100.0, 300.0], [50.0, 10.0]), Rules(policy="interleaved", chunk=256.0))
    assert whole.tokens == 300.0  # prompts are not cut
    many = asked([10.0] * 100, [10.0] * 100, users=7)
    assert span_of(many, Rules(chunk=256.0, most=64)).batch == 7.0
    assert span_of(many, Rules(chunk=256.0, most=4)).batch == 4.0
    assert span_of(asked([3.0], [1.0]), Rules(chunk=256.0)).tokens == 3.0


def test_chances_of_a_figure_between_its_ends():
    """From half to twice with 90%: at the ends 5 and 95 %, in the middle half."""
    found = [_below(1.0, (0.5, 2.0), limit) for limit in (0.5, 1.0, 2.0, 4.0)]
    assert found == pytest.approx([0.05, 0.5, 0.95, 0.9995], abs=1e-4)
    uneven = [_below(1.0, (0.5, 4.0), limit) for limit in (0.5, 4.0)]
    assert uneven == pytest.approx([0.05, 0.95], abs=1e-4)
    assert [_below(1.0, (1.0, 1.0), limit) for limit in (0.9, 1.0, 1.1)] == [0.0, 1.0, 1.0]
    assert math.isnan(_below(1.0, (math.nan, math.nan), 1.0))


@pytest.mark.needs_plugins("chips/h100-sxm")
def test_caches_move_over_the_inner_links_up_to_their_size():
    """NVLink 4 carries 450 GB/s each way, among eight; beyond, what is outside of the server."""
    chip = ib.installed().chip("h100-sxm")
    assert per_byte(System(chip, 8), 1) == pytest.approx(1 / 450e9)
    assert per_byte(System(chip, 8), 4) == pytest.approx(1 / 4 / 450e9)
    outer = chip.interconnect.get("scale_out")
    beyond = per_byte(System(chip, 16), 1)
    assert beyond == pytest.approx(1 / outer.bandwidth if outer else 1 / 450e9)


def question(network: str = "llama3-70b", precision: str = "fp8") -> Question:
    known = ib.installed()
    return Question(
        network=known.network(network),
        traffic=Traffic(prompt=1000.0, output=200.0),
        batches=(1.0,),
        precisions=(precision,),
        chunks=(),
        stack=known.stack("ideal"),
        scenario=None,
        registry=known,
    )


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-70b")
class TestLayouts:
    def system(self, count: int, layout: Layout | None = None) -> System:
        return System(ib.installed().chip("h100-sxm"), count, layout)

    def test_one_that_is_named_is_taken(self):
        two = Layout(pp=2)
        load = asked([1000.0], [200.0], users=1)
        assert layout_for(question(), self.system(2, two), load) == two
        assert layout_for(question("llama3-8b"), self.system(1), load) == Layout()

    @pytest.mark.parametrize("users", [1, 64])
    def test_users_get_the_shortest_step(self, users):
        """The run over all layouts takes the shortest step at 1,100 positions, which all of them hold."""
        load = asked([1000.0] * users, [200.0] * users, users=users)
        run = ib.run("4xh100-sxm@ideal", "llama3-70b/decode", batch=users, context=1100, precision="fp8")
        assert str(layout_for(question(), self.system(4), load)) == str(
            run.layouts[int(np.ravel(run.layout)[0])]
        )

    def test_a_rate_gets_the_fewest_sequences_that_yield_a_third_more(self):
        """Answers of 200 tokens at 3 requests/s are 800 tokens/s with a third more."""
        load = attrs.evolve(asked([1000.0] * 10, [200.0] * 10), arrival=np.arange(10) / 3.0)
        assert load.rate == pytest.approx(3.0)
        chosen = layout_for(question(), self.system(4), load)
        batches = [2.0**i for i in range(10)]
        run = ib.run("4xh100-sxm@ideal", "llama3-70b/decode", batch=batches, context=1100, precision="fp8")
        seconds = np.ravel(run.values(run.seconds))
        first = next(i for i, batch in enumerate(batches) if batch / seconds[i] >= 800.0)
        assert str(chosen) == str(run.layouts[int(np.ravel(run.values(run.layout))[first])])

    def test_a_network_that_fits_nowhere_is_refused(self):
        load = asked([1000.0], [200.0], users=1)
        with pytest.raises(InferBenchError, match="no layout holds the network and one request"):
            layout_for(question("llama3.1-405b", "bf16"), self.system(4), load)


def test_lengths_lie_between_their_ends():
    random = np.random.default_rng(1)
    drawn = Lengths("uniform", 3.0, 5.0).draw(2000, random)
    assert sorted(set(drawn.tolist())) == [3.0, 4.0, 5.0]
    assert Lengths("exponential", 1.0).draw(500, random).min() == 1.0
    assert Lengths.parse("1").mean == 1.0
    assert Lengths.parse("10000000").mean == 1e7
    assert Lengths.parse("lognormal:1024:4").second == 4.0
    assert Lengths.parse("uniform:7:7").mean == 7.0


def test_interleaved_prompts_by_hand():
    """Four users take ten steps of 10 ms and four prompts of 50 ms: a cycle of 300 ms.

    Prompts take two thirds of the time, so that one more waits 50 ms for others (M/D/1). Of four, three meet
    others, and wait for half a step.
    """
    steps = Steps(batch=4.0, decode=0.01, prefill=0.05, occupancy=0.05)
    found = interleaved(steps, Traffic(prompt=100.0, output=11.0))
    assert (found.rate, found.share) == pytest.approx((4 / 0.3, 2 / 3))
    assert found.tpot == pytest.approx(0.01 + 3 * 0.05 / 10)
    assert float(found.ttft) == pytest.approx(0.05 + 0.75 * (0.05 + 0.005))
    assert float(found.users) == pytest.approx(4 / 0.3 * (0.09125 + 0.25))  # Little's law


def way(count: int, own: float, rented: float) -> Any:
    point = {ABOUT.usd_per_hour.name: own, ABOUT.usd_per_hour_cloud.name: rented}
    return Way(SimpleNamespace(count=count), point, None)  # type: ignore[arg-type]


class TestFleets:
    def test_the_cheapest_to_own_comes_first_and_chips_count_where_no_price_is_known(self):
        unknown = math.nan
        ways = [way(1, 9.0, 1.0), way(9, 2.0, 7.0), way(4, unknown, 3.0), way(2, unknown, unknown)]
        ways.append(way(1, unknown, unknown))
        best = sorted(ways, key=lambda one: one.price)
        assert [one.system.count for one in best] == [9, 4, 1, 1, 2]

    def test_few_numbers_of_chips_are_all_tried_and_many_in_steps(self):
        assert list(numbers_below(5)) == [1, 2, 3, 4, 5]
        assert list(numbers_below(12)) == list(range(1, 13))
        many = list(numbers_below(110))
        assert (many[0], many[-1], len(many)) == (55, 110, 12)
        assert many == sorted(set(many))

    def test_a_need_is_of_users_or_of_requests(self):
        assert (Need(users=5.0).column, Need(users=5.0).load) == ("users", 5.0)
        assert (Need(rate=2.0).column, Need(rate=2.0).load) == ("requests_per_s", 2.0)

    @pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-70b", "scenarios/reference")
    def test_more_chips_are_dearer_than_a_way_where_their_price_alone_is(self):
        known = ib.installed()
        chip = known.chip("h100-sxm")
        search = _Search(
            attrs.evolve(question(), scenario=known.get("scenarios", "reference")), chip, Need(rate=1.0)
        )
        three = float(HourlyCost.under(search.asked.scenario, System(chip, 3), 0.0).of(Term.PURCHASE))
        cloud = float(HourlyCost.under(search.asked.scenario, System(chip, 3), 0.0).of(Term.ON_DEMAND))
        assert 0 < three < math.inf
        found = [search.dearer(3, way(2, price, 0.1)) for price in (0.99 * three, 1.01 * three)]
        assert found == [True, False]
        assert [search.dearer(3, way(2, math.nan, price)) for price in (0.99 * cloud, 1.01 * cloud)] == [
            True,
            False,
        ]
        assert search.dearer(3, way(2, math.nan, math.nan))
        assert not search.dearer(2, way(2, 0.01, 0.01))  # no more chips
