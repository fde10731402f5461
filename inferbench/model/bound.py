"""The bound of a step: what no schedule of the same work on the same chips beats.

Operators may overlap with each other as they like: other microbatches, other layers, prefetched weights,
fused kernels. Two things remain. An engine is busy as long as it is busy, so that a stage takes at least
its longest engine's total. And one sequence passes through its operators one after the other, so that a step
takes at least the latencies of that chain. They don't add up, because another part of the batch may use the
engines meanwhile. Stages of a pipeline count as busy side by side. However the batch is cut, each computes
its operations, at the peak, moves its bytes, and reads its weights at least once. The host is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from inferbench.model.partition import Stages, Sums
from inferbench.num import Numeric
from inferbench.records.overlap import maximum_of

__all__ = ["longest_stage", "step_bound"]


def longest_stage(
    busy: Mapping[str, Mapping[str, Any]],
    once: Mapping[str, Mapping[str, Any]],
    pieces: Stages,
    layers: int,
    passes: Numeric,
) -> Any:
    """Longest total busy time of any engine in any stage, seconds.

    Args:
        busy: Engine to unit (`embedding`, `layer`, `head`) to seconds of a microbatch.
        once: The same of what needn't be repeated for every microbatch: reading weights.
        pieces: How the layers are cut.
        layers: Layers that are cut.
        passes: Microbatches.
    """
    longest: list[Any] = [0.0]
    for engine, by_unit in busy.items():
        every = Sums(**by_unit).per_stage(pieces, layers)
        fixed = Sums(**once.get(engine, {})).per_stage(pieces, layers)
        longest += [
            passes * all_ - (passes - 1.0) * np.minimum(part, all_)
            for all_, part in zip(every, fixed, strict=True)
        ]
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
