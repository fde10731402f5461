"""What may be fitted for each kind of kernel, within which bounds, and what data would settle it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs

__all__ = ["Free", "form"]


@attrs.frozen
class Free:
    """One parameter of a stack that measurements may fix.

    Attributes:
        table: Table of the stack: `launch`, `efficiency.compute`.
        start: Where the search begins; also its scale.
        low, high: The physical range.
        absent: The value that says nothing: what the parameter is where the data can't fix it.
        settled: Which measurements would fix it.
        of: Flavour that the entry is for, where the kernel runs operators of another one beside its own.
    """

    table: str
    start: float
    low: float
    high: float
    absent: float
    settled: str
    of: str = ""

    @property
    def path(self) -> str:
        """The table, and after an @ for what: two parameters may stand in one table."""
        return f"{self.table}@{self.of}" if self.of else self.table


COMPUTE = Free("efficiency.compute", 0.7, 0.005, 1.0, 1.0, "shapes so large that arithmetic takes longest")
MEMORY = Free("efficiency.memory", 0.8, 0.05, 1.0, 1.0, "shapes of many bytes and little arithmetic")
OVERLAP = Free("overlap", 2.0, 1.0, 12.0, math.inf, "shapes whose arithmetic and bytes take about as long")
LAUNCH = Free("launch", 5e-6, 0.0, 1e-3, 0.0, "shapes so small that nothing but the launch takes time")
STARTUP = Free("startup", 5e-6, 0.0, 1e-3, 0.0, "small shapes of different sizes")
DEPTH = Free("depth", 2.5e-10, 0.0, 1e-7, 0.0, "small results with long inner loops")
SERIAL = Free("serial", 1e-10, 0.0, 1e-7, 0.0, "one sequence of each of many lengths")
RAMP = Free("ramp", 5e-6, 0.0, 1e-3, 0.0, "shapes of a few to hundreds of megabytes")
RAMP_BYTES = Free("ramp_bytes", 2e7, 1e5, 1e9, 0.0, "shapes of a few to hundreds of megabytes")
LAST = Free("tail", 0.5, 0.0, 1.0, -1.0, "a few waves of tiles beside many")
PIECE = Free("piece", 1e3, 64.0, 1e6, math.inf, "few sequences of each of many lengths")
CONVERT = Free("efficiency.convert", 0.5, 0.02, 1.0, math.inf, "large activations")
COMBINE = Free(
    "efficiency.memory", 0.5, 0.02, 1.0, 1.0, "many tokens to narrow experts", of="elementwise.experts"
)
NETWORK = Free("efficiency.network", 0.8, 0.02, 1.0, 1.0, "messages of a hundred megabytes")

PROLOGUE = Free("tuning.prologue", 100.0, 0.0, 3000.0, 0.0, "short inner loops beside long ones")
TAIL = Free("tuning.tail", 0.5, 0.0, 1.0, 1.0, "results just above and just below a whole number of waves")
SHRINK = Free("tuning.shrink", 0.2, 0.0, 2.0, 0.0, "small results beside large ones")

FORMS: Mapping[str, tuple[Free, ...]] = {
    "gemm": (COMPUTE, MEMORY, OVERLAP, LAUNCH, DEPTH),
    "gemm.experts": (COMPUTE, MEMORY, OVERLAP, LAUNCH, DEPTH, COMBINE),
    "attention.context": (COMPUTE, MEMORY, OVERLAP, LAUNCH, DEPTH, LAST, CONVERT),
    "attention.encoder": (COMPUTE, MEMORY, OVERLAP, LAUNCH, DEPTH, LAST),
    "attention.generation": (COMPUTE, MEMORY, OVERLAP, LAUNCH, STARTUP, SERIAL, PIECE, RAMP, RAMP_BYTES),
    "collective": (NETWORK, OVERLAP, LAUNCH, STARTUP, RAMP, RAMP_BYTES),
}


def form(variant: str, narrow: bool = False, tiled: bool = False) -> tuple[Free, ...]:
    """Return the parameters of a variant: its own form, or that of what it is a kind of.

    Args:
        variant: `gemm`, `attention.generation.mha`, …
        narrow: Whether activations are stored in fewer than 16 bits, so that a kernel before must convert
            them.
        tiled: Whether the stack says how the architecture tiles these products, so that waves are counted.

    Example:
        >>> [free.table for free in form("gemm", narrow=True)][-1]
        'efficiency.convert'
    """
    name = variant
    while name not in FORMS and "." in name:
        name = name.rpartition(".")[0]
    frees = FORMS.get(name, (COMPUTE, MEMORY, OVERLAP, LAUNCH))
    if not name.startswith("gemm"):
        return frees
    return (*frees, *((CONVERT,) if narrow else ()), *((PROLOGUE, TAIL, SHRINK) if tiled else ()))
