"""The command line: one command per file, imported when it is called."""

from __future__ import annotations

import io
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; `--version` alone answers without importing anything."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from inferbench._version import __version__

        print(f"inferbench {__version__}")
        return
    from inferbench.cli.app import run

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without some character still gets the answer
    sys.exit(run())
