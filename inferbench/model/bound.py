"""The bound of a step: what no schedule of the same work on the same chips beats.

Operators may overlap with each other as they like: other microbatches, other layers, prefetched weights,
fused kernels. Two things remain. An engine is busy as long as it is busy, so that a stage takes at least
its longest engine's total. And one sequence passes through its operators one after the other, so that a step
takes at least the latencies of that chain. They don't add up, because another part of the batch may use the
engines meanwhile. Stages of a pipeline count as busy side by side, each with an equal share. However layers
and batch are cut, they compute their operations, at the peak at best, move their bytes, and read their
weights at least once. The host is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from inferbench.num import Numeric
from inferbench.records.overlap import maximum_of

__all__ = ["step_bound"]


def step_bound(busy: Mapping[str, Numeric], chain: Numeric) -> Numeric:
    """Bound of a step in one stage: the longest engine's total, or the chain of latencies.

    Args:
        busy: Engine to seconds of all operators.
        chain: Seconds that one sequence waits on its way through the operators.

    Example:
        >>> float(step_bound({"compute": 2.0, "memory.hbm": 3.0}, 0.5))
        3.0
    """
    return np.maximum(maximum_of(list(busy.values())), chain)
