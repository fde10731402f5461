"""What of a point lies outside the box in which its stack was fitted, and by how much, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from inferbench.records.run import Run

__all__ = ["outside_at"]


def outside_at(run: Run, at: Mapping[str, Any], index: tuple[int, ...]) -> tuple[str, ...]:
    """Say what of a point the stack was not fitted on, and where its box ends.

    Args:
        run: Of a fitted stack; there is nothing to say of a bound or of a prior.
        at: The point's coordinates, as `Run.points` yields them.
        index: Of the point.

    Example:
        >>> import inferbench as ib
        >>> run = ib.run("2xh200@vllm-h100", "llama3-8b/decode", batch=256, precision="fp8")
        >>> for said in outside_at(run, *next(run.points())):
        ...     print(said)
        H200 SXM: fitted on h100-sxm
        2 chips: fitted on 1
        fp8: fitted in bf16, fp16
        batch 256: fitted to 64, 2 doublings beyond
    """
    if run.stack.ideal or run.stack.grade or not run.stack.fit.rows:
        return ()
    said = [*_names(run, str(at["precision"])), *_axes(run, at)]
    if not said and bool(run.values(run.flags.get("extrapolated", False))[index]):
        said = ["operators: more than a tenth of the step lies outside what was fitted of their kinds"]
    return tuple(said)


def _names(run: Run, precision: str) -> Iterator[str]:
    domain, chip = run.stack.domain, run.system.chip
    if domain.chips and chip.name not in domain.chips:
        yield f"{chip.title}: fitted on {', '.join(domain.chips)}"
    if domain.counts and not domain.counts[0] <= run.system.count <= domain.counts[-1]:
        low, high = domain.counts[0], domain.counts[-1]
        yield f"{run.system.count} chips: fitted on {low if low == high else f'{low} to {high}'}"
    if domain.phases and run.phase not in domain.phases:
        yield f"{run.phase}: fitted on {', '.join(domain.phases)}"
    if domain.precisions and precision not in domain.precisions:
        yield f"{precision}: fitted in {', '.join(domain.precisions)}"


def _axes(run: Run, at: Mapping[str, Any]) -> Iterator[str]:
    for axis, (low, high) in run.stack.domain.axes.items():
        value = at.get(axis)
        if value is None or low <= value <= high or not value > 0:
            continue
        edge, way = (high, "to") if value > high else (low, "from")
        beyond = abs(math.log2(value / edge))
        times = f"{beyond:.2g} doubling{'' if round(beyond, 2) == 1 else 's'}"
        yield f"{axis} {value:,.0f}: fitted {way} {edge:,.0f}, {times} beyond"
