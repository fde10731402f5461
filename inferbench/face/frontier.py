"""`frontier`: speed per user against throughput, cost and energy of serving systems."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import attrs

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError
from inferbench.face.answer import Answer
from inferbench.face.asked import (
    duration,
    example_chips,
    find,
    listed,
    one_number,
    refuse_many,
    scenario_of,
    served,
)
from inferbench.face.fleet import shares
from inferbench.face.verb import verb
from inferbench.model.capacity import smallest_layout
from inferbench.model.choice import BEST, choose
from inferbench.model.own_formats import own_formats
from inferbench.records.grid import Grid
from inferbench.records.system import System, SystemName
from inferbench.report.frontier import frontier_report
from inferbench.report.model import Next, Report
from inferbench.serving.frontier import Frontier, goodput
from inferbench.serving.frontier import frontier as of_system
from inferbench.serving.replica import Question
from inferbench.serving.slo import best_replayed
from inferbench.serving.steady_state import Traffic
from inferbench.serving.within import refined
from inferbench.specs.ranges import Axis, points_of

__all__ = ["Frontiers", "frontier"]

LOADS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
CHUNKS = (512.0, 2048.0)
MOST_POINTS = 20_000
# Times that a chip too slow for the limits is doubled.
DOUBLINGS = 4


@attrs.frozen(eq=False, repr=False)
class Frontiers(Answer):
    """Frontiers of serving systems under the same traffic.

    Attributes:
        systems: One frontier per system.
        asked: Network, traffic, loads.
        limits: Longest time per token and to the first token, seconds; infinity for none.
    """

    systems: tuple[Frontier, ...]
    asked: Question
    limits: tuple[float, float]

    def report(self, verbose: bool = False) -> Report:
        """Return what each system yields within the limits, and a table of its frontier."""
        first = SystemName.parse(self.systems[0].system).chip
        limit = f"{self.limits[0] * 1e3:g}ms" if math.isfinite(self.limits[0]) else "20ms"
        length = f"{self.asked.traffic.prompt + self.asked.traffic.output:.0f}"
        limits = ("--tpot", limit, "--users", "200", "--chips", first)
        point = ("--context", length, "--precision", self.asked.precisions[0])
        following = Next("size", (f"{self.asked.network.name}/decode", *limits, *point))
        return frontier_report(self.systems, self.asked, self.limits, following)

    def summary(self) -> str:
        """Name the network and the systems."""
        names = ", ".join(f"{one.system} ({one.count} points)" for one in self.systems)
        return f"of {self.asked.network.name}: {names}"


@verb
def frontier(
    systems: str | Sequence[str],
    workload: str,
    *,
    output: float | str = 1024,
    context: float | str = 2048,
    batch: Axis | None = None,
    chunk: Axis | None = CHUNKS,
    slo_tpot: str | float | None = None,
    slo_ttft: str | float | None = None,
    precision: str | Sequence[str] = "fp8",
    stack: str = BEST,
    scenario: str | None = "reference",
    options: Mapping[str, object] | None = None,
    ignore_capacity: bool = False,
    reserve: str | float | None = None,
    watch: Callable[[int, int], None] = lambda done, total: None,
    registry: Registry | None = None,
) -> Frontiers:
    """Set speed per user against throughput, cost and energy per token, in steady-state continuous batching.

    Args:
        systems: `8xb200`, `576xgroq-lpu`, `8xh100@vllm`, …
        workload: A language model; no phase, serving has all of them.
        output: Tokens a request asks for.
        context: Tokens of its prompt.
        batch: Sequences that decode together on a replica; by default 1 to the most that fit.
        chunk: Sizes of a prompt's chunks, tokens; None for whole prompts only.
        slo_tpot: Longest time per token, seconds or text like `20ms`.
        slo_ttft: Longest time to the first token.
        precision: One name or several.
        stack: Software of the systems that name none: a stack, its TOML file, a family or `best`.
        scenario: Economics; None: no figure in dollars is asked for.
        options: The workload's options.
        ignore_capacity: Pretend that everything fits.
        reserve: Memory that the engine keeps for itself, `0.1` or `"8 GB"` of each chip; None: what it
            usually keeps.
        watch: Called with the per cent of the layouts that are done, and 100.
        registry: Of plugins; everything installed by default.

    Raises:
        InferBenchError: Unknown names, bad values, a network without prompts and tokens.

    Example:
        >>> import inferbench as ib
        >>> found = ib.frontier(["8xb200"], "llama3-8b", batch=[1, 64], slo_tpot="20ms")
        >>> found.systems[0].system
        '8xb200'
    """
    known = registry or installed()
    named = [SystemName.parse(name) for name in listed(systems)]
    if not named:
        raise InferBenchError.of_argument("systems", "no system was named", systems=example_chips(known))
    limits = duration(slo_tpot, "slo_tpot"), duration(slo_ttft, "slo_ttft")
    question = Question(
        network=served(workload, known),
        traffic=Traffic(
            prompt=one_number(context, "context", 2048.0), output=one_number(output, "output", 1024.0)
        ),
        batches=_loads(batch),
        precisions=tuple(known.alias("precisions", name) for name in listed(precision)),
        chunks=() if chunk is None else tuple(sorted(points_of(chunk, "chunk").values().tolist())),
        stack=known.stack("ideal"),
        scenario=scenario_of(known, scenario),
        registry=known,
        options=dict(options or {}),
        ignore_capacity=ignore_capacity,
        reserve=reserve,
        open_ended=batch is None,
    )
    refuse_many(len(question.batches) * len(question.precisions) * max(1, len(question.chunks)), MOST_POINTS)
    told = [shares(watch, i, len(named)) for i in range(len(named))]
    found = tuple(_found(question, one, stack, limits, told[i]) for i, one in enumerate(named))
    return Frontiers(found, question, limits)


def _found(
    question: Question,
    name: SystemName,
    stack: str,
    limits: tuple[float, float],
    watch: Callable[[float], None],
) -> Frontier:
    """The frontier of a system under its own software, which stands in its name where it was written."""
    known = question.registry
    system = System(find("systems", name.chip, known.chip), name.count or 1, name.layout)
    phases = [one.name for one in known.workload(question.network.type).phases if one.role]
    formats, own = own_formats(question.precisions, system.chip, known)
    work = question.network, phases, formats, known, system.count
    if name.stack:
        chosen = choose(name.stack, system.chip, *work)
    else:
        chosen = find("stack", stack, lambda one: choose(one, system.chip, *work, where=one))
    mine = attrs.evolve(question, stack=chosen.stack, precisions=tuple(formats))
    found = of_system(mine, system, watch)
    if not found.count and name.count is None:
        enough = _enough(mine, system)
        system = attrs.evolve(enough, layout=None)  # all layouts of that size
        found = of_system(mine, system)
        if not found.count:
            system, found = enough, of_system(mine, enough)
    if name.count is None:
        system, found = _fast_enough(mine, system, found, limits)
    found = refined(mine, system, found, *limits)
    found = attrs.evolve(found, picked=best_replayed(mine, system, found, limits) if found.count else None)
    found = attrs.evolve(found, notes=(*found.notes, *own.values()))
    return attrs.evolve(found, system=f"{found.system}@{name.stack}") if name.stack else found


def _enough(question: Question, system: System) -> System:
    """The smallest system that holds the network, one request and its prompt's processing, where a chip alone
    does not.
    """
    traffic = question.traffic
    roles: tuple[tuple[Literal["token", "prompt"], float], ...] = (
        ("token", traffic.context),
        ("prompt", traffic.prompt),
    )
    found = (
        smallest_layout(
            question.case(system, role), Grid.of({"batch": [1.0], "context": [length]}, question.precisions)
        )
        for role, length in roles
    )
    sizes = [one for one in found if one is not None]
    if not sizes:
        return system
    most = max(sizes, key=lambda one: one.chips)
    return System(system.chip, most.chips, most.layout)


def _fast_enough(
    question: Question, system: System, found: Frontier, limits: tuple[float, float]
) -> tuple[System, Frontier]:
    """Double the chips until a load meets the limits: a chip alone may be too slow for any user."""
    if goodput(found, *limits) is not None:
        return system, found
    tried = system
    for _ in range(DOUBLINGS):
        tried = System(system.chip, 2 * tried.count)
        try:
            more = of_system(question, tried)
        except InferBenchError:  # no link to spread over
            break
        if goodput(more, *limits) is not None:
            return tried, more
    return system, found


def _loads(batch: Axis | None) -> tuple[float, ...]:
    points = points_of(LOADS if batch is None else batch, "batch")
    if points.largest:
        found = "a frontier has many loads, and the largest is not one of them alone"
        raise InferBenchError.of_argument("batch", found, batch=[1, 8, 64])
    return tuple(sorted(points.values().tolist()))
