"""A static site of results: the command `inferbench report`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import inferbench as ib

if TYPE_CHECKING:
    import click


@ib.hookimpl
def inferbench_commands() -> Iterator[click.Command]:
    """Yield the command that builds a site."""
    from inferbench_site.command import command

    yield command
