"""The JSON contract `inferbench.run/1`: one result per grid point, units in the key names, null with a
reason.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from inferbench._version import DISTRIBUTION, __version__
from inferbench.discovery.hashes import spec_hashes
from inferbench.discovery.registry import Registry
from inferbench.model.intervals import factors
from inferbench.model.outside import outside_at
from inferbench.model.rows import DOMAINS, HEAD, domain_code, fixed
from inferbench.records.choice import GRADES
from inferbench.records.run import Metric, Run

__all__ = ["SCHEMA", "document", "provenance", "results"]

SCHEMA = "inferbench.run/1"
NO_INTERVAL = "nobody knows how far it may be off"


def document(runs: Iterable[Run], metrics: list[Metric], registry: Registry) -> dict[str, Any]:
    """Build the whole JSON document of some runs."""
    listed = list(runs)
    return {
        "schema": SCHEMA,
        "provenance": provenance(listed, registry),
        "results": [row for run in listed for row in results(run, metrics)],
    }


def provenance(runs: list[Run], registry: Registry) -> dict[str, Any]:
    """Packages with versions, the hash of every spec the runs rest on, and what was changed of them."""
    packages = {DISTRIBUTION: __version__, **dict(sorted(registry.plugins.values()))}
    named = (
        (kind, name)
        for run in runs
        for kind, name in (
            ("chips", run.system.chip.name),
            ("networks", run.network.name),
            ("stacks", run.stack.name),
        )
    )
    return {
        "inferbench": __version__,
        "packages": packages,
        "specs": spec_hashes(registry, named),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scenario": next((run.scenario.name for run in runs if run.scenario), None),
        **({"changes": registry.changes} if registry.changes else {}),
    }


def reason_at(run: Run, index: tuple[int, ...], shorter: Mapping[str, str] | None = None) -> str | None:
    """Why a point is infeasible; None if it is feasible.

    Args:
        run: The run.
        index: Of the point, into `run.values(...)`.
        shorter: Code of a reason to a template with fewer of its numbers, for a screen with little room.
    """
    for reason in run.reasons:
        if bool(run.values(reason.where)[index]):
            numbers = {name: run.values(value) for name, value in reason.numbers.items()}
            template = (shorter or {}).get(reason.code, reason.template)
            filled = type(reason)(reason.code, template, numbers, reason.where)
            return filled.at(index)
    return None


def results(run: Run, metrics: list[Metric]) -> Iterator[dict[str, Any]]:
    """Yield one result per grid point, in the order of the axes as given."""
    columns = {metric.name: run.values(metric.of(run)) for metric in metrics}
    whys = {metric.name: metric.reason(run) for metric in metrics}
    same = fixed(str(run.system), run.system, run.network.name, run.phase, run.choice)
    grade, domain = run.grade, run.values(domain_code(run))
    bound, layout, feasible = run.values(run.bound), run.values(run.layout), run.values(run.feasible)
    flags = {name: run.values(mask) for name, mask in run.flags.items()}
    memory = {name: run.values(column) for name, column in run.memory.items()}
    between = _between(run, metrics, columns)
    metric_of = {name: name for name in columns}
    metric_of |= {f"{name}_{end}": name for name in columns for end in ("low", "high")} | metric_of
    for at, index in run.points():
        fits = bool(feasible[index])
        reason = None if fits else reason_at(run, index)
        values = {name: _plain(column[index]) if fits else None for name, column in columns.items()}
        values |= {name: _plain(column[index]) if fits else None for name, column in between.items()}
        extra = {name: value for name, value in at.items() if name not in ("batch", "context", "precision")}
        head = {
            **same,
            "chips": run.system.count,
            "layout": str(run.layouts[int(layout[index])]),
            "grade": GRADES[int(grade[index])],
            "precision": at["precision"],
            "batch": at.get("batch"),
            "context": at.get("context"),
        }
        yield {
            **{name: head[name] for name in HEAD if name in head},
            **({"axes": extra} if extra else {}),
            **({"options": dict(run.options)} if run.options else {}),
            "feasible": fits,
            "reason": reason,
            "memory": {name: _plain(column[index]) for name, column in memory.items()},
            "domain": DOMAINS[int(domain[index])],
            "outside": list(outside_at(run, at, index)),
            "metrics": {**values, "bound": (str(bound[index]) or None) if fits else None},
            "unknown": {
                name: whys[metric_of[name]] or reason or NO_INTERVAL
                for name, value in values.items()
                if value is None
            },
            "flags": [name for name, mask in flags.items() if bool(mask[index])],
            "notes": list(run.notes.values()),
        }


def _between(run: Run, metrics: list[Metric], columns: Mapping[str, Any]) -> dict[str, Any]:
    """Ends of the 90% intervals of all metrics that have one; none under a stack that was not fitted."""
    if not run.stack.fit.rows:
        return {}
    found: dict[str, Any] = {}
    for metric in metrics:
        if metric.interval is not None:
            low, high, values = *factors(metric, run), columns[metric.name]
            found |= {f"{metric.name}_low": values * low, f"{metric.name}_high": values * high}
    return found


def _plain(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def flatten(row: Mapping[str, Any]) -> dict[str, Any]:
    """One result as a flat record: metrics beside the coordinates, flags joined; what CSV and Parquet
    hold.
    """
    flat = {
        key: value
        for key, value in row.items()
        if key not in ("metrics", "memory", "unknown", "flags", "axes", "notes", "options", "outside")
    }
    return {**flat, **row.get("axes", {}), **row["metrics"], **row["memory"], "flags": ";".join(row["flags"])}
