"""Which stack stands for the software that a measurement names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from inferbench.model.choice import ARCHITECTURE, SAME, current, farness, has_phases, likeness, runs_on
from inferbench.model.fitted_on import fitted_on
from inferbench.records.chip import Chip
from inferbench.records.stack import Stack

if TYPE_CHECKING:
    from inferbench.discovery.registry import Registry

__all__ = ["cited"]


def cited(
    registry: Registry, chip: Chip, software: str, phase: str, loaded: bool | None = None
) -> Stack | None:
    """Return the stack of the software that a measurement names: the longest beginning of its name wins
    among stacks as near to the chip. For whole steps one that was fitted on whole steps comes first, and
    among these one of the version that the source names. Where it names none, a server under load has one
    that was fitted on such, and a static batch one that was fitted on such.

    Args:
        registry: Of stacks.
        chip: Measured.
        software: As the source writes it.
        phase: Of the workload; `op` for single operators.
        loaded: Whether a server was under load; None: not said, and the newest version is meant.

    Example:
        >>> import inferbench as ib
        >>> known = ib.installed()
        >>> [cited(known, known.chip("h100-sxm"), f"vLLM {one}", "decode").name for one in ("0.6", "0.19")]
        ['vllm-h100', 'vllm-serving-h100']
    """
    wanted = software.lower()
    best: tuple[Any, Stack] | None = None
    for head in registry.heads():
        match = max((len(s) for s in head.software if wanted.startswith(s.lower())), default=0)
        if not match or not runs_on(head, chip) or not has_phases(head, (phase,)):
            continue
        stack = registry.stack(head.name)
        near = likeness(stack, chip, registry)
        whole = phase != "op" and bool(stack.domain.phases)
        rank = (
            near == SAME,
            whole,
            near < ARCHITECTURE,
            _of_a_generation(stack, chip, registry),
            whole and _meant(stack, wanted, loaded),
            match,
            -farness(stack, chip, registry),
            stack.fit.rows,
        )
        if best is None or rank > best[0]:
            best = (rank, stack)
    return best[1] if best else None


def _of_a_generation(stack: Stack, chip: Chip, registry: Registry) -> bool:
    """Whether a stack was fitted on a chip that computes in the same formats: the mark of a generation."""
    fitted = list(fitted_on(stack, registry))
    return not fitted or any(set(one.peak) == set(chip.peak) for one in fitted)


def _meant(stack: Stack, software: str, loaded: bool | None) -> bool:
    """Whether a stack is of the version that a text names; of a text without one, of what was measured."""
    found = re.search(r"\d+(?:\.\d+)*", software)
    if found is None:
        return current(stack) if loaded is None else stack.domain.loaded == loaded
    low, high = (_numbers(one) for one in stack.versions or ("", ""))
    version = _numbers(found[0])
    return (not low or version >= low) and (not high or version[: len(high)] <= high)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(one) for one in re.findall(r"\d+", version))
