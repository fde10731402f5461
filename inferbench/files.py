"""Writing files: regular ones are replaced whole, everything else is written to."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from inferbench.errors import InferBenchError

__all__ = [
    "MOST_STREAMED",
    "has_content",
    "own_output",
    "read",
    "read_text",
    "refuse_existing",
    "refuse_stream",
    "write",
]

# Below these stand devices and open files of this process: what a shell passes for `>(...)` or `/dev/stdout`.
_OPEN = ("/dev/", "/proc/")
_NAMES = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
_STDOUT: list[int] = []
"""What standard output was, once it has been set aside."""
MOST_STREAMED = 64 * 1024**2
"""Bytes that are read of something without a size: a pipe of the shell, a device."""


def own_output() -> int:
    """Let what is written to the process's standard output go to standard error, from here on.

    Returns:
        Descriptor of what standard output was. `write` still knows it by its names: `/dev/stdout`.

    Raises:
        OSError: One of the two is closed.
    """
    kept = os.dup(1)
    os.dup2(2, 1)
    _STDOUT[:] = [kept]
    return kept


def refuse_existing(path: str | Path, force: bool, argument: str = "out") -> None:
    """Refuse to overwrite a regular file that nobody said may go.

    Args:
        path: Where something is to be written; devices, pipes and folders pass.
        force: Whether the reader said so.
        argument: Whose value the path is.

    Raises:
        InferBenchError: The file is there and has something in it.

    Example:
        >>> refuse_existing("nowhere/run.json", force=False)
    """
    if force or not has_content(path):
        return
    raise InferBenchError.of_argument(
        argument,
        "is there already",
        "name another file, or write {give} to replace it",
        str(path),
        force=True,
    )


def refuse_stream(path: str | Path) -> None:
    """Refuse what can be read once only, before anyone waits for it: a pipe, a device.

    Args:
        path: What is read more than once, or not from its start; a name that nobody has passes.

    Raises:
        InferBenchError: It is no regular file and no folder.

    Example:
        >>> refuse_stream("nowhere/results.csv")
    """
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        found = "is a pipe or a device, and it is read more than once"
        raise InferBenchError.at(str(path), found, "write it to a file first")


def read(path: str | Path) -> bytes:
    """Read a file that a user named, as a whole.

    What a shell passes (`<(...)`, `/dev/stdin`) is read too, up to a limit. A named pipe is not: who waits
    for somebody to write to it may wait for ever.

    Args:
        path: Of the file.

    Raises:
        OSError: It can't be read.
        InferBenchError: It is a named pipe, a stream without an end, or no path at all.

    Example:
        >>> read("/dev/null")
        b''
    """
    target = Path(path)
    if "\0" in str(path):
        raise InferBenchError.at(str(path), "is no path: it holds a NUL", "name a file that is there")
    mode = target.stat().st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # a folder fails by its own name
        return target.read_bytes()
    if not _is_open(target):
        found = "is a pipe or a device, and nobody may be writing to it"
        raise InferBenchError.at(str(path), found, "write it to a file first")
    with open(target, "rb") as file:
        data = file.read(MOST_STREAMED + 1)
    if len(data) > MOST_STREAMED:
        found = f"gives more than {MOST_STREAMED >> 20} MiB and may have no end"
        raise InferBenchError.at(str(path), found, "write it to a file first")
    return data


def read_text(path: str | Path) -> str:
    """Read a text that a user named, as UTF-8 with or without a mark; other bytes are replaced.

    Args:
        path: Of the file.

    Raises:
        OSError: It can't be read.
        InferBenchError: As for `read`.

    Example:
        >>> read_text("/dev/null")
        ''
    """
    return read(path).decode("utf-8-sig", errors="replace")


def has_content(path: str | Path) -> bool:
    """Whether a regular file stands there that has something in it."""
    target = Path(path)
    return not _is_open(target) and target.is_file() and target.stat().st_size > 0


def write(path: str | Path, data: str | bytes | memoryview) -> None:
    """Write a file: whole or not at all where it is a regular one, in place where it is a device or a pipe.

    A regular file is written beside the target and renamed: its mode is kept, links are followed, and a file
    of several names keeps them all. Devices, FIFOs and `/dev/fd/N` are written to.

    Args:
        path: Of the file.
        data: Text, written as UTF-8, or anything that holds bytes.

    Raises:
        OSError: It can't be written; what was there is kept.

    Example:
        >>> write("/dev/null", "gone")
    """
    raw = data.encode() if isinstance(data, str) else data
    target = Path(path)
    there = target.stat() if target.exists() else None
    if there is not None and (_is_open(target) or not stat.S_ISREG(there.st_mode)):
        mine = _STDOUT and os.path.abspath(target) in _NAMES
        with open(os.dup(_STDOUT[0]) if mine else target, "wb") as file:  # a folder fails by its own name
            file.write(raw)
        return
    real = Path(os.path.realpath(target))
    if there is not None and there.st_nlink > 1:
        with open(real, "r+b") as file:
            file.write(raw)
            file.truncate()
        return
    _replace(real, raw, stat.S_IMODE(there.st_mode) if there is not None else 0o666 & ~_umask())


def _is_open(path: Path) -> bool:
    return os.path.abspath(path).startswith(_OPEN)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _replace(path: Path, data: bytes | memoryview, mode: int) -> None:
    """Write beside the target, then rename."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".tmp")
    os.close(handle)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
