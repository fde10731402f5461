"""Measured layers of experts under a stack: the grouped products that a calibration fits, costed the same
way.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from inferbench.calibration.operators import cost
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.operators import operators_of, unknown_routing
from inferbench.num import Array, Mask, Numeric
from inferbench.records.chip import Chip
from inferbench.records.measurement import EXPERTS, Measurement
from inferbench.records.op import Gemm
from inferbench.records.precision import Precision
from inferbench.records.stack import Stack

__all__ = ["Layers", "layer_rows"]


@attrs.frozen(eq=False)
class Layers:
    """Layers of experts on one chip; arrays of shape (rows,).

    Attributes:
        seconds: Under the stack.
        ideal: Under ideal software: the floor.
        moved: Bytes.
        error: Log standard error of `seconds`; 0 where the stack was not fitted on such layers.
        inside: Whether both products lie in the box in which the stack was fitted.
        watts, joules: NaN: no power model is calibrated on such layers.
        power_error, energy_error: NaN as well.
    """

    seconds: Array
    ideal: Array
    moved: Array
    error: Array
    inside: Array
    watts: Array
    joules: Array
    power_error: Array
    energy_error: Array


def layer_rows(
    rows: Sequence[Measurement], precision: str, chip: Chip, stack: Stack, registry: Registry
) -> Layers:
    """Cost measured layers of experts, each as `calibrate` takes it apart.

    Args:
        rows: With `tokens`, `hidden`, `inter`, `topk` and `experts`; `tp` and `ep` are 1 where not given.
        precision: Our name.
        chip: The chip.
        stack: Software.
        registry: For the architecture.

    Raises:
        InferBenchError: A shape is not given whole, or the routing's name is not known.

    Example:
        >>> layer_rows(read_measurements("moe.csv", registry)[:9], "bf16", chip, stack,
        ...     registry).seconds.shape
        ... # doctest: +SKIP
        (9,)
    """
    for routing in filter(None, map(unknown_routing, rows)):
        raise InferBenchError.at(EXPERTS, f"routed as '{routing}', which is not known", "use balanced")
    ops = operators_of(rows, Precision.of([precision], (-1, 1)))
    formats = cost(ops[0], chip, registry)[1]
    ideal = registry.stack("ideal")
    seconds = floor = moved = np.zeros(len(rows))
    for op in ops:
        one = cost(op, chip, registry)[0]
        seconds = seconds + _flat(stack.time(one, op, formats) * op.repeat, rows)
        floor = floor + _flat(ideal.time(one, op, formats) * op.repeat, rows)
        moved = moved + _flat(op.bytes.total * op.repeat, rows)
    products = [op for op in ops if isinstance(op, Gemm)]
    inside = np.logical_and.reduce([_flat(stack.covers(op, formats), rows) > 0 for op in products])
    unknown = np.full(len(rows), np.nan)
    # The error of the experts' products is that of whole layers: they were fitted as one.
    error = np.maximum.reduce([_flat(stack.kernel_error(op, formats), rows) for op in products])
    error = np.where(error > 0, error, np.nan)
    return Layers(seconds, floor, moved, error, inside, unknown, unknown, unknown, unknown)


def _flat(value: Numeric | Mask, rows: Sequence[Measurement]) -> Array:
    flat: Array = np.broadcast_to(np.asarray(value, dtype=np.float64), (1, len(rows)))[0]
    return flat
