"""The first screen of `compare`: it fits, answers first, and never sells a bound as an answer."""

from __future__ import annotations

import re

import pytest

import inferbench as ib
from inferbench.model.expected import Estimate
from inferbench.report.answer import compact, span

pytestmark = pytest.mark.needs_plugins(
    "chips/tpu-v5p", "chips/groq-lpu", "stacks/groq-2024", "power_models/linear", "suites/reference"
)


@pytest.fixture
def screen(cli, monkeypatch):
    def shown(width, *args):
        code, out, _ = cli("compare", *args)
        assert code == 0
        return out

    def at(width, *args):
        monkeypatch.setenv("COLUMNS", str(width))
        return shown(width, *args)

    return at


def row(text, label):
    return next(line for line in text.splitlines() if line.strip().startswith(label))


def test_three_systems_take_at_most_forty_lines_at_eighty_columns(screen):
    lines = screen(80, "b200", "groq-lpu", "tpu-v5p").splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


@pytest.mark.needs_plugins(
    "chips/hailo-8", "chips/hailo-10h", "chips/wse-3", "chips/trainium1", "power_models/imc"
)
@pytest.mark.parametrize(
    "systems",
    [
        ("hailo-8", "groq-3-lpu", "mi355x"),  # nobody knows whether it fits
        ("hailo-10h", "inferentia2", "rubin"),  # does not fit, and can't be joined
        ("trainium1", "wse-3", "ascend-950dt"),  # other formats, other prices
        ("p150", "inferentia2", "trainium1"),  # all resized, no winner
        ("corsair", "tpu-v4", "rtx-pro-6000"),
        ("hermes", "metis", "tpu-v5e"),
        ("b200@ideal", "h100@vllm", "h100@trtllm"),
    ],
    ids=lambda systems: systems[0],
)
def test_any_three_systems_take_at_most_forty_lines(screen, systems):
    lines = screen(80, *systems).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


@pytest.mark.needs_plugins("chips/hailo-8")
def test_a_prior_is_no_answer_where_nobody_knows_whether_the_network_fits(screen):
    """The Hailo-8 has no published memory: a few watts would seem to serve what a B200 does."""
    text = screen(80, "hailo-8", "b200")
    assert row(text, "tokens/s per user").count("≤") == 1
    assert "Hailo-8 " not in "".join(text.splitlines()[1:4])


def test_the_answer_comes_first(screen):
    labels = [line.split("  ")[0] for line in screen(80, "b200", "groq-lpu", "tpu-v5p").splitlines()[1:4]]
    assert labels == ["fastest for one user", "cheapest per token", "most frugal per token"]


def test_seven_systems_stand_side_by_side_at_a_hundred_and_sixty_columns(screen):
    systems = ("b200", "mi355x", "tpu-v7", "trainium2", "gaudi-3", "576xgroq-lpu", "wse-3")
    text = screen(160, *systems)
    assert text.count("single-user decode") == 1
    assert max(map(len, text.splitlines())) <= 160


def test_groq_is_near_the_published_three_hundred_tokens_per_second(screen):
    """Published: about 300 tokens/s per user for Llama 3 70B; ideal software would reach 3,393."""
    table = ib.compare(["576xgroq-lpu"], "llama3-70b/decode", precision="int8")
    low, high = (float(end.ravel()[0]) for end in table.runs[0].interval("tpot_s"))
    assert 1 / high <= 300 <= 1 / low


def test_a_bound_is_a_limit_and_takes_no_part_in_the_ranking(screen):
    text = screen(80, "b200@ideal", "h100@vllm", "-w", "llama3-8b/decode")
    assert re.search(r"≤ [\d.]+k?", row(text, "tokens/s per user"))
    assert "nobody can tell" in text
    assert "bound only" in text


def test_ideal_software_everywhere_gives_the_rows_of_ideal_software(screen):
    text = screen(100, "b200", "h100", "-w", "llama3-8b/decode", "--stack", "ideal")
    assert "hardware against hardware (stack: ideal)" in text
    assert "fastest" not in text


def test_verbose_has_every_row(screen):
    text = screen(100, "b200", "h100", "-w", "llama3-8b/decode", "-v")
    assert "arithmetic intensity" in text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (9.437, 3, "9.44"),
        (92.06, 3, "92.1"),
        (296.2, 3, "296"),
        (999.6, 3, "1.00k"),
        (3393.0, 3, "3.39k"),
        (98_332.0, 2, "98k"),
        (1.5e6, 2, "1.5M"),
        (0.0421, 2, "0.042"),
        (float("nan"), 3, "–"),
    ],
)
def test_numbers_are_short(value, digits, text):
    assert compact(value, digits) == text


def test_an_interval_stands_in_the_unit_of_its_figure():
    assert span(Estimate(0.131, 0.092, 0.19), "s") == "131 ms [92–190]"
    assert span(Estimate(0.0551, 0.039, 0.079)) == "0.0551 [.039–.079]"
    assert span(Estimate(5.0)) == "5.00"


@pytest.mark.parametrize(
    ("one", "unit", "text"),
    [
        # 39.6 and 997 would round to 40 and 1.0k, 10.4 ms to 10 ms: beyond what is possible.
        (Estimate(36.0, 30.0, 39.6, limit=39.6), "", "36.0 [30–39.6]"),
        (Estimate(881.0, 550.0, 997.0, limit=997.0), "W", "881 W [550–997]"),
        (Estimate(0.0131, 0.01044, 0.019, limit=0.01044), "s", "13.1 ms [10.4–19]"),
        (Estimate(0.0551, 0.0514, 0.079, limit=0.0514), "", "0.0551 [.0514–.079]"),
        # Two digits that stay within it are enough, and so they are far from it.
        (Estimate(36.0, 30.0, 39.4, limit=39.6), "", "36.0 [30–39]"),
        (Estimate(36.0, 29.6, 50.0, limit=80.0), "", "36.0 [30–50]"),
    ],
)
def test_no_end_is_written_beyond_the_bound_of_its_figure(one, unit, text):
    assert span(one, unit) == text


@pytest.mark.needs_plugins("chips/b200", "networks/llama3-70b", "metrics/power_w")
def test_power_of_a_serving_point_ends_at_the_limit_of_its_boards():
    """A B200 draws 1,000 W at most, whatever its figures are unsure by."""
    data = ib.frontier(["b200"], "llama3-70b", precision="fp8").to_dict()["results"]
    assert max(row["power_w_high"] for row in data) == 1000.0
    assert all(row["power_w_low"] <= row["power_w"] <= row["power_w_high"] for row in data)


def test_a_sizing_ends_at_its_bounds_too():
    """No step is shorter than its bound for being unsure, and no board draws more than it may."""
    data = ib.size("llama3-70b/prefill", ["h100-sxm"], 4, ttft="2s").to_dict()["results"][0]
    assert data["power_w_high"] <= 700.0 * data["chips"]
    assert data["seconds_low"] <= data["seconds"] <= data["seconds_high"]


@pytest.mark.needs_plugins("chips/mi355x", "chips/b200", "chips/h100-sxm")
def test_dollars_stand_on_the_terms_that_most_systems_have(screen):
    """MI355X has no price to buy, but a published TCO as B200 has; on that both can be ranked."""
    alone = screen(80, "b200", "h100", "-w", "llama3-8b/decode")
    beside = screen(80, "b200", "mi355x", "-w", "llama3-8b/decode")
    assert "$/Mtok out, owned" in alone
    assert not re.search(r" –", row(beside, "$/Mtok out, TCO"))
    assert "(published TCO)" in row(beside, "cheapest per token")
    crowd = screen(160, "b200", "groq-lpu", "mi355x", "-w", "llama3-8b/decode")
    assert re.search(r" –", row(crowd, "$/Mtok out, owned"))  # two have a price to buy, two a TCO
    assert "MI355X" not in row(crowd, "cheapest per token").partition("no figure")[0]


def test_one_system_is_best_of_nothing(screen):
    lines = screen(80, "b200", "-w", "llama3-8b/decode").splitlines()
    assert lines[0].startswith("Llama 3 8B")
    assert lines[1].startswith("[90 % interval]")
