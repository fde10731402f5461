"""Standard output belongs to whoever calls a verb: what plugins print meanwhile goes to standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["aside"]

Given = ParamSpec("Given")
Found = TypeVar("Found")


def aside(verb: Callable[Given, Found]) -> Callable[Given, Found]:
    """Let a function keep standard output free of what the code below it prints.

    Args:
        verb: A function or a method.

    Example:
        >>> @aside
        ... def chatty():
        ...     print("not for you")
        ...     return 3
        >>> chatty()
        3
    """

    @wraps(verb)
    def call(*given: Given.args, **named: Given.kwargs) -> Found:
        with redirect_stdout(sys.stderr):
            return verb(*given, **named)

    return call
