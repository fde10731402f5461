"""Looking up a stack's figures for an operator: from special to general, by precision, constant or depending
on size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from inferbench.num import Array, Mask, Numeric, curve
from inferbench.records.immutable import frozen
from inferbench.records.op import Op
from inferbench.records.precision import PrecisionName, stored
from inferbench.records.variants import Names

__all__ = ["Curve", "Figure", "Lookup", "PerKernel", "entry"]


@frozen
class Curve:
    """A figure that depends on an op's size, linear between points in log size and flat outside.

    Attributes:
        over: Field of the op (`m`), or `useful` or `bytes`.
        points: (size, figure) pairs, sizes rising.
    """

    over: str
    points: tuple[tuple[float, float], ...]

    def at(self, op: Op) -> Numeric:
        """Evaluate for an op; an op without such a field gets the last point's value."""
        size = op.bytes.total if self.over == "bytes" else getattr(op, self.over, self.points[-1][0])
        return curve(self.points, np.maximum(size, 1e-30))


Figure = float | Curve
PerKernel = Mapping[str, Figure | None]
"""Kind of kernel (`gemm.fp8`) to a figure; None: no such term, though a more general key has one."""


@frozen(eq=False)
class Lookup:
    """Looks up entries for one operator under one set of names.

    Attributes:
        op: The operator.
        names: Its names, special to general.
        formats: What the chip computes in, per precision, where it differs from the precision's own.
        cache: Entries found before, of one stack.
    """

    op: Op
    names: Names
    formats: tuple[str, ...]
    cache: dict[object, list[Any]]

    def find(self, label: str, table: PerKernel, default: float) -> Numeric:
        """Return the entry of a table, along the precision axis where entries differ.

        Args:
            label: Name of the table, unique within a stack.
            table: By kind of kernel.
            default: Where no entry stands, or one that says that there is none.
        """
        if not table:
            return default
        op = self.op
        entries: list[Figure] = self._entries(label, table, default)
        first = entries[0]
        if len(entries) == 1 or all(entry == first for entry in entries):
            return first.at(op) if isinstance(first, Curve) else first
        plain = [entry for entry in entries if not isinstance(entry, Curve)]
        if len(plain) == len(entries):
            return op.precision.along_axis(plain)
        return _mixed(entries, op)

    def has(self, label: str, table: PerKernel) -> Mask | bool:
        """Whether a table has an entry, along the precision axis where that differs."""
        if not table:
            return False
        found = [one is not None for one in self._entries(f"has {label}", table, None)]
        return found[0] if len(set(found)) == 1 else self.op.precision.along_axis(list(map(float, found))) > 0

    def _entries(self, label: str, table: PerKernel, default: float | None) -> list[Any]:
        op, formats = self.op, self.formats
        key = (label, self.names, op.precision.points, formats)
        entries = self.cache.get(key)
        if entries is None:
            found = (
                entry(table, self.names, point, formats[i] if formats else point.compute, default)
                for i, point in enumerate(op.precision.points)
            )
            entries = self.cache[key] = [default if one is None else one for one in found]
        return entries


def entry(
    table: PerKernel, names: Names, point: PrecisionName, computed: str, default: float | None
) -> Figure | None:
    """Return the most special entry of a table for one precision.

    Args:
        table: Keys like `gemm`, `gemm.fp8`, `attention.generation.kv8`, `default`.
        names: Of the operator, special to general.
        point: The precision.
        computed: The format that the chip computes it in.
        default: Where there is no entry.
    """
    formats = point.kernel_format if point.weights != point.activations else point.compute
    for name in names:
        width = (f"{name}.kv{8 * stored(point.kv):g}",) if name.startswith("attention") else ()
        for key in (f"{name}.{point.name}", *width, f"{name}.{formats}", f"{name}.{computed}", name):
            if key in table:
                return table[key]
    return table.get(f"default.{computed}", table.get("default", default))


def _mixed(entries: list[Figure], op: Op) -> Array:
    result: Numeric = 0.0
    for i, entry in enumerate(entries):
        mask = op.precision.along_axis([float(j == i) for j in range(len(entries))])
        result = result + mask * (entry.at(op) if isinstance(entry, Curve) else entry)
    return np.asarray(result)
