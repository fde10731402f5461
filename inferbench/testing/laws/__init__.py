"""The laws of the conformance suite, and the judgement of a whole package."""

from __future__ import annotations

from inferbench.testing.laws import (
    architectures,
    machines,
    package,
    pictures,
    published,
    specs,
    time_models,
    tools,
    workloads,
)
from inferbench.testing.laws.judging import judge_package
from inferbench.testing.laws.law import LAWS, Broken, Finding, Law, State, Subject, Verdict, judge

__all__ = ["LAWS", "Broken", "Finding", "Law", "State", "Subject", "Verdict", "judge", "judge_package"]

# Imported for the laws that they add.
_ROOMS = (architectures, machines, package, pictures, published, specs, time_models, tools, workloads)
