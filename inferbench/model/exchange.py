"""Collectives on the chip's links: inside a node, across nodes, or both one after the other.

A chip has at most two links: `scale_up` joins the chips of a node, `scale_out` all nodes. A group that fits
into a node uses the first. A larger one goes in two levels (Thakur, Rabenseifner, Gropp 2005, section 4, and
the hierarchical algorithms of NCCL and DeepEP): with g chips of it in each of m nodes and P bytes,

- all_reduce: a reduce_scatter of P in the node, an all_reduce of P / g across nodes, an all_gather of P in
  the node;
- all_gather, reduce_scatter: P / g across nodes, and P in the node;
- all_to_all: what goes to other nodes, once per node, and everything in the node.

Where that takes longer than to send everything over `scale_out` at once (few bytes, of which each level adds
its latency), the latter is taken, point by point.

Links work at the same time where a message is long enough to be cut, so that each is an engine of its own:
`network` and `network.nodes`. Latencies add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.num import Numeric
from inferbench.records.chip import Chip, Link
from inferbench.records.cost import Cost
from inferbench.records.interfaces import Architecture, Fabric
from inferbench.records.op import Collective, Op
from inferbench.records.overlap import maximum_of
from inferbench.records.placement import Site
from inferbench.records.returned import refuse_no_cost
from inferbench.records.system import Layout

__all__ = ["NODES", "cost_at", "exchange", "levels"]

NODES = "network.nodes"


def exchange(op: Collective, chip: Chip, layout: Layout, fabric: Callable[[str], Fabric]) -> Cost:
    """Cost a collective on the links that its group uses.

    Args:
        op: The collective.
        chip: With its links.
        layout: Handed to the fabric.
        fabric: Name of a fabric to its model.

    Raises:
        InferBenchError: The chip has no link.
    """
    parts = [
        _named(fabric(link.fabric).cost(part, link, layout), nodes) for nodes, link, part in levels(op, chip)
    ]
    if len(parts) == 1:
        return parts[0]
    outer = chip.interconnect["scale_out"]
    return _shorter(_together(parts), _named(fabric(outer.fabric).cost(op, outer, layout), True))


def cost_at(op: Op, site: Site, architecture: Architecture, fabric: Callable[[str], Fabric]) -> Cost:
    """Cost one execution of an operator: a collective on the chip's links, anything else on the chip.

    Args:
        op: The operator.
        site: Where it runs.
        architecture: Of the site's chip.
        fabric: Name of a fabric to its model.
    """
    if isinstance(op, Collective):
        return exchange(op, site.chip, site.layout, fabric)
    found = architecture.cost(op, site)
    refuse_no_cost(found, f"{type(architecture).__module__}: {architecture.name}.{op.kind}({op.name})")
    return found


def levels(op: Collective, chip: Chip) -> Iterator[tuple[bool, Link, Collective]]:
    """Yield whether nodes are crossed, the link, and what runs on it.

    Raises:
        InferBenchError: The chip has no link.
    """
    inner, outer = chip.interconnect.get("scale_up"), chip.interconnect.get("scale_out")
    first = inner or outer
    if first is None:
        found = f"a group of {op.group} chips needs a link, and the spec has none"
        remedy = "add [interconnect.scale_up] with fabric, bandwidth and size"
        raise InferBenchError.at(f"{chip.name}.toml: interconnect", found, remedy)
    if outer is None or inner is None:
        yield False, first, op
        return
    local = _local(op.group, op.stride, inner.size)
    if local == op.group:
        yield False, inner, op
    elif local == 1 or op.collective == "send":
        yield True, outer, op
    else:
        yield from _two_levels(op, inner, outer, local)


def _local(group: int, stride: int, size: int) -> int:
    """Chips of a group in one node: the largest part that divides the group."""
    return max(n for n in range(1, min(group, max(1, size // stride)) + 1) if group % n == 0)


def _two_levels(
    op: Collective, inner: Link, outer: Link, local: int
) -> Iterator[tuple[bool, Link, Collective]]:
    nodes = op.group // local

    def part(collective: str, payload: Numeric, group: int) -> Collective:
        return attrs.evolve(op, collective=collective, payload=payload, group=group, visits=None)

    if op.collective == "all_to_all":
        yield True, outer, part("all_to_all", op.sent(float(nodes)), nodes)
        yield False, inner, part("all_to_all", op.sent(float(op.group)), local)
        return
    if op.collective != "all_gather":
        yield False, inner, part("reduce_scatter", op.payload, local)
    yield True, outer, part(op.collective, op.payload / local, nodes)
    if op.collective != "reduce_scatter":
        yield False, inner, part("all_gather", op.payload, local)


def _named(cost: Cost, nodes: bool) -> Cost:
    """The cost with the link's engine called by where it leads."""
    if not nodes:
        return cost
    busy = {NODES if name == "network" else name: seconds for name, seconds in cost.busy.items()}
    return attrs.evolve(cost, busy=busy)


def _seconds(cost: Cost) -> Numeric:
    """Duration on ideal software."""
    return maximum_of(list(cost.busy.values())) + sum(cost.exposed.values())


def _shorter(one: Cost, other: Cost) -> Cost:
    """The shorter of two costs at every point."""
    first = _seconds(one) <= _seconds(other)

    def chosen(mine: Mapping[str, Numeric], theirs: Mapping[str, Numeric]) -> dict[str, Numeric]:
        names = dict.fromkeys([*mine, *theirs])
        return {name: np.where(first, mine.get(name, 0.0), theirs.get(name, 0.0)) for name in names}

    return Cost(
        chosen(one.busy, other.busy),
        chosen(one.exposed, other.exposed),
        chosen(one.actions, other.actions),
        chosen(one.detail, other.detail),
    )


def _together(parts: list[Cost]) -> Cost:
    merged: dict[str, dict[str, Numeric]] = {"busy": {}, "exposed": {}, "actions": {}, "detail": {}}
    for cost in parts:
        for group, into in merged.items():
            for key, value in getattr(cost, group).items():
                into[key] = into[key] + value if key in into else value
    return Cost(merged["busy"], merged["exposed"], merged["actions"], merged["detail"])
