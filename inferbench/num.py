"""Arithmetic that accepts a float or an array alike, so that a formula is written once.

Python's `max`, `if`, `and`, `round` and `//` do not broadcast; these do. Everything is float64.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

__all__ = [
    "Array",
    "Column",
    "Indices",
    "Mask",
    "Numeric",
    "ceil_div",
    "curve",
    "fix",
    "grown",
    "maximum",
    "minimum",
    "numbered",
    "round_up",
    "where",
]

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Numeric: TypeAlias = float | Array
Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Indices: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]
Column: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""Of numbers or texts."""

maximum = np.maximum
minimum = np.minimum
where = np.where


def fix(values: Iterable[object]) -> None:
    """Let nobody change the arrays among some values and tables of values; they are no copies.

    Example:
        >>> import numpy as np
        >>> mine = np.ones(2)
        >>> fix([mine, "a", {"b": mine}])
        >>> mine.flags.writeable
        False
    """
    for value in values:
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        elif isinstance(value, Mapping):
            fix(value.values())


def ceil_div(amount: Numeric, size: Numeric) -> Numeric:
    """Return how many pieces of `size` cover `amount`; an excess of 1e-12 of them is rounding noise, not a
    piece.

    The noise allowed never exceeds a millionth of a piece, so that large whole counts stay exact.

    Example:
        >>> float(ceil_div(130.0, 128.0))
        2.0
    """
    pieces = np.asarray(amount, dtype=np.float64) / size
    return np.ceil(pieces - np.minimum(pieces * 1e-12, 1e-6))


def round_up(amount: Numeric, size: Numeric) -> Numeric:
    """Return the smallest multiple of `size` that is at least `amount`.

    Example:
        >>> float(round_up(130.0, 128.0))
        256.0
    """
    return ceil_div(amount, size) * size


def curve(points: Sequence[tuple[float, float]], at: Numeric) -> Numeric:
    """Interpolate between `points` (x > 0, y), linear in log x and flat outside; the empirical efficiency
    curve.

    Example:
        >>> round(float(curve([(1.0, 0.1), (100.0, 0.5)], 10.0)), 9)
        0.3
    """
    xs = np.log(np.array([x for x, _ in points], dtype=np.float64))
    ys = np.array([y for _, y in points], dtype=np.float64)
    return np.interp(np.log(np.asarray(at, dtype=np.float64)), xs, ys)


def numbered(keys: Column) -> tuple[Indices, Indices]:
    """Number the different values: like `numpy.unique` with index and inverse.

    Whole numbers in a narrow range are counted instead of sorted, many times as fast.

    Args:
        keys: Shape (n,).

    Returns:
        Where each value stands first, in the order of the values; and each row's number.

    Example:
        >>> firsts, numbers = numbered(np.array([7.0, 3.0, 7.0]))
        >>> firsts.tolist(), numbers.tolist()
        ([1, 0], [1, 0, 1])
    """
    low, high = (keys.min(), keys.max()) if len(keys) else (0, 0)
    span = int(high - low) + 1 if np.isfinite(low) and np.isfinite(high) else 1 << 62
    if span > 4 * len(keys) + (1 << 16) or not np.array_equal(keys, np.floor(keys)):
        _, firsts, inverse = np.unique(keys, return_index=True, return_inverse=True)
        return firsts, inverse.reshape(-1)
    offsets = (keys - low).astype(np.intp)
    firsts = np.full(span, -1, dtype=np.intp)
    firsts[offsets[::-1]] = np.arange(len(keys) - 1, -1, -1)
    present = np.flatnonzero(firsts >= 0)
    table = np.empty(span, dtype=np.intp)
    table[present] = np.arange(len(present))
    return firsts[present], table[offsets]


def grown(log: Numeric) -> Array:
    """Return `exp(log)`; where that is more than a float holds it is infinite, and nobody is warned.

    Args:
        log: Of a factor; an error that no data narrow may be thousands.

    Example:
        >>> grown(np.array([0.0, 5000.0]))
        array([ 1., inf])
    """
    with np.errstate(over="ignore"):
        return np.exp(np.asarray(log, dtype=np.float64))
