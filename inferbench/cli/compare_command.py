"""`inferbench compare`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import click
import numpy as np
import rich_click

from inferbench.api import run as run_once
from inferbench.cli import common
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.model.capacity import smallest_layout
from inferbench.model.evaluate import prepare
from inferbench.records.grid import Grid
from inferbench.records.placement import Reason
from inferbench.records.run import Run
from inferbench.records.scenario import Suite
from inferbench.records.system import System, SystemName
from inferbench.report.runs import comparison

__all__ = ["command"]


@attrs.frozen
class Work:
    """One table's worth of work."""

    title: str
    workload: str
    precisions: Sequence[str]
    axes: Mapping[str, Sequence[float]]


@click.command("compare", cls=rich_click.RichCommand)
@click.argument("systems", nargs=-1, required=True, metavar="SYSTEM…")
@click.option(
    "-w",
    "--workload",
    "workloads",
    multiple=True,
    metavar="NETWORK/PHASE",
    help="Instead of the suite; may be repeated.",
)
@click.option("--suite", default="reference", show_default=True, help="Named list of workload points.")
@common.point_options
@common.output_options
def command(
    systems: tuple[str, ...],
    workloads: tuple[str, ...],
    suite: str,
    asked: common.Asked,
    output: common.Output,
) -> None:
    """Compare systems on the same work: one table per workload, systems as columns.

    Example: inferbench compare b200 groq-lpu tpu-v5p

    Without -w it runs the reference suite (Llama 3 70B, fp8): single-user decode, decode at the largest
    batch that fits, prefill of 2,048 tokens. A chip written without a count that can't hold the network
    is shown as the smallest system that can.
    """
    registry = common.the_registry()
    given = common.axes_from(asked.batch, asked.context, asked.axes)
    works = _works(registry.get("suites", suite), workloads, given, common.names(asked.precision))
    settings = {
        "stack": asked.stack,
        "scenario": asked.scenario,
        "options": common.options_of(asked.pairs),
        "ignore_capacity": asked.ignore_capacity,
        "breakdown": output.verbose,
    }
    groups = []
    for work in works:
        outcomes = [_column(registry, system, work, settings) for system in systems]
        groups.append((work.title, [run for run, _ in outcomes], [notes for _, notes in outcomes]))
    first = registry.alias("chips", SystemName.parse(systems[0]).chip)
    report = comparison(
        groups,
        registry,
        output.verbose,
        f"inferbench show {first} · inferbench run {systems[0]} {works[0].workload} -v",
    )
    common.emit(report, output.form, output.out, registry)
    common.problems_line(registry)


def _works(
    suite: Suite, workloads: Sequence[str], given: Mapping[str, Sequence[float]], precisions: list[str] | None
) -> list[Work]:
    if workloads:
        return [Work("", workload, precisions or ["fp8"], given) for workload in workloads]
    return [
        Work(
            point.title,
            f"{point.network}/{point.phase}",
            precisions or [point.precision],
            {"batch": [point.batch], "context": [point.context], **given},
        )
        for point in suite.points
    ]


def _column(
    registry: Registry, name: str, work: Work, settings: Mapping[str, Any]
) -> tuple[Run, tuple[str, ...]]:
    """Run one system; a bare chip that can't hold the network becomes the smallest system that can."""
    parsed = SystemName.parse(name)

    def evaluated(system: str | System) -> Run:
        keywords: dict[str, Any] = {**settings, **work.axes}
        return run_once(system, work.workload, precision=work.precisions, registry=registry, **keywords)

    try:
        run = evaluated(name)
    except InferBenchError as error:
        run = _refused(evaluated, registry, parsed, error)
    notes: tuple[str, ...] = ()
    if (
        parsed.count is None
        and not bool(np.asarray(run.feasible).any())
        and run.reasons
        and {reason.code for reason in run.reasons} <= {"capacity", "share"}
    ):
        try:
            bigger = _smallest(registry, run, work, settings)
            if bigger is not None:
                whole = evaluated(bigger)
                notes = (_resized(run, bigger),)
                run = attrs.evolve(whole, flags={**whole.flags, "resized": np.asarray(True)})
        except InferBenchError as error:  # nothing to spread over: the chip alone stays, with the reason
            notes = (f"{run.system.chip.title}: {error.faults[0].found}",)
    return common.with_notes(run, registry), notes


def _refused(
    evaluated: Callable[[str | System], Run], registry: Registry, parsed: SystemName, error: InferBenchError
) -> Run:
    """A column for a layout that is refused (no link, no experts to spread): infeasible, with the reason.

    Raises:
        InferBenchError: One chip of it can't be evaluated either: the fault is not the layout's.
    """
    if parsed.count in (None, 1):
        raise error
    try:
        alone = evaluated(System(registry.chip(parsed.chip), 1, None))
    except InferBenchError:
        raise error from None
    text = error.faults[0].found.replace("{", "{{").replace("}", "}}")
    never = np.zeros(alone.grid.shape, dtype=bool)
    system = System(alone.system.chip, parsed.count or 1, parsed.layout)
    return attrs.evolve(alone, system=system, feasible=never, reasons=(Reason("layout", text, {}, ~never),))


def _smallest(registry: Registry, run: Run, work: Work, settings: Mapping[str, Any]) -> System | None:
    case = prepare(
        run.system,
        run.network,
        run.phase,
        stack=run.stack,
        registry=registry,
        options=settings["options"],
        scenario=run.scenario,
    )
    at = {
        name: [max(1.0, float(np.max(values)))]
        for name, values in _axes(case.workload.defaults(case.network, run.phase), work.axes).items()
    }
    found = smallest_layout(case, Grid.of(at, [run.grid.precisions[0]]))
    return System(run.system.chip, found.chips, found.layout) if found else None


def _resized(run: Run, bigger: System) -> str:
    from inferbench.model.document import write_number

    numbers = {key: float(np.max(np.asarray(value))) for key, value in run.reasons[0].numbers.items()}
    text = {key: write_number(key, value) for key, value in numbers.items()}
    smallest = f"{bigger.count} in the smallest valid layout ({bigger.layout})"
    if "bound" not in numbers:
        return f"one chip would need {text['held']} with activations and has {text['each']}: {smallest}"
    cache = f"{text['bound_state']} with KV cache, " if numbers["need"] > numbers["weights"] else ""
    return (
        f"one chip holds {text['has']} of the {text['need']} needed: {text['bound']} chips or more for the"
        f" weights alone, {cache}{smallest}"
    )


def _axes(defaults: Mapping[str, float], given: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    return {**{name: [value] for name, value in defaults.items()}, **given}
