"""Change the code one place at a time and see whether tests notice.

    python tools/mutate.py --sample 120 [--only plugins] [--seed 1]      with all tests of the area
    uv run --with coverage python tools/mutate.py --learn build/reach    learn which tests run which line
    uv run --with coverage python tools/mutate.py --reach build/reach    with the tests of the line first
    … --reach build/reach --seconds 12                                   with the quickest of them only

Each mutant swaps one comparison, sum, product, extremum or logical word, or moves one number. Its tests run
until the first fails; a mutant that none notices is written out. With `--reach`, tests that run its line come
first, the quickest before, then those that run its module: a mutant costs seconds. With `--seconds`, only the
quickest of the line are asked, that take so long together, and a third as long of the module's: what they
don't notice counts as not noticed. Learning takes as long as the tests that are not slow, twice. Files are
changed in place and restored: run it in a checkout of its own.
"""

from __future__ import annotations

import argparse
import ast
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from reach import ENVIRONMENT, Reach

ROOT = Path(__file__).parent.parent
SLOWEST = 400.0
"""Seconds after which a mutant counts as noticed: tests hang in it. An area's tests must take far less."""
STARTING, BUSY = 60.0, 4.0
"""Tests that take some seconds hang after so many more, and so many times as long: a machine may be busy."""
FIRST = 60
"""Tests that are asked before all others: most mutants end there."""
LEARNT = ("tests", "--ignore=tests/docs", "--ignore=tests/benchmarks", "plugins", "contrib")
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
NAMES = {
    "minimum": "maximum",
    "maximum": "minimum",
    "min": "max",
    "max": "min",
    "floor": "ceil",
    "any": "all",
}
AREAS = {
    "inferbench/model": ("tests/model", "tests/records", "tests/serving/test_serving.py"),
    "inferbench/serving": ("tests/serving",),
    "inferbench/calibration": ("tests/calibration",),
}


def areas() -> dict[Path, tuple[str, ...]]:
    """Every module that is changed, and the folders of tests that should notice."""
    found = {
        path: tests
        for folder, tests in AREAS.items()
        for path in sorted((ROOT / folder).glob("*.py"))
        if path.name != "__init__.py"
    }
    for package in sorted((ROOT / "plugins").iterdir()):
        for path in sorted(package.glob("inferbench_*/**/*.py")):
            if path.name != "__init__.py":
                found[path] = (str((package / "tests").relative_to(ROOT)),)
    return found


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """Yield what can be changed: a node, and which of its operators."""
    skipped = {id(inner) for node in ast.walk(tree) for outer in _unread(node) for inner in ast.walk(outer)}
    for node in ast.walk(tree):
        if id(node) not in skipped:
            yield from ((node, i) for i in _parts(node))


def _parts(node: ast.AST) -> Iterable[int]:
    """Which operators of a node can be changed; a number or a name counts as one."""
    match node:
        case ast.Compare():
            return [i for i, op in enumerate(node.ops) if type(op) in SWAPS]
        case ast.BinOp() | ast.BoolOp():
            fits = type(node.op) in SWAPS
        case ast.Constant():
            fits = type(node.value) in (int, float)
        case _:
            fits = _name(node) in NAMES
    return [0] if fits else []


def _unread(node: ast.AST) -> Iterator[ast.AST]:
    """Parts that say nothing to a machine: annotations, texts with values in them, decorators."""
    if isinstance(node, ast.JoinedStr):
        yield node
    if isinstance(node, ast.FunctionDef):
        yield from (*node.decorator_list, *([node.returns] if node.returns else ()))
    if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
        yield node.annotation


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def change(node: ast.AST, which: int) -> None:
    """Change a node of a tree."""
    if isinstance(node, ast.Compare):
        node.ops[which] = SWAPS[type(node.ops[which])]()
    elif isinstance(node, ast.BinOp | ast.BoolOp):
        node.op = SWAPS[type(node.op)]()
    elif isinstance(node, ast.Constant):
        assert isinstance(node.value, int | float)
        node.value = node.value + 1 if node.value < 2 else node.value * 2
    elif isinstance(node, ast.Attribute):
        node.attr = NAMES[node.attr]
    elif isinstance(node, ast.Name):
        node.id = NAMES[node.id]


def mutant(source: str, number: int) -> tuple[str, str]:
    """Return the code with its place of a number changed, and what changed.

    Args:
        source: Of a module.
        number: Of the place, from 0.
    """
    tree = ast.parse(source)
    node, which = list(places(tree))[number]
    before = ast.unparse(node)
    change(node, which)
    return ast.unparse(tree), f"{getattr(node, 'lineno', 0)}: {before}  ->  {ast.unparse(node)}"


def noticed(path: Path, batches: Iterable[Sequence[str]], slowest: float = SLOWEST) -> bool:
    """Whether a test fails, or an example of the module.

    Args:
        path: Of the module.
        batches: Tests or folders of them, in turn.
        slowest: Seconds after which tests hang.
    """
    examples = [str(path.relative_to(ROOT)), "--doctest-modules"]
    return any(_fails(asked, slowest) for asked in (*batches, examples) if asked)


def _fails(asked: Sequence[str], slowest: float) -> bool:
    """Whether one of some tests fails, or they hang."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as names:
        names.write("\n".join(asked))
        names.flush()
        try:
            done = subprocess.run(
                [*command, f"@{names.name}"], cwd=ROOT, capture_output=True, timeout=slowest
            )
        except subprocess.TimeoutExpired:
            return True
    return done.returncode not in (0, 5)


def learn(file: Path) -> None:
    """Run the tests of all areas once, and keep which of them run which line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tools = os.pathsep.join((str(ROOT / "tools"), os.environ.get("PYTHONPATH", "")))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "reach", "-m", "not slow", *LEARNT]
    environment = {**os.environ, ENVIRONMENT: str(file.resolve()), "PYTHONPATH": tools}
    subprocess.run(command, cwd=ROOT, env=environment, check=False)


def batches(
    reach: Reach | None, path: Path, number: int, area: tuple[str, ...], seconds: float = math.inf
) -> list[Sequence[str]]:
    """Tests of a place in the order in which they are asked.

    Args:
        reach: Which tests run which line; None asks those of the area.
        path: Of the module.
        number: Of the place.
        area: Folders of tests.
        seconds: That the tests of the line may take; those of the module take a third.
    """
    if reach is None:
        return [area]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    near, others = reach.tests(path, tree, list(places(tree))[number][0])
    near, others = reach.within(near, seconds), reach.within(others, seconds / 3.0)
    return [near[:FIRST], near[FIRST:], others]


def main() -> None:
    """Sample mutants and say how many were noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sample", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="part of the paths")
    parser.add_argument("--learn", type=Path, help="write there which tests run which line, and stop")
    parser.add_argument("--reach", type=Path, help="what --learn wrote")
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="of a line's tests that are asked; needs --reach"
    )
    asked = parser.parse_args()
    if asked.learn:
        learn(asked.learn)
        return
    reach = Reach.read(asked.reach) if asked.reach else None
    known = {path: tests for path, tests in areas().items() if asked.only in str(path)}
    everything = [
        (path, number)
        for path in known
        for number in range(len(list(places(ast.parse(path.read_text(encoding="utf-8"))))))
    ]
    sample = random.Random(asked.seed).sample(everything, min(asked.sample, len(everything)))
    seen = 0
    for count, (path, number) in enumerate(sample, 1):
        wanted = batches(reach, path, number, known[path], asked.seconds)
        killed, said = tried(path, number, wanted, min(SLOWEST, STARTING + BUSY * asked.seconds))
        seen += killed
        print(f"{said}\n  {seen} of {count} noticed", flush=True)
    print(f"{seen} of {len(sample)} mutants noticed, {100.0 * seen / max(1, len(sample)):.0f} %")


def tried(
    path: Path, number: int, wanted: Iterable[Sequence[str]], slowest: float = SLOWEST
) -> tuple[bool, str]:
    """Whether a mutant is noticed, and a line that says so."""
    source = path.read_text(encoding="utf-8")
    changed, said = mutant(source, number)
    start = time.monotonic()
    try:
        path.write_text(changed, encoding="utf-8")
        killed = noticed(path, wanted, slowest)
    finally:
        path.write_text(source, encoding="utf-8")
    took = time.monotonic() - start
    return killed, f"{took:4.0f} s {'noticed ' if killed else 'SURVIVED'} {path.relative_to(ROOT)}:{said}"


if __name__ == "__main__":
    main()
