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

from inferbench_data.manifest import Column, Info, Source
from inferbench_data.reading import Table, info, names, table, unpack

__all__ = ["Column", "Info", "Source", "Table", "info", "names", "table", "unpack"]
