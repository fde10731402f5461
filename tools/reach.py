"""Which tests run which lines: a plugin of pytest, for `tools/mutate.py`.

    uv run --with coverage python tools/mutate.py --learn build/reach

runs the tests once with it. Each test is a context of coverage.py; seconds of each stand beside.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import time
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import attrs
import pytest

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = "INFERBENCH_REACH"
"""Names the file that the plugin writes; the seconds are in the same with `.json` behind."""
_seconds: dict[str, float] = {}
_measured: list[Any] = []


def _coverage() -> Any:
    """The package coverage, which nothing else here needs."""
    return importlib.import_module("coverage")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to measure."""
    ours = [str(ROOT / "inferbench" / "*"), str(ROOT / "plugins" / "*" / "inferbench_*" / "*")]
    measured = _coverage().Coverage(data_file=os.environ[ENVIRONMENT], include=ours)
    measured.start()
    _measured.append(measured)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    """Count lines for the test that runs, its fixtures included."""
    _measured[0].switch_context(item.nodeid)
    start = time.process_time()
    result = yield
    _seconds[item.nodeid] = time.process_time() - start
    _measured[0].switch_context("between tests")
    return result


def pytest_unconfigure(config: pytest.Config) -> None:
    """Write what was found."""
    _measured[0].stop()
    _measured[0].save()
    Path(f"{os.environ[ENVIRONMENT]}.json").write_text(json.dumps(_seconds), encoding="utf-8")


@attrs.frozen
class Reach:
    """What was learnt: seconds of each test, and which tests run each line of each file."""

    seconds: dict[str, float]
    lines: dict[Path, dict[int, list[str]]]

    @classmethod
    def read(cls, file: Path) -> Reach:
        """Read what the plugin wrote."""
        data = _coverage().CoverageData(str(file))
        data.read()
        lines = {Path(one): dict(data.contexts_by_lineno(one)) for one in data.measured_files()}
        return cls(json.loads(Path(f"{file}.json").read_text("utf-8")), lines)

    def tests(self, path: Path, tree: ast.AST, node: ast.AST) -> tuple[list[str], list[str]]:
        """Tests that run a place, and others that run its module; the quickest first.

        What runs on import, and what is kept from one test for the next, is noticed by others too.
        """
        known = self.lines.get(path, {})
        module = {test for tests in known.values() for test in tests if test in self.seconds}
        wanted = _lines(tree, node)
        near = {test for line in wanted for test in known.get(line, ()) if test in self.seconds}
        near = near if wanted else module
        return self._sorted(near), self._sorted(module - near)

    def within(self, tests: list[str], seconds: float) -> list[str]:
        """The first of some tests that take no longer together.

        Args:
            tests: The quickest first.
            seconds: As measured when they were learnt.
        """
        ends = list(accumulate(self.seconds[test] for test in tests))
        return tests[: bisect_right(ends, seconds)]

    def _sorted(self, tests: set[str]) -> list[str]:
        return sorted(tests, key=lambda test: (self.seconds[test], test))


def _lines(tree: ast.AST, node: ast.AST) -> set[int]:
    """Lines of a place in a function; none of what runs on import, or in a lambda."""
    inside: set[int] = set()
    for outer in ast.walk(tree):
        if isinstance(outer, ast.FunctionDef):
            for statement in outer.body:
                if any(inner is node for inner in ast.walk(statement)):
                    inside = set(range(_line(node), _last(node) + 1)) | {_line(statement)}
        if isinstance(outer, ast.Lambda) and any(inner is node for inner in ast.walk(outer)):
            return set()
    return inside


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def _last(node: ast.AST) -> int:
    return int(getattr(node, "end_lineno", 0))
