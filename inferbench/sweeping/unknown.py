"""Why a system of a sweep can't be compared on some terms, in the words of the metric that is missing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.errors import UnsupportedOp
from inferbench.records.run import Metric
from inferbench.space.flexibility import label
from inferbench.space.totals import Totals
from inferbench.space.winners import Equal, divisor
from inferbench.sweeping.plan import Plan
from inferbench.sweeping.work import Bench

__all__ = ["Unknown", "unknown"]

Unknown = Mapping[tuple[str, Equal], str]
"""System and terms to why it can't be compared on them."""


def unknown(plan: Plan, registry: Registry, totals: Totals) -> Unknown:
    """Say why systems that run somewhere have no score on some terms.

    Args:
        plan: What was swept.
        registry: Where it was planned.
        totals: Of its points.

    Example:
        >>> unknown(plan, registry, totals)                                   # doctest: +SKIP
        {('mi355x', 'cost'): 'no purchase price: not found in public sources'}
    """
    bench, metrics = Bench(plan, registry), registry.roles()
    found: dict[tuple[str, Equal], str] = {}
    for equal, contest in totals.contests.items():
        for row in np.flatnonzero(contest.no_score == contest.fits):
            if contest.fits[row]:
                missing = divisor(equal)
                role = "tokens" if missing is None or contest.divided[row] else missing
                name = totals.systems[row]
                found[name, equal] = _why(bench, name, metrics[role])
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
