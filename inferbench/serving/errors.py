"""How far schedulers differ from the ones that are replayed, beside the errors of their steps."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["SCHEDULER"]

# Log standard errors, from closed loops on which the two figures of `schedulers` were not fitted:
# docs/results/serving.md.
SCHEDULER: Mapping[str, float] = {"ttft_s": 0.45, "tpot_s": 0.10, "itl_s": 0.10, "e2e_s": 0.10, "rate": 0.10}
