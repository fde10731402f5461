"""Groq's chip-to-chip network: a dragonfly of nodes and racks, scheduled by software."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from inferbench_fabrics import Switch
from inferbench_fabrics.wiring import Wiring

import inferbench as ib

__all__ = ["Dragonfly", "inferbench_chips", "inferbench_fabrics", "largest"]

# Abts et al., A Software-defined Tensor Streaming Multiprocessor, ISCA 2022,
# https://doi.org/10.1145/3470496.3527405, and Groq at Hot Chips 34: a chip has 11 links, 7 to the others of
# its node and 4 that leave it.
NODE, NODES, LOCAL, GLOBAL = 8, 9, 7, 4
RACK = NODE * NODES


def largest() -> int:
    """Chips of the largest system: half of a rack's global links join its nodes, each other one a rack.

    A node has a pair of links to each of the eight other nodes. What is left of 72 x 4 links leads to 144
    racks.

    Example:
        >>> largest()
        10440
    """
    inside = NODES * (NODES - 1) * 2
    return (RACK * GLOBAL - inside + 1) * RACK


class Dragonfly(Switch):
    """Nodes of eight chips, all joined; racks of nine nodes, all joined; racks, all joined."""

    name = "groq-c2c"
    title = "Groq's dragonfly of direct links"

    def wiring(self, group: int, link: ib.Link) -> Wiring:
        """Hops grow with the level; a group inside a node uses its local links alone."""
        away = (group - 1) / group
        local = LOCAL / (LOCAL + GLOBAL)
        if group <= NODE:
            share = local * (group - 1) / (NODE - 1)
            return Wiring(1.0, share, away / max(share, 1e-9), away, 1.0 / (LOCAL + GLOBAL))
        hops = 3.0 if group <= RACK else 5.0
        share = 1.0 - local  # what leaves a node has the global links
        return Wiring(hops, share, away / share, away * hops, 1.0 / (LOCAL + GLOBAL))


@ib.hookimpl
def inferbench_fabrics() -> Iterator[ib.Fabric]:
    """Yield the dragonfly."""
    yield Dragonfly()


@ib.hookimpl
def inferbench_chips() -> Iterator[Traversable]:
    """Yield the chip with its own network."""
    yield files(__name__) / "chips"
