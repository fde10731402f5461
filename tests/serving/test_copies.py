"""Copies of a network that a sizing tries, on the toy plugin: five products of 100 MB in fp8, the last one
the head; an expert is one of 64 products that are cut by ranks.
"""

from __future__ import annotations

import attrs
import pytest

import inferbench as ib
from inferbench.model.case import Case, prepare
from inferbench.serving.sizing import worth_trying


def tried(toy, capacity: float) -> list[ib.Layout]:
    chip = toy.chip("toy-chip")
    chip = attrs.evolve(chip, memory={"hbm": attrs.evolve(chip.memory["hbm"], capacity=capacity)})
    system, network = ib.System(chip, 1), toy.network("toy-net")
    case: Case = prepare(system, network, "decode", stack=toy.stack("ideal"), registry=toy)
    return list(worth_trying(case, ib.Grid.of({"batch": [1.0], "context": [16.0]}, ["fp8"])))


@pytest.mark.parametrize(
    ("capacity", "whole", "halves"),
    [
        (600e6, {1, 2, 3, 4, 6}, {1, 2, 3, 4, 6}),
        (301e6, {2, 3, 4, 6}, {1, 2, 3, 4, 6}),
        (210e6, {3, 4, 6}, {2, 3, 4, 6}),
        (110e6, {5, 6}, {3, 4, 6}),
    ],
)
def test_pipelines_begin_where_they_hold_a_request_and_go_on_where_stages_get_lighter(
    toy, capacity, whole, halves
):
    """Four layers lie on one, two or four stages, whose ends are among them or stages of their own."""
    found = tried(toy, capacity)
    assert {one.pp for one in found if one.tp == 1} == whole
    assert {one.pp for one in found if one.tp == 2} == halves
    assert {one.tp for one in found} == {2**k for k in range(11)}  # of a network without heads
    assert {(one.dp, one.cp, one.ep) for one in found} == {(1, 1, 1)}
    chips = [one.chips for one in found]
    assert chips == sorted(chips)
    assert len(found) == len(set(found))


def test_ranks_share_experts_from_the_fewest_that_hold_a_request(toy):
    """64 experts of 10 MB and a product of 1 MB on chips of 90 MB: eight and more ranks, or four of pairs."""

    class Experts(type(toy.workload("toy-mlp"))):
        def graph(self, network, at, phase, options):
            common = {"precision": at.precision, "m": at["batch"], "n": 1000.0}
            yield ib.Gemm(name="plain", k=1000.0, **common)
            yield ib.Gemm(name="experts", k=10_000.0, count=2.0, stored=64.0, split=("experts",), **common)

        def layers(self, network):
            return 1

    entry = toy.entries("workloads")["toy-mlp"]
    toy._entries["workloads"]["toy-mlp"] = attrs.evolve(entry, record=Experts())
    found = tried(toy, 90e6)
    shared = {(one.tp, one.dp, one.ep) for one in found if one.dp > 1}
    assert {ranks for tp, ranks, _ in shared if tp == 1} == {8, 16, 32, 64}
    assert {ranks for tp, ranks, _ in shared if tp == 2} == {4, 8, 16, 32, 64}
    assert all(ep == tp * ranks for tp, ranks, ep in shared)
    assert {(one.tp, one.ep) for one in found if one.dp == 1 and one.tp < 32} == {(8, 8), (16, 16)}
