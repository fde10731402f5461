"""Tables from the package: unpacked, checked against their hash, and parted into columns."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

import attrs
import numpy as np

import inferbench as ib
from inferbench_data.manifest import Column, Info, manifest

__all__ = ["Table", "info", "names", "table", "unpack"]


@attrs.frozen(eq=False, repr=False)
class Table:
    """A table in memory.

    Attributes:
        info: Its title, sources and traps.
        columns: Name to values in the order of rows: an array of float64, or text. Where the source has
            none, a
            number is NaN and a text is empty.

    Example:
        >>> from inferbench_data import table
        >>> t = table("systolic_cycles")
        >>> len(t), t.columns["cycles"][0], t.columns["dataflow"][0]
        (370, np.float64(9183.0), 'os')
    """

    info: Info
    columns: Mapping[str, ib.Array | tuple[str, ...]]

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.info.rows

    def __repr__(self) -> str:
        """Say what it is in one line."""
        return f"<table {self.info.name}: {len(self)} rows of {', '.join(self.columns)}>"

    def numbers(self, name: str) -> ib.Array:
        """Return a column of numbers in SI units, NaN where the source has none.

        Raises:
            InferBenchError: There is no such column, or it holds text.
        """
        found = self._column(name)
        if isinstance(found, tuple):
            raise ib.InferBenchError.at(
                f"{self.info.name}.{name}", "the column holds text; numbers were expected", "use texts()"
            )
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a column of text, empty where the source has none.

        Raises:
            InferBenchError: There is no such column, or it holds numbers.
        """
        found = self._column(name)
        if isinstance(found, tuple):
            return found
        raise ib.InferBenchError.at(
            f"{self.info.name}.{name}", "the column holds numbers; text was expected", "use numbers()"
        )

    def meaning(self, name: str) -> Column:
        """Return unit and meaning of a column."""
        self._column(name)
        return manifest().columns[name]

    def rows(self) -> Iterator[dict[str, float | str]]:
        """Yield each row as a mapping of column to value.

        Example:
            >>> from inferbench_data import table
            >>> next(table("gemm").rows())["latency_s"]
            0.0167639
        """
        plain = [values if isinstance(values, tuple) else values.tolist() for values in self.columns.values()]
        for cells in zip(*plain, strict=True):
            yield dict(zip(self.columns, cells, strict=True))

    def _column(self, name: str) -> ib.Array | tuple[str, ...]:
        if name not in self.columns:
            raise ib.InferBenchError.at(
                f"{self.info.name}.{name}", "no such column", _near(name, list(self.columns))
            )
        return self.columns[name]


def names() -> tuple[str, ...]:
    """Return the names of all tables.

    Example:
        >>> "gemm" in names()
        True
    """
    return tuple(sorted(manifest().tables))


def info(name: str) -> Info:
    """Return what is known of a table without reading it.

    Raises:
        InferBenchError: No table has this name; the closest is named.
    """
    found = manifest().tables.get(name)
    if found is None:
        raise ib.InferBenchError.at(name, "no table of inferbench-data has this name", _near(name, names()))
    return found


def table(name: str) -> Table:
    """Read a table.

    Args:
        name: One of `names()`.

    Returns:
        The table, checked against its hash.

    Raises:
        InferBenchError: No table has this name, or the shipped file is damaged.

    Example:
        >>> float(table("collectives").numbers("latency_s").min()) > 0
        True
    """
    lines = csv.reader(io.StringIO(text(name)))
    header = next(lines)
    known = manifest().columns
    columns = {
        key: _array(cells) if known[key].unit else cells
        for key, cells in zip(header, zip(*lines, strict=True), strict=True)
    }
    return Table(info(name), columns)


def unpack(name: str, folder: str | Path) -> Path:
    """Write a table as plain CSV, for tools that read files: `inferbench validate` and `calibrate`, a
    spreadsheet.

    Args:
        name: One of `names()`.
        folder: Where to write; it must exist.

    Returns:
        Path of the file, `<name>.csv`; its SHA-256 is `info(name).sha256`.

    Raises:
        InferBenchError: No table has this name, the shipped file is damaged, or the folder is not there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     unpack("gemm", folder).name
        'gemm.csv'
    """
    path = Path(folder) / f"{name}.csv"
    content = text(name)
    try:
        path.write_bytes(content.encode())
    except OSError as error:
        raise ib.InferBenchError.at(
            str(path), f"can't be written: {error.strerror}", "give a folder that exists"
        ) from None
    return path


def text(name: str) -> str:
    """Return the CSV text of a table, checked against its hash.

    Raises:
        InferBenchError: No table has this name, or the shipped file is damaged.
    """
    known = info(name)
    file = files("inferbench_data") / "tables" / f"{known.name}.csv.gz"
    try:
        raw = gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(known, f"it can't be unpacked ({error})") from None
    if hashlib.sha256(raw).hexdigest() != known.sha256:
        raise _damaged(known, "its content is another than the one that the manifest describes")
    return raw.decode()


def _damaged(known: Info, found: str) -> ib.InferBenchError:
    return ib.InferBenchError.at(
        f"inferbench_data/tables/{known.name}.csv.gz",
        f"{found}; SHA-256 {known.sha256[:16]}… was expected",
        "install inferbench-data again",
    )


def _array(cells: tuple[str, ...]) -> ib.Array:
    return np.array([float(cell) if cell else np.nan for cell in cells])


def _near(name: str, known: tuple[str, ...] | list[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}"
