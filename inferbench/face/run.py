"""`run`: one workload on one system over a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError, suggest
from inferbench.face.frames import to_frame
from inferbench.face.pages import page
from inferbench.model.capacity import at_largest_batch
from inferbench.model.choice import choose
from inferbench.model.document import document, flatten
from inferbench.model.evaluate import evaluate, prepare
from inferbench.model.intervals import factors
from inferbench.model.remarks import with_remarks
from inferbench.num import Array
from inferbench.records.choice import Choice
from inferbench.records.grid import Grid
from inferbench.records.run import Metric, Run
from inferbench.records.system import System, SystemName
from inferbench.report.runs import grid_report

__all__ = ["Axis", "InstalledView", "evaluated", "run"]

Axis = float | Sequence[float]


def run(
    system: str | System,
    workload: str,
    *,
    precision: str | Sequence[str] | None = None,
    stack: str | Choice = "ideal",
    scenario: str = "reference",
    options: Mapping[str, Any] | None = None,
    ignore_capacity: bool = False,
    breakdown: bool = False,
    registry: Registry | None = None,
    **axes: Axis,
) -> Run:
    """Evaluate one workload on one system over a grid.

    Args:
        system: `b200`, `8xh100`, `8xh100:tp4pp2`, with its software `b200@trtllm`, or a `System`.
        workload: `network/phase`; the network may be the path of a Hugging Face `config.json`.
        precision: One name or several: an axis. By default what the network is published in, else bf16.
        stack: Software of a system that names none: a stack's name or TOML file, a family (`vllm`), `best`
            (the nearest that was measured) or `ideal` (the bound); a `Choice` that was made before.
        scenario: Economics.
        options: The workload's options, `{"kv": False}`.
        ignore_capacity: Pretend that everything fits.
        breakdown: Keep a row per operator in `Run.ops`.
        registry: Of plugins; everything installed by default.
        **axes: `batch=[1, 8]`, `context=2048`, …; `batch=0` asks for the largest that fits.

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
    scenario: str,
    options: Mapping[str, Any] | None,
    ignore_capacity: bool,
    breakdown: bool,
) -> Run:
    """Do what `run` does, without remarks: `compare` adds them to the runs that it keeps."""
    name, _, phase = workload.rpartition("/")
    if not name:
        raise InferBenchError.at(
            workload, "a workload is written network/phase", "for example llama3-70b/decode"
        )
    one, wanted = _system(system, known)
    network = known.network(name)
    precision = precision or network.precision or "bf16"
    names = [precision] if isinstance(precision, str) else list(precision)
    names = [known.alias("precisions", name) for name in names]
    made = stack if isinstance(stack, Choice) and not wanted else None
    choice = made or choose(wanted or str(stack), one.chip, network, phase, names, known, one.count)
    case = prepare(
        one,
        network,
        phase,
        stack=choice,
        registry=known,
        options=options,
        scenario=known.get("scenarios", scenario) if scenario else None,
        ignore_capacity=ignore_capacity,
        breakdown=breakdown,
    )
    values = _axes(case.workload.defaults(case.network, phase), axes, phase)
    if len(values.get("batch", [1])) == 1 and values.get("batch", [1])[0] == 0:
        found = at_largest_batch(case, Grid.of({**values, "batch": [1.0]}, names))
    else:
        _check(values)
        found = evaluate(case, Grid.of(values, names))
    return attrs.evolve(found, view=InstalledView(known))


def _check(values: Mapping[str, Sequence[float]]) -> None:
    for name, points in values.items():
        low = next((float(v) for v in points if not v >= 1 or v != np.floor(v)), 1.0)
        if not low >= 1 or low != np.floor(low):
            raise InferBenchError.at(
                f"--{name}",
                f"{low:g} is out of range",
                "whole numbers of at least 1 were"
                f" expected{'; 0 alone asks for the largest batch that fits' if name == 'batch' else ''}",
            )


def _system(system: str | System, known: Registry) -> tuple[System, str]:
    """The system, and the software that its name has; empty where it has none."""
    if isinstance(system, System):
        return system, ""
    parsed = SystemName.parse(system)
    return System(known.chip(parsed.chip), parsed.count or 1, parsed.layout), parsed.stack or ""


def _axes(defaults: Mapping[str, float], given: Mapping[str, Axis], phase: str) -> dict[str, Sequence[float]]:
    for name in given:
        if name not in defaults:
            raise InferBenchError.at(
                f"--{name}",
                f"'{phase}' has no axis '{name}'",
                suggest(name, defaults) or f"its axes are {', '.join(defaults)}",
            )
    # Given axes keep the order in which they were given, in the places that the phase has for them.
    order = iter(given)
    merged = {
        one: given.get(one, defaults[one])
        for one in [next(order) if name in given else name for name in defaults]
    }
    return {
        name: np.atleast_1d(np.asarray(values, dtype=np.float64)).tolist() for name, values in merged.items()
    }


@attrs.frozen(eq=False, repr=False)
class InstalledView:
    """What a run is read through: the metrics of a registry, the model's intervals, the screen's tables.

    A copy that another process unpickles reads through what is installed there.
    """

    registry: Registry

    def metrics(self) -> list[Metric]:
        """All metrics in display order."""
        return self.registry.metrics()

    def factors(self, run: Run, metric: Metric) -> tuple[Array, Array]:
        """Factors from a metric to the ends of its 90% interval."""
        return factors(metric, run)

    def to_dict(self, run: Run) -> dict[str, Any]:
        """The JSON document of one run."""
        return document([run], self.metrics(), self.registry)

    def to_frame(self, run: Run, library: str | None) -> Any:
        """A data frame with a row per point."""
        return to_frame([flatten(row) for row in self.to_dict(run)["results"]], library)

    def html(self, run: Run) -> str:
        """The grid's table as HTML."""
        return page(grid_report(run, self.registry, False, ""))

    def __reduce__(self) -> tuple[Any, ...]:
        return _here, ()


def _here() -> InstalledView:
    return InstalledView(installed())
