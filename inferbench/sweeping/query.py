"""Questions in SQL to a sweep's files: one `select`, nothing else, and no other file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Timer
from typing import Any

import attrs
import numpy as np

from inferbench.errors import Fault, InferBenchError
from inferbench.files import refuse_stream
from inferbench.num import Column, Mask
from inferbench.space.texts import Text, joined
from inferbench.sweeping.parquet import needed, refuse_damaged
from inferbench.sweeping.plan import Piece, Plan
from inferbench.sweeping.store import parts_of

__all__ = ["LIMIT", "Answer", "beside", "columns", "lists", "query"]

VIEW = "space"
LIMIT = 300.0
"""Seconds that a question may take."""
MOST_ROWS = 1_000_000
"""Of one answer."""
FLOATS = {"double": "float64", "float": "float32"}
"""pyarrow's names of types that NumPy calls otherwise."""


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


def query(path: Path, sql: str, limit: float = LIMIT) -> Answer:
    """Ask a sweep's result; its rows are the view `space`.

    Args:
        path: What `sweep --out` wrote: a Parquet file or a folder.
        sql: One select statement of DuckDB's dialect.
        limit: Seconds that it may take.

    Raises:
        InferBenchError: No sweep, another schema version, not a select, a fault in it, or an answer that has
            no end.

    Example:
        >>> query(Path("space.parquet"), "select chip,
        ...     max(tokens_per_s_per_chip) from space group by chip")  # doctest: +SKIP
    """
    refuse_stream(path)
    try:
        return _asked(path, sql, limit)
    except UnicodeDecodeError as error:  # the name of a column, which has no checksum
        found, remedy = f"is damaged: {error}", "remove it and give the sweep's command again"
        raise InferBenchError.at(str(path), found, remedy) from None


def _asked(path: Path, sql: str, limit: float) -> Answer:
    """The answer to a statement, with no other file in reach."""
    duckdb = needed("duckdb")
    dataset, missing = _dataset(path)
    with duckdb.connect(":memory:") as connection:
        connection.register(VIEW, dataset)
        # From here on nothing but what is registered can be read, and nothing can be written or changed back.
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        _check(duckdb, connection, sql)
        stopped = Timer(limit, connection.interrupt)
        stopped.daemon = True
        stopped.start()
        try:
            done = connection.execute(sql)
            names = tuple(column[0] for column in done.description)
            return Answer(names, _rows(done), missing)
        except duckdb.InterruptException:
            found = f"took more than {limit:g} s, and may have no end"
            remedy, more = "ask for less, or {give}", (("limit", 10 * limit),)
            raise InferBenchError([Fault("query", found, remedy, give=more)]) from None
        except RuntimeError as error:  # what duckdb makes of Ctrl-C
            raise KeyboardInterrupt from error
        except duckdb.PermissionException:
            raise InferBenchError.at(
                "query", "reads something else than the sweep", f"ask the view {VIEW}"
            ) from None
        except duckdb.Error as error:
            refuse_damaged(parts_of(path)[0])
            raise InferBenchError.at(
                "query", _said(error), f"columns are those of `select * from {VIEW} limit 1`"
            ) from None
        finally:
            stopped.cancel()


def _rows(done: Any) -> tuple[tuple[object, ...], ...]:
    """The rows of an answer, if somebody can read so many."""
    rows = done.fetchmany(MOST_ROWS + 1)
    if len(rows) > MOST_ROWS:
        found, remedy = f"the answer has more than {MOST_ROWS:,} rows", "add a `limit`, or group by a column"
        raise InferBenchError.at("query", found, remedy)
    return tuple(rows)


def columns(path: Path, names: Sequence[str]) -> dict[str, Column | Text]:
    """Read columns of a result as arrays: texts each written once, unknown numbers as NaN."""
    dataset, _ = _dataset(path)
    table = dataset.to_table(columns=[name for name in names if name in dataset.schema.names])
    return {name: _column(table.column(name)) for name in table.column_names}


def beside(path: Path, plan: Plan, names: Sequence[str]) -> Iterator[dict[str, Column | Text]]:
    """Read columns of a finished result block by block, all systems at the same points beside each other.

    Args:
        path: File or folder that this process has just finished: the checksum of each page is looked at, the
            digests of whole chunks were when it began.
        plan: What was swept.
        names: Of columns.
    """
    places = {(piece.work, piece.block): at for at, piece in _places(plan)}
    files = [path / chunk.file for chunk in plan.chunks] if path.is_dir() else [path]
    read = _reader(files, plan, names)
    for chunk in plan.beside:
        yield joined([read(*places[piece.work, piece.block], piece) for piece in chunk.pieces])


def _places(plan: Plan) -> Iterator[tuple[tuple[int, int], Piece]]:
    """Chunk and first row of every piece."""
    for chunk in plan.chunks:
        start = 0
        for piece in chunk.pieces:
            yield (chunk.index, start), piece
            start += piece.points


def _reader(files: Sequence[Path], plan: Plan, names: Sequence[str]) -> Any:
    """A function from a piece and its place to its columns; the chunk of each system is kept open."""
    pq = needed("pyarrow.parquet")
    opened: dict[int, tuple[int, Any]] = {}
    each = len(plan.works) // len(plan.request.systems)

    def group(index: int) -> Any:
        several = len(files) > 1
        file = pq.ParquetFile(files[index if several else 0], page_checksum_verification=True)
        wanted = [name for name in names if name in file.schema_arrow.names]
        return file.read_row_group(0 if several else index, columns=wanted)

    def read(index: int, start: int, piece: Piece) -> dict[str, Column | Text]:
        system = piece.work // each
        if opened.get(system, (-1, None))[0] != index:
            opened[system] = (index, group(index))
        part = opened[system][1].slice(start, piece.points)
        return {name: _column(part.column(name)) for name in part.column_names}

    return read


def _column(found: Any) -> Column | Text:
    """A column's numbers, NaN where it has none, or its texts.

    Read from the buffers: `to_numpy` looks for pandas first, and importing it takes a fifth of a second.
    """
    pa = needed("pyarrow")
    several = pa.types.is_dictionary(found.type)
    if several or pa.types.is_string(found.type):
        one = (found.unify_dictionaries() if several else found.dictionary_encode()).combine_chunks()
        codes = np.where(_there(one), _buffered(one.indices, np.dtype(np.int32)), -1).astype(np.int32)
        return Text(codes, {word: i for i, word in enumerate(one.dictionary.to_pylist())})
    one = found.combine_chunks()
    if pa.types.is_boolean(one.type):
        return _bits(one, one.buffers()[1])
    # Not `to_pandas_dtype`: some versions of pyarrow import pandas for it.
    name = str(one.type)
    values = _buffered(one, np.dtype(FLOATS.get(name, name)))
    return np.where(_there(one), values, np.nan) if one.null_count else values


def _buffered(array: Any, kind: Any) -> Column:
    return np.frombuffer(array.buffers()[1], kind, len(array), array.offset * kind.itemsize)


def _there(array: Any) -> Mask:
    """Which entries are not null."""
    bits = array.buffers()[0]
    return np.ones(len(array), dtype=bool) if bits is None else _bits(array, bits)


def _bits(array: Any, buffer: Any) -> Mask:
    end = array.offset + len(array)
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8), count=end, bitorder="little")
    return bits[array.offset :].astype(bool)


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
