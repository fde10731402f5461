"""What a package claims about its chip: possible, possible only with something else, or impossible.

A claim is held against the bound: what no schedule beats on the chip as its spec describes it. Below the
bound it is possible, which does not say that software reaches it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from inferbench.discovery.entries import spec_file
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, suggest
from inferbench.face.run import evaluated
from inferbench.model.document import reason_at
from inferbench.records.system import SystemName
from inferbench.specs import toml
from inferbench.testing.laws import Finding, State, Verdict

__all__ = ["LAW", "Claim", "audit", "read_claims"]

LAW = "claims-are-possible"
"""The law that a claim above the bound breaks."""
NARROWER = ("fp8", "int8", "w4a16", "fp4", "nvfp4", "mxfp4", "int4")
MORE = (2, 4, 8)
TOLERANCE = 1e-9
UNBOUNDED = ("power", "wall_power")
"""What has no bound: a chip that waits for its software draws less than one that works without a pause."""


@attrs.frozen(kw_only=True)
class Claim:
    """One claim of a package's `claims.toml`.

    Attributes:
        says: Word for word.
        system, workload: As on the command line.
        metric: Name of a metric.
        value: In the metric's unit, SI.
        precision: Name of a precision.
        batch, context: Axes; None takes the workload's default.
    """

    says: str
    system: str
    workload: str
    metric: str
    value: float
    precision: str = "bf16"
    batch: float | None = None
    context: float | None = None

    @property
    def axes(self) -> dict[str, float]:
        """Axes that are given."""
        given = {"batch": self.batch, "context": self.context}
        return {name: value for name, value in given.items() if value is not None}


def read_claims(path: Path) -> list[Claim]:
    """Read a file of claims.

    Raises:
        InferBenchError: An unknown key, one that is missing, a value that is no number.
    """
    where = path.name
    tables = toml.read_toml(spec_file(str(path)), where)[0].get("claim", [])
    known = [field.name for field in attrs.fields(Claim)]
    needed = [field.name for field in attrs.fields(Claim) if field.default is attrs.NOTHING]
    claims = []
    for number, table in enumerate(tables, start=1):
        place = f"{where}: claim {number}"
        if not isinstance(table, dict):
            raise InferBenchError.at(place, "it is no table", "write [[claim]] with its keys below")
        for key in table:
            if key not in known:
                remedy = suggest(key, known) or f"keys are {', '.join(known)}"
                raise InferBenchError.at(f"{place}.{key}", "no key of a claim", remedy)
        for key in needed:
            if key not in table:
                remedy = f"a claim has {', '.join(needed)}"
                raise InferBenchError.at(f"{place}.{key}", "it is missing", remedy)
        for key, value in table.items():
            _refuse_type(key in ("value", "batch", "context"), value, f"{place}.{key}")
        claims.append(Claim(**table))
    return claims


def _refuse_type(number: bool, value: object, place: str) -> None:
    """Refuse what is no number, or no text."""
    if number and (isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)):
        raise InferBenchError.at(place, f"{value!r} is no number", "write it in SI units")
    if not number and not isinstance(value, str):
        raise InferBenchError.at(place, f"{value!r} is no text", "write it in quotes")


def audit(registry: Registry, owner: str, path: Path) -> Verdict:
    """Hold every claim of a file against the bound.

    Args:
        registry: With the package's chips.
        owner: Distribution.
        path: Of `claims.toml`.
    """
    try:
        claims = read_claims(path)
    except InferBenchError as error:
        faults = [
            Finding("a-spec-is-valid", "fails", owner, "claims", one.place, one.found, one.remedy)
            for one in error.faults
        ]
        return Verdict(owner, tuple(faults), ())
    findings: list[Finding] = []
    passed, missing = [], []
    metrics = registry.names("metrics")
    for claim in claims:
        if metrics and claim.metric not in metrics:
            said = f"no installed package provides the metric '{claim.metric}'"
            remedy = suggest(claim.metric, metrics) or "inferbench list metrics"
            findings.append(Finding(LAW, "fails", owner, "claims", f"'{claim.says}'", said, remedy))
            continue
        whose = registry.get("metrics", claim.metric).interval if metrics else None
        if whose in UNBOUNDED:
            missing.append(
                (f"{LAW}: '{claim.says}'", f"{claim.metric} has no bound: slow software draws less")
            )
            continue
        try:
            bound, why = _bound(registry, claim)
        except InferBenchError as error:
            missing.append((f"{LAW}: '{claim.says}'", str(error).splitlines()[0]))
            continue
        if _reached(registry, claim, bound):
            passed.append((LAW, f"'{claim.says}': {_share(claim, bound)}"))
            continue
        only = next(_only_with(registry, claim), "")
        found = f"{claim.value:g} claimed, {why or f'the bound is {bound:.4g}'}"
        said = f"possible only with {only}" if only else "impossible on the chip that the spec describes"
        remedy = "say so in the claim" if only else "correct the claim, or the spec"
        # Energies rest on estimated coefficients: no more than a doubt follows from them.
        state: State = "doubtful" if only or "energy" in (whose or "") else "fails"
        findings.append(Finding(LAW, state, owner, "claims", f"'{claim.says}'", f"{said}: {found}", remedy))
    return Verdict(owner, tuple(findings), tuple(passed), tuple(missing))


def _bound(registry: Registry, claim: Claim) -> tuple[float, str]:
    """The metric at what no schedule beats; NaN and why where it does not fit."""
    run = evaluated(
        claim.system,
        claim.workload,
        registry,
        claim.axes,
        precision=claim.precision,
        stack="ideal",
        scenario="reference" if "reference" in registry.names("scenarios") else "",
        options=None,
        ignore_capacity=False,
        breakdown=False,
    )
    if not np.all(run.feasible):
        return math.nan, f"it does not fit: {reason_at(run, (0,) * run.values(0.0).ndim)}"
    fastest = attrs.evolve(run, seconds=np.asarray(run.bound_seconds))
    return float(np.max(fastest[claim.metric])), ""


def _reached(registry: Registry, claim: Claim, bound: float) -> bool:
    if math.isnan(bound):
        return False
    if registry.get("metrics", claim.metric).better == "lower":
        return claim.value >= bound * (1 - TOLERANCE)
    return claim.value <= bound * (1 + TOLERANCE)


def _share(claim: Claim, bound: float) -> str:
    low, high = sorted((claim.value, bound))
    return f"possible, at {low / high:.0%} of the bound" if high else "possible"


def _only_with(registry: Registry, claim: Claim) -> Iterator[str]:
    """Yield what would make it possible: a narrower format, more chips, then both."""
    for changes, said in _others(claim):
        other = attrs.evolve(claim, **changes)
        try:
            bound, _ = _bound(registry, other)
        except InferBenchError:
            continue
        if _reached(registry, other, bound):
            yield said


def _others(claim: Claim) -> Iterator[tuple[Mapping[str, Any], str]]:
    formats = [name for name in NARROWER if name != claim.precision]
    name = SystemName.parse(claim.system)
    count = name.count or 1
    systems = {} if name.layout else {factor: f"{factor * count}x{name.chip}" for factor in MORE}
    yield from (({"precision": one}, one) for one in formats)
    yield from (({"system": text}, f"{factor * count} chips") for factor, text in systems.items())
    for factor, text in systems.items():
        for one in formats:
            yield {"system": text, "precision": one}, f"{factor * count} chips in {one}"
