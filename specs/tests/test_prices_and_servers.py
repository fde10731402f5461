"""Shipped prices by term, what published watts hold, and servers against what was measured at the wall."""

from __future__ import annotations

import math

import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins(
    *(f"architectures/{name}" for name in ("systolic", "dataflow", "imc", "cgra")), "power_models/linear"
)
REGISTRY = ib.installed()
CHIPS = [
    name for name in REGISTRY.names("chips") if REGISTRY.entries("chips")[name].owner == "inferbench-specs"
]


@pytest.mark.parametrize("name", CHIPS)
def test_a_known_price_has_a_source(name):
    chip = REGISTRY.chip(name)
    for path, fact in chip.facts.items():
        if path.startswith("price.") and not fact.missing and not isinstance(fact.value, bool):
            assert fact.source is not None, path


@pytest.mark.parametrize("name", ["b300", "gb200", "mi355x"])
def test_models_of_ownership_are_no_rental_rates(name):
    """InferenceX publishes costs of ownership and three-year rates for these; nothing on demand was found."""
    price = REGISTRY.chip(name).price
    assert math.isnan(price.rental.on_demand.mid)
    assert price.ownership.mid < price.rental.reserved_3y.mid


def test_rates_fall_with_the_commitment():
    for name in CHIPS:
        rental = REGISTRY.chip(name).price.rental
        rates = [rental.on_demand.mid, rental.reserved_1y.mid, rental.reserved_3y.mid]
        known = [rate for rate in rates if not math.isnan(rate)]
        assert known == sorted(known, reverse=True), name


def test_prices_of_whole_systems_say_so():
    """A rack of 72 GB200 is sold as one, a wafer as a CS system."""
    assert {name for name in CHIPS if REGISTRY.chip(name).price.includes_system} == {
        "gb200",
        "wse-2",
        "wse-3",
    }


def test_watts_that_are_not_of_the_board():
    said = {name: REGISTRY.chip(name).power.boundary for name in CHIPS}
    assert {name: what for name, what in said.items() if what != "board"} == {
        "groq-lpu": "chip",
        "wse-2": "chip",
        "wse-3": "chip",
        "sn40l": "system",
    }


@pytest.mark.parametrize(
    ("chip", "count", "each", "wall"),
    [
        # Watts of whole servers at a cap of their GPUs, MLPerf Inference v2.1 and v4.1.
        ("a100-sxm-80gb", 8, 225.0, 2926.22),
        ("a100-sxm-80gb", 8, 300.0, 3544.7),
        ("h200", 8, 350.0, 4775.27),
        ("h200", 8, 500.0, 6064.62),
        # 23 kW is a CS-3 at its peak.
        ("wse-3", 1, 15e3, 23e3),
        # An SN40L's share of its rack is all there is.
        ("sn40l", 1, 650.0, 650.0),
    ],
)
def test_watts_at_the_wall(chip, count, each, wall):
    system = ib.System(REGISTRY.chip(chip), count)
    assert system.wall(count * each) == pytest.approx(wall, rel=0.03)


def test_every_chip_sits_somewhere():
    """Those without a server of their own in the usual one; `*` names it."""
    assert all(REGISTRY.chip(name).node is not None for name in CHIPS)
    assert REGISTRY.chip("l4").node.name == REGISTRY.get("systems", "*").name == "usual"
    assert REGISTRY.chip("h100-sxm").node.name == "dgx-h200"
    assert REGISTRY.chip("gb200").node.name == "gb200-nvl72"


@pytest.mark.parametrize("name", REGISTRY.names("systems"))
def test_a_server_cites_its_numbers_and_says_how_far_it_may_be_off(name):
    node = REGISTRY.get("systems", name)
    assert node.factor > 1.0
    assert 0.0 < node.log_error < 0.5
    for path, fact in node.facts.items():
        if isinstance(fact.value, float | int):
            assert fact.source is not None, path
