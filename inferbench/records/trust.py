"""How far a time may be off where a stack has no figure of its own, or where software runs another kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from inferbench.records.attention import Attention
from inferbench.records.op import Op

__all__ = ["OTHER_KERNEL", "OUTSIDE", "UNFITTED", "UNFITTED_MOVES", "WIDEST_GROUP", "other_kernel"]

# Log standard error of a kernel beyond what was seen: stacks of one chip differ by a quarter on the same
# work.
OUTSIDE = 0.25
# A kind of kernel without a figure runs at the roofline, which no software beats: the error is one-sided.
# Over 14,000 rows of 64 kinds of kernels in ai-dynamo/aiconfigurator's tables (A100, H100, B200), measured
# over roofline is 1.3 to 17 in the median of a kind, and below 10.0 in nine of ten rows: ln 10 / 1.645 =
# 1.40; the rms of the logs is 1.45.
UNFITTED = 1.4
# The same for what only moves data (norms, activations). Fitted stacks reach 0.19 to 0.53 of the bandwidth
# in such kernels (weighted sums of experts, element-wise kernels of diffusers): up to 5.3 times the
# roofline, ln 5.3 / 1.645 = 1.0.
UNFITTED_MOVES = 1.0
# One new token and more than 32 query heads per key head: libraries switch to another kernel, and its rows
# were left out of the fits. Where ai-dynamo/aiconfigurator's tables have 64 and 32 query heads on one key
# head and the same keys, the former take 7.5 (A100, bf16, 31 pairs) and 5.4 times (B200, 37) as long in the
# median; rms of the logs 2.1 and 2.4.
WIDEST_GROUP = 32
OTHER_KERNEL = 2.2


def other_kernel(op: Op) -> Any:
    """Where an operator is attention of one new token with more than 32 query heads per key head.

    Example:
        >>> from inferbench import Gemm, Precision
        >>> bool(other_kernel(Gemm(name="up", precision=Precision.of(["bf16"]), m=1.0, n=8.0, k=8.0)))
        False
    """
    if not isinstance(op, Attention) or not op.cached:
        return np.asarray(False)
    group = np.asarray(op.heads) / np.asarray(op.kv_heads)
    return (group > WIDEST_GROUP) & (np.asarray(op.queries) <= 1)
