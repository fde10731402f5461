"""`PublishedTable`: a table of published measurements that a package ships, by its hash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

from inferbench.errors import InferBenchError

__all__ = ["PublishedTable"]


@attrs.frozen(eq=False)
class PublishedTable:
    """A table of published measurements, to be read by an importer.

    .. versionadded:: 0.1

    Attributes:
        name: Its name; as a file it is called `<name>.csv`.
        title: What it holds.
        rows: Number of rows.
        sha256: Hash of its bytes, hexadecimal.
        read: Returns its bytes; raises InferBenchError where the shipped file is damaged.

    Example:
        >>> PublishedTable("mine", "My runs", 1, "…", lambda: b"chip,latency_s").read()
        b'chip,latency_s'
    """

    name: str
    title: str
    rows: int
    sha256: str
    read: Callable[[], bytes]

    def write(self, folder: Path) -> Path:
        """Write it as a file, for importers.

        Args:
            folder: Where; it must exist.

        Raises:
            InferBenchError: The folder can't be written to.
        """
        path = folder / f"{self.name}.csv"
        try:
            path.write_bytes(self.read())
        except OSError as error:
            raise InferBenchError.at(
                str(path), f"can't be written: {error.strerror}", "give a folder that exists"
            ) from None
        return path
