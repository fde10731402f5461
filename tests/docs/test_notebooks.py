"""The notebooks run: every cell in order, and what stands last in a cell can be shown."""

from __future__ import annotations

import ast
import json

import pytest

import docs

NOTEBOOKS = sorted((docs.ROOT / "docs/notebooks").glob("*.ipynb"))


def test_there_are_three_notebooks():
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path):
    names: dict[str, object] = {}
    shown = 0
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert cell["outputs"] == []  # they would go stale
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, path.name, "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), path.name, "eval"), names)
            ways = ("_repr_svg_", "_repr_html_")
            drawn = next((getattr(value, way)() for way in ways if hasattr(value, way)), repr(value))
            assert drawn
            shown += 1
    assert shown >= 3
