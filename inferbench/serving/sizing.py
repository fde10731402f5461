"""The inverse question: given a limit on the latency and a number of users, how many chips, in which layout,
at what cost.

Every tensor-parallel degree in powers of two, pipelines from the shallowest that holds the network on,
and as many copies as the users need. The batch of a copy is the largest with which it stays within the
limit, so that the number of copies is the smallest for its layout.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.model import partition
from inferbench.model.capacity import fits
from inferbench.model.case import Case, prepare
from inferbench.model.chances import normal
from inferbench.model.evaluate import evaluate
from inferbench.model.expected import Estimate
from inferbench.model.intervals import bounds
from inferbench.num import Array
from inferbench.records.chip import Chip
from inferbench.records.grid import Grid
from inferbench.records.network import Network
from inferbench.records.run import Run
from inferbench.records.scenario import HourlyCost, Scenario, Term
from inferbench.records.stack import Stack
from inferbench.records.system import MOST_CHIPS, Layout, System
from inferbench.units import show

__all__ = ["Demand", "Option", "Sized", "batches", "size", "worth_trying"]

WORTH = 2.0
COSTED = 40


@attrs.frozen(eq=False, kw_only=True)
class Demand:
    """What must be met.

    Attributes:
        network, phase: The work.
        users: Sequences at once, over all copies.
        limit: Longest step, seconds: a token in decode, a prompt in prefill.
        first: Longest time to the first token, seconds: one prompt alone on a copy; infinity for no limit.
        axes: Other axes of the phase, one value each (`context`).
        precision: Name.
    """

    network: Network
    phase: str
    users: int
    limit: float
    first: float
    axes: Mapping[str, float]
    precision: str
    stack: Stack
    scenario: Scenario | None
    registry: Registry
    options: Mapping[str, Any] = attrs.field(factory=dict)
    ignore_capacity: bool = False
    reserve: str | float | None = None

    def case(self, system: System, phase: str | None = None) -> Case:
        """Look up what a run needs."""
        return prepare(
            system,
            self.network,
            phase or self.phase,
            stack=self.stack,
            registry=self.registry,
            options=self.options,
            scenario=self.scenario,
            ignore_capacity=self.ignore_capacity,
            reserve=self.reserve,
        )

    def grid(self, batch: Sequence[float] | Array) -> Grid:
        """The demand's point at some batches."""
        return Grid.of(
            {"batch": batch, **{name: [value] for name, value in self.axes.items()}}, [self.precision]
        )


@attrs.frozen
class Totals:
    """What a whole system yields and takes; NaN where not known.

    Attributes:
        items_per_s: Tokens or other items per second, all users together.
        power_w: Mean watts of all chips while they work.
        usd_per_hour, usd_per_hour_cloud: Owned, and rented on demand.
    """

    items_per_s: float
    power_w: float
    usd_per_hour: float
    usd_per_hour_cloud: float


@attrs.frozen(eq=False)
class Option:
    """One way to meet a demand.

    Attributes:
        system: Chips and layout, copies included.
        users: Sequences of all copies.
        batch: Sequences of the fullest copy.
        run: Of that copy, alone: copies share nothing.
        first: Seconds to the first token of a prompt alone; NaN where no limit was given.
        dollars: Per hour: owned, rented; NaN where not known.
    """

    system: System
    users: int
    batch: float
    run: Run
    first: float
    dollars: tuple[float, float]

    @property
    def seconds(self) -> float:
        """Duration of a step."""
        return float(np.squeeze(self.run.values(self.run.seconds)))

    @property
    def log_error(self) -> float:
        """Log standard error of that duration; NaN under software without an interval."""
        return float(np.squeeze(self.run.values(self.run.log_error)))

    @property
    def duration(self) -> Estimate:
        """Seconds of a step with their interval, which ends at the bound."""
        least = float(np.squeeze(self.run.values(self.run.bound_seconds)))
        return self._between(self.seconds, "time", least if least <= self.seconds else math.nan)

    @property
    def throughput(self) -> Estimate:
        """Items per second of all users with their interval, which ends where that of a step does."""
        step, value = self.duration, self.rate
        ends = (value * step.value / end for end in (step.high, step.low, step.limit))
        return Estimate(value, *ends)

    @property
    def power(self) -> Estimate:
        """Watts of all chips with their interval, which ends at their power limit."""
        return self._between(self.watts, "power", self.run.system.chip.power.tdp * self.system.count)

    def _between(self, value: float, of: str, limit: float) -> Estimate:
        low, high = (float(np.squeeze(end)) for end in bounds(self.run, of))
        return Estimate(value, value * low, value * high, limit)

    @property
    def grade(self) -> int:
        """What the duration rests on: a place in `GRADES`."""
        return int(np.squeeze(self.run.grade))

    def meets(self, limit: float) -> float:
        """Probability that a step is within a limit, seconds; NaN under software without an interval."""
        if not self.log_error > 0:
            return math.nan
        return float(normal(math.log(limit / self.seconds) / self.log_error))

    @property
    def watts(self) -> float:
        """Mean power of all chips while they work."""
        copies = self.system.count // self.run.system.count
        return copies * float(np.squeeze(self.run.values(self.run.energy.watts)))

    @property
    def rate(self) -> float:
        """Items (tokens, images) per second, all users together."""
        each = float(np.squeeze(self.run.values(self.run.items))) / self.batch
        return self.users * each / self.seconds

    @property
    def totals(self) -> Totals:
        """Rate, power and prices of the whole system."""
        return Totals(self.rate, self.watts, *self.dollars)

    @property
    def price(self) -> tuple[bool, float, int]:
        """What the cheapest is chosen by: ownership, where not known rental, where not known the chips."""
        own, rented = self.dollars
        known = own if np.isfinite(own) else rented
        return (not np.isfinite(known), known if np.isfinite(known) else 0.0, self.system.count)


@attrs.frozen(eq=False)
class Sized:
    """The answer for one chip under its stack: fewest chips and cheapest way, or why there is none; `notes`
    say what its numbers are of, where that is its own.
    """

    chip: Chip
    stack: str
    fewest: Option | None
    cheapest: Option | None
    reason: str | None = None
    notes: tuple[str, ...] = ()


def batches(users: int) -> Array:
    """Every batch that differs in the copies it needs: the smallest that serves `users` with 1, 2, 3, … of
    them.

    Example:
        10 users: 10 in one copy, 5 in two, 4 in three, 3 in four, 2 in five, 1 in ten.

        >>> batches(10).tolist()
        [1.0, 2.0, 3.0, 4.0, 5.0, 10.0]
    """
    root = int(np.sqrt(users)) + 1
    few = np.arange(1, root + 1)
    return np.unique(np.concatenate([few[few <= users], -(-users // few)])).astype(np.float64)


def size(demand: Demand, chip: Chip) -> Sized:
    """Find the fewest chips of one kind, and the cheapest layout, that meet a demand.

    Raises:
        InferBenchError: Unknown phase or option, a stack that doesn't apply.
    """
    case = demand.case(System(chip))
    found: list[tuple[Layout, float]] = []
    slowest: list[tuple[float, Layout]] = []
    refusals: list[str] = []
    fewest = np.inf
    for layout in worth_trying(case, demand.grid([1.0])):
        if layout.chips > WORTH * fewest:
            continue
        try:
            batch, least = _largest(demand, chip, layout)
        except InferBenchError as error:
            refusals.append(str(error).splitlines()[0])
            continue
        if batch is not None:
            copies = -(-demand.users // int(batch))
            if copies * layout.chips > MOST_CHIPS:
                refusals.append(f"more than {MOST_CHIPS:,} chips would be needed")
            else:
                found.append((attrs.evolve(layout, dp=copies * layout.dp), batch))
                fewest = min(fewest, found[-1][0].chips)
        else:
            slowest.append((least, layout))
    if not found:
        return Sized(chip, demand.stack.name, None, None, _why(demand, case, slowest, refusals))
    found.sort(key=lambda one: one[0].chips)
    options = [
        _option(demand, chip, layout) for layout, _ in found[:COSTED] if layout.chips <= WORTH * fewest
    ]
    least_chips = min(options, key=lambda one: (one.system.count, one.price))
    cheapest = min(options, key=lambda one: one.price)
    return Sized(chip, demand.stack.name, least_chips, cheapest)


def worth_trying(case: Case, one: Grid) -> Iterator[Layout]:
    """Copies worth trying, few chips first: per degree the shallowest pipeline that holds it, and deeper
    ones.

    Args:
        case: Of any number of chips.
        one: A point with one sequence.
    """
    whole = case.graph(one.at)
    experts = any("experts" in op.split for op in whole)
    found: set[Layout] = set()
    tp = 1
    while tp <= partition.widest_tp(whole):
        for ep in (1, tp) if experts else (1,):
            depth = _shallowest(case, one, Layout(tp=tp, ep=ep))
            if depth is not None:
                found |= {Layout(tp=tp, pp=pp, ep=ep) for pp in _depths(case.layers, depth)}
        if experts:
            found |= set(_sharing(case, one, tp))
        tp *= 2
    yield from sorted(found, key=lambda layout: (layout.chips, layout.pp, layout.ep))


def _sharing(case: Case, one: Grid, tp: int) -> Iterator[Layout]:
    """Ranks that share experts, in powers of two, from the fewest that hold one sequence on."""
    for ranks in (2, 4, 8, 16, 32, 64):
        layout = Layout(tp=tp, dp=ranks, ep=tp * ranks)
        if _holds(case, one, layout):
            yield layout


def _depths(layers: int, least: int) -> set[int]:
    """Depths from `least` on at which the fullest stage gets lighter: k layers each, ends alone or among
    them.
    """
    even = {-(-layers // k) for k in range(1, layers + 1)}
    return {least, *(depth for depth in even | {depth + 2 for depth in even} if depth > least)}


def _holds(case: Case, one: Grid, layout: Layout) -> bool:
    """Whether a layout that no operator refuses holds one sequence."""
    if case.ignore_capacity:
        return True
    try:
        system = attrs.evolve(case.system, count=layout.chips, layout=layout)
        return bool(fits(attrs.evolve(case, system=system), one, layout).all())
    except InferBenchError:
        return False


def _shallowest(case: Case, one: Grid, layout: Layout) -> int | None:
    """Fewest stages that hold one sequence, by bisection between the powers of two."""

    def holds(depth: int) -> bool:
        return _holds(case, one, attrs.evolve(layout, pp=depth))

    low, high, deepest = 0, 1, case.layers + 2
    while not holds(high):
        if high == deepest:
            return None
        low, high = high, min(2 * high, deepest)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _largest(demand: Demand, chip: Chip, layout: Layout) -> tuple[float | None, float]:
    """Largest batch within the limit, if any, and the shortest step of those that fit (infinite where
    none fits).
    """
    system = System(chip, layout.chips, layout)
    tried = batches(demand.users)
    run = evaluate(demand.case(system), demand.grid(tried), [layout])
    seconds = np.asarray(run.values(run.seconds)).reshape(-1)
    fine = np.asarray(run.values(run.feasible)).reshape(-1)
    good = fine & (seconds <= demand.limit)
    if good.any() and np.isfinite(demand.first) and _first(demand, chip, layout) > demand.first:
        good[:] = False
    known = seconds[fine & np.isfinite(seconds)]
    if fine.any() and not known.size:
        lacking = [name for name, level in chip.memory.items() if np.isnan(level.bandwidth)]
        raise InferBenchError.at(
            chip.name, f"a step's time is not known: the spec lacks {', '.join(lacking) or 'a figure'}"
        )
    least = float(known.min()) if known.size else np.inf
    return (float(tried[good].max()) if good.any() else None), least


def _first(demand: Demand, chip: Chip, layout: Layout) -> float:
    """Seconds to process one prompt of the demand's context, alone on a copy."""
    reads = demand.registry.workload(demand.network.type).of_role("prompt")
    assert reads is not None
    case = demand.case(System(chip, layout.chips, layout), reads.name)
    grid = Grid.of({"batch": [1.0], "context": [demand.axes.get("context", 2048.0)]}, [demand.precision])
    run = evaluate(case, grid, [layout])
    return float(np.squeeze(run.values(run.seconds)))


def _option(demand: Demand, chip: Chip, layout: Layout) -> Option:
    batch = float(np.ceil(demand.users / layout.replicas))
    copy = attrs.evolve(layout, dp=layout.sharing)
    alone = System(chip, copy.chips, copy)
    run = evaluate(demand.case(alone), demand.grid([batch]), [copy])
    system = System(chip, layout.chips, layout)
    watts = layout.replicas * run.energy.watts
    cost = HourlyCost.under(demand.scenario, system, watts, run.energy.limit)
    dollars = [float(np.squeeze(run.values(cost.of(term)))) for term in (Term.PURCHASE, Term.ON_DEMAND)]
    first = _first(demand, chip, copy) if np.isfinite(demand.first) else np.nan
    return Option(system, demand.users, batch, run, first, (dollars[0], dollars[1]))


def _why(demand: Demand, case: Case, slowest: Sequence[tuple[float, Layout]], refusals: Sequence[str]) -> str:
    """Why no layout meets the demand."""
    timed = [(seconds, layout) for seconds, layout in slowest if np.isfinite(seconds)]
    if timed and not refusals:
        least, layout = min(timed, key=lambda one: one[0])
        if least <= demand.limit:
            return f"no layout processes the prompt within {show(demand.first, 's')}"
        return (
            f"the shortest step of any layout is {show(least, 's')}, in {layout}; {show(demand.limit, 's')}"
            " was asked for"
        )
    if slowest and not refusals:
        return f"it can't compute {demand.precision}, or a step's working memory fits in no layout"
    if refusals:
        return refusals[0]
    has = show(case.room.capacity, "B")
    return (
        f"a chip holds {has}: too little even with one layer per pipeline stage and every head on a chip of"
        " its own"
    )
