"""Published claims, checked: the command `inferbench claims`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import inferbench as ib

if TYPE_CHECKING:
    import click


@ib.hookimpl
def inferbench_commands() -> Iterator[click.Command]:
    """Yield the command that checks claims."""
    from inferbench_claims.command import command

    yield command
