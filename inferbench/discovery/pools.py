"""The two executors that the core brings: `inline` and `processes`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from inferbench.errors import InferBenchError
from inferbench.records.executor import Executor, ExecutorOptions, Pool

__all__ = ["INLINE", "PROCESSES", "Executor"]


class _Inline:
    """Runs work when it is handed in."""

    workers = 1

    def submit(self, work: Callable[..., object], /, *arguments: object) -> Any:
        from concurrent.futures import Future

        future: Future[object] = Future()
        try:
            future.set_result(work(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def as_completed(self, futures: Collection[object]) -> Iterator[Any]:
        yield from futures


class _Processes:
    """A pool of processes that is started again when one of them dies: its chunks are lost, not the run."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool = self._start()

    def _start(self) -> Any:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        # Fresh processes: a fork would copy the threads' locks of the libraries that are loaded here.
        return ProcessPoolExecutor(self.workers, multiprocessing.get_context("spawn"), initializer=_begin)

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> Any:
        from concurrent.futures import BrokenExecutor

        try:
            return self._pool.submit(work, *arguments)
        except BrokenExecutor:
            self._pool.shutdown(wait=False)
            self._pool = self._start()
            return self._pool.submit(work, *arguments)

    def as_completed(self, futures: Collection[Any]) -> Iterator[Any]:
        from concurrent.futures import FIRST_COMPLETED, wait

        yield from wait(futures, return_when=FIRST_COMPLETED).done

    def close(self) -> None:
        """Let what runs finish, so that Ctrl-C keeps it."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Ctrl-C is the parent's business: it stops handing in work, and what runs is finished and kept.

    A parent that is killed can't stop its workers: each of them waits for its end and goes too.
    """
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # nobody is left who could be told


def _no_address(opening: ExecutorOptions, name: str) -> None:
    if opening.address:
        found = f"the executor '{name}' has no scheduler"
        raise InferBenchError.of_argument(opening.argument, found, "add {give}", executor="dask")


@contextmanager
def _inline(opening: ExecutorOptions) -> Iterator[Pool]:
    _no_address(opening, "inline")
    yield _Inline()


@contextmanager
def _processes(opening: ExecutorOptions) -> Iterator[Pool]:
    _no_address(opening, "processes")
    pool = _Processes(opening.workers or len(os.sched_getaffinity(0)))
    try:
        yield pool
    finally:
        pool.close()


INLINE = Executor("inline", "in this process, one chunk after the other", _inline)
PROCESSES = Executor("processes", "processes on this machine", _processes)
