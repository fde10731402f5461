"""Ctrl-C, told from a plugin's own `KeyboardInterrupt`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interruptible"]


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C through; an interrupt that nobody gave is a fault of the code like any other.

    Raises:
        RuntimeError: The code raised `KeyboardInterrupt` by itself.

    Example:
        >>> with interruptible():
        ...     raise KeyboardInterrupt
        Traceback (most recent call last):
        RuntimeError: it raised KeyboardInterrupt, and nobody interrupted
    """
    usual = signal.getsignal(signal.SIGINT)
    ignored = usual == signal.SIG_IGN  # as in a job in the background: nobody can interrupt
    alone = threading.current_thread() is threading.main_thread()
    if not alone or not (ignored or usual is signal.default_int_handler):
        yield  # somebody else listens: an interrupt may be theirs
        return
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, usual if ignored else hear)
    try:
        yield
    except KeyboardInterrupt:
        if heard:
            raise
        raise RuntimeError("it raised KeyboardInterrupt, and nobody interrupted") from None
    finally:
        signal.signal(signal.SIGINT, usual)
