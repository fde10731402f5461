"""Intervals and domains in words: `7.1 ms [6.6, 7.6]`, `inside calibrated domain (batch 1 to 64;
bf16)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from inferbench.model.intervals import factors
from inferbench.model.outside import outside_at
from inferbench.records.fit import Domain
from inferbench.records.host import Host
from inferbench.records.run import Metric, Run

__all__ = ["domain_text", "ends_text", "interval_text"]

# Limits exceeded that one line has room for.
MOST_BEYOND = 2
# Tables show intervals of what is measured; those of what follows from it stand in JSON, CSV and frames.
SHOWN = ("time", "power", "energy", "wall_energy")


def interval_text(metric: Metric, value: float, run: Run, index: tuple[int, ...]) -> str:
    """Return ` [6.6, 7.6]` for a latency, power or energy under a fitted stack, in the unit of the value;
    else nothing.

    Args:
        metric: Whose value it is.
        value: SI.
        run: For the interval.
        index: Of the point.
    """
    if metric.interval not in SHOWN:
        return ""
    low, high = (float(factor[index]) for factor in factors(metric, run))
    return ends_text(value, low, high, bool(metric.unit))


def ends_text(value: float, low: float, high: float, scaled: bool = True) -> str:
    """Write factors on a value as its interval; nothing where they are not known.

    Args:
        value: SI.
        low, high: Factors.
        scaled: Whether the value is shown with an SI prefix, as figures with a unit are.

    Example:
        >>> ends_text(0.0071, 0.93, 1.07)
        ' [6.6, 7.6]'
    """
    if math.isnan(low) or not value > 0:
        return ""
    scale = _scale(value) if scaled else 1.0
    return f" [{_number(value * low * scale)}, {_number(value * high * scale)}]"


def _scale(value: float) -> float:
    """Factor to the unit that `show` picks: 1000 for milliseconds."""
    return float(10.0 ** (-3 * math.floor(math.log10(float(f"{value:.2e}")) / 3)))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def domain_text(runs: Sequence[Run]) -> str:
    """Say whether points lie in the box in which the runs' stacks were fitted; empty where none was fitted.

    Example:
        `inside calibrated domain (batch 1 to 64; context 128 to 4,096; bf16, fp16)`, of a stack fitted on
        kernels `inside calibrated domain (M ≤ 32,768; bf16) · kernels only: no host time`
    """
    priors = list(dict.fromkeys(run.stack.title for run in runs if run.stack.grade))
    fitted = [
        run for run in runs if run.stack.fit.rows and "extrapolated" in run.flags and not run.stack.grade
    ]
    said = [f"prior: {title}" for title in priors]
    return " · ".join([*([_box(fitted)] if fitted else []), *said])


def _beyond(run: Run) -> list[str]:
    """Which limits the points of a run exceed, and by how much."""
    out = run.values(run.flags["extrapolated"])
    return [text for at, index in run.points() if bool(out[index]) for text in outside_at(run, at, index)]


def _axis(domain: Domain, name: str) -> str:
    """The range of an axis; an end beyond which errors were seen not to grow is none."""
    (low, high), (below, above) = domain.axes[name], domain.widening.get(name, (1.0, 1.0))
    if not below and above:
        return f"{name} ≤ {high:,.0f}"
    return f"{name} ≥ {low:,.0f}" if below and not above else f"{name} {low:,.0f} to {high:,.0f}"


def _box(fitted: Sequence[Run]) -> str:
    """The box of the first stack, and whether the points lie in it."""
    out = [bool(np.any(run.flags["extrapolated"])) for run in fitted]
    all_out = all(bool(np.all(run.flags["extrapolated"])) for run in fitted)
    said = "extrapolated: outside" if all_out else "partly outside" if any(out) else "inside"
    domain = fitted[0].stack.domain
    box = [_axis(domain, name) for name in domain.axes if name in fitted[0].grid.axes]
    if domain.counts and any(run.system.count > domain.counts[1] for run in fitted):
        box.insert(0, f"{domain.counts[1]} chip" + ("s" if domain.counts[1] > 1 else ""))
    low, high = domain.ops.get("gemm", {}).get("m", (math.nan, math.nan))
    if not math.isnan(high):
        box.append(f"M ≤ {high:,.0f}" if low <= 1 else f"M {low:,.0f} to {high:,.0f}")
    box += [", ".join(domain.precisions)] if domain.precisions else []
    if all_out and domain.chips:
        box.insert(0, ", ".join(domain.chips))
    beyond = list(dict.fromkeys(text for run in fitted for text in _beyond(run)))
    if beyond:
        left = len(beyond) - MOST_BEYOND
        box = [*beyond[:MOST_BEYOND], *([f"{left} more"] if left > 0 else [])]
    said = f"{said} calibrated domain" + (f" ({'; '.join(box)})" if box else "")
    bare = any(math.isnan(run.stack.fit.step) and run.stack.host == Host() for run in fitted)
    return said + (" · kernels only: no host time" if bare else "")
