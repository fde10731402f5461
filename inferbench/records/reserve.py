"""`Reserve`: memory that an engine keeps from weights, cache and activations."""

from __future__ import annotations

import re

from inferbench.errors import InferBenchError
from inferbench.num import Numeric
from inferbench.records.chip import Chip
from inferbench.records.immutable import frozen
from inferbench.records.placement import Footprint
from inferbench.units import Unit, parse, show

__all__ = ["Reserve", "bytes_per_chip"]

_BYTES = Unit("B", "an amount of memory", "8 GB", zero=True)
_SHARE = re.compile(r"(?P<number>[0-9]*\.?[0-9]+)\s*(?P<percent>%?)")


@frozen
class Reserve:
    """What an engine leaves unused of each chip's memory: graphs, workspaces, fragments.

    vLLM hands out 90 % of the memory (`gpu_memory_utilization`), TensorRT-LLM 90 % of what weights leave.

    Attributes:
        share: Of the capacity, 0 to 1.
        size: Bytes beside it.

    Example:
        >>> Reserve.parse("10 %").of(80e9), Reserve.parse("2 GB").of(80e9)
        (8000000000.0, 2000000000.0)
    """

    share: float = 0.0
    size: float = 0.0

    def __bool__(self) -> bool:
        return self.share > 0 or self.size > 0

    def __str__(self) -> str:
        parts = [f"{100 * self.share:g} %"] if self.share or not self.size else []
        return " and ".join([*parts, *([show(self.size, "B")] if self.size else [])])

    def of(self, capacity: float) -> float:
        """Bytes of a memory of so many."""
        return capacity * self.share + self.size

    @classmethod
    def parse(cls, text: str | float) -> Reserve:
        """Read `0.1`, `10 %` or `8 GB`.

        Raises:
            InferBenchError: It is none of them, or a share of 1 or more.
        """
        match = _SHARE.fullmatch(f"{text}".strip())
        try:
            if match is None:
                return cls(size=parse(f"{text}", _BYTES))
        except ValueError:
            found = f"'{text}' is neither a share of the memory nor an amount"
            raise InferBenchError.of_argument("reserve", found, reserve="10%") from None
        share = float(match["number"]) / (100.0 if match["percent"] else 1.0)
        if not 0 <= share < 1:
            found = f"{text} leaves no memory; a share lies between 0 and 1"
            raise InferBenchError.of_argument("reserve", found, "write it like 0.1, 10% or 8GB")
        return cls(share)


def bytes_per_chip(needs: Footprint, needed: Numeric, reserve: Reserve, chip: Chip) -> dict[str, Numeric]:
    """Bytes per chip: what the fullest one must hold, by what it is, what the engine keeps, what there is.

    Activations are those of the largest operator; a reserve of 0 counts nothing that an engine keeps for
    itself (graphs, workspaces).

    Args:
        needs: Of the fullest pipeline stage.
        needed: What it must hold in all its levels, as its architecture counts it.
        reserve: What the engine keeps.
        chip: With its levels of memory.
    """
    return {
        "weights_bytes": needs.weights,
        "cache_bytes": needs.state,
        "activations_bytes": needs.activations,
        "needed_bytes": needed,
        "reserve_bytes": reserve.of(chip.memory[chip.main].capacity),
        "capacity_bytes": chip.capacity,
    }
