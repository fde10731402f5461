"""What rows must share to be one kernel, and what one operator costs on a chip by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from inferbench.discovery.registry import Registry
from inferbench.model.exchange import cost_at
from inferbench.records.chip import Chip
from inferbench.records.cost import Cost
from inferbench.records.op import Collective, Op
from inferbench.records.placement import Graph
from inferbench.records.stack import IDEAL
from inferbench.records.system import Layout
from inferbench.specs.options import structured_tuning

__all__ = ["Sort", "cost", "typed_tuning"]


@attrs.frozen
class Sort:
    """What rows must share to be one kernel."""

    variant: str
    precision: str
    spelled: str
    suffix: str


def typed_tuning(chip: Chip, registry: Registry, table: Mapping[str, object]) -> Any:
    """A `[tuning.<architecture>]` table as the record of the chip's architecture."""
    architecture = registry.architecture(chip.architecture_type)
    return structured_tuning(architecture, attrs.evolve(IDEAL, name="fit", tuning={architecture.name: table}))


def cost(op: Op, chip: Chip, registry: Registry, tuning: object = None) -> tuple[Cost, tuple[str, ...]]:
    """Cost an operator on a chip by itself, and say what the chip computes in."""
    architecture = registry.architecture(chip.architecture_type)
    layout = Layout(tp=op.group) if isinstance(op, Collective) else Layout()
    alone = attrs.evolve(Graph.EMPTY, ops=(op,))
    site = architecture.site(chip, alone, layout, tuning=tuning)
    formats = tuple(site.computes_in(point.compute) for point in op.precision.points)
    return cost_at(op, site, architecture, registry.fabric), formats
