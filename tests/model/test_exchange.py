"""Collectives inside a node, across nodes and in two levels, by hand; the toy bus moves a payload once."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.model.exchange import NODES, exchange, levels

PRECISION = ib.Precision.of(["bf16"])


@pytest.fixture
def chip(toy):
    """Nodes of 8 at 100 GB/s and 1 us; 10 GB/s and 5 us between them."""
    links = {"scale_up": ib.Link("toy-bus", 100e9, 1e-6, 8), "scale_out": ib.Link("toy-bus", 10e9, 5e-6, 64)}
    return attrs.evolve(toy.chip("toy-chip"), interconnect=links)


def op(kind, group, payload=80e6, **more):
    return ib.Collective(name="c", precision=PRECISION, collective=kind, payload=payload, group=group, **more)


def parts(chip, *args, **more):
    return [
        (nodes, one.collective, one.payload, one.group) for nodes, _, one in levels(op(*args, **more), chip)
    ]


def test_a_group_that_fits_stays_in_its_node(chip):
    assert parts(chip, "all_reduce", 8) == [(False, "all_reduce", 80e6, 8)]


def test_an_all_reduce_over_two_nodes_sends_an_eighth_between_them(chip):
    assert parts(chip, "all_reduce", 16) == [
        (False, "reduce_scatter", 80e6, 8),
        (True, "all_reduce", 10e6, 2),
        (False, "all_gather", 80e6, 8),
    ]


def test_gathers_and_scatters_in_two_levels(chip):
    assert parts(chip, "all_gather", 16) == [(True, "all_gather", 10e6, 2), (False, "all_gather", 80e6, 8)]
    assert parts(chip, "reduce_scatter", 16) == [
        (False, "reduce_scatter", 80e6, 8),
        (True, "reduce_scatter", 10e6, 2),
    ]


def test_a_token_crosses_to_a_node_once_and_is_copied_there(chip):
    """Each goes to 6 chips in 3 of 4 nodes."""
    visits = {4.0: 3.0, 32.0: 6.0}.get
    assert parts(chip, "all_to_all", 32, 1e6, visits=visits) == [
        (True, "all_to_all", 3e6, 4),
        (False, "all_to_all", 6e6, 8),
    ]


def test_distant_chips_share_no_node(chip):
    """Every eighth chip: each in a node of its own. Every fourth: two in each."""
    assert parts(chip, "all_gather", 4, stride=8) == [(True, "all_gather", 80e6, 4)]
    assert [part[3] for part in parts(chip, "all_gather", 4, stride=4)] == [2, 2]


def test_groups_that_nodes_do_not_divide_use_what_does(chip):
    """Twelve chips: six in each of two nodes, not eight and four."""
    assert [part[3] for part in parts(chip, "all_reduce", 12)] == [6, 2, 6]


def test_both_links_are_busy_at_once_and_latencies_add_up(chip, toy):
    """80 MB in and out of 100 GB/s twice: 1.6 ms; 10 MB over 10 GB/s: 1 ms; hops 1 + 5 + 1 us."""
    cost = exchange(op("all_reduce", 16), chip, ib.Layout(tp=16), toy.fabric)
    assert float(cost.busy["network"]) == pytest.approx(1.6e-3)
    assert float(cost.busy[NODES]) == pytest.approx(1e-3)
    assert float(cost.exposed["hops"]) == pytest.approx(7e-6)


def test_few_bytes_go_straight_over_the_outer_link(chip, toy):
    """1 kB: one hop of 5 us and 0.1 us, rather than 7 us; point by point."""
    cost = exchange(op("all_reduce", 16, np.array([1e3, 80e6])), chip, ib.Layout(tp=16), toy.fabric)
    np.testing.assert_allclose(cost.exposed["hops"], [5e-6, 7e-6])
    np.testing.assert_allclose(cost.busy["network"], [0.0, 1.6e-3])


def test_a_chip_without_a_link_says_so(chip, toy):
    alone = attrs.evolve(chip, interconnect={})
    with pytest.raises(ib.InferBenchError, match="a group of 2 chips needs a link, and the spec has none"):
        exchange(op("all_reduce", 2), alone, ib.Layout(tp=2), toy.fabric)
