"""What the core's tests share: a registry of their own, the command line, and marks for what others bring."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from inferbench.cli.app import run as run_cli
from inferbench.discovery.registry import Registry, installed

# Processes that tests start share compiled modules, whatever the machine's settings: half of a start is
# compiling.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
HERE = Path(__file__).parent
TOY = HERE / "data" / "toy.py"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run the whole suite on all cores, file by file or as a test's group says; a chosen file runs in this
    process.
    """
    whole = (
        config.args_source is pytest.Config.ArgsSource.TESTPATHS and "PYTEST_XDIST_WORKER" not in os.environ
    )
    free = getattr(config.option, "numprocesses", 0) is None and config.option.dist == "no"
    if whole and free and not config.option.benchmark_enable and not config.option.usepdb:
        config.option.numprocesses, config.option.dist = "auto", "loadgroup"
        config.option.loadscopereorder = False  # in this order the longest files come first


@pytest.fixture(scope="session")
def tool() -> Callable[[str], ModuleType]:
    """Load a script of the repository by its path: they are in no package."""

    def load(path: str) -> ModuleType:
        file = HERE.parent / path
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Write a table that a package ships as CSV, once: `gemm.csv`."""
    pytest.importorskip("inferbench_importers", reason="inferbench-importers is not installed")
    import inferbench_data

    folder = tmp_path_factory.mktemp("published")

    def find(name: str) -> Path:
        path = folder / name
        if path.exists():
            return path
        if path.stem in inferbench_data.names():
            return inferbench_data.unpack(path.stem, folder)
        return installed().get("tables", path.stem).write(folder)

    return find


@pytest.fixture
def toy_file() -> Path:
    """Path of the single-file plugin."""
    return TOY


@pytest.fixture
def bare() -> Registry:
    """A registry without any plugin."""
    return Registry(load=False)


@pytest.fixture
def toy(bare: Registry) -> Registry:
    """A registry with the toy plugin alone."""
    bare.load_file(str(TOY))
    return bare


@pytest.fixture
def plugin() -> Callable[..., ModuleType]:
    """Make a module out of hook functions, as an import of a plugin would give."""
    import inferbench as ib

    def make(**functions: Any) -> ModuleType:
        module = ModuleType("made_in_a_test")
        for name, function in functions.items():
            function.__name__ = name
            setattr(module, name, ib.hookimpl(function))
        return module

    return make


@pytest.fixture
def fresh() -> Iterator[None]:
    """Forget the process's registry before and after: a test may break it."""
    installed.cache_clear()
    yield
    installed.cache_clear()


@pytest.fixture
def cli(
    fresh: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Run the command line in this process: exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*args: str) -> tuple[int, str, str]:
        code = run_cli(list(args))
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def toy_cli(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run the command line with the toy plugin as the only one."""
    monkeypatch.setattr("inferbench.discovery.loading.entry_points", lambda group: ())

    def run(*args: str) -> tuple[int, str, str]:
        installed.cache_clear()
        return cli("-p", str(TOY), *args)

    return run


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line, or Python code after `-c`, in a process of its own."""

    def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        head = [sys.executable] if args[0] == "-c" else [sys.executable, "-m", "inferbench"]
        return subprocess.run(
            [*head, *args],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **env},
            encoding="utf-8",
        )

    return run
