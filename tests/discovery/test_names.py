"""The core knows no name of a plugin's record: its string literals against the names that packages yield."""

from __future__ import annotations

import ast
from pathlib import Path

import attrs
import pytest

import inferbench as ib
from inferbench.discovery.kinds import KINDS
from inferbench.discovery.registry import installed
from inferbench.records.measurement import EXPERTS
from inferbench.report.users import CARBON

CORE = Path(ib.__file__).parent
# Kinds whose names are the core's own words, or words of data that nobody asks for by name.
APART = ("commands", "renderers", "executors", "measurements", "claims", "tables", "plots")
# Words that the core itself defines. A package's record of the same name means the same thing.
OWN = {
    *(field.name for field in attrs.fields(ib.Measurement)),  # figures of a measured row: tpot_s, power_w
    *("algorithm", "hardware", "software", "utilization"),  # the identity
    *("silicon", "overlap"),  # fields of a run and of a stack
    *("ideal", "reference"),  # the stack that the core brings; the default suite and scenario
    "csv",  # a format, and a reader of it
    "linear",  # an axis that is no logarithm
    "layout_factor",  # the line below `hardware` in a chain of factors
    # Families of software whose schedulers are replayed; importers and stacks have these names too.
    *("vllm", "sglang", "optimum", "neuronx"),
    CARBON,  # of a served system; the metric of a run has this name too
    EXPERTS,  # a measured row of a whole layer of experts; the workload has this name too
}


def literals():
    """Every string of the core's code that is no docstring, with its place."""
    for file in sorted(CORE.rglob("*.py")):
        if "templates" in file.parts:
            continue
        tree = ast.parse(file.read_text("utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                yield node.value, f"{file.relative_to(CORE)}:{node.lineno}"


@pytest.mark.needs_plugins
def test_no_name_of_a_package_s_record_stands_in_the_core():
    registry = installed()
    names = {
        name
        for kind in KINDS
        if kind not in APART
        for name, entry in registry.entries(kind).items()
        if entry.owner.startswith("inferbench-") and entry.owner != "inferbench-core"
    }
    found = {text: place for text, place in literals() if text in names - OWN}
    assert found == {}
