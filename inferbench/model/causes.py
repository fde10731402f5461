"""What a step's time goes to, under its software: engines, launches, the host, the power limit.

An operator's time is put down to the engine that is busy longest, but for what the operator would take if it
had no work: that is launch. The causes of a step add up to its seconds.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from inferbench.num import Mask, Numeric
from inferbench.records.cost import Cost
from inferbench.records.op import Op
from inferbench.records.stack import Stack

__all__ = ["HOST", "LAUNCH", "POWER", "add", "idle_seconds", "whole"]

LAUNCH, HOST, POWER = "launch", "host", "power limit"


def idle_seconds(stack: Stack, cost: Cost, op: Op, formats: tuple[str, ...]) -> Numeric:
    """Seconds that an operator takes under a stack if its engines had nothing to do.

    Args:
        stack: Software.
        cost: Of one execution.
        op: Of which kind and size.
        formats: Compute format per precision.
    """
    busy = {engine: seconds * 0.0 for engine, seconds in cost.busy.items()}
    return stack.time(attrs.evolve(cost, busy=busy, exposed={}), op, formats)


def add(
    causes: dict[str, Numeric], cost: Cost, seconds: Numeric, idle: Numeric, repeat: Numeric
) -> dict[str, Mask]:
    """Put an operator's time down to what it goes to.

    Args:
        causes: Name to seconds, added to.
        cost: Of one execution.
        seconds: Of all executions, under the stack.
        idle: Of one execution without work.
        repeat: Executions.

    Returns:
        Name to where time went to it.

    Example:
        >>> found = {}
        >>> _ = add(found, Cost({"compute": 1.0, "memory.hbm": 3.0}), 10.0, 1.0, 2.0)
        >>> {name: float(value) for name, value in found.items()}
        {'launch': 2.0, 'memory.hbm': 8.0}
    """
    launch = np.minimum(idle * repeat, seconds)
    causes[LAUNCH] = causes.get(LAUNCH, 0.0) + launch
    parts = {**cost.busy, **{f"exposed.{name}": part for name, part in cost.exposed.items()}}
    longest: Numeric = -1.0
    for part in parts.values():
        longest = np.maximum(longest, part)
    left = seconds - launch
    where = {LAUNCH: np.asarray(True)}
    for name, part in parts.items():
        mine = np.asarray(part) >= longest
        if np.any(mine):
            causes[name] = causes.get(name, 0.0) + np.where(mine, left, 0.0)
            left, where[name] = np.where(mine, 0.0, left), mine
    return where


def whole(
    causes: Mapping[str, Numeric], chip: Numeric, step: Numeric, throttle: Numeric
) -> dict[str, Numeric]:
    """Causes of a whole step, which add up to its seconds.

    Args:
        causes: Of the operators of one microbatch, in their proportions.
        chip: Seconds of the step on the chips alone.
        step: The same with the host in it.
        throttle: Factor by which the power limit stretches it.

    Example:
        >>> found = whole({"launch": 1.0, "memory.hbm": 3.0}, 8.0, 9.0, 1.5)
        >>> {name: float(value) for name, value in found.items()}
        {'launch': 2.0, 'memory.hbm': 6.0, 'host': 1.0, 'power limit': 4.5}
    """
    total = sum(causes.values())
    scale = chip / np.where(np.asarray(total) > 0, total, 1.0)
    found = {name: seconds * scale for name, seconds in causes.items()}
    return {**found, HOST: step - chip, POWER: step * (throttle - 1.0)}
