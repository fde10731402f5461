"""Published measurements of inference chips in SI units, with source, licence and hash per table.

Example:
    >>> import inferbench_data
    >>> len(inferbench_data.names()) > 30
    True
    >>> gemm = inferbench_data.table("gemm")
    >>> gemm.numbers("latency_s").shape
    (6876,)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import inferbench as ib
from inferbench_data.manifest import Column, Info, Source
from inferbench_data.reading import Table, info, names, table, text, unpack

__all__ = ["Column", "Info", "Source", "Table", "inferbench_tables", "info", "names", "table", "unpack"]


@ib.hookimpl
def inferbench_tables() -> Iterator[ib.PublishedTable]:
    """Yield every table, so that what was fitted on it can be fitted again."""
    for name in names():
        known = info(name)
        yield ib.PublishedTable(name, known.title, known.rows, known.sha256, _reader(name))


def _reader(name: str) -> Callable[[], bytes]:
    return lambda: text(name).encode()
