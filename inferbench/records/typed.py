"""Arguments of the wrong type are refused by name, where a person calls: verbs, answers, the registry."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, wraps
from numbers import Integral, Real
from pathlib import Path
from types import SimpleNamespace, UnionType
from typing import Any, ParamSpec, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from inferbench.errors import InferBenchError

__all__ = ["fits", "said", "typed"]

Given = ParamSpec("Given")
Found = TypeVar("Found")

# Names of types, in words: of one value, of several.
_WORDS = {
    "str": ("text", "texts"),
    "Path": ("a path", "paths"),
    "float": ("a number", "numbers"),
    "int": ("a whole number", "whole numbers"),
    "bool": ("True or False", "True or False"),
    "NoneType": ("None", "None"),
    "dict": ("a dictionary", "dictionaries"),
    "object": ("an object", "objects"),
    "bytes": ("bytes", "bytes"),
}
_LONGEST = 40


def typed(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """Let a function or a method refuse arguments of types that its annotations do not have.

    What it takes under any name (`**axes`) it reads, and refuses, itself.

    Args:
        function: Its annotations say what it takes.

    Raises:
        InferBenchError: When called with a value of another type.

    Example:
        >>> @typed
        ... def double(times: int) -> int:
        ...     return 2 * times
        >>> double(4)
        8
        >>> double("4")
        Traceback (most recent call last):
        inferbench.errors.InferBenchError: times: '4' is text; a whole number was expected
          help(double) says what it takes
    """

    @wraps(function)
    def call(*given: Given.args, **named: Given.kwargs) -> Found:
        for name, value, hint in _arguments(function, given, named):
            if Path in get_args(hint) and isinstance(value, str | Path) and "\0" in str(value):
                raise InferBenchError.of_argument(name, f"{_short(value)} is no path: it holds a NUL")
            if not fits(value, hint):
                found = f"{_short(value)} is {_kind(value)}; {said(hint)} was expected"
                remedy = f"help({function.__qualname__}) says what it takes"
                raise InferBenchError.of_argument(name, found, remedy)
        return function(*given, **named)

    return call


@cache
def _takes(function: Callable[..., object]) -> tuple[inspect.Signature, dict[str, Any], list[str], int]:
    """Parameters, the types of those annotated, and the names of those that go by place and how many must.

    What is returned may be known to type checkers only. No name goes by place where not all may.
    """
    signature = inspect.signature(function)
    written = {
        name: one.annotation
        for name, one in signature.parameters.items()
        if one.annotation is not inspect.Parameter.empty and one.kind is not inspect.Parameter.VAR_KEYWORD
    }
    holder = SimpleNamespace(__annotations__=written)
    all_ = signature.parameters.values()
    by_place = all(one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for one in all_)
    least = sum(one.default is inspect.Parameter.empty for one in all_)
    names = list(signature.parameters) if by_place else []
    return signature, get_type_hints(holder, function.__globals__), names, least


def _arguments(
    function: Callable[..., object], given: Sequence[object], named: Mapping[str, object]
) -> Iterator[tuple[str, object, object]]:
    signature, hints, names, least = _takes(function)
    if not named and least <= len(given) <= len(names):
        values: Iterable[tuple[str, object]] = zip(names, given, strict=False)
    else:  # slow, and says what is missing or too much
        values = signature.bind(*given, **named).arguments.items()
    for name, value in values:
        if name in hints:
            yield name, value, hints[name]


def fits(value: object, hint: object) -> bool:
    """Whether a value is of an annotated type; what the annotation leaves open fits.

    Example:
        >>> fits(["b200"], str | Sequence[str]), fits([None], str | Sequence[str])
        (True, False)
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Sequence:
        return _is_list(value) and all(fits(one, inner[0]) for one in cast("Sequence[object]", value))
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            fits(key, inner[0]) and fits(one, inner[1]) for key, one in value.items()
        )
    if origin is Callable:
        return callable(value)
    if hint in (float, int):
        return isinstance(value, Real if hint is float else Integral) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) and hint is not Any else True


def _is_list(value: object) -> bool:
    """Lists, tuples, arrays and columns of a frame; neither text nor a dictionary."""
    if isinstance(value, str | bytes | Mapping):
        return False
    return hasattr(value, "__iter__") and hasattr(value, "__len__")


def said(hint: object, many: bool = False) -> str:
    """Write an annotated type in words.

    Example:
        >>> said(str | Sequence[str] | None), said(Mapping[str, float])
        ('text, a list of texts or None', 'a dictionary of numbers')
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        *first, last = (said(one, many) for one in inner)
        return f"{', '.join(first)} or {last}"
    if origin is Sequence:
        return f"a list of {said(inner[0], many=True)}"
    if origin is Mapping:
        return "a dictionary" if inner[1] in (Any, object) else f"a dictionary of {said(inner[1], many=True)}"
    if origin is Callable:
        return "a function"
    own = _name(hint)
    return _WORDS.get(own, (f"a {own}", own))[many]


def _kind(value: object) -> str:
    own = _name(type(value))
    return _WORDS.get(own, (f"a {own}", ""))[0]


def _name(kind: object) -> str:
    return str(getattr(kind, "__name__", kind))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
