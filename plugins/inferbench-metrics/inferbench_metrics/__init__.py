"""Figures of merit: latency, throughput, the three factors, useful TOPS, energy and cost."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

import inferbench as ib
from inferbench_metrics import cost, energy, speed

__all__ = ["inferbench_metrics"]


# A table of grid points has room for what is read first; the rest stands in `compare`, JSON and CSV.
# Frontiers compute their own rates and costs at each load, so none of these is repeated there.
_BESIDE = frozenset({"compare"})
_USUAL = frozenset({"compare", "run"})
_IN_COMPARE_ALONE = frozenset(
    {
        "ridge_point",
        "arithmetic_intensity",
        "bandwidth_utilization",
        "tokens_per_s_per_w",
        "energy_efficiency",
        "usd_per_hour",
        "usd_per_hour_cloud",
        "usd_per_hour_reserved_3y",
        "usd_per_mtok_reserved_3y",
        "cost_efficiency",
        "cost_efficiency_cloud",
    }
)


@ib.hookimpl
def inferbench_metrics() -> Iterator[ib.Metric]:
    """Yield every metric of this package."""
    for metric in (*speed.METRICS, *energy.METRICS, *cost.METRICS):
        yield attrs.evolve(metric, shown_in=_BESIDE if metric.name in _IN_COMPARE_ALONE else _USUAL)
