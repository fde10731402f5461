"""What a chip of each layout does and what that costs, remembered where graphs are."""

from __future__ import annotations

from collections.abc import Sequence

from inferbench.model import partition
from inferbench.model.case import Case
from inferbench.model.charge import StepCost
from inferbench.model.crowd import Crowd, Group, Name, Pair, of_rank
from inferbench.num import Numeric
from inferbench.records.grid import Point
from inferbench.records.placement import Graph, Site
from inferbench.records.system import Layout

__all__ = ["charge", "on_one_chip"]


def on_one_chip(case: Case, at: Point, layout: Layout) -> tuple[Graph, partition.Stages, Numeric]:
    """What a chip of the layout does, the same on every chip: remembered where graphs are."""
    if case.graphs is None:
        return _cut(case, at, layout)
    key = layout, case.built_at(at)
    if key not in case.graphs:
        case.graphs[key] = _cut(case, at, layout)
    found: tuple[Graph, partition.Stages, Numeric] = case.graphs[key]
    return found


def _cut(case: Case, at: Point, layout: Layout) -> tuple[Graph, partition.Stages, Numeric]:
    pair, passes = _pair(at, layout)
    graph, cut = partition.local_graph(_share(case, pair, at, layout), layout.pp, case.layers, passes)
    return graph, cut, passes


def _pair(at: Point, layout: Layout) -> tuple[Pair, Numeric]:
    """What a rank of a layout sees in a pass, and the number of passes."""
    micro, passes = partition.microbatch(at, layout)
    return (micro, partition.joint(at, layout, passes) if layout.sharing > 1 else None), passes


def _share(case: Case, pair: Pair, at: Point, layout: Layout) -> partition.Share:
    """What a chip of a stage does in one pass; layouts that differ in their stages alone share it."""
    if case.graphs is None:
        return partition.share(of_rank(case, *pair, layout), layout)
    key = "share", *_name(case, layout, pair)
    if key not in case.graphs:
        if layout in case.beside:
            alike = [one for one in case.beside if _degrees(one) == _degrees(layout)]
            members = _beside(case, at, alike)
            if (group := Group.of(case, members)) is not None:
                for name, share in zip(members, group.shares(case, list(members.values())), strict=True):
                    case.graphs.setdefault(("share", *name), share)
        if key not in case.graphs:
            case.graphs[key] = partition.share(of_rank(case, *pair, layout), layout)
    found: partition.Share = case.graphs[key]
    return found


def _degrees(layout: Layout) -> tuple[int, int, int]:
    return layout.tp, layout.cp, layout.ep


def _name(case: Case, layout: Layout, pair: Pair) -> Name:
    """What tells apart what chips of layouts do."""
    return *_degrees(layout), *(case.built_at(seen) for seen in pair if seen is not None)


def _beside(case: Case, at: Point, layouts: Sequence[Layout]) -> dict[Name, tuple[Layout, Pair]]:
    """What ranks of some layouts see, by its name."""
    found = {}
    for one in layouts:
        pair, _ = _pair(case.asked_at(one) if case.asked_at else at, one)
        found[_name(case, one, pair)] = one, pair
    return found


def charge(case: Case, site: Site, at: Point, graph: Graph, hardware: bool = False) -> StepCost:
    """Cost the operators of one layout, together with those of the layouts beside it.

    Args:
        case: What runs where.
        site: Of the layout.
        at: All points.
        graph: What a chip of the layout does.
        hardware: Whether ideal software is all that is asked.
    """
    alone, layout = StepCost(case, site, at, hardware), site.layout
    found = None if _apart(case, site) else _known(case, site, at, hardware)
    if found is None:
        alone.charge_ops(tuple(graph.ops), layout.pp > 1)
    else:
        alone.take(*found)
    if layout.pp > 1:
        alone.sent = alone.send()
    return alone


def _apart(case: Case, site: Site) -> bool:
    """Whether what operators cost depends on more than their shapes, or is kept operator by operator."""
    alone = case.graphs is None or site.layout not in case.beside
    return alone or case.breakdown or bool(site.placement.level_shares)


def _known(case: Case, site: Site, at: Point, hardware: bool) -> tuple[StepCost, int] | None:
    """The costs of many layouts, and the place of this one among them; None where it stands alone."""
    graphs, layout = case.graphs, site.layout
    assert graphs is not None
    homes = tuple(site.placement.homes.items())
    about = "cost", id(case.chip), id(case.stack), hardware, case.bare, case.causes, case.boxed, homes
    mine = *about, *_name(case, layout, _pair(at, layout)[0])
    if mine not in graphs:
        many = _beside(case, at, case.beside)
        many = {name: one for name, one in many.items() if (*about, *name) not in graphs}
        for costs, names in Crowd(case, site, hardware).costs(many):
            for i, name in enumerate(names):
                graphs[*about, *name] = (costs, i, case.chip, case.stack) if costs else None
    found = graphs[mine]
    return None if found is None else (found[0], found[1])
