"""Flexibility seen from outside: how often a system is among the best that money or power can buy.

A point passes if the system does it at all and delivers at least half of the best rate per dollar, or per
watt, of a fixed set of reference systems. The mark does not depend on the system that is judged. So taking
a capability away from it never raises its score: each of its rates falls or stays, each mark stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from inferbench.num import Array

__all__ = ["HALF", "Flexibility", "marks", "share"]

# Of the best: what still passes.
HALF = 0.5


@attrs.frozen(eq=False)
class Flexibility:
    """Shares of the points of a space, 0 to 1; NaN where a price or a power is not known.

    Attributes:
        per_dollar, per_watt: At least half of the best reference system, on the same terms.
        inner: At least half of what the resource that binds allows the system itself; it can be won by
            removing resources and stands beside the others, not above them.
        fits: The network and its cache fit.
    """

    per_dollar: float
    per_watt: float
    inner: float
    fits: float


def marks(references: Sequence[Array]) -> Array:
    """Return the best rate at each point over the reference systems; 0 where none does the point.

    Args:
        references: Per system: items per second and dollar or watt, 0 where infeasible, NaN where not known.

    Example:
        >>> marks([np.array([1.0, 0.0]), np.array([0.5, 2.0])]).tolist()
        [1.0, 2.0]
    """
    if not references:
        return np.zeros(0)
    best: Array = np.nan_to_num(np.stack(references), nan=0.0).max(axis=0)
    return best


def share(rates: Array, best: Array) -> float:
    """Return the share of points at which a system delivers at least half of the best.

    Points that no reference system does count for who does them. NaN where the system's rates are not known.

    Args:
        rates: Items per second and dollar or watt, 0 where infeasible.
        best: From `marks`.

    Example:
        >>> share(np.array([0.6, 0.9, 0.0]), np.array([1.0, 2.0, 1.0]))
        0.3333333333333333
    """
    if not len(rates) or np.isnan(rates[rates != 0]).all():
        return float("nan") if len(rates) and np.isnan(rates).any() else 0.0
    return float(np.mean((rates > 0) & (rates >= HALF * best)))
