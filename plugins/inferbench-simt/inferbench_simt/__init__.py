"""SIMT architectures (GPUs): the roofline, and how tiles fill the multiprocessors if a stack says how it
tiles.
"""

from __future__ import annotations

from collections.abc import Iterator

import inferbench as ib
from inferbench_simt.grouped_kernel import GroupedFigures, GroupedKernel
from inferbench_simt.model import Params, Simt, Tuning
from inferbench_simt.paged_kernel import PagedFigures, PagedKernel
from inferbench_simt.tiled_kernel import TiledFigures, TiledKernel

__all__ = [
    "GroupedFigures",
    "GroupedKernel",
    "PagedFigures",
    "PagedKernel",
    "Params",
    "Simt",
    "TiledFigures",
    "TiledKernel",
    "Tuning",
    "inferbench_architectures",
    "inferbench_time_models",
]


@ib.hookimpl
def inferbench_architectures() -> Iterator[ib.Architecture]:
    """Yield the SIMT model."""
    yield Simt()


@ib.hookimpl
def inferbench_time_models() -> Iterator[ib.TimeModel]:
    """Yield the time models of kernels in tiles."""
    yield TiledKernel()
    yield PagedKernel()
    yield GroupedKernel()
