"""How busy times overlap: a maximum, a p-norm, and levels of memory that are one path."""

from __future__ import annotations

import numpy as np

from inferbench.num import Numeric

__all__ = ["maximum_of", "one_path", "power_sum"]


def maximum_of(parts: list[Numeric]) -> Numeric:
    """Largest of several broadcastable arrays; 0 for none."""
    if not parts:
        return 0.0
    largest = parts[0]
    for part in parts[1:]:
        largest = np.maximum(largest, part)
    return largest


def power_sum(parts: list[Numeric], p: Numeric) -> Numeric:
    """`(sum x^p)^(1/p)`, two at a time: `high (1 + (low/high)^p)^(1/p)`, so that nothing overflows.

    Two powers per pair; none at all for p of 1 and 2.
    """
    together = maximum_of(parts[:1])
    for part in parts[1:]:
        together = _norm(together, part, p)
    return together


def _norm(one: Numeric, other: Numeric, p: Numeric) -> Numeric:
    if isinstance(p, float | int) and p == 1:
        return one + other
    high, low = np.maximum(one, other), np.minimum(one, other)
    ratio = low / np.where(high > 0, high, 1.0)
    if isinstance(p, float | int) and p == 2:
        return high * np.sqrt(1.0 + ratio * ratio)
    joined: Numeric = high * (1.0 + ratio**p) ** (1.0 / np.asarray(p))
    return joined


def one_path(busy: dict[str, Numeric]) -> dict[str, Numeric]:
    """Join the levels of memory: bytes stream through all of them at the pace of the slowest.

    Args:
        busy: Engine to seconds.

    Returns:
        The same with one entry `memory` for several levels.

    Example:
        >>> joined = one_path({"compute": 1.0, "memory.hbm": 3.0, "memory.l2": 4.0})
        >>> sorted(joined), float(joined["memory"])
        (['compute', 'memory'], 4.0)
    """
    levels = [engine for engine in busy if engine.startswith("memory.")]
    if len(levels) < 2:
        return busy
    others = {engine: seconds for engine, seconds in busy.items() if engine not in levels}
    return {**others, "memory": maximum_of([busy[level] for level in levels])}
