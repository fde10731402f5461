"""Why points of a run are refused: ranks without a sequence, too little memory, formats that a chip lacks."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np

from inferbench.model.case import Case
from inferbench.num import Array, Mask
from inferbench.records.grid import Point
from inferbench.records.op import Op
from inferbench.records.placement import Reason
from inferbench.records.precision import FORMATS
from inferbench.records.system import Layout

__all__ = ["idle_ranks", "unfit", "unsupported"]


def idle_ranks(at: Point, layout: Layout | None) -> Reason | None:
    """Why a layout that was asked for is refused where the batch has fewer sequences than it has ranks."""
    if layout is None or layout.dp == 1:
        return None
    few = np.asarray(at["batch"]) < layout.dp
    said = "dp{bound_ranks} has more ranks than the batch has sequences ({bound_batch})"
    numbers = {"bound_ranks": float(layout.dp), "bound_batch": at["batch"]}
    return Reason("ranks", said, numbers, few) if few.any() else None


def unfit(
    case: Case, whole: tuple[Op, ...], reasons: tuple[Reason, ...], needed: Array, where: Mask
) -> tuple[Reason, ...]:
    """The architecture's own reasons, or for a plain lack of memory what the whole network needs."""
    own = tuple(reason for reason in reasons if reason.code != "capacity")
    if own or not where.any():
        return own
    total = _capacity(case, whole, where)
    short = where & (np.asarray(total.numbers["need"]) > total.numbers["has"])
    each = case.room.capacity
    uneven = Reason(
        "share",
        "the fullest chip needs {needed:B} with activations, has {each:B}",
        {"needed": needed, "each": each},
        where & ~short,
    )
    return tuple(reason for reason in (attrs.evolve(total, where=short), uneven) if np.any(reason.where))


def _capacity(case: Case, whole: tuple[Op, ...], where: Mask) -> Reason:
    """Say what the whole network needs against all chips, and how many chips that is at the least."""
    weights = sum(op.parameters * op.instances * op.precision.weights for op in whole)
    state = sum(op.resident.state * op.instances for op in whole)
    has = case.room.capacity
    numbers = {
        "weights": weights,
        "need": weights + state,
        "has": has * case.system.count,
        "bound": np.ceil(weights / has),
        "bound_state": np.ceil((weights + state) / has),
    }
    cache = (
        (" with KV cache,", ", {bound_state} with KV cache") if np.any(np.asarray(state) > 0) else (",", "")
    )
    template = (
        f"needs {{need:B}}{cache[0]} has {{has:B}}: {{bound}} chips or more for the weights alone"
        f" ({{weights:B}}){cache[1]}"
    )
    return Reason("capacity", template, numbers, where)


def unsupported(known: Mask, peak: Callable[[str], float]) -> tuple[Reason, ...]:
    """That the chip computes in no format as wide as was asked for, where `known` is false."""
    if known.all():
        return ()
    formats = ", ".join(name for name in FORMATS if np.isfinite(peak(name)))
    return (
        Reason(
            "precision",
            f"the chip has no format that computes this precision; it has {formats or 'none'}",
            {},
            ~known,
        ),
    )
