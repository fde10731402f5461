"""Records: results that can be run again, and the commands `record` and `verify`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import inferbench as ib

if TYPE_CHECKING:
    import click


@ib.hookimpl
def inferbench_commands() -> Iterator[click.Command]:
    """Yield the commands that make a record and compute it again."""
    from inferbench_records.commands import record, verify

    yield record
    yield verify
