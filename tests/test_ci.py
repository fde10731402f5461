"""What `.ci/run` runs: every test once, in one of two commands; the first keeps some of each folder."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTEST = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
FOLDERS = sorted({file.parent for place in PYTEST["testpaths"] for file in (ROOT / place).rglob("test_*.py")})


def test_every_test_runs_in_one_of_two_commands():
    """By default what is not slow, and by the other command what is; no other choice is made by default."""
    words = shlex.split(PYTEST["addopts"])
    assert [words[i + 1] for i, word in enumerate(words) if word == "-m"] == ["not slow"]
    assert not {"-k", "--ignore", "--deselect"} & {word.partition("=")[0] for word in words}
    script = (ROOT / ".ci/run").read_text("utf-8")
    assert re.findall(r"^uv run pytest.*$", script, re.MULTILINE) == [
        "uv run pytest",
        "uv run pytest -m slow",
    ]


def test_every_file_of_tests_stands_where_pytest_looks():
    seen = {file for folder in FOLDERS for file in folder.glob("test_*.py")}
    skipped = {".venv", "build", "templates", "node_modules", ".git"}
    every = {
        file
        for file in ROOT.rglob("test_*.py")
        if not skipped & set(file.relative_to(ROOT).parts) and not any("{{" in part for part in file.parts)
    }
    assert every - seen == set()


def slow(node):
    """Whether a test, or a file by its `pytestmark`, is marked."""
    marks = getattr(node, "decorator_list", None)
    if marks is None:
        marks = [
            one.value for one in node.body if isinstance(one, ast.Assign) and "pytestmark" in ast.unparse(one)
        ]
    return any("mark.slow" in ast.unparse(one) for one in marks)


def quick(file):
    """Names of a file's tests that run by default."""
    tree = ast.parse(file.read_text("utf-8"))
    if slow(tree):
        return []
    classes = [one for one in tree.body if isinstance(one, ast.ClassDef) and not slow(one)]
    functions = [
        one
        for place in (tree, *classes)
        for one in place.body
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
    ]
    return [
        one.name for one in functions if not slow(one) and "browser" not in [a.arg for a in one.args.args]
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_keeps_tests_that_run_by_default(folder):
    contracts = [file for file in folder.glob("test_*.py") if "Contract" in file.read_text("utf-8")]
    names = [name for file in folder.glob("test_*.py") for name in quick(file)]
    assert contracts or len(names) >= 2
