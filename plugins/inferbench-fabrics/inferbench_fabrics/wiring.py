"""How a group of chips is wired: the four figures of a topology that the collectives need."""

from __future__ import annotations

import math
from functools import lru_cache

import inferbench as ib

__all__ = ["Wiring", "crossbar", "direct", "grid", "sides"]


@ib.frozen
class Wiring:
    """A group of chips on a fabric, in units of one chip's total one-direction bandwidth.

    Attributes:
        hops: Links between the two chips furthest apart.
        share: Fraction of the bandwidth that the chip with the fewest usable links can receive at, 0 to 1.
        uniform: Busy time of the fullest link when every chip sends one byte in all, spread evenly over
            the group (itself included), as a multiple of one byte over the whole bandwidth.
        carried: Bytes on all links per byte so spread: the mean distance in hops.
        direct: Fraction of the bandwidth between two neighbours.
    """

    hops: float
    share: float
    uniform: float
    carried: float
    direct: float


def crossbar(group: int) -> Wiring:
    """Wire a group through a switch that never blocks: everything one hop away at full bandwidth.

    Example:
        >>> crossbar(8).hops, crossbar(8).uniform
        (1.0, 0.875)
    """
    away = (group - 1) / group
    return Wiring(hops=1.0, share=1.0, uniform=away, carried=away, direct=1.0)


def direct(group: int, size: int) -> Wiring:
    """Wire a group out of `size` chips each of which has a link to each other one.

    A chip has size - 1 links of equal bandwidth; group - 1 of them lead into the group, and one byte spread
    over the group puts 1 / group on each.

    Example:
        Two of eight chips see one of seven links:

        >>> round(direct(2, 8).share, 3), direct(8, 8).share, direct(8, 8).uniform
        (0.143, 1.0, 0.875)
    """
    links = size - 1
    away = (group - 1) / group
    return Wiring(hops=1.0, share=(group - 1) / links, uniform=links / group, carried=away, direct=1 / links)


@lru_cache(maxsize=256)
def sides(group: int, dimensions: int) -> tuple[int, ...]:
    """Factor a group into `dimensions` sides with the shortest sum, longest first: the most compact block.

    Example:
        >>> sides(16, 3), sides(6, 2), sides(7, 2)
        ((4, 2, 2), (3, 2), (7, 1))
    """
    if dimensions <= 1:
        return (group,)
    best: tuple[int, ...] = (group,) + (1,) * (dimensions - 1)
    for side in range(1, math.isqrt(group) + 1):
        if group % side == 0:
            found = tuple(sorted((*sides(group // side, dimensions - 1), side), reverse=True))
            best = min(best, found, key=lambda block: (sum(block), block))
    return best


@lru_cache(maxsize=1024)
def grid(group: int, dimensions: int, wrapped: bool) -> Wiring:
    """Wire a group as the most compact block of a `dimensions`-dimensional torus (wrapped) or mesh (not).

    A chip's bandwidth is spread evenly over two links per dimension. A dimension of side 1 is not used.

    - Diameter of a ring of s: floor(s/2); of a line: s - 1.
    - Bandwidth into a chip: both links of every used dimension; the corner of a mesh has one of them.
    - Everyone to everyone, one byte each: the middle link of a line of s carries floor(s/2) ceil(s/2) / s
    bytes a
      direction, floor(s²/4) / s; a ring has a second way round and carries half of it.
    - Mean distance, itself included: floor(s²/4) / s on a ring, (s² - 1) / (3 s) on a line.

    Example:
        >>> grid(8, 3, True).hops, grid(8, 3, False).share, grid(4, 1, True).uniform
        (3.0, 0.5, 1.0)
    """
    used = [side for side in sides(group, dimensions) if side > 1]
    halves = [(side * side // 4) / side for side in used]
    return Wiring(
        hops=float(sum(side // 2 if wrapped else side - 1 for side in used)),
        share=len(used) / dimensions / (1 if wrapped else 2),
        uniform=max(halves) * dimensions * (1 if wrapped else 2),
        carried=sum(halves if wrapped else [(side * side - 1) / (3 * side) for side in used]),
        direct=1 / (2 * dimensions),
    )
