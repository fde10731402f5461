"""Steady-state serving: closed forms by hand, laws, and a replay that knows none of the formulas."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest

from inferbench.discovery.registry import installed
from inferbench.errors import InferBenchError
from inferbench.records.grid import Grid
from inferbench.records.system import Layout, System, SystemName
from inferbench.serving.engine import Rules
from inferbench.serving.frontier import frontier, goodput, pareto
from inferbench.serving.mixed import Mixed
from inferbench.serving.replay import replay, replay_disaggregated
from inferbench.serving.replica import Question, Replica, replica
from inferbench.serving.requests import Lengths, at_a_rate, in_a_loop
from inferbench.serving.steady_state import (
    Steps,
    Traffic,
    at_users,
    chunked,
    disaggregated,
    interleaved,
    queue,
)
from inferbench.serving.tabulated import Span, StepTable, tabulate
from inferbench.specs.options import structured

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
SPAN = Span(batch=128.0, context=1300.0, tokens=1024.0, mean=TRAFFIC.context)
LENGTHS = Lengths("fixed", 1024.0), Lengths("uniform", 80.0, 240.0)


def served(name: str, network: str) -> tuple[Replica, StepTable]:
    """A replica at the mean context, for the formulas; and its steps at all contexts, for the replay."""
    if (name, network) not in _KNOWN:
        mine = attrs.evolve(system(name), layout=system(name).layout or Layout())
        asked = question(network)
        _KNOWN[name, network] = (
            replica(asked, mine.chip, mine.layout),
            tabulate(asked, mine.chip, mine.layout, SPAN),
        )
    found: tuple[Replica, StepTable] = _KNOWN[name, network]
    return found


@attrs.frozen
class Seen:
    """Means between a warm-up of a third and the end, when users run out: requests per second, seconds per
    token and to the first token.
    """

    rate: float
    tpot: float
    ttft: float


def seen(log: Any) -> Seen:
    done = np.array(log.done)
    late = np.argsort(done)[len(done) // 3 : len(done) - log.requests.users]
    first, arrival, output = (np.array(one)[late] for one in (log.first, log.arrival, log.output))
    span = done[late][-1] - done[late][0]
    tpot = (done[late] - first).sum() / (output - 1.0).sum()
    return Seen((len(late) - 1) / span, tpot, float((first - arrival).mean()))


def loop(users: int) -> Any:
    """A closed loop with outputs of half to one and a half the mean."""
    return in_a_loop(users, 10 * users + 400, *LENGTHS)


WHOLE = Rules(policy="interleaved", chunk=1024.0)
CUT = Rules(policy="chunked", chunk=256.0)
SPLIT = Rules(policy="prompts", chunk=1024.0), Rules(policy="tokens")


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "networks/mixtral-8x7b", "workloads/moe")
@pytest.mark.parametrize("users", LOADS)
@pytest.mark.parametrize(("name", "network"), CASES)
class TestAgainstReplay:
    """The replay knows durations of steps and none of the formulas; they agree within 5 %."""

    def test_interleaved(self, name, network, users):
        middle, table = served(name, network)
        found = seen(replay(loop(users), [table], WHOLE)[0])
        steps = middle.plain
        rate, tpot = at_users(users, steps.batch[:, 0], _column(interleaved(steps, TRAFFIC)), 0.0)
        assert rate == pytest.approx(found.rate, rel=0.05)
        assert tpot == pytest.approx(found.tpot, rel=0.05)

    def test_chunked(self, name, network, users):
        middle, table = served(name, network)
        found = seen(replay(loop(users), [table], CUT)[0])
        steps = middle.chunks[256.0].steps
        formula = chunked(steps, TRAFFIC)
        inside = formula.rate * steps.chunks * steps.mixed
        rate, _ = at_users(users, steps.batch[:, 0], _column(formula), np.asarray(inside)[:, 0])
        assert rate == pytest.approx(found.rate, rel=0.05)

    def test_disaggregated(self, name, network, users):
        middle, table = served(name, network)
        found = seen(replay_disaggregated(loop(users), [table], [table] * 2, SPLIT, 0.0)[0])
        steps = middle.plain
        formula = disaggregated(steps, steps, TRAFFIC, (1.0, 2.0))
        inside = np.asarray(formula.rate * steps.prefill)[:, 0] + steps.batch[:, 0]
        rate, _ = at_users(users, steps.batch[:, 0], _column(formula), inside)
        assert rate == pytest.approx(found.rate, rel=0.05)


def _column(found: Any) -> Any:
    return attrs.evolve(
        found, **{f.name: np.asarray(getattr(found, f.name))[..., 0] for f in attrs.fields(type(found))}
    )


@pytest.mark.needs_plugins("networks/llama3-8b")
@pytest.mark.parametrize("share", [0.3, 0.5])
def test_first_token_under_poisson_arrivals(share):
    """Waits included: within a tenth of the replay, for all three policies."""
    middle, table = served(*CASES[0])
    plain, chunks = middle.plain, middle.chunks[256.0].steps
    mixing = chunks.batch * 4 / TRAFFIC.steps
    alone, riding = interleaved(plain, TRAFFIC), chunked(chunks, TRAFFIC)
    split = disaggregated(plain, plain, TRAFFIC, (1.0, 2.0))
    for formula, loads, again in (
        (alone, alone.share, lambda asked: replay(asked, [table], WHOLE)),
        (riding, mixing, lambda asked: replay(asked, [table], CUT)),
        (split, split.share, lambda asked: replay_disaggregated(asked, [table], [table] * 2, SPLIT, 0.0)),
    ):
        i = int(np.argmin(abs(loads[:, 0] - share)))
        found = seen(again(at_a_rate(float(formula.rate[i, 0]), 6000, *LENGTHS))[0])
        assert float(formula.ttft[i, 0]) == pytest.approx(found.ttft, rel=0.1)
        assert float(formula.tpot[i, 0]) == pytest.approx(found.tpot, rel=0.1)


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
        # B sequences of 10 steps end B / 10 requests per step; each successor's prompt takes 4 chunks.
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
        case = asked.case(system("8xb200:tp8"), "token")
        grid = Grid.of({"batch": [8.0], "context": [1104.0]}, ["fp8"])
        mixed = attrs.evolve(
            case, workload=Mixed(case.workload, 1024.0, 256.0, structured(case.workload, {"chunk": 256.0}))
        )
        plain_ops, mixed_ops = case.graph(grid.at), mixed.graph(grid.at)

        def total(ops: Any, what: Any) -> float:
            return float(np.squeeze(sum(what(op) for op in ops)))

        def stored(ops: Any) -> float:
            return total(ops, lambda op: op.parameters * op.instances)

        assert stored(mixed_ops) == stored(plain_ops)
        # 80 layers of 855,638,016 weights: 264 rows instead of 8, 2 operations each.
        products = {op.name: op for op in mixed_ops}
        rows = total(
            [op for op in mixed_ops if op.kind == "gemm" and op.unit == "layer"],
            lambda op: op.useful * op.repeat,
        )
        assert rows == pytest.approx(2 * 264 * 80 * 855_638_016)
        # Causal pairs of a prompt of 1024 in 4 chunks: 1024 x 1025 / 2 / 4 per step; 64 heads, 128 wide, 4
        # operations.
        attention = products["chunk.attention"]
        assert float(np.squeeze(attention.useful * attention.repeat)) == pytest.approx(
            80 * 64 * 128 * 4 * 1024 * 1025 / 8
        )

    def test_a_mixed_step_lasts_longer_than_either_and_less_than_both(self):
        eight = system("8xb200:tp8")
        one = replica(question("llama3-70b", batches=(1.0, 16.0, 64.0)), eight.chip, eight.layout)
        steps = one.chunks[256.0].steps
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
