"""What `inferbench show` says of a plugin: its package, and the keys, units and defaults of what it reads."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from inferbench.records.interfaces import Architecture, Fabric, Phase, PowerModel, Workload
from inferbench.records.kernel_tables import marker
from inferbench.records.run import Metric
from inferbench.records.time_model import TimeModel
from inferbench.report.model import DASH, Cell, Next, Report, Table
from inferbench.units import Range, Unit

__all__ = ["KINDS", "plugin_report"]

KINDS = ("architectures", "time_models", "workloads", "fabrics", "power_models", "metrics")


def plugin_report(record: Any, kind: str, owner: str, following: tuple[Next, ...]) -> Report:
    """Build the report of one plugin.

    Args:
        record: Architecture, time model, workload, fabric, power model or metric.
        kind: One of `KINDS`.
        owner: Package and version.
        following: What to do next.
    """
    fields = [row for group, cls in _classes(record).items() for row in _fields(group, cls)]
    facts = _facts(record)
    singular = kind.removesuffix("s").replace("_", " ")
    about = tuple((Cell(key), Cell(text)) for key, text in facts.items())
    title = f"{record.title} ({record.name})"
    tables = [Table(title, (Cell(""), Cell("")), about, f"{singular} · {owner}", legend=_described(record))]
    for group in dict.fromkeys(row["group"] for row in fields):
        rows = tuple(
            tuple(Cell(row[column]) for column in ("key", "unit", "default"))
            for row in fields
            if row["group"] == group
        )
        tables.append(Table(group, (Cell("key"), Cell("unit"), Cell("default")), rows))
    data = {
        "schema": "inferbench.plugin/1",
        "kind": kind,
        "name": record.name,
        "title": record.title,
        "package": owner,
        "about": facts,
        "fields": fields,
    }
    flat = fields or [{"key": key, "value": text} for key, text in facts.items()]
    return Report(tuple(tables), data, tuple(flat), following)


def _described(record: object) -> tuple[str, ...]:
    """The first paragraph of the class's docstring; a metric has no class of its own."""
    text = "" if isinstance(record, Metric) else inspect.getdoc(type(record)) or ""
    return tuple(part for part in (" ".join(text.split("\n\n")[0].split()),) if part)


def _classes(record: object) -> dict[str, type]:
    """Title of a table of keys, with where they are written, to the class that has them."""
    if isinstance(record, Architecture):
        return {"[architecture] of a chip": record.params, "[tuning] of a stack": record.tuning}
    if isinstance(record, TimeModel):
        return {"[time] of a stack": record.figures}
    if isinstance(record, Workload):
        return {"[network] of a network": record.params, "--option": record.options}
    return {}


def _facts(record: Any) -> dict[str, str]:
    """What there is to say beside the keys, by label."""
    if isinstance(record, Workload):
        phases = {f"phase {one.name}": _phase(one) for one in record.phases}
        return {"named by": f'type = "{record.name}" in [network] of a network', **phases}
    if isinstance(record, TimeModel):
        return {"named by": f'model = "{record.name}" in [time] of a stack'}
    if isinstance(record, PowerModel):
        accepted = ", ".join(record.architectures) or "any"
        return {
            "architectures": accepted,
            "fidelity": f"{record.fidelity}; the highest that accepts a chip serves it",
        }
    if isinstance(record, Metric):
        shown = "with -v" if record.order >= 200 else "always"
        return {"unit": record.unit or DASH, "better": record.better, "shown": shown}
    if isinstance(record, Fabric):
        return {"named by": f'fabric = "{record.name}" in [interconnect.…] of a chip'}
    impossible = {f"no {kind}": why for kind, why in record.impossible.items()}
    return {"named by": f'type = "{record.name}" in [architecture] of a chip', **impossible}


def _phase(phase: Phase) -> str:
    axes = ", ".join(f"{axis} {value:,.0f}" for axis, value in phase.axes.items())
    return f"axes {axes}; takes {phase.latency}, yields {phase.item}s"


def _fields(group: str, cls: type, path: str = "") -> Iterator[dict[str, str]]:
    """Rows of a class, tables inside it as dotted keys."""
    hints = typing.get_type_hints(cls, include_extras=True)
    for field in attrs.fields(cls):
        key = f"{path}.{field.name}" if path else field.name
        inner = _table_in(hints[field.name])
        if inner:
            yield from _fields(group, inner[0], f"{key}.{inner[1]}".rstrip("."))
        else:
            yield {"group": group, "key": key, "unit": _unit(hints[field.name]), "default": _default(field)}


def _table_in(hint: Any) -> tuple[type, str] | None:
    """The class of a nested table, and `*` where the table's keys are free."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        hint = next(arg for arg in args if arg is not type(None))
        return _table_in(hint)
    if attrs.has(hint) and hint is not Range:
        return hint, ""
    if isinstance(origin, type) and issubclass(origin, Mapping) and attrs.has(args[1]):
        return args[1], "*"
    return None


def _unit(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    mark = marker(hint)
    if mark is not None:
        return f"{mark.unit.symbol or mark.unit.meaning.partition(' ')[2]}, by kernel"
    if origin is typing.Annotated and isinstance(args[1], Unit):
        return args[1].symbol or args[1].meaning.removeprefix("a ").removeprefix("an ")
    if origin is Literal:
        return ", ".join(str(arg) for arg in args if arg != "")
    if origin in (typing.Union, types.UnionType):
        return _unit(next(arg for arg in args if arg is not type(None)))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        engines = typing.get_origin(args[0]) is typing.Annotated
        return f"{_unit(args[1])}, by {'engine' if engines else 'name'}"
    if origin is tuple:
        inner = typing.get_args(args[0]) if typing.get_origin(args[0]) is tuple else args
        return f"lists of {_unit(inner[0])}" if inner is not args else f"list of {_unit(args[0])}"
    named = {bool: "true, false", str: "text", float: "number", int: "whole number"}
    return named.get(hint, getattr(hint, "__name__", str(hint)))


def _default(field: attrs.Attribute[object]) -> str:
    value = field.default
    if value is attrs.NOTHING:
        return "must be given"
    if isinstance(value, attrs.Factory):  # type: ignore[arg-type]
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "not known" if math.isnan(value) else f"{value:,.10g}"
    if isinstance(value, Range) or value in ("", (), None):
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
