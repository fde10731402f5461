"""`inferbench mcp`."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("mcp")
def command() -> None:
    """Serve tools to agents over the Model Context Protocol, on standard input and output.

    Example: inferbench mcp

    The tools are compare, run, frontier, size, show and validate. All of them only read.
    """
    from inferbench_mcp.server import server

    server().run("stdio")
