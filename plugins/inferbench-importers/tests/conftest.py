"""What the importers' tests share: fixtures by name, and a reader that knows this package alone."""

from __future__ import annotations

from pathlib import Path

import inferbench_data
import inferbench_importers
import pytest

from inferbench.discovery.registry import Registry
from inferbench.evidence.importing import read_measurements

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def fixtures():
    return FIXTURES


@pytest.fixture
def registry():
    """A registry with this package as the only plugin."""
    made = Registry(load=False)
    made.load("importers", lambda: inferbench_importers, "inferbench-importers", "0")
    return made


@pytest.fixture
def read(registry):
    """Read a fixture by name, or any path."""
    return lambda name, **kwargs: read_measurements(FIXTURES / name, registry, **kwargs)


@pytest.fixture
def published(tmp_path):
    """Write a table of inferbench-data as CSV."""
    return lambda name: inferbench_data.unpack(name, tmp_path)


@pytest.fixture
def written(tmp_path):
    """Write a file and give its path."""

    def write(text, name="file.txt"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
