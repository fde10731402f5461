"""What of a point lies outside the box in which its stack was fitted, and by how much."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from inferbench.num import Numeric
from inferbench.records.fit import field_of
from inferbench.records.op import Collective, Op
from inferbench.records.placement import Site
from inferbench.records.run import Run
from inferbench.records.stack import OUTSIDE, Stack
from inferbench.records.variants import variants

__all__ = ["outside_at", "roughly", "share_of", "strange_operators", "unlike"]

NEVER = ": no kernel like it was fitted"


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
        said = list(run.strange) or [
            "operators: more than a tenth of the step lies outside what was fitted of their kinds"
        ]
    return tuple(said)


def strange_operators(stack: Stack, ops: Iterable[Op]) -> tuple[str, ...]:
    """Say which operators leave the box of their kind, in which field, and where the box ends.

    Args:
        stack: Fitted on kernels.
        ops: Of a step, on one chip.

    Example:
        >>> from inferbench.records.fit import Domain
        >>> import inferbench as ib
        >>> stack = ib.Stack(name="s", title="S", domain=Domain(ops={"gemm": {"m": (1.0, 64.0)}}))
        >>> known = ib.installed()
        >>> ops = known.workload("transformer").graph(
        ...     known.network("llama3-8b"), ib.Grid.of({"batch": [256.0], "context": [1024.0]}, ["bf16"]).at,
        ...     "decode", known.workload("transformer").options())
        >>> strange_operators(stack, ops)[0]
        'qkv: m 256: fitted to 64, 2 doublings beyond'
    """
    # What computes says more than what only moves data.
    ranked = sorted(ops, key=lambda op: not np.any(np.asarray(op.useful) > 0))
    said = dict.fromkeys(text for op in ranked for text in _of_operator(stack, op))
    return tuple(sorted(said, key=lambda text: text.endswith(NEVER)))


def _of_operator(stack: Stack, op: Op) -> Iterator[str]:
    inside = np.asarray(stack.domain.holds(op))
    if not inside.all():
        yield from (f"{op.name}: {text}" for text in _fields(stack, op))
    elif not np.all(stack.covers(op)):
        yield f"{op.name}{NEVER}"


def _fields(stack: Stack, op: Op) -> Iterator[str]:
    for names, _ in variants(op):
        box = next((stack.domain.ops[name] for name in names if name in stack.domain.ops), {})
        for field, (low, high) in box.items():
            value = field_of(op, field)
            if value is None:
                continue
            least, most = float(np.min(value)), float(np.max(value))
            if most > high:
                yield _beyond(field, most, high, "to")
            elif least < low:
                yield _beyond(field, least, low, "from")


def _beyond(name: str, value: float, edge: float, way: str) -> str:
    beyond = abs(math.log2(value / edge)) if value > 0 and edge > 0 else math.inf
    times = f"{beyond:.2g} doubling{'' if round(beyond, 2) == 1 else 's'}"
    return f"{name} {value:,.0f}: fitted {way} {edge:,.0f}, {times} beyond"


def _names(run: Run, precision: str) -> Iterator[str]:
    domain, chip = run.stack.domain, run.system.chip
    if domain.chips and chip.name not in domain.chips:
        yield f"{chip.title}: fitted on {', '.join(domain.chips)}"
    if domain.counts and not domain.counts[0] <= run.system.count <= domain.counts[-1]:
        low, high = domain.counts[0], domain.counts[-1]
        many = "1 chip" if run.system.count == 1 else f"{run.system.count} chips"
        yield f"{many}: fitted on {low if low == high else f'{low} to {high}'}"
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
        yield _beyond(axis, value, edge, way)


def unlike(stack: Stack, ops: Sequence[Op], site: Site) -> Numeric:
    """Share of a step in operators that lie outside the boxes in which a stack's kernels were fitted.

    An operator outside the box of its variant counts once. One with useful operations counts more where a
    stack fitted on kernels alone has no figure of its kind, or where software runs another kernel: as often
    as what is added to its error is more than 0.25. Times are the roofline's: the larger
    of operations over peak and bytes over bandwidth.

    Args:
        stack: With its domain.
        ops: Of one layout, sharded.
        site: Where they run.
    """
    total: Numeric = 0.0
    part: Numeric = 0.0
    for op in ops:
        formats = tuple(site.computes_in(point.compute) for point in op.precision.points)
        seconds, strange = roughly(stack, op, site, stack.shared_error(op, formats))
        total, part = total + seconds, part + strange
    return share_of(part, total)


def share_of(part: Numeric, total: Numeric) -> Numeric:
    """Share of a step; 0 of one that takes no time."""
    return part / np.where(np.asarray(total) > 0, total, 1.0)


def roughly(stack: Stack, op: Op, site: Site, shared: Numeric) -> tuple[Numeric, Numeric]:
    """Roofline time of all executions of an operator, and what of it counts as outside.

    Args:
        stack: With its domain.
        op: Of one layout.
        site: Where it runs.
        shared: Log standard error that it shares with kernels which the stack has no figure of.
    """
    seconds = _roughly(op, site) * op.repeat
    outside = ~np.asarray(stack.domain.holds(op))
    more = shared / OUTSIDE * (np.asarray(op.useful) > 0)
    more = np.where(np.isnan(more), 1.0, more)  # nobody knows how far: outside, as any other
    return seconds, seconds * np.maximum(outside, more)


def _roughly(op: Op, site: Site) -> Numeric:
    """Roofline time of an operator on one chip; a collective's payload over its link."""
    if isinstance(op, Collective):
        link = site.link(op.group)
        return 0.0 if link is None else op.payload / link.bandwidth
    return np.maximum(op.useful / site.rate(op), op.bytes.total / site.bandwidth(site.chip.main))
