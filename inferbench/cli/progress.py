"""A progress bar on stderr that appears only when a wait gets long."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

__all__ = ["Progress"]

PATIENCE = 2.0
_now = time.monotonic


class Progress:
    """Points done, rate and time left; shown after two seconds, gone at the end.

    Example:
        >>> with Progress("sweep") as progress:                                         # doctest: +SKIP
        ...     sweep(plan, registry, "space.parquet", watch=progress.update)
    """

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._bar: Any = None
        self._began = _now()
        self._first: tuple[int, float] | None = None

    def __enter__(self) -> Progress:
        return self

    def update(self, done: int, total: int) -> None:
        """Say how far it is."""
        now = _now()
        if self._first is None:
            self._first = done, now  # workers took their time to start: the rate is counted from here
        if not sys.stderr.isatty() or now - self._began < PATIENCE:
            return
        if self._bar is None:
            self._bar = self._started(total)
        task = self._bar.tasks[0]
        before, since = self._first
        rate = f"{(done - before) / (now - since) / 1e6:.2f} M points/s" if now > since else ""
        self._bar.update(task.id, completed=done, total=total, rate=rate)

    def _started(self, total: int) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        bar = Bar(*columns, console=Console(stderr=True), transient=True)
        bar.add_task(self.stage, total=total, rate="")
        bar.start()
        return bar

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
