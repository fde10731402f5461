"""What whole steps may fix, within which bounds, and what data would settle it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inferbench.errors import InferBenchError, suggest
from inferbench.records.free import Free
from inferbench.records.host import Host

__all__ = ["ENERGY", "NODES", "SHARE", "Free", "step_form"]

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
