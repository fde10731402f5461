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

from collections.abc import Mapping, Sequence

import numpy as np

from inferbench.num import Numeric
from inferbench.records.op import Op
from inferbench.records.overlap import maximum_of
from inferbench.records.placement import Site

__all__ = ["roofline", "step_bound"]


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


def roofline(whole: Sequence[Op], site: Site) -> tuple[Numeric, Numeric]:
    """Sum over ops of max(ops / rate, compulsory bytes / bandwidth), and the compulsory bytes.

    Compulsory: weights and state once, and what enters or leaves the graph; no intermediates.

    Args:
        whole: The network's operators, unsharded.
        site: One chip.

    Returns:
        Seconds on one chip, to be shared among all; bytes.
    """
    total: Numeric = 0.0
    compulsory: Numeric = 0.0
    for op in whole:
        levels: dict[str, Numeric] = {}
        touched = op.bytes
        for role, amount in (
            ("weights", touched.weights),
            ("state", touched.state),
            ("inputs", op.graph_bytes),
        ):
            if isinstance(amount, float) and amount == 0.0:
                continue
            shares = site.placement.shares(op, role) or ({} if role != "inputs" else {site.chip.main: 1.0})
            for level, share in shares.items():
                part = amount if isinstance(share, float) and share == 1.0 else amount * share
                levels[level] = levels[level] + part if level in levels else part
        time: Numeric = op.useful / site.rate(op)
        for level, amount in levels.items():
            time = np.maximum(time, amount / site.bandwidth(level))
            compulsory = compulsory + amount * op.repeat
        total = total + time * op.repeat
    return total, compulsory
