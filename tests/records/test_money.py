"""Watts at the wall, and money by term, worked by hand."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.records.scenario import shared_term, term_beside

NODE = ib.Node(name="n", title="N", chips_per_node=8, fixed=1600.0, factor=1.1)
SHARE = ib.Node(name="s", title="S", fixed_of_tdp=0.3, factor=1.1)
SCENARIO = ib.Scenario(
    name="s",
    title="S",
    depreciation=10_000 * 3600.0,
    electricity=0.10,
    pue=1.2,
    system_factor=1.5,
    utilization=0.5,
    carbon_intensity=400.0,
)
PRICE = ib.Price(
    purchase=ib.Range(10e3, 30e3),
    ownership=ib.Range(2.0, 2.0),
    rental=ib.Rental(on_demand=ib.Range(3.0, 5.0), reserved_3y=ib.Range(2.5, 2.5)),
)


def chip(node=NODE, tdp=500.0, boundary="board", price=PRICE):
    power = ib.Power(tdp=tdp, boundary=boundary)
    return ib.Chip(
        name="x",
        title="X",
        vendor="V",
        architecture_type="simt",
        architecture=None,
        power=power,
        price=price,
        node=node,
    )


class TestWall:
    def test_fixed_watts_are_shared_by_the_chips_of_a_node(self):
        assert ib.System(chip(), 8).wall(3000.0) == pytest.approx(1600 + 3300)
        assert ib.System(chip(), 2).wall(750.0) == pytest.approx(400 + 825)

    def test_a_class_of_nodes_takes_a_share_of_the_limit(self):
        assert ib.System(chip(SHARE), 4).wall(1000.0) == pytest.approx(0.3 * 500 * 4 + 1100)

    def test_a_limit_that_is_not_published_comes_from_the_power_model(self):
        assert ib.System(chip(SHARE, tdp=math.nan)).wall(100.0, limit=200.0) == pytest.approx(60 + 110)
        assert math.isnan(ib.System(chip(SHARE, tdp=math.nan)).wall(100.0))

    def test_watts_of_a_whole_system_have_nothing_added(self):
        assert ib.System(chip(boundary="system")).wall(700.0) == 700.0

    def test_without_a_node_nothing_is_known(self):
        assert math.isnan(ib.System(chip(None)).wall(700.0))

    def test_watts_broadcast(self):
        found = ib.System(chip()).wall(np.array([[0.0], [100.0]]))
        np.testing.assert_allclose(found, [[200.0], [310.0]])


class TestCost:
    def test_ownership_by_hand(self):
        """20,000 USD x 1.5 over 10,000 hours, half of which earn: 6 USD/h. 200 + 1.1 x 500 = 750 W, 900 W
        with cooling, at 10 cents: 9 cents, 18 per earning hour.
        """
        cost = SCENARIO.cost(ib.System(chip()), 500.0)
        assert (cost.capital.low, cost.capital.mid, cost.capital.high) == pytest.approx((3.0, 6.0, 9.0))
        assert cost.electricity == pytest.approx(0.18)
        assert cost.of(ib.Term.PURCHASE) == pytest.approx(6.18)
        assert cost.of(ib.Term.PURCHASE, "high") == pytest.approx(9.18)

    def test_eight_chips_cost_eight_times_as_much(self):
        one = SCENARIO.cost(ib.System(chip()), 500.0)
        eight = SCENARIO.cost(ib.System(chip(), 8), 4000.0)
        for term in (ib.Term.PURCHASE, ib.Term.OWNERSHIP, ib.Term.ON_DEMAND, ib.Term.RESERVED_3Y):
            assert eight.of(term) == pytest.approx(8 * one.of(term)), term

    def test_rates_are_as_listed(self):
        cost = SCENARIO.cost(ib.System(chip(), 2), 0.0)
        assert cost.of(ib.Term.ON_DEMAND) == 8.0
        assert cost.of(ib.Term.ON_DEMAND, "low") == 6.0
        assert cost.of(ib.Term.OWNERSHIP) == 4.0
        assert math.isnan(cost.of(ib.Term.RESERVED_1Y))
        assert cost.why(ib.Term.RESERVED_1Y) == "no rate for one year: not given in the spec"
        assert cost.why(ib.Term.ON_DEMAND) == ""

    def test_a_price_of_a_whole_system_takes_no_factor(self):
        whole = chip(price=attrs.evolve(PRICE, includes_system=True))
        assert SCENARIO.cost(ib.System(whole), 0.0).capital.mid == pytest.approx(4.0)

    def test_a_million_at_a_rate(self):
        """5 USD for two chips are 10; 2,500 tokens/s are 9 million an hour."""
        cost = SCENARIO.cost(ib.System(chip(price=PRICE), 2), 0.0)
        assert cost.per_million(ib.Term.ON_DEMAND, 2500.0, "high") == pytest.approx(10 / 9)

    def test_on_demand_stands_for_a_purchase_that_nobody_published(self):
        assert SCENARIO.cost(ib.System(chip()), 0.0).proxy is ib.Term.PURCHASE
        rented = ib.Price(rental=PRICE.rental)
        assert SCENARIO.cost(ib.System(chip(price=rented)), 0.0).proxy is ib.Term.ON_DEMAND
        reserved = ib.Price(ownership=PRICE.ownership, rental=ib.Rental(reserved_3y=ib.Range(1.0, 1.0)))
        assert SCENARIO.cost(ib.System(chip(price=reserved)), 0.0).proxy is None
        assert SCENARIO.cost(ib.System(chip()), math.nan).proxy is ib.Term.ON_DEMAND

    def test_without_a_scenario_rates_are_all_there_is(self):
        cost = ib.HourlyCost.of_rates(ib.System(chip()))
        assert math.isnan(cost.of(ib.Term.PURCHASE))
        assert cost.of(ib.Term.ON_DEMAND) == 4.0


def test_carbon_is_what_the_facility_draws():
    """0.9 kW with cooling, 400 g/kWh."""
    assert SCENARIO.carbon(ib.System(chip()), 500.0) == pytest.approx(360.0)
    assert math.isnan(attrs.evolve(SCENARIO, carbon_intensity=math.nan).carbon(ib.System(chip()), 500.0))


class TestSharedTerm:
    def test_a_comparison_takes_the_term_that_leaves_the_fewest_out(self):
        both, owned, rented = (
            {ib.Term.PURCHASE, ib.Term.OWNERSHIP},
            {ib.Term.OWNERSHIP},
            {ib.Term.ON_DEMAND},
        )
        assert shared_term([both, owned, rented]) is ib.Term.OWNERSHIP
        assert shared_term([both, both, owned | rented]) is ib.Term.OWNERSHIP
        assert shared_term([both, both, owned - owned]) is ib.Term.PURCHASE

    def test_without_any_price_there_is_no_term(self):
        assert shared_term([set(), set()]) is None
        assert shared_term([]) is None

    def test_a_system_without_the_shared_term_shows_ownership_or_the_rate_on_demand(self):
        assert term_beside({ib.Term.OWNERSHIP, ib.Term.PURCHASE}, ib.Term.OWNERSHIP) is ib.Term.OWNERSHIP
        assert term_beside({ib.Term.ON_DEMAND}, ib.Term.OWNERSHIP) is ib.Term.ON_DEMAND
        assert term_beside({ib.Term.RESERVED_3Y}, ib.Term.PURCHASE) is None

    def test_ownership_needs_the_watts_at_the_wall(self):
        cost = SCENARIO.cost(ib.System(chip()), math.nan)
        assert ib.Term.PURCHASE not in cost.terms
        assert ib.Term.PURCHASE in SCENARIO.cost(ib.System(chip()), 400.0).terms
