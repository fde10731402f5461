"""`Chip`: datasheet facts, and nothing that was fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from inferbench.errors import Fault, InferBenchError, raise_if
from inferbench.records.facts import Fact, Source
from inferbench.records.immutable import frozen
from inferbench.records.node import Node
from inferbench.records.rules import broken, known_formats
from inferbench.units import (
    BitsPerSecond,
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
SMALLEST = 1e9
"""Bytes below which a level beside a larger one is taken for a cache, where its file doesn't say."""
UNKNOWN = Range(NAN, NAN)


@frozen
class MemoryLevel:
    """One level of memory of one chip: `[memory.hbm]`, `[memory.sram]`, `[memory.l2]`.

    Attributes:
        capacity: Bytes of one chip.
        bandwidth: Bytes per second that one chip reads or writes at most; of the host's memory those of the
            link to it.
        cache: Whether it only holds copies, so that nothing lives there. Not given: it does if it holds less
            than 1 GB beside a larger level.
        pins: Data pins of all stacks or devices, if known. They check the bandwidth.
        rate: Bits per second of one pin. It checks the bandwidth.
    """

    capacity: ByteCount
    bandwidth: BytesPerSecond
    cache: bool | None = None
    pins: int | None = None
    rate: BitsPerSecond = NAN


@frozen
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
        workspace: What an engine keeps of each chip's memory beside its usual share where several chips work
            together: buffers of the exchanges, activations of its largest step. NaN where no log says it.
    """

    fabric: str
    bandwidth: BytesPerSecond = NAN
    latency: Seconds = NAN
    size: int = 1
    dimensions: int = 1
    reduction: bool = False
    workspace: ByteCount = NAN


@frozen
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


@frozen
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


@frozen
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


@frozen
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


def _size(level: MemoryLevel) -> float:
    return math.inf if math.isnan(level.capacity) else level.capacity


def _rate(level: MemoryLevel) -> float:
    return 0.0 if math.isnan(level.bandwidth) else level.bandwidth


def _copies(level: MemoryLevel) -> bool:
    return _size(level) < SMALLEST if level.cache is None else level.cache


@frozen(kw_only=True)
class Chip:
    """A chip as its maker describes it. NaN marks a figure nobody published; `facts` says why.

    .. versionadded:: 0.1

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
        based_on: The chip whose figures stand where its file has none; empty where it has all.

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
    based_on: str = ""

    def __attrs_post_init__(self) -> None:
        tables = {name: getattr(self, name) for name in ("peak", "memory", "interconnect", "facts")}
        raise_if(
            Fault(f"{self.name}: {name}", f"{value!r:.40} is no table", "give a dictionary by name")
            for name, value in tables.items()
            if not isinstance(value, Mapping)
        )
        faults = [*broken(self), *known_formats(self.peak)]
        if attrs.has(type(self.architecture)):
            faults += broken(self.architecture, "architecture")
        raise_if(attrs.evolve(fault, where=f"{self.name}: {fault.where}") for fault in faults)

    @property
    def outermost(self) -> str:
        """Name of the level with the largest capacity.

        A capacity that is not published counts as the largest: it is the one that nobody can check against.

        Raises:
            InferBenchError: There is none.
        """
        if not self.memory:
            remedy = "add one, like [memory.hbm] with its capacity and bandwidth"
            raise InferBenchError.at(f"{self.name}: memory", "the chip has no level of memory", remedy)
        return max(self.memory, key=lambda name: _size(self.memory[name]))

    @property
    def tiers(self) -> tuple[str, ...]:
        """Names of the levels that data may live in, the fastest first; beside the largest, none whose
        bandwidth nobody published.

        Example:
            >>> import inferbench
            >>> inferbench.installed().chip("h100-sxm").tiers                  # the L2 is a cache
            ('hbm',)
        """
        largest = self.outermost
        found = [
            name
            for name, level in self.memory.items()
            if name == largest or not (_copies(level) or math.isnan(level.bandwidth))
        ]
        return tuple(sorted(found, key=lambda name: -_rate(self.memory[name])))

    @property
    def main(self) -> str:
        """Name of the level where everything lives that fits, unless an architecture says otherwise."""
        return self.tiers[0]

    @property
    def capacity(self) -> float:
        """Bytes that all levels hold in which data may live; NaN where one of them is not published."""
        return sum(self.memory[name].capacity for name in self.tiers)

    def missing(self, path: str) -> str:
        """Say why the number at a key path is not known; empty if it is."""
        fact = self.facts.get(path)
        return "not given in the spec" if fact is None else fact.missing


@frozen(kw_only=True)
class ChipFile:
    """The layout of a chip's TOML; `[architecture]` is walked along the plugin's own class."""

    title: str
    vendor: str
    note: str = ""
    based_on: str = ""
    source: str = ""
    sources: Mapping[str, Source] = attrs.field(factory=dict)
    architecture: Mapping[str, Any]
    peak: Mapping[str, OpsPerSecond] = attrs.field(factory=dict)
    memory: Mapping[str, MemoryLevel]
    interconnect: Mapping[str, Link] = attrs.field(factory=dict)
    power: Power = Power()
    price: Price = Price()
    silicon: Silicon = Silicon()
