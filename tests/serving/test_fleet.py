"""Sizing with prompts counted: it agrees with the frontier, and laws."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

import inferbench as ib
from inferbench.serving import fleet as fleets

pytestmark = pytest.mark.needs_plugins("chips/h200", "networks/qwen3-32b", "stacks/trtllm-1.3")
ASK: dict[str, Any] = {
    "chips": "h200",
    "stack": "trtllm-1.3",
    "precision": "fp8",
    "prompt": 4000,
    "tpot": "30ms",
    "ttft": "2s",
}


def sized(**changes):
    settings = {**ASK, **changes}
    return ib.size("qwen3-32b", settings.pop("chips"), **settings).chips[0]


def most(chips, column):
    """The largest load of a frontier's points within the limits of `ASK`."""
    points = (
        ib.frontier([f"{chips}xh200@trtllm-1.3"], "qwen3-32b", context=4000, slo_tpot="30ms", slo_ttft="2s")
        .systems[0]
        .points
    )
    fine = (points["tpot_s"] <= 0.03) & (points["ttft_s"] <= 2.0)
    return max(points[column][fine], default=0.0)


def test_it_names_as_many_chips_as_the_frontier_needs():
    """200 users of 4,000 tokens: the steps alone would fit two chips, with prompts it takes four."""
    found = sized(users=200).fewest
    assert found.system.count == 4
    assert most(2, "users") < 200
    assert most(4, "users") >= 190


def test_a_higher_rate_never_needs_fewer_chips():
    counts = [sized(rate=rate).fewest.system.count for rate in (1, 8, 24)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_the_answer_is_within_the_limits_when_it_is_replayed():
    found = sized(users=60).fewest
    times = found.replayed.found.times
    assert times["tpot_s"]["mean"] <= 0.03
    assert times["ttft_s"]["mean"] <= 2.0
    assert 0.0 < found.replayed.chance() <= 1.0


def test_more_chips_are_tried_where_a_replay_of_the_first_number_is_too_slow(monkeypatch):
    """Closed formulas say two chips for 60 users. Where no replay of two passes, the answer has more."""
    replayed = fleets.simulated

    def refused(asked, system, *rest):
        if system.count <= 2:
            raise ib.InferBenchError.at("replay", "too slow", "")
        return replayed(asked, system, *rest)

    assert sized(users=60).fewest.system.count == 2
    monkeypatch.setattr(fleets, "simulated", refused)
    assert sized(users=60).fewest.system.count in (3, 4)


def test_the_cheapest_costs_no_more_than_the_fewest():
    found = sized(users=60)
    assert found.cheapest.price[:2] <= found.fewest.price[:2]


def test_json_has_intervals_and_the_chance(cli):
    code, out, _ = cli(
        *("size", "qwen3-32b", "--users", "20", "--tpot", "30ms", "--ttft", "2s", "--chips", "h200"),
        *("--prompt", "1000", "--output", "200", "--format", "json"),
    )
    row = json.loads(out)["results"][0]
    assert code == 0
    assert row["seconds_low"] < row["seconds"] < row["seconds_high"]
    assert row["first_token_s_low"] < row["first_token_s"] < row["first_token_s_high"]
    assert 0.0 <= row["chance"] <= 1.0
    assert not math.isnan(row["power_w"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--users: no load was given"),
        (("--users", "5", "--rate", "4"), "--users: users and a rate were given"),
        (("--rate", "0"), "--rate: '0' is no rate above 0"),
        (("--users", "5", "--output", "1"), "output: 1 is out of range"),
        (("--users", "5", "--prompt", "a"), "--prompt: 'a' is not a list of numbers"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(cli, arguments, message):
    code, out, err = cli("size", "qwen3-32b", "--tpot", "30ms", "--chips", "h200", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_the_shortest_step_that_it_names_does_not_depend_on_the_limit():
    """A faster layout than the one named would not be left aside as too slow at the second limit."""
    reason = sized(users=1, tpot="0.1ms", ttft=None).reason
    named, shortest = reason.split(";")[0], float(reason.split("any layout is ")[1].split(" ms")[0])
    assert sized(users=1, tpot=f"{0.98 * shortest}ms", ttft=None).reason.split(";")[0] == named


def test_who_watches_is_told_rising_per_cent():
    told = []
    sized(users=60, watch=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert {total for _, total in told} == {100}
    assert told[0][0] < 50 <= told[-1][0] <= 100


def test_who_watches_a_frontier_is_told_of_every_system():
    told = []
    ib.frontier(["h200", "2xh200"], "qwen3-32b", batch=[1], watch=lambda done, total: told.append(done))
    assert told == sorted(told)
    assert told[0] == 0
    assert 50 <= told[-1] < 100
