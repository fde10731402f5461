"""What one damaged input may take of time and memory, for `tools/fuzz.py`."""

from __future__ import annotations

import ctypes
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SLOW, MOST = 2.0, 300.0
"""Seconds of processor time, and megabytes, that an input may take."""
ENDLESS = 10.0
"""Seconds of processor time after which an input is stopped."""


class Endless(BaseException):
    """An input took too long: no guard of plugins' errors takes this for one of theirs."""


@contextmanager
def stopped(seconds: float) -> Iterator[None]:
    """Raise `Endless` after so many seconds of processor time, where the system can tell."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise Endless(f"no end after {seconds:g} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


class Usage:
    """What an input takes of time and memory, from here on."""

    def __init__(self) -> None:
        _forget_peak()
        self.start, self.before = time.process_time(), peak()

    def beyond(self) -> str:
        """What was taken, where it is more than an input may take."""
        took, grown = time.process_time() - self.start, peak() - self.before
        return f"{took:.1f} s, {grown:.0f} MB" if took >= SLOW or grown >= MOST else ""


def _forget_peak() -> None:
    """Let the most memory be what is in use now; on other systems than Linux, inputs may
    hide behind others."""
    if sys.platform == "linux":
        # After a sweep the process keeps what it has freed, and an input that takes it again would not show.
        if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
            trim(0)
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """The most memory that this process has had of late, megabytes; 0 where nobody counts."""
    # `resource` would begin with the peak of the process that started this one.
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next((int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM:")), 0.0)
    if sys.platform == "win32":
        return 0.0
    import resource

    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
