"""The operator that a measured row is of, and what one operator costs on a chip by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from inferbench.calibration.experts import expert_layer
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.records.chip import Chip
from inferbench.records.cost import Cost
from inferbench.records.measurement import Measurement
from inferbench.records.op import Attention, Collective, Gemm, Op
from inferbench.records.placement import Footprint, Graph, Site
from inferbench.records.precision import Precision
from inferbench.records.stack import Stack
from inferbench.records.system import Layout
from inferbench.specs.options import structured_tuning

__all__ = ["BUILD", "Sort", "cost", "typed_tuning"]


@attrs.frozen
class Sort:
    """What rows must share to be one kernel."""

    variant: str
    precision: str
    spelled: str
    suffix: str


def typed_tuning(chip: Chip, registry: Registry, table: Mapping[str, Any]) -> Any:
    """A `[tuning.<architecture>]` table as the record of the chip's architecture."""
    architecture = registry.architecture(chip.architecture_type)
    return structured_tuning(architecture, Stack(name="fit", title="fit", tuning={architecture.name: table}))


def cost(op: Op, chip: Chip, registry: Registry, tuning: Any = None) -> tuple[Cost, tuple[str, ...]]:
    """Cost an operator on a chip by itself, and say what the chip computes in."""
    architecture = registry.architecture(chip.architecture_type)
    placement = architecture.place(Graph((op,), Footprint(0.0, 0.0, 0.0), 1), chip, Layout())
    site = Site(
        chip,
        Layout(),
        placement,
        architecture.tuning() if tuning is None else tuning,
        lambda name: architecture.peak(chip, name),
    )
    formats = tuple(site.computes_in(point.compute) for point in op.precision.points)
    if not isinstance(op, Collective):
        return architecture.cost(op, site), formats
    link = site.link(op.group)
    if link is None:
        raise InferBenchError.at(
            f"{chip.name}.toml: interconnect", "the spec has no link", "add [interconnect.scale_up]"
        )
    return registry.fabric(link.fabric).cost(op, link, Layout(tp=op.group)), formats


Columns = Mapping[str, Any]
Builder = Callable[[Columns, Precision, Sort, Sequence[Measurement], Registry], Sequence[Op]]


def _gemm(c: Columns, precision: Precision, *_: Any) -> list[Op]:
    return [Gemm(name="gemm", precision=precision, m=c["m"], n=c["n"], k=c["k"])]


def _attention(c: Columns, precision: Precision, sort: Sort, *_: Any) -> list[Op]:
    queries, keys = c["queries"], c["keys"]
    cached = sort.variant != "attention.encoder"
    pairs = queries * keys - queries * (queries - 1.0) / 2.0 if cached else queries * keys
    return [
        Attention(
            name="attention",
            precision=precision,
            batch=c["batch"],
            heads=c["heads"],
            kv_heads=c["kv_heads"],
            queries=queries,
            keys=keys,
            pairs=pairs,
            qk_dim=c["head_dim"],
            v_dim=c["head_dim"],
            cached=cached,
        )
    ]


def _collective(c: Columns, precision: Precision, sort: Sort, *_: Any) -> list[Op]:
    which, group = sort.variant.split(".")[1:]
    return [
        Collective(name=which, precision=precision, collective=which, payload=c["payload"], group=int(group))
    ]


def _experts(
    c: Columns, precision: Precision, sort: Sort, rows: Sequence[Measurement], registry: Registry
) -> Sequence[Op]:
    return expert_layer(c, precision, rows)


BUILD: Mapping[str, Builder] = {
    "gemm": _gemm,
    "attention": _attention,
    "collective": _collective,
    "moe": _experts,
}
