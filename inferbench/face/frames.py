"""Rows of plain data as a data frame of pandas or polars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from inferbench.errors import InferBenchError, suggest

__all__ = ["LIBRARIES", "to_frame"]

LIBRARIES = ("pandas", "polars")


def to_frame(rows: Sequence[Mapping[str, Any]], library: str | None = None) -> Any:
    """Return rows as a data frame; a column is there as soon as one row has it.

    Args:
        rows: Flat records.
        library: `pandas` or `polars`; by default the one that is installed, pandas first.

    Raises:
        InferBenchError: Another library; one that is not installed.

    Example:
        >>> to_frame([{"batch": 1.0}, {"batch": 8.0}], "pandas").shape          # doctest: +SKIP
        (2, 1)
    """
    name = library or next((one for one in LIBRARIES if find_spec(one)), "pandas")
    if name not in LIBRARIES:
        raise InferBenchError.at(
            "library", f"'{name}' makes no frames here", suggest(name, LIBRARIES) or "pandas or polars"
        )
    try:
        module = import_module(name)
    except ImportError:
        raise InferBenchError.at(
            "library", f"{name} is not installed", "pip install 'inferbench-core[frames]'"
        ) from None
    names = list(dict.fromkeys(key for row in rows for key in row))
    return module.DataFrame({key: [row.get(key) for row in rows] for key in names})
