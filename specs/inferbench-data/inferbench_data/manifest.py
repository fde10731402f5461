"""What ships and where it comes from: the records behind tables.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = ["Column", "Info", "Source", "manifest"]

T = TypeVar("T")


@attrs.frozen
class Source:
    """Where figures were published.

    Attributes:
        name: Its name in tables.toml.
        title: What it is.
        url: Where it is.
        licence: SPDX name of its licence; empty: none was found, and only figures with their citation ship.
        holder: Who holds the rights, as the licence names them.
        revision: Commit that was read; empty: not recorded, or each row names it.
        begins: How the column `source` of its rows begins, in tables of several sources.
        note: What else must be said of it.
    """

    name: str
    title: str
    url: str
    licence: str = ""
    holder: str = ""
    revision: str = ""
    begins: tuple[str, ...] = ()
    note: str = ""


@attrs.frozen
class Column:
    """A column of a table.

    Attributes:
        name: Its name, the same in every table.
        meaning: What it holds.
        unit: SI unit of its numbers, `1` for counts; empty: it holds text.
    """

    name: str
    meaning: str
    unit: str = ""


@attrs.frozen
class Info:
    """What is known of a table without reading it.

    Attributes:
        name: Its name.
        title: What it holds.
        sources: Where its figures were published.
        traps: What to beware of.
        rows: Number of rows.
        sha256: Hash of the unpacked CSV text.
        origin: Hash of the file that it was made from. Fits that cite that file were made on the same
            numbers.

    Example:
        >>> from inferbench_data import info
        >>> info("gemm").sources[0].licence, info("gemm").rows
        ('Apache-2.0', 6876)
    """

    name: str
    title: str
    sources: tuple[Source, ...]
    traps: tuple[str, ...]
    rows: int
    sha256: str
    origin: str


@attrs.frozen
class Manifest:
    """All tables, and what the columns mean."""

    tables: Mapping[str, Info]
    columns: Mapping[str, Column]


@cache
def manifest() -> Manifest:
    """Read tables.toml once."""
    raw = tomllib.loads((files("inferbench_data") / "tables.toml").read_text("utf-8"))
    sources = {name: _made(Source, name, table) for name, table in raw["sources"].items()}
    tables = {
        name: _made(
            Info, name, {**table, "sources": [attrs.asdict(sources[one]) for one in table["sources"]]}
        )
        for name, table in raw["tables"].items()
    }
    columns = {name: _made(Column, name, table) for name, table in raw["columns"].items()}
    return Manifest(tables, columns)


def _made(kind: type[T], name: str, table: Mapping[str, Any]) -> T:
    return _converter().structure({"name": name, **table}, kind)


@cache
def _converter() -> Converter:
    """Imported when a table is asked for: commands that need none start without it."""
    from cattrs import Converter

    return Converter(forbid_extra_keys=True)
