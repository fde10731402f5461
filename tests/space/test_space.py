"""The workload space: definitions by hand, laws, and the figures that docs/explanation/flexibility.md
states.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inferbench as ib
from inferbench.discovery.registry import installed
from inferbench.errors import InferBenchError
from inferbench.space.flexibility import (
    DEFINITIONS,
    Space,
    densified,
    figures,
    flexibility,
    passes,
    share_by,
    thinned,
)
from inferbench.space.winners import Dominated, dominated, winners

PAGE = Path(__file__).resolve().parents[2] / "docs/explanation/flexibility.md"


# What the values of a space that is made by hand stand for.
METRICS = {
    role: ib.Metric(name, name, "", "higher", lambda run: math.nan, role=role)
    for role, name in (
        ("utilization", "utilization"),
        ("useful", "useful_tops"),
        ("power", "wall_power_w"),
        ("cost", "usd_per_hour"),
        ("tokens", "tokens_per_s_per_chip"),
        ("items", "items_per_s"),
    )
}


def made(useful: Any, *, peak: float = 10.0, feasible: Any = None, **more: Any) -> Space:
    """A space of systems by (2 phases x 2 batches), from useful TOPS and one peak."""
    useful = np.asarray(useful, dtype=np.float64)
    axes = {
        "phase": np.array(["prefill", "prefill", "decode", "decode"], dtype=object)[: useful.shape[1]],
        "batch": np.array([1.0, 2.0, 1.0, 2.0])[: useful.shape[1]],
        "context": np.full(useful.shape[1], 128.0),
    }
    fits = np.ones(useful.shape, dtype=bool) if feasible is None else np.asarray(feasible, dtype=bool)
    values = {"utilization": useful / peak, "useful_tops": useful, "tokens_per_s_per_chip": useful, **more}
    hidden = {
        name: np.where(fits, np.asarray(value, dtype=np.float64), np.nan) for name, value in values.items()
    }
    names = tuple("abcdef"[: useful.shape[0]])
    return Space(names, np.ones((useful.shape[0], 1)), axes, fits, hidden, METRICS)


class TestFlexibility:
    def test_the_two_definitions_by_hand(self):
        """Peak 10: a passes at 8 alone. Best 8: 8 passes, 4 doesn't exceed half of it. Best 2: 2 and 1.5
        pass.
        """
        space = made([[8.0, 4.0, 1.0, 0.5], [2.0, 1.5, 1.0, 0.2]])
        assert flexibility(space, DEFINITIONS["peak"]).tolist() == [0.25, 0.0]
        assert flexibility(space, DEFINITIONS["best"]).tolist() == [0.25, 0.5]

    def test_a_best_per_phase_is_taken_within_it(self):
        space = made([[8.0, 5.0, 1.0, 0.6]])
        assert passes(space, DEFINITIONS["best-per-phase"]).tolist() == [[True, True, True, True]]
        assert flexibility(space, DEFINITIONS["best"], phase="decode").tolist() == [0.0]
        assert flexibility(space, DEFINITIONS["best-per-phase"], phase="decode").tolist() == [1.0]

    def test_infeasible_points_fail_and_set_no_yardstick(self):
        space = made([[8.0, 3.0, 2.0, 1.0]], feasible=[[False, True, True, True]])
        assert passes(space, DEFINITIONS["best"]).tolist() == [[False, True, True, False]]

    def test_nothing_fits(self):
        space = made([[8.0, 3.0, 2.0, 1.0]], feasible=[[False] * 4])
        for reading in DEFINITIONS.values():
            assert flexibility(space, reading).tolist() == [0.0]

    def test_a_higher_threshold_never_scores_higher(self):
        space = made(np.random.default_rng(7).uniform(0.0, 10.0, (5, 4)))
        for reading in DEFINITIONS.values():
            scores = [flexibility(space, reading, threshold) for threshold in (0.3, 0.5, 0.7)]
            assert np.all(scores[0] >= scores[1])
            assert np.all(scores[1] >= scores[2])

    def test_only_the_shape_matters_to_best_and_only_the_level_to_peak(self):
        useful = np.random.default_rng(8).uniform(0.0, 10.0, (3, 4))
        slower = made(0.1 * useful)
        assert np.array_equal(passes(slower, DEFINITIONS["best"]), passes(made(useful), DEFINITIONS["best"]))
        assert not passes(slower, DEFINITIONS["peak"], 1.0).any()

    def test_the_map_averages_to_the_score(self):
        space = made(np.random.default_rng(9).uniform(0.0, 10.0, (2, 4)))
        _, _, share = share_by(space, passes(space, DEFINITIONS["peak"])[0], "batch", "context")
        assert share.shape == (2, 1)
        assert share.mean() == pytest.approx(flexibility(space, DEFINITIONS["peak"])[0])


class TestGrids:
    def test_twice_as_dense_and_back(self):
        axis = 2.0 ** np.arange(10)
        dense = densified(axis)
        # The middle of 1 and 2 rounds to 1; of 2 and 4 to 3, of 256 and 512 to 362.
        assert dense[:5].tolist() == [1.0, 2.0, 3.0, 4.0, 6.0]
        assert dense[-2:].tolist() == [362.0, 512.0]
        assert set(axis) <= set(dense)

    def test_half_as_dense_keeps_every_second_value(self):
        batch = np.tile(2.0 ** np.arange(5), 2)
        space = Space(
            ("a",),
            np.ones((1, 1)),
            {"batch": batch, "context": np.repeat([1.0, 2.0], 5)},
            np.ones((1, 10), bool),
            {},
        )
        assert thinned(space).axes["batch"].tolist() == [1.0, 4.0, 16.0, 1.0, 4.0, 16.0]


class TestWinners:
    def test_terms_change_the_winner(self):
        """a is faster, b cheaper per token, c saves power."""
        fast, watts, dollars = (
            [[9.0] * 4, [6.0] * 4, [3.0] * 4],
            [[90.0] * 4, [40.0] * 4, [10.0] * 4],
            [[9.0] * 4, [2.0] * 4, [3.0] * 4],
        )
        space = made(fast, wall_power_w=watts, usd_per_hour=dollars)
        won = {equal: winners(space, "tokens", equal).shares.argmax() for equal in ("chips", "power", "cost")}
        assert won == {"chips": 0, "power": 2, "cost": 1}

    def test_a_system_that_alone_has_a_price_beats_nobody(self):
        """a has a price everywhere, b from the third point on, c fits at the fourth only."""
        space = made(
            [[1.0] * 4, [9.0] * 4, [1.0] * 4],
            usd_per_hour=[[1.0] * 4, [math.nan, math.nan, 1.0, 1.0], [math.nan] * 4],
            feasible=[[True] * 4, [True] * 4, [False, False, False, True]],
        )
        found = winners(space, "tokens", "cost")
        assert found.best.tolist() == [-1, -1, 1, 1]
        assert found.shares.tolist() == [0.0, 0.5, 0.0]
        assert found.alone.tolist() == [0.5, 0.0, 0.0]
        assert found.unknown.tolist() == [0.0, 0.5, 1.0]
        assert found.nobody == 0.5

    def test_a_rival_that_can_not_run_is_beaten(self):
        space = made([[1.0] * 4, [9.0] * 4], feasible=[[True] * 4, [False] * 4], usd_per_hour=[[1.0] * 4] * 2)
        assert winners(space, "tokens", "cost").shares.tolist() == [1.0, 0.0]

    def test_no_share_of_zero_where_nobody_was_compared_with(self):
        space = made([[1.0] * 4, [9.0] * 4], usd_per_hour=[[1.0] * 4, [math.nan] * 4])
        found = winners(space, "tokens", "cost")
        assert np.isnan(found.known_shares).tolist() == [True, True]
        assert found.nobody == 1.0

    def test_equal_chips_divides_by_them(self):
        space = made([[9.0] * 4, [6.0] * 4])
        from attrs import evolve

        doubled = evolve(space, chips=np.array([[4.0], [1.0]]))
        # 9 per chip either way; as a rate of all chips 36 against 6.
        assert winners(doubled, "useful_tops", "chips").shares.tolist() == [0.0, 1.0]
        assert winners(doubled, "tokens", "nothing").shares.tolist() == [1.0, 0.0]

    def test_equals_share_a_point_and_shares_add_up(self):
        space = made(
            [[5.0, 1.0, 1.0, 1.0], [5.0, 2.0, 0.5, 1.0]],
            feasible=[[True, True, True, False], [True, True, True, False]],
        )
        found = winners(space, "tokens", "chips")
        assert found.shares.tolist() == [0.375, 0.375]
        assert found.nobody == 0.25
        assert found.shares.sum() + found.nobody == 1.0

    def test_dominated_needs_one_that_beats_it_everywhere(self):
        beaten = made(
            [[5.0, 5.0, 5.0, 5.0], [4.0, 4.0, 4.0, 4.0], [9.0, 1.0, 1.0, 9.0], [1.0, 4.5, 1.0, 1.0]]
        )
        found = winners(beaten, "tokens", "chips")
        assert dominated(beaten, found) == (Dominated("b", "a"), Dominated("d", "a"))
        by_two = made([[5.0, 1.0, 5.0, 1.0], [1.0, 5.0, 1.0, 5.0], [4.0, 4.0, 4.0, 4.0]])
        assert dominated(by_two, winners(by_two, "tokens", "chips")) == (Dominated("c", ""),)

    def test_who_runs_nowhere_is_not_called_dominated(self):
        space = made([[5.0] * 4, [1.0] * 4], feasible=[[True] * 4, [False] * 4])
        assert dominated(space, winners(space, "tokens", "chips")) == ()

    def test_no_price_is_no_zero(self):
        """a has no price, b one at half of its points but no rival there, c fits nowhere: a true zero."""
        nan = float("nan")
        space = made(
            [[5.0] * 4, [1.0] * 4, [9.0] * 4],
            feasible=[[True] * 4, [True] * 4, [False] * 4],
            usd_per_hour=[[nan] * 4, [2.0, 2.0, nan, nan], [1.0] * 4],
        )
        found = winners(space, "tokens", "cost")
        assert found.unknown.tolist() == [1.0, 0.5, 0.0]
        assert found.alone.tolist() == [0.0, 0.5, 0.0]
        assert np.array_equal(found.known_shares, [nan, nan, 0.0], equal_nan=True)
        assert found.nobody == 1.0
        assert winners(space, "tokens", "chips").known_shares.tolist() == [1.0, 0.0, 0.0]

    def test_what_cannot_be_compared_is_refused(self):
        with pytest.raises(InferBenchError, match="is no rate to divide by cost"):
            winners(made([[1.0] * 4]), "utilization", "cost")
        with pytest.raises(InferBenchError, match="unknown metric 'tops'"):
            winners(made([[1.0] * 4]), "tops", "chips")


@pytest.mark.needs_plugins("chips/h100-sxm")
class TestFromRuns:
    AXES = {"batch": [1.0, 64.0], "context": [512.0, 8192.0, 32768.0]}  # noqa: RUF012

    def space(self, *systems: str) -> Space:
        runs = [
            ib.run(system, f"llama3-70b/{phase}", precision=["fp16", "fp8"], stack="ideal", **self.AXES)
            for system in systems
            for phase in ("prefill", "decode")
        ]
        return Space.of_runs(runs, installed().roles())

    def test_points_stand_where_they_belong(self):
        space = self.space("b200", "h100-sxm")
        assert space.count == 2 * 2 * 2 * 3
        run = ib.run("h100-sxm", "llama3-70b/decode", precision="fp8", batch=64, context=8192, stack="ideal")
        here = (
            (space.axes["phase"] == "decode")
            & (space.axes["precision"] == "fp8")
            & (space.axes["batch"] == 64)
            & (space.axes["context"] == 8192)
        )
        assert here.sum() == 1
        alone = self.space("h100-sxm")
        assert np.array_equal(alone.values["useful_tops"][0], space.values["useful_tops"][1], equal_nan=True)
        feasible = bool(np.squeeze(run.values(run.feasible)))
        assert bool(space.feasible[1, here][0]) == feasible

    def test_systems_on_other_points_are_refused(self):
        runs = [
            ib.run("b200", "llama3-70b/decode", batch=[1, 2], stack="ideal"),
            ib.run("h100-sxm", "llama3-70b/decode", batch=[1, 4], stack="ideal"),
        ]
        with pytest.raises(InferBenchError, match="h100-sxm: covers other points than b200"):
            Space.of_runs(runs, installed().roles())


def gaming_file(folder: Path) -> str:
    """The plugin file that the page shows."""
    found = re.search(
        r"<!-- file: gaming.py -->\n```python\n(?P<body>.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    path = folder / "gaming.py"
    path.write_text(found["body"])
    return str(path)


@pytest.mark.needs_plugins(
    "chips/h100-sxm", "chips/h200", "chips/l40s", "chips/groq-lpu", "chips/wse-3", "networks/dense-1b"
)
class TestThePage:
    @pytest.mark.parametrize(
        ("chip", "figure"),
        [
            ("colossus", "useful_tops"),
            ("bargain", "useful_tops_per_usd_per_hour"),
            ("sipper", "useful_tops_per_w"),
            ("allrounder", "flexibility"),
        ],
    )
    def test_each_figure_alone_is_topped_by_a_chip_that_fails_the_others(self, chip, figure, fresh, tmp_path):
        known = installed()
        known.load_file(gaming_file(tmp_path))
        names = ("b200", "h100-sxm", "h200", "l40s", chip)
        runs = [
            ib.run(
                name,
                f"dense-{size}b/{phase}",
                precision=["fp16", "fp8", "int4"],
                batch=[1, 8, 64, 512],
                context=[128, 2048, 32768],
                registry=known,
                stack="ideal",
            )
            for name in names
            for size in (1, 8, 70, 200)
            for phase in ("prefill", "decode")
        ]
        scores = figures(Space.of_runs(runs, known.roles()))
        assert np.argmax(scores[figure]) == 4
        for other in set(scores) - {figure}:
            assert scores[other][4] < scores[other][:4].min(), other

    @pytest.mark.slow
    def test_the_table(self, cli):
        """What the page's table says, to its two digits; no reading gives a GPU six tenths in decode or
        together.
        """
        scores = self.scores(cli, "h100-sxm", "b200", "8xh100-sxm", "576xgroq-lpu")
        rows = {}
        for line in PAGE.read_text().splitlines():
            found = re.match(
                r"\| `(?P<name>[a-z-]+)`, (?P<phase>\w+) \| (?P<gpus>[\d., ]+) \| (?P<groq>[\d.]+) \|", line
            )
            if found:
                phase = {"together": "all"}.get(found["phase"], found["phase"])
                rows[found["name"], phase] = [
                    float(text) for text in (*found["gpus"].split(", "), found["groq"])
                ]
        assert len(rows) == 6
        for (name, phase), stated in rows.items():
            mine = [
                scores[system, name, phase] for system in ("h100-sxm", "b200", "8xh100-sxm", "576xgroq-lpu")
            ]
            assert stated == pytest.approx(mine, abs=0.0051), (name, phase)
        gpus = {key: score for key, score in scores.items() if key[0] != "576xgroq-lpu"}
        assert max(score for (_, _, phase), score in gpus.items() if phase != "prefill") < 0.6
        decode = max(score for (_, _, phase), score in scores.items() if phase == "decode")
        assert decode == pytest.approx(0.10, abs=0.005)  # a tenth, to its two digits

    def test_prompts_alone_with_memory_set_aside_give_two_thirds(self, cli):
        scores = self.scores(cli, "b200", "h100-sxm", "--ignore-capacity")
        for system in ("b200", "h100-sxm"):
            assert scores[system, "best", "prefill"] == pytest.approx(0.66, abs=0.01)

    def scores(self, cli: Any, *arguments: str) -> dict[tuple[str, str, str], float]:
        code, out, _ = cli("sweep", *arguments, "--stack", "ideal", "-v", "--format", "json")
        assert code == 0
        rows = json.loads(out)["space"]["flexibility"]
        return {
            (row["system"], row["definition"], row["phase"]): row["score"]
            for row in rows
            if row["grid"] == "listed" and row["threshold"] == 0.5
        }
