"""`OpRow`: one operator of a run's breakdown."""

from __future__ import annotations

import math
from collections.abc import Mapping

from inferbench.num import Numeric
from inferbench.records.immutable import frozen

__all__ = ["OpRow"]


@frozen(eq=False)
class OpRow:
    """One operator of the breakdown: arrays over the grid, all of its executions together.

    Attributes:
        seconds: Under the stack.
        model: Under the ideal stack.
        useful: Operations of the whole system.
        moved: Bytes of the whole system.
        busy: Engine to seconds.
        launch: Seconds under the stack that it would take without work.
        log_error: Log standard error of `seconds`; NaN where none is known.
    """

    name: str
    kind: str
    repeat: Numeric
    useful: Numeric
    moved: Numeric
    busy: Mapping[str, Numeric]
    exposed: Mapping[str, Numeric]
    model: Numeric
    seconds: Numeric
    launch: Numeric = 0.0
    log_error: Numeric = math.nan
