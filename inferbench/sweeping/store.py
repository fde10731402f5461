"""`Store`: the folder a sweep streams into, with its manifest; what is there is trusted only if it is of the
same sweep.
"""

from __future__ import annotations

import json
import os
import re
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
_PART = re.compile(r"part-[0-9]{6,}\.parquet")


@attrs.frozen
class Store:
    """Where chunks go.

    Attributes:
        folder: Of the chunks and the manifest.
        file: The single file they are put into at the end; None keeps the folder.
        plan: What is computed.
        written: Name to digest of the chunks that this process or its workers have written.
    """

    folder: Path
    file: Path | None
    plan: Plan
    written: dict[str, str] = attrs.field(factory=dict, init=False, eq=False)

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
        return self.folder / chunk.file

    def finished(self) -> bool:
        """Whether the single file is there already.

        Raises:
            InferBenchError: The file holds something else.
        """
        if self.file is None or not self.file.exists():
            return False
        about, _ = parquet.read_header(self.file)
        self._same(about, self.file)
        if not parquet.is_whole(self.file, self.plan.hash, self.plan.size):
            found = "is damaged: not as the sweep wrote it"
            raise InferBenchError.of_argument(
                "out", found, "remove it and give the same command again", str(self.file)
            )
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
        known = digests(manifest(self.folder)) if written.exists() else {}
        if not known:
            self._record({})
        return [chunk for chunk in self.plan.chunks if not self._whole(chunk, known)]

    def _whole(self, chunk: Chunk, known: Mapping[str, str]) -> bool:
        """Whether a chunk is what was written: by its digest, or by its pages' checksums where a kill left
        none.
        """
        path = self.path(chunk)
        if known.get(path.name):
            return parquet.digest(path) == known[path.name]
        return parquet.is_whole(path, self.plan.hash, chunk.points)

    def note(self) -> None:
        """Write the digests of the chunks that are there into the manifest."""
        if self.folder.is_dir():
            paths = [self.path(chunk) for chunk in self.plan.chunks]
            self._record({path.name: self._digest(path) for path in paths})

    def _digest(self, path: Path) -> str:
        """What a chunk was when it was written; of one from an earlier run, what it is."""
        known = self.written.get(path.name)
        return known if known is not None and path.exists() else parquet.digest(path)

    def end(self, metrics: tuple[str, ...]) -> None:
        """Put the chunks into the single file, where one was asked for; else note their digests."""
        if self.file is None:
            self.note()
            return
        parquet.merge([self.path(chunk) for chunk in self.plan.chunks], self.file, self.plan, metrics)
        shutil.rmtree(self.folder)

    def _record(self, known: Mapping[str, str]) -> None:
        data = json.dumps(self._manifest(known), indent=1).encode()
        if not (self.folder / MANIFEST).exists() or (self.folder / MANIFEST).read_bytes() != data:
            parquet.write(data, str(self.folder / MANIFEST))

    def tidy(self) -> None:
        """Leave nothing behind if not a single chunk was finished."""
        if self.folder.is_dir() and not any(self.folder.glob("part-*.parquet")):
            (self.folder / MANIFEST).unlink(missing_ok=True)
            with suppress(OSError):  # the folder was there before, with something in it
                self.folder.rmdir()
            return
        with suppress(InferBenchError):  # a full disk: the pages' checksums are looked at instead
            if self.folder.is_dir() and manifest(self.folder).get("hash") == self.plan.hash:
                self.note()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and keep a second process from writing to it; the lock dies with its owner.

        Raises:
            InferBenchError: Another process holds it, or it can't be made.
        """
        self._make()
        lock = _windows_lock if sys.platform == "win32" else _folder_lock
        with lock(self.folder) as locked:
            if not locked:
                raise InferBenchError.of_argument(
                    "out",
                    "another sweep is writing there",
                    "wait for it, or name another place",
                    str(self.result),
                )
            yield

    def _manifest(self, known: Mapping[str, str]) -> dict[str, Any]:
        names = {chunk: self.path(chunk).name for chunk in self.plan.chunks}
        chunks = [
            {"file": name, "points": chunk.points, "sha256": known.get(name, "")}
            for chunk, name in names.items()
        ]
        return {**parquet.header(self.plan), "points": self.plan.size, "chunks": chunks}

    def _same(self, about: Mapping[str, Any], path: Path) -> None:
        if about.get("hash") == self.plan.hash:
            return
        mine = parquet.header(self.plan)
        names = [
            name
            for part in ("request", "basis")
            for name in _differences(_table(about.get(part)), mine[part])
        ] or ["hash"]
        raise InferBenchError.of_argument(
            "out",
            f"holds another sweep: {', '.join(names)} differ{'s' if len(names) == 1 else ''}",
            "name another place, or remove it",
            str(path),
        )


def _table(found: object) -> Mapping[str, object]:
    return found if isinstance(found, dict) else {}


def _differences(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


@contextmanager
def _folder_lock(folder: Path) -> Iterator[bool]:
    """Lock the folder itself, without a file of its own."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


@contextmanager
def _windows_lock(folder: Path) -> Iterator[bool]:
    """Lock a file beside the folder: Windows locks no folders."""
    filelock = parquet.needed("filelock")
    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


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
    except (ValueError, RecursionError) as error:
        raise InferBenchError.at(
            str(path), f"is damaged: {error}", "run the sweep again into another folder"
        ) from None
    return parquet.checked(table, path)


def digests(table: Mapping[str, Any]) -> dict[str, str]:
    """File to digest of a manifest's chunks; empty where the chunk was not finished.

    Raises:
        InferBenchError: The list of chunks is damaged, or names a file outside of the folder.
    """
    chunks = table.get("chunks")
    found = {}
    for one in chunks if isinstance(chunks, list) else [None]:
        chunk = _table(one)
        name = chunk.get("file")
        if not isinstance(name, str) or not _PART.fullmatch(name):
            raise InferBenchError.at(
                MANIFEST,
                f"is damaged: chunks are files like part-000000.parquet, {name!r} was found",
                "run the sweep again into another folder",
            )
        found[name] = str(chunk.get("sha256", ""))
    return found


def parts_of(path: Path) -> tuple[list[Path], int]:
    """Parquet files of a result, and how many chunks are still missing.

    Raises:
        InferBenchError: None there, no sweep, or another schema version.
    """
    if path.is_dir():
        known = digests(manifest(path))
        there = [path / name for name in known if (path / name).exists()]
        _trusted(path, {file: known[file.name] for file in there if known[file.name]})
        return there, len(known) - len(there)
    if not path.exists():
        half = path.with_name(path.name + ".parts")
        if half.is_dir():
            raise InferBenchError.at(
                str(path), "is not finished", f"give the sweep's command again, or query {half}"
            )
        raise InferBenchError.at(str(path), "no such file", "give what inferbench sweep --out wrote")
    parquet.read_header(path)
    return [path], 0


def _trusted(folder: Path, known: Mapping[Path, str]) -> None:
    """Refuse to answer from a chunk that is not as it was written."""
    damaged = [file.name for file, wanted in known.items() if parquet.digest(file) != wanted]
    if damaged:
        more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
        raise InferBenchError.at(
            str(folder),
            f"{', '.join(damaged[:3])}{more}: not as the sweep wrote it",
            "give the sweep's command again: it does damaged chunks again, and only those",
        )
