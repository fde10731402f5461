"""`Executor`: a way to run the chunks of a sweep, shaped like `concurrent.futures`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from inferbench.records.immutable import frozen

__all__ = ["Executor", "Future", "ExecutorOptions", "Pool"]


class Future(Protocol):
    """Work that was handed in."""

    def result(self) -> Any:
        """What the work returned, or its exception; `concurrent.futures.BrokenExecutor` if its worker was
        lost.
        """


class Pool(Protocol):
    """An open executor.

    Attributes:
        workers: Chunks that run side by side.

    A pool may have an attribute `shared`, which counts instead of its executor's.
    """

    workers: int

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> Any:
        """Hand in work: an importable function and picklable arguments. Returns a hashable `Future`."""

    def as_completed(self, futures: Collection[Any]) -> Iterator[Any]:
        """Yield futures that are done, at least one, waiting for the first; the caller asks again for the
        rest.
        """


@frozen
class ExecutorOptions:
    """What a user asked for.

    Attributes:
        workers: How many; None leaves it to the executor.
        address: Of a scheduler, where there is one.
        argument: What the address was given with, for messages.
    """

    workers: int | None = None
    address: str | None = None
    argument: str = "scheduler"


@frozen
class Executor:
    """A way to run many chunks.

    .. versionadded:: 0.1

    Attributes:
        name: As given to `--executor`.
        title: What screens say.
        open: ExecutorOptions to a context manager that yields a `Pool`; leaving it ends or abandons
            what still runs.
        shared: Whether workers write to this machine's files. If not, results travel back as bytes.
    """

    name: str
    title: str
    open: Callable[[ExecutorOptions], AbstractContextManager[Pool]]
    shared: bool = True
