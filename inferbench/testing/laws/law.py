"""What a law is, and how a package is judged by all of them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from typing import Any, Literal, NamedTuple

import attrs
import numpy as np

from inferbench.discovery.entries import said
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, PluginError, UnsupportedOp, interruptible

__all__ = ["LAWS", "Broken", "Finding", "Law", "State", "Subject", "Verdict", "judge", "law"]

State = Literal["fails", "doubtful"]


class Broken(NamedTuple):
    """One breach, as the law that noticed it says it.

    Attributes:
        where: Operator, key path or argument.
        found: With figures: what came out and what the law wants.
        remedy: What to do.
    """

    where: str
    found: str
    remedy: str


@attrs.frozen
class Finding:
    """One breach of one law by one record.

    Attributes:
        law: Name of the law.
        state: `fails`, or `doubtful` where a figure may be right and needs a note.
        owner: Distribution whose record it is.
        record: Kind and name: `architectures/wave`; `package` for the whole.
        where: Operator, key path or argument.
        found: With figures.
        remedy: What to do.
    """

    law: str
    state: State
    owner: str
    record: str
    where: str
    found: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.record}, {self.where}" if self.where else self.record
        return f"{self.law}: {self.owner}: {place}: {self.found}\n  {self.remedy}"


@attrs.frozen
class Subject:
    """What is judged: one record, and all that is installed beside it.

    Attributes:
        registry: Of everything.
        owner: Distribution under judgement.
        kind: `architectures`, … or `package`.
        name: Of the record.
        record: The record; for a kind of files the parsed record.
    """

    registry: Registry
    owner: str
    kind: str
    name: str
    record: Any

    def chips(self, architecture: str = "", most: int = 3) -> list[Any]:
        """Installed chips, the package's own first; of one architecture where it is named.

        Only chips that can be read.
        """
        entries = self.registry.entries("chips")
        order = sorted(entries.values(), key=lambda entry: (entry.owner != self.owner, entry.name))
        found: list[Any] = []
        for entry in order:
            try:
                chip = self.registry.chip(entry.name)
            except InferBenchError:
                continue
            if not architecture or chip.architecture_type == architecture:
                found.append(chip)
            if len(found) == most:
                break
        return found


Judge = Callable[[Subject], Iterable[Broken]]


@attrs.frozen
class Law:
    """One thing that every record of a kind satisfies.

    Attributes:
        name: As findings, the documentation and `--only` call it.
        kind: Kind of records; `package` for the whole.
        meaning: In one sentence.
        judge: Subject to breaches.
        doubt: Whether a breach is a doubt.
        quick: Whether `inferbench doctor` looks at it too.
    """

    name: str
    kind: str
    meaning: str
    judge: Judge
    doubt: bool = False
    quick: bool = False


LAWS: list[Law] = []


def law(kind: str, *, doubt: bool = False, quick: bool = False) -> Callable[[Judge], Judge]:
    """Make a law of a function: its name with hyphens, its docstring's first sentence the meaning."""

    def add(judge: Judge) -> Judge:
        name = judge.__name__.replace("_", "-")
        meaning = " ".join((judge.__doc__ or "").partition("\n\n")[0].split())
        LAWS.append(Law(name, kind, meaning, judge, doubt, quick))
        return judge

    return add


@attrs.frozen
class Verdict:
    """How a package fares.

    Attributes:
        owner: Distribution.
        findings: Breaches.
        passed: Law and record for everything that holds.
        missing: What could not be judged, and why.
    """

    owner: str
    findings: tuple[Finding, ...]
    passed: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str], ...] = ()

    @property
    def sound(self) -> bool:
        """Whether no law is broken; doubts are none."""
        return all(finding.state != "fails" for finding in self.findings)


def judge(subject: Subject, quick: bool = False) -> Verdict:
    """Judge one record by all laws of its kind.

    A law that the record makes raise is broken by it; an operator that the record refuses is not judged.

    Args:
        subject: The record.
        quick: Whether only the laws that `doctor` looks at.
    """
    findings: list[Finding] = []
    passed: list[tuple[str, str]] = []
    missing: list[tuple[str, str]] = []
    record = subject.kind if subject.kind == "package" else f"{subject.kind}/{subject.name}"
    for one in LAWS:
        if one.kind != subject.kind or (quick and not one.quick):
            continue
        printed = io.StringIO()
        try:
            with (
                interruptible(),
                redirect_stdout(printed),
                np.errstate(all="ignore"),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("ignore")  # a division by zero is told as the infinity that it makes
                broken = list(_first_of_each_place(one.judge(subject)))
        except UnsupportedOp as error:
            missing.append((f"{one.name}: {record}", str(error).splitlines()[0]))
            continue
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            broken = [_raised(error)]
        state: State = "doubtful" if one.doubt else "fails"
        findings += [Finding(one.name, state, subject.owner, record, *each) for each in broken]
        if printed.getvalue():
            text = printed.getvalue().strip().splitlines()[0][:60]
            findings.append(
                Finding("prints-nothing", "fails", subject.owner, record, one.name, *_printed(text))
            )
        if not broken:
            passed.append((one.name, record))
    return Verdict(subject.owner, tuple(findings), tuple(passed), tuple(missing))


def _raised(error: BaseException) -> Broken:
    """What a law says where asking it raised: the code itself, or the core, which refused its answer."""
    if isinstance(error, PluginError) and error.__cause__ is None:
        return Broken("", error.faults[0].found, error.faults[0].remedy)
    own = error.__cause__ if isinstance(error, PluginError) else None
    remedy = "an author's code may not raise here; run with --debug for the traceback"
    return Broken("", f"it raised {said(own or error)}", remedy)


def _printed(text: str) -> tuple[str, str]:
    return f"it printed '{text}'", "standard output belongs to the answer: use logging, or nothing"


def _first_of_each_place(broken: Iterable[Broken]) -> Iterator[Broken]:
    """One breach per place: a law that fails at a thousand points is told once."""
    seen: set[str] = set()
    for one in broken:
        if one.where not in seen:
            seen.add(one.where)
            yield one
