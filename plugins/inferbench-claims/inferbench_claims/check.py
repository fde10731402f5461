"""Checks published claims: runs what they rest on, computes our figure, and says whether the verdict holds.

Names that an expression may read:

    decode.useful, decode(batch=8).t_roofline   a run of the file, at another point of it: columns, metrics
    decode.op.gate_up.useful, decode.kind.gemm.outputs, decode.all.weights
                                                its operators, all executions together
    chip.tpu_v5p.memory.hbm.bandwidth           a chip's fact; network.llama3_70b.hidden_size;
    params.llama3_70b given.groq_8b_tokens_per_s                  a cited number of the file itself

Names of chips and networks are spelled with `_` for every other sign.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs
import numpy as np

import inferbench as ib
from inferbench_claims.arithmetic import Name, calculate, roots_in
from inferbench_claims.reading import claim_sets
from inferbench_claims.records import REFUTED, Claim
from inferbench_claims.situations import Situation

__all__ = ["Check", "check", "check_all", "select", "spelled"]

State = Literal["holds", "fails", "unchecked"]
ROOTS = ("chip", "network", "params", "given")
COLUMNS: Mapping[str, Callable[[ib.Run], Any]] = {
    "seconds": lambda run: run.seconds,
    "t_model": lambda run: run.model,
    "t_roofline": lambda run: run.roofline,
    "useful": lambda run: run.useful,
    "compulsory": lambda run: run.compulsory,
    "peak": lambda run: run.peak,
    "ridge": lambda run: run.ridge,
    "items": lambda run: run.items,
    "needed": lambda run: run.needed,
}
TRAFFIC: Mapping[str, Callable[[ib.Op], Any]] = {
    "useful": lambda op: op.useful * op.repeat,
    "weights": lambda op: op.bytes.weights * op.repeat,
    "state": lambda op: op.bytes.state * op.repeat,
    "inputs": lambda op: op.bytes.inputs * op.repeat,
    "outputs": lambda op: op.bytes.outputs * op.repeat,
    "parameters": lambda op: op.parameters * op.instances,
}


@attrs.frozen
class Check:
    """A claim, and what came out.

    Attributes:
        file: Name of its file, without the ending.
        ours: Our figure under the claim's own terms, SI; NaN where the claim gives none.
        corrected: The right figure; NaN where there is none.
        state: Whether the verdict `holds`, `fails`, or is `unchecked` because a package is missing.
        why: Which one, or what is wrong.
    """

    file: str
    claim: Claim
    ours: float
    corrected: float
    state: State
    why: str = ""

    @property
    def decisive(self) -> float:
        """The figure that the verdict rests on: the corrected one of a claim that is wrong."""
        return self.corrected if self.claim.verdict in REFUTED else self.ours

    @property
    def deviation(self) -> float:
        """Relative deviation of the decisive figure from the one said; NaN where unchecked."""
        return math.nan if math.isnan(self.decisive) else self.claim.deviation(self.decisive)


def check_all(registry: ib.Registry, ids: Sequence[str] = ()) -> Iterator[Check]:
    """Check every claim of every installed set, or those that `ids` select.

    Raises:
        InferBenchError: Unknown ids, a faulty file or expression.
    """
    sets = claim_sets(registry)
    wanted = select([claim.id for one in sets.values() for claim in one.claims], ids)
    for name, one in sets.items():
        known: dict[Any, Any] = {}
        for claim in one.claims:
            if claim.id in wanted:
                yield check(claim, name, registry, known)


def select(known: Sequence[str], ids: Sequence[str]) -> set[str]:
    """Return the ids that `ids` mean: whole ones, rows (`A8`) or groups (`A`); all if none is given.

    Example:
        >>> sorted(select(["A1.q", "A1.o", "A11", "B1"], ["A1", "B"]))
        ['A1.o', 'A1.q', 'B1']
    """
    wanted: set[str] = set()
    for one in ids:
        found = {i for i in known if one in (i, i.split(".")[0], re.split(r"\d", i)[0])}
        if not found:
            raise ib.InferBenchError.at(
                one, "no claim has this id", ib.suggest(one, known) or "inferbench claims"
            )
        wanted |= found
    return wanted or set(known)


def check(claim: Claim, file: str, registry: ib.Registry, known: dict[Any, Any] | None = None) -> Check:
    """Check one claim.

    Args:
        claim: With the runs of its file.
        file: Name of the file, for messages.
        registry: Of plugins and specs.
        known: Evaluations so far, shared between claims of one file.
    """
    where = f"{file}.toml: {claim.id}"
    absent = missing_packages(claim, where, registry)
    if absent:
        return Check(file, claim, math.nan, math.nan, "unchecked", f"needs {', '.join(absent)}")
    figures = []
    for key in ("expression", "corrected"):
        text = getattr(claim, key)
        scope = _Scope(claim, f"{where}: {key}", registry, {} if known is None else known)
        figures.append(calculate(text, scope.look_up, scope.where) if text else math.nan)
    ours, corrected = figures
    why = " and ".join(_objections(claim, ours, corrected))
    return Check(file, claim, ours, corrected, "fails" if why else "holds", why)


def _objections(claim: Claim, ours: float, corrected: float) -> Iterator[str]:
    """Say why a verdict does not hold."""
    if not math.isnan(ours) and not claim.reproduces(ours):
        yield f"{claim.said} does not come out under its own terms any more"
    if claim.verdict in REFUTED and claim.reproduces(corrected):
        yield f"{claim.said} comes out with corrected facts"


def missing_packages(claim: Claim, where: str, registry: ib.Registry) -> list[str]:
    """Name the packages that the claim, or a run that it reads, needs and that are not installed."""
    texts = [text for text in (claim.expression, claim.corrected) if text]
    roots = {root for text in texts for root in roots_in(text, where)}
    needed = [*claim.needs, *(p for root in roots if root in claim.runs for p in claim.runs[root].needs)]
    installed = {owner for owner, _ in registry.plugins.values()}
    return sorted({package for package in needed if package not in installed})


def spelled(name: str) -> str:
    """Write a name so that it parses: `llama3.1-8b` is `llama3_1_8b`."""
    return re.sub(r"\W", "_", name)


@attrs.frozen(eq=False)
class _Scope:
    """Looks names up for one expression."""

    claim: Claim
    where: str
    registry: ib.Registry
    known: dict[Any, Any]

    def look_up(self, name: Name) -> float:
        """Value of a name; errors say what is known instead."""
        root, *path = name.path
        if root in self.claim.runs:
            return self.column(name)
        if name.at or root not in ROOTS:
            raise self.unknown(name, root, [*self.claim.runs, *ROOTS])
        if not path:
            raise self.unknown(name, "", [])
        if root == "given":
            return self.member(name, self.claim.given, path)
        if root == "chip":
            chip = self.record(name, "chips", path[0])
            return self.member(name, chip, path[1:])
        network = self.record(name, "networks", path[0])
        if root == "params":
            return self.parameters(network) if len(path) == 1 else self.member(name, 0.0, path[1:])
        source = network if path[1:2] == ["published"] else network.params
        return self.member(name, source, path[1:])

    def unknown(self, name: Name, part: str, known: Iterable[str]) -> ib.InferBenchError:
        """Build the error for a name that is not known."""
        listed = list(known)
        return ib.InferBenchError.at(
            self.where,
            f"unknown name '{name}'",
            ib.suggest(part, listed) or (f"known here: {', '.join(listed)}" if listed else "name a number"),
        )

    def record(self, name: Name, kind: str, part: str) -> Any:
        """A chip or network by its spelled name."""
        names = {spelled(one): one for one in self.registry.names(kind)}
        if part not in names:
            raise self.unknown(name, part, names)
        return self.registry.get(kind, names[part])

    def member(self, name: Name, record: Any, path: Sequence[str]) -> float:
        """Walk along attributes and tables to a number."""
        at = record
        for part in path:
            table = at if isinstance(at, Mapping) else _fields(at)
            if part not in table:
                raise self.unknown(name, part, table)
            at = table[part]
        if isinstance(at, ib.Range):
            at = at.mid
        if isinstance(at, bool) or not isinstance(at, int | float):
            raise self.unknown(name, "", _fields(at) if not isinstance(at, Mapping) else at)
        if math.isnan(at):
            why = record.missing(".".join(path)) if isinstance(record, ib.Chip) else "not given"
            raise ib.InferBenchError.at(self.where, f"'{name}' is not known: {why}", "use a number that is")
        return float(at)

    def parameters(self, network: ib.Network) -> float:
        """All parameters of a network, counted in its graph."""
        key = ("params", network.name)
        if key not in self.known:
            workload = self.registry.workload(network.type)
            phase = workload.phases[0]
            at = ib.Grid.of({axis: [value] for axis, value in phase.axes.items()}, ["bf16"]).at
            ops = workload.graph(network, at, phase.name, workload.options())
            self.known[key] = _number(sum(op.parameters * op.instances for op in ops))
        return float(self.known[key])

    def column(self, name: Name) -> float:
        """A column of a run at a point."""
        key = (id(self.claim.runs[name.path[0]]), tuple(sorted(name.at.items())))
        if key not in self.known:
            self.known[key] = Situation.of(self.claim.runs[name.path[0]], name.at, self.registry, self.where)
        situation, path = self.known[key], name.path[1:]
        if len(path) in (2, 3) and path[0] in ("op", "kind", "all"):
            return self.traffic(name, situation.ops, path)
        if len(path) == 1 and path[0] in COLUMNS:
            return _number(COLUMNS[path[0]](situation.run))
        metrics = self.registry.names("metrics")
        if len(path) == 1 and path[0] in metrics:
            return _number(self.registry.get("metrics", path[0]).of(situation.run))
        raise self.unknown(name, path[0] if path else "", [*COLUMNS, *metrics, "op", "kind", "all"])

    def traffic(self, name: Name, ops: Sequence[ib.Op], path: Sequence[str]) -> float:
        """Operations and bytes of one operator, of a kind, or of all."""
        if path[0] == "all":
            chosen = list(ops)
        else:
            attribute = {"op": "name", "kind": "kind"}[path[0]]
            chosen = [op for op in ops if getattr(op, attribute) == path[1]]
            if not chosen:
                raise self.unknown(name, path[1], dict.fromkeys(getattr(op, attribute) for op in ops))
        if path[-1] not in TRAFFIC or len(path) != (2 if path[0] == "all" else 3):
            raise self.unknown(name, path[-1], TRAFFIC)
        return _number(sum(TRAFFIC[path[-1]](op) for op in chosen))


def _fields(record: Any) -> dict[str, Any]:
    """Fields of a record that lead to numbers, by spelled name."""
    if not attrs.has(type(record)):
        return {}
    fields = {field.name: getattr(record, field.name) for field in attrs.fields(type(record))}
    if isinstance(record, ib.Chip):
        return {k: v for k, v in fields.items() if isinstance(v, Mapping) or attrs.has(type(v))}
    return fields


def _number(value: Any) -> float:
    return float(np.asarray(value, dtype=np.float64).reshape(-1)[0])
