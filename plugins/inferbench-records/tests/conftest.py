"""The command line, for tests of records."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import inferbench as ib
from inferbench.cli.app import run as run_cli


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Run the command line in this process: exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*args: str) -> tuple[int, str, str]:
        code = run_cli(list(args))
        out, err = capsys.readouterr()
        return code, out, err

    yield run
    ib.installed.cache_clear()
