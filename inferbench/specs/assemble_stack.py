"""From a stack's file to its record: tables of figures by kind of kernel, and what it inherits."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args

import attrs

from inferbench.errors import Fault, raise_if, suggest
from inferbench.records.stack import TABLES, TIMES, Curve, Stack, StackFile
from inferbench.specs.stack_keys import key_faults
from inferbench.specs.toml import Find, read_toml, structure, walk
from inferbench.units import ByteCount, Joules, JoulesPerByte, JoulesPerOp, Seconds, Unit, Watts, parse

__all__ = ["ENGINES", "stack_from"]

_SECONDS: Unit = get_args(Seconds)[1]
_BYTES: Unit = get_args(ByteCount)[1]
ENGINES = ("compute", "memory", "network", "convert")


def stack_from(text: bytes, name: str, where: str, find: Find) -> Stack:
    """Build a stack; one that is `based_on` another takes that one's entries where it has none itself."""
    raw, _ = read_toml(text, where)
    outer = walk(raw, StackFile, where)
    faults = list(outer.faults)
    values = outer.values
    efficiency = _efficiencies(values.get("efficiency", {}), f"{where}: efficiency", faults)
    tables = {
        table: _entries(values.get(table, {}), f"{where}: {table}", faults, *_reader(table))
        for table in TABLES
    }
    spent = _energies(values.get("kernel_energy", {}), f"{where}: kernel_energy", faults)
    raise_if(faults)
    bare = {**values, **{key: {} for key in ("efficiency", "kernel_energy", *tables)}}
    file: StackFile = structure(bare, StackFile, where)
    stack = Stack(
        name=name,
        title=file.title,
        architectures=file.architectures,
        efficiency=efficiency,
        **tables,
        host=file.host,
        overlap_across=file.overlap_across,
        tuning=file.tuning,
        energy=file.energy,
        kernel_energy=spent,
        power=file.power,
        energy_fit=file.energy_fit,
        domain=file.domain,
        fit=file.fit,
        based_on=file.based_on,
        software=file.software,
        family=file.family or _family(file.software),
        grade=file.grade,
        vendors=file.vendors,
        facts=outer.facts,
        note=file.note,
        origin=where,
    )
    raise_if(key_faults(stack, where))
    return _inherit(stack, find(file.based_on), raw) if file.based_on else stack


def _family(software: tuple[str, ...]) -> str:
    """The letters that a software's name begins with: `vllm` of `vLLM-0.24.0:vLLM_custom_graph`."""
    found = re.match(r"[a-z]*", software[0].lower()) if software else None
    return found.group() if found else ""


# All that a stack of energies alone says: in everything else it is what it is based on.
_ENERGY_ALONE = {"title", "note", "source", "sources", "based_on", "power", "energy_fit"}


def _inherit(stack: Stack, base: Stack, raw: Mapping[str, Any]) -> Stack:
    power = {
        name: {**base.power.get(name, {}), **stack.power.get(name, {})}
        for name in {**base.power, **stack.power}
    }
    if "power" in raw and set(raw) <= _ENERGY_ALONE:
        own = {
            name: getattr(stack, name) for name in ("name", "title", "energy_fit", "facts", "note", "origin")
        }
        return attrs.evolve(base, **own, based_on=base.name, power=power)
    merged, spent = (
        {key: {**theirs.get(key, {}), **mine.get(key, {})} for key in {**theirs, **mine}}
        for theirs, mine in ((base.efficiency, stack.efficiency), (base.kernel_energy, stack.kernel_energy))
    )
    tables: dict[str, Any] = {table: {**getattr(base, table), **getattr(stack, table)} for table in TABLES}
    tuning = {
        name: {**base.tuning.get(name, {}), **stack.tuning.get(name, {})}
        for name in {**base.tuning, **stack.tuning}
    }
    kernel = base.fit.kernel if math.isnan(stack.fit.kernel) else stack.fit.kernel
    kernels = {**base.fit.kernels, **stack.fit.kernels}
    energy = stack.fit if stack.energy else base.fit  # errors go with the energies that they are of
    return attrs.evolve(
        stack,
        efficiency=merged,
        **tables,
        fit=attrs.evolve(
            stack.fit,
            kernel=kernel,
            kernels=kernels,
            power=energy.power,
            energy=energy.energy,
            kernel_power={**base.fit.kernel_power, **stack.fit.kernel_power},
        ),
        kernel_energy=spent,
        power=power,
        host=stack.host if "host" in raw else base.host,
        overlap_across=stack.overlap_across if "overlap_across" in raw else base.overlap_across,
        tuning=tuning,
        energy={**base.energy, **stack.energy},
        architectures=stack.architectures or base.architectures,
    )


def _efficiencies(tables: Mapping[str, Any], where: str, faults: list[Fault]) -> dict[str, Any]:
    """Read a table per engine; engines are a closed set, so that a misspelt one is not silently ideal."""
    found = {}
    for engine, table in tables.items():
        if engine.split(".")[0] not in ENGINES:
            remedy = (
                suggest(engine, ENGINES)
                or f"engines are {', '.join(ENGINES)}, and parts of them like memory.hbm"
            )
            faults.append(Fault(f"{where}.{engine}", "unknown engine", remedy))
        elif not isinstance(table, Mapping):
            remedy = f"write it like [efficiency.{engine}] default = 0.8"
            faults.append(Fault(f"{where}.{engine}", f"{table!r} stands where a table was expected", remedy))
        else:
            read = _fraction_or_none if engine == "convert" else _fraction
            found[engine] = _entries(table, f"{where}.{engine}", faults, read, "0.85")
    return found


def _energies(tables: Mapping[str, Any], where: str, faults: list[Fault]) -> dict[str, Any]:
    """Read a table per action: watts of the baseline, joules per operation, per byte, or per any other
    count.
    """
    found = {}
    for action, table in tables.items():
        kind = (
            Watts
            if action == "baseline"
            else JoulesPerOp
            if action == "ops"
            else JoulesPerByte
            if action.startswith("bytes.")
            else Joules
        )
        unit: Unit = get_args(kind)[1]
        if isinstance(table, Mapping):
            read = partial(parse, unit=unit)
            found[action] = _entries(table, f"{where}.{action}", faults, read, f'"{unit.example}"')
        else:
            remedy = f'write it like [kernel_energy.{action}] gemm = "{unit.example}"'
            faults.append(Fault(f"{where}.{action}", f"{table!r} stands where a table was expected", remedy))
    return found


def _entries(
    table: Any, where: str, faults: list[Fault], read: Callable[[Any], float], like: str
) -> dict[str, Any]:
    """Read `kind = x`, `"kind.format" = x` and curves; nested tables are dotted keys; `like` is an example of
    x.
    """
    entries: dict[str, Any] = {}
    for key, raw in dict(table).items():
        try:
            if isinstance(raw, Mapping) and "over" in raw:
                points = tuple((float(x), read(y)) for x, y in raw.get("points", ()))
                if not points:
                    raise ValueError(
                        'a curve needs at least one point, like { over = "m", points = [[32, 0.15], [128,'
                        " 0.7]] }"
                    )
                if list(points) != sorted(points) or points[0][0] <= 0:
                    raise ValueError("the sizes of a curve's points must rise and be above 0")
                entries[key] = Curve(str(raw["over"]), points)
            elif isinstance(raw, Mapping):
                entries |= {
                    f"{key}.{inner}": value
                    for inner, value in _entries(raw, f"{where}.{key}", faults, read, like).items()
                }
            else:
                entries[key] = read(raw)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            faults.append(Fault(f"{where}.{key}", str(error), f"write {key} = {like}, or leave it out"))
    return entries


def _reader(table: str) -> tuple[Callable[[Any], float], str]:
    """How an entry of a table is read, and an example of one."""
    if table in TIMES or table == "ramp_bytes":
        unit = _SECONDS if table in TIMES else _BYTES
        return partial(parse, unit=unit), f'"{unit.example}"'
    return {"overlap": (_exponent, "2"), "tail": (_share, "0.5"), "piece": (_steps, "512")}[table]


def _fraction(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 < raw <= 1:
        raise ValueError(f"{raw!r} is no efficiency; a number above 0 and up to 1 was expected")
    return float(raw)


def _fraction_or_none(raw: object) -> float:
    """A fraction, or inf: no pass over the activations at all."""
    return raw if raw == math.inf else _fraction(raw)


def _exponent(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not raw >= 1:
        raise ValueError(f"{raw!r} is no overlap exponent; a number of at least 1, or inf, was expected")
    return float(raw)


def _share(raw: object) -> float:
    """A share, or "none" (-1): arithmetic and loop overlap as where there is no entry."""
    if raw == "none":
        return -1.0
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 <= raw <= 1:
        raise ValueError(f"{raw!r} is no share; a number from 0 to 1, or 'none', was expected")
    return float(raw)


def _steps(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not raw >= 1:
        raise ValueError(f"{raw!r} is no number of steps; at least 1, or inf, was expected")
    return float(raw)
