"""How work is cut over chips, and how errors grow outside of a box: brute force, closed forms, laws."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.model.case import Case, prepare
from inferbench.model.expected import Estimate, chances
from inferbench.model.intervals import (
    bounds,
    ends,
    energy_log_errors,
    inside,
    log_error,
    longest,
    outside,
    slower,
    together,
)
from inferbench.model.partition import (
    Share,
    Stages,
    Sums,
    candidates,
    cut,
    duration,
    joint,
    local_graph,
    microbatch,
    replica,
    stages,
    widest_tp,
)
from inferbench.records.energy import Energy
from inferbench.records.fit import Domain, Fit

Z = 1.6448536269514722


def lightest(layers: int, count: int, embedding: float, layer: float, head: float) -> float:
    """The weight of the heaviest stage of the best of all cuts with equal stages between two ends."""
    found = math.inf
    for first, middle in product(range(layers + 1), repeat=2):
        last = layers - first - middle * (count - 2)
        if last < 0 or (count == 2 and middle):
            continue
        inner = middle * layer if count > 2 else 0.0
        found = min(found, max(embedding + first * layer, inner, head + last * layer))
    return found


def test_no_cut_into_stages_has_a_lighter_heaviest_one():
    pull = np.random.default_rng(4)
    for _ in range(150):
        layers, count = int(pull.integers(1, 25)), int(pull.integers(2, 12))
        embedding, head = (float(pull.choice([0.0, 0.5, 1.0, 3.7])) for _ in range(2))
        layer = float(pull.choice([0.3, 1.0, 2.5]))
        found = stages(layers, count, embedding, layer, head)
        assert found.count == count
        assert found.first + found.last + found.middle * (count - 2) == layers
        heaviest = max(embedding + found.first * layer, found.middle * layer, head + found.last * layer)
        assert heaviest == pytest.approx(lightest(layers, count, embedding, layer, head)), (layers, count)
    assert stages(80, 1, 1.0, 2.0, 3.0) == Stages(80, 0, 0, 1)
    assert stages(3, 2, 5.0, 0.0, 1.0).first in range(4)  # layers without a weight lie anywhere


def test_a_cut_of_points_is_that_of_each():
    """Heads of other precisions weigh more: every point is cut as if it were alone."""
    head = np.array([[0.5, 2.0, 9.0]])
    found = cut(Sums(1.0, 24.0, head), 12, 4)
    for i, one in enumerate(head[0].tolist()):
        alone = stages(12, 4, 1.0, 2.0, one)
        mine = tuple(float(np.ravel(getattr(found, part))[i]) for part in ("first", "middle", "last"))
        assert mine == (alone.first, alone.middle, alone.last)
    assert cut(Sums(1.0, 24.0, head), 12, 1) == Stages(12, 0, 0, 1)


def test_stages_hold_all_units_between_them():
    """An embedding of 1, twelve layers of 2 and a head of 5 in stages of 4, 3, 3 and 2 layers."""
    sums = Sums(1.0, 24.0, 5.0)
    assert sums.total == 30.0
    first, last, middle = sums.per_stage(Stages(4, 3, 2, 4), 12)
    assert (first, last, middle) == (9.0, 9.0, 6.0)
    assert first + last + 2 * middle == sums.total
    assert sums.per_stage(Stages(7, 0, 5, 2), 12) == [15.0, 15.0]
    assert sums.per_stage(Stages(12, 0, 0, 1), 12) == [30.0]


def held(sums: tuple[Sums, Sums], passes: float) -> list[tuple[float, float]]:
    """Bytes of weights and state of the fullest of two stages of four layers, and the most of any."""
    graph, _ = local_graph(Share((), *sums, 1.0), 2, 4, passes)
    return [(float(one.weights), float(one.state)) for one in (graph.footprint, graph.most)]


def test_the_fullest_stage_and_the_most_of_each_kind():
    """Four layers of 10, with a state of 2 for each microbatch, in two stages.

    An embedding of 100 leaves all layers to the last stage. With few microbatches the first is the fullest.
    """
    layers, state = Sums(0.0, 40.0, 0.0), Sums(0.0, 8.0, 0.0)
    assert held((layers, state), 3.0) == [(20.0, 12.0), (20.0, 12.0)]
    uneven = Sums(100.0, 40.0, 0.0)
    assert held((uneven, state), 3.0) == [(100.0, 0.0), (100.0, 24.0)]
    assert held((uneven, state), 8.0) == [(40.0, 64.0), (100.0, 64.0)]
    alone, _ = local_graph(Share((), uneven, state, 1.0), 1, 4, 3.0)
    assert (alone.footprint.weights, alone.footprint.state, alone.footprint.total) == (140.0, 24.0, 165.0)
    points, _ = local_graph(Share((), uneven, state, 1.0), 2, 4, np.array([3.0, 8.0]))
    assert points.footprint.weights.tolist() == [100.0, 40.0]


def test_products_are_cut_as_far_as_there_are_query_heads_or_a_thousand_ways():
    bf16 = ib.Precision.of(["bf16"])
    plain = ib.Gemm(name="a", precision=bf16, m=1.0, n=8.0, k=8.0)
    sizes = {"batch": 1.0, "queries": 1.0, "keys": 8.0, "pairs": 8.0, "qk_dim": 8.0, "v_dim": 8.0}
    few = ib.Attention(name="b", precision=bf16, heads=16.0, kv_heads=2.0, split=("heads",), **sizes)
    many = attrs.evolve(few, heads=np.array([32.0, 64.0]))
    assert widest_tp([plain]) == 1
    assert widest_tp([plain, attrs.evolve(plain, split=("n",))]) == 1024
    assert widest_tp([attrs.evolve(plain, split=("n",)), few]) == 16
    assert widest_tp([few, many]) == 64
    assert widest_tp([plain, attrs.evolve(few, split=())]) == 1


def test_a_step_is_one_microbatch_through_all_stages_or_the_fullest_stage_for_each():
    """Stages of 9, 6, 6 and 9 ms and 1 ms between them: 33 ms through, and 10 ms for each that follows."""
    units = {"embedding": 1.0, "layer": 24.0, "head": 5.0}
    pieces = Stages(4, 3, 2, 4)
    found = [float(duration(units, pieces, 12, float(n), 1.0)) for n in (1, 3, 4, 8)]
    assert found == [33.0, 33.0, 40.0, 80.0]
    assert duration(units, Stages(12, 0, 0, 1), 12, 3.0, 1.0) == 90.0
    assert float(duration(units, Stages(1, 4, 3, 4), 12, 4.0, 0.0)) == 4 * 11.0  # the last: 5 + 3 layers


def at(**axes: Any) -> ib.Point:
    return ib.Grid.of({name: np.atleast_1d(values) for name, values in axes.items()}, ["bf16"]).at


@pytest.mark.parametrize(
    ("layout", "batch", "ranks", "passes", "each"),
    [
        # Sequences of the fullest rank, microbatches, sequences in each.
        ("tp4", 9, 9, 1, 9.0),
        ("dp4", 9, 3, 1, 3.0),
        ("dp4", 2, 1, 1, 1.0),
        ("pp8", 9, 9, 8, 9 / 8),
        ("pp8", 3, 3, 3, 1.0),
        ("dp2pp4", 9, 5, 4, 5 / 4),
    ],
)
def test_microbatches_are_as_many_as_stages_or_sequences(layout, batch, ranks, passes, each):
    cut_so = ib.Layout.parse(layout)
    point, found = microbatch(at(batch=float(batch)), cut_so)
    assert float(np.squeeze(replica(at(batch=float(batch)), cut_so)["batch"])) == ranks
    assert float(np.squeeze(found)) == passes
    assert float(np.squeeze(point["batch"])) == pytest.approx(each)


def test_experts_see_the_sequences_of_all_ranks_that_share_them():
    """Ten sequences over four ranks of which two share: five of each pair, in two passes."""
    shared = ib.Layout(dp=4, ep=2)
    point = joint(at(batch=10.0), shared, 2.0)
    assert float(np.squeeze(point["batch"])) == 10.0 / shared.replicas / 2.0
    assert float(np.squeeze(point["ranks"])) == shared.sharing


@pytest.mark.parametrize(("count", "layers", "widest"), [(8, 80, 64), (12, 3, 2), (16, 32, 8), (7, 40, 8)])
def test_all_layouts_of_a_number_of_chips_are_tried(count, layers, widest):
    """Powers of two for heads and positions, any number of stages, and ranks for the rest."""
    powers = [2**k for k in range(10)]
    wanted = {
        (tp, cp, pp, count // (tp * cp * pp))
        for tp in powers
        for cp in powers
        for pp in range(1, layers + 3)
        if tp <= widest and count % (tp * cp * pp) == 0
    }
    plain = candidates(count, layers, widest, experts=False)
    assert {(one.tp, one.cp, one.pp, one.dp) for one in plain} == wanted
    assert {one.ep for one in plain} == {1}
    assert len(plain) == len(wanted)
    without = candidates(count, layers, widest, experts=False, context=False)
    assert {(one.tp, one.pp, one.dp) for one in without} == {(a, c, d) for a, b, c, d in wanted if b == 1}
    spread = candidates(count, layers, widest, experts=True)
    for one in spread:
        whole = one.tp * one.cp * one.dp
        assert one.ep in ((whole,) if one.cp > 1 else (1, whole) if one.pp > 1 else (1, one.tp, whole))
    assert len(set(spread)) == len(spread) >= len(plain)


class TestOutside:
    """A box of one chip, two to eight of them, decoding in bf16 at 4 to 64 sequences."""

    BOX = Domain(
        chips=("h100-sxm",),
        counts=(2, 8),
        phases=("decode",),
        precisions=("bf16",),
        axes={"batch": (4.0, 64.0)},
    )

    def case(
        self, chips: int = 2, chip: str = "h100-sxm", phase: str = "decode", fit: Any = None, **box: Any
    ) -> Case:
        known = ib.installed()
        stack = known.stack("vllm-h100")
        stack = attrs.evolve(
            stack,
            domain=attrs.evolve(self.BOX, **box),
            fit=fit or attrs.evolve(stack.fit, step=0.3, steps={}),
        )
        made = ib.System(known.chip(chip), chips, ib.Layout(tp=chips))
        found = prepare(made, known.network("llama3-8b"), "decode", stack=stack, registry=known)
        phases = {one.name: one for one in known.workload("transformer").phases}
        return attrs.evolve(found, phase=phases[phase])

    def error(self, batch: float = 8.0, precision: str = "bf16", **more: Any) -> float:
        point = ib.Grid.of({"batch": [batch], "context": [1024.0]}, [precision]).at
        return float(np.squeeze(outside(self.case(**more), point)))

    pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")

    @pytest.mark.parametrize(
        ("more", "error"),
        [
            ({}, 0.0),
            ({"batch": 4.0}, 0.0),
            ({"batch": 64.0}, 0.0),
            ({"chips": 8}, 0.0),
            # A tenth for each doubling beyond an edge.
            ({"batch": 128.0}, 0.1),
            ({"batch": 256.0}, 0.2),
            ({"batch": 1.0}, 0.2),
            ({"chips": 1}, 0.1),
            ({"chips": 32}, 0.2),
            # A quarter for what nobody saw.
            ({"precision": "fp8"}, 0.25),
            ({"phase": "prefill"}, 0.25),
            ({"chip": "h200"}, 0.25),
            # In quadrature.
            ({"precision": "fp8", "phase": "prefill"}, math.hypot(0.25, 0.25)),
            ({"batch": 128.0, "chips": 1}, math.hypot(0.1, 0.1)),
            ({"batch": 1.0, "chip": "h200"}, math.hypot(0.2, 0.25)),
            # As the stack's own rows showed, below and above.
            ({"batch": 2.0, "widening": {"batch": (0.3, 0.7)}}, 0.3),
            ({"batch": 256.0, "widening": {"batch": (0.3, 0.7)}}, 1.4),
            # What a box does not name has no edge.
            ({"batch": 1e6, "axes": {}}, 0.0),
            ({"chips": 64, "counts": ()}, 0.0),
            ({"precision": "fp8", "precisions": ()}, 0.0),
            ({"chip": "h200", "chips": 2, "phases": ()}, 0.25),
        ],
    )
    def test_errors_outside(self, more, error):
        assert self.error(**more) == pytest.approx(error, abs=1e-12)

    def test_points_inside_are_those_without_an_error_of_their_own(self):
        point = ib.Grid.of({"batch": [2.0, 4.0, 64.0, 65.0], "context": [1.0]}, ["bf16", "fp8"]).at
        found = np.squeeze(inside(self.case(), point))
        assert found.tolist() == [[False, True, True, False], [False] * 4]  # in bf16, in fp8

    def test_a_step_joins_the_errors_of_kernels_of_what_runs_them_and_of_the_box(self):
        point = ib.Grid.of({"batch": [128.0], "context": [1024.0]}, ["bf16"]).at
        case = self.case()
        error = float(np.squeeze(log_error(case, point, 0.4)))
        assert error == pytest.approx(math.sqrt(0.4**2 + 0.3**2 + 0.1**2))
        own = self.case(fit=attrs.evolve(case.stack.fit, steps={"decode": 0.2}))
        assert float(np.squeeze(log_error(own, point, 0.0))) == pytest.approx(math.hypot(0.2, 0.1))
        assert np.isnan(log_error(self.case(fit=Fit()), point, 0.4)).all()


class TestEnds:
    def test_nine_in_ten_lie_between_them(self):
        low, high = ends(np.array([0.0, 0.2, np.nan]))
        assert (low[:2], high[:2]) == (
            pytest.approx([1.0, math.exp(-0.2 * Z)]),
            pytest.approx([1.0, math.exp(0.2 * Z)]),
        )
        assert np.isnan([low[2], high[2]]).all()
        assert ends(0.2, 1.1)[1] == pytest.approx(1.1)
        assert ends(0.2, 0.9)[1] == 1.0  # never below the figure itself

    def test_energy_reaches_the_limit_for_as_long_as_the_step_may_take(self):
        """Twice the watts at most, and a step of up to 1.5 times: three times the joules."""
        assert float(longest(2.0, math.log(1.5) / Z)) == pytest.approx(3.0)
        assert longest(np.array([1.0, 4.0]), 0.0).tolist() == [1.0, 4.0]

    def test_what_nobody_measured_is_slower_by_its_upper_end(self):
        assert float(slower(0.5)) == pytest.approx(math.exp(0.5 * Z) - 1.0)
        assert slower(0.0) == 0.0
        assert float(together(0.3, math.exp(0.4 * Z) - 1.0)) == pytest.approx(0.5)
        assert together(0.3, 0.0) == 0.3

    def test_energy_errs_by_the_share_that_time_costs_and_power_by_the_rest(self):
        """30 of 100 J pass with time: 10 % in time are 3 % in joules, 7 % in watts; 4 % are its own."""
        one = Energy(100.0, 50.0, log_error=0.04)
        power, joules = energy_log_errors(0.1, one, 30.0, 700.0)
        assert (float(power), float(joules)) == pytest.approx(
            (math.hypot(0.07, 0.04), math.hypot(0.03, 0.04))
        )
        # At the limit joules are watts times seconds, and where nothing is known both err as time does.
        for limit, waiting, wanted in ((50.0, 30.0, (0.07, 0.1)), (700.0, math.nan, (0.1, 0.1))):
            found = energy_log_errors(0.1, attrs.evolve(one, log_error=0.0), waiting, limit)
            assert [float(each) for each in found] == pytest.approx(wanted)

    @pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")
    def test_ends_of_figures_follow_from_those_of_time(self):
        run = ib.run("h100-sxm@vllm-h100", "llama3-8b/decode", batch=[1, 16], precision="bf16")
        error = run.values(run.log_error)
        low, high = bounds(run, "time")
        assert high == pytest.approx(np.exp(Z * error))
        least = run.values(run.bound_seconds) / run.values(run.seconds)
        assert low == pytest.approx(np.maximum(np.exp(-Z * error), least))
        low, high = bounds(run, "power")
        watts = run.values(run.energy.watts)
        wide = np.exp(Z * run.values(run.power_log_error))
        assert low == pytest.approx(1.0 / wide)
        assert watts * high == pytest.approx(np.minimum(watts * wide, 700.0))


class TestChances:
    def estimate(self, middle: float, error: float) -> Estimate:
        wide = math.exp(Z * error)
        return Estimate(middle, middle / wide, middle * wide)

    def test_the_best_of_three_by_counting_draws(self):
        """A hundred thousand draws of three log-normal figures: who is best how often."""
        middles, errors = (100.0, 110.0, 90.0), (0.3, 0.1, 0.5)
        pull = np.random.default_rng(2)
        drawn = np.stack(
            [m * np.exp(s * pull.normal(size=100_000)) for m, s in zip(middles, errors, strict=True)]
        )
        some = [self.estimate(m, s) for m, s in zip(middles, errors, strict=True)]
        for higher, best in ((True, drawn.argmax(axis=0)), (False, drawn.argmin(axis=0))):
            shares = [float(np.mean(best == i)) for i in range(3)]
            assert chances(some, higher, [True] * 3) == pytest.approx(shares, abs=0.01)

    def test_chances_add_up_whoever_takes_part(self):
        some = [self.estimate(100.0 + 5 * i, 0.1 + 0.05 * i) for i in range(5)]
        found = chances(some, True, [True, False, True, True, False])
        assert math.isnan(found[1])
        assert sum(found[i] for i in (0, 2, 3)) == pytest.approx(1.0)

    def test_limits_end_what_is_possible(self):
        slow = Estimate(10.0, 8.0, 20.0, limit=8.0)
        assert [slow.chance_below(x) for x in (7.9, 8.0)] == pytest.approx([0.0, slow.chance_below(8.0)])
        assert slow.chance_below(8.0) > 0.0
        fast = Estimate(10.0, 5.0, 12.0, limit=12.0)
        assert fast.chance_below(12.0) == 1.0
        assert fast.chance_below(11.9) < 1.0
        assert [Estimate(10.0, 10.0, 10.0).chance_below(x) for x in (9.0, 10.0, 11.0)] == [0.0, 1.0, 1.0]
