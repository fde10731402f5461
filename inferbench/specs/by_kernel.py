"""Reading a table with an entry per kind of kernel: figures, curves, and what has no such term."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from inferbench.records.kernel_tables import ByKernel
from inferbench.records.lookup import Curve, Figure

__all__ = ["read_by_kernel"]

Complain = Callable[[str, str, str], None]
_CURVE = 'a curve needs at least one point, like { over = "m", points = [[32, 0.15], [128, 0.7]] }'


def read_by_kernel(raw: object, mark: ByKernel, path: str, fault: Complain) -> dict[str, Figure | None]:
    """Read `kind = x`, `"kind.format" = x`, curves, and `false`; nested tables are dotted keys.

    Args:
        raw: From TOML.
        mark: How an entry is written.
        path: Of the table in the file.
        fault: Takes key path, what is wrong, and the remedy.
    """
    if not isinstance(raw, Mapping):
        said = f"{raw!r} stands where a table was expected"
        fault(path, said, f"write it like [{path}] default = {mark.example}")
        return {}
    entries: dict[str, Figure | None] = {}
    for key, value in raw.items():
        if isinstance(value, Mapping) and "over" not in value:
            nested = read_by_kernel(value, mark, f"{path}.{key}", fault)
            entries |= {f"{key}.{inner}": one for inner, one in nested.items()}
            continue
        try:
            entries[key] = _curve(value, mark) if isinstance(value, Mapping) else mark.read(value)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            fault(f"{path}.{key}", str(error), f"write {key} = {mark.example}, or leave it out")
    return entries


def _size(value: Any) -> float:
    """A size as a number; one of more digits than numbers have is none."""
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise ValueError("the size of a curve's point is not finite")
    return found


def _curve(raw: Mapping[str, object], mark: ByKernel) -> Curve:
    points = []
    for x, y in raw.get("points", ()):  # type: ignore[attr-defined]
        value = mark.read(y)
        if value is not None:
            points.append((_size(x), value))
    if not points:
        raise ValueError(_CURVE)
    if points != sorted(points) or points[0][0] <= 0:
        raise ValueError("the sizes of a curve's points must rise and be above 0")
    return Curve(str(raw["over"]), tuple(points))
