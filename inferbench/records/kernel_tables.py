"""Tables with an entry per kind of kernel: how an entry is written, and what it means to have none."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar

import attrs

from inferbench.errors import suggest
from inferbench.records.immutable import frozen
from inferbench.records.lookup import Figure, PerKernel
from inferbench.units import Joules, JoulesPerByte, JoulesPerOp, Seconds, Unit, Watts, parse

__all__ = [
    "ENGINES",
    "ByAction",
    "ByKernel",
    "EfficiencyByKernel",
    "EnergyByKernel",
    "Engine",
    "Engines",
    "ExponentByKernel",
    "SecondsByKernel",
    "entry_text",
    "inherited",
    "is_by_kernel",
    "kernel_tables",
    "mark_of",
    "marker",
    "of_action",
    "table_names",
]


@frozen
class ByKernel:
    """Marks a field of a time model's figures as a table with an entry per kind of kernel.

    Attributes:
        unit: Of an entry.
        neutral: The entry that changes nothing; None: only `false` does, which says that a kernel has no such
            term though a more general entry has one.
        least: Smallest value that is allowed, beside the unit's own limits.
        infinite: Whether `inf` is a value: the exponent of the maximum norm.
        lasting: Whether an entry alone says how long a kernel takes, so that a kernel with one is known.

    Example:
        >>> share = ByKernel(Unit("", "a share", "0.5", zero=True, top=1.0), neutral=None)
        >>> share.read(0.2), share.read(False), share.example
        (0.2, None, '0.5')
    """

    unit: Unit
    neutral: float | None = 0.0
    least: float = 0.0
    infinite: bool = False
    lasting: bool = True

    @property
    def meaning(self) -> str:
        """What it is, in words."""
        return f"{self.unit.meaning} by kind of kernel"

    @property
    def symbol(self) -> str:
        """SI unit of an entry; empty for a plain number."""
        return self.unit.symbol

    @property
    def example(self) -> str:
        """An entry as it is written."""
        return f'"{self.unit.example}"' if self.unit.symbol else self.unit.example

    def read(self, raw: object) -> float | None:
        """Read an entry; None where the kernel has no such term.

        Raises:
            ValueError: It is none; the message says what was expected.
        """
        if raw is False and self.neutral is None:
            return None
        if self.unit.symbol:
            return parse(raw, self.unit)  # type: ignore[arg-type]
        try:
            number = float(raw) if isinstance(raw, int | float) and not isinstance(raw, bool) else math.nan
        except OverflowError:  # hundreds of digits
            number = math.nan
        if not self._allowed(number):
            noun = self.unit.meaning.partition(" ")[2]
            raise ValueError(f"{raw!r} is no {noun}; {self._range} was expected")
        return number

    def _allowed(self, number: float) -> bool:
        low = number >= self.least if self.least or self.unit.zero else number > 0.0
        return low and number <= self.unit.top and (self.infinite or math.isfinite(number))

    @property
    def _range(self) -> str:
        if math.isfinite(self.unit.top):
            low = f"from {self.least:g}" if self.unit.zero else "above 0 and"
            said = f"a number {low} {'to' if self.unit.zero else 'up to'} {self.unit.top:g}"
        else:
            said = f"a number of at least {self.least:g}"
        return f"{said}, or inf," if self.infinite else f"{said}, or false," if self.neutral is None else said


@frozen
class ByAction:
    """Marks tables by kind of kernel, one per action, whose unit is the action's: watts of the baseline,
    joules per operation, per byte, or per any other count.
    """

    symbol: ClassVar[str] = ""
    meaning: ClassVar[str] = "an energy by kind of kernel"
    example: ClassVar[str] = '"0.5 pJ/OP"'

    def of(self, action: str) -> ByKernel:
        """How entries of one action are written."""
        if action == "baseline":
            return ByKernel(_unit(Watts))
        if action == "ops":
            return ByKernel(_unit(JoulesPerOp))
        return ByKernel(_unit(JoulesPerByte if action.startswith("bytes.") else Joules))


def _unit(hint: Any) -> Unit:
    found: Unit = typing.get_args(hint)[1]
    return found


@frozen
class Engines:
    """Marks the keys of a table as engines: a closed set, so that a misspelt one is not silently ideal."""

    names: tuple[str, ...]

    def allows(self, key: str) -> bool:
        """Whether a key is an engine, or a part of one like `memory.hbm`."""
        return key.split(".")[0] in self.names

    def remedy(self, key: str) -> str:
        """What to write instead of a key."""
        close = suggest(key, self.names)
        return close or f"engines are {', '.join(self.names)}, and parts of them like memory.hbm"


ENGINES = ("compute", "memory", "network")
Engine = Annotated[str, Engines(ENGINES)]
EnergyByKernel = Annotated[PerKernel, ByAction()]
EfficiencyByKernel = Annotated[PerKernel, ByKernel(Unit("", "an efficiency", "0.85", top=1.0), neutral=1.0)]
SecondsByKernel = Annotated[PerKernel, ByKernel(_unit(Seconds))]
ExponentByKernel = Annotated[
    PerKernel,
    ByKernel(Unit("", "an overlap exponent", "2"), math.inf, least=1.0, infinite=True, lasting=False),
]


def marker(hint: Any) -> ByKernel | None:
    """The mark of an annotation, None where it has none."""
    metadata = getattr(hint, "__metadata__", ())
    return next((one for one in metadata if isinstance(one, ByKernel)), None)


def is_by_kernel(hint: Any) -> bool:
    """Whether an annotation is a table by kind of kernel."""
    return any(isinstance(one, ByKernel | ByAction) for one in getattr(hint, "__metadata__", ()))


def of_action(hint: Any, action: str) -> Any:
    """The annotation of one action's table, where the unit is the action's; else the annotation itself."""
    mark = next((one for one in getattr(hint, "__metadata__", ()) if isinstance(one, ByAction)), None)
    return hint if mark is None else Annotated[PerKernel, mark.of(action)]


@cache
def _fields(cls: type) -> tuple[tuple[str, ByKernel, bool], ...]:
    """Name, mark and whether it is a table of such tables, of each table by kernel of a class."""
    hints, found = typing.get_type_hints(cls, include_extras=True), []
    for field in attrs.fields(cls):
        hint = hints[field.name]
        inner = typing.get_args(hint)[1] if _is_mapping(hint) else None
        mark, nested = marker(hint), marker(inner)
        if mark is not None or nested is not None:
            found.append((field.name, mark or typing.cast(ByKernel, nested), mark is None))
    return tuple(found)


def _is_mapping(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def kernel_tables(figures: object) -> dict[str, tuple[PerKernel, ByKernel]]:
    """The tables of a record that have entries, by path (`launch`, `efficiency.memory`), with their marks."""
    return {path: (table, mark) for path, table, mark in _tables(figures) if table}


def _tables(figures: object) -> Iterator[tuple[str, PerKernel, ByKernel]]:
    cls: type = type(figures)
    for name, mark, nested in _fields(cls):
        value = getattr(figures, name)
        if nested:
            yield from ((f"{name}.{key}", table, mark) for key, table in value.items())
        else:
            yield name, value, mark


def mark_of(cls: type, path: str) -> ByKernel | None:
    """The mark of the table at a path (`launch`, `efficiency.memory`); None where there is none."""
    head = path.partition(".")[0]
    return next((mark for name, mark, _ in _fields(cls) if name == head), None)


def table_names(cls: type) -> list[str]:
    """Names of the tables by kind of kernel that a class of figures has."""
    return [name for name, _, _ in _fields(cls)]


def inherited(mine: Any, theirs: Any, given: Mapping[str, object]) -> Any:
    """A record with what another one says where it says nothing itself; tables are merged entry by entry.

    Args:
        mine: Of the other's class, or of one that extends it.
        theirs: What is inherited.
        given: The keys that `mine` was read from.
    """
    changed: dict[str, Any] = {}
    for field in attrs.fields(type(theirs)):
        own, other = getattr(mine, field.name), getattr(theirs, field.name)
        if isinstance(other, Mapping):
            changed[field.name] = _merged(own, other)
        elif field.name not in given:
            changed[field.name] = other
        elif attrs.has(type(other)):
            below = given[field.name]
            changed[field.name] = inherited(own, other, below if isinstance(below, Mapping) else {})
    return attrs.evolve(mine, **changed)


def lent(mine: Any, theirs: Any, kind: str = "") -> Any:
    """A record with another one's entries of a kind of kernel, of those names that it has no entry of itself.

    Args:
        mine, theirs: Of classes with the same tables, or one that extends the other's.
        kind: Of operator: `collective` lends `collective.all_reduce.8` where `mine` has no
            `collective.all_reduce`. Empty: every key that `mine` has none of is lent.
    """
    name = _named if kind else str
    had = {name(key) for table, _ in kernel_tables(mine).values() for key in table}

    def wanted(table: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: wanted(value) if isinstance(value, Mapping) else value
            for key, value in table.items()
            if isinstance(value, Mapping) or (kind in ("", key.partition(".")[0]) and name(key) not in had)
        }

    changed = {
        field.name: _merged(getattr(mine, field.name), wanted(other))
        for field in attrs.fields(type(theirs))
        if isinstance(other := getattr(theirs, field.name), Mapping) and hasattr(mine, field.name)
    }
    return attrs.evolve(mine, **changed)


def _named(key: str) -> str:
    return ".".join(key.split(".")[:2])


def _merged(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    both = {**theirs, **mine}
    return {
        key: _merged(value, theirs[key])
        if isinstance(value, Mapping) and isinstance(theirs.get(key), Mapping)
        else value
        for key, value in both.items()
    }


def entry_text(value: Figure | None) -> str | float:
    """An entry as screens write it: a number, `none`, or the points of a curve."""
    if value is None:
        return "none"
    if isinstance(value, float | int):
        return value
    return f"over {value.over}: " + ", ".join(f"{x:g} → {y:g}" for x, y in value.points)
