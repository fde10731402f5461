"""Sums over parts of a space: what they say must not depend on how it was cut."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.space.flexibility import DEFINITIONS, Space, flexibility
from inferbench.space.texts import Text, joined
from inferbench.space.totals import Doubts, Totals
from inferbench.space.winners import Dominated, dominated, winners

METRICS = {
    role: ib.Metric(name, name, "", "higher", lambda run: math.nan, role=role)
    for role, name in (
        ("utilization", "utilization"),
        ("useful", "useful_tops"),
        ("power", "wall_power_w"),
        ("cost", "usd_per_hour"),
        ("tokens", "tokens_per_s_per_chip"),
    )
}


def space(seed: int, points: int, systems: int = 4) -> Space:
    """Random rates, some points infeasible, a system without a price."""
    draw = np.random.default_rng(seed)
    useful = draw.lognormal(0.0, 1.0, (systems, points))
    fits = draw.random((systems, points)) > 0.2
    price = np.full((systems, points), 2.0)
    price[1] = np.nan
    values: dict[str, Any] = {
        "utilization": useful / 8.0,
        "useful_tops": useful,
        "wall_power_w": draw.uniform(100.0, 900.0, (systems, points)),
        "usd_per_hour": price,
        "tokens_per_s_per_chip": useful,
    }
    hidden = {name: np.where(fits, value, np.nan) for name, value in values.items()}
    axes = {"batch": np.arange(float(points))}
    return Space(tuple("abcd"[:systems]), np.ones((systems, 1)), axes, fits, hidden, METRICS)


def cut(whole: Space, at: list[int]) -> list[Space]:
    numbers = np.arange(whole.count)
    edges = [0, *at, whole.count]
    return [whole.select((numbers >= a) & (numbers < b)) for a, b in pairwise(edges)]


@pytest.mark.parametrize("at", [[], [1], [40, 41, 90], list(range(1, 100))])
def test_totals_do_not_depend_on_how_a_space_is_cut(at):
    whole = space(1, 100)
    totals = Totals.of(cut(whole, at))
    shares = totals.shares()
    assert totals.points == 100
    assert shares["flexibility_peak"] == pytest.approx(flexibility(whole, DEFINITIONS["peak"]))
    assert shares["flexibility_best"] == pytest.approx(flexibility(whole, DEFINITIONS["best"]))
    for equal in ("chips", "power", "cost"):
        found, contest = winners(whole, "tokens", equal), totals.contests[equal]
        assert contest.shares == pytest.approx(found.known_shares, nan_ok=True)
        assert contest.unknown == pytest.approx(found.unknown)
        assert contest.alone == pytest.approx(found.alone)
        assert contest.dominated(whole.systems) == dominated(whole, found)


def test_a_system_beaten_in_one_part_alone_is_not_dominated():
    """b is above a in the second part: nobody beats either everywhere, and both win a half."""
    whole = space(2, 2, 2)
    rates = np.array([[3.0, 1.0], [2.0, 2.0]])
    always = np.ones((2, 2), dtype=bool)
    whole = attrs.evolve(whole, feasible=always, values={"tokens_per_s_per_chip": rates})
    contest = Totals.of(cut(whole, [1])).contests["chips"]
    assert contest.shares.tolist() == [0.5, 0.5]
    assert contest.dominated(("a", "b")) == ()
    worse = attrs.evolve(whole, values={"tokens_per_s_per_chip": rates - [[0.0, 0.0], [1.5, 1.5]]})
    assert Totals.of(cut(worse, [1])).contests["chips"].dominated(("a", "b")) == (Dominated("b", "a"),)


def test_doubts_count_feasible_points_alone():
    rows = {
        "system": Text.of(["a", "a", "a", "b", "b"]),
        "grade": Text.of(["class", "class", "calibrated", "bound", None]),
        "feasible": np.array([True, False, True, False, False]),
        "log_error": np.array([0.1, 9.0, 0.3, 0.2, np.nan]),
    }
    doubts = Doubts()
    doubts.add(rows)
    assert doubts.grade("a") == "calibrated"  # one of each: the better one stands first
    assert doubts.error("a") == pytest.approx(0.1, abs=1e-4)
    doubts.add(rows)
    doubts.add({**rows, "log_error": np.array([0.3, 9.0, 0.3, 0.2, np.nan])})
    assert doubts.error("a") == pytest.approx(0.3, abs=1e-4)
    assert (doubts.grade("b"), doubts.error("b")) == (None, None)


def test_texts_of_parts_keep_their_words():
    parts = [{"x": Text.of(["b", "a"])}, {"x": Text.of([None, "c", "a"])}]
    assert joined(parts)["x"].values().tolist() == ["b", "a", None, "c", "a"]


@pytest.mark.needs_plugins("chips/b200", "chips/wse-3", "networks/llama3-8b")
def test_a_sweep_summed_by_blocks_says_the_same(monkeypatch):
    args = {"workload": "llama3-8b/decode", "batch": "1:40:+1", "context": [512, 2048], "precision": "fp16"}
    kept = ib.sweep(["b200", "h100-sxm", "wse-3"], **args).report().data["systems"]
    monkeypatch.setattr("inferbench.face.sweep.LARGEST_SUMMARY", 1)
    monkeypatch.setattr("inferbench.sweeping.plan.BLOCK", 7)
    summed = ib.sweep(["b200", "h100-sxm", "wse-3"], **args).report().data["systems"]
    for equal in ("chips", "power"):
        assert sum(row[f"wins_equal_{equal}"] for row in kept) == pytest.approx(1.0)
    for one, other in zip(kept, summed, strict=True):
        assert other == {name: pytest.approx(value, abs=1e-4) for name, value in one.items()}


@pytest.mark.needs_plugins("chips/b200", "networks/llama3-8b")
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_sums_of_workers_are_those_of_what_they_wrote(monkeypatch, tmp_path, executor):
    """Nobody has a sum of a chunk that is there already: all are read, and must say the same."""
    pytest.importorskip("pyarrow.parquet", reason="the extra inferbench-core[sweep] is not installed")
    monkeypatch.setattr("inferbench.face.sweep.LARGEST_SUMMARY", 1)
    monkeypatch.setattr("inferbench.sweeping.plan.BLOCK", 50)
    monkeypatch.setattr("inferbench.sweeping.plan.LEAST", 120)
    args = {"batch": "1:40:+1", "context": "128:32768:x2", "memory": 1.0}
    asked = {"workload": "llama3-8b/decode", "precision": ["fp8", "fp16"], "out": tmp_path / "space"}

    def rows(**more):
        return ib.sweep("b200", **asked, **args, **more).report().data["systems"]

    summed = rows(executor=executor, workers=2)
    chunks = sorted(asked["out"].glob("part-*.parquet"))
    assert len(chunks) > 3
    chunks[1].unlink()
    assert rows() == summed
