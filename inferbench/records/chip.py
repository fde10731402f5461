"""`Chip`: datasheet facts, and nothing that was fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from inferbench.errors import raise_if
from inferbench.records.facts import Fact, Source
from inferbench.records.node import Node
from inferbench.records.rules import broken, known_formats
from inferbench.units import (
    ByteCount,
    BytesPerSecond,
    Dollars,
    DollarsPerHour,
    Metres,
    OpsPerSecond,
    Range,
    Seconds,
    SquareMetres,
    Watts,
)

__all__ = ["Chip", "Link", "MemoryLevel", "Power", "Price", "Rental", "Silicon"]

NAN = math.nan
UNKNOWN = Range(NAN, NAN)


@attrs.frozen
class MemoryLevel:
    """One level of memory of one chip: `[memory.hbm]`, `[memory.sram]`, `[memory.l2]`.

    Attributes:
        capacity: Bytes of one chip.
        bandwidth: Bytes per second that one chip reads or writes at most.
    """

    capacity: ByteCount
    bandwidth: BytesPerSecond


@attrs.frozen
class Link:
    """One interconnect: `[interconnect.scale_up]`, `[interconnect.scale_out]`.

    Attributes:
        fabric: Name of the fabric model: `switch`, `full-mesh`, `ring`, `torus`, `mesh`, …
        bandwidth: One direction, per chip, over all its links.
        latency: One hop, without software; NaN where not published.
        size: Chips in one domain.
        dimensions: Dimensions of a torus or mesh.
        reduction: Whether the switch adds what chips send (NVLink SHARP), so that an all-reduce moves every
            tensor once to the switch and once back.
    """

    fabric: str
    bandwidth: BytesPerSecond = NAN
    latency: Seconds = NAN
    size: int = 1
    dimensions: int = 1
    reduction: bool = False


@attrs.frozen
class Power:
    """Watts of one chip.

    Attributes:
        tdp: Power limit; NaN where none is published.
        idle: With nothing to do.
        boundary: What the watts include: the bare `chip`; the `board` or module with its memory and
            regulators; the whole `system`, host and fans included, which no wall factor is applied to
            again.
    """

    tdp: Watts = NAN
    idle: Watts = NAN
    boundary: Literal["chip", "board", "system"] = "board"


@attrs.frozen
class Rental:
    """What one chip costs to rent for an hour, by term.

    Attributes:
        on_demand: Without commitment.
        reserved_1y: With a commitment of one year.
        reserved_3y: With a commitment of three years.
    """

    on_demand: DollarsPerHour = UNKNOWN
    reserved_1y: DollarsPerHour = UNKNOWN
    reserved_3y: DollarsPerHour = UNKNOWN


@attrs.frozen
class Price:
    """What one chip costs. Prices of different terms are different quantities: only like is compared with
    like.

    Attributes:
        purchase: To buy it.
        ownership: Published cost of owning one for an hour, everything included, by somebody else's model.
        rental: To rent it, by term.
        includes_system: Whether the purchase price holds its share of host, network and rack, as a rack's
            does.
    """

    purchase: Dollars = UNKNOWN
    ownership: DollarsPerHour = UNKNOWN
    rental: Rental = Rental()
    includes_system: bool = False


@attrs.frozen
class Silicon:
    """How and when it was made.

    Attributes:
        node: The marketing name of the process, as a length.
        area: Of the dies that compute, together.
        year: In which it was introduced; 0: not known.
    """

    node: Metres = NAN
    area: SquareMetres = NAN
    year: int | None = None


@attrs.frozen(kw_only=True)
class Chip:
    """A chip as its maker describes it. NaN marks a figure nobody published; `facts` says why.

    Attributes:
        name: The spec's file stem; how users write it.
        title: How screens write it.
        architecture_type: Name of the architecture plugin.
        architecture: The `[architecture]` table, structured by that plugin's `params` class.
        peak: Format name (`bf16`, `fp8`) to dense operations per second (1 MAC = 2 operations).
        memory: Level name to `MemoryLevel`, as in the file.
        interconnect: `scale_up` and `scale_out` links.
        node: The server it usually sits in; None where no package describes one.
        facts: Key path to `Fact`, for every number and every missing number.

    Example:
        >>> import inferbench
        >>> inferbench.installed().chip("b200").facts["memory.hbm.bandwidth"].basis
        'datasheet'
    """

    name: str
    title: str
    vendor: str
    architecture_type: str
    architecture: Any
    peak: Mapping[str, OpsPerSecond] = attrs.field(factory=dict)
    memory: Mapping[str, MemoryLevel] = attrs.field(factory=dict)
    interconnect: Mapping[str, Link] = attrs.field(factory=dict)
    power: Power = Power()
    price: Price = Price()
    silicon: Silicon = Silicon()
    node: Node | None = None
    facts: Mapping[str, Fact] = attrs.field(factory=dict, eq=False)
    note: str = ""
    origin: str = ""

    def __attrs_post_init__(self) -> None:
        faults = [*broken(self), *known_formats(self.peak)]
        if attrs.has(type(self.architecture)):
            faults += broken(self.architecture, "architecture")
        raise_if(attrs.evolve(fault, where=f"{self.name}: {fault.where}") for fault in faults)

    @property
    def outermost(self) -> str:
        """Name of the level with the largest capacity: where everything lives unless an architecture says
        otherwise.

        A capacity that is not published counts as the largest: it is the one that nobody can check against.
        """
        sizes = {name: level.capacity for name, level in self.memory.items()}
        return max(sizes, key=lambda name: math.inf if math.isnan(sizes[name]) else sizes[name])

    def missing(self, path: str) -> str:
        """Say why the number at a key path is not known; empty if it is."""
        fact = self.facts.get(path)
        return "not given in the spec" if fact is None else fact.missing


@attrs.frozen(kw_only=True)
class ChipFile:
    """The layout of a chip's TOML; `[architecture]` is walked along the plugin's own class."""

    title: str
    vendor: str
    note: str = ""
    source: str = ""
    sources: Mapping[str, Source] = attrs.field(factory=dict)
    architecture: Mapping[str, Any]
    peak: Mapping[str, OpsPerSecond] = attrs.field(factory=dict)
    memory: Mapping[str, MemoryLevel]
    interconnect: Mapping[str, Link] = attrs.field(factory=dict)
    power: Power = Power()
    price: Price = Price()
    silicon: Silicon = Silicon()
