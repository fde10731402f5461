"""The command line: one command per file, imported when it is called."""

from __future__ import annotations

import gc
import io
import os
import sys
import threading
from contextlib import suppress

__all__ = ["main"]

PATIENCE = 5.0
"""Seconds after the answer that a thread may go on before it is named."""


class _Answer(io.TextIOWrapper):
    """What the answer is written to: the main thread gives it, and prints of others are no part of it."""

    def write(self, text: str) -> int:
        if threading.current_thread() is not threading.main_thread():
            return sys.stderr.write(text)
        return super().write(text)


def main() -> None:
    """Run the command line; `--version` alone answers without importing anything."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from inferbench._version import __version__

        print(f"inferbench {__version__}")
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads spin as they start; no matrix is large
    gc.set_threshold(100_000)  # what is imported and read lives to the end: looking for garbage finds none
    from inferbench.cli.app import run

    _set_aside()
    code = run()
    _answered()
    gc.freeze()  # the process gives all its memory back as it ends: it looks through none of it for garbage
    sys.exit(code)


def _set_aside() -> None:
    """Give the answer a channel of its own; whoever else writes to the process's standard output, from any
    thread and in any language, writes to standard error.
    """
    from inferbench.files import own_output

    usual = sys.stdout
    with suppress(OSError, ValueError, AttributeError):  # one of the two is closed, or there is none
        usual.flush()
        mine = io.BufferedWriter(io.FileIO(own_output(), "w"))
        # A terminal without some character still gets the answer.
        sys.stdout = _Answer(mine, usual.encoding, "replace", line_buffering=mine.isatty())


def _answered() -> None:
    """The answer is complete: let what plugins print at the end go to standard error, and say what they keep
    the process waiting for.
    """
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        sys.stdout = sys.stderr
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(PATIENCE)
            if thread.is_alive():
                print(f"inferbench: the answer is complete; waiting for {thread.name}", file=sys.stderr)
