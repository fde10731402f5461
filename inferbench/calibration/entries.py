"""The entries of a fitted stack: each kernel's own, and those that keep figures of other kernels away from
it.

A kernel without an entry in a table takes that of what it is a kind of: an encoder that of prompts, a
width of the cache that of 16 bits, all of them `default`, or what the stack is based on has. A fit knows
none of these. So wherever a lookup would find something else than the fit had, the entry is written, even
if it is the value that says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inferbench.calibration.kernels import Kernel
from inferbench.records.lookup import PerKernel, entry
from inferbench.records.stack import Stack
from inferbench.records.time_model import TimeModel
from inferbench.records.variants import variants

if TYPE_CHECKING:
    from inferbench.calibration.fitting import Fitted

__all__ = ["absent", "beside", "entries", "tables_of"]

Tables = dict[str, dict[str, float | None]]


def absent(model: TimeModel, table: str) -> float | None:
    """The entry of a table that changes nothing; None: that there is no such term.

    Example:
        >>> from inferbench import installed
        >>> [absent(installed().get("time_models", "roofline"), table) for table in ("launch", "overlap")]
        [0.0, inf]
    """
    mark = model.mark(table)
    return 0.0 if mark is None else mark.neutral


def tables_of(stack: Stack | None) -> dict[str, PerKernel]:
    """The tables of a stack that have entries, by path: `launch`, `efficiency.memory`."""
    return {} if stack is None else {path: table for path, (table, _) in stack.tables.items()}


def beside(base: Stack | None, kernel: Kernel) -> dict[str, PerKernel]:
    """What a stack to be based on says of other kinds than the kernel's, with nothing for what the kernel
    fits itself.

    Args:
        base: The stack; None: nothing.
        kernel: What is to be fitted.
    """
    kind = kernel.key.partition(".")[0]
    found: dict[str, PerKernel] = {
        path: {**{k: v for k, v in table.items() if not _is(k, kind)}, kernel.key: absent(kernel.model, path)}
        for path, table in tables_of(base).items()
    }
    for free in kernel.terms:
        if free.of and free.table in found:
            kept = {key: value for key, value in found[free.table].items() if not _is(key, free.of)}
            found[free.table] = {**kept, free.of: free.absent}
    return found


def _is(key: str, name: str) -> bool:
    """Whether a key is of a kind or variant, in whatever precision."""
    return key == name or key.startswith(f"{name}.")


def entries(fits: Sequence[Fitted], base: Stack | None) -> Tables:
    """Return all entries to write, by table.

    Args:
        fits: What was fitted.
        base: What the stack is based on.
    """
    tables: Tables = {}
    theirs = tables_of(base)
    for fitted in fits:
        values = dict(zip((free.path for free in fitted.frees), fitted.values, strict=True))
        kernel = fitted.kernel
        for free in kernel.terms:
            key = free.of + kernel.suffix if free.of else kernel.key
            parts = (table for table in theirs if free.of and table.startswith(f"{free.table}."))
            for table in (free.table, *parts):
                tables.setdefault(table, {})[key] = values.get(free.path, free.absent)
    _fill_collectives(tables)
    for fitted in fits:
        wanted = {
            free.table: value for free, value in zip(fitted.frees, fitted.values, strict=True) if not free.of
        }
        for table in dict.fromkeys([*tables, *theirs]):
            value = _value(fitted.kernel.model, table, wanted)
            _close(tables.setdefault(table, {}), theirs.get(table, {}), fitted.kernel, value)
    return {table: found for table, found in tables.items() if found}


def _value(model: TimeModel, table: str, wanted: Mapping[str, float]) -> float | None:
    """What the fit had in a table; an engine's part (`memory.hbm`) is as the engine."""
    if table not in wanted and table.startswith("efficiency."):
        family = ".".join(table.split(".")[:2])
        return wanted.get(family, absent(model, table))
    return wanted.get(table, absent(model, table))


def _close(mine: dict[str, float | None], theirs: PerKernel, kernel: Kernel, value: float | None) -> None:
    """Add entries until a lookup for the kernel finds the value."""
    for key in ("", kernel.key, f"{kernel.variant}.{kernel.precision}"):
        if key:
            mine[key] = value
        found = _lookup({**theirs, **mine}, kernel)
        if found is _NOTHING or found == value:
            return


_NOTHING = math.nan


def _lookup(table: PerKernel, kernel: Kernel) -> Any:
    """The entry that holds for a kernel, `_NOTHING` where there is none."""
    op = kernel.ops[0]
    return entry(table, variants(op)[0][0], op.precision.points[0], kernel.formats[0], _NOTHING)


def _fill_collectives(tables: Tables) -> None:
    """Give groups of other sizes what the largest measured group has."""
    for found in tables.values():
        keys = [key for key in found if key.startswith("collective.")]
        for key in sorted(keys, key=lambda key: int(key.split(".")[2])):
            found[".".join(key.split(".")[:2])] = found[key]
