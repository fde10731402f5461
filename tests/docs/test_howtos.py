"""A how-to per hook: its example runs with the page, its test passes, its head is the hook's signature."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import docs_reference
import pytest

import docs

HOWTOS = sorted((docs.ROOT / "docs/howto").glob("*.md"))
# These three start with `inferbench new`, whose package has the tests (tests/test_new.py).
PACKAGES = {"write-a-chip-package", "write-an-architecture", "write-a-workload"}
HOOKS = list(docs_reference.hooks())
CONFTEST = """
import pytest

@pytest.fixture(autouse=True)
def _beside_its_files(request, monkeypatch):
    monkeypatch.chdir(request.path.parent)
"""


def headed(page: Path) -> list[str]:
    """The hooks that a page is about."""
    return re.findall(r"<!-- hook: (\w+) -->", page.read_text())


def files(page: Path) -> dict[str, str]:
    return {
        block.argument: block.body for block in docs.blocks(page.read_text()) if block.directive == "file"
    }


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_one_how_to_with_its_signature(hook):
    (page,) = [page for page in HOWTOS if hook in headed(page)]
    text = page.read_text()
    assert docs_reference.signature(docs_reference.hooks()[hook]) in text
    assert f"(../howto/{page.name})" in docs_reference.hooks_page()


@pytest.mark.parametrize("page", [page for page in HOWTOS if headed(page)], ids=lambda page: page.stem)
def test_a_how_to_implements_its_hook_runs_it_and_says_how_to_test_it(page):
    (hook,) = headed(page)
    text = page.read_text()
    if page.stem not in PACKAGES:
        assert any(f"@ib.hookimpl\ndef {hook}():" in body for body in files(page).values())
    assert any(block.runs for block in docs.blocks(text))
    assert re.search(r"^## (Test it|The contract)", text, re.MULTILINE)


def test_the_tests_of_the_how_tos_pass(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for page in HOWTOS:
        for name, body in files(page).items():
            target = tmp_path / page.stem / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(body)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
