"""NVIDIA's NVLink domains and power limits."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

import inferbench as ib

__all__ = ["LINKS", "inferbench_chips", "nvlink"]

# Links of a GPU and bytes per second of one of them in one direction, by generation: NVIDIA's white papers of
# Volta, Ampere, Hopper and Blackwell.
LINKS = {2: (6, 25e9), 3: (12, 25e9), 4: (18, 25e9), 5: (18, 50e9)}


def nvlink(generation: int, gpus: int) -> ib.Link:
    """The link of a domain of GPUs behind NVSwitches.

    Args:
        generation: Of NVLink, 2 to 5.
        gpus: Of the domain.

    Raises:
        InferBenchError: An unknown generation.

    Example:
        >>> nvlink(5, 72).bandwidth
        900000000000.0
    """
    if generation not in LINKS:
        known = ", ".join(map(str, LINKS))
        raise ib.InferBenchError.at(f"NVLink {generation}", "no such generation", f"known are {known}")
    links, each = LINKS[generation]
    return ib.Link("switch", bandwidth=links * each, size=gpus, reduction=generation >= 4)


@ib.hookimpl
def inferbench_chips() -> Iterator[Traversable]:
    """Yield a smaller domain, and a lower limit of power."""
    yield files(__name__) / "chips"
