"""Where an in-memory-compute chip keeps what: in the cells, in the banks behind them, or outside."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np

import inferbench as ib
from inferbench_imc.macro import Macro, cells

__all__ = ["ArrayPlacement", "place"]


@attrs.frozen(eq=False)
class ArrayPlacement(ib.Placement):
    """A placement that also says, point by point, what stayed in the arrays.

    Weights have no entry in `homes`: at home in the arrays they are never moved, and the ideal roofline of
    such a chip has them there. What it costs that they don't fit is the architecture's loss, in its costs.

    All shares lie between 0 and 1, point by point. Room at home: activations, then weights, then state.

    Attributes:
        banked: Share of the weights at home in banks behind the cells: read, not rewritten.
        weights_away: Share of the weights that has no room at home and is rewritten in every step.
        state_away: Share of the KV cache that lives in the outermost memory.
        activations_away: Share of the activations that does.
    """

    banked: Any = 0.0
    weights_away: Any = 0.0
    state_away: Any = 0.0
    activations_away: Any = 0.0


def padding(macro: Macro, graph: ib.Graph) -> ib.Numeric:
    """Return bits of cells per stored weight bit along the precision axis: an 8-bit cell holds one weight."""
    if not graph.ops or math.isnan(macro.bits_per_cell):
        return 1.0
    precision = graph.ops[0].precision
    widths = [8.0 * ib.FORMATS[point.weights] for point in precision.points]
    return precision.along_axis(
        [max(1.0, cells(macro, width) * macro.bits_per_cell / width) for width in widths]
    )


def place(graph: ib.Graph, chip: ib.Chip) -> ArrayPlacement:
    """Put into the arrays what they hold, and the rest into the outermost memory.

    Args:
        graph: One chip's share.
        chip: Its `[architecture] home` names the level that is the arrays.

    Returns:
        Shares and bytes per level, broadcastable to the grid; a point is infeasible where the outermost level
        can't hold what the home level does not. A capacity that is not published holds anything.

    Raises:
        InferBenchError: `home` names no memory level of the chip.
    """
    macro: Macro = chip.architecture
    home, outer = macro.home, chip.outermost
    _check_home(home, chip)
    need, has = graph.most, _capacity(chip.memory[home].capacity)
    weights = np.asarray(need.weights * padding(macro, graph))
    activations_away, room = _away(need.activations, has)
    weights_away, room = _away(weights, room)
    state_away, _ = _away(need.state, room)
    outside = weights_away * need.weights + state_away * need.state + activations_away * need.activations
    everything = weights + need.state + need.activations
    inside = (
        everything - weights_away * weights - state_away * need.state - activations_away * need.activations
    )
    resident = {home: everything} if home == outer else {home: inside, outer: outside}
    where = "in the arrays, the only memory" if home == outer else "beside the arrays"
    fits, reasons = _feasible(resident[outer], chip, where)
    return ArrayPlacement(
        dict.fromkeys(("state", "inputs", "outputs"), home),
        resident,
        fits,
        reasons,
        banked=ib.maximum(_away(weights, _capacity(macro.bytes))[0] - weights_away, 0.0),
        weights_away=weights_away,
        state_away=state_away,
        activations_away=activations_away,
    )


def _check_home(home: str, chip: ib.Chip) -> None:
    if home not in chip.memory:
        raise ib.InferBenchError.at(
            f"{chip.name}: architecture.home",
            f"'{home}' is no memory level of the chip; it has {', '.join(chip.memory)}",
            "name the level whose cells multiply",
        )


def _away(need: ib.Numeric, room: ib.Numeric) -> tuple[ib.Numeric, ib.Numeric]:
    """Return the share of `need` that `room` can't take, and the room left."""
    over = ib.maximum(need - np.asarray(room), 0.0)
    return over / ib.maximum(need, 1e-30), ib.maximum(np.asarray(room) - need, 0.0)


def _feasible(need: ib.Numeric, chip: ib.Chip, where: str) -> tuple[Any, tuple[ib.Reason, ...]]:
    has = chip.memory[chip.outermost].capacity
    fits = np.asarray(need) <= _capacity(has)
    numbers: dict[str, ib.Numeric] = {"need": need, "has": has}
    reason = ib.Reason("capacity", f"needs {{need:B}} per chip {where}, has {{has:B}}", numbers, ~fits)
    return fits, () if np.all(fits) else (reason,)


def _capacity(size: float) -> float:
    return math.inf if math.isnan(size) else size
