"""Steady-state serving: closed forms by hand, laws, and a simulation that knows none of the formulas."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from inferbench.discovery.registry import installed
from inferbench.errors import InferBenchError
from inferbench.records.grid import Grid
from inferbench.records.system import Layout, System, SystemName
from inferbench.serving.frontier import frontier, goodput, pareto
from inferbench.serving.replica import Mixed, Question, Replica, replica
from inferbench.serving.steady_state import (
    Steps,
    Traffic,
    at_users,
    chunked,
    disaggregated,
    interleaved,
    queue,
)
from inferbench.specs.options import structured


def _simulation() -> Any:
    """The simulation beside this file: tests are no package."""
    spec = importlib.util.spec_from_file_location("simulation", Path(__file__).parent / "simulation.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.setdefault("simulation", importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


SIM = _simulation()
CASES = (("b200:tp1", "llama3-8b"), ("8xh100-sxm:tp8", "llama3-70b"), ("4xb200:tp4", "mixtral-8x7b"))
LOADS = (4, 24, 96)
BATCHES = tuple(float(b) for b in range(1, 513))
TRAFFIC = Traffic(prompt=1024.0, output=160.0)


def question(
    network: str, traffic: Traffic = TRAFFIC, batches: tuple[float, ...] = BATCHES, **more: Any
) -> Question:
    known = installed()
    settings: dict[str, Any] = {
        "network": known.network(network),
        "traffic": traffic,
        "batches": batches,
        "precisions": ("fp8",),
        "chunks": (256.0,),
        "stack": known.stack("ideal"),
        "scenario": known.get("scenarios", "reference"),
        "registry": known,
    }
    return Question(**{**settings, **more})


def system(name: str) -> System:
    parsed = SystemName.parse(name)
    return System(installed().chip(parsed.chip), parsed.count or 1, parsed.layout)


_KNOWN: dict[tuple[str, str], Any] = {}


def served(name: str, network: str) -> tuple[Replica, Any]:
    """A replica at the mean context, and durations for the simulation that also know how steps grow with
    context.
    """
    if (name, network) not in _KNOWN:
        mine = attrs.evolve(system(name), layout=system(name).layout or Layout())
        middle = replica(question(network), mine.chip, mine.layout)
        low, high = (
            replica(question(network, Traffic(prompt=p, output=2.0)), mine.chip, mine.layout)
            for p in (1023.0, 1263.0)
        )
        _KNOWN[name, network] = middle, (low, high)
    middle, ends = _KNOWN[name, network]
    return middle, ends


def table(ends: Any, pick: Any) -> Any:
    """Duration at any batch and context: exact in the batch, linear between two contexts."""
    low, high = (np.asarray(pick(one)).reshape(-1) for one in ends)
    return lambda batch, context: (
        low[int(batch) - 1] + (high - low)[int(batch) - 1] * (context - 1024.0) / 240.0
    )


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "networks/mixtral-8x7b", "workloads/moe")
@pytest.mark.parametrize("users", LOADS)
@pytest.mark.parametrize(("name", "network"), CASES)
class TestAgainstSimulation:
    def test_interleaved(self, name, network, users):
        middle, ends = served(name, network)
        steps = middle.plain
        durations = SIM.Durations(table(ends, lambda r: r.plain.decode), float(steps.prefill[0, 0]))
        seen = SIM.together(durations, 1024.0, 160.0, users=users, finish=8 * users + 60)
        rate, tpot = at_users(users, steps.batch[:, 0], _column(interleaved(steps, TRAFFIC)), 0.0)
        assert rate == pytest.approx(seen.rate, rel=0.05)
        assert tpot == pytest.approx(seen.tpot, rel=0.05)

    def test_chunked(self, name, network, users):
        middle, ends = served(name, network)
        steps = middle.pieces[256.0].steps
        mixed = table(ends, lambda r: r.pieces[256.0].steps.mixed)
        durations = SIM.Durations(table(ends, lambda r: r.plain.decode), float(steps.mixed[0, 0]), mixed, 4)
        seen = SIM.together(durations, 1024.0, 160.0, users=users, finish=8 * users + 60)
        found = chunked(steps, TRAFFIC)
        inside = found.rate * steps.chunks * steps.mixed
        rate, _ = at_users(users, steps.batch[:, 0], _column(found), np.asarray(inside)[:, 0])
        assert rate == pytest.approx(seen.rate, rel=0.05)

    def test_disaggregated(self, name, network, users):
        middle, ends = served(name, network)
        steps = middle.plain
        durations = SIM.Durations(table(ends, lambda r: r.plain.decode), float(steps.prefill[0, 0]))
        seen = SIM.apart(durations, 1024.0, 160.0, (1, 2), users=users, finish=8 * users + 60)
        found = disaggregated(steps, steps, TRAFFIC, (1.0, 2.0))
        inside = np.asarray(found.rate * steps.prefill)[:, 0] + steps.batch[:, 0]
        rate, _ = at_users(users, steps.batch[:, 0], _column(found), inside)
        assert rate == pytest.approx(seen.rate, rel=0.05)


def _column(found: Any) -> Any:
    return attrs.evolve(
        found, **{f.name: np.asarray(getattr(found, f.name))[..., 0] for f in attrs.fields(type(found))}
    )


@pytest.mark.needs_plugins("networks/llama3-8b")
@pytest.mark.parametrize("share", [0.3, 0.5])
def test_first_token_under_poisson_arrivals(share):
    """Waits included: within a tenth of the simulation, for all three policies."""
    middle, ends = served(*CASES[0])
    plain, pieces = middle.plain, middle.pieces[256.0].steps
    decode = table(ends, lambda r: r.plain.decode)
    whole = SIM.Durations(decode, float(plain.prefill[0, 0]))
    cut = SIM.Durations(
        decode, float(pieces.mixed[0, 0]), table(ends, lambda r: r.pieces[256.0].steps.mixed), 4
    )
    mixing = pieces.batch * 4 / TRAFFIC.steps
    alone, riding, split = (
        interleaved(plain, TRAFFIC),
        chunked(pieces, TRAFFIC),
        disaggregated(plain, plain, TRAFFIC, (1.0, 2.0)),
    )
    for found, loads, simulate in (
        (alone, alone.share, lambda rate: SIM.together(whole, 1024.0, 160.0, rate=rate, finish=6000)),
        (riding, mixing, lambda rate: SIM.together(cut, 1024.0, 160.0, rate=rate, finish=6000)),
        (split, split.share, lambda rate: SIM.apart(whole, 1024.0, 160.0, (1, 2), rate=rate, finish=6000)),
    ):
        i = int(np.argmin(abs(loads[:, 0] - share)))
        seen = simulate(float(found.rate[i, 0]))
        assert float(found.ttft[i, 0]) == pytest.approx(seen.ttft, rel=0.1)
        assert float(found.tpot[i, 0]) == pytest.approx(seen.tpot, rel=0.1)


class TestFormulas:
    def test_one_user_alone_waits_for_nobody(self):
        steps = Steps(batch=1.0, decode=0.01, prefill=0.3, occupancy=0.3)
        found = interleaved(steps, Traffic(prompt=500.0, output=101.0))
        assert found.tpot == pytest.approx(0.01)
        assert found.ttft == pytest.approx(0.3)
        assert found.rate == pytest.approx(1 / 1.3)
        assert found.users == pytest.approx(1.0)

    def test_the_mean_context_is_that_of_every_step(self):
        # Prompt of 3, 4 tokens: steps attend to 4, 5 and 6 positions.
        assert Traffic(prompt=3.0, output=4.0).context == 5.0

    def test_prompts_that_dont_keep_up_are_marked(self):
        # B sequences of 10 steps end B / 10 requests per step; each successor's prompt takes 4 pieces.
        steps = Steps(
            batch=np.array([2.0, 3.0]), decode=0.01, prefill=0.1, occupancy=0.1, mixed=0.03, chunks=4.0
        )
        assert chunked(steps, Traffic(prompt=400.0, output=11.0)).sustained.tolist() == [True, False]

    def test_queue_of_one_server_is_pollaczek_khinchine(self):
        # Constant service: half the wait of exponential service, rho s / (1 - rho) / 2.
        assert float(queue(0.8, 1.0)) == pytest.approx(2.0)
        assert float(queue(1.0, 1.0)) == np.inf

    def test_more_servers_at_the_same_load_wait_less(self):
        waits = queue(0.8, 1.0, np.array([1.0, 2.0, 8.0]))
        assert np.all(np.diff(waits) < 0)

    def test_traffic_refuses_what_is_no_request(self):
        with pytest.raises(InferBenchError, match="output: 1 is out of range"):
            Traffic(prompt=10.0, output=1.0)

    def test_pareto_by_hand(self):
        speed, cost = np.array([5.0, 4.0, 3.0, 2.0, 9.0]), np.array([8.0, 3.0, 6.0, np.nan, 8.0])
        assert pareto(speed, cost, lower=True).tolist() == [4, 1]


@pytest.mark.needs_plugins
class TestMixedStep:
    def test_weights_are_read_once_for_both(self):
        """A mixed step holds the network once, and does the products of all its rows."""
        asked = question("llama3-70b", Traffic(prompt=1024.0, output=160.0), (8.0,))
        case = asked.case(system("8xb200:tp8"), "decode")
        grid = Grid.of({"batch": [8.0], "context": [1104.0]}, ["fp8"])
        mixed = attrs.evolve(
            case, workload=Mixed(case.workload, 1024.0, 256.0, structured(case.workload, {"chunk": 256.0}))
        )
        plain_ops, mixed_ops = case.graph(grid.at), mixed.graph(grid.at)

        def total(ops: Any, what: Any) -> float:
            return float(np.squeeze(sum(what(op) for op in ops)))

        def held(ops: Any) -> float:
            return total(ops, lambda op: op.parameters * op.instances)

        assert held(mixed_ops) == held(plain_ops)
        # 80 layers of 855,638,016 weights: 264 rows instead of 8, 2 operations each.
        products = {op.name: op for op in mixed_ops}
        rows = total(
            [op for op in mixed_ops if op.kind == "gemm" and op.unit == "layer"],
            lambda op: op.useful * op.repeat,
        )
        assert rows == pytest.approx(2 * 264 * 80 * 855_638_016)
        # Causal pairs of a prompt of 1024 in 4 pieces: 1024 x 1025 / 2 / 4 per step; 64 heads, 128 wide, 4
        # operations.
        attention = products["chunk.attention"]
        assert float(np.squeeze(attention.useful * attention.repeat)) == pytest.approx(
            80 * 64 * 128 * 4 * 1024 * 1025 / 8
        )

    def test_a_mixed_step_lasts_longer_than_either_and_less_than_both(self):
        eight = system("8xb200:tp8")
        one = replica(question("llama3-70b", batches=(1.0, 16.0, 64.0)), eight.chip, eight.layout)
        steps = one.pieces[256.0].steps
        assert np.all(steps.mixed > steps.decode)
        assert np.all(steps.mixed * steps.chunks < steps.decode * steps.chunks + 2 * steps.prefill)


@pytest.mark.needs_plugins("chips/groq-lpu")
class TestFrontier:
    def test_little_and_the_limits(self):
        found = frontier(question("llama3-70b"), system("8xb200"))
        points = found.points
        inside = points["requests_per_s"] * (points["ttft_s"] + 159.0 * points["tpot_s"])
        assert np.allclose(inside, points["users"])
        tight, loose = goodput(found, 0.005, np.inf), goodput(found, 0.05, np.inf)
        assert tight is not None
        assert loose is not None
        assert points["tpot_s"][tight] <= 0.005
        assert points["tokens_per_s_per_chip"][tight] < points["tokens_per_s_per_chip"][loose]
        assert goodput(found, 1e-6, np.inf) is None

    def test_disaggregated_replicas_never_outnumber_the_chips(self):
        points = frontier(question("llama3-70b"), system("8xb200")).points
        apart = points["policy"] == "disaggregated"
        chips = np.array([Layout.parse(text).chips for text in points["layout"][apart]])
        prompts = np.array([Layout.parse(text).chips for text in points["prompt_layout"][apart]])
        assert apart.any()
        assert np.all(chips * points["replicas"][apart] + prompts * points["prompt_replicas"][apart] <= 8)

    def test_a_chip_that_holds_nothing_says_why(self):
        found = frontier(question("llama3-70b"), system("groq-lpu"))
        assert found.count == 0
        assert found.infeasible == {"weights and one request don't fit": 1}

    def test_money_is_the_rental_rate_over_the_tokens(self):
        points = frontier(question("llama3-70b"), system("8xb200")).points
        # 8 chips at the middle of 3.75 to 10.57 $/h.
        assert np.allclose(points["usd_per_mtok_cloud"] * points["tokens_per_s"] * 3600 / 1e6, 8 * 7.16)
