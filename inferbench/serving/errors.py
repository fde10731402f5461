"""How far schedulers differ from the ones that are replayed, beside the errors of their steps."""

from __future__ import annotations

from collections.abc import Mapping

from inferbench.records.stack import Stack

__all__ = ["SCHEDULER", "scheduler_error"]

# Log standard errors, from closed loops on which the two figures of `schedulers` were not fitted:
# docs/results/serving.md.
SCHEDULER: Mapping[str, float] = {"ttft_s": 0.45, "tpot_s": 0.10, "itl_s": 0.10, "e2e_s": 0.10, "rate": 0.10}


def scheduler_error(figure: str, stack: Stack) -> float:
    """Return the log standard error of a figure beside that of its steps.

    A stack that was fitted on servers under load has the scheduler's in its own. That of first tokens is
    beside it still: times per token were fitted, not times to the first.

    Args:
        figure: A time (`ttft_s`), or `rate`.
        stack: The software.
    """
    return 0.0 if stack.domain.loaded and figure != "ttft_s" else SCHEDULER[figure]
