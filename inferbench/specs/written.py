"""How numbers stand in a file: with a footnote, as a range, and what an error tells to write."""

from __future__ import annotations

import re
import typing
from typing import Any

from inferbench.records.facts import Source
from inferbench.records.immutable import frozen
from inferbench.units import Range, Unit, parse

__all__ = ["Entry", "example", "hint_example", "join", "number", "span", "written_like"]

_SPAN = re.compile(r"^\s*(?P<low>[-+.\deE]+)\s*(?:to|\.\.|–)\s*(?P<high>[-+.\deE]+)\s*(?P<unit>\S*)\s*$")


@frozen
class Entry:
    """One number as it stands in a file: its value as written, and its footnote."""

    value: object
    source: Source | None
    note: str = ""
    missing: str = ""
    date: str = ""


def join(path: str, key: str) -> str:
    """Key path of a key in a table."""
    return f"{path}.{key}" if path else key


def hint_example(hint: object) -> str:
    """What a value of a type hint looks like, as a part of a sentence; empty where it has no unit."""
    args = typing.get_args(hint)
    if len(args) < 2 or not isinstance(args[1], Unit):
        return ""
    return f", for example `{example(args[1])}`"


def written_like(path: str, example: str) -> str:
    """What to write for a number; a key of a list is no key."""
    key = path.rpartition(".")[2]
    return (
        f'write {"" if key.isdigit() else f"{key} = "}{example}, or {{ missing = "why" }} where it is not'
        " known"
    )


def example(unit: Unit) -> str:
    """An example as it stands in a file: quoted where it has a unit."""
    return f'"{unit.example}"' if unit.symbol else unit.example


def number(value: object, unit: Unit) -> Any:
    """A unit-less quantity may be written as text when it carries a citation."""
    if not unit.symbol and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def span(value: Any, unit: Unit) -> Range:
    """Read `"30 to 40 kUSD"` or a single quantity."""
    if isinstance(value, str) and (match := _SPAN.match(value)):
        low, high = (parse(f"{match[end]} {match['unit']}".strip(), unit) for end in ("low", "high"))
        if low > high:
            raise ValueError(f'"{value}" runs from high to low')
        return Range(low, high)
    single = parse(value, unit)
    return Range(single, single)
