"""`compare`: systems as columns, on the same work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError
from inferbench.face.answer import Answer
from inferbench.face.asked import example_chips, find, listed, one_phase
from inferbench.face.run import evaluated
from inferbench.face.verb import verb
from inferbench.model.capacity import UnknownCapacity, smallest_system
from inferbench.model.choice import BEST, IDEAL, ForeignStack
from inferbench.model.document import document, flatten
from inferbench.model.own_formats import OWN
from inferbench.model.remarks import with_remarks
from inferbench.records.choice import BOUND, GRADES
from inferbench.records.immutable import frozen
from inferbench.records.placement import Reason
from inferbench.records.run import Run
from inferbench.records.scenario import Suite
from inferbench.records.system import System, SystemName
from inferbench.report.answer import Block, answer, short
from inferbench.report.following import run_words
from inferbench.report.model import Later, LaterRows, Next, Report, Table
from inferbench.report.runs import comparison
from inferbench.specs.ranges import Axis

__all__ = ["Column", "Comparison", "Work", "compare"]


@frozen
class Work:
    """One piece of work that all systems are given: a workload, its precisions and its axes."""

    title: str
    workload: str
    precisions: tuple[str, ...]
    axes: Mapping[str, Axis]


@frozen(eq=False)
class Column:
    """One system's answer to one piece of work.

    Attributes:
        run: Its numbers; infeasible, with the reason, where a layout is refused.
        notes: Why the system is another than the one asked for.
    """

    run: Run
    notes: tuple[str, ...] = ()


@frozen(eq=False, repr=False)
class Comparison(Answer):
    """Systems compared on the same work.

    Attributes:
        systems: As they were named.
        works: Pieces of work, one group of tables each.
        columns: For each piece of work, one column per system.
        registry: Whose metrics the tables show.
    """

    systems: tuple[str, ...]
    works: tuple[Work, ...]
    columns: tuple[tuple[Column, ...], ...]
    registry: Registry

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, work by work, in the order of the systems."""
        return tuple(column.run for columns in self.columns for column in columns)

    @property
    def notes(self) -> tuple[str, ...]:
        """Every doubt that the screen shows in footnotes on the systems."""
        return tuple(dict.fromkeys(self._notes()))

    def _notes(self) -> Iterator[str]:
        for columns in self.columns:
            for column in columns:
                yield from (*column.notes, *column.run.notes.values())

    def report(self, verbose: bool = False) -> Report:
        """Return the answer on one screen; with `verbose`, or under ideal software, all rows per point."""
        following = (
            Next("run", (*run_words(self.columns[0][0].run), "-v")),
            Next(arguments=("-v",)),
        )
        data = Later(lambda: document(self.runs, self.registry.metrics(), self.registry))
        rows = LaterRows(lambda: [flatten(row) for row in data["results"]])
        return Report(self.tables(verbose), data, rows, following)

    def tables(self, verbose: bool = False) -> tuple[Table, ...]:
        """Return the tables of the report alone, which a page of its own shows."""
        metrics = self.registry.metrics()
        if not verbose and any(run.choice.grade != GRADES[BOUND] for run in self.runs):
            return answer(self.blocks(), self._title(), metrics)
        groups = [
            (work.title, [column.run for column in columns], [column.notes for column in columns])
            for work, columns in zip(self.works, self.columns, strict=True)
        ]
        return comparison(groups, metrics, verbose)

    def blocks(self) -> tuple[Block, ...]:
        """The pieces of work, one block per grid point, on all systems."""
        return tuple(
            Block(_point_title(work, columns[0].run, at), tuple(one.run for one in columns), index, notes)
            for work, columns in zip(self.works, self.columns, strict=True)
            for notes in (tuple(one.notes for one in columns),)
            for at, index in columns[0].run.points()
        )

    def _title(self) -> str:
        """What all blocks share: networks and precisions."""
        networks = dict.fromkeys(columns[0].run.network.title for columns in self.columns)
        formats = dict.fromkeys(self._said(name) for work in self.works for name in work.precisions)
        contexts = {at.get("context") for columns in self.columns for at, _ in columns[0].run.points()}
        context = [f"context {one:,.0f}" for one in contexts if one is not None and len(contexts) == 1]
        return " · ".join([", ".join(networks), ", ".join(formats), *context])

    def _said(self, name: str) -> str:
        """A precision; of chips' own formats each with its chips, of the usual none where that is long."""
        if name not in OWN:
            return name
        chips: dict[str, dict[str, None]] = {}
        for work, columns in zip(self.works, self.columns, strict=True):
            for one in columns if name in work.precisions else ():
                own = one.run.grid.precisions[work.precisions.index(name)]
                chips.setdefault(own, {})[short(one.run.system.chip)] = None
        named = {own: f"{own} ({', '.join(names)})" for own, names in chips.items()}
        whole = ", ".join(named.values())
        if len(named) > 1 and len(whole) <= ROOM:
            return whole
        usual = max(chips, key=lambda own: len(chips[own]), default=name)
        return ", ".join([usual, *(text for own, text in named.items() if own != usual)])

    def summary(self) -> str:
        """Name the systems and the work."""
        works = ", ".join(dict.fromkeys(work.workload for work in self.works))
        return f"of {', '.join(self.systems)} on {works}: {len(self.to_dict()['results'])} points"


def _point_title(work: Work, run: Run, at: Mapping[str, object]) -> str:
    """What a block is: the suite's name for it, or phase and batch."""
    if work.title:
        return work.title
    batch = f" batch {at['batch']:,.0f}" if "batch" in at else ""
    return f"{run.phase}{batch}"


@verb
def compare(
    systems: str | Sequence[str],
    workload: str | Sequence[str] | None = None,
    *,
    suite: str = "reference",
    precision: str | Sequence[str] | None = None,
    stack: str = BEST,
    scenario: str | None = "reference",
    options: Mapping[str, object] | None = None,
    ignore_capacity: bool = False,
    reserve: str | float | None = None,
    breakdown: bool = False,
    registry: Registry | None = None,
    **axes: Axis,
) -> Comparison:
    """Compare systems on the same work.

    A chip written without a count that can't hold the network becomes the smallest system that can. A layout
    that is refused becomes an infeasible column that says why.

    Args:
        systems: `b200`, `8xtpu-v5p`, `8xh100:tp4pp2`, `h100@vllm`, …
        workload: `network/phase`, one or several; None takes the suite.
        suite: Named list of workload points.
        precision: One name or several; by default the suite's; for workloads what the network is
            published in, else bf16.
        stack: Software of the systems that name none, as for `run`.
        scenario: Economics; None: no figure in dollars is asked for.
        options: The workload's options, `{"kv": False}`.
        ignore_capacity: Pretend that everything fits.
        reserve: Memory that the engine keeps for itself, `0.1` or `"8 GB"` of each chip; None: what it
            usually keeps.
        breakdown: Keep a row per operator in each run.
        registry: Of plugins; everything installed by default.
        **axes: `batch=[1, 64]`, `context=2048`, …; they replace those of the suite.

    Raises:
        InferBenchError: Unknown names, bad values, no system.

    Example:
        >>> import inferbench as ib
        >>> table = ib.compare(["b200", "h100-sxm"], "llama3-8b/decode", batch=[1, 64])
        >>> len(table.runs), len(table.to_dict()["results"])
        (2, 4)
    """
    known = registry or installed()
    named = listed(systems)
    if not named:
        raise InferBenchError.of_argument("systems", "no system was named", systems=example_chips(known))
    works = _works(known, suite, workload, precision, axes)
    settings: dict[str, object] = {
        "stack": stack,
        "scenario": scenario,
        "options": options,
        "ignore_capacity": ignore_capacity,
        "reserve": reserve,
        "breakdown": breakdown,
    }
    columns = tuple(tuple(_column(known, name, work, settings) for name in named) for work in works)
    return Comparison(named, works, columns, known)


def _works(
    known: Registry,
    suite: str,
    workload: str | Sequence[str] | None,
    precision: str | Sequence[str] | None,
    axes: Mapping[str, Axis],
) -> tuple[Work, ...]:
    workloads, precisions = listed(workload), listed(precision)
    if workloads:
        return tuple(Work("", one, precisions or _published(known, one), axes) for one in workloads)
    named: Suite = find("suite", suite, lambda name: known.get("suites", name))
    return tuple(
        Work(
            point.title,
            f"{point.network}/{point.phase}",
            precisions or (point.precision,),
            {"batch": point.batch, "context": point.context, **axes},
        )
        for point in named.points
    )


def _published(known: Registry, workload: str) -> tuple[str, ...]:
    """The precision that a network is published in, else bf16: what `run` takes too."""
    network, _ = one_phase(workload, known)
    return (network.precision or "bf16",)


def _column(known: Registry, name: str, work: Work, settings: Mapping[str, Any]) -> Column:
    """Evaluate one system; a bare chip that can't hold the network becomes the smallest system that can."""
    parsed = SystemName.parse(name)
    if parsed.stack:
        settings = {**settings, "stack": parsed.stack}

    def of(system: str | System, axes: Mapping[str, Axis] = work.axes) -> Run:
        return evaluated(
            system, work.workload, known, axes, precision=work.precisions, most=MOST_BLOCKS, **settings
        )

    notes: tuple[str, ...] = ()
    try:
        run = of(name)
    except UnknownCapacity as error:  # one sequence instead of as many as fit
        run = of(name, {**work.axes, "batch": 1})
        notes = (f"{run.system.chip.title}: whether it fits isn't known; batch 1, as {error.lacks}",)
    except ForeignStack as error:  # refused for this column alone, unless it was written for it
        if parsed.stack:
            raise
        return _foreign(known, name, work, settings, error)
    except InferBenchError as error:
        run = _refused(of, known, parsed, error)
    if parsed.count is None and _too_large(run):
        try:
            bigger = smallest_system(run, known, settings["options"])
            if bigger is not None:
                whole = of(attrs.evolve(bigger, layout=None))  # the fastest of that size
                if not np.any(whole.feasible):
                    whole = of(bigger)
                notes = (_resized(run, whole),)
                run = attrs.evolve(whole, flags={**whole.flags, "resized": np.asarray(True)})
        except InferBenchError as error:  # nothing to spread over: the chip alone stays, with the reason
            notes = (f"{run.system.chip.title}: {error.faults[0].found}",)
    return Column(with_remarks(run, known), notes)


# A comparison prints a block per point.
MOST_BLOCKS = 500
# Letters that formats with their chips may take in a title.
ROOM = 44


def _foreign(
    known: Registry, name: str, work: Work, settings: Mapping[str, Any], error: ForeignStack
) -> Column:
    """A column that the software asked for can't serve: infeasible, with the reason and who serves it."""
    bound = {**settings, "stack": IDEAL}
    alone = evaluated(name, work.workload, known, work.axes, precision=work.precisions, **bound)
    fault, never = error.faults[0], np.zeros(alone.grid.shape, dtype=bool)
    reason = Reason("stack", fault.found.replace("{", "{{").replace("}", "}}"), {}, ~never)
    return Column(attrs.evolve(alone, feasible=never, reasons=(reason,)), (fault.remedy,))


def _too_large(run: Run) -> bool:
    """Whether nothing fits, and for lack of memory alone."""
    codes = {reason.code for reason in run.reasons}
    return not bool(np.asarray(run.feasible).any()) and bool(codes) and codes <= {"capacity", "share"}


def _refused(
    of: Callable[[str | System], Run], known: Registry, parsed: SystemName, error: InferBenchError
) -> Run:
    """A column for a layout that is refused (no link, no experts to spread): infeasible, with the reason.

    Raises:
        InferBenchError: One chip of it can't be evaluated either: the fault is not the layout's.
    """
    if parsed.count in (None, 1):
        raise error
    try:
        alone = of(System(known.chip(parsed.chip), 1, None))
    except InferBenchError:
        raise error from None
    never = np.zeros(alone.grid.shape, dtype=bool)
    system = System(alone.system.chip, parsed.count or 1, parsed.layout)
    reason = Reason.plain("layout", error.faults[0].found, ~never)
    return attrs.evolve(alone, system=system, feasible=never, reasons=(reason,))


def _resized(run: Run, whole: Run) -> str:
    reason = run.reasons[0]
    numbers = {key: float(np.max(np.asarray(value))) for key, value in reason.numbers.items()}
    text = {key: reason.written(key) for key in numbers}
    fastest = whole.layouts[int(whole.values(whole.layout).ravel()[0])]
    smallest = f"{whole.system.count} is the smallest number with a valid layout (the fastest: {fastest})"
    if "bound" not in numbers:
        return f"one chip would need {text['needed']} with activations and has {text['each']}: {smallest}"
    cache = f"{text['bound_state']} with KV cache, " if numbers["need"] > numbers["weights"] else ""
    return (
        f"one chip holds {text['has']} of the {text['need']} needed: {text['bound']} chips or more for the"
        f" weights alone, {cache}{smallest}"
    )
