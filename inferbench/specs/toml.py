"""TOML -> records: every fault of a file in one report, each with its key path and a remedy.

A raw table is walked along the attrs class it should become: unknown keys, units, signs, citations. Then
`structure` builds the record.
"""

from __future__ import annotations

import hashlib
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, get_args

import attrs

from inferbench.errors import MOST_TOLD, Fault, InferBenchError, suggest
from inferbench.records.facts import Basis, Fact, Source
from inferbench.records.immutable import frozen
from inferbench.records.kernel_tables import Engines, marker, of_action
from inferbench.records.rules import least_of
from inferbench.specs.by_kernel import read_by_kernel
from inferbench.specs.versions import CORE, refuse_newer
from inferbench.specs.written import Entry, example, hint_example, join, number, span, written_like
from inferbench.units import Least, Range, Unit, parse

__all__ = ["Find", "Walked", "read_toml", "walk"]

# A plugin or record by its name.
Find = Callable[[str], Any]

_CITED = re.compile(r"^(?P<value>.*?)\s*\[(?P<source>[\w.-]+)\]\s*$")
_ENTRY = {"is", "source", "note", "missing", "date"}
_DATE = re.compile(r"\d{4}(-\d{2}){0,2}")


@frozen
class Walked:
    """A table after the walk: SI values, the facts behind them, and everything that was wrong."""

    values: dict[str, Any]
    facts: dict[str, Fact]
    faults: tuple[Fault, ...]
    sources: Mapping[str, Source | None]
    default: str


def read_toml(text: bytes, where: str) -> tuple[dict[str, Any], str]:
    """Parse TOML and hash it. `core`, in any file, is the range of versions of the core that it is for.

    Raises:
        InferBenchError: A syntax error, with line and column; a file of a newer core.
    """
    import tomli

    try:
        raw = tomli.loads(text.decode("utf-8-sig"))
    except ValueError as error:  # of TOML, of UTF-8, or a number of thousands of digits
        raise InferBenchError.at(where, f"not valid TOML: {error}", "fix what is named above") from None
    except RecursionError as error:
        found = f"nested too deeply for TOML: {error}"
        raise InferBenchError.at(
            where, found, "write tables below each other, not inside each other"
        ) from None
    if CORE in raw:
        refuse_newer(raw.pop(CORE), where)
    return raw, hashlib.sha256(text).hexdigest()


def walk(
    raw: Mapping[str, object],
    cls: type,
    where: str,
    *,
    sources: Mapping[str, Source | None] | None = None,
    default: str = "",
    path: str = "",
    partial: bool = False,
) -> Walked:
    """Walk a raw table along an attrs class.

    Args:
        raw: From TOML.
        cls: What it should become; units stand in its annotations.
        where: File name for messages.
        sources: Citations by key; None takes the table's own `[sources]` and `source`.
        default: Key of the source of numbers that name none, where `sources` are given.
        path: Key path of this table in the file.
        partial: Whether keys may be absent: another file has them.
    """
    walker = _Walker(where, partial)
    if sources is None:
        walker.read_sources(raw)
    else:
        walker.cited, walker.default = dict(sources), default
    values = walker.table(raw, cls, path)
    return Walked(values, walker.facts, tuple(walker.faults), walker.cited, walker.default)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


class _Walker:
    """The state of one walk: where we are, what is cited, what was wrong."""

    def __init__(self, where: str, partial: bool) -> None:
        self.where, self.partial = where, partial
        self.cited: dict[str, Source | None] = {}
        self.default = ""
        self.facts: dict[str, Fact] = {}
        self.faults: list[Fault] = []

    def fault(self, path: str, found: str, remedy: str = "") -> None:
        """Record one fault."""
        self.faults.append(Fault(f"{self.where}: {path}" if path else self.where, found, remedy))

    def read_sources(self, raw: Mapping[str, object]) -> None:
        """Read `[sources]` and the default `source` before anything cites them."""
        tables = raw.get("sources", {})
        if not isinstance(tables, Mapping):
            self.fault(
                "sources",
                f"{tables!r} stands where a table was expected",
                "write [sources] with its keys below",
            )
            tables = {}
        for key, table in tables.items():
            # A faulty source is told once, here; numbers that cite it are not to blame.
            self.cited[key] = None
            if (
                not isinstance(table, Mapping)
                or not {"title", "basis"} <= set(table) <= {"title", "basis", "url"}
                or not all(isinstance(text, str) for text in table.values())
            ):
                self.fault(
                    f"sources.{key}",
                    "a source has the texts `title`, `basis` and perhaps `url`",
                    'write { title = "…", url = "…", basis = "datasheet" }',
                )
            elif table["basis"] not in get_args(Basis):
                self.fault(
                    f"sources.{key}.basis",
                    f"'{table['basis']}' is no basis; {', '.join(get_args(Basis)[:-1])} or"
                    f" {get_args(Basis)[-1]} was expected",
                )
            else:
                self.cited[key] = Source(**table, key=key)
        default = raw.get("source", "")
        self.default = self.known_source(default, "source") if isinstance(default, str) else ""

    def known_source(self, cited: object, path: str) -> str:
        """Return the key of a declared source, or complain and return an empty one."""
        if not isinstance(cited, str):
            self.fault(
                path,
                f"{cited!r} is not the key of a source",
                'write the key of one of [sources], like "sheet"',
            )
        elif cited and cited not in self.cited:
            self.fault(
                path,
                f"source '{cited}' is not among [sources]",
                suggest(cited, self.cited)
                or f'add it: [sources] {cited} = {{ title = "…", basis = "datasheet" }}',
            )
        else:
            return cited
        return ""

    def table(self, raw: object, cls: type, path: str) -> dict[str, Any]:
        """Walk a table along an attrs class."""
        if not isinstance(raw, Mapping):
            known = attrs.fields(cls)
            keys = " or ".join(f"{path}.{field.name}" for field in known)
            remedy = f"say which: {keys}" if len(known) <= 4 else f"write [{path}] with its keys below"
            self.fault(path, f"{raw!r} stands where a table was expected", remedy)
            return {}
        fields = {field.name: field for field in attrs.fields(cls)}
        hints = _hints(cls)
        if set(raw) == {"missing"} and "missing" not in fields:
            for name in fields:  # a whole table that is missing: { missing = "not rented" }
                self.value(raw, hints[name], join(path, name))
            return {}
        meant = ""
        for key in raw:
            if key not in fields:
                hint = suggest(key, fields) if len(self.faults) < MOST_TOLD else ""
                self.fault(join(path, key), "unknown key", hint or f"known keys: {', '.join(fields)}")
                meant += hint  # a misspelt key is not missing as well
        values: dict[str, object] = {}
        for name, field in fields.items():
            if name in raw and name != "sources":
                value = self.value(raw[name], hints[name], join(path, name), least_of(field))
                if value is not attrs.NOTHING:
                    values[name] = value
                elif field.default is attrs.NOTHING:
                    values.setdefault(name, None)
            elif field.default is attrs.NOTHING and not self.partial and f"'{name}'" not in meant:
                self.fault(join(path, name), "missing key", f"add `{name}`{hint_example(hints[name])}")
        return values

    def value(self, raw: Any, hint: Any, path: str, least: int = 0) -> Any:
        """Walk one value along its annotation; NOTHING where the default should stand.

        Args:
            least: Smallest whole number that it may be.
        """
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated and isinstance(args[1], Least):
            return self.plain(raw, args[0], path, args[1].value)
        if origin is typing.Annotated:
            mark = marker(hint)
            if mark is not None:
                return read_by_kernel(raw, mark, path, self.fault)
            return self.quantity(raw, args[1], path, ranged=args[0] is Range)
        if hint in (int, float):
            return self.plain(raw, hint, path, least)
        if origin is Literal:
            return self.choice(raw, args, path)
        if hint in (str, bool):
            if not isinstance(raw, hint):
                self.fault(path, f"{raw!r} is not {'text' if hint is str else 'true or false'}")
                return attrs.NOTHING
            self.facts[path] = Fact(path, raw)
            return raw
        if attrs.has(hint):
            return self.table(raw, hint, path)
        if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
            return self.mapping(raw, args[0], args[1], path)
        if origin is tuple:
            return self.sequence(raw, args, path)
        if origin in (typing.Union, types.UnionType):
            return self.value(raw, _member(raw, args), path, least)
        return raw

    def mapping(self, raw: object, key_hint: Any, hint: Any, path: str) -> Any:
        """Walk a table whose keys are free, or engines."""
        if not isinstance(raw, Mapping):
            self.fault(
                path, f"{raw!r} stands where a table was expected", f"write [{path}] with its keys below"
            )
            return attrs.NOTHING
        engines = next(
            (one for one in getattr(key_hint, "__metadata__", ()) if isinstance(one, Engines)), None
        )
        unknown = [key for key in raw if engines is not None and not engines.allows(key)]
        for key in unknown:
            self.fault(join(path, key), "unknown engine", engines.remedy(key) if engines else "")
        pairs = {
            key: self.value(item, of_action(hint, key), join(path, key))
            for key, item in raw.items()
            if key not in unknown
        }
        return {key: value for key, value in pairs.items() if value is not attrs.NOTHING}

    def sequence(self, raw: object, args: tuple[object, ...], path: str) -> Any:
        """Walk a list."""
        if not isinstance(raw, list):
            self.fault(path, f"{raw!r} stands where a list was expected")
            return attrs.NOTHING
        hints = [args[0]] * len(raw) if len(args) == 2 and args[1] is Ellipsis else list(args)
        return [
            self.value(item, hint, f"{path}.{i}")
            for i, (item, hint) in enumerate(zip(raw, hints, strict=False))
        ]

    def choice(self, raw: object, allowed: tuple[object, ...], path: str) -> Any:
        """Check one of a few words."""
        if raw not in allowed:
            self.fault(
                path,
                f"{raw!r} is none of {', '.join(map(repr, allowed))}",
                suggest(str(raw), map(str, allowed)),
            )
            return attrs.NOTHING
        self.facts[path] = Fact(path, raw)
        return raw

    def entry(self, raw: object, path: str) -> Entry | None:
        """Split `{ is, source, note, date }`, `{ missing }` or `"value [source]"` into its parts."""
        note = missing = date = ""
        cited = self.default
        if isinstance(raw, Mapping):
            for key in set(raw) - _ENTRY:
                self.fault(
                    join(path, key),
                    "unknown key",
                    suggest(key, _ENTRY) or "a number has is, source, note, date or missing",
                )
            note, missing, cited = (
                str(raw.get("note", "")),
                str(raw.get("missing", "")),
                self.known_source(raw["source"], path) if "source" in raw else cited,
            )
            date = str(raw.get("date", ""))
            if date and not _DATE.fullmatch(date):
                self.fault(join(path, "date"), f"'{date}' is no date", 'write it like "2026-05"')
            if ("is" in raw) == bool(missing):
                self.fault(
                    path,
                    "a number has either `is` or `missing`",
                    'write { is = "8 TB/s", note = "…" } or { missing = "not published" }',
                )
                return None
            raw = raw.get("is")
        elif isinstance(raw, str) and (match := _CITED.match(raw)):
            raw, cited = match["value"], self.known_source(match["source"], path)
        return Entry(raw, self.cited.get(cited), note, missing, date)

    def quantity(self, raw: Any, unit: Unit, path: str, ranged: bool) -> Any:
        """Walk a number with a unit, or a range of them."""
        entry = self.entry(raw, path)
        if entry is None:
            return attrs.NOTHING
        if entry.missing:
            self.facts[path] = Fact(path, None, unit.symbol, None, entry.note, entry.missing)
            return Range(math.nan, math.nan) if ranged else math.nan
        value = entry.value
        try:
            result: Any = span(value, unit) if ranged else parse(number(value, unit), unit)
        except ValueError as error:
            self.fault(path, str(error), written_like(path, example(unit)))
            return attrs.NOTHING
        self.facts[path] = Fact(path, result, unit.symbol, entry.source, entry.note, date=entry.date)
        return result

    def plain(self, raw: Any, hint: type, path: str, least: int) -> Any:
        """Walk a bare int or float, possibly cited."""
        entry = self.entry(raw, path)
        if entry is None:
            return attrs.NOTHING
        value = entry.value
        if entry.missing and hint is int:
            self.fault(path, "a whole number can't be missing", written_like(path, "4"))
            return attrs.NOTHING
        if entry.missing:
            self.facts[path] = Fact(path, None, "", None, entry.note, entry.missing)
            return math.nan
        try:
            known = isinstance(value, str | int | float) and not isinstance(value, bool)
            found = float(str(value)) if known else math.nan
        except (TypeError, ValueError, OverflowError):
            found = math.nan
        if not math.isfinite(found) or (hint is int and (found != int(found) or found < least)):
            kind = f"a whole number of at least {least}" if hint is int else "a finite number"
            self.fault(path, f"{value!r} is not {kind}", written_like(path, "4"))
            return attrs.NOTHING
        result: Any = int(found) if hint is int else found
        self.facts[path] = Fact(path, result, "", entry.source, entry.note, date=entry.date)
        return result


def _member(raw: object, hints: tuple[object, ...]) -> Any:
    """Which of several annotations a value has: text a choice of words, if there is one, else the first."""
    words = [hint for hint in hints if typing.get_origin(hint) is Literal and isinstance(raw, str)]
    return next(hint for hint in (*words, *hints) if hint is not type(None))
