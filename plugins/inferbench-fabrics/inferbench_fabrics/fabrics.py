"""The fabrics: one set of collectives over five wirings."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import inferbench as ib
from inferbench_fabrics.wiring import Wiring, crossbar, direct, grid

__all__ = ["COLLECTIVES", "HOP", "Fabric", "FullMesh", "Mesh", "Ring", "Switch", "Torus"]

COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send")

# Seconds per hop where a link publishes none; an estimate. No vendor states the latency of its wires and
# switches alone. Two figures bound it: the TPU chapter of "How to Scale Your Model"
# (https://jax-ml.github.io/scaling-book) reckons with about 1 us per ICI hop, and the fastest all-reduce of
# 256 bytes that ai-dynamo/aiconfigurator measured on two H100s behind an NVSwitch takes 2.65 us with its
# kernel, so that a hop there can't be far above 1 us.
HOP = 1e-6

_NOTHING = ib.Cost(
    busy={"network": 0.0}, exposed={"hops": 0.0}, actions={"bytes.network": 0.0}, detail={"hops": 0.0}
)


class Fabric(ib.Fabric):
    """Collectives over any wiring: bandwidth-optimal where the message is large, few hops where it is small.

    With n chips, P bytes of payload (the full tensor), b the bandwidth the wiring lets a chip use and d its
    diameter in hops:

    - all_gather, reduce_scatter: every chip lacks (n-1)/n of the tensor and must get it through its own
      links: `P (n-1)/n / b`, d hops.
    - all_reduce: a reduce_scatter and an all_gather, `2 P (n-1)/n / b` and 2 d hops; or, in one shot, all
      chips send their whole tensors to all others, `P (n-1) / b` and d hops: whichever is shorter at each
      point. A switch that adds in transit (`reduction`) moves `P / b` instead, as 2 d hops.
    - all_to_all: bounded by the fullest link: `P spread / bandwidth`, d hops; P has a copy for each chip that
      a part goes to, not for each of its experts.
    - send: to a neighbour, over the links that lead there, one hop.

    Payload is in bytes (any broadcastable shape), times in seconds for one execution, without software. A
    bandwidth that is not published (NaN) gives NaN times; a latency that is not published counts as
    `HOP`. Formulas: Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in
    MPICH", IJHPCA 19(1), 2005; those of `uniform` are derived in `wiring.grid`.
    """

    def remarks(self, link: ib.Link) -> Iterator[str]:
        """Say that the time of a hop is assumed where the link's is not published."""
        if math.isnan(link.latency):
            yield f"the time of one hop is not published for this link: {ib.show(HOP, 's')} assumed"

    @abstractmethod
    def wiring(self, group: int, link: ib.Link) -> Wiring:
        """How a group of two chips or more is wired."""

    def cost(self, collective: ib.Collective, link: ib.Link, layout: ib.Layout) -> ib.Cost:
        """Cost one collective: `busy["network"]`, `exposed["hops"]`, and the bytes one chip puts on its
        links.

        Raises:
            InferBenchError: The collective is none of `COLLECTIVES`.

        Example:
            >>> link = ib.Link("ring", bandwidth=1e9, latency=1e-6)
            >>> gather = ib.Collective(name="g", precision=ib.Precision.of(["bf16"]), collective="all_gather",
            ...                        payload=4e6, group=4)
            >>> cost = Ring().cost(gather, link, ib.Layout(tp=4))
            >>> cost.busy["network"], cost.exposed["hops"]
            (0.003, 2e-06)
        """
        if collective.collective not in COLLECTIVES:
            raise ib.InferBenchError.at(
                f"{self.name}: {collective.name}",
                f"unknown collective '{collective.collective}'",
                f"known are {', '.join(COLLECTIVES)}",
            )
        if collective.group <= 1:
            return _NOTHING
        wiring = self.wiring(collective.group, link)
        hop = HOP if math.isnan(link.latency) else link.latency
        payload, away = collective.payload, (collective.group - 1) / collective.group
        if collective.collective == "send":
            return _cost(payload / (link.bandwidth * wiring.direct), 1.0, hop, payload)
        if collective.collective == "all_to_all":
            sent = collective.sent(float(collective.group))
            return _cost(sent * wiring.uniform / link.bandwidth, wiring.hops, hop, sent * wiring.carried)
        passes: ib.Numeric = 1.0
        hops: ib.Numeric = wiring.hops
        if collective.collective == "all_reduce":
            twice = 1.0 / away if link.reduction else 2.0
            limit = _one_shot_limit(collective.group, twice, wiring.hops * hop, link.bandwidth * wiring.share)
            small = payload <= limit
            passes = ib.where(small, float(collective.group), twice)
            hops = ib.where(small, wiring.hops, 2.0 * wiring.hops)
        sent = payload * away * passes
        return _cost(sent / (link.bandwidth * wiring.share), hops, hop, sent)


def _cost(busy: ib.Numeric, hops: ib.Numeric, hop: float, sent: ib.Numeric) -> ib.Cost:
    return ib.Cost(
        busy={"network": busy},
        exposed={"hops": hops * hop},
        actions={"bytes.network": sent},
        detail={"hops": hops},
    )


def _one_shot_limit(group: int, passes: float, latency: float, bandwidth: float) -> float:
    """Bytes up to which sending everything to everybody is the shorter all-reduce.

    One shot sends (n-1)/n P n bytes, otherwise (n-1)/n P `passes` are: it costs (n-1)(n-passes)/n P / b more
    and saves `latency`.
    """
    more = (group - 1) * (group - passes) / group
    return math.inf if more < 1e-9 else latency * bandwidth / more


class Switch(Fabric):
    """A switch that never blocks (NVSwitch, a fat tree); with `reduction` it adds what passes through it."""

    name: ClassVar[str] = "switch"
    title: ClassVar[str] = "non-blocking switch"

    def wiring(self, group: int, link: ib.Link) -> Wiring:
        """Everyone is one hop away, at full bandwidth."""
        return crossbar(group)


class FullMesh(Fabric):
    """A link of its own from every chip to every other of its domain; a group of few has few links to use."""

    name: ClassVar[str] = "full-mesh"
    title: ClassVar[str] = "direct links between all chips"

    def wiring(self, group: int, link: ib.Link) -> Wiring:
        """One hop; of the bandwidth the share of the links that lead into the group."""
        return direct(group, max(group, link.size))


class Ring(Fabric):
    """A ring used both ways round: half of the bandwidth to either neighbour, the furthest chip floor(n/2)
    hops away.
    """

    name: ClassVar[str] = "ring"
    title: ClassVar[str] = "bidirectional ring"

    def wiring(self, group: int, link: ib.Link) -> Wiring:
        """A torus of one dimension, whatever the link says."""
        return grid(group, 1, True)


class Torus(Fabric):
    """A torus of `link.dimensions`; the group is its most compact block, with wrap-around links of its
    own.
    """

    name: ClassVar[str] = "torus"
    title: ClassVar[str] = "torus"

    def wiring(self, group: int, link: ib.Link) -> Wiring:
        """Rings along every dimension, the data split over them."""
        return grid(group, max(1, link.dimensions), True)


class Mesh(Fabric):
    """A mesh of `link.dimensions` without wrap-around links; its corner chips have half of the links and set
    the pace.
    """

    name: ClassVar[str] = "mesh"
    title: ClassVar[str] = "mesh"

    def wiring(self, group: int, link: ib.Link) -> Wiring:
        """Lines along every dimension, the data split over them."""
        return grid(group, max(1, link.dimensions), False)
