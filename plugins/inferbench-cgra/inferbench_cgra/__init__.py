"""Coarse-grained reconfigurable arrays backed by HBM (SambaNova SN40L): fused kernels and what loading them
costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

import inferbench as ib
from inferbench_cgra.kernel import Fused
from inferbench_cgra.model import Cgra, CgraParams, CgraTuning

__all__ = ["Cgra", "CgraParams", "CgraTuning", "Fused"]


@ib.hookimpl
def inferbench_architectures() -> Iterator[ib.Architecture]:
    """Yield the model that `[architecture] type = "cgra"` names."""
    yield Cgra()


@ib.hookimpl
def inferbench_stacks() -> Iterator[Traversable]:
    """Yield the fitted software states."""
    yield files(__name__) / "stacks"
