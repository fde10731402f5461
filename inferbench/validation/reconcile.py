"""Where a measured time goes: the algorithm, the hardware, the software; and where it differs from a run's.

measured = work at peak x 1/algorithm x 1/hardware x 1/software,   software = t_model(ideal) / t_measured
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import Situation, situate, targets
from inferbench.model.evaluate import evaluate, prepare
from inferbench.records.grid import Grid
from inferbench.records.measurement import Measurement
from inferbench.records.run import Run

__all__ = ["Operator", "Split", "gap", "measured_split", "split"]


@attrs.frozen
class Operator:
    """One operator: seconds under the stack and at its model; measured NaN where the source doesn't say."""

    name: str
    kind: str
    model: float
    stack: float
    measured: float = math.nan


@attrs.frozen(kw_only=True)
class Split:
    """A time in its parts, seconds.

    Attributes:
        work: Useful operations at peak.
        roofline, model: On an ideal roofline; as the architecture allows.
        stack: Under the stack; NaN where none was given.
        measured: The time that is explained; a run's own time if nothing was measured.

    Example:
        Work 1 s, roofline 2 s, model 2.5 s, measured 5 s: algorithm 0.5, hardware 0.8, software 0.5.

        >>> one = Split(title="x", metric="latency_s", work=1.0, roofline=2.0, model=2.5, stack=4.0,
        ...     measured=5.0)
        >>> one.algorithm, one.hardware, one.software, one.unexplained
        (0.5, 0.8, 0.5, 1.25)
    """

    title: str
    metric: str
    work: float
    roofline: float
    model: float
    stack: float
    measured: float
    operators: tuple[Operator, ...] = ()
    host: float = 0.0

    @property
    def algorithm(self) -> float:
        """What arithmetic intensity allows."""
        return self.work / self.roofline

    @property
    def hardware(self) -> float:
        """What the architecture's structure allows."""
        return self.roofline / self.model

    @property
    def software(self) -> float:
        """What the software made of it: ideal over measured."""
        return self.model / self.measured

    @property
    def unexplained(self) -> float:
        """Measured over what the stack predicts."""
        return self.measured / self.stack


def measured_split(
    m: Measurement, registry: Registry, stack: str | None = None, figure: str | None = None
) -> Split:
    """Split a measurement's first time, or the one asked for.

    Args:
        m: The measurement.
        registry: Of plugins.
        stack: Name of the stack to compare with; None: the one fitted for its chip and software, else ideal.
        figure: `ttft`, `tpot` or `latency`.

    Raises:
        InferBenchError: It can't be resolved, has no time, or no model computes it.
    """
    found = situate(m, registry, stack)
    if not isinstance(found, Situation) and found[0] == "no-stack":
        found = situate(m, registry, "ideal")
    if not isinstance(found, Situation):
        raise InferBenchError.at(m.source, found[1], "see `inferbench validate FILE`")
    timed = [target for target in targets(m) if target.metric not in ("power_w", "energy_j")]
    if not timed or found.network is None:
        raise InferBenchError.at(
            m.source, "no time of a network is measured", "give a row with a latency of a network's phase"
        )
    target = timed[0]
    if figure is not None:
        wanted = [one for one in timed if one.metric == f"{figure.removesuffix('_s')}_s"]
        if not wanted:
            has = ", ".join(one.metric.removesuffix("_s") for one in timed)
            raise InferBenchError.of_argument("figure", f"no '{figure}' is measured", f"there is {has}")
        target = wanted[0]
    case = prepare(
        found.system,
        found.network,
        target.phase,
        stack=found.stack,
        registry=registry,
        options=found.options,
        ignore_capacity=True,
        breakdown=True,
    )
    axes = {**case.workload.defaults(found.network, target.phase), **target.axes}
    run = evaluate(case, Grid.of({name: [value] for name, value in axes.items()}, [found.precision]))
    parts = m.extra.get("operators")
    return split(run, target.measured, target.metric, parts if isinstance(parts, Mapping) else {})


def split(
    run: Run,
    measured: float = math.nan,
    metric: str = "latency_s",
    operators: Mapping[str, float] | None = None,
) -> Split:
    """Split the first point of a run; without a measurement its own time stands in its place.

    Args:
        run: With the breakdown kept, if operators are wanted.
        measured: Seconds.
        metric: Which time it is.
        operators: Measured seconds by name of the operator.
    """

    def one(array: Any) -> float:
        return float(np.asarray(run.values(array)).ravel()[0])

    given = dict(operators or {})
    rows = tuple(
        Operator(row.name, row.kind, one(row.model), one(row.seconds), float(given.get(row.name, math.nan)))
        for row in run.ops
    )
    seconds = one(run.seconds)
    return Split(
        title=f"{run.network.title} · {run.phase} · {run.system} · {run.stack.name}",
        metric=metric,
        work=one(run.useful) / one(run.peak),
        roofline=one(run.roofline),
        model=one(run.model),
        stack=seconds,
        measured=seconds if math.isnan(measured) else measured,
        operators=rows,
        host=max(0.0, seconds - sum(row.stack for row in rows)) if rows else 0.0,
    )


def gap(predicted: Mapping[str, Any], other: Split) -> dict[str, float]:
    """Factors by which a measurement is slower than a run's result; their product is the whole gap.

    Args:
        predicted: One of the `results` of a run's JSON document.
        other: The measurement.

    Returns:
        `work`, `algorithm`, `hardware`, `software` and `all`; above 1 is slower. Work and algorithm
        differ from 1 only where the run is of another point.

    Raises:
        InferBenchError: The result is infeasible or lacks the factors.
    """
    metrics = {name: _figure(value) for name, value in predicted.get("metrics", {}).items()}
    names = ("algorithm", "hardware", "software", "utilization")
    times = (other.metric, "latency_s", "tpot_s", "ttft_s")
    latency = next((metrics[name] for name in times if metrics.get(name)), 0.0)
    missing = [name for name in names if not metrics.get(name)]
    if missing or not latency or not metrics["utilization"] * latency:
        raise InferBenchError.at(
            "RUN.json",
            f"its result has no {', '.join(missing) or 'latency'}",
            "give a run of a feasible point",
        )
    factors = {
        "work": other.work / (metrics["utilization"] * latency),
        "algorithm": metrics["algorithm"] / other.algorithm,
        "hardware": metrics["hardware"] / other.hardware,
        "software": metrics["software"] / other.software,
    }
    return {**factors, "all": math.prod(factors.values())}


def _figure(value: object) -> float:
    """A number above 0 of somebody's document; 0 for whatever else stands there."""
    try:
        found = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
    except OverflowError:
        return 0.0
    return found if 0.0 < found < math.inf else 0.0
