"""`Free`: one parameter that measurements may fix, as its owner declares it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from inferbench.num import Array
from inferbench.records.immutable import frozen

__all__ = ["Free"]


@frozen
class Free:
    """One parameter that measurements may fix: a kernel's, the host's, or a power model's.

    Attributes:
        table: Where it stands: a table of the stack (`launch`, `efficiency.compute`), a field of the host
            (`host.step`), or a figure of a power model (`baseline`, `bytes.hbm`).
        start: Where the search begins; also its scale.
        low, high: The physical range.
        absent: The value that says nothing: what the parameter is where the data can't fix it; None: no
            entry at all.
        settled: Which measurements would fix it.
        of: Variant that the entry is for, where the kernel runs operators of another one beside its own.
        ticks: In how many values the range is searched where a search goes through all of them: no start, no
            local minimum. 0: it is solved for.
        scale: How these values lie in the range.
        needs: Table of the parameter without which this one means nothing.
        unit: Symbol of its unit; empty for shares and factors.
        action: Of a power model: the action that readings must count to say anything of it; empty: any do.

    Example:
        >>> Free("host.kernel", 1e-5, 0.0, 1e-4, 0.0, "networks of many kernels", ticks=3).values.tolist()
        [0.0, 5e-05, 0.0001]
    """

    table: str
    start: float
    low: float
    high: float
    absent: float | None
    settled: str
    of: str = ""
    ticks: int = 0
    scale: Literal["linear", "log"] = "linear"
    needs: str = ""
    unit: str = ""
    action: str = ""

    @property
    def path(self) -> str:
        """The table, and after an @ for what: two parameters may stand in one table."""
        return f"{self.table}@{self.of}" if self.of else self.table

    @property
    def values(self) -> Array:
        """All values that a search goes through."""
        space = np.geomspace if self.scale == "log" else np.linspace
        return np.asarray(space(self.low, self.high, self.ticks), dtype=np.float64)
