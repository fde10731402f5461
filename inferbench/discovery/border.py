"""What crosses the border of a plugin: records that nobody can change, and no prints."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from copy import copy
from functools import cache
from threading import Timer
from typing import Any, NoReturn

import attrs
import numpy as np

from inferbench.text import visible

__all__ = ["Fixed", "FixedList", "fixed", "patient", "quiet"]

PATIENCE = 5.0
"""Seconds that a plugin may import before its name is said."""


def _refuse(self: object, *given: object, **named: object) -> NoReturn:
    raise TypeError("records of the registry can't be changed; inferbench.override gives a changed copy")


class Fixed(dict[Any, Any]):
    """A dictionary that nobody can change.

    Example:
        >>> Fixed(a=1)["a"]
        1
    """

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type, tuple[dict[Any, Any]]]:
        return Fixed, (dict(self),)


class FixedList(list[Any]):
    """A list that nobody can change."""

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> tuple[type, tuple[list[Any]]]:
        return FixedList, (list(self),)


_UNCHANGEABLE = frozenset({str, int, float, bool, type(None), type, Fixed, FixedList})


@cache
def _fields(kind: type) -> tuple[str, ...]:
    """Fields of an attrs class but those that a record remembers by itself; of another class none."""
    names = (field.name for field in attrs.fields(kind)) if attrs.has(kind) else ()
    return tuple(name for name in names if not name.startswith("_"))


def fixed(record: Any) -> Any:
    """Return a copy of a record in which no dictionary, list or array can be changed.

    A record without any is returned as it is; objects of other classes stay what they are.

    Args:
        record: Instance of an attrs class.
    """
    if type(record) in _UNCHANGEABLE:
        return record
    if type(record) is dict:
        return Fixed({key: fixed(value) for key, value in record.items()})
    if type(record) is list:
        return FixedList(fixed(value) for value in record)
    if type(record) is tuple:
        parts = tuple(fixed(value) for value in record)
        return parts if any(new is not old for new, old in zip(parts, record, strict=True)) else record
    if isinstance(record, np.ndarray) and record.flags.writeable:
        array = record.copy()
        array.flags.writeable = False
        return array
    fields = {name: getattr(record, name) for name in _fields(record.__class__)}
    changes = {
        name: new
        for name, old in fields.items()
        if type(old) not in _UNCHANGEABLE and (new := fixed(old)) is not old
    }
    mine = copy(record) if changes else record
    for name, value in changes.items():
        object.__setattr__(mine, name, value)
    return mine


class _Aside(io.TextIOBase):
    """Passes on what is written to standard error, and remembers it."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


_ALIVE: list[_Aside] = []
"""All of them: `print` of another thread may go on with one that is no longer set, and CPython frees it."""


@contextmanager
def quiet(deep: bool = False) -> Iterator[_Aside]:
    """Send what a plugin prints to standard error: standard output belongs to the answer.

    Args:
        deep: Whether also what code outside of Python writes to the process's standard output, while it is
            imported.
    """
    aside = _Aside()
    _ALIVE.append(aside)
    with _file_aside() if deep else nullcontext(), redirect_stdout(aside):
        yield aside


@contextmanager
def _file_aside() -> Iterator[None]:
    """Let the process's standard output lead to its standard error."""
    try:
        sys.stdout.flush()
        kept = os.dup(1)
        os.dup2(2, 1)
    except (OSError, AttributeError, ValueError):  # one of the two is closed, or there is none
        yield
        return
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def patient(name: str, owner: str, seconds: float = PATIENCE) -> Iterator[None]:
    """Say on standard error which plugin the program waits for, once it takes long.

    Args:
        name: Of the plugin.
        owner: Its package.
        seconds: When to say so.
    """
    said = (
        f"inferbench: still loading plugin {name} of {owner} after {seconds:g} s;"
        f" inferbench --disable {name} leaves it out"
    )
    waiting = Timer(seconds, lambda: print(visible(said), file=sys.stderr))
    waiting.daemon = True
    waiting.start()
    try:
        yield
    finally:
        waiting.cancel()
