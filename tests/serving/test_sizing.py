"""Sizing: the fewest chips by hand, laws that any answer obeys, and every kind of bad input."""

from __future__ import annotations

import json
import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

import inferbench as ib
from inferbench.discovery.registry import installed
from inferbench.serving.sizing import Demand, batches, size, worth_trying

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b")


def demand(network: str = "llama3-70b", **changes: Any) -> Demand:
    known = installed()
    settings: dict[str, Any] = {
        "network": known.network(network),
        "phase": "decode",
        "users": 200,
        "limit": 0.02,
        "first": math.inf,
        "axes": {"context": 2048.0},
        "precision": "fp8",
        "stack": known.stack("ideal"),
        "scenario": known.get("scenarios", "reference"),
        "registry": known,
    }
    return Demand(**{**settings, **changes})


def sized(chip: str, **changes: Any) -> Any:
    return size(demand(**changes), installed().chip(chip))


def test_batches_are_those_that_change_the_number_of_copies():
    by_hand = sorted({math.ceil(137 / copies) for copies in range(1, 138)})
    assert batches(137).tolist() == by_hand


def test_one_chip_is_enough_by_hand():
    """200 users on one B200: 70 GB of weights and 200 x 2048 x 160 KiB of cache at 8 TB/s are 17.3 ms, under
    20.
    """
    found = sized("b200").fewest
    assert found.system.count == 1
    cache = 200 * 2048 * 2 * 80 * 8 * 128
    assert found.seconds == pytest.approx((69.5e9 + cache) / 8e12, rel=0.05)


def test_one_byte_of_memory_more_than_one_chip_needs_two():
    """An H100 of 80 GB holds the weights but not the cache of 200 users (67 GB)."""
    found = sized("h100-sxm")
    assert found.fewest.system.count > 1
    assert found.fewest.seconds <= 0.02


@pytest.mark.parametrize("chip", ["b200", "h100-sxm", "groq-lpu"])
def test_a_laxer_limit_never_needs_more_chips(chip):
    counts = [sized(chip, limit=limit).fewest.system.count for limit in (0.005, 0.02, 0.1)]
    assert counts == sorted(counts, reverse=True)


def test_more_users_never_need_fewer_chips():
    counts = [sized("b200", users=users).fewest.system.count for users in (1, 100, 1000, 10_000)]
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


@pytest.mark.parametrize("chip", ["b200", "h100-sxm"])
def test_the_answer_holds_when_it_is_run(chip, cli):
    """The layout named, run with all users, is feasible and within the limit; one chip less of the same
    layout isn't tried.
    """
    found = sized(chip, limit=0.008).fewest
    code, out, _ = cli(
        "run",
        f"{found.system}:{found.system.layout}@ideal",
        "llama3-70b/decode",
        "--batch",
        "200",
        "--precision",
        "fp8",
        "--format",
        "json",
    )
    assert code == 0
    row = json.loads(out)["results"][0]
    assert row["feasible"]
    assert row["metrics"]["tpot_s"] <= 0.008
    assert row["metrics"]["tpot_s"] == found.seconds


@pytest.mark.needs_plugins("stacks/vllm-h100")
def test_host_time_counts_per_copy_and_the_limit_holds():
    """A stack with host time per sequence: every copy has a host of its own, and is within the limit."""
    found = sized("h100-sxm", stack=installed().stack("vllm-h100"), precision="bf16").fewest
    assert found.system.layout.dp > 1
    assert found.seconds <= 0.02
    assert found.rate == pytest.approx(200 / found.seconds)


def test_the_cheapest_costs_no_more_than_the_fewest():
    for chip in ("b200", "h100-sxm", "groq-lpu"):
        found = sized(chip)
        assert found.cheapest.dollars[0] <= found.fewest.dollars[0]
        assert found.cheapest.system.count >= found.fewest.system.count


def test_a_limit_on_the_first_token_needs_more_chips():
    free, bound = sized("b200"), sized("b200", first=0.05)
    assert bound.fewest.system.count > free.fewest.system.count
    assert bound.fewest.first <= 0.05


def test_an_impossible_limit_says_the_shortest_step():
    found = sized("b200", limit=1e-6)
    assert found.fewest is None
    assert "the shortest step of any layout is" in found.reason
    assert "1.00 µs was asked for" in found.reason


def test_a_chip_too_small_for_a_layer_says_so():
    installed().get("chips", "hermes")
    assert "a chip holds 4.19 MB" in sized("hermes", precision="int8").reason


def test_pipelines_are_tried_at_which_the_fullest_stage_gets_lighter():
    """80 layers: two to a stage are 40 stages, 42 where the ends stand alone; 41 are as heavy as 40."""
    case = demand().case(ib.System(installed().chip("b200")))
    tried = {one.pp for one in worth_trying(case, demand().grid([1.0])) if one.tp == 1}
    assert {1, 2, 3, 4, 40, 42, 80, 82} <= tried
    assert not {39, 41, 43, 81, 83, 84} & tried


def test_too_many_chips_are_refused():
    assert "more than 1,000,000 chips" in sized("b200", users=10_000_000, limit=0.00055).reason


def test_a_million_users_are_quick():
    found = sized("b200", users=1_000_000, limit=0.05)
    assert found.fewest.batch * found.fewest.system.layout.dp >= 1_000_000
    assert np.isfinite(found.fewest.seconds)


@pytest.mark.slow
class TestCommand:
    ASK = ("size", "llama3-70b/decode", "--tpot", "20ms", "--users", "200", "--chips")

    def test_json(self, cli):
        code, out, _ = cli(*self.ASK, "b200,h100-sxm", "--format", "json")
        document = json.loads(out)
        assert code == 0
        assert document["schema"] == "inferbench.sizing/1"
        assert document["limit_s"] == 0.02
        assert [row["chip"] for row in document["results"]] == ["b200", "b200", "h100-sxm", "h100-sxm"]
        assert all(row["seconds"] <= 0.02 for row in document["results"])

    def test_csv_has_a_line_per_answer(self, cli):
        code, out, _ = cli(*self.ASK, "b200", "--format", "csv")
        assert code == 0
        assert out.splitlines()[0].startswith("workload,users,precision,chip,which,feasible")
        assert len(out.splitlines()) == 3

    @pytest.mark.parametrize("written", ["20ms", "20 ms", "0.02s", "2e-2 s", "20000us"])
    def test_times_are_read_with_units(self, cli, written):
        code, out, _ = cli(
            "size",
            "llama3-8b/decode",
            "--tpot",
            written,
            "--users",
            "8",
            "--chips",
            "b200",
            "--format",
            "json",
        )
        assert code == 0
        assert json.loads(out)["limit_s"] == pytest.approx(0.02)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (("--tpot", "20"), '--tpot: "20" is a number without unit'),
            (("--tpot", "20 GB"), '--tpot: "20 GB" is a capacity'),
            (("--tpot", "0ms"), "--tpot: 0ms is no limit"),
            (("--tpot", "nan s"), "--tpot:"),
            (("--tpot", "-1ms"), '--tpot: "-1ms" is negative'),
            (("--users", "0"), "--users: 0 is out of range"),
            (("--users", "5e9"), "--users: 5,000,000,000 is out of range"),
            (("--users", "1,2"), "--users: '1,2' is not one whole number"),
            (("--users", "many"), "--users: 'many' is not a list of numbers"),
            (("--chips", "8xb200"), "--chips 8xb200: the number of chips is what is asked for"),
            (("--chips", "h100-sxn"), "did you mean 'h100-sxm'?"),
            (("--chips", ","), "--chips: no name was given"),
            (("--batch", "8"), "No such option"),
            (("--context", "1,2"), "--context: '1,2' is not one whole number"),
            (("--precision", "fp8,fp4"), "--precision: a sizing takes one precision"),
            (("--latency", "1s"), "--latency: llama3-70b/decode has no such time"),
            (("--stack", "nosuch"), "nosuch"),
        ],
    )
    def test_bad_input_is_one_message_and_exit_2(self, cli, change, message):
        given = {"--tpot": "20ms", "--users": "200", "--chips": "b200", change[0]: change[1]}
        code, out, err = cli("size", "llama3-70b/decode", *(part for pair in given.items() for part in pair))
        assert code == 2
        assert out == ""
        assert err.count("inferbench: ") == 1
        assert message in err
        assert "Traceback" not in err

    def test_a_limit_is_asked_for(self, cli):
        code, _, err = cli("size", "llama3-70b/decode", "--users", "8", "--chips", "b200")
        assert (code, err.splitlines()[0]) == (2, "inferbench: --tpot: no limit was given")

    def test_a_chip_that_cant_says_why_on_the_screen(self, cli):
        code, out, _ = cli("size", "llama3-70b/decode", "--tpot", "1us", "--users", "8", "--chips", "b200")
        assert code == 0
        assert "the shortest step of any layout" in out


@pytest.mark.needs_plugins("chips/h200", "networks/deepseek-v3")
def test_a_large_mixture_is_sized_with_ranks_that_share_experts():
    """Eight H200: 671 GB of weights once, and 2,000 users' 2,000 positions of 35 kB each, 141 GB."""
    asked = {"network": "deepseek-v3", "users": 2000, "limit": 0.05, "axes": {"context": 2000.0}}
    best = sized("h200", **asked).fewest
    assert (best.system.count, best.system.layout.replicas) == (8, 1)
    assert best.system.layout.sharing > 1
    assert best.batch == 2000
    assert best.watts <= 8 * 700 * (1 + 1e-9)


@pytest.mark.needs_plugins("chips/h200", "stacks/trtllm-1.3")
def test_a_limit_is_met_with_a_chance_and_figures_have_intervals():
    """Log-normal errors: the chance follows from where the limit lies in the 90 % interval."""
    (found,) = ib.size("llama3-70b/prefill", ["h200"], 4, ttft="2s").to_dict()["results"][:1]
    assert found["seconds_low"] < found["seconds"] < found["seconds_high"]
    spread = math.log(found["seconds_high"] / found["seconds"]) / 1.6449
    chance = NormalDist().cdf(math.log(2.0 / found["seconds"]) / spread)
    assert found["meets"] == pytest.approx(chance, abs=1e-3)
    assert 0.5 < chance < 1


def test_a_prompt_that_no_layout_processes_in_time_is_the_reason():
    """Small batches are within the limit on the step and large ones aren't: the prompt's limit counts all the
    same.
    """
    found = sized("b200", users=20_000, first=1e-6)
    assert found.fewest is None
    assert found.reason == "no layout processes the prompt within 1.00 µs"
