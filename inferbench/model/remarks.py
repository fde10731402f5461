"""What a reader must know of a run beside its numbers, said by workload, architecture and fabric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import attrs
import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.model.case import prepare
from inferbench.model.evaluate import evaluate
from inferbench.records.grid import Grid
from inferbench.records.run import Run
from inferbench.records.system import Layout
from inferbench.specs.options import structured, structured_tuning
from inferbench.units import show

__all__ = ["with_remarks"]


def with_remarks(run: Run, registry: Registry) -> Run:
    """Return the run with what its workload finds unusual and what architecture and fabric must say.

    Args:
        run: Its first grid point is the one the workload is asked about.
        registry: Where the plugins are looked up.
    """
    first = next(run.points())[0]
    at = {name: value for name, value in first.items() if name != "precision"}
    architecture = registry.architecture(run.system.chip.architecture_type)
    workload = registry.workload(run.network.type)
    unusual = {f"unusual-{i}": text for i, text in enumerate(workload.warnings(run.network, at, run.phase))}
    options = structured(workload, run.options)
    used = [run.layouts[int(i)] for i in set(np.ravel(run.layout).tolist())]  # np.unique imports numpy.ma
    remarks = [
        *workload.remarks(run.network, options, used),
        *architecture.remarks(run.system.chip, structured_tuning(architecture, run.stack, registry.kept)),
        *_idle_remarks(run, registry),
        *_spill_remarks(run),
        *_link_remarks(run, used, registry),
        *(f"{run.network.name}: {part} is not read; the figures leave it out" for part in run.network.unread),
    ]
    numbered = {f"remark-{i}": text for i, text in enumerate(remarks)}
    return attrs.evolve(run, notes={**run.notes, **unusual, **numbered})


def _idle_remarks(run: Run, registry: Registry) -> list[str]:
    """Options that were given and change nothing at the first point, like `draft` of a prompt."""
    if not run.options:
        return []
    first = next(run.points())[0]
    axes = {name: [value] for name, value in first.items() if name != "precision"}
    grid = Grid.of(axes, run.grid.precisions[:1])

    def figures(options: Mapping[str, object]) -> tuple[float, ...]:
        case = prepare(
            run.system, run.network, run.phase, stack=run.choice, registry=registry, options=options
        )
        one = evaluate(case, grid, [run.layouts[int(np.ravel(run.layout)[0])]])
        found = (one.seconds, one.useful, one.items, one.compulsory, one.needed)
        return tuple(float(np.ravel(np.asarray(figure))[0]) for figure in found)

    whole = figures(run.options)
    given = run.options.items()
    idle = []
    for name in run.options:
        with suppress(InferBenchError):  # another option needs it
            if figures({other: value for other, value in given if other != name}) == whole:
                idle.append(f"{name} changes nothing in {run.phase}")
    return idle


def _spill_remarks(run: Run) -> list[str]:
    """That the fastest memory does not hold everything, and what lies behind it."""
    if "spilled" not in run.flags or len(run.system.chip.tiers) == 1:
        return []
    first, *more = run.system.chip.tiers
    level_shares = run.chain["placement"].level_shares if run.chain else {}
    kinds = [
        "cache" if kind == "state" else kind
        for kind, shares in level_shares.items()
        if any(np.any(np.asarray(shares.get(level, 0.0)) > 0) for level in more)
    ]
    most = show(float(np.max(np.asarray(run.away))), "B")
    what = f" ({', '.join(kinds)})" if kinds else ""
    return [
        f"{run.system.chip.title}: up to {most} per chip{what} don't fit into memory.{first} and are read"
        f" from {' and '.join(f'memory.{level}' for level in more)}"
    ]


def _link_remarks(run: Run, used: Sequence[Layout], registry: Registry) -> list[str]:
    """What the fabric of several chips says about its links, under software that was not fitted."""
    if (
        run.stack.fit.rows
        or not np.any(run.feasible)
        or all(layout.chips == layout.replicas for layout in used)
    ):
        return []
    links = run.system.chip.interconnect.values()
    said = [text for link in links for text in registry.fabric(link.fabric).remarks(link)]
    return [f"{run.system.chip.title}: {text}" for text in dict.fromkeys(said)]
