"""Google's TPUs: slices of the ICI torus."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from inferbench_fabrics import Torus
from inferbench_fabrics.wiring import Wiring, grid

import inferbench as ib

__all__ = ["CUBE", "Ici", "inferbench_chips", "inferbench_fabrics", "slice_of"]

CUBE = 4
"""Side of a cube: what optical switches join."""


def slice_of(chips: int) -> tuple[int, ...]:
    """Sides of the slice of so many chips, shortest first: the most compact block of powers of two.

    Google's table of v5p slices, https://docs.cloud.google.com/tpu/docs/v5p, has these shapes. The largest,
    16 x 16 x 24, is 96 cubes.

    Example:
        >>> slice_of(8), slice_of(128), slice_of(6144)
        ((2, 2, 2), (4, 4, 8), (16, 16, 24))
    """
    sides = [1, 1, 1]
    left = chips
    for factor in (3, 2):
        while left % factor == 0:
            sides.sort()
            sides[0] *= factor
            left //= factor
    sides.sort()
    return tuple(sides) if left == 1 else (1, 1, chips)


class Ici(Torus):
    """A torus where the slice is made of whole cubes, else a mesh."""

    name = "ici"
    title = "ICI slice: torus of whole cubes, else mesh"

    def wiring(self, group: int, link: ib.Link) -> Wiring:
        """The most compact block; rings only from cube to cube."""
        whole = all(side % CUBE == 0 for side in slice_of(group))
        return grid(group, max(1, link.dimensions), whole)


@ib.hookimpl
def inferbench_fabrics() -> Iterator[ib.Fabric]:
    """Yield slices."""
    yield Ici()


@ib.hookimpl
def inferbench_chips() -> Iterator[Traversable]:
    """Yield the chips in slices."""
    yield files(__name__) / "chips"
