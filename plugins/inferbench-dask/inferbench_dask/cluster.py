"""A pool on a Dask cluster: chunks go out, bytes come back; Dask gives a lost worker's chunk to another."""

from __future__ import annotations

import queue
import re
import socket
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from typing import Any

import dask as _dask
import distributed as _distributed

import inferbench as ib

# The libraries have no annotations.
dask: Any = _dask
distributed: Any = _distributed

__all__ = ["DaskPool", "opened"]

CONNECT_S = 3.0
WORKERS_S = 3.0
LONELY_S = 30.0
LOOK_S = 2.0
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}
"""Settings of own workers. Nobody looks at their profile; making it takes a twentieth of a core in each."""
_ADDRESS = re.compile(r"^(?P<kind>tcp|tls|ws|wss)://(?P<host>[^/:]+|\[[^\]]+\]):(?P<port>\d{1,5})$")


class Chunk:
    """A future whose loss of its worker reads as `BrokenExecutor`, which the sweep answers by trying
    again.
    """

    def __init__(self, future: Any) -> None:
        self.future = future

    def result(self) -> Any:
        """What the chunk returned, or its exception."""
        try:
            return self.future.result()
        except (distributed.KilledWorker, distributed.client.FutureCancelledError) as error:
            raise BrokenExecutor(str(error)) from None
        finally:
            self.future.release()


class DaskPool:
    """Chunks on the workers of a scheduler.

    Attributes:
        workers: Threads of all workers together.
        shared: Whether they are this process's own, on this machine: then they write chunks themselves.
    """

    def __init__(self, client: Any, argument: str, value: str, shared: bool = False) -> None:
        self.client, self.argument, self.value, self.shared = client, argument, value, shared
        self._done: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        self.workers = max(1, sum(client.nthreads().values()))

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> Chunk:
        """Send a chunk; equal chunks are never taken from an earlier run's memory."""
        chunk = Chunk(self.client.submit(work, *arguments, pure=False))
        chunk.future.add_done_callback(lambda _: self._done.put(chunk))
        return chunk

    def as_completed(self, futures: Collection[Chunk]) -> Iterator[Chunk]:
        """Yield what is done, waiting for the first.

        Raises:
            InferBenchError: The scheduler is gone, or no worker is left for half a minute.
        """
        lonely: float | None = None
        while True:
            try:
                yield self._done.get(timeout=LOOK_S)
                return
            except queue.Empty:
                lonely = self._look(lonely)

    def _look(self, lonely: float | None) -> float | None:
        """Check that someone is there to work."""
        if self.client.status != "running":
            raise ib.InferBenchError.of_argument(
                self.argument,
                "the scheduler is gone",
                "start it and give the same command again: finished chunks are kept",
                self.value,
            )
        if self.client.nthreads():
            return None
        now = time.monotonic()
        if lonely is not None and now - lonely > LONELY_S:
            raise ib.InferBenchError.of_argument(
                self.argument,
                f"no worker is left since {LONELY_S:.0f} s",
                "start workers and give the same command again",
                self.value,
            )
        return lonely or now


@contextmanager
def opened(opening: ib.ExecutorOptions) -> Iterator[DaskPool]:
    """Connect to a scheduler, or start workers on this machine where no address is given.

    Raises:
        InferBenchError: No scheduler answers there, or it has no worker.
    """
    if opening.address is None:
        with _local(opening.workers) as cluster, distributed.Client(cluster) as client:
            yield DaskPool(client, "executor", "dask", shared=True)
        return
    client = _connected(opening.address, opening.argument)
    try:
        _awaited(client, opening.address, opening.argument)
        yield DaskPool(client, opening.argument, opening.address)
    finally:
        client.close(timeout=CONNECT_S)


def _local(workers: int | None) -> Any:
    with dask.config.set(QUIET):
        return distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        )


def _connected(address: str, argument: str) -> Any:
    found = _ADDRESS.match(address)
    if found is None:
        remedy = "write it like tcp://127.0.0.1:8786"
        raise ib.InferBenchError.of_argument(argument, "is no address of a scheduler", remedy, address)
    try:
        _answers(found["host"].strip("[]"), int(found["port"]), found["kind"] == "tcp")
        return distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, OverflowError):
        raise ib.InferBenchError.of_argument(
            argument,
            f"no scheduler answers there within {CONNECT_S:.0f} s",
            "start one with: dask scheduler --host 127.0.0.1",
            address,
        ) from None


def _answers(host: str, port: int, plain: bool) -> None:
    """Try a plain connection first.

    Dask's own client needs twice its timeout to give up on a closed port, and waits for ever where
    something else listens; a scheduler speaks first.
    """
    with socket.create_connection((host, port), timeout=CONNECT_S) as connection:
        if plain and not connection.recv(1):
            raise ConnectionError("no greeting")


def _awaited(client: Any, address: str, argument: str) -> None:
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
    except TimeoutError:
        raise ib.InferBenchError.of_argument(
            argument,
            "the scheduler has no worker",
            f"start some with: dask worker {address} --nworkers 2 --nthreads 1",
            address,
        ) from None
