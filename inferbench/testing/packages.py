"""What every package, and every record of any kind, must satisfy."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from inferbench.discovery.registry import Registry, installed
from inferbench.testing.laws import Subject, Verdict, judge, judge_package

__all__ = ["PackageContract", "RecordContract"]


def _told(verdict: Verdict) -> str:
    return "\n".join(str(finding) for finding in verdict.findings if finding.state == "fails")


class PackageContract:
    """Inherit it and name a package: everything that it brings is judged by the laws of every hook.

    Attributes:
        package: Name of the installed distribution.
    """

    package: ClassVar[str]

    def registry(self) -> Registry:
        """Everything that is installed."""
        return installed()

    def test_the_package_is_installed_and_sound(self) -> None:
        """Every law of every hook holds; a failure names law, record, figures and remedy."""
        known = self.registry()
        owners = {owner for owner, _ in known.plugins.values()} | {one.owner for one in known.problems}
        assert self.package in owners, f"no installed plugin belongs to {self.package}: pip install -e ."
        verdict = judge_package(known, self.package)
        if not verdict.sound:
            pytest.fail(_told(verdict), pytrace=False)


class RecordContract:
    """Inherit it and give one record, installed or not: it is judged by the laws of its kind.

    Attributes:
        kind: `metrics`, `importers`, `renderers`, `executors`, `stacks`, `commands`, …
        record: The record, or the name of an installed one.
    """

    kind: ClassVar[str]
    record: ClassVar[Any]

    def test_the_laws_of_its_kind_hold(self) -> None:
        """Every law of the kind holds; a failure names law, record, figures and remedy."""
        known = installed()
        record = known.get(self.kind, self.record) if isinstance(self.record, str) else self.record
        name = str(getattr(record, "name", self.record))
        verdict = judge(Subject(known, f"{type(self).__module__}", self.kind, name, record))
        if not verdict.sound:
            pytest.fail(_told(verdict), pytrace=False)
