"""A mark that all tests of the repository share: what they need from other packages."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from inferbench.discovery.registry import installed

# What starts keep for the next ones is shared by the tests, and is not the user's.
os.environ["INFERBENCH_CACHE"] = str(Path(tempfile.gettempdir()) / "inferbench-tests")
# A busy machine is slow, which is no fault of what is tested: no example has a time limit.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
# What most tests across packages rest on; a test names more where it needs more.
USUAL = (
    "chips/b200",
    "networks/llama3-70b",
    "architectures/simt",
    "workloads/transformer",
    "fabrics/switch",
    "metrics/tpot_s",
    "scenarios/reference",
)


# Every test that takes one of these is slow, by its kind.
SLOW_FIXTURES = {"browser"}


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks."""
    config.addinivalue_line(
        "markers",
        "needs_plugins(*names): skip unless these records (`chips/b200`) and the usual ones are installed",
    )
    config.addinivalue_line(
        "markers", "xdist_group(name): run in one process with all others of the group; by default the file"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is slow by its fixtures and what shares a process; leave out what only measures time, unless
    benchmarks are wanted.
    """
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    if config.getoption("--benchmark-enable", default=False):
        return
    timing = [item for item in items if item.get_closest_marker("timing")]
    if timing:
        config.hook.pytest_deselected(items=timing)
        items[:] = [item for item in items if item not in timing]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with a reason that names what is missing, where a plugin is not installed."""
    wanted = [name for mark in item.iter_markers("needs_plugins") for name in (*USUAL, *mark.args)]
    for one in wanted:
        kind, _, name = one.partition("/")
        if name not in installed().entries(kind):
            pytest.skip(f"no installed package provides {one}")
