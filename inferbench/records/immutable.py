"""Frozen records: classes of attrs that share how they are compared, hashed and written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from operator import attrgetter
from operator import eq as same
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

import attrs

__all__ = ["frozen"]

Read = Callable[[object], tuple[object, ...]]
# With one of these options attrs writes the methods itself.
_UNSHARED = {"auto_detect", "cache_hash", "cmp", "hash", "order", "str", "unsafe_hash"}

if TYPE_CHECKING:
    from attrs import frozen
else:

    def frozen(cls: type | None = None, *, eq: bool = True, repr: bool = True, **options: Any) -> Any:
        """Make a class what `attrs.frozen` makes it, at less than half of the cost.

        Attrs writes and compiles `__eq__`, `__hash__` and `__repr__` of a class; here classes share them.

        Args:
            cls: The class; None where the decorator has options.
            eq: False compares by identity.
            repr: False writes it as any other object.
            options: What `attrs.frozen` takes besides.

        Example:
            >>> @frozen
            ... class Pair:
            ...     left: int
            ...     right: int = 2
            >>> Pair(1), Pair(1) == Pair(1, 2), len({Pair(1), Pair(1), Pair(3)})
            (Pair(left=1, right=2), True, 2)
        """
        if cls is None:
            return partial(frozen, eq=eq, repr=repr, **options)
        if options.keys() & _UNSHARED or issubclass(cls, BaseException):
            return attrs.frozen(cls, eq=eq, repr=repr, **options)
        own = vars(cls)
        if repr and "__repr__" not in own:
            cls.__repr__ = _written
        if eq and "__eq__" not in own:
            if "__hash__" not in own:
                cls.__hash__ = _hashed
            cls.__eq__ = _equal
        return attrs.frozen(cls, eq=False, repr=False, **options)


def _equal(self: object, other: object) -> Any:
    """Compare field by field, as attrs does: of one class, and no two NaN are equal."""
    if other.__class__ is not self.__class__:
        return NotImplemented
    kind: Any = self.__class__
    read = _compared(kind)
    return all(map(same, read(self), read(other)))


def _hashed(self: object) -> int:
    kind: Any = self.__class__
    return hash((kind, *_told_apart(kind)(self)))


@recursive_repr("...")
def _written(self: object) -> str:
    """Write a record as the call that makes it."""
    kind: Any = self.__class__
    fields = ", ".join(f"{name}={write(getattr(self, name))}" for name, write in _shown(kind))
    return f"{kind.__qualname__.rsplit('>.', 1)[-1]}({fields})"


@cache
def _compared(kind: type) -> Read:
    return _reader([one for one in attrs.fields(kind) if one.eq])


@cache
def _told_apart(kind: type) -> Read:
    return _reader([one for one in attrs.fields(kind) if (one.eq if one.hash is None else one.hash)])


@cache
def _shown(kind: type) -> Sequence[tuple[str, Callable[[object], str]]]:
    shown = [one for one in attrs.fields(kind) if one.repr is not False]
    return [(one.name, repr if one.repr is True else one.repr) for one in shown]


def _reader(fields: Sequence[Any]) -> Read:
    """What gets the values of several fields at once; a field may say by what it is compared."""
    if len(fields) > 1 and not any(one.eq_key for one in fields):
        return attrgetter(*(one.name for one in fields))
    keys = [(attrgetter(one.name), one.eq_key) for one in fields]
    return lambda held: tuple(key(get(held)) if key else get(held) for get, key in keys)
