"""One call for notebooks and scripts: names in, a `Run` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError
from inferbench.model.capacity import at_largest_batch
from inferbench.model.evaluate import evaluate, prepare
from inferbench.records.grid import Grid
from inferbench.records.run import Run
from inferbench.records.system import System, SystemName

__all__ = ["run"]

Axis = float | Sequence[float]


def run(
    system: str | System,
    workload: str,
    *,
    precision: str | Sequence[str] = "bf16",
    stack: str = "ideal",
    scenario: str = "reference",
    options: Mapping[str, Any] | None = None,
    ignore_capacity: bool = False,
    breakdown: bool = False,
    registry: Registry | None = None,
    **axes: Axis,
) -> Run:
    """Evaluate one workload on one system over a grid.

    Args:
        system: `b200`, `8xh100`, `8xh100:tp4pp2`, or a `System`.
        workload: `network/phase`; the network may be the path of a Hugging Face `config.json`.
        precision: One name or several: an axis.
        stack: Name of a stack, or path of a TOML file.
        scenario: Economics.
        options: The workload's options, `{"kv": False}`.
        ignore_capacity: Pretend that everything fits.
        breakdown: Keep a row per operator in `Run.ops`.
        registry: Of plugins; everything installed by default.
        **axes: `batch=[1, 8]`, `context=2048`, …; `batch=0` asks for the largest that fits.

    Raises:
        InferBenchError: Unknown names, bad values.

    Example:
        >>> import inferbench
        >>> run = inferbench.run("b200", "llama3-70b/decode", precision="fp8", batch=[1, 8], context=2048)
        >>> run.values(run.seconds).shape
        (2, 1, 1)
    """
    known = registry or installed()
    name, _, phase = workload.rpartition("/")
    if not name:
        raise InferBenchError.at(
            workload, "a workload is written network/phase", "for example llama3-70b/decode"
        )
    case = prepare(
        _system(system, known),
        known.network(name),
        phase,
        stack=known.stack(stack),
        registry=known,
        options=options,
        scenario=known.get("scenarios", scenario) if scenario else None,
        ignore_capacity=ignore_capacity,
        breakdown=breakdown,
    )
    names = [precision] if isinstance(precision, str) else list(precision)
    names = [known.alias("precisions", name) for name in names]
    values = _axes(case.workload.defaults(case.network, phase), axes, phase)
    if len(values.get("batch", [1])) == 1 and values.get("batch", [1])[0] == 0:
        return at_largest_batch(case, Grid.of({**values, "batch": [1.0]}, names))
    for name, points in values.items():
        low = next((float(v) for v in points if not v >= 1 or v != np.floor(v)), 1.0)
        if not low >= 1 or low != np.floor(low):
            raise InferBenchError.at(
                f"--{name}",
                f"{low:g} is out of range",
                "whole numbers of at least 1 were"
                f" expected{'; 0 alone asks for the largest batch that fits' if name == 'batch' else ''}",
            )
    return evaluate(case, Grid.of(values, names))


def _system(system: str | System, known: Registry) -> System:
    if isinstance(system, System):
        return system
    parsed = SystemName.parse(system)
    return System(known.chip(parsed.chip), parsed.count or 1, parsed.layout)


def _axes(defaults: Mapping[str, float], given: Mapping[str, Axis], phase: str) -> dict[str, Sequence[float]]:
    from inferbench.errors import suggest

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
