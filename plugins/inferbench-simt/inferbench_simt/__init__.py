"""SIMT architectures (GPUs): the roofline, and how tiles fill the multiprocessors if a stack says how it
tiles.
"""

from __future__ import annotations

from collections.abc import Iterator

import inferbench as ib
from inferbench_simt.model import Params, Simt, Tuning

__all__ = ["Params", "Simt", "Tuning", "inferbench_architectures"]


@ib.hookimpl
def inferbench_architectures() -> Iterator[ib.Architecture]:
    """Yield the SIMT model."""
    yield Simt()
