"""Objects that a package brings: once registered, nobody changes them for others."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["Owned", "own"]

_MARK = "_owned"


class Owned:
    """An object whose attributes can't be set or removed once the registry has it.

    Example:
        >>> class Wave(Owned):
        ...     name = "wave"
        >>> wave = Wave()
        >>> wave.title = "Wave"
        >>> own(wave)
        >>> wave.title = "Mine"
        Traceback (most recent call last):
        TypeError: wave: what is registered can't be changed; bring a subclass under a name of your own
    """

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute of an object that is nobody's yet."""
        if _MARK in object.__getattribute__(self, "__dict__"):  # not what a wrapper gives for it
            self._refuse()
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        """Remove an attribute of an object that is nobody's yet."""
        if _MARK in object.__getattribute__(self, "__dict__"):  # not what a wrapper gives for it
            self._refuse()
        super().__delattr__(name)

    def _refuse(self) -> NoReturn:
        named = getattr(self, "name", type(self).__name__)
        said = "what is registered can't be changed; bring a subclass under a name of your own"
        raise TypeError(f"{named}: {said}")


def own(record: Owned) -> None:
    """Let nobody change an object any more.

    Args:
        record: Of a package.
    """
    object.__setattr__(record, _MARK, True)
