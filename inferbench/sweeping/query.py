"""Questions in SQL to a sweep's files: one `select`, nothing else, and no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from inferbench.errors import InferBenchError
from inferbench.sweeping.parquet import needed, refuse_damaged
from inferbench.sweeping.store import parts_of

__all__ = ["Answer", "columns", "lists", "query"]

VIEW = "space"


@attrs.frozen
class Answer:
    """Rows of a query.

    Attributes:
        names: Of the columns.
        rows: Tuples of plain values.
        missing: Chunks that the sweep has still to write.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    missing: int = 0


def query(path: Path, sql: str) -> Answer:
    """Ask a sweep's result; its rows are the view `space`.

    Args:
        path: What `sweep --out` wrote: a Parquet file or a folder.
        sql: One select statement of DuckDB's dialect.

    Raises:
        InferBenchError: No sweep, another schema version, not a select, or a fault in it.

    Example:
        >>> query(Path("space.parquet"), "select chip,
        ...     max(tokens_per_s_per_chip) from space group by chip")  # doctest: +SKIP
    """
    duckdb = needed("duckdb")
    dataset, missing = _dataset(path)
    with duckdb.connect(":memory:") as connection:
        connection.register(VIEW, dataset)
        # From here on nothing but what is registered can be read, and nothing can be written or changed back.
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        _check(duckdb, connection, sql)
        try:
            done = connection.execute(sql)
            names = tuple(column[0] for column in done.description)
            return Answer(names, tuple(done.fetchall()), missing)
        except duckdb.PermissionException:
            raise InferBenchError.at(
                "query", "reads something else than the sweep", f"ask the view {VIEW}"
            ) from None
        except duckdb.Error as error:
            refuse_damaged(parts_of(path)[0])
            raise InferBenchError.at(
                "query", _said(error), f"columns are those of `select * from {VIEW} limit 1`"
            ) from None


def columns(path: Path, names: list[str]) -> dict[str, Any]:
    """Read columns of a result as arrays, texts as object arrays, unknown numbers as NaN."""
    dataset, _ = _dataset(path)
    table = dataset.to_table(columns=[name for name in names if name in dataset.schema.names])
    return {name: table.column(name).to_numpy() for name in table.column_names}


def lists(path: Path) -> dict[str, list[Any]]:
    """Read all columns of a result as lists; what is not known is None."""
    found: dict[str, list[Any]] = _dataset(path)[0].to_table().to_pydict()
    return found


def _dataset(path: Path) -> tuple[Any, int]:
    """The Parquet files of a result as one dataset, and how many chunks are missing."""
    data = needed("pyarrow.dataset")
    files, missing = parts_of(path)
    if not files:
        raise InferBenchError.at(
            str(path), "has no finished chunk yet", "wait, or give the sweep's command again"
        )
    checked = data.ParquetFragmentScanOptions(page_checksum_verification=True)
    form = data.ParquetFileFormat(default_fragment_scan_options=checked)
    return data.dataset([str(file) for file in files], format=form), missing


def _check(duckdb: Any, connection: Any, sql: str) -> None:
    remedy = 'write one select, for example "select chip, count(*) from space group by chip"'
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise InferBenchError.at("query", _said(error), remedy) from None
    if len(statements) != 1:
        raise InferBenchError.at(
            "query", f"{len(statements)} statements stand where one select was expected", remedy
        )
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise InferBenchError.at("query", f"{kind.name.lower()} is refused: a sweep is only read", remedy)


def _said(error: Exception) -> str:
    """First line of DuckDB's message."""
    return str(error).strip().partition("\n")[0]
