"""The bound of a step: what no schedule of the same work on the same chips beats.

Operators may overlap with each other as they like: other microbatches, other layers, prefetched weights,
fused kernels. Two things remain. An engine is busy as long as it is busy, so that a stage takes at least
its longest engine's total. And one sequence passes through its operators one after the other, so that a step
takes at least the latencies of that chain. They don't add up, because another part of the batch may use the
engines meanwhile. Stages of a pipeline count as busy side by side, each with its whole batch in one piece:
any microbatching keeps its engines busy at least as long. The host is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from inferbench.model.partition import Stages, Sums
from inferbench.records.overlap import maximum_of

__all__ = ["longest_stage", "step_bound"]


def longest_stage(busy: Mapping[str, Mapping[str, Any]], pieces: Stages, layers: int) -> Any:
    """Longest total busy time of any engine in any stage, seconds.

    Args:
        busy: Engine to unit (`embedding`, `layer`, `head`) to seconds of all its operators.
        pieces: How the layers are cut.
        layers: Layers that are cut.
    """
    longest: list[Any] = [0.0]
    for by_unit in busy.values():
        longest += Sums(**by_unit).per_stage(pieces, layers)
    return maximum_of(longest)


def step_bound(busy: Mapping[str, Any], chain: Any) -> Any:
    """Bound of a step in one stage: the longest engine's total, or the chain of latencies.

    Args:
        busy: Engine to seconds of all operators.
        chain: Seconds that one sequence waits on its way through the operators.

    Example:
        >>> float(step_bound({"compute": 2.0, "memory.hbm": 3.0}, 0.5))
        3.0
    """
    return np.maximum(maximum_of(list(busy.values())), chain)
