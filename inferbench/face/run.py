"""`run`: one workload on one system over a grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError, suggest
from inferbench.face.aside import aside
from inferbench.face.asked import find, listed, one_phase, refuse_many, scenario_of, split_workload
from inferbench.face.frames import by_column, to_frame
from inferbench.face.verb import verb
from inferbench.model.capacity import at_largest_batch
from inferbench.model.choice import BEST, choose
from inferbench.model.document import document, flatten
from inferbench.model.evaluate import evaluate, prepare
from inferbench.model.intervals import factors
from inferbench.model.own_formats import own_formats
from inferbench.model.remarks import with_remarks
from inferbench.num import Array
from inferbench.records.choice import Choice
from inferbench.records.grid import Grid
from inferbench.records.immutable import frozen
from inferbench.records.network import Network
from inferbench.records.run import Metric, Run
from inferbench.records.system import System, SystemName
from inferbench.report.export import html_tables
from inferbench.report.runs import grid_report
from inferbench.specs.ranges import MOST_LISTED, Axis, Points, points_of

# What a run keeps in memory and a reader waits seconds for: a hundred arrays of so many points.
MOST_AT_ONCE = 1_000_000

if TYPE_CHECKING:
    from inferbench.face.picture import Picture

__all__ = ["InstalledView", "axes_of", "evaluated", "run"]


@verb
def run(
    system: str | System,
    workload: str,
    *,
    precision: str | Sequence[str] | None = None,
    stack: str | Choice = BEST,
    scenario: str | None = "reference",
    options: Mapping[str, Any] | None = None,
    ignore_capacity: bool = False,
    reserve: str | float | None = None,
    breakdown: bool = False,
    registry: Registry | None = None,
    **axes: Axis,
) -> Run:
    """Evaluate one workload on one system over a grid.

    Args:
        system: `b200`, `8xh100`, `8xh100:tp4pp2`, with its software `b200@trtllm`, or a `System`.
        workload: `network/phase`; the network may be the path of a Hugging Face `config.json`.
        precision: One name or several: an axis. By default what the network is published in, else bf16.
            `8bit` is the chip's own fastest format of 8 bits.
        stack: Software of a system that names none: a stack's name or TOML file, a family (`vllm`), `best`
            (the nearest that was measured) or `ideal` (the bound); a `Choice` that was made before.
        scenario: Economics; None: no figure in dollars is asked for.
        options: The workload's options, `{"kv": False}`.
        ignore_capacity: Pretend that everything fits.
        reserve: Memory that the engine keeps for itself, `0.1` or `"8 GB"` of each chip; None: what it
            usually keeps.
        breakdown: Keep a row per operator in `Run.ops`.
        registry: Of plugins; everything installed by default.
        **axes: `batch=[1, 8]`, `context=2048`, `batch="1:512:x2"`, …; `batch="max"` takes the largest that
            fits.

    Returns:
        A run. `run["tpot_s"]` is a metric over the grid; `run.notes` holds every doubt that the screen shows.

    Raises:
        InferBenchError: Unknown names, bad values.

    Example:
        >>> import inferbench
        >>> run = inferbench.run("b200", "llama3-70b/decode", precision="fp8", batch=[1, 8], context=2048)
        >>> run["tpot_s"].shape
        (2, 1, 1)
    """
    known = registry or installed()
    found = evaluated(
        system,
        workload,
        known,
        axes,
        precision=precision,
        stack=stack,
        scenario=scenario,
        options=options,
        ignore_capacity=ignore_capacity,
        reserve=reserve,
        breakdown=breakdown,
    )
    return with_remarks(found, known)


def evaluated(
    system: str | System,
    workload: str,
    known: Registry,
    axes: Mapping[str, Axis],
    *,
    precision: str | Sequence[str] | None,
    stack: str | Choice,
    scenario: str | None,
    options: Mapping[str, Any] | None,
    ignore_capacity: bool,
    reserve: str | float | None = None,
    breakdown: bool,
    most: int = MOST_AT_ONCE,
) -> Run:
    """Do what `run` does, without remarks: `compare` adds them to the runs that it keeps."""
    split_workload(workload, known)
    one, own = _system(system, known)
    network, the_phase = one_phase(workload, known)
    phase = the_phase.name
    precision = precision or network.precision or "bf16"
    names, own_names = own_formats(listed(precision), one.chip, known)
    choice = _choice(own, stack, one, network, phase, names, known)
    case = prepare(
        one,
        network,
        phase,
        stack=choice,
        registry=known,
        options=options,
        scenario=scenario_of(known, scenario),
        ignore_capacity=ignore_capacity,
        reserve=reserve,
        breakdown=breakdown,
    )
    points = axes_of(case.workload.defaults(case.network, phase), axes, phase)
    refuse_many(math.prod(one.count for one in points.values()) * len(names), most)
    grid = Grid.of({name: values.values() for name, values in points.items()}, names)
    largest = "batch" in points and points["batch"].largest
    found = at_largest_batch(case, grid) if largest else evaluate(case, grid)
    return attrs.evolve(found, view=InstalledView(known), notes={**found.notes, **own_names})


def axes_of(defaults: Mapping[str, float], given: Mapping[str, Axis], phase: str) -> dict[str, Points]:
    """Read the axes of a phase: those given, in their order, and the defaults of the others.

    Raises:
        InferBenchError: An axis that the phase hasn't; values that are no axis; too many for one answer.
    """
    for name in given:
        if name not in defaults:
            remedy = suggest(name, defaults) or f"its axes are {', '.join(defaults)}"
            raise InferBenchError.of_argument(name, f"'{phase}' has no axis '{name}'", remedy)
    # Given axes keep the order in which they were given, in the places that the phase has for them.
    order = iter(given)
    names = [next(order) if name in given else name for name in defaults]
    merged = {name: points_of(given.get(name, defaults[name]), name) for name in names}
    for name, points in merged.items():
        if points.count > MOST_LISTED:
            found = f"{points.count:,} points are too many for one answer"
            raise InferBenchError.of_argument(name, found, "a sweep takes axes of any length")
    return merged


def _system(system: str | System, known: Registry) -> tuple[System, str]:
    """The system, and the software that its name has; empty where it has none."""
    if isinstance(system, System):
        return system, ""
    parsed = find("system", system, SystemName.parse)
    chip = find("system", parsed.chip, known.chip)
    return System(chip, parsed.count or 1, parsed.layout), parsed.stack or ""


def _choice(
    own: str,
    stack: str | Choice,
    one: System,
    network: Network,
    phase: str,
    names: list[str],
    known: Registry,
) -> Choice:
    """The software in the system's name, else what was asked for all systems."""
    if own:
        return choose(own, one.chip, network, phase, names, known, one.count)
    if isinstance(stack, Choice):
        return stack
    return find(
        "stack",
        stack,
        lambda name: choose(name, one.chip, network, phase, names, known, one.count, where=name),
    )


@frozen(eq=False, repr=False)
class InstalledView:
    """What a run is read through: the metrics of a registry, the model's intervals, the screen's tables.

    A copy that another process unpickles reads through what is installed there.
    """

    registry: Registry

    def metrics(self) -> list[Metric]:
        """All metrics in display order."""
        return self.registry.metrics()

    @aside
    def factors(self, run: Run, metric: Metric) -> tuple[Array, Array]:
        """Factors from a metric to the ends of its 90% interval."""
        return factors(metric, run)

    @aside
    def to_dict(self, run: Run) -> dict[str, Any]:
        """The JSON document of one run."""
        return document([run], self.metrics(), self.registry)

    @aside
    def to_frame(self, run: Run, library: str | None) -> Any:
        """A data frame with a row per point."""
        return to_frame(by_column([flatten(row) for row in self.to_dict(run)["results"]]), library)

    @aside
    def plot(self, run: Run, name: str) -> Picture:
        """A picture of the run."""
        from inferbench.face.picture import picture

        return picture(run, name, self.registry)

    @aside
    def html(self, run: Run) -> str:
        """The grid's table as HTML."""
        return html_tables(grid_report(run, self.registry, False, ()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _here, ()


def _here() -> InstalledView:
    return InstalledView(installed())
