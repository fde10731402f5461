"""At a limit: the load is the last that holds, and the chance that it holds is said."""

from __future__ import annotations

import json

import numpy as np
import pytest

import inferbench as ib
from inferbench.serving.frontier import goodput
from inferbench.serving.within import meets

pytestmark = pytest.mark.needs_plugins("chips/b200", "chips/tpu-v7", "networks/llama3-70b", "metrics/tpot_s")
ASKED = {"context": 8000, "output": 1000, "slo_tpot": "30tok/s", "chunk": None}
TRAFFIC = ("--prompt", "8000", "--output", "1000")


@pytest.mark.parametrize("chip", ["b200", "tpu-v7"])
def test_one_more_sequence_would_break_the_limit(chip):
    """Between two loads of the grid the last that meets the limit is found, not the one before it."""
    (found,) = ib.frontier([chip], "llama3-70b", **ASKED).systems
    i = goodput(found, 1 / 30, float("inf"))
    points = found.points
    assert points.tpot_s[i] <= 1 / 30
    load = float(points.batch[i])
    (more,) = ib.frontier([f"1x{chip}"], "llama3-70b", **ASKED, batch=[load + 1]).systems
    same = points.policy[i]
    assert (
        min(t for t, kind in zip(more.points.tpot_s, more.points.policy, strict=True) if kind == same)
        > 1 / 30
    )


def test_loads_that_were_given_stay_as_they_are():
    (found,) = ib.frontier(["b200"], "llama3-70b", **ASKED, batch=[8, 64]).systems
    assert set(found.points.batch.tolist()) == {8.0, 64.0}


def test_the_chance_to_meet_a_limit_is_even_at_the_expected_time_and_sure_far_from_it():
    (found,) = ib.frontier(["b200"], "llama3-70b", context=8000, output=1000, batch=[8], chunk=None).systems
    expected = float(found.points.tpot_s[0])
    assert meets(found.points, 0, expected, float("inf")) == pytest.approx(0.5)
    # At the upper end of a 90 % interval, 95 %.
    (high,) = [one["tpot_s_high"] for one in [row(found)]]
    assert meets(found.points, 0, high, float("inf")) == pytest.approx(0.95, abs=1e-3)
    assert meets(found.points, 0, 100 * expected, float("inf")) > 0.999


def row(found):
    from inferbench.serving.points import QUANTITIES

    what = next(one for one in QUANTITIES if one.name == "tpot_s")
    return {"tpot_s_high": found.points.between(what, 0)[1]}


def test_ideal_software_has_no_interval():
    (found,) = ib.frontier(["b200@ideal"], "llama3-70b", context=8000, output=1000, batch=[8]).systems
    assert np.isnan(found.points.log_error).all()


class TestUsersAt:
    def test_dollars_of_input_and_output_are_the_same_dollars(self):
        """8,000 prompt tokens a request of 1,000: input costs an eighth of output, both a ninth."""
        (one,) = ib.users_at(["b200"], "llama3-70b", "30tok/s", prompt=8000, output=1000).to_dict()["results"]
        assert one["usd_per_mtok_input"] == pytest.approx(one["usd_per_mtok_output"] / 8)
        assert one["usd_per_mtok_both"] == pytest.approx(one["usd_per_mtok_output"] / 9)
        assert one["tokens_per_s_per_user"] >= 30
        assert 0.5 <= one["meets"] < 1
        assert (
            one["tokens_per_s_per_chip_low"]
            < one["tokens_per_s_per_chip"]
            < one["tokens_per_s_per_chip_bound"]
        )

    def test_carbon_is_kilowatt_hours_at_the_wall_times_the_grid(self, cli):
        """Twice the grams per kWh are twice the grams per token."""
        compare = (
            "compare",
            "b200",
            "-w",
            "llama3-70b",
            "--users-at",
            "30tok/s",
            *TRAFFIC,
            "--format",
            "json",
        )
        plain, dirty = (
            json.loads(cli(*compare, *more)[1])["results"][0]["grams_co2_per_mtok"]
            for more in ((), ("--set", "scenario.carbon_intensity=734g/kWh"))
        )
        assert dirty == pytest.approx(2 * plain)

    def test_one_screen_says_who_and_how_sure(self, cli):
        code, out, _ = cli("compare", "b200", "h200", "-w", "llama3-70b", "--users-at", "30tok/s", *TRAFFIC)
        assert code == 0
        lines = out.splitlines()
        assert len(lines) <= 40
        assert max(map(len, lines)) <= 80
        for said in ("most per chip", "cheapest per token", "most frugal per token", "meets it", "bound"):
            assert said in out
        assert "≤" in out

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--users-at", "fast"), "30tok/s"),
            (("--prompt", "8000"), "goes with --users-at"),
            (("--users-at", "30tok/s", "--batch", "8"), "does not go with --users-at"),
        ],
    )
    def test_bad_input_is_one_message(self, cli, words, said):
        code, out, err = cli("compare", "b200", "-w", "llama3-70b", *words)
        assert (code, out) == (2, "")
        assert said in err

    def test_without_a_network_it_says_what_to_add(self, cli):
        code, _, err = cli("compare", "b200", "--users-at", "30tok/s")
        assert code == 2
        assert "-w llama3-70b" in err
