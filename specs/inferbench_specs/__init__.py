"""Cited TOML: chips, networks, stacks, systems, scenarios, suites and measurements."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

import inferbench as ib
from inferbench_specs import tables

_HERE = files(__name__)


@ib.hookimpl
def inferbench_chips() -> Iterator[Traversable]:
    """Yield the folder of chips."""
    yield _HERE / "chips"


@ib.hookimpl
def inferbench_networks() -> Iterator[Traversable]:
    """Yield the folder of networks."""
    yield _HERE / "networks"


@ib.hookimpl
def inferbench_stacks() -> Iterator[Traversable]:
    """Yield the folder of stacks."""
    yield _HERE / "stacks"


@ib.hookimpl
def inferbench_systems() -> Iterator[Traversable]:
    """Yield the folder of servers and racks."""
    yield _HERE / "systems"


@ib.hookimpl
def inferbench_scenarios() -> Iterator[Traversable]:
    """Yield the folder of economic scenarios."""
    yield _HERE / "scenarios"


@ib.hookimpl
def inferbench_suites() -> Iterator[Traversable]:
    """Yield the folder of suites."""
    yield _HERE / "suites"


@ib.hookimpl
def inferbench_measurements() -> Iterator[Traversable]:
    """Yield the folder of measurement sets."""
    yield _HERE / "measurements"


@ib.hookimpl
def inferbench_aliases() -> Iterator[Traversable]:
    """Yield the table of other names."""
    yield _HERE / "aliases.toml"


@ib.hookimpl
def inferbench_tables() -> Iterator[ib.PublishedTable]:
    """Yield the measurements that a stack was fitted on."""
    yield ib.PublishedTable(tables.NAME, tables.TITLE, tables.ROWS, tables.SHA256, tables.several_chips)
