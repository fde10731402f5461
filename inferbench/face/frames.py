"""Rows of plain data as a data frame of pandas or polars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from inferbench.errors import InferBenchError, suggest

__all__ = ["LIBRARIES", "by_column", "to_frame"]

LIBRARIES = ("pandas", "polars")


def by_column(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Turn rows into columns; a column is there as soon as one row has it.

    Example:
        >>> by_column([{"a": 1}, {"b": 2}])
        {'a': [1, None], 'b': [None, 2]}
    """
    names = dict.fromkeys(key for row in rows for key in row)
    return {name: [row.get(name) for row in rows] for name in names}


def to_frame(columns: Mapping[str, Sequence[Any]], library: str | None = None) -> Any:
    """Return columns as a data frame.

    Args:
        columns: Name to values, all of one length.
        library: `pandas` or `polars`; by default the one that is installed, pandas first.

    Raises:
        InferBenchError: Another library; one that is not installed.

    Example:
        >>> to_frame({"batch": [1.0, 8.0]}, "pandas").shape                     # doctest: +SKIP
        (2, 1)
    """
    name = library or next((one for one in LIBRARIES if find_spec(one)), "pandas")
    if name not in LIBRARIES:
        remedy = suggest(name, LIBRARIES) or f"known are {', '.join(LIBRARIES)}"
        raise InferBenchError.of_argument("library", f"'{name}' makes no frames here", remedy)
    try:
        module = import_module(name)
    except ImportError:
        found, remedy = f"{name} is not installed", "pip install 'inferbench-core[frames]'"
        raise InferBenchError.of_argument("library", found, remedy) from None
    return module.DataFrame(dict(columns))
