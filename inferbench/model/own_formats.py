"""Precisions that every chip has its own name for: the fastest format of so many bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inferbench.discovery.paired import architecture_of
from inferbench.discovery.registry import Registry
from inferbench.records.chip import Chip

__all__ = ["OWN", "own_formats"]

# Of equally fast formats a chip takes the first.
OWN = {"8bit": ("fp8", "int8")}


def own_formats(names: Sequence[str], chip: Chip, registry: Registry) -> tuple[list[str], dict[str, str]]:
    """Replace names like `8bit` by the format of that width in which a chip computes fastest.

    Args:
        names: Precisions as asked for.
        chip: Whose formats they become.
        registry: Knows the chip's architecture, whose peaks decide.

    Returns:
        Precisions that have one meaning, and a note where the format is not the usual one.

    Example:
        >>> import inferbench
        >>> known = inferbench.installed()
        >>> own_formats(["8bit", "bf16"], known.chip("tpu-v5p"), known)[0]
        ['int8', 'bf16']
    """
    architecture = architecture_of(chip, registry)
    found, notes = [], {}
    for name in (one if one in OWN else registry.alias("precisions", one) for one in names):
        formats = OWN.get(name, ())
        rates = [np.nan_to_num(architecture.peak(chip, one), nan=-1.0) for one in formats]
        own = formats[int(np.argmax(rates))] if formats else name
        found.append(own)
        if own not in (name, *formats[:1]):
            notes[name] = f"{chip.title}: 8 bits are {own}, its fastest format of that width"
    return found, notes
