"""`Store`: the folder a sweep streams into, with its manifest; what is there is trusted only if it is of the
same sweep.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs

from inferbench.errors import InferBenchError
from inferbench.sweeping import parquet
from inferbench.sweeping.plan import Chunk, Plan

__all__ = ["MANIFEST", "Store", "manifest", "parts_of"]

MANIFEST = "manifest.json"


@attrs.frozen
class Store:
    """Where chunks go.

    Attributes:
        folder: Of the chunks and the manifest.
        file: The single file they are put into at the end; None keeps the folder.
        plan: What is computed.
    """

    folder: Path
    file: Path | None
    plan: Plan

    @classmethod
    def at(cls, out: str, plan: Plan) -> Store:
        """`NAME.parquet` becomes one file (chunks wait in `NAME.parquet.parts`), any other name a folder."""
        path = Path(out)
        if path.suffix == ".parquet" and not path.is_dir():
            return cls(path.with_name(path.name + ".parts"), path, plan)
        return cls(path, None, plan)

    @property
    def result(self) -> Path:
        """What the user gets."""
        return self.file or self.folder

    def path(self, chunk: Chunk) -> Path:
        """File of a chunk."""
        return self.folder / f"part-{chunk.index:06d}.parquet"

    def finished(self) -> bool:
        """Whether the single file is there already.

        Raises:
            InferBenchError: The file holds something else.
        """
        if self.file is None or not self.file.exists():
            return False
        about, _ = parquet.read_header(self.file)
        self._same(about, self.file)
        shutil.rmtree(
            self.folder, ignore_errors=True
        )  # an end that was interrupted between its last two steps
        return True

    def _make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise parquet.disk_fault(error, self.folder) from None

    def begin(self) -> list[Chunk]:
        """Open the folder, clear what an interruption left, and say which chunks are missing.

        Raises:
            InferBenchError: The folder holds something else, or can't be written to.
        """
        written = self.folder / MANIFEST
        if written.exists():
            self._same(manifest(self.folder), self.folder)
        elif any(not one.name.endswith(".tmp") for one in self.folder.iterdir()):
            found = "is not empty and holds no sweep"
            raise InferBenchError.of_argument("out", found, "name another folder", str(self.folder))
        for left in self.folder.glob(".*.tmp"):
            left.unlink()
        if not written.exists():
            parquet.write(json.dumps(self._manifest(), indent=1).encode(), str(written))
        return [
            chunk
            for chunk in self.plan.chunks
            if parquet.rows_of(self.path(chunk), self.plan.hash) != chunk.points
        ]

    def end(self, metrics: tuple[str, ...]) -> None:
        """Put the chunks into the single file, where one was asked for."""
        if self.file is not None:
            parquet.merge([self.path(chunk) for chunk in self.plan.chunks], self.file, self.plan, metrics)
            shutil.rmtree(self.folder)

    def tidy(self) -> None:
        """Leave nothing behind if not a single chunk was finished."""
        if self.folder.is_dir() and not any(self.folder.glob("part-*.parquet")):
            (self.folder / MANIFEST).unlink(missing_ok=True)
            with suppress(OSError):  # the folder was there before, with something in it
                self.folder.rmdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and keep a second process from writing to it; the lock dies with its owner.

        Raises:
            InferBenchError: Another process holds it, or it can't be made.
        """
        self._make()
        if sys.platform == "win32":
            yield
            return
        import fcntl

        handle = os.open(self.folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InferBenchError.of_argument(
                    "out",
                    "another sweep is writing there",
                    "wait for it, or name another place",
                    str(self.result),
                ) from None
            yield
        finally:
            os.close(handle)

    def _manifest(self) -> dict[str, Any]:
        chunks = [{"file": self.path(chunk).name, "points": chunk.points} for chunk in self.plan.chunks]
        return {**parquet.header(self.plan), "points": self.plan.size, "chunks": chunks}

    def _same(self, about: Mapping[str, Any], path: Path) -> None:
        if about.get("hash") == self.plan.hash:
            return
        mine = parquet.header(self.plan)
        names = [
            *_differences(about["request"], mine["request"]),
            *_differences(about["basis"], mine["basis"]),
        ]
        raise InferBenchError.of_argument(
            "out",
            f"holds another sweep: {', '.join(names)} differ{'s' if len(names) == 1 else ''}",
            "name another place, or remove it",
            str(path),
        )


def _differences(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def manifest(folder: Path) -> dict[str, Any]:
    """Read a folder's manifest.

    Raises:
        InferBenchError: None there, damaged, or of another schema version.
    """
    path = folder / MANIFEST
    try:
        table = json.loads(path.read_text())
    except FileNotFoundError:
        raise InferBenchError.at(
            str(folder), "holds no sweep", "give what inferbench sweep --out wrote"
        ) from None
    except ValueError as error:
        raise InferBenchError.at(
            str(path), f"is damaged: {error}", "run the sweep again into another folder"
        ) from None
    return parquet.checked(table, path)


def parts_of(path: Path) -> tuple[list[Path], int]:
    """Parquet files of a result, and how many chunks are still missing.

    Raises:
        InferBenchError: NoParams there, no sweep, or another schema version.
    """
    if path.is_dir():
        files = [path / chunk["file"] for chunk in manifest(path)["chunks"]]
        there = [file for file in files if file.exists()]
        return there, len(files) - len(there)
    if not path.exists():
        half = path.with_name(path.name + ".parts")
        if half.is_dir():
            raise InferBenchError.at(
                str(path), "is not finished", f"give the sweep's command again, or query {half}"
            )
        raise InferBenchError.at(str(path), "no such file", "give what inferbench sweep --out wrote")
    parquet.read_header(path)
    return [path], 0
