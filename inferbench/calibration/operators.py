"""The operator that a measured row is of, and what one operator costs on a chip by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from inferbench.calibration.experts import expert_layer
from inferbench.discovery.registry import Registry
from inferbench.model.exchange import cost_at
from inferbench.records.chip import Chip
from inferbench.records.cost import Cost
from inferbench.records.kinds import Kind, op_kind, op_kinds
from inferbench.records.measurement import EXPERTS, Measurement
from inferbench.records.op import Collective, Op
from inferbench.records.placement import Graph
from inferbench.records.precision import Precision
from inferbench.records.stack import IDEAL
from inferbench.records.system import Layout
from inferbench.specs.options import structured_tuning

__all__ = ["Sort", "builder", "cost", "typed_tuning"]


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


Columns = Mapping[str, Any]
Builder = Callable[[Columns, Precision, Sort, Sequence[Measurement], Registry], Sequence[Op]]


def _described(
    c: Columns, precision: Precision, sort: Sort, rows: Sequence[Measurement], *_: object
) -> list[Op]:
    """An operator of any kind, from the numbers that its kind names."""
    kind = op_kind(rows[0].op)
    columns = {name: c[name] for name in kind.fields if name in c}
    return [kind.op(columns, precision, _words(kind, rows[0]))]


def _words(kind: Kind, row: Measurement) -> dict[str, str]:
    variant = str(row.extra.get("variant", ""))
    return dict.fromkeys(kind.words, variant) if variant else {}


def _experts(
    c: Columns, precision: Precision, sort: Sort, rows: Sequence[Measurement], registry: Registry
) -> Sequence[Op]:
    return expert_layer(c, precision, rows)


# A layer of experts is several operators of one measured row; every other kind describes itself.
LAYERS: Mapping[str, Builder] = {EXPERTS: _experts}


def builder(op: str) -> Builder | None:
    """What makes operators of the rows of a kind; None where nobody defines it."""
    return LAYERS.get(op) or (_described if op in op_kinds() else None)
