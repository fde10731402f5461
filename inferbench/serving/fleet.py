"""How many chips serve a load within limits, prompts counted: a frontier's inverse.

Of every replica worth trying so many copies are taken as carry the load within the limits. Below the fewest
chips that this needs, frontiers are asked, whose prompts may have replicas of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.model.case import Case
from inferbench.num import Array, Mask
from inferbench.records.chip import Chip
from inferbench.records.grid import Grid
from inferbench.records.run import Run
from inferbench.records.scenario import HourlyCost, Term
from inferbench.records.system import MOST_CHIPS, Layout, System
from inferbench.serving.frontier import Frontier, points_of
from inferbench.serving.points import ABOUT, Points
from inferbench.serving.replica import Question, Replica, decoding, whole_replica
from inferbench.serving.replicas import layouts_of, services
from inferbench.serving.simulate import Simulated
from inferbench.serving.sizing import worth_trying
from inferbench.serving.slo import simulated, within
from inferbench.serving.steady_state import Service
from inferbench.units import show

__all__ = ["Fleet", "Need", "Way", "fleet"]

# Chips beyond which copies are counted instead of trying wider layouts, once some layout serves.
POD = 16
# Numbers of chips that are tried below the first that serves, and points replayed of each.
STEPS, TRIES = 12, 6
WORTH = 2.0
# Layouts that are costed together.
BLOCK = 80
# Times the number that should serve, tried one after the other where a replay of it does not.
MORE = (1.25, 1.5, 2.0, 3.0, 4.0)


@attrs.frozen(kw_only=True)
class Need:
    """What must be met.

    Attributes:
        users: Requests at once, each user asking again as soon as its answer ends; NaN where a rate is given.
        rate: Requests per second at random; NaN where users are given.
        tpot, ttft: Longest mean time per token and to the first token, seconds; infinity for none.
    """

    users: float = math.nan
    rate: float = math.nan
    tpot: float = math.inf
    ttft: float = math.inf

    @property
    def column(self) -> str:
        """What a frontier calls the load."""
        return "requests_per_s" if math.isnan(self.users) else "users"

    @property
    def load(self) -> float:
        """How much of it."""
        return self.rate if math.isnan(self.users) else self.users


@attrs.frozen(eq=False)
class Way:
    """One way to meet a need.

    Attributes:
        system: The chips.
        point: Of their frontier: column to value.
        replayed: The load on it, with intervals.
    """

    system: System
    point: Mapping[str, Any]
    replayed: Simulated

    @property
    def price(self) -> tuple[bool, float, int]:
        """What the cheapest is chosen by: ownership, where not known rental, where not known the chips."""
        own, rented = (
            float(self.point[ABOUT.usd_per_hour.name]),
            float(self.point[ABOUT.usd_per_hour_cloud.name]),
        )
        known = own if math.isfinite(own) else rented
        return (not math.isfinite(known), known if math.isfinite(known) else 0.0, self.system.count)


@attrs.frozen(eq=False)
class Fleet:
    """The answer for one chip under its stack: fewest chips and cheapest way, or why there is none; `notes`
    say what its numbers are of, where that is its own.
    """

    chip: Chip
    fewest: Way | None
    cheapest: Way | None
    reason: str = ""
    stack: str = ""
    notes: tuple[str, ...] = ()


def fleet(
    asked: Question, chip: Chip, need: Need, watch: Callable[[float], None] = lambda share: None
) -> Fleet:
    """Find the fewest chips of one kind, and the cheapest way, that serve a load within limits.

    Args:
        asked: Network, traffic, software; loads of a replica to try.
        chip: The kind.
        need: Load and limits.
        watch: Called with the share of the search that is done, 0 to 1, as far as that is known.

    Raises:
        InferBenchError: Unknown names, a stack that doesn't apply.
    """
    search = _Search(attrs.evolve(asked, longest=need.tpot), chip, need)
    first = search.first(lambda share: watch(0.5 * share))
    if first is None:
        return Fleet(chip, None, None, search.why(), asked.stack.name)
    ways: list[Way] = []
    tried = list(_below(first))
    search.beside(tried)
    for i, count in enumerate(tried):
        watch(0.5 + 0.5 * i / len(tried))
        if not any(search.dearer(count, way) for way in ways) and (way := search.at(count)) is not None:
            ways.append(way)
    if not ways:  # a replay is slower than the closed formulas that say where to look: more chips may do
        ways = list(islice((way for way in map(search.at, _above(first)) if way is not None), 1))
    if not ways:
        return Fleet(chip, None, None, search.why(), asked.stack.name)
    fewest = min(ways, key=lambda way: (way.system.count, way.price))
    worth = [way for way in ways if way.system.count <= WORTH * fewest.system.count]
    return Fleet(chip, fewest, min(worth, key=lambda way: way.price), stack=asked.stack.name)


def _below(first: int) -> Iterable[int]:
    """Numbers of chips to try: up to the first that serves, and it."""
    if first <= STEPS:
        return range(1, first + 1)
    steps = np.unique(np.round(np.linspace(0.5 * first, first, STEPS)).astype(int)).tolist()
    return sorted({*steps, first})


def _above(first: int) -> Iterable[int]:
    """More chips than the first number that should serve, where it does not."""
    return sorted({min(math.ceil(factor * first), MOST_CHIPS) for factor in MORE} - {first})


@attrs.frozen(eq=False)
class _Slow:
    """A replica of which the decode steps alone are known."""

    case: Case
    decode: Run

    @property
    def least(self) -> float:
        """Seconds of the shortest step that fits."""
        run = self.decode
        return float(np.min(np.where(run.values(run.feasible), run.values(run.seconds), math.inf)))


@attrs.frozen(eq=False)
class _Alone:
    """Points of one replica by itself that are possible: every policy and load."""

    tpot_s: Array
    ttft_s: Array
    users: Array
    requests_per_s: Array

    @classmethod
    def of(cls, asked: Question, system: System, one: Replica) -> _Alone:
        """Of a system that has the chips of one replica."""
        shape = len(asked.batches), len(asked.precisions)
        found: list[list[Array]] = []
        for served, _, room, _ in services(asked, system, one):
            fine = np.broadcast_to(np.asarray(served.sustained) & room[0] & room[1], shape)
            columns = served.tpot, served.ttft, served.users, served.rate
            found.append([np.broadcast_to(np.asarray(column), shape)[fine] for column in columns])
        return cls(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def most(self, need: Need) -> float:
        """The largest load within the limits."""
        within = (self.tpot_s <= need.tpot) & (self.ttft_s <= need.ttft)
        return float(np.max(np.where(within, getattr(self, need.column), 0.0), initial=0.0))


class _Search:
    """Frontiers of one chip by their number; replicas are evaluated once."""

    def __init__(self, asked: Question, chip: Chip, need: Need) -> None:
        self.asked, self.chip, self.need = asked, chip, need
        self.replicas: dict[Layout, Replica | _Slow | None] = {}
        self.layouts: dict[int, list[Layout]] = {}
        self.found: dict[int, Frontier] = {}
        self.alone: list[_Alone] = []
        self.refused = ""

    def first(self, watch: Callable[[float], None]) -> int | None:
        """A number of chips that serves: copies of the replica that needs the fewest."""
        case = self.asked.case(System(self.chip), "token")
        grid = Grid.of({"batch": [1.0], "context": [self.asked.traffic.context]}, self.asked.precisions)
        best = math.inf
        layouts = list(worth_trying(case, grid))
        for i, layout in enumerate(layouts):
            watch(i / len(layouts))
            if layout.chips > best:
                break
            if i % BLOCK == 0:
                self.asked = attrs.evolve(self.asked, beside=tuple(layouts[i : i + BLOCK]))
            if self._slow(layout) or (one := self._replica(layout)) is None:
                continue
            most = self._alone(one).most(self.need)
            if most > 0.0:
                best = min(best, math.ceil(self.need.load / most * (1.0 - 1e-9)) * layout.chips)
        return int(best) if best <= MOST_CHIPS else None

    def _points(self, count: int) -> Frontier:
        if count not in self.found:
            system = System(self.chip, count)
            self.found[count] = points_of(self.asked, system, self._made(count), worth=self._serves)
        return self.found[count]

    def _made(self, count: int) -> list[Replica]:
        """Replicas of a system."""
        return [one for layout in self._layouts(count) if (one := self._replica(layout)) is not None]

    def beside(self, counts: Iterable[int]) -> None:
        """Let replicas be costed together that systems of so many chips are cut into."""
        new = dict.fromkeys(one for count in counts if count <= POD for one in self._layouts(count))
        wanted = tuple(one for one in new if not isinstance(self.replicas.get(one), Replica))
        self.asked = attrs.evolve(self.asked, beside=wanted)

    def _layouts(self, count: int) -> list[Layout]:
        """Layouts of the replicas of a system."""
        if count not in self.layouts:
            self.layouts[count] = layouts_of(self.asked, System(self.chip, count))[0]
        return self.layouts[count]

    def _alone(self, one: Replica) -> _Alone:
        alone = _Alone.of(self.asked, System(self.chip, one.layout.chips), one)
        self.alone.append(alone)
        return alone

    def _slow(self, layout: Layout) -> bool:
        """Whether every decode step takes longer than a token may: such a replica carries nothing by itself,
        and the rest of it is left for later.
        """
        try:
            case, decode = decoding(self.asked, self.chip, layout)
            slow = not bool(np.any(decode.values(decode.seconds) <= self.need.tpot))
            kept = _Slow(case, decode) if slow else whole_replica(self.asked, case, decode)
            self.replicas[layout] = kept
        except InferBenchError as error:
            slow, self.refused, self.replicas[layout] = False, str(error).splitlines()[0], None
        return slow

    def _replica(self, layout: Layout) -> Replica | None:
        found = self.replicas.get(layout)
        if isinstance(found, Replica) or (found is None and layout in self.replicas):
            return found
        try:
            known = (found.case, found.decode) if found else decoding(self.asked, self.chip, layout)
            made = whole_replica(self.asked, *known)
        except InferBenchError as error:
            self.refused, made = str(error).splitlines()[0], None
        self.replicas[layout] = made
        return made

    def _within(self, points: Frontier) -> Mask:
        fine: Mask = (points.points.tpot_s <= self.need.tpot) & (points.points.ttft_s <= self.need.ttft)
        return fine

    def at(self, count: int) -> Way | None:
        """The cheapest way of so many chips, its times those of a replay under the load."""
        system = System(self.chip, count)
        limits = self.need.tpot, self.need.ttft
        for point in self._candidates(count):
            share = self.need.load / float(point[self.need.column])
            try:
                seen = simulated(self.asked, system, point, limits, share * float(point["requests_per_s"]))
            except InferBenchError as error:
                self.refused = str(error).splitlines()[0]
                continue
            if within(seen.found, limits):
                return Way(system, point, seen)
        return None

    def dearer(self, count: int, than: Way) -> bool:
        """Whether more chips are dearer than a way, whatever they draw: they are no cheaper way."""
        if count <= than.system.count:
            return False
        cost = HourlyCost.under(self.asked.scenario, System(self.chip, count), 0.0)
        unknown, price, _ = than.price
        own = math.isfinite(float(than.point[ABOUT.usd_per_hour.name]))
        return unknown or float(cost.of(Term.PURCHASE if own else Term.ON_DEMAND)) > price

    def _candidates(self, count: int) -> Iterator[dict[str, Any]]:
        """Points that carry the load within the limits, the least loaded of each layout and policy first."""
        points = self._points(count) if count <= POD else self._copies(count)
        if not points.count:
            return
        good = np.flatnonzero(self._within(points) & (points.points[self.need.column] >= self.need.load))
        order = good[np.lexsort((points.points.tpot_s[good], points.points[self.need.column][good]))]
        seen = set()
        for i in order:
            point = points.points.at(int(i))
            kind = tuple(point[name] for name in ("policy", "layout", "prompt_layout", "chunk"))
            if str(kind) in seen:
                continue
            seen.add(str(kind))
            yield point
            if len(seen) >= TRIES:
                return

    def _copies(self, count: int) -> Frontier:
        """Points of many chips from the replicas that are known: copies of them, and prompts on some."""
        small = [layout for layout in self.replicas if layout.chips <= count]
        made = [one for layout in small if (one := self._replica(layout)) is not None]
        return points_of(self.asked, System(self.chip, count), made, worth=self._serves)

    def _serves(self, served: Service) -> bool:
        """Whether the load is carried within the limits at some point."""
        load = served.rate if math.isnan(self.need.users) else served.users
        fine = (served.tpot <= self.need.tpot) & (served.ttft <= self.need.ttft) & (load >= self.need.load)
        return bool(np.any(fine))

    def _ask_slow(self) -> None:
        """Points of replicas that were left for later, as far as they may have the shortest step; all where
        prompts have a limit too.
        """
        slow = [(one.least, layout) for layout, one in self.replicas.items() if isinstance(one, _Slow)]
        least = min((float(np.min(one.tpot_s)) for one in self.alone if len(one.tpot_s)), default=math.inf)
        for fastest, layout in sorted(slow, key=lambda one: one[0]):
            if math.isinf(self.need.ttft) and least <= fastest:
                return
            one = self._replica(layout)
            if one is not None and len((alone := self._alone(one)).tpot_s):
                least = min(least, float(np.min(alone.tpot_s)))

    def why(self) -> str:
        """Why no number of chips serves."""
        self._ask_slow()
        pods = [points_of(self.asked, System(self.chip, n), self._made(n)).points for n in self.found]
        tried: list[_Alone | Points] = [*self.alone, *pods]
        known = [one for one in tried if len(one.tpot_s)]
        if not known:
            has = show(self.chip.memory[self.chip.outermost].capacity, "B")
            return (
                self.refused
                or f"a chip holds {has}: no layout that was tried holds the network and a request"
            )
        least = {
            name: min(float(np.min(getattr(points, name))) for points in known)
            for name in ("tpot_s", "ttft_s")
        }
        said = [
            f"the shortest {title} of any layout is {show(least[name], 's')};"
            f" {show(limit, 's')} was asked for"
            for name, title, limit in (
                ("tpot_s", "step", self.need.tpot),
                ("ttft_s", "time to the first token", self.need.ttft),
            )
            if least[name] > limit
        ]
        return (
            "; ".join(said)
            or self.refused
            or "no number of chips that was tried carries the load within the limits"
        )
