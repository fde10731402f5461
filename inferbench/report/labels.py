"""How engines and points are called on screens."""

from __future__ import annotations

from typing import Any

from inferbench.records.run import Run

__all__ = ["engine_title", "named_options", "point_title"]


def engine_title(name: str) -> str:
    """Write an engine as a reader knows it: `memory.hbm` is HBM, `compute.load` the loading of arrays."""
    head, _, tail = name.partition(".")
    if head == "memory":
        return tail.upper()
    if head == "exposed":
        return f"{tail} (exposed)"
    return f"{head} ({tail})" if tail else head


def point_title(run: Run, at: dict[str, Any], solved: bool) -> str:
    """Headline of one point: network, phase, axes, precision."""
    axes = [
        f"{name} {value:,.0f}"
        for name, value in at.items()
        if name != "precision" and not (solved and name == "batch")
    ]
    if solved:
        axes.insert(0, "largest batch that fits")
    return " · ".join([run.network.title, run.phase, *axes, at["precision"], *named_options(run)])


def named_options(run: Run) -> list[str]:
    """Workload options that differ from their defaults, for a title."""
    return [f"{name}={str(value).lower()}" for name, value in run.options.items()]
