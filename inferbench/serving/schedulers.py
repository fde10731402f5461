"""How serving engines schedule by default: what stacks say of it, and what lies between them and users.

A stack's file says how its engine takes requests (`[scheduler]`). Where it says nothing, another stack of its
family does. Replays of measurements take the scheduler of the software that ran, whatever stack stands for
its kernels.

What lies between a user and the scheduler is one pair of figures for all engines, fitted on times to first
tokens in closed loops: docs/results/serving.md has the rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from inferbench.discovery.registry import Registry
from inferbench.records.scheduler import Scheduler
from inferbench.records.stack import Stack
from inferbench.serving.engine import Rules

__all__ = ["ENTRY", "LAG", "rules_of", "scheduler_of"]

# Seconds until a scheduler knows of a request, and steps by which tokens come later than they were made.
ENTRY, LAG = 0.03, 1.0


def scheduler_of(stack: Stack, registry: Registry | None = None, software: str = "") -> Scheduler:
    """Return how requests are taken by default under a stack, or under the software that ran on it.

    Args:
        stack: The software.
        registry: Has the other stacks of a family; without it the stack alone is asked.
        software: That really ran, where a stack of other software stands for it.

    Example:
        >>> import inferbench as ib
        >>> scheduler_of(ib.installed().stack("vllm-h100")).chunk
        2048
    """
    wanted = software.lower() or stack.family
    own = stack.scheduler
    if own is not None and (not software or (stack.family and wanted.startswith(stack.family))):
        return own
    found = next(_others(wanted, registry), None) or own
    return found or next(_others(stack.family, registry), None) or Scheduler()


def _others(wanted: str, registry: Registry | None) -> Iterator[Scheduler]:
    """Schedulers of stacks of a software: those whose family its name begins with, then those that are cited
    under a name that it begins with.
    """
    if registry is None or not wanted:
        return
    said = [head for head in registry.heads() if head.schedules]
    of = [head for head in said if head.family and wanted.startswith(head.family)]
    of += [head for head in said if any(wanted.startswith(name.lower()) for name in head.software)]
    yield from (one for head in of if (one := registry.stack(head.name).scheduler) is not None)


def rules_of(
    stack: Stack,
    rules: Rules | None = None,
    policy: str = "",
    chunk: float | None = None,
    software: str = "",
    longest: float = 0.0,
    registry: Registry | None = None,
) -> Rules:
    """Return the rules of a stack's engine; under a bound nothing lies between a user and the chip.

    Args:
        stack: The software.
        rules: Of what no engine has a default of its own here: blocks, sequences at most, waiting. What it
            says was compiled counts before the engine's default.
        policy, chunk: Asked for instead of the engine's.
        software: That really ran, where a stack of other software stands for it.
        longest: Tokens of the longest request with its answer; 0 where it is not known.
        registry: Has the other stacks of a family (see `scheduler_of`).

    Example:
        >>> import inferbench as ib
        >>> rules_of(ib.installed().stack("vllm-h100")).chunk
        2048.0
    """
    own, given = scheduler_of(stack, registry, software), rules or Rules()
    shapes = float(own.computed_batch), float(own.computed_positions)
    compiled = given.compiled if any(given.compiled) else shapes
    usual = longest if longest and own.longest else float(own.chunk or compiled[1] or own.tokens)
    found = attrs.evolve(
        given,
        policy=policy or own.policy,
        chunk=chunk or usual,
        whole=own.whole,
        compiled=compiled,
        most=min(given.most, compiled[0] or given.most),
        turns=own.turns,
    )
    return found if stack.ideal else attrs.evolve(found, entry=ENTRY, lag=LAG)
