"""The page of attacks names a test for each kind, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/attacks.md").read_text("utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", PAGE)


def test_every_test_that_the_page_names_is_there():
    assert NAMED
    missing = []
    for file, name in NAMED:
        nodes: list[ast.stmt] = ast.parse((ROOT / file).read_text("utf-8")).body
        for part in name.split("::"):
            found = [
                node
                for node in nodes
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == part
            ]
            nodes = found[0].body if found else []
            if not found:
                missing.append(f"{file}::{name}")
                break
    assert missing == []


def test_each_kind_has_a_test_and_says_what_was_tried():
    rows = [line.strip("|").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    kinds = [row for row in rows if row[0].strip() != "kind"]
    assert len(kinds) >= 40
    assert all(len(row) == 3 and row[1].strip() and "::test_" in row[2] for row in kinds)
    assert len({row[0] for row in kinds}) == len(kinds)
