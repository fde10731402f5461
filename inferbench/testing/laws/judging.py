"""A package before the laws: itself, then every record that it brings."""

from __future__ import annotations

from collections.abc import Callable

from inferbench.discovery.registry import KINDS, Registry
from inferbench.errors import InferBenchError
from inferbench.testing.laws.law import Finding, Subject, Verdict, judge

__all__ = ["PARSED", "judge_package"]

PARSED = ("chips", "networks", "stacks", "systems", "scenarios", "suites", "measurements")


def judge_package(
    registry: Registry, owner: str, quick: bool = False, tell: Callable[[str], None] = lambda record: None
) -> Verdict:
    """Judge all that a distribution brings.

    Args:
        registry: Of everything installed, the package among it.
        owner: Distribution.
        quick: Whether only by the laws that `doctor` looks at.
        tell: Called with each record before it is judged, so that a watcher can say where it hangs.

    Returns:
        What holds, what is broken and what could not be judged.

    Example:
        >>> import inferbench
        >>> judge_package(inferbench.installed(), "inferbench-core").sound
        True
    """
    tell("package")
    verdicts = [judge(Subject(registry, owner, "package", owner, None), quick)]
    for kind in KINDS:
        for name, entry in registry.entries(kind).items():
            if entry.owner != owner:
                continue
            tell(f"{kind}/{name}")
            try:
                record = (
                    registry.get(kind, name) if kind in PARSED or entry.record is not None else entry.file
                )
            except InferBenchError as error:
                verdicts.append(_unreadable(owner, f"{kind}/{name}", error))
                continue
            verdicts.append(judge(Subject(registry, owner, kind, name, record), quick))
    return Verdict(
        owner,
        tuple(finding for one in verdicts for finding in one.findings),
        tuple(pair for one in verdicts for pair in one.passed),
        tuple(pair for one in verdicts for pair in one.missing),
    )


def _unreadable(owner: str, record: str, error: InferBenchError) -> Verdict:
    """A spec that can't be read breaks one law, once per fault."""
    findings = [
        Finding(
            "a-spec-is-valid",
            "fails",
            owner,
            record,
            fault.place,
            fault.found,
            fault.remedy or "fix the file",
        )
        for fault in error.faults
    ]
    return Verdict(owner, tuple(findings), ())
