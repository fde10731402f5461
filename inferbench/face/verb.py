"""What every verb does before its own work: look at the types of its arguments, keep standard output free."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from inferbench.face.aside import aside
from inferbench.records.typed import typed

__all__ = ["verb"]

Given = ParamSpec("Given")
Found = TypeVar("Found")


def verb(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """Make a function a verb of the Python face, or a method one of its answers.

    A value of a type that it does not take is refused by the argument's name. Standard output stays free of
    what plugins print meanwhile.

    Args:
        function: Its annotations say what it takes.

    Example:
        >>> @verb
        ... def chatty(times: int) -> int:
        ...     print("not for you")
        ...     return 2 * times
        >>> chatty(4)
        8
    """
    return aside(typed(function))
