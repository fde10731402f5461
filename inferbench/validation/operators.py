"""Measured operators beside their predictions: many of one kind in one call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from inferbench.calibration.layers import Layers, layer_rows
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import Situation
from inferbench.evidence.operators import columns_of, words_of
from inferbench.model.operators import OpResult, between, cost_rows
from inferbench.records.measurement import EXPERTS, Measurement
from inferbench.specs.figures import Target, targets
from inferbench.validation.rows import KINDS, Row, bare
from inferbench.validation.rules import boundary_mismatch, operator_rule

__all__ = ["Entry", "operator_rows"]

# Place in the work, name of the set, measurement, what it is of.
Entry = tuple[int, str, Measurement, Situation]


def operator_rows(group: Sequence[Entry], registry: Registry) -> Iterator[tuple[int, list[Row]]]:
    """Cost operators of one kind in one call; where it refuses, halves, so that a bad row is left alone with
    its reason.

    Args:
        group: Of one chip, stack, kind, precision and set of fields.
        registry: Of plugins.
    """
    s = group[0][3]
    try:
        real, floor = _costed([m for _, _, m, _ in group], s, registry)
    except InferBenchError as error:
        if len(group) > 1:
            middle = len(group) // 2
            yield from operator_rows(group[:middle], registry)
            yield from operator_rows(group[middle:], registry)
            return
        fault = error.faults[0]
        code = "incomplete" if fault.code == "missing-field" else "not-modelled"
        why = f"{fault.place}: {fault.found}"
        i, name, m, _ = group[0]
        yield i, [attrs.evolve(bare(name, m, target), code=code, why=why) for target in targets(m)]
        return
    ends = {of: between(real, of, s.system.chip.power.tdp) for of in ("time", *KINDS.values())}
    for k, (i, name, m, _) in enumerate(group):
        factors = {of: (float(low[k]), float(high[k])) for of, (low, high) in ends.items()}
        yield i, [_row(name, m, s, target, real, k, factors, float(floor[k])) for target in targets(m)]


def _row(
    name: str,
    m: Measurement,
    s: Situation,
    target: Target,
    real: OpResult | Layers,
    k: int,
    factors: dict[str, tuple[float, float]],
    floor: float,
) -> Row:
    """One figure beside what was costed in place `k`."""
    chip = s.system.chip
    kind = KINDS.get(target.metric, "time")
    value = float({"power": real.watts, "energy": real.joules, "time": real.seconds}[kind][k])
    trivial = {
        "time": {"bandwidth": float(real.moved[k]) / chip.memory[chip.main].bandwidth},
        "power": {"tdp": chip.power.tdp},
        "energy": {},
    }[kind]
    low, high = factors[kind]
    row = attrs.evolve(
        bare(name, m, target),
        chip=chip.name,
        stack=s.stack.name,
        precision=s.precision,
        predicted=value,
        low=value * low,
        high=value * high,
        inside=bool(s.stack.fit.rows) and s.inside and bool(real.inside[k]),
        trivial=trivial,
    )
    code, why = operator_rule(row, floor)
    if not code and kind != "time":
        code, why = boundary_mismatch(
            m.boundary, real.energy.boundary if isinstance(real, OpResult) else "board"
        )
    return attrs.evolve(row, code=code, why=why)


def _costed(rows: Sequence[Measurement], s: Situation, registry: Registry) -> tuple[OpResult | Layers, Any]:
    """What the model says of operators, and their floor in seconds."""
    chip = s.system.chip
    if s.op == EXPERTS:
        layers = layer_rows(rows, s.precision, chip, s.stack, registry)
        return layers, layers.ideal
    columns, words = columns_of(rows), words_of(rows[0])
    real = cost_rows(s.op, columns, s.precision, chip, s.stack, registry, words)
    ideal = cost_rows(s.op, columns, s.precision, chip, registry.stack("ideal"), registry, words)
    return real, ideal.seconds
