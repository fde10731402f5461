"""The contract of a result's row, which JSON, CSV and Parquet share: its columns, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from inferbench.num import Column
from inferbench.records.choice import Choice
from inferbench.records.run import Run
from inferbench.records.system import System

__all__ = ["COUNTS", "DOMAINS", "FLAGS", "HEAD", "MEMORY", "TAIL", "TEXTS", "domain_code", "fixed"]

Kind = Literal["text", "count", "flag", "number"]

HEAD: Mapping[str, Kind] = {
    "system": "text",
    "chip": "text",
    "chips": "count",
    "layout": "text",
    "network": "text",
    "workload": "text",
    "phase": "text",
    "stack": "text",
    "grade": "text",
    "rests_on": "text",
    "precision": "text",
    "batch": "number",
    "context": "number",
    "feasible": "flag",
    "reason_code": "text",
    "reason": "text",
    "domain": "text",
    "log_error": "number",
}
"""What stands before further axes and metrics; `reason_code` and `log_error` are in rows of sweeps alone."""
MEMORY = (
    "weights_bytes",
    "cache_bytes",
    "activations_bytes",
    "needed_bytes",
    "reserve_bytes",
    "capacity_bytes",
)
"""Bytes per chip: what the fullest one must hold, by what it is, what engines keep, and what it has."""
TAIL: Mapping[str, Kind] = {"bound": "text", **dict.fromkeys(MEMORY, "number"), "flags": "text"}
"""What stands after the metrics."""


def _of(kind: Kind) -> tuple[str, ...]:
    return tuple(name for name, one in {**HEAD, **TAIL}.items() if one == kind)


TEXTS, COUNTS, FLAGS = _of("text"), _of("count"), _of("flag")
IDEAL, PRIOR, UNCALIBRATED, INSIDE, EXTRAPOLATED = range(5)
DOMAINS = (
    "ideal: software without losses, no prediction",
    "prior of a class",
    "uncalibrated",
    "inside",
    "extrapolated",
)
"""What a point rests on: `ideal` has no losses, a fitted stack is inside or outside its domain."""


def domain_code(run: Run) -> Column:
    """Place in `DOMAINS` of each point, broadcastable to the grid."""
    stack = run.stack
    whole = IDEAL if stack.ideal else PRIOR if stack.grade else UNCALIBRATED if not stack.fit.rows else None
    if whole is not None:
        return np.asarray(whole)
    return np.where(np.asarray(run.flags["extrapolated"]), EXTRAPOLATED, INSIDE)


def fixed(name: str, system: System, network: str, phase: str, choice: Choice) -> dict[str, str]:
    """Texts that are the same for every point of a workload on a system.

    Args:
        name: How rows call the system.
        system: The chips.
        network: Name of the network.
        phase: Of its workload.
        choice: The software.
    """
    return {
        "system": name,
        "chip": system.chip.name,
        "network": network,
        "workload": f"{network}/{phase}",
        "phase": phase,
        "stack": choice.stack.name,
        "rests_on": choice.origin,
    }
