"""A system under requests: which replicas it has, replays with their intervals, what it sustains at most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.model.evaluate import evaluate
from inferbench.model.intervals import INTERVAL
from inferbench.records.choice import BOUND, CALIBRATED, GRADES, TRANSFERRED, Choice
from inferbench.records.grid import Grid
from inferbench.records.run import Run
from inferbench.records.system import Layout, System
from inferbench.serving.engine import Engine, Rules
from inferbench.serving.errors import scheduler_error
from inferbench.serving.log import Log
from inferbench.serving.outcome import Outcome, outcome
from inferbench.serving.replay import Watch, replay, replay_disaggregated
from inferbench.serving.replica import Question, cache_bytes
from inferbench.serving.replicas import per_byte, steps_of
from inferbench.serving.requests import Requests
from inferbench.serving.tabulated import Span, StepTable

__all__ = ["Plan", "Simulated", "layout_for", "simulate", "span_of", "times_of", "waited"]

WIDEST = 512.0
BEYOND = 1.02
# Requests below which a middle half says nothing of what a system sustains; how many times what its caches
# hold are asked to see it, and how many requests that may be.
ENOUGH, WAVES, MOST_AT_ONCE = 40, 4.0, 8000.0


@attrs.frozen(eq=False, kw_only=True)
class Plan:
    """What is replayed on what.

    Attributes:
        asked: Network, software, precision, options.
        choice: The software, and why this one.
        system: All chips.
        layout: Of a replica that decodes.
        copies: Such replicas.
        prompts: Replicas for prompts alone and their layout; None: all replicas process both.
        rules: Of the scheduler.
        reserve: Share kept free of the memory that the weights leave.
        limits: Longest time per token and to the first token, seconds.
    """

    asked: Question
    choice: Choice
    system: System
    layout: Layout
    copies: int
    prompts: tuple[int, Layout] | None = None
    rules: Rules = attrs.field(factory=Rules)
    reserve: float = 0.1
    limits: tuple[float, float] = (math.inf, math.inf)

    @property
    def how(self) -> str:
        """Policy and layout, as a reader writes it."""
        mine = f"{self.copies}×{self.layout}"
        if self.prompts is not None:
            return f"disaggregated {self.prompts[0]}×{self.prompts[1]} + {mine}"
        size = f" {self.rules.chunk:,.0f}" if self.rules.policy == "chunked" else ""
        batch, positions = self.rules.compiled
        size += f" compiled {batch:,.0f}×{positions:,.0f}" if batch else ""
        return f"{self.rules.policy}{size} {mine}"


@attrs.frozen(eq=False, kw_only=True)
class Simulated:
    """A replay, and the same with steps at the ends of their interval.

    Attributes:
        plan: What was replayed on what.
        requests: Who asked.
        found: Figures under the expected durations.
        fast, slow: Under the shortest and the longest of nine in ten; None under a bound, or where nobody
            asked.
        errors: Log standard errors of the mean step and of prompts.
        capacity: Requests per second that the system sustains; NaN of a closed loop, and where nobody asked.
        grade: Place in `GRADES`.
        room: Positions that the caches hold; `fit` requests of mean length at once.
        run: Decode steps as evaluated, for cost and notes.
    """

    plan: Plan
    requests: Requests
    found: Outcome
    fast: Outcome | None
    slow: Outcome | None
    errors: tuple[float, float]
    capacity: float
    grade: int
    room: float
    fit: float
    run: Run

    @property
    def name(self) -> str:
        """Grade as a word."""
        return GRADES[self.grade]

    @property
    def wall_watts(self) -> float:
        """Mean watts of the system at the wall, servers included; NaN where power, or the server, is not
        known.
        """
        return float(self.plan.system.wall(self.found.watts, self.run.energy.limit))

    def interval(self, time: str, statistic: str) -> tuple[float, float]:
        """Ends of the 90% interval of a time; NaN under a bound."""
        middle, more = self.found.times[time][statistic], scheduler_error(time, self.plan.asked.stack)
        if time == "ttft_s":  # the ends are those of the mean step
            more = math.hypot(more, math.sqrt(max(self.errors[1] ** 2 - self.errors[0] ** 2, 0.0)))
        if self.fast is None or self.slow is None:
            return math.nan, math.nan
        ends = [one.times[time][statistic] for one in (self.fast, self.slow)]
        return self._joined(middle, ends[0], ends[1], more)

    def between(self, figure: str) -> tuple[float, float]:
        """Ends of the 90% interval of a figure of the whole system (`tokens_per_s`, `watts`, `good`)."""
        if self.fast is None or self.slow is None:
            return math.nan, math.nan
        middle, ends = getattr(self.found, figure), [getattr(one, figure) for one in (self.slow, self.fast)]
        if figure == "good":
            return min(ends), max(ends)
        more = 0.0 if figure == "watts" else scheduler_error("rate", self.plan.asked.stack)
        low, high = self._joined(middle, min(ends), max(ends), more)
        if figure == "watts":
            wide = INTERVAL * float(np.nanmean(np.asarray(self.run.power_log_error)))
            most = self.run.energy.limit * self.plan.system.count
            high = middle * math.exp(wide)
            return middle * math.exp(-wide), high if math.isnan(most) else min(high, max(most, middle))
        return low, high

    def chance(self) -> float:
        """Probability that mean time per token and mean time to the first token are within the limits."""
        found = [
            _below(self.found.times[name]["mean"], self.interval(name, "mean"), limit)
            for name, limit in zip(("tpot_s", "ttft_s"), self.plan.limits, strict=True)
            if math.isfinite(limit)
        ]
        return min(found, default=math.nan)

    @staticmethod
    def _joined(middle: float, low: float, high: float, more: float) -> tuple[float, float]:
        """The ends with a further log standard error, in quadrature."""
        if not middle > 0:
            return low, high
        down, up = (abs(math.log(max(one, 1e-300) / middle)) for one in (low, high))
        wide = INTERVAL * more
        return middle * math.exp(-math.hypot(down, wide)), middle * math.exp(math.hypot(up, wide))


def _below(middle: float, ends: tuple[float, float], limit: float) -> float:
    """Probability of a figure to be at most a limit, its logarithm normal on either side of the middle."""
    if math.isnan(ends[0]):
        return math.nan
    end = ends[1] if limit > middle else ends[0]
    error = abs(math.log(end / middle)) / INTERVAL
    if error == 0.0:
        return float(middle <= limit)
    return 0.5 * math.erfc(-math.log(limit / middle) / error / math.sqrt(2.0))


def span_of(requests: Requests, rules: Rules) -> Span:
    """What requests reach, for the tables of steps."""
    whole = requests.prompt + requests.output
    longest = float(requests.prompt.max())
    tokens = longest if rules.policy == "interleaved" else rules.chunk
    batch, positions = rules.compiled
    return Span(
        batch=max(float(min(requests.users or WIDEST, rules.most, len(requests), 4096)), batch),
        context=max(float(whole.max()) + 1.0, positions),
        tokens=max(min(tokens, float(requests.prompt.sum())), positions, 1.0),
        mean=float(requests.prompt.mean() + 0.5 * requests.output.mean()),
    )


def layout_for(asked: Question, system: System, requests: Requests) -> Layout:
    """The layout of a system that names none: that of the shortest decode step at the load.

    The load is the number of users; of an open loop the fewest sequences in powers of two whose steps yield a
    third more than is asked for.

    Raises:
        InferBenchError: No layout holds one request.
    """
    if system.layout is not None or system.count == 1:
        return system.layout or Layout()
    loads = [float(requests.users)] if requests.users else (2.0 ** np.arange(10)).tolist()
    context = float(requests.prompt.mean() + 0.5 * requests.output.mean())
    run = evaluate(
        asked.case(system, "token"), Grid.of({"batch": loads, "context": [context]}, asked.precisions)
    )
    fine = run.values(run.feasible)[:, 0, 0]
    chosen = run.values(run.layout)[:, 0, 0]
    if not fine[0] and not fine.any():
        raise InferBenchError.at(
            str(system), "no layout holds the network and one request", "take more chips"
        )
    rates = np.asarray(loads) / (requests.output.mean() * run.values(run.seconds)[:, 0, 0])
    wanted = 4.0 / 3.0 * requests.rate if math.isfinite(requests.rate) else np.inf
    good = np.flatnonzero(fine & (rates >= wanted))
    place = int(good[0]) if len(good) else int(np.flatnonzero(fine)[-1])
    return run.layouts[int(chosen[place])]


def simulate(
    plan: Plan, requests: Requests, watch: Watch | None = None, intervals: bool = True, sustained: bool = True
) -> Simulated:
    """Replay requests on a system.

    Args:
        plan: The system and how it schedules.
        requests: Who asks.
        watch: Called with the requests that are done, and all.
        intervals, sustained: Whether to replay the shortest and longest steps too, and what is sustained.

    Raises:
        InferBenchError: Requests longer than the cache; a rate above what the system sustains (says how much
            that is); a layout that an operator refuses.
    """
    tables = _tables(plan, requests)
    decoding = tables[1] or tables[0]
    _check(plan, requests, decoding[0])
    found, engines = _once(plan, requests, tables, watch)
    capacity = math.nan
    if sustained and not requests.users and math.isfinite(requests.rate):
        capacity = _capacity(plan, requests, tables)
        if requests.drawn and requests.rate > BEYOND * capacity:
            raise _too_fast(plan, requests, capacity)
    table = decoding[0]
    errors = table.error(max(found.batch, 1.0), found.share)
    fast = slow = None
    if intervals and math.isfinite(errors[0]):
        fast, slow = (
            _scaled(plan, requests, tables, math.exp(sign * INTERVAL * errors[0])) for sign in (-1.0, 1.0)
        )
    return Simulated(
        plan=plan,
        requests=requests,
        found=found,
        fast=fast,
        slow=slow,
        errors=errors,
        capacity=capacity,
        grade=_grade(plan, engines),
        room=sum(one.room for one in decoding),
        fit=_fit(requests, tables),
        run=table.run,
    )


Tables = tuple[list[StepTable], list[StepTable]]


def times_of(plan: Plan, requests: Requests) -> Mapping[str, Mapping[str, float]]:
    """Times of one replay, without intervals: name to statistic to seconds.

    Raises:
        InferBenchError: As `simulate`.
    """
    return _once(plan, requests, _tables(plan, requests))[0].times


def waited(plan: Plan, requests: Requests, longer: float) -> tuple[Outcome, float, float]:
    """Replay, and see how many steps a token waits for: by how much its mean time grows where every step, and
    where those alone that process prompts, are a little longer.

    Args:
        plan: What is replayed on what.
        requests: Who asks.
        longer: By which share of a token's time steps are made longer.

    Returns:
        The outcome, steps per token, and how many of them process prompts.

    Raises:
        InferBenchError: As `simulate`.
    """
    tables = _tables(plan, requests)
    _check(plan, requests, (tables[1] or tables[0])[0])
    first = _once(plan, requests, tables)[0]
    time = first.times["tpot_s"]["mean"]
    delay = longer * time
    grown = []
    for prompts in (False, True):
        slower = tuple([one.later(delay, prompts) for one in group] for group in tables)
        found = _once(plan, requests, (slower[0], slower[1]))[0]
        grown.append((found.times["tpot_s"]["mean"] - time) / delay)
    return first, grown[0], max(grown[1], 0.0)


def _tables(plan: Plan, requests: Requests) -> Tables:
    """Tables of replicas for prompts and of those for tokens; where all do both the second is empty."""
    chip, span = plan.system.chip, span_of(requests, plan.rules)

    def table(layout: Layout) -> StepTable:
        found = steps_of(plan.asked, chip, layout, span, plan.reserve)
        return attrs.evolve(found, least=plan.rules.compiled)

    one = table(plan.layout)
    if plan.prompts is None:
        return [one] * plan.copies, []
    count, layout = plan.prompts
    other = one if layout == plan.layout else table(layout)
    return [other] * count, [one] * plan.copies


def _check(plan: Plan, requests: Requests, table: StepTable) -> None:
    longest = requests.prompt + requests.output
    worst = int(np.argmax(longest))
    block = plan.rules.block
    compiled = plan.rules.compiled[1]
    if compiled and longest[worst] > compiled:
        raise InferBenchError.of_argument(
            "compiled",
            f"request {worst + 1} has {longest[worst]:,.0f} tokens; {compiled:,.0f} are compiled",
            "compile longer sequences, or ask for shorter ones",
        )
    if -(-longest[worst] // block) > table.room / block:
        raise InferBenchError.at(
            f"{plan.system}:{table.layout}",
            f"request {worst + 1} has {longest[worst]:,.0f} tokens; the cache of a replica holds"
            f" {table.room:,.0f}",
            "take more chips or a layout with more of them, a narrower cache, or shorter requests",
        )


def _once(
    plan: Plan, requests: Requests, tables: Tables, watch: Watch | None = None
) -> tuple[Outcome, Sequence[Engine]]:
    log, engines = _replayed(plan, requests, tables, watch)
    return outcome(log, engines, plan.limits), engines


def _replayed(
    plan: Plan, requests: Requests, tables: Tables, watch: Watch | None = None
) -> tuple[Log, Sequence[Engine]]:
    if plan.prompts is None:
        return replay(requests, tables[0], plan.rules, watch)
    rules = attrs.evolve(plan.rules, policy="prompts"), attrs.evolve(plan.rules, policy="tokens")
    chips = min(plan.layout.chips, plan.prompts[1].chips)
    moved = cache_bytes(plan.asked, plan.asked.case(System(plan.system.chip), "token"))
    each = float(np.ravel(moved)[0]) / plan.asked.traffic.prompt
    return replay_disaggregated(requests, *tables, rules, each * per_byte(plan.system, chips), watch)


def _capacity(plan: Plan, requests: Requests, tables: Tables) -> float:
    """Requests per second while there is always somebody waiting: the middle half of all asked at once, as
    often one after the other as they are held several times. Where that is too many, or endless, the mean.
    """
    if len(requests) < ENOUGH:
        return math.nan
    held = min(_fit(requests, tables), plan.rules.most * len(tables[1] or tables[0]))
    times = math.ceil(min(WAVES * held, MOST_AT_ONCE) / len(requests))
    many = requests.at_once().repeated(times)
    log, _ = _replayed(plan, many, tables)
    done = np.sort(np.array(log.done))
    if len(done) < 0.5 * WAVES * held:  # all of them may be held at once
        return len(done) / float(done[-1])
    low, high = len(done) // 4, 3 * len(done) // 4
    return (high - low) / max(float(done[high] - done[low]), 1e-300)


def _fit(requests: Requests, tables: Tables) -> float:
    """Requests of mean length that the caches hold at once."""
    return sum(one.room for one in tables[1] or tables[0]) / float((requests.prompt + requests.output).mean())


def _too_fast(plan: Plan, requests: Requests, capacity: float) -> InferBenchError:
    return InferBenchError.of_argument(
        "rate",
        f"the requests come at {requests.rate:.3g}/s, and {plan.system} sustains {capacity:.3g}/s of these"
        f" lengths ({plan.how})",
        "give a lower rate, more chips, or {give} to load it fully",
        concurrency=64,
    )


def _scaled(plan: Plan, requests: Requests, tables: Tables, factor: float) -> Outcome:
    """The outcome with every step so many times as long."""
    slower = tuple([attrs.evolve(one, scale=factor) for one in group] for group in tables)
    return _once(plan, requests, (slower[0], slower[1]))[0]


def _grade(plan: Plan, engines: Sequence[Engine]) -> int:
    """What the figures rest on: that of the stack, and `transferred` outside its box."""
    best = GRADES.index(plan.choice.grade)
    if best == BOUND:
        return BOUND
    strange = any(one.table.leaves_the_box(max(one.weighted / max(one.busy, 1e-300), 1.0)) for one in engines)
    return TRANSFERRED if best == CALIBRATED and strange else best
