"""What the tests of claims share: the command line, and a mark for what other packages bring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import inferbench as ib
from inferbench.cli.app import run as run_cli
from inferbench.discovery import loading

USUAL = ("chips/b200", "networks/llama3-70b", "architectures/simt", "workloads/transformer", "metrics/tpot_s")
BRINGS = """
from pathlib import Path
import inferbench as ib

@ib.hookimpl
def inferbench_claims():
    yield Path(__file__).parent / "claims"
"""


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    config.addinivalue_line("markers", "needs_records(*names): skip unless these and the usual are installed")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with a reason that names what is missing, where a package is not installed."""
    for mark in item.iter_markers("needs_records"):
        for one in (*USUAL, *mark.args):
            kind, _, name = one.partition("/")
            if name not in ib.installed().names(kind):
                pytest.skip(f"no installed package provides {one}")


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Run the command line in this process: exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*args: str) -> tuple[int, str, str]:
        ib.installed.cache_clear()
        code = run_cli(list(args))
        out, err = capsys.readouterr()
        return code, out, err

    yield run
    ib.installed.cache_clear()


@pytest.fixture
def claims(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Run `inferbench claims` where a file of claims, brought by a plugin of one file, is the only set."""
    known = loading.entry_points
    monkeypatch.setattr(
        loading, "entry_points", lambda group: [one for one in known(group=group) if one.name == "claims"]
    )

    def run(text: str, *args: str, columns: int = 100) -> tuple[int, str, str]:
        (tmp_path / "claims").mkdir(exist_ok=True)
        (tmp_path / "claims" / "toy.toml").write_text(text, encoding="utf-8")
        (tmp_path / "mine.py").write_text(BRINGS, encoding="utf-8")
        monkeypatch.setenv("COLUMNS", str(columns))
        found: tuple[int, str, str] = cli("-p", str(tmp_path / "mine.py"), "claims", *args)
        return found

    return run
