"""The largest batch and the smallest system, on the toy plugin alone: a product in fp8 holds 100 MB, of which
four are layers and one is the head, and takes 1 us and 20 kB of activations for every token.
"""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.model.capacity import smallest_layout, smallest_system
from inferbench.model.case import prepare
from inferbench.records.facts import Fact


def with_memory(toy, **more):
    """The toy chip with another main memory."""
    chip = toy.chip("toy-chip")
    return attrs.evolve(chip, memory={"hbm": attrs.evolve(chip.memory["hbm"], **more)})


def run(toy, chip, count=1, layout=None, **more):
    settings = {"precision": "fp8", "scenario": "toy", "registry": toy, "batch": "max", **more}
    layout = ib.Layout.parse(layout) if layout else None
    return ib.run(ib.System(chip, count, layout), "toy-net/decode", **settings)


def one(array):
    (value,) = np.ravel(array)
    return float(value)


def test_of_free_layouts_the_one_with_most_tokens_per_second_is_taken(toy):
    """Each at its own largest batch: two copies make 10,000 tokens in 25 ms, 400,000 a second. Halves of
    products make 23,333 in 70 ms, and two stages 30,000 in 93 ms: more tokens, but a third of a million.
    """
    chip = toy.chip("toy-chip")
    found = run(toy, chip, 2)
    assert [str(found.layouts[int(i)]) for i in np.ravel(found.layout)] == ["dp2"]
    assert (one(found.batch), one(found.seconds)) == (10_000, pytest.approx(25e-3, rel=1e-9))
    assert [one(run(toy, chip, 2, layout).batch) for layout in ("tp2", "pp2")] == [23_333, 30_000]


def test_a_layout_that_holds_nothing_loses_to_one_that_does(toy):
    """1 GB in bf16: a copy on each chip of 600 MB fits nowhere, halves do."""
    found = run(toy, toy.chip("toy-chip"), 2, precision="bf16")
    assert str(found.layouts[int(one(found.layout))]) != "dp2"
    assert bool(np.all(found.feasible))


@pytest.mark.parametrize(("capacity", "batch"), [(500e6 + 20e3 * 2**19, 2**19), (1e15, 2**20)])
def test_a_search_ends_at_a_million_and_says_so(toy, capacity, batch):
    found = run(toy, with_memory(toy, capacity=capacity))
    assert one(found.batch) == batch
    ended = "the search for the largest batch ends at 1,048,576: more may fit"
    assert found.notes.get("largest-batch", "") == ("" if batch < 2**20 else ended)


@pytest.mark.parametrize("most", [1, 2, 3, 63, 64, 65, 127, 4097, 65_535])
def test_the_largest_batch_is_exact_wherever_it_lies(toy, most):
    """Room for `most` sequences and almost one more."""
    found = run(toy, with_memory(toy, capacity=500e6 + 20e3 * (most + 0.99)))
    assert one(found.batch) == most
    assert bool(np.all(found.feasible))


def test_every_point_has_its_own(toy):
    """Both precisions at once, as each alone."""
    chip = with_memory(toy, capacity=1.1e9)
    found = run(toy, chip, precision=["fp8", "bf16"])
    assert np.ravel(found.values(found.batch)).tolist() == [30_000, 2_500]


def test_a_memory_of_unknown_size_is_told(toy):
    with pytest.raises(ib.InferBenchError, match=r"toy-chip.toml lacks memory.hbm.capacity") as caught:
        run(toy, with_memory(toy, capacity=float("nan")))
    assert str(caught.value).endswith("\n  give batch=1")


@pytest.mark.parametrize(
    ("capacity", "layout"),
    [
        (501e6, "tp1"),
        (301e6, "pp2"),  # three products of five in the fuller stage: halves of five take two chips too
        (210e6, "pp3"),  # two products on each of three; with their halves it would be four chips
        (130e6, "tp4"),  # a quarter of each of the five; one product on each would be five chips
        (110e6, "pp5"),  # one on each; a quarter of five is 125 MB, an eighth takes eight chips
        (55e6, "tp2pp5"),
        (150e3, "tp1024pp5"),  # no network without heads is cut further; a row of the result takes 10 kB
    ],
)
def test_the_smallest_system_holds_a_unit_per_chip_or_parts_of_all(toy, capacity, layout):
    chip = with_memory(toy, capacity=capacity)
    grid = ib.Grid.of({"batch": [1.0], "context": [16.0]}, ["fp8"])
    case = prepare(
        ib.System(chip, 1), toy.network("toy-net"), "decode", stack=toy.stack("ideal"), registry=toy
    )
    found = smallest_layout(case, grid)
    assert (str(found.layout), found.chips) == (layout, ib.Layout.parse(layout).chips)


def test_the_smallest_system_is_that_of_the_largest_point(toy):
    """10,000 tokens take 200 MB beside the weights: 700 MB on one chip, 500 MB in the fuller stage of two."""
    small = run(toy, toy.chip("toy-chip"), batch=[1, 10_000])
    assert np.ravel(small.values(small.feasible)).tolist() == [True, False]
    found = smallest_system(small, toy, None)
    assert (found.count, str(found.layout)) == (2, "pp2")
    # Halves of five products and 15 kB of one row: another row would need three stages.
    tight = run(toy, with_memory(toy, capacity=250.02e6), batch=1)
    assert str(smallest_system(tight, toy, None).layout) == "tp2"
    assert smallest_system(run(toy, with_memory(toy, capacity=250.02e6), batch=2), toy, None).count == 3
    nothing = run(toy, with_memory(toy, capacity=5e3), batch=1)  # of every chip a result's row takes 10 kB
    assert smallest_system(nothing, toy, None) is None


@pytest.mark.parametrize(
    ("missing", "said"),
    [("", "memory.hbm.capacity\n"), ("not published", "memory.hbm.capacity (not published)")],
)
def test_a_memory_of_unknown_size_has_no_largest_batch(toy, missing, said):
    """The message says why nobody knows it, where that is known."""
    path = "memory.hbm.capacity"
    chip = attrs.evolve(with_memory(toy, capacity=np.nan), facts={path: Fact(path, None, missing=missing)})
    with pytest.raises(ib.InferBenchError) as refused:
        run(toy, chip)
    assert said in str(refused.value) + "\n"
    assert "()" not in str(refused.value)
