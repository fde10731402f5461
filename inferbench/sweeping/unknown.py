"""Why a system of a sweep can't be compared on some terms, in the words of the metric that is missing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.errors import UnsupportedOp
from inferbench.records.run import Metric
from inferbench.space.flexibility import Space, label
from inferbench.space.winners import TERMS, TOKENS, Equal, comparable, divisor, winners
from inferbench.sweeping.plan import Plan
from inferbench.sweeping.work import Bench

__all__ = ["Unknown", "unknown"]

Unknown = Mapping[tuple[str, Equal], str]
"""System and terms to why it can't be compared on them."""


def unknown(plan: Plan, registry: Registry, space: Space) -> Unknown:
    """Say why systems that run somewhere have no score on some terms.

    Args:
        plan: What was swept.
        registry: Where it was planned.
        space: Its points.

    Example:
        >>> unknown(plan, registry, space)                                    # doctest: +SKIP
        {('mi355x', 'cost'): 'no purchase price: not found in public sources'}
    """
    bench = Bench(plan, registry)
    found: dict[tuple[str, Equal], str] = {}
    for equal in TERMS if len(space.systems) > 1 else ():
        if not comparable(space, equal):
            continue
        for row in np.flatnonzero(winners(space, TOKENS, equal).unknown == 1):
            missing = divisor(equal)
            known = missing is None or not np.isnan(space.of(missing)[row]).all()
            role = "tokens" if missing is None or known else missing
            found[space.systems[row], equal] = _why(bench, space.systems[row], space.metrics[role])
    return found


def _why(bench: Bench, system: str, metric: Metric) -> str:
    """The reason a metric gives at the first point of a work that has one."""
    for number, work in enumerate(bench.plan.works):
        if label(work.system) != system:
            continue
        try:
            reason = metric.reason(bench.first(number))
        except UnsupportedOp:
            continue
        if reason:
            return reason
    return f"{metric.title} is not known"
