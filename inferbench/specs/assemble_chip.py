"""From a chip's file, and that of the chip it is based on, to its record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from inferbench.errors import Fault, InferBenchError, raise_if, suggest
from inferbench.records.chip import Chip, ChipFile
from inferbench.records.facts import Fact
from inferbench.records.immutable import frozen
from inferbench.records.precision import FORMATS
from inferbench.specs.assemble import walk_typed
from inferbench.specs.structure import structure
from inferbench.specs.toml import Find, read_toml, walk

__all__ = ["FindFile", "chip_from"]

FindFile = Callable[[str], bytes]
"""The file of an installed chip by its name."""
SECTION = "architecture"


@frozen
class _Whole:
    """A chip's file with what it took from others.

    Attributes:
        kind: The architecture that it is of.
        params: The class of that architecture's table.
        values: The file in SI units, `[architecture]` left out.
        inner: `[architecture]` in SI units.
        facts: Key path to every number of both.
    """

    kind: str
    params: type
    values: Mapping[str, Any]
    inner: Mapping[str, Any]
    facts: Mapping[str, Fact]


def chip_from(
    text: bytes, name: str, where: str, find: Find, warn: Callable[[Fault], None], base: FindFile
) -> Chip:
    """Build a chip. What a file that is `based_on` another chip leaves out is that chip's, with its sources.

    Args:
        text: The file.
        name: Its stem.
        where: How messages call it.
        find: Architecture plugin by name.
        warn: Takes doubts that are no errors: a peak that looks sparse.
        base: The file of another chip by name.

    Raises:
        InferBenchError: With every fault of the file.
    """
    whole = _whole(text, where, find, base, ())
    file: ChipFile = structure(whole.values, ChipFile, where)
    chip = Chip(
        name=name,
        title=file.title,
        vendor=file.vendor,
        architecture_type=whole.kind,
        architecture=structure(whole.inner, whole.params, where, SECTION),
        peak=file.peak,
        memory=file.memory,
        interconnect=file.interconnect,
        power=file.power,
        price=file.price,
        silicon=file.silicon,
        facts=whole.facts,
        note=file.note,
        origin=where,
        based_on=file.based_on,
    )
    for doubt in _doubts(chip, where):
        warn(doubt)
    return chip


def _whole(text: bytes, where: str, find: Find, base: FindFile, above: tuple[str, ...]) -> _Whole:
    """Walk a file and those below it.

    Args:
        above: Names of the chips on the way to this file.
    """
    raw, _ = read_toml(text, where)
    old = _below(raw, where, find, base, above)
    table = raw.get(SECTION, {})
    partial = old is not None and isinstance(table, Mapping) and table.get("type", old.kind) == old.kind
    if old is not None and partial:
        raw = {**raw, SECTION: {**table, "type": old.kind}}
    outer = walk(raw, ChipFile, where, partial=old is not None)
    kind, plugin, inner = walk_typed(raw, SECTION, where, find, outer, partial)
    raise_if([*outer.faults, *inner.faults, *_faults(raw, outer.values, where)])
    if old is None:
        return _Whole(kind, plugin.params, outer.values, inner.values, {**outer.facts, **inner.facts})
    mine = {path: fact for path, fact in old.facts.items() if partial or not path.startswith(f"{SECTION}.")}
    return _Whole(
        kind,
        plugin.params,
        _merged(old.values, outer.values),
        _merged(old.inner, inner.values) if partial else inner.values,  # another model has other keys
        {**mine, **outer.facts, **inner.facts},
    )


def _below(
    raw: Mapping[str, Any], where: str, find: Find, base: FindFile, above: tuple[str, ...]
) -> _Whole | None:
    """The file that one is based on, whole; None where it is based on none."""
    name = raw.get("based_on")
    if not isinstance(name, str):  # of another type: the walk says so
        return None
    at = f"{where}: based_on"
    if name in above:
        way = " on ".join((*above, name))
        raise InferBenchError.at(at, f"goes in a circle: {way}", "let one of them stand for itself")
    try:
        return _whole(base(name), f"{name}.toml", find, base, (*above, name))
    except InferBenchError as error:
        raise InferBenchError(attrs.evolve(one, where=f"{at}: {one.where}") for one in error.faults) from None


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The old table with what the new one says in its place."""
    both = {
        key: _merged(old[key], value)
        for key, value in new.items()
        if isinstance(value, Mapping) and isinstance(old.get(key), Mapping)
    }
    return {**old, **new, **both}


def _faults(raw: Mapping[str, Any], values: Mapping[str, Any], where: str) -> Iterable[Fault]:
    """Yield what a chip's file must satisfy beyond keys and units."""
    if "based_on" in raw and "title" not in raw:
        remedy = "add `title`: screens show both chips"
        yield Fault(f"{where}: title", "missing key", remedy)
    for key in values.get("peak", {}):
        if key not in FORMATS:
            remedy = suggest(key, FORMATS, models=False) or f"known: {', '.join(FORMATS)}"
            yield Fault(f"{where}: peak.{key}", "unknown number format", remedy)
    if values.get("memory") == {}:
        yield Fault(f"{where}: memory", "no memory level", "add at least one, for example [memory.hbm]")


def _doubts(chip: Chip, where: str) -> Iterable[Fault]:
    """Yield doubts about peaks: dense figures of 8 bits are between one and about two times those of 16."""
    base = chip.peak.get("bf16", chip.peak.get("fp16", math.nan))
    for key in ("fp8", "int8"):
        peak = chip.peak.get(key, math.nan)
        noted = bool(chip.facts.get(f"peak.{key}") and chip.facts[f"peak.{key}"].note)
        if peak > 2.2 * base and not noted:
            yield Fault(
                f"{where}: peak.{key}",
                f"{peak / base:.2g} times the 16-bit peak looks like a sparse figure; peaks are dense",
                "give the dense peak, or a `note` that explains it",
            )
        elif peak < base and not noted:
            yield Fault(
                f"{where}: peak.{key}", "below the 16-bit peak", "check it, or add a `note` that explains it"
            )
        elif peak == base and not noted:
            yield Fault(
                f"{where}: peak.{key}",
                "equal to the 16-bit peak",
                "add a `note` that says so, or leave it out: the tool falls back by itself",
            )
