"""Laws of what somebody published: sets of measurements, and files of claims."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.names import chip_of, network_of
from inferbench.model.case import prepare
from inferbench.model.evaluate import evaluate
from inferbench.records.grid import Grid
from inferbench.records.measurement import Measurement
from inferbench.records.system import System, SystemName
from inferbench.specs import toml
from inferbench.testing.laws.law import Broken, Subject, law

__all__: list[str] = []

SLACK = 0.98
"""Share of the bound below which a measured time is doubted: clocks and datasheets are rounded."""
TIMES = ("tpot_s", "ttft_s", "latency_s")
VERDICTS = ("EXACT", "ASSUMPTION", "WRONG", "INCONSISTENT", "UNVERIFIED")


@law("measurements", doubt=True)
def measurements_name_what_is_installed(subject: Subject) -> Iterator[Broken]:
    """A measured chip and network are installed, by their name or by an alias."""
    known = subject.registry
    for kind, field, find in (("chips", "chip", chip_of), ("networks", "network", network_of)):
        for name in dict.fromkeys(getattr(row, field) for row in subject.record.rows):
            if not name or not known.names(kind):
                continue
            try:
                find(name, known)
            except InferBenchError:
                text = f"no installed package provides the {field} '{name}'"
                yield Broken(f"{field} {name}", text, "add an alias, or its spec")


@law("measurements", doubt=True)
def a_point_has_one_figure(subject: Subject) -> Iterator[Broken]:
    """One source gives a point once: the same figure does not stand there with two values."""
    seen: dict[Any, Measurement] = {}
    for row in subject.record.rows:
        bare = attrs.asdict(row, filter=lambda field, _: field.name not in ("source", *_figures()))
        key = repr(bare), row.source.rpartition(",")[0]
        other = seen.setdefault(key, row)
        for name in _figures() if other is not row else ():
            mine, theirs = getattr(row, name), getattr(other, name)
            if np.isfinite(mine) and np.isfinite(theirs) and mine != theirs:
                text = f"{name} is {mine:g}, and {theirs:g} in {other.source}"
                yield Broken(row.source, text, "tell the two apart, by an axis, software or layout")


def _figures() -> tuple[str, ...]:
    return (*TIMES, "tokens_per_s", "power_w", "energy_j")


@law("measurements", doubt=True)
def no_measurement_beats_the_bound(subject: Subject) -> Iterator[Broken]:
    """A step or a prompt on one chip takes no less than the bound of the chip's datasheet."""
    groups: dict[tuple[str, str, str, str], list[Measurement]] = defaultdict(list)
    for row in subject.record.rows:
        if row.chips == 1 and row.phase and not row.op and not row.conditions:
            groups[row.chip, row.network, row.phase, row.precision].append(row)
    for rows in groups.values():
        for row, name, bound in _bounds(subject.registry, rows):
            seconds = getattr(row, name)
            if seconds < SLACK * bound:
                text = f"{name} is {seconds:.4g} s, and {bound:.4g} s is the bound"
                yield Broken(row.source, text, "check unit, batch, precision and how many chips took part")


def _bounds(known: Registry, rows: list[Measurement]) -> Iterator[tuple[Measurement, str, float]]:
    """Each row's time by name, with the bound at its point; none where something is not known here."""
    first = rows[0]
    try:
        chip, network = chip_of(first.chip, known), network_of(first.network, known)
        phases = {phase.name: phase for phase in known.workload(network.type).phases}
        if first.phase not in phases:
            return  # `generate` is of many steps
        case = prepare(System(chip, 1), network, first.phase, stack=known.stack("ideal"), registry=known)
        precision = known.alias("precisions", first.precision or "bf16")
        for row in rows:
            names = (phases[first.phase].latency, "latency_s")
            name = next((one for one in names if np.isfinite(getattr(row, one))), "")
            if name:
                grid = Grid.of({axis: [value] for axis, value in row.axes.items()}, [precision])
                yield row, name, float(np.min(evaluate(case, grid).bound_seconds))
    except InferBenchError:
        return


def _read(subject: Subject) -> Mapping[str, Any]:
    return toml.read_toml(subject.record.read_bytes(), subject.record.name)[0]


def _tables(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [one for one in found.get("claims", []) if isinstance(one, dict)]


@law("claims", quick=True)
def a_claim_is_quoted_and_judged(subject: Subject) -> Iterator[Broken]:
    """A claim has an id of its own, the words that were said, their figure, and a verdict."""
    found = _read(subject)
    if not _tables(found):
        yield Broken("claims", "there is none", "write [[claims]] with id, quote, said and verdict")
    ids: set[str] = set()
    for number, claim in enumerate(_tables(found), start=1):
        place = str(claim.get("id", f"claim {number}"))
        for key in ("id", "quote", "said", "verdict"):
            if not claim.get(key):
                yield Broken(f"{place}.{key}", "it is missing", "a claim has id, quote, said and verdict")
        if place in ids:
            yield Broken(place, "the id stands twice", "give each claim an id of its own")
        ids.add(place)
        if claim.get("verdict", VERDICTS[0]) not in VERDICTS:
            yield Broken(f"{place}.verdict", f"'{claim['verdict']}'", f"one of {', '.join(VERDICTS)}")


@law("claims")
def claims_cite_sources(subject: Subject) -> Iterator[Broken]:
    """A file of claims says where they were published: every source has a title."""
    sources = _read(subject).get("sources", {})
    if not sources:
        yield Broken("sources", "there is none", "write [sources] with a title and a basis")
    for key, one in sources.items():
        if not (isinstance(one, dict) and one.get("title")):
            yield Broken(f"sources.{key}", "it has no title", "say who published it and where")


@law("claims", doubt=True)
def claims_are_of_what_is_installed(subject: Subject) -> Iterator[Broken]:
    """A run of a claim names a chip and a network that are installed, or the packages that it needs."""
    known = subject.registry
    owners = {owner for owner, _ in known.plugins.values()}
    for name, run in _read(subject).get("runs", {}).items():
        if not isinstance(run, dict) or any(one not in owners for one in run.get("needs", [])):
            continue
        wanted = {
            "chips": SystemName.parse(str(run.get("system", ""))).chip,
            "networks": str(run.get("workload", "")).partition("/")[0],
        }
        for kind, one in wanted.items():
            if known.names(kind) and known.alias(kind, one) not in known.names(kind):
                text = f"no installed package provides '{one}'"
                yield Broken(f"runs.{name}", text, "correct the name, or list its package under `needs`")
