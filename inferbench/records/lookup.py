"""Looking up a stack's figures for an operator: from special to general, by precision, constant or depending
on size.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from inferbench.num import Array, Numeric, curve
from inferbench.records.op import Op
from inferbench.records.precision import PrecisionName, stored
from inferbench.records.variants import Names

__all__ = ["Curve", "Efficiency", "Lookup", "Table", "entry"]


@attrs.frozen
class Curve:
    """An efficiency that depends on an op's size, linear between points in log size and flat outside.

    Attributes:
        over: Field of the op (`m`), or `useful` or `bytes`.
        points: (size, efficiency) pairs, sizes rising.
    """

    over: str
    points: tuple[tuple[float, float], ...]

    def at(self, op: Op) -> Numeric:
        """Evaluate for an op; an op without such a field gets the last point's value."""
        size = op.bytes.total if self.over == "bytes" else getattr(op, self.over, self.points[-1][0])
        return curve(self.points, np.maximum(size, 1e-30))


Efficiency = float | Curve
Table = Mapping[str, Efficiency]


@attrs.frozen(eq=False)
class Lookup:
    """Looks up entries for one operator under one set of names."""

    op: Op
    names: Names
    formats: tuple[str, ...]
    cache: dict[object, list[Efficiency]]

    def find(self, label: str, table: Table, default: float) -> Numeric:
        """Return the entry of a table, along the precision axis where entries differ."""
        if not table:
            return default
        op, formats = self.op, self.formats
        key = (label, self.names, op.precision.names, formats)
        entries = self.cache.get(key)
        if entries is None:
            entries = self.cache[key] = [
                entry(table, self.names, point, formats[i] if formats else point.compute, default)
                for i, point in enumerate(op.precision.points)
            ]
        if all(entry == entries[0] for entry in entries):
            first = entries[0]
            return first.at(op) if isinstance(first, Curve) else first
        plain = [entry for entry in entries if not isinstance(entry, Curve)]
        if len(plain) == len(entries):
            return op.precision.along_axis(plain)
        return _mixed(entries, op)


def entry(table: Table, names: Names, point: PrecisionName, computed: str, default: float) -> Efficiency:
    """Return the most special entry of a table for one precision.

    Args:
        table: Keys like `gemm`, `gemm.fp8`, `attention.generation.kv8`, `default`.
        names: Of the operator, special to general.
        point: The precision.
        computed: The format that the chip computes it in.
        default: Where there is no entry.
    """
    for name in names:
        width = (f"{name}.kv{8 * stored(point.kv):g}",) if name.startswith("attention") else ()
        for key in (f"{name}.{point.name}", *width, f"{name}.{computed}", name):
            if key in table:
                return table[key]
    return table.get(f"default.{computed}", table.get("default", default))


def _mixed(entries: list[Efficiency], op: Op) -> Array:
    result: Numeric = 0.0
    for i, entry in enumerate(entries):
        mask = op.precision.along_axis([float(j == i) for j in range(len(entries))])
        result = result + mask * (entry.at(op) if isinstance(entry, Curve) else entry)
    return np.asarray(result)
