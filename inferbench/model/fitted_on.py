"""The chips that a stack was fitted on, as far as they are here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from inferbench.errors import InferBenchError
from inferbench.records.chip import Chip
from inferbench.specs.heads import Headed

if TYPE_CHECKING:
    from inferbench.discovery.registry import Registry

__all__ = ["fitted_on"]


def fitted_on(stack: Headed, registry: Registry) -> Iterator[Chip]:
    """Yield the chips of a stack's domain that are installed and can be read; `doctor` names the others.

    Args:
        stack: A stack, or its head.
        registry: Of what is installed.

    Example:
        >>> import inferbench
        >>> known = inferbench.installed()
        >>> list(fitted_on(known.stack("ideal"), known))
        []
    """
    known = registry.entries("chips")
    for name in stack.domain.chips:
        if name in known:
            try:
                yield registry.chip(name)
            except InferBenchError:
                continue
