"""Interconnect models for InferBench: switch, full mesh, ring, torus and mesh."""

from __future__ import annotations

from collections.abc import Iterator

import inferbench as ib
from inferbench_fabrics.fabrics import FullMesh, Mesh, Ring, Switch, Torus

__all__ = ["FullMesh", "Mesh", "Ring", "Switch", "Torus", "inferbench_fabrics"]


@ib.hookimpl
def inferbench_fabrics() -> Iterator[ib.Fabric]:
    """Yield the five fabrics of this package."""
    yield Switch()
    yield FullMesh()
    yield Ring()
    yield Torus()
    yield Mesh()
