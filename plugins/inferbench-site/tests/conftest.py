"""Sites for the tests of pages: one of two systems with hostile texts, one board of records."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import inferbench as ib
from inferbench.cli.app import run as run_cli

HOSTILE = (
    "</title><script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 2">',
    "{{ 7 * 7 }} $&</script><script>window.hacked = 3</script>",
    "\u202egnp.exe\x1b[31m",
    "A" * 10_000,
)
SYSTEMS = ("b200", "h100-sxm")


def hostile_registry() -> ib.Registry:
    """The installed registry in which a chip's texts and addresses mean harm."""
    known = ib.installed()
    chip = known.chip("b200")
    facts = {}
    for place, (path, fact) in enumerate(chip.facts.items()):
        source = fact.source and attrs.evolve(
            fact.source, title=HOSTILE[place % 3], url="javascript:window.hacked=4"
        )
        facts[path] = attrs.evolve(fact, source=source, note=HOSTILE[place % 4])
    bad = attrs.evolve(chip, title=HOSTILE[0], vendor=HOSTILE[1], note=" ".join(HOSTILE), facts=facts)
    network = attrs.evolve(known.network("llama3-70b"), title=HOSTILE[2])
    return known.with_records("chips", [bad]).with_records("networks", [network])


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of two systems, one of them hostile."""
    from inferbench_site.build import site as build

    folder: Path = tmp_path_factory.mktemp("site")
    build(hostile_registry(), SYSTEMS, folder, validation=False)
    return folder


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of two records, one tampered with hostile texts."""
    import json

    from inferbench_records.documents import made
    from inferbench_site.board import board as build

    folder = tmp_path_factory.mktemp("board")
    document = made(
        ib.installed(), {"systems": ["b200"], "workload": ["llama3-8b/decode"], "precision": ["fp8"]}
    )
    (folder / "good.json").write_text(json.dumps(document))
    document["results"][0]["stack"] = HOSTILE[0]
    document["results"][0]["workload"] = HOSTILE[1]
    document["arguments"]["systems"] = list(HOSTILE)
    document["specs"]["chips/b200"]["text"] = HOSTILE[2]
    (folder / "bad.json").write_text(json.dumps(document))
    build([folder / "good.json", folder / "bad.json"], folder / "out")
    return folder / "out"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium of the system; the tests that need it are skipped where it is not installed."""
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if binary is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with sync.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield opened
        opened.close()


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
