"""Records that were read once, kept for the next start: reading a spec costs more than most answers.

One file in the user's cache folder holds what was read from one set of packages. Its name is a digest of the
set: names, versions, and path, size and time of every file of code and data. So nothing of another set is
ever read, and a change of any file begins a new one. Each record has a digest too. What comes back can only
be records and plain values: no other class is looked up, and no function is called.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs

from inferbench import files
from inferbench.discovery.border import Fixed, FixedList
from inferbench.errors import Fault
from inferbench.records.immutable import frozen
from inferbench.records.time_model import TimeModel

__all__ = ["KEPT", "Index", "Kept", "folder", "stamps"]

KEPT = ("chips", "networks", "stacks", "systems", "scenarios", "suites")
"""Kinds of records that are kept."""
FORMAT = b"inferbench records 1"
SETS = 4
"""How many sets of packages the folder keeps the records of."""
LIBRARIES = ("attr", "cattrs", "numpy")
"""What records are made with: another version of it begins anew."""
SUFFIXES = (".py", ".toml")
_NONE, _INDEX = "", "index"


def folder() -> Path | None:
    """The cache folder: `INFERBENCH_CACHE`, else the user's; None where that variable is empty or nobody has
    one.

    Example:
        >>> folder() is None or folder().name != ""
        True
    """
    given = os.environ.get("INFERBENCH_CACHE")
    if given is not None:
        return Path(given) if given else None
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", _NONE)
    home = os.path.expanduser("~")
    if not os.path.isabs(base) and not os.path.isabs(home):
        return None
    return Path(base if os.path.isabs(base) else os.path.join(home, ".cache")) / "inferbench"


def stamps(roots: Iterable[str]) -> Iterator[str]:
    """Yield path, size and time of every file of code and data below some folders.

    Args:
        roots: Folders of packages, or single modules.

    Example:
        >>> import inferbench
        >>> any(line.startswith("text.py ") for line in stamps([str(Path(inferbench.__file__).parent)]))
        True
    """
    for root in sorted(set(roots)):
        waiting = [root]
        while waiting:
            one = waiting.pop()
            if one.endswith(SUFFIXES):
                yield _stamp(os.path.basename(one), os.stat(one))
                continue
            with suppress(OSError), os.scandir(one) as entries:
                for entry in sorted(entries, key=lambda one: one.name):
                    if entry.name.endswith(SUFFIXES):
                        yield _stamp(entry.path[len(root) + 1 :], entry.stat())
                    elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
                        waiting.append(entry.path)


def _stamp(path: str, about: os.stat_result) -> str:
    return f"{path} {about.st_size} {about.st_mtime_ns}"


@frozen
class Index:
    """Who brings what, in a set of packages with which nothing is wrong.

    Attributes:
        hooks: Plugin to the hooks that it implements.
        names: Kind and name to the distribution that owns the name.
        aliases: Kind and foreign name to ours.
    """

    hooks: Mapping[str, tuple[str, ...]]
    names: Mapping[str, Mapping[str, str]]
    aliases: Mapping[str, Mapping[str, str]]


class Kept:
    """The records kept of one set of packages."""

    def __init__(
        self, path: Path, time_model: Callable[[str], TimeModel], modules: Iterable[str] = ()
    ) -> None:
        """Read what is there; a file that is damaged, or that others may write, counts as none.

        Args:
            path: Of the file.
            time_model: A time model by name: stacks name theirs.
            modules: Names of the packages whose records may come back.
        """
        self.path, self.time_model = path, time_model
        self.modules = frozenset(("inferbench", *modules))
        self._index: dict[str, tuple[int, int, str]] = {}
        self._data = b""
        self._new: dict[str, bytes] = {}
        with suppress(OSError, ValueError):
            self._read()

    @classmethod
    def of_plugins(
        cls,
        plugins: Sequence[tuple[str, str, str]],
        modules: Iterable[str],
        time_model: Callable[[str], TimeModel],
    ) -> Kept | None:
        """What is kept of a set of plugins; None where there is no cache folder.

        Args:
            plugins: Name, distribution and version of each.
            modules: Where their code is, as entry points say it (`package.module:object`).
            time_model: A time model by name.
        """
        home = folder()
        if home is None:
            return None
        names = {re.split(r"[.:]", one)[0] for one in ("inferbench", *LIBRARIES, *modules)}
        roots = [root for name in sorted(names) for root in _places(name)]
        mark = hashlib.sha256()
        for line in (sys.version, repr(plugins), *roots, *stamps(roots)):
            mark.update(f"{line}\n".encode(errors="replace"))
        return cls(home / f"records-{mark.hexdigest()[:32]}", time_model, names)

    def _read(self) -> None:
        with open(self.path, "rb") as file:
            about = os.fstat(file.fileno())
            if hasattr(os, "getuid") and (about.st_uid != os.getuid() or about.st_mode & 0o022):
                return
            data = file.read()
        head, _, rest = data.partition(b"\n")
        index, _, body = rest.partition(b"\n")
        if head == FORMAT + b" " + _digest(index).encode():
            self._index, self._data = json.loads(index), body

    def get(self, kind: str, name: str, file: Any) -> tuple[Any, tuple[Fault, ...]] | None:
        """A record that was kept, with the doubts about it; None where there is none.

        Args:
            kind: `chips`, …
            name: Of the record.
            file: Its file, which must be the same.
        """
        start, length, digest = self._index.get(_key(kind, name, file), (0, 0, _NONE))
        piece = self._data[start : start + length]
        if not length or _digest(piece) != digest:
            return None
        try:
            found: tuple[Any, tuple[Fault, ...]] = _Reader(piece, self).load()
        except Exception:  # whatever is wrong with it: the file of the record is there to be read
            return None
        return found

    def add(self, kind: str, name: str, file: Any, record: Any, doubts: tuple[Fault, ...] = ()) -> None:
        """Keep a record, unless it has something that is no record and no plain value.

        Args:
            kind, name, file: As in `get`.
            record: Whole.
            doubts: What was said of it when it was read.
        """
        made = io.BytesIO()
        try:
            _Writer(made, self).dump((record, doubts))
            _Reader(made.getvalue(), self).load()
        except Exception:  # then it is read again next time
            return
        self._new[_key(kind, name, file)] = made.getvalue()

    def index(self) -> Index | None:
        """Who brings what; None where that was not kept."""
        found = self.get(_INDEX, _NONE, None)
        return found[0] if found is not None else None

    def add_index(self, index: Index) -> None:
        """Keep who brings what."""
        self.add(_INDEX, _NONE, None, index)

    def save(self) -> None:
        """Write what was added beside what was there; where that can't be, it is left."""
        if not self._new:
            return
        known = {key: self._data[at : at + length] for key, (at, length, _) in self._index.items()}
        index, body = {}, bytearray()
        for key, piece in {**known, **self._new}.items():
            index[key] = (len(body), len(piece), _digest(piece))
            body += piece
        head = json.dumps(index).encode()
        with suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.write(self.path, b"\n".join((FORMAT + b" " + _digest(head).encode(), head, bytes(body))))
            os.chmod(self.path, 0o600)
            self._new.clear()
            old = sorted(self.path.parent.glob("records-*"), key=lambda one: one.stat().st_mtime)
            for one in old[:-SETS]:
                one.unlink()


def _places(name: str) -> list[str]:
    """Folders of a package, or the file of a module, without importing it; of libraries the first file."""
    module = sys.modules.get(name)
    try:
        spec = find_spec(name) if module is None else module.__spec__
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if name in LIBRARIES or spec.submodule_search_locations is None:
        return [spec.origin] if spec.origin else []
    return list(spec.submodule_search_locations)


def _key(kind: str, name: str, file: Any) -> str:
    return f"{kind}/{name} {file}"


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class _Writer(pickle.Pickler):
    """Writes time models by name."""

    def __init__(self, file: io.BytesIO, kept: Kept) -> None:
        super().__init__(file, protocol=5)
        self._kept = kept

    def persistent_id(self, value: Any) -> str | None:
        if not isinstance(value, TimeModel):
            return None
        if self._kept.time_model(value.name) is not value:
            raise pickle.PicklingError(f"'{value.name}' is another time model than the installed one")
        return value.name


class _Reader(pickle.Unpickler):
    """Reads records and plain values, and refuses everything else."""

    def __init__(self, data: bytes, kept: Kept) -> None:
        super().__init__(io.BytesIO(data))
        self._kept = kept

    def persistent_load(self, name: Any) -> TimeModel:
        return self._kept.time_model(name)

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] in self._kept.modules:
            found = super().find_class(module, name)
            if found in (Fixed, FixedList) or (isinstance(found, type) and attrs.has(found)):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no record")
