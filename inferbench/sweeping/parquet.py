"""Parquet files of a sweep: encoding, atomic writing, and what a file says about itself. Needs the extra
`sweep`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inferbench import files
from inferbench.errors import InferBenchError
from inferbench.model.rows import COUNTS, FLAGS, TEXTS
from inferbench.sweeping.columns import Columns, Text, schema
from inferbench.sweeping.request import SCHEMA

if TYPE_CHECKING:
    from inferbench.sweeping.plan import Plan

__all__ = [
    "ROWS",
    "digest",
    "encode",
    "is_whole",
    "keep_memory",
    "merge",
    "needed",
    "read_header",
    "refuse_damaged",
    "write",
]

ROWS = "inferbench.run/1"
_KEY = b"inferbench"
_FULL = (errno.ENOSPC, errno.EDQUOT)
# The same settings everywhere: equal rows give equal bytes. Neighbouring points have neighbouring values,
# so bytes are split by significance before they are packed: half the size or less, for little more time
# than writing it all. zstd takes a third longer and saves a twentieth.
# Each page has a checksum, which readers look at.
_PACKED = {
    "compression": "lz4",
    "version": "2.6",
    "write_batch_size": 1 << 16,
    "write_page_checksum": True,
}


def needed(name: str) -> Any:
    """Import a module of the extra.

    Raises:
        InferBenchError: Not installed, with what to install.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise InferBenchError.at(
            package, "is not installed", "pip install 'inferbench-core[sweep]'"
        ) from None


@cache
def keep_memory() -> None:
    """Let Arrow take its memory from glibc, which a worker has asked to keep it: its own pool hands pages
    back after every chunk, and fetching them again takes a tenth of a sweep.
    """
    if sys.platform == "linux":
        pa = needed("pyarrow")
        pa.set_memory_pool(pa.system_memory_pool())


def header(plan: Plan) -> dict[str, Any]:
    """What every file says about itself."""
    return {
        "schema": SCHEMA,
        "rows": ROWS,
        "hash": plan.hash,
        "request": plan.request.plain(),
        "basis": dict(plan.basis),
    }


def encode(columns: Columns, plan: Plan) -> Any:
    """Write columns as one Parquet file into memory (a `pyarrow.Buffer`)."""
    pa, pq = needed("pyarrow"), needed("pyarrow.parquet")
    arrays = [_array(pa, columns, name) for name in columns.order]
    about = {_KEY: json.dumps(header(plan), sort_keys=True).encode()}
    table = pa.Table.from_arrays(
        arrays, schema=pa.schema([*zip(columns.order, (a.type for a in arrays), strict=True)], metadata=about)
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=max(1, columns.rows), **_settings(columns.order, columns.axes))
    return sink.getvalue()


def _settings(order: tuple[str, ...], axes: tuple[str, ...]) -> dict[str, Any]:
    few = [name for name in order if name in (*TEXTS, *COUNTS, *axes)]
    many = [name for name in order if name not in few and name not in FLAGS]
    return {**_PACKED, "use_dictionary": few, "use_byte_stream_split": many}


def _array(pa: Any, columns: Columns, name: str) -> Any:
    if name in columns.texts:
        return _text(pa, columns.texts[name])
    if name in columns.numbers:
        return _with_gaps(pa, pa.float64(), columns.numbers[name], columns.known(name))
    if name not in (*COUNTS, *FLAGS):
        return pa.nulls(columns.rows, pa.float64())
    if name in FLAGS:
        bits = pa.py_buffer(np.packbits(columns.values(name), bitorder="little"))
        return pa.Array.from_buffers(pa.bool_(), columns.rows, [None, bits])
    return pa.Array.from_buffers(pa.int64(), columns.rows, [None, pa.py_buffer(columns.values(name))])


def _text(pa: Any, text: Text) -> Any:
    codes = _with_gaps(pa, pa.int32(), text.codes, text.codes >= 0)
    written = [word.encode() for word in text.words]
    ends = np.cumsum([0, *map(len, written)], dtype=np.int32)
    # Not `pa.array`, which looks for pandas where that is installed: a fifth of a second.
    parts = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(written))]
    words = pa.Array.from_buffers(pa.string(), len(written), parts)
    return pa.DictionaryArray.from_arrays(codes, words, safe=False)  # our own codes: none is out of bounds


def _with_gaps(pa: Any, kind: Any, values: Any, valid: Any) -> Any:
    """An Arrow array over the values themselves, with a bitmap of what is known."""
    if valid.all():
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
    bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [bitmap, pa.py_buffer(values)])


def write(data: Any, target: str) -> None:
    """Write to a temporary file beside the target, then rename: a file is whole or not there.

    Raises:
        InferBenchError: The disk is full, or the folder can't be written to.
    """
    try:
        files.write(target, data)
    except OSError as error:
        raise disk_fault(error, Path(target)) from None


def disk_fault(error: OSError, path: Path) -> InferBenchError:
    """Say what is wrong with the disk, and that finished chunks are safe."""
    if error.errno in _FULL:
        return InferBenchError.at(
            str(path.parent),
            "the disk is full; the chunks that were finished are kept",
            "free some space and give the same command again, it goes on from there",
        )
    if error.errno == errno.EFBIG:
        found = "a file may not grow that large here (`ulimit -f`); the chunks that were finished are kept"
        return InferBenchError.of_argument(
            "out", found, "raise the limit, or give {give}", str(path), memory="64 MB"
        )
    found = f"can't be written: {error.strerror}"
    return InferBenchError.of_argument("out", found, "name a folder you may write to", str(path))


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """What a Parquet file says about itself, and its number of rows.

    Raises:
        InferBenchError: Not Parquet, not of a sweep, or of another schema version.
    """
    pa, pq = needed("pyarrow"), needed("pyarrow.parquet")
    try:
        found = pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        said = str(error).partition("\n")[0]
        raise InferBenchError.at(
            str(path), f"is no Parquet file: {said}", "give what inferbench sweep --out wrote"
        ) from None
    try:
        about = json.loads((found.metadata or {}).get(_KEY, b"{}"))
    except (ValueError, RecursionError):
        about = {}
    return checked(about, path), int(found.num_rows)


def checked(table: object, path: Path) -> dict[str, Any]:
    """Refuse another schema than ours."""
    schema_found = table.get("schema") if isinstance(table, dict) else None
    if schema_found is None:
        raise InferBenchError.at(
            str(path), "was not written by a sweep", "give what inferbench sweep --out wrote"
        )
    if schema_found != SCHEMA:
        raise InferBenchError.at(
            str(path),
            f"has schema {schema_found}; {SCHEMA} was expected",
            "run the sweep again, or install the version of inferbench that wrote it",
        )
    assert isinstance(table, dict)
    return table


def digest(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits, as `sha256sum` prints it; empty where there is no file."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise disk_fault(error, path) from None


def is_whole(path: Path, hash_: str, rows: int) -> bool:
    """Whether a file is a chunk of this very sweep, with that many rows and every page as it was written."""
    try:
        about, found = read_header(path)
        if about.get("hash") != hash_ or found != rows:
            return False
        refuse_damaged([path])
    except InferBenchError:
        return False
    return True


def refuse_damaged(paths: Sequence[Path]) -> None:
    """Read files to the end, and look at the checksum of every page.

    Raises:
        InferBenchError: One of them is not as it was written.
    """
    pa, pq = needed("pyarrow"), needed("pyarrow.parquet")
    for path in paths:
        try:
            pq.read_table(path, page_checksum_verification=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            said = str(error).partition("\n")[0]
            found, remedy = f"is damaged: {said}", "remove it and give the sweep's command again"
            raise InferBenchError.at(str(path), found, remedy) from None


def merge(parts: Sequence[Path], target: Path, plan: Plan, metrics: Sequence[str]) -> None:
    """Put chunks, in order, into one file, a row group each; one at a time is in memory.

    Raises:
        InferBenchError: The disk is full.
    """
    pq = needed("pyarrow.parquet")
    if len(parts) == 1:
        os.replace(parts[0], target)
        return
    order = schema(plan.axes, metrics)
    temporary = target.parent / f".{target.name}.{os.getpid()}.tmp"
    try:
        try:
            first = pq.read_table(parts[0], read_dictionary=list(TEXTS), memory_map=True)
            with pq.ParquetWriter(temporary, first.schema, **_settings(order, plan.axes)) as writer:
                for part in parts:
                    table = pq.read_table(part, read_dictionary=list(TEXTS), memory_map=True)
                    writer.write_table(table, row_group_size=max(1, table.num_rows))
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise disk_fault(error, target) from None
