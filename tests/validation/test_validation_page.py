"""The validation page: figures of power come from the fits' own records, and its tools keep to the limits."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import inferbench as ib

TOOLS = sorted((Path(__file__).parents[2] / "tools").glob("*.py"))

pytestmark = pytest.mark.needs_plugins("chips/b200", "stacks/trtllm-1.3-b200", "power_models/linear")


@pytest.fixture(scope="module")
def page(tool):
    return tool("tools/validation_page.py")


def test_power_is_read_from_the_records_of_its_fits(page):
    """132 runs of three boards, 376 products and 505 prompts, as the tables have readings fit to use."""
    rows = {row[0].partition(",")[0]: row for row in page.power_bars(ib.installed())}
    assert {title: row[1] for title, row in rows.items()} == {
        "language models": "132",
        "matrix products on B200": "376",
        "attention over prompts on B200": "505",
    }
    error, most, holds, constant = (rows["language models"][i] for i in (2, 4, 5, 6))
    assert float(error) < 10.5  # the bar of 8 is missed since the steady loads of seven networks are in
    assert float(error) < float(constant)
    assert holds == ("yes" if float(error) <= float(most) else "**no**")


def test_about_nine_in_ten_lie_in_intervals_made_of_others(page):
    for _, inside, n, _ in page.covered(ib.installed()):
        assert 0.85 <= int(inside) / int(n) <= 0.98


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.stem)
def test_a_tool_keeps_to_the_limits_of_the_house(path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            doc = node.body[0] if ast.get_docstring(node) else None
            lines = node.end_lineno - node.lineno + 1
            lines -= doc.end_lineno - doc.lineno + 1 if doc else 0
            assert lines <= 50, node.name
