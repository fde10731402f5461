"""InferBench for agents: the command `inferbench mcp`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import inferbench as ib

if TYPE_CHECKING:
    import click


@ib.hookimpl
def inferbench_commands() -> Iterator[click.Command]:
    """Yield the command that serves tools to agents."""
    from inferbench_mcp.command import command

    yield command
