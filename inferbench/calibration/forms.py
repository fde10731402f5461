"""What may be fitted for each kind of kernel, within which bounds, and what data would settle it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from inferbench.errors import InferBenchError, suggest
from inferbench.records.free import Free
from inferbench.records.host import Host

__all__ = ["ENERGY", "NODES", "SHARE", "Free", "form", "step_form"]


COMPUTE = Free("efficiency.compute", 0.7, 0.005, 1.0, 1.0, "shapes so large that arithmetic takes longest")
MEMORY = Free("efficiency.memory", 0.8, 0.05, 1.0, 1.0, "shapes of many bytes and little arithmetic")
OVERLAP = Free("overlap", 2.0, 1.0, 12.0, math.inf, "shapes whose arithmetic and bytes take about as long")
LAUNCH = Free(
    "launch", 5e-6, 0.0, 1e-3, 0.0, "shapes so small that nothing but the launch takes time", unit="s"
)
STARTUP = Free("startup", 5e-6, 0.0, 1e-3, 0.0, "small shapes of different sizes", unit="s")
DEPTH = Free("depth", 2.5e-10, 0.0, 1e-7, 0.0, "small results with long inner loops", unit="s")
SERIAL = Free("serial", 1e-10, 0.0, 1e-7, 0.0, "one sequence of each of many lengths", unit="s")
RAMP = Free("ramp", 5e-6, 0.0, 1e-3, 0.0, "shapes of a few to hundreds of megabytes", unit="s")
RAMP_BYTES = Free("ramp_bytes", 2e7, 1e5, 1e9, 0.0, "shapes of a few to hundreds of megabytes", unit="B")
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


# What whole steps may fix beside the host's own: the share of the bandwidth that kernels without a figure
# reach, and what an operation spends beside what is counted.
SHARE = Free(
    "efficiency.memory",
    0.3,
    0.05,
    1.0,
    1.0,
    "networks with much element-wise work, at batches that hide the host",
    of="default",
    ticks=200,
    scale="log",
)
ENERGY = Free("energy.ops", 1.0, 0.5, 11.95, 1.0, "steps whose mean power was read", ticks=230)
# Steps are evaluated at so many shares, and interpolated between them in logarithms.
NODES = 25
STEPS: Mapping[str, Free] = {**Host.free, SHARE.table: SHARE, ENERGY.table: ENERGY}
USUAL = ("host.step", "host.sequence")


def step_form(names: Sequence[str] = ()) -> tuple[Free, ...]:
    """Return the parameters of a whole step by their tables; host time per pass and sequence where none is
    named.

    Raises:
        InferBenchError: A name that no parameter has.

    Example:
        >>> [free.table for free in step_form()]
        ['host.step', 'host.sequence']
    """
    for name in names:
        if name not in STEPS:
            raise InferBenchError.at(
                "--free",
                f"no parameter of a step is called '{name}'",
                suggest(name, STEPS) or f"known are {', '.join(STEPS)}",
            )
    return tuple(STEPS[name] for name in names or USUAL)
