"""`card`: the four metrics of each system together, at the suite's workloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import attrs
import numpy as np

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError
from inferbench.face.answer import Answer
from inferbench.face.compare import Comparison, compare
from inferbench.face.run import evaluated
from inferbench.face.verb import verb
from inferbench.model.choice import BEST, IDEAL
from inferbench.num import Array
from inferbench.records.run import Run
from inferbench.records.scenario import Suite, SuiteSpace, Term, shared_term, term_beside
from inferbench.records.system import System
from inferbench.report.card import CardColumn, card_report
from inferbench.report.model import Report
from inferbench.space.external import HALF, Flexibility, marks, share

__all__ = ["Card", "card"]


@attrs.frozen(eq=False, repr=False)
class Card(Answer):
    """Useful TOPS, cost efficiency, energy efficiency and flexibility of some systems.

    Attributes:
        comparison: The systems at the suite's workloads.
        flexibility: One per system.
        against: Reference systems of flexibility.
    """

    comparison: Comparison
    flexibility: tuple[Flexibility, ...]
    against: tuple[str, ...]

    def report(self, verbose: bool = False) -> Report:
        """Return the card: expected values with intervals, the bound below each, no winner."""
        columns = [
            CardColumn(tuple(column.run for column in columns), flexibility)
            for columns, flexibility in zip(
                zip(*self.comparison.columns, strict=True), self.flexibility, strict=True
            )
        ]
        titles = [work.title for work in self.comparison.works]
        return card_report(self.comparison.systems, titles, columns, self.against)

    def summary(self) -> str:
        """Name the systems."""
        return f"of {', '.join(self.comparison.systems)}"


@verb
def card(
    systems: str | Sequence[str],
    *,
    suite: str = "reference",
    stack: str = BEST,
    scenario: str = "reference",
    registry: Registry | None = None,
) -> Card:
    """Return the four metrics of each system at a suite's workloads.

    Flexibility is judged under ideal software, so that it is a property of the chip: software is in the other
    three.

    Args:
        systems: `b200`, `576xgroq-lpu`, `h100@vllm`, …
        suite: Whose points and space to take.
        stack: Software of systems that name none.
        scenario: Economics.
        registry: Of plugins; everything installed by default.

    Raises:
        InferBenchError: Unknown names; a suite without a space.

    Example:
        >>> import inferbench as ib
        >>> ib.card(["b200"])
        <Card of b200>
    """
    known = registry or installed()
    found: Suite = known.get("suites", suite)
    if found.space is None:
        remedy = "add [space] with works, batch, context and against to its file"
        raise InferBenchError.at(suite, "the suite has no space to judge flexibility on", remedy)
    table = compare(systems, suite=suite, stack=stack, scenario=scenario, registry=known)
    best = _marks(known, suite, scenario)
    spaces = [_runs(known, _as_found(column.run), found.space, scenario) for column in table.columns[0]]
    shared = shared_term(column.run.cost.terms for column in table.columns[0])
    judged = [_flexibility(runs, best, term_beside(runs[0].cost.terms, shared)) for runs in spaces]
    return Card(table, tuple(judged), found.space.against)


def _as_found(run: Run) -> System:
    """The system in the layout that the comparison found for it."""
    layout = run.layouts[int(run.values(run.layout).ravel()[0])]
    return System(run.system.chip, run.system.count, layout)


def _runs(known: Registry, system: str | System, space: SuiteSpace, scenario: str) -> list[Run]:
    """A system at every point of a space, under ideal software, a run per kind of work."""
    axes: dict[str, Any] = {"batch": list(space.batch), "context": list(space.context)}
    settings: Mapping[str, Any] = {
        "precision": space.precision,
        "stack": IDEAL,
        "scenario": scenario,
        "options": None,
        "ignore_capacity": False,
        "breakdown": False,
    }
    found = []
    for work in space.works:
        try:
            found.append(evaluated(system, work, known, axes, **settings))
        except InferBenchError:  # a layout that this network refuses, in the one layout that is judged
            bare = System(system.chip, system.count) if isinstance(system, System) else system
            found.append(evaluated(bare, work, known, axes, **settings))
    return found


@lru_cache(maxsize=4)
def _marks(known: Registry, suite: str, scenario: str) -> Mapping[Term | str, Array]:
    """The best of the reference systems at each point: per term of prices, and per watt."""
    space = known.get("suites", suite).space
    runs = [_runs(known, name, space, scenario) for name in space.against]
    found: dict[Term | str, Array] = {term: marks([_per_dollar(one, term) for one in runs]) for term in Term}
    return {**found, "watts": marks([_per_watt(one) for one in runs])}


def _flexibility(runs: Sequence[Run], best: Mapping[Term | str, Array], term: Term | None) -> Flexibility:
    fits = np.concatenate([run.values(run.feasible).ravel() for run in runs])
    reached = np.concatenate([run.values(run.roofline / run.model).ravel() for run in runs])
    return Flexibility(
        per_dollar=float("nan") if term is None else share(_per_dollar(runs, term), best[term]),
        per_watt=share(_per_watt(runs), best["watts"]),
        inner=float(np.mean(fits & (reached >= HALF))),
        fits=float(np.mean(fits)),
    )


def _per_dollar(runs: Sequence[Run], term: Term) -> Array:
    """Items per second and dollar per hour, 0 where infeasible, NaN without a price."""

    def one(run: Run) -> Array:
        cost = run.values(run.cost.of(term))
        return _where_feasible(run, run.values(run.items / run.seconds) / cost)

    return np.concatenate([one(run) for run in runs])


def _per_watt(runs: Sequence[Run]) -> Array:
    """Items per joule at the wall, 0 where infeasible, NaN without a power."""

    def one(run: Run) -> Array:
        return _where_feasible(run, run.values(run.items / run.seconds / run.wall_watts))

    return np.concatenate([one(run) for run in runs])


def _where_feasible(run: Run, values: Any) -> Array:
    found: Array = np.where(run.values(run.feasible), values, 0.0).ravel()
    return found
