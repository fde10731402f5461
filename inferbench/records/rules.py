"""What the figures of a record must satisfy, whoever made it: a TOML file or Python code."""

from __future__ import annotations

import math
import sys
import types
import typing
from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from typing import Any

import attrs
import numpy as np

from inferbench.errors import Fault, InferBenchError
from inferbench.records.precision import FORMATS
from inferbench.units import SMALLEST, Least, Range, Unit, checked

__all__ = ["Ruled", "broken", "least_of", "obey"]


class Ruled:
    """A record that refuses figures which break the rules of their types.

    Each field's annotation is the rule: its unit, whether 0 is allowed, the largest value. Spec files are
    checked by the same annotations.

    Example:
        >>> from inferbench.records.scenario import Scenario
        >>> Scenario(name="s", title="S", depreciation=1e8, electricity=0.1, pue=0.5, system_factor=1.5,
        ...          utilization=0.8)
        Traceback (most recent call last):
        inferbench.errors.InferBenchError: s: pue: 0.5 is below 1; a factor of at least 1 was expected
    """

    __slots__ = ()

    def __attrs_post_init__(self) -> None:
        obey(self)


def obey(record: Any, where: str = "") -> None:
    """Refuse a record with figures that can't be.

    Args:
        record: Of an attrs class; records inside it are looked at too.
        where: How messages call it; by default its name, or its class.

    Raises:
        InferBenchError: With every fault.
    """
    named = where or getattr(record, "name", "") or type(record).__name__
    faults = [attrs.evolve(fault, where=f"{named}: {fault.where}") for fault in broken(record)]
    if faults:
        raise InferBenchError(faults)


def broken(record: Any, path: str = "") -> Iterator[Fault]:
    """Yield what is wrong with a record's figures; NaN is a figure that nobody published, and no fault."""
    for name, hint, least, ends in _rules(typing.cast(Hashable, type(record))):
        value = getattr(record, name)
        if type(value) is float and ends and ends[0] <= value <= ends[1]:
            continue  # nearly all are such, and records are made by the thousand
        if not _fine(value, hint, least):
            yield from _value(value, hint, least, f"{path}.{name}" if path else name)


def _fine(value: Any, hint: Any, least: int) -> bool:
    """Whether a look is enough: a number that its unit or type allows, an empty table, a record without
    rules.
    """
    if type(value) is float:
        ends = _ends(hint)
        return ends is not None and (value != value or ends[0] <= value <= ends[1])
    if type(value) is int and hint is int:
        return least <= value <= sys.maxsize
    if isinstance(value, Mapping) and not value:
        return True
    return _is_record(typing.cast(Hashable, type(value))) and not _rules(typing.cast(Hashable, type(value)))


@cache
def _is_record(cls: Any) -> bool:
    return attrs.has(cls)


def _ends(hint: Any) -> tuple[float, float] | None:
    """The least and the largest number that an annotation allows which is a unit and nothing else."""
    found = getattr(hint, "__metadata__", ())
    if not found or not isinstance(found[0], Unit):
        return None
    unit = found[0]
    least = unit.least if unit.zero or unit.least > 0.0 else SMALLEST
    return least, min(unit.top, sys.float_info.max)


def least_of(field: attrs.Attribute[Any]) -> int:
    """Smallest whole number that a field may have: 0 where its default is 0, which means none; else 1."""
    default = field.default
    return 0 if isinstance(default, int) and not isinstance(default, bool) and default == 0 else 1


@cache
def _rules(cls: Hashable) -> tuple[tuple[str, Any, int, tuple[float, float] | None], ...]:
    """Fields with a rule: name, annotation, least whole number, ends of what its unit allows."""
    try:
        hints = typing.get_type_hints(typing.cast(type, cls), include_extras=True)
    except NameError:  # a stranger's annotations that only a type checker can read
        return ()
    fields = [
        field
        for field in attrs.fields(typing.cast(type, cls))
        if field.init and _ruled(hints.get(field.name))
    ]
    return tuple(
        (field.name, hints[field.name], least_of(field), _ends(hints[field.name])) for field in fields
    )


def _ruled(hint: Any) -> bool:
    """Whether an annotation says anything that figures can break."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return isinstance(args[1], Unit | Least)
    if hint in (int, float) or attrs.has(hint):
        return True
    return origin is not typing.Literal and any(_ruled(one) for one in args)


@cache
def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    return typing.get_origin(hint), typing.get_args(hint)


def _value(value: Any, hint: Any, least: int, path: str) -> Iterator[Fault]:
    origin, args = _parts(hint)
    if value is None and origin in (typing.Union, types.UnionType):
        return
    if origin is typing.Annotated and isinstance(args[1], Least):
        yield from _plain(value, int, args[1].value, path)
    elif origin is typing.Annotated:
        yield from _quantity(value, args[1], path)
    elif hint is int or hint is float:
        yield from _plain(value, hint, least, path)
    elif _is_record(typing.cast(Hashable, type(value))):
        yield from broken(value, path)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            if not _fine(one, args[1], 1):
                yield from _value(one, args[1], 1, f"{path}.{key}")
    elif origin in (typing.Union, types.UnionType):
        fitting = [one for one in args if _ruled(one) and not isinstance(value, str)]
        if fitting:
            yield from _value(value, fitting[0], least, path)


def _quantity(value: Any, unit: Unit, path: str) -> Iterator[Fault]:
    ends: tuple[Any, ...] = (value,)
    if isinstance(value, Range):
        ends = (value.low, value.high)
        if value.low > value.high:
            yield Fault(path, f"{value.low:g} to {value.high:g} runs backwards", "write the lower end first")
            return
    for end in map(_as_float, ends):
        if isinstance(end, bool) or not isinstance(end, int | float | np.number):
            found = f"{end!r} is no number"
            yield Fault(path, found, f"give {unit.meaning} in {unit.symbol or 'plain numbers'}, as a float")
            return
        if not math.isnan(end):
            try:
                checked(float(end), f"{end!r}", unit)
            except ValueError as error:
                yield Fault(path, str(error))
                return


def _as_float(value: Any) -> Any:
    """A number as one that can be computed with: a whole one of too many digits is infinite."""
    if type(value) is not int:
        return value
    try:
        float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    return value


def _plain(value: Any, hint: type, least: int, path: str) -> Iterator[Fault]:
    value = _as_float(value)
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        yield Fault(path, f"{value!r} is no number", "give a plain number")
    elif hint is int and (not math.isfinite(value) or value != int(value) or value < least):
        yield Fault(path, f"{value!r} is out of range", f"a whole number of at least {least} was expected")
    elif math.isinf(value):
        yield Fault(path, f"{value!r} is out of range", "a finite number was expected")


def known_formats(peak: Mapping[str, float], path: str = "peak") -> Iterator[Fault]:
    """Yield formats that nobody knows, and rates below 1 GOP/s: a prefix that was forgotten."""
    for name, rate in peak.items():
        if name not in FORMATS:
            yield Fault(f"{path}.{name}", "unknown number format", f"known: {', '.join(FORMATS)}")
        elif isinstance(rate, int | float) and 0.0 < rate < 1e9:  # what is no number is told by its type
            found = f"{rate:g} operations per second are fewer than any chip does"
            yield Fault(f"{path}.{name}", found, 'give OP/s, as in 2250e12, or "2250 TOP/s" in a file')
