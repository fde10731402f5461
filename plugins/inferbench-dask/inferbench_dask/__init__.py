"""Sweeps on a Dask cluster: `inferbench sweep … --executor dask --scheduler tcp://127.0.0.1:8786`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

import inferbench as ib

__all__ = ["inferbench_executors"]


def _open(opening: ib.ExecutorOptions) -> AbstractContextManager[ib.Pool]:
    # Dask takes half a second to import: only who sweeps on it pays for it.
    from inferbench_dask.cluster import opened

    return opened(opening)


@ib.hookimpl
def inferbench_executors() -> Iterator[ib.Executor]:
    """Yield the executor `dask`."""
    yield ib.Executor(
        "dask", "a Dask cluster, or processes of its own without --scheduler", _open, shared=False
    )
