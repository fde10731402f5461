"""`simulate`: requests replayed on a system."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError
from inferbench.face.answer import Answer
from inferbench.face.asked import duration, find, one_number, scenario_of, served
from inferbench.face.verb import verb
from inferbench.model.choice import BEST, choose
from inferbench.model.own_formats import own_formats
from inferbench.records.choice import Choice
from inferbench.records.network import Network
from inferbench.records.scenario import Scenario
from inferbench.records.system import Layout, System, SystemName
from inferbench.report.model import Next, Report
from inferbench.report.simulation import simulation_report
from inferbench.serving.engine import Rules
from inferbench.serving.replica import Question
from inferbench.serving.requests import Lengths, Requests, at_a_rate, in_a_loop
from inferbench.serving.schedulers import rules_of
from inferbench.serving.simulate import Plan, Simulated, layout_for
from inferbench.serving.simulate import simulate as of_plan
from inferbench.serving.steady_state import Traffic
from inferbench.serving.traces import read_trace

__all__ = ["Simulation", "simulate"]

MOST = 1_000_000
POLICIES = ("chunked", "interleaved")
Number = float | str
# Layout and number of the replicas that decode, and of those for prompts alone.
Parts = tuple[Layout, int, tuple[int, Layout] | None]


@attrs.frozen(eq=False, repr=False)
class Simulation(Answer):
    """What requests met on a system.

    Attributes:
        found: Times, rates, power, each with its interval.
        load: Who asked, as a reader writes it.
        written: The system as it was written.
    """

    found: Simulated
    load: str
    written: str

    def report(self, verbose: bool = False) -> Report:
        """Return percentiles of times, and what the system did; with the power over time if verbose."""
        network = self.found.plan.asked.network.name
        following = Next("frontier", (str(self.found.plan.system), "-w", network))
        return simulation_report(self.found, self.load, verbose, following)

    def summary(self) -> str:
        """Name the system, the load and the mean times."""
        times = self.found.found.times
        means = ", ".join(
            f"{name.removesuffix('_s')} {1e3 * times[name]['mean']:.3g} ms" for name in ("ttft_s", "tpot_s")
        )
        return f"of {self.found.plan.asked.network.name} on {self.written}, {self.load}: {means}"

    def to_times(self) -> Mapping[str, Mapping[str, float]]:
        """Return name of a time to statistic to seconds (`ttft_s`, `p99`)."""
        return self.found.found.times


@verb
def simulate(
    system: str,
    workload: str,
    *,
    rate: Number | None = None,
    concurrency: Number | None = None,
    trace: str | Path | None = None,
    requests: Number | None = None,
    prompt: Number = 1024,
    output: Number = 1024,
    turns: Number = 1,
    think: str | float | None = None,
    policy: str | None = None,
    chunk: Number | None = None,
    prefill: str | None = None,
    decode: str | None = None,
    block: Number = 16,
    max_seqs: Number | None = None,
    wait: Number | None = None,
    poll: Number = 1,
    compiled: str | None = None,
    reserve: Number = 0.1,
    reuse: bool = True,
    seed: Number = 1,
    slo_tpot: str | float | None = None,
    slo_ttft: str | float | None = None,
    precision: str = "fp8",
    stack: str = BEST,
    scenario: str | None = "reference",
    options: Mapping[str, object] | None = None,
    ignore_capacity: bool = False,
    watch: Callable[[int, int], None] | None = None,
    registry: Registry | None = None,
) -> Simulation:
    """Replay requests through a scheduler whose steps the model costs.

    Args:
        system: `8xh200`, `4xh100:tp4@vllm`; without a layout that of the shortest step at the load.
        workload: A language model; no phase.
        rate: Requests per second, arriving at random (`4/s`); `inf` for all at once.
        concurrency: Users, each of whom asks again at once.
        trace: File of requests as Mooncake or Azure publish them.
        requests: How many; 1,000, or all of a trace.
        prompt, output: Tokens: a number or a distribution like `lognormal:1024:0.8`.
        turns: Of a conversation, each with what came before in its prompt.
        think: Between an answer and the next turn, seconds or text.
        policy: `chunked` (prompts ride along with steps) or `interleaved` (whole prompts between them); by
            default the engine's own.
        chunk: Tokens of prompts in one step at most; by default the engine's own.
        prefill: Replicas for prompts alone, `2xtp2`; the others decode.
        decode: Those others, `1xtp4`; all other chips by default.
        block: Positions of a block of the cache.
        max_seqs: Sequences at once on a replica at most.
        wait: Steps that prompts wait for more of them while others decode; `40:0.8` ends it at that share of
            a step's tokens (TensorRT-LLM's `batch_wait_timeout_iters` and `batch_wait_max_tokens_ratio`).
        poll: Decode steps between two looks for new requests (SGLang's `--scheduler-recv-interval`).
        compiled: Sequences and positions that every step computes, `32x4096`; by default the engine's own.
        reserve: Share that the engine keeps free of the memory that the weights leave.
        reuse: Whether prefixes stay in what is free of the cache.
        seed: Of the random numbers.
        slo_tpot, slo_ttft: Longest time per token and to the first token, for goodput.
        precision: One name.
        stack: Software where the system names none.
        scenario: Economics; None: no figure in dollars is asked for.
        options: The workload's options.
        ignore_capacity: Pretend that everything fits.
        watch: Called with the requests that are done, and all.
        registry: Of plugins; everything installed by default.

    Raises:
        InferBenchError: Unknown names, bad values, a trace that can't be read, requests longer than the
            cache, a rate above what the system sustains.

    Example:
        >>> import inferbench as ib
        >>> found = ib.simulate("h100", "llama3-8b", concurrency=4, requests=40, output=32)
        >>> found.found.found.peak
        4
    """
    known = registry or installed()
    named = SystemName.parse(system)
    talk = turns, think, one_number(seed, "seed", 1.0)
    load, said = _requests((rate, concurrency, trace), requests, (prompt, output), talk)
    size = System(find("system", named.chip, known.chip), named.count or 1, named.layout)
    network, (one,) = served(workload, known), own_formats([precision], size.chip, known)[0]
    choice = _software(named, stack, size, network, one, known)
    asked = scenario_of(known, scenario), dict(options or {}), ignore_capacity
    question = _question(network, load, one, choice, known, asked)
    parts = _parts(question, size, load, prefill, decode)
    limits = duration(slo_tpot, "slo_tpot"), duration(slo_ttft, "slo_ttft")
    told = _told(wait, poll, compiled)
    rules = _rules(choice, policy, chunk, (block, max_seqs, reuse), load.longest, told, known)
    whole, kept = System(size.chip, size.count), _share(reserve, "reserve", "10%")
    plan = _plan(question, choice, whole, parts, rules, kept, limits)
    return Simulation(of_plan(plan, load, watch), said, system)


def _software(
    named: SystemName, stack: str, size: System, network: Network, precision: str, known: Registry
) -> Choice:
    """The software that the system names, or the one for those that name none."""
    phases = [one.name for one in known.workload(network.type).phases if one.role]
    work = network, phases, precision, known, size.count
    if named.stack:
        return choose(named.stack, size.chip, *work)
    return find("stack", stack, lambda one: choose(one, size.chip, *work, where=one))


def _question(
    network: Network,
    load: Requests,
    precision: str,
    choice: Choice,
    known: Registry,
    asked: tuple[Scenario | None, dict[str, object], bool],
) -> Question:
    """What is evaluated: one precision, at the mean lengths."""
    traffic = Traffic(prompt=float(load.prompt.mean()), output=max(2.0, float(load.output.mean())))
    return Question(
        network=network,
        traffic=traffic,
        batches=(1.0,),
        precisions=(precision,),
        chunks=(),
        stack=choice.stack,
        scenario=asked[0],
        registry=known,
        options=asked[1],
        ignore_capacity=asked[2],
    )


def _plan(
    asked: Question,
    choice: Choice,
    system: System,
    parts: Parts,
    rules: Rules,
    reserve: float,
    limits: tuple[float, float],
) -> Plan:
    return Plan(
        asked=asked,
        choice=choice,
        system=system,
        layout=parts[0],
        copies=parts[1],
        prompts=parts[2],
        rules=rules,
        reserve=reserve,
        limits=limits,
    )


def _rules(
    choice: Choice,
    policy: str | None,
    chunk: Number | None,
    cache: tuple[Number, Number | None, bool],
    longest: float,
    told: Rules,
    known: Registry,
) -> Rules:
    """The engine's own rules, and what is asked for instead."""
    if policy is not None and policy not in POLICIES:
        remedy = f"known are {', '.join(POLICIES)}; prefill gives prompts replicas of their own"
        raise InferBenchError.of_argument("policy", f"unknown policy '{policy}'", remedy)
    block, most, reuse = cache
    rules = attrs.evolve(
        told,
        block=int(one_number(block, "block", 16.0)),
        most=math.inf if most is None else one_number(most, "max_seqs", 256.0),
        reuse=reuse,
    )
    size = None if chunk is None else one_number(chunk, "chunk", 8192.0)
    return rules_of(choice.stack, rules, policy or "", size, longest=longest, registry=known)


def _told(wait: Number | None, poll: Number, compiled: str | None) -> Rules:
    """What a server is told on its command line."""
    steps, _, share = str(wait).partition(":")
    found = Rules(poll=int(one_number(poll, "poll", 30.0)))
    if wait is not None:
        enough = _share(share, "wait", "40:0.8") if share else 1.0
        found = attrs.evolve(found, wait=int(one_number(steps, "wait", 40.0)), enough=enough)
    if compiled is not None:
        batch, sign, positions = str(compiled).partition("x")
        if not sign:
            said = f"'{compiled}' is no number of sequences and of positions"
            raise InferBenchError.of_argument("compiled", said, compiled="32x4096")
        sizes = one_number(batch, "compiled", 32.0), one_number(positions, "compiled", 4096.0)
        found = attrs.evolve(found, compiled=sizes)
    return found


def _share(number: Number, argument: str, example: str) -> float:
    text = str(number).strip()
    try:
        value = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        value = math.nan
    if not 0.0 <= value < 1.0:
        raise InferBenchError.of_argument(argument, f"'{number}' is no share below 1", **{argument: example})
    return value


def _requests(
    load: tuple[Number | None, Number | None, str | Path | None],
    count: Number | None,
    lengths: tuple[Number, Number],
    conversation: tuple[Number, str | float | None, float],
) -> tuple[Requests, str]:
    """Who asks, and how a reader writes it."""
    rate, users, trace = load
    given = [one for one in load if one is not None]
    if len(given) != 1:
        found = "no load was given" if not given else "more than one load was given"
        raise InferBenchError.of_argument(
            "rate", found, "give one of a rate (4/s), a concurrency (64) and a trace (FILE)"
        )
    most = None if count is None else int(one_number(count, "requests", 1000.0))
    if most is not None and most > MOST:
        raise InferBenchError.of_argument("requests", f"{most:,} are more than {MOST:,}", requests=1000)
    if trace is not None:
        found_requests = read_trace(trace, most)
        return found_requests, f"trace {Path(trace).name}, {len(found_requests):,} requests"
    many = most or 1000
    seed = int(conversation[2])
    drawn = Lengths.parse(lengths[0], "prompt"), Lengths.parse(lengths[1], "output")
    turns = int(one_number(conversation[0], "turns", 1.0))
    think = 0.0 if conversation[1] is None else duration(conversation[1], "think")
    said = f"prompt {drawn[0]}, output {drawn[1]}" + (f", {turns} turns" if turns > 1 else "")
    if users is not None:
        loop = int(one_number(users, "concurrency", 64.0))
        return (
            in_a_loop(loop, many, *drawn, turns=turns, think=think, seed=seed),
            f"{loop:,} users, {many:,} requests, {said}",
        )
    each = _rate(rate)
    if math.isinf(each):
        made = in_a_loop(many, many, *drawn, turns=turns, think=think, seed=seed)
        return made, f"{many:,} requests at once, {said}"
    made = at_a_rate(each, many, *drawn, turns=turns, think=think, seed=seed)
    return made, f"{each:g} requests/s, {many:,} requests, {said}"


def _rate(rate: Number | None) -> float:
    text = str(rate).strip().removesuffix("/s").strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value > 0.0:
        raise InferBenchError.of_argument("rate", f"'{rate}' is no rate above 0", rate="4/s")
    return value


def _parts(
    asked: Question, system: System, requests: Requests, prefill: str | None, decode: str | None
) -> Parts:
    """Layout and number of the replicas that decode, and of those for prompts alone."""
    if prefill is None:
        if decode is not None:
            raise InferBenchError.of_argument(
                "decode", "replicas that decode are given, and none for prompts", "give both", prefill="1xtp1"
            )
        whole = layout_for(asked, system, requests)
        return attrs.evolve(whole, dp=whole.sharing), whole.replicas, None
    if system.layout is not None:
        found = "a layout is given in the system and for its parts"
        raise InferBenchError.of_argument("prefill", found, f"write the system as {system}")
    first = _group(prefill, "prefill")
    rest = system.count - first[0] * first[1].chips
    if decode is None and rest < 1:
        raise InferBenchError.of_argument(
            "prefill", f"'{prefill}' leaves none of {system.count} chips to decode", "give fewer replicas"
        )
    if decode is None:
        whole = layout_for(asked, System(system.chip, rest), requests)
        return attrs.evolve(whole, dp=whole.sharing), whole.replicas, first
    second = _group(decode, "decode")
    if second[0] * second[1].chips > rest:
        taken = first[0] * first[1].chips + second[0] * second[1].chips
        said = f"{prefill} and {decode} take {taken} chips, the system has {system.count}"
        raise InferBenchError.of_argument("decode", said, "give fewer replicas")
    return second[1], second[0], first


def _group(text: str, argument: str) -> tuple[int, Layout]:
    """Read `2xtp4`."""
    count, sign, layout = text.strip().partition("x")
    if not sign or not count.isdigit() or int(count) < 1:
        found = f"'{text}' is no number of replicas with a layout"
        raise InferBenchError.of_argument(argument, found, **{argument: "2xtp2"})
    return int(count), Layout.parse(layout, argument)
