"""The command line: one command per file, imported when it is called."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

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
    code = run()
    _answered()
    sys.exit(code)


def _answered() -> None:
    """Let what plugins print at the end of the process go to standard error: the answer is complete."""
    with suppress(OSError, ValueError, AttributeError):  # one of the two is closed, or there is none
        sys.stdout.flush()
        os.dup2(2, 1)
