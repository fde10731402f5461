"""Judging plugins in a process of its own: `python -m inferbench.cli.trial`, watched by `trials`.

It says in lines of JSON what it is about to do, and what came out. The last line before a silence, or before
the end of the process, tells whose fault that is.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TextIO

import attrs

from inferbench.cli.audit import audit
from inferbench.cli.commands import CORE
from inferbench.discovery.entries import spec_file
from inferbench.discovery.ownership import trust
from inferbench.discovery.registry import KINDS, Registry
from inferbench.errors import InferBenchError
from inferbench.report.render import RENDERERS
from inferbench.specs import toml
from inferbench.testing.laws import Finding, Subject, Verdict, judge, judge_package

__all__ = ["main"]

ALL = "*"
TABLES = {
    "peak": "chips",
    "memory": "chips",
    "network": "networks",
    "points": "suites",
    "depreciation": "scenarios",
    "series": "measurements",
    "claims": "claims",
    "chips_per_node": "systems",
}


def main(arguments: list[str]) -> int:
    """Judge what is asked for.

    Args:
        arguments: `load`, `quick` or `full`; then a distribution, `*` for all of them, or the path of a
            file; then single-file plugins to load beside it, and files of claims.
    """
    # The answer's own channel: whatever a plugin writes to standard output, by any means, is kept out of it.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    depth, target, *files = arguments
    registry = Registry(tell=lambda name, owner: _say(out, at=_place(name), owner=owner))
    registry.bring("renderers", RENDERERS.values())
    registry.bring("commands", CORE)
    _ask(registry)
    for file in (file for file in files if file.endswith(".py")):
        _say(out, at=f"importing {file}", owner=file)
        registry.load_file(file)
        _ask(registry)
    if depth == "load":
        _say(out, at="the end", owner="", done=True)
        return 0
    claims = [Path(file) for file in files if file.endswith(".toml")]
    audits = (audit(registry, target, file) for file in claims)
    for verdict in chain(_verdicts(registry, target, depth == "quick", out), audits):
        findings = [attrs.asdict(finding) for finding in verdict.findings]
        _say(out, owner=verdict.owner, findings=findings, passed=verdict.passed, missing=verdict.missing)
    _say(out, at="the end", owner="", done=True)
    return 0


def _place(name: str) -> str:
    return name if name.startswith("inferbench_") else f"importing {name}"


def _ask(registry: Registry) -> None:
    """Ask every hook at once, each under its owner's name: what hangs later is at fault itself."""
    for kind in KINDS:
        registry.entries(kind)
    registry.aliases()


def _say(out: TextIO, **message: object) -> None:
    out.write(json.dumps(message) + "\n")


def _teller(out: TextIO, owner: str) -> Callable[[str], None]:
    return lambda record: _say(out, at=f"judging {record}", owner=owner)


def _verdicts(registry: Registry, target: str, quick: bool, out: TextIO) -> Iterator[Verdict]:
    if target.endswith(".toml"):
        yield _spec(registry, Path(target))
        return
    if target.endswith(".py"):
        registry.load_file(target)
        _ask(registry)
    owners = [target]
    if target == ALL:
        owners = [owner for owner, _ in registry.plugins.values()]
        owners = sorted({*owners, *(problem.owner for problem in registry.problems)}, key=trust)
    for owner in owners:
        yield judge_package(registry, owner, quick, _teller(out, owner))


def _spec(registry: Registry, path: Path) -> Verdict:
    """Judge a single spec; its tables say of which kind it is."""
    owner = str(path)
    try:
        keys = toml.read_toml(spec_file(owner), owner)[0]
        kind = next((kind for table, kind in TABLES.items() if table in keys), "stacks")
        if kind == "claims":  # their plugin reads them
            said = "a file of claims is judged in its package"
            raise InferBenchError.at(owner, said, "name the folder of the package")
        found_by: dict[str, Callable[[str], object]] = {
            "chips": registry.chip,
            "networks": registry.network,
            "stacks": registry.stack,
        }
        record = found_by[kind](owner) if kind in found_by else registry.get(kind, owner)
    except InferBenchError as error:
        findings = [
            Finding("a-spec-is-valid", "fails", owner, "spec", fault.place, fault.found, fault.remedy)
            for fault in error.faults
        ]
        return Verdict(owner, tuple(findings), ())
    return judge(Subject(registry, owner, kind, path.stem, record))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
