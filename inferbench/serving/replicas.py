"""Which replicas a system can be cut into, and how many sequences they hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.model import partition
from inferbench.model.capacity import fits
from inferbench.num import Array, Mask
from inferbench.records.chip import Chip
from inferbench.records.grid import Grid
from inferbench.records.system import Layout, System
from inferbench.serving.replica import Question, Replica, replica
from inferbench.serving.steady_state import Service, chunked, interleaved
from inferbench.serving.tabulated import Span, StepTable, tabulate

__all__ = ["MOST", "layouts_of", "loads", "per_byte", "replicas_of", "services", "steps_of"]

MOST = 2.0**17
"""Sequences of a replica beyond which no load is tried."""


def layouts_of(asked: Question, system: System) -> tuple[list[Layout], dict[str, int]]:
    """Layouts of a replica that hold the network with one sequence; how many don't."""
    case = asked.case(System(system.chip), "token")
    one = _point(asked, [1.0])
    whole = case.graph(one.at)
    experts, context = any("experts" in op.split for op in whole), partition.attends(whole)
    widest = partition.widest_tp(whole)
    wanted = (
        [system.layout]
        if system.layout
        else partition.candidates(system.count, case.layers, widest, experts, context)
    )
    found, refusals = [], 0
    for layout in dict.fromkeys(attrs.evolve(layout, dp=layout.sharing) for layout in wanted):
        if _fits(asked, system, layout, one).any():
            found.append(layout)
        else:
            refusals += 1
    return found, {"weights and one request don't fit": refusals} if refusals else {}


def _point(asked: Question, batches: Sequence[float]) -> Grid:
    return Grid.of({"batch": batches, "context": [asked.traffic.context]}, asked.precisions)


def _fits(asked: Question, system: System, layout: Layout, grid: Grid) -> Any:
    """Where a replica holds the sequences; a layout that an operator refuses is told why later."""
    if asked.ignore_capacity:
        return np.ones(grid.shape, dtype=bool)
    mine = asked.case(System(system.chip, layout.chips, layout), "token")
    try:
        return fits(mine, grid, layout)
    except InferBenchError:
        return np.ones(grid.shape, dtype=bool)


def loads(asked: Question, system: System, layouts: Sequence[Layout]) -> tuple[float, ...]:
    """The loads asked for and, in steps of a half and a third, all beyond that some replica holds."""
    last = asked.batches[-1]
    steps = [last * factor * 2.0**k for k in range(int(np.log2(MOST / last)) + 1) for factor in (1.0, 1.5)]
    beyond = [load for load in steps if last < load <= MOST]
    if not beyond or asked.ignore_capacity:
        return asked.batches
    grid, most = _point(asked, beyond), 0.0
    for layout in layouts:
        mask = np.asarray(grid.full(_fits(asked, system, layout, grid)))
        fitting = np.asarray(beyond)[mask.any(axis=(1, 2))]
        most = max(most, float(fitting.max()) if fitting.size else 0.0)
    return (*asked.batches, *(load for load in beyond if load <= most))


def replicas_of(
    asked: Question,
    system: System,
    layouts: Sequence[Layout],
    watch: Callable[[float], None] = lambda share: None,
) -> tuple[list[Replica], dict[str, int]]:
    """Replicas of the layouts; why operators refuse the others.

    Args:
        asked: What is asked of each.
        system: Whose layouts.
        layouts: Of one replica.
        watch: Called with the share of the layouts that are done, 0 to 1.
    """
    found: list[Replica] = []
    refusals: dict[str, int] = {}
    asked = attrs.evolve(asked, beside=tuple(layouts))
    for i, layout in enumerate(layouts):
        watch(i / len(layouts))
        try:
            found.append(replica(asked, system.chip, layout))
        except InferBenchError as error:
            reason = str(error).splitlines()[0]
            refusals[reason] = refusals.get(reason, 0) + 1
    return found, refusals


def services(
    asked: Question, system: System, one: Replica
) -> Iterator[tuple[Service, Array, tuple[Mask, Mask], float]]:
    """Yield what equal replicas do that process prompts and tokens alike, over all loads: the service, watts
    while prompts are processed, where tokens and prompts fit, and the size of a chunk, NaN for whole prompts.

    Args:
        asked: What is asked.
        system: With its number of chips.
        one: Of the replicas.
    """
    copies, traffic = system.count // one.layout.chips, asked.traffic
    whole = interleaved(one.plain, traffic), one.watts["prefill"], (one.fits, one.fits_prompt), math.nan
    chunks = (
        (chunked(chunk.steps, traffic), chunk.watts, (chunk.fits, np.asarray(True)), size)
        for size, chunk in one.chunks.items()
    )
    for served, watts, room, size in (whole, *chunks):
        all_of = attrs.evolve(served, rate=copies * served.rate, users=copies * served.users)
        yield all_of, watts, room, size


def steps_of(asked: Question, chip: Chip, layout: Layout, span: Span, reserve: float) -> StepTable:
    """Steps of a replica over what requests reach, evaluated once; arguments as of `tabulate`."""
    key = *asked.about(chip), asked.precisions, layout, span, reserve
    if key not in asked.tables:
        asked.tables[key] = tabulate(asked, chip, layout, span, reserve)
    found: StepTable = asked.tables[key]
    return found


def per_byte(system: System, chips: int) -> float:
    """Seconds to move a byte over the links of so many chips; 0 where no link is published."""
    links = system.chip.interconnect
    inner, outer = links.get("scale_up"), links.get("scale_out")
    link = inner if inner is not None and (system.count <= inner.size or outer is None) else outer
    if link is None or not np.isfinite(link.bandwidth):
        return 0.0
    return 1.0 / (link.bandwidth * chips)
