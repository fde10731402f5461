"""Where a text that begins like JSON, or like JSON lines, breaks."""

from __future__ import annotations

import json
import re

from inferbench.errors import InferBenchError

__all__ = ["broken_json", "json_values"]

_BETWEEN = re.compile(r"[\s,]*")


class _Broken(ValueError):
    """What is wrong, in one clause, and how many values were whole before it."""

    def __init__(self, said: str, whole: int) -> None:
        super().__init__(said)
        self.said, self.whole = said, whole


def broken_json(text: str) -> str:
    """Say where JSON breaks; empty where it is whole, or no JSON at all.

    Example:
        >>> broken_json('{"a": 1}'), broken_json('{"a": 1')
        ('', 'line 1: the file ends in the middle of a value: it is cut short')
    """
    if text.lstrip()[:1] not in ("{", "["):
        return ""
    try:
        _values(text)
    except _Broken as error:
        return error.said
    return ""


def json_values(text: str, where: str) -> list[object]:
    """Read JSON, JSON lines, or values appended one after the other.

    Args:
        text: Of a file.
        where: How messages call it.

    Raises:
        InferBenchError: Not JSON, or cut short: with the line where it breaks and what was whole before it.

    Example:
        >>> json_values('{"a": 1} {"a": 2}', "two.json")
        [{'a': 1}, {'a': 2}]
    """
    try:
        return _values(text)
    except _Broken as error:
        remedy = "copy it again"
        if error.whole:
            remedy = f"copy the file again, or remove what follows the {error.whole} whole records"
        raise InferBenchError.at(where, f"not valid JSON; {error.said}", remedy) from None


def _values(text: str) -> list[object]:
    decoder, position, found = json.JSONDecoder(), 0, list[object]()
    while match := _BETWEEN.match(text, position):
        position = match.end()
        if position >= len(text):
            break
        try:
            value, position = decoder.raw_decode(text, position)
        except RecursionError:
            raise _Broken("values are nested too deeply", len(found)) from None
        except json.JSONDecodeError as error:
            raise _Broken(_said(text, error), len(found)) from None
        except ValueError as error:  # a number of thousands of digits
            raise _Broken(f"{error}".partition(";")[0], len(found)) from None
        found.append(value)
    return found


def _said(text: str, error: json.JSONDecodeError) -> str:
    line = text.count("\n", 0, error.pos) + 1
    if error.pos >= len(text.rstrip()) - 1 or _open_string(text, error.pos):
        return f"line {line}: the file ends in the middle of a value: it is cut short"
    return f"line {line}: {error}"


def _open_string(text: str, position: int) -> bool:
    """Whether a string that begins at a position has no end: a decoder points at where it began."""
    if text[position : position + 1] != '"':
        return False
    rest = re.sub(r"\\\\.", "", text[position + 1 :], flags=re.S)
    return '"' not in rest
