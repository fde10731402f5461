"""A chip, or another record, with other facts than its spec states."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import attrs

from inferbench.errors import InferBenchError, suggest
from inferbench.records.chip import Chip, ChipFile, MemoryLevel
from inferbench.records.facts import Fact
from inferbench.records.precision import FORMATS
from inferbench.records.typed import typed
from inferbench.units import Least, Range, Unit, parse

__all__ = ["override", "override_table", "override_values"]

Record = TypeVar("Record")
GIVEN = "given in place of the spec's"
EXAMPLE = 'write the whole key path, like "memory.hbm.bandwidth" = "8 TB/s"'
TABLES = ("peak", "memory", "interconnect", "power", "price", "silicon")


@typed
def override(chip: Chip, facts: Mapping[str, str], where: str = "chip") -> Chip:
    """Return the chip with other facts; the one given does not change.

    Args:
        chip: As specified.
        facts: Key path to text with a unit: `{"peak.fp8": "2250 TOP/s"}`.
        where: What messages call the chip; the key path follows after a dot.

    Raises:
        InferBenchError: Unknown key path, unknown number format, wrong unit.

    Example:
        >>> import inferbench
        >>> chip = inferbench.installed().chip("b200")
        >>> slower = inferbench.override(chip, {"memory.hbm.bandwidth": "7.7 TB/s"})
        >>> slower.memory["hbm"].bandwidth / chip.memory["hbm"].bandwidth
        0.9625
    """
    hints = typing.get_type_hints(ChipFile, include_extras=True)
    for path, text in facts.items():
        head, *rest = path.split(".")
        at = f"{where}.{path}"
        if head not in TABLES:
            raise InferBenchError.at(at, "unknown key", suggest(head, TABLES) or EXAMPLE)
        if head == "peak" and rest and rest[0] not in FORMATS:
            remedy = suggest(rest[0], FORMATS, models=False) or f"known: {', '.join(FORMATS)}"
            raise InferBenchError.at(at, "unknown number format", remedy)
        chip = _with_level(chip, rest) if head == "memory" else chip
        table, fact = _replaced(getattr(chip, head), hints[head], rest, text, at)
        known = {**chip.facts, path: attrs.evolve(fact, path=path)}
        chip = attrs.evolve(chip, **{head: table, "facts": known})
    _check_levels(chip, facts, where)
    return chip


def override_table(record: Record, cls: type, facts: Mapping[str, str], where: str) -> Record:
    """Return a record with other facts, typed by the class of its file; the one given does not change.

    Args:
        record: A scenario, a node: fields named like the keys of the file, and `facts`.
        cls: The layout of its file: units stand there.
        facts: Key to text with a unit.
        where: What messages call the record.

    Raises:
        InferBenchError: Unknown key, wrong unit, text where a number was expected.
    """
    known: Any = record
    hints = typing.get_type_hints(cls, include_extras=True)
    for path, text in facts.items():
        value, fact = _field(known, hints, path, text, f"{where}.{path}".rstrip("."))
        known = attrs.evolve(known, **{path: value, "facts": {**known.facts, path: fact}})
    return known  # type: ignore[no-any-return]


def override_values(record: Record, facts: Mapping[str, str], where: str) -> Record:
    """Return a record of plain numbers, words and units, as the parameters of a network, with other values.

    Raises:
        InferBenchError: As `override_table`; what a validator of the record says.

    Example:
        >>> import inferbench
        >>> params = inferbench.installed().network("llama3-8b").params
        >>> override_values(params, {"num_hidden_layers": "16"}, "network").num_hidden_layers
        16.0
    """
    known: Any = record
    hints = typing.get_type_hints(type(record), include_extras=True)
    for path, text in facts.items():
        at = f"{where}.{path}".rstrip(".")
        value, _ = _field(known, hints, path, text, at)
        try:
            known = attrs.evolve(known, **{path: value})
        except ValueError as error:
            raise InferBenchError.at(at, str(error).partition("\n")[0]) from None
    return known  # type: ignore[no-any-return]


def _field(record: Any, hints: Mapping[str, Any], path: str, text: str, where: str) -> tuple[Any, Fact]:
    """One field of a record as its type says: with a unit, or a plain number, word, true or false."""
    names = [name for name in hints if hasattr(record, name) and name not in ("facts", "sources", "source")]
    if path not in names:
        remedy = (path and suggest(path, names)) or f"known are {', '.join(names)}"
        raise InferBenchError.at(where, "unknown key", remedy)
    hint = hints[path]
    if typing.get_origin(hint) is typing.Annotated:
        value, fact = _read(text, hint, where)
        return value, attrs.evolve(fact, path=path)
    kinds = [one for one in (typing.get_args(hint) or (hint,)) if isinstance(one, type)]
    for kind in (bool, int, float, str):
        if kind not in kinds:
            continue
        try:
            value = {"true": True, "false": False}[text] if kind is bool else kind(text)
        except (KeyError, ValueError):
            continue
        return value, Fact(path, value, note=GIVEN)
    found, expected = f"'{text}' does not fit", " or ".join(kind.__name__ for kind in kinds)
    raise InferBenchError.at(where, found, f"write a value of type {expected}" if expected else EXAMPLE)


def _with_level(chip: Chip, path: Sequence[str]) -> Chip:
    """The chip with one more level of memory, if the path names one whose spelling is close to none."""
    if len(path) != 2 or path[0] in chip.memory or suggest(path[0], chip.memory):
        return chip
    return attrs.evolve(chip, memory={**chip.memory, path[0]: MemoryLevel(math.nan, math.nan)})


def _check_levels(chip: Chip, facts: Mapping[str, str], where: str) -> None:
    """Refuse a new level of memory of which only one figure is given."""
    for name in dict.fromkeys(path.split(".")[1] for path in facts if path.startswith("memory.")):
        for figure in ("capacity", "bandwidth"):
            path = f"memory.{name}.{figure}"
            if path not in chip.facts and path not in facts:
                raise InferBenchError.at(
                    f"{where}.memory.{name}",
                    f"a level of memory without its {figure}",
                    f"say {path} too, like --set {path}={'512GB' if figure == 'capacity' else '55GB/s'}",
                )


def _replaced(record: Any, hint: Any, path: Sequence[str], text: str, where: str) -> tuple[Any, Fact]:
    """Return a record, or table of records, with one number replaced, and that number as a fact."""
    number = _number(hint)
    if number is not None:
        if path:
            last = where.split(".")[-len(path) - 1]
            remedy = f"leave out what follows '{last}'"
            raise InferBenchError.at(where, "no key stands below a number", remedy)
        return _read(text, number, where)
    table = isinstance(record, Mapping) or attrs.has(type(record))
    if not path and table:
        *most, last = record if isinstance(record, Mapping) else _numbers(type(record))
        which = f"{', '.join(most)} or {last}" if most else last
        raise InferBenchError.at(where, "holds several numbers", f"write {which} behind it")
    if not path or not table:
        raise InferBenchError.at(where, "no number of a chip stands here", EXAMPLE)
    head, *rest = path
    if isinstance(record, Mapping):
        inner = typing.get_args(hint)[1]
        if head not in record and attrs.has(inner):
            raise InferBenchError.at(where, "unknown key", suggest(head, record))
        found, fact = _replaced(record.get(head), inner, rest, text, where)
        return {**record, head: found}, fact
    hints = typing.get_type_hints(type(record), include_extras=True)
    if head not in hints:
        raise InferBenchError.at(where, "unknown key", suggest(head, hints))
    found, fact = _replaced(getattr(record, head), hints[head], rest, text, where)
    return attrs.evolve(record, **{head: found}), fact


def _numbers(cls: type) -> list[str]:
    """Fields of a record that are numbers with units, or records of them."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return [name for name, hint in hints.items() if _number(hint) is not None or attrs.has(hint)]


def _number(hint: Any) -> Any:
    """The annotation of a number with a unit or of a whole one, which may be missing; None of other types."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        known = [one for one in typing.get_args(hint) if one is not types.NoneType]
        return _number(known[0]) if len(known) == 1 else None
    if hint is int:
        return typing.Annotated[int, Least(1)]
    return hint if typing.get_origin(hint) is typing.Annotated else None


def _read(text: str, hint: Any, where: str) -> tuple[Any, Fact]:
    """Read a number with the unit of its type, or a whole one."""
    kind, unit = typing.get_args(hint)[:2]
    if isinstance(unit, Least):
        digits = f"{text}".strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) < 16) or int(digits) < unit.value:
            wanted = f"write a whole number of at least {unit.value}"
            raise InferBenchError.at(where, f"'{digits:.40}' does not fit", wanted)
        return int(digits), Fact("", int(digits), note=GIVEN)
    assert isinstance(unit, Unit)
    try:
        number = parse(text, unit)
    except ValueError as error:
        raise InferBenchError.at(where, str(error)) from None
    found: Any = Range(number, number) if kind is Range else number
    return found, Fact("", found, unit.symbol, note=GIVEN)
