"""Findings about stacks: what is a law under ideal software and need not hold under a measured one.

More rows that take less time, or a narrower format that takes more, are no errors of a table of
measurements; whoever compares under such a stack should know of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inferbench.discovery.registry import Problem, Registry
from inferbench.errors import InferBenchError
from inferbench.model.operators import OpResult, cost_rows
from inferbench.records.chip import Chip
from inferbench.records.stack import Stack
from inferbench.units import show

__all__ = ["stack_findings"]

ROWS = np.array([1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 8192.0])
SIDE = 8192.0


def stack_findings(registry: Registry) -> Iterator[Problem]:
    """Yield where a stack makes a larger product faster, or a narrower format slower."""
    for name, entry in sorted(registry.entries("stacks").items()):
        try:
            stack = registry.stack(name)
            chip = None if stack.ideal else _chip_for(stack, registry)
            if chip is None:
                continue
            wide, narrow = (_gemm(chip, stack, registry, precision) for precision in ("bf16", "fp8"))
        except InferBenchError:
            continue
        yield from (
            Problem(
                entry.owner,
                f"{name} on {chip.name}",
                text,
                "a finding, no fault: compare under ideal to see the hardware",
            )
            for text in _said(wide, narrow)
        )


def _chip_for(stack: Stack, registry: Registry) -> Chip | None:
    """A chip of the stack's domain, else the first one of an architecture it applies to."""
    for name in (*stack.domain.chips, *registry.names("chips")):
        try:
            chip = registry.chip(name)
        except InferBenchError:
            continue  # the spec's own fault is told of it
        if not stack.architectures or chip.architecture_type in stack.architectures:
            return chip
    return None


def _gemm(chip: Chip, stack: Stack, registry: Registry, precision: str) -> OpResult:
    side = np.full(ROWS.shape, SIDE)
    return cost_rows("gemm", {"m": ROWS, "n": side, "k": side}, precision, chip, stack, registry)


def _said(wide: OpResult, narrow: OpResult) -> Iterator[str]:
    faster = np.flatnonzero(np.diff(wide.seconds) < -1e-12 * wide.seconds[:-1])
    if faster.size:
        i = int(faster[0])
        yield (
            f"a GEMM of M={ROWS[i]:g} ({show(float(wide.seconds[i]), 's')}) is slower than one of"
            f" M={ROWS[i + 1]:g} ({show(float(wide.seconds[i + 1]), 's')}) at N=K={SIDE:g}"
        )
    slower = np.flatnonzero(narrow.seconds > wide.seconds * (1 + 1e-9))
    if slower.size:
        yield (
            f"fp8 is slower than bf16 at {slower.size} of {len(ROWS)} sizes M, first at"
            f" M={ROWS[int(slower[0])]:g}, N=K={SIDE:g}"
        )
