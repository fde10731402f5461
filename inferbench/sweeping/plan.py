"""`Plan`: a request with everything looked up, cut into chunks that fit into memory."""

from __future__ import annotations

import hashlib
import math
import pickle
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from inferbench._version import DISTRIBUTION, __version__
from inferbench.discovery.hashes import spec_hashes
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, suggest
from inferbench.model.case import Case, prepare
from inferbench.model.choice import choose
from inferbench.model.own_formats import own_formats
from inferbench.records.grid import Grid
from inferbench.records.network import Network
from inferbench.records.scenario import Scenario
from inferbench.records.stack import Stack
from inferbench.records.system import System, SystemName
from inferbench.specs.ranges import Points
from inferbench.sweeping.request import SCHEMA, Request, digest

__all__ = ["Chunk", "Piece", "Plan", "Work", "plan"]

# Measured with two thirds to spare: what evaluating and writing a point takes at the worst (a prefill, all
# columns).
BYTES_PER_POINT = 1500.0
# Points evaluated in one go: larger arrays fall out of the cache, smaller ones pay the fixed cost of a call
# too often.
BLOCK = 1 << 17
LEAST, MOST = 1 << 8, 1 << 20


@attrs.frozen(eq=False)
class Work:
    """One workload on one system over its whole grid.

    Attributes:
        stack: The system's software.
        axes: Axis to points, in the order given.
        formats: What the chip computes in for each name in `precisions`, of which `8bit` means its own.
        splits: Axis (and `precision`) to the number of slices it is cut into.
    """

    system: System
    stack: Stack
    network: Network
    phase: str
    axes: Mapping[str, Points]
    precisions: tuple[str, ...]
    formats: tuple[str, ...]
    splits: Mapping[str, int]

    @property
    def largest_batch(self) -> bool:
        """Whether the batch is the largest that fits, found point by point."""
        return "batch" in self.axes and self.axes["batch"].largest

    @property
    def size(self) -> int:
        """Points."""
        return math.prod(points.count for points in self.axes.values()) * len(self.precisions)

    @property
    def blocks(self) -> int:
        """Slices of the grid."""
        return math.prod(self.splits.values())

    def slices(self, block: int) -> dict[str, tuple[int, int]]:
        """Axis to the first and last (excluded) point of a block."""
        lengths = {
            **{name: points.count for name, points in self.axes.items()},
            "precision": len(self.precisions),
        }
        index = np.unravel_index(block, tuple(self.splits.values()))
        return {
            name: (lengths[name] * int(i) // count, lengths[name] * (int(i) + 1) // count)
            for (name, count), i in zip(self.splits.items(), index, strict=True)
        }

    def points(self, block: int) -> int:
        """Points of a block."""
        return math.prod(high - low for low, high in self.slices(block).values())

    def grid(self, block: int) -> Grid:
        """The grid of a block."""
        cut = self.slices(block)
        low, high = cut["precision"]
        return Grid.of(
            {name: points.values(*cut[name]) for name, points in self.axes.items()}, self.formats[low:high]
        )

    def labels(self, block: int) -> tuple[str, ...]:
        """Names of a block's precisions, as asked for: the same for every chip."""
        low, high = self.slices(block)["precision"]
        return self.precisions[low:high]


@attrs.frozen
class Piece:
    """One block of one work, and how many points it has."""

    work: int
    block: int
    points: int


@attrs.frozen
class Chunk:
    """What one worker does in one go and writes to one file: pieces in order."""

    index: int
    pieces: tuple[Piece, ...]

    @property
    def file(self) -> str:
        """Name of its file in a folder."""
        return f"part-{self.index:06d}.parquet"

    @property
    def points(self) -> int:
        """Rows of the file."""
        return sum(piece.points for piece in self.pieces)


@attrs.frozen(eq=False, slots=False)
class Plan:
    """Everything a worker needs, picklable.

    Attributes:
        request: What was asked for.
        basis: Versions and hashes that the numbers rest on.
        files: Single-file plugins that workers must load first.
        axes: Names of all axes, in order: columns.
    """

    request: Request
    basis: Mapping[str, Any]
    files: tuple[str, ...]
    works: tuple[Work, ...]
    scenario: Scenario | None
    axes: tuple[str, ...]

    @property
    def size(self) -> int:
        """Points."""
        return sum(work.size for work in self.works)

    @cached_property
    def hash(self) -> str:
        """Of the request and its basis: the sweep's identity."""
        return digest({"schema": SCHEMA}, self.request.plain(), self.basis)

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """All chunks, in order."""
        return tuple(
            Chunk(i, pieces)
            for i, pieces in enumerate(_grouped(self.works, chunk_points(self.request.memory)))
        )

    @property
    def beside(self) -> Iterator[Chunk]:
        """Chunks of all systems at the same points, block by block: what comparing them needs at once."""
        systems = len(self.request.systems)
        each = len(self.works) // systems
        for first in range(each):
            for block in range(self.works[first].blocks):
                size = self.works[first].points(block)
                pieces = (Piece(first + i * each, block, size) for i in range(systems))
                yield Chunk(first, tuple(pieces))

    def case(self, work: Work, registry: Registry) -> Case:
        """Look up the plugins of a work; a sweep writes no intervals, so none are computed.

        Raises:
            InferBenchError: As `prepare`.
        """
        case = prepare(
            work.system,
            work.network,
            work.phase,
            stack=work.stack,
            registry=registry,
            options=self.request.options,
            scenario=self.scenario,
            ignore_capacity=self.request.ignore_capacity,
            reserve=self.request.reserve,
        )
        return attrs.evolve(case, intervals=False)

    def dumps(self) -> bytes:
        """Pickle for a worker: the plugin files first, for the rest may need them to be read."""
        return pickle.dumps((self.files, pickle.dumps(attrs.evolve(self))))


def chunk_points(memory: float) -> int:
    """Points of a chunk that a worker with so many bytes can hold.

    Example:
        >>> chunk_points(512e6)
        341333
    """
    return int(min(MOST, max(LEAST, memory / BYTES_PER_POINT)))


def plan(request: Request, registry: Registry) -> Plan:
    """Look everything up and cut it.

    Raises:
        InferBenchError: Unknown names; an axis that no phase has; a stack that doesn't apply to a system.
    """
    works = tuple(_works(request, registry))
    scenario = registry.get("scenarios", request.scenario) if request.scenario else None
    axes = tuple(dict.fromkeys(["batch", "context", *(name for work in works for name in work.axes)]))
    made = Plan(request, _basis(request, works, registry), _files(registry), works, scenario, axes)
    for work in works:
        made.case(work, registry)
    return made


def _works(request: Request, registry: Registry) -> Iterator[Work]:
    precisions = tuple(registry.alias("precisions", name) for name in request.precisions)
    if not precisions:
        raise InferBenchError.of_argument("precision", "the axis has no points", precision=["fp16", "fp8"])
    known: set[str] = set()
    for name in request.systems:
        parsed = SystemName.parse(name)
        system = System(registry.chip(parsed.chip), parsed.count or 1, parsed.layout)
        for workload in request.workloads:
            network, _, phase = workload.rpartition("/")
            record = registry.network(network)
            phases = {one.name: one for one in registry.workload(record.type).phases}
            if phase not in phases:
                raise InferBenchError.at(
                    workload, f"'{phase}' is no phase of {record.type}", f"phases are {', '.join(phases)}"
                )
            defaults = {axis: Points.of([value]) for axis, value in phases[phase].axes.items()}
            known |= set(defaults)
            axes = {axis: request.axes.get(axis, points) for axis, points in defaults.items()}
            formats, _ = own_formats(precisions, system.chip, registry)
            chosen = choose(
                parsed.stack or request.stack,
                system.chip,
                record,
                phase,
                formats,
                registry,
                system.count,
            )
            yield Work(
                system,
                chosen.stack,
                record,
                phase,
                axes,
                precisions,
                tuple(formats),
                _splits(axes, precisions, min(BLOCK, chunk_points(request.memory))),
            )
    for axis in request.axes:
        if axis not in known:
            raise InferBenchError.of_argument(
                axis,
                f"no phase of this sweep has an axis '{axis}'",
                suggest(axis, known) or f"axes are {', '.join(sorted(known))}",
            )


def _splits(axes: Mapping[str, Points], precisions: Sequence[str], room: int) -> dict[str, int]:
    """Cut the shortest axes first, so that the longest stays whole in a block."""
    lengths = {**{name: points.count for name, points in axes.items()}, "precision": len(precisions)}
    splits = dict.fromkeys(lengths, 1)
    for name in sorted(lengths, key=lambda one: -lengths[one]):
        splits[name] = -(-lengths[name] // min(lengths[name], room))
        room = max(1, room // -(-lengths[name] // splits[name]))
    return splits


def _grouped(works: Sequence[Work], most: int) -> Iterator[tuple[Piece, ...]]:
    """Gather blocks to chunks of at most so many points (a block alone may have more)."""
    gathered: list[Piece] = []
    points = 0
    for number, work in enumerate(works):
        for block in range(work.blocks):
            size = work.points(block)
            if gathered and points + size > most:
                yield tuple(gathered)
                gathered, points = [], 0
            gathered.append(Piece(number, block, size))
            points += size
    if gathered:
        yield tuple(gathered)


def _files(registry: Registry) -> tuple[str, ...]:
    return tuple(owner for owner, version in registry.plugins.values() if version == "file")


def _basis(request: Request, works: Sequence[Work], registry: Registry) -> dict[str, Any]:
    """Versions and spec hashes; a sweep resumed on another basis would mix two models."""
    packages = {DISTRIBUTION: __version__, "numpy": np.__version__, **dict(sorted(registry.plugins.values()))}
    named = {("chips", work.system.chip.name) for work in works} | {
        ("networks", work.network.name) for work in works
    }
    named |= {("stacks", work.stack.name) for work in works}
    specs = spec_hashes(registry, sorted(named))
    for path in (
        *_files(registry),
        request.stack,
        request.scenario,
        *(workload.rpartition("/")[0] for workload in request.workloads),
    ):
        if path.endswith((".toml", ".json", ".py")) and Path(path).is_file():
            specs[Path(path).name] = "sha256:" + hashlib.sha256(Path(path).read_bytes()).hexdigest()
    changes = {"changes": registry.changes} if registry.changes else {}
    return {"packages": packages, "specs": specs, **changes}
