"""From spec files to records: what each kind of file must satisfy beyond its keys and units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, get_args

import attrs

from inferbench.errors import Fault, InferBenchError, suggest
from inferbench.records.chip import Chip, ChipFile
from inferbench.records.claim import Claim, ClaimFile
from inferbench.records.interfaces import Workload
from inferbench.records.network import Network, NetworkFile
from inferbench.records.precision import FORMATS
from inferbench.records.scenario import Scenario, ScenarioFile, Suite, SuiteFile
from inferbench.records.stack import TABLES, TIMES, Curve, Stack, StackFile
from inferbench.specs.stack_keys import key_faults
from inferbench.specs.toml import Walked, read_toml, structure, walk
from inferbench.units import ByteCount, Joules, JoulesPerByte, JoulesPerOp, Seconds, Unit, Watts, parse

__all__ = ["chip_from", "claims_from", "network_from", "scenario_from", "stack_from", "suite_from"]

Find = Callable[[str], Any]
_SECONDS: Unit = get_args(Seconds)[1]
_BYTES: Unit = get_args(ByteCount)[1]
ENGINES = ("compute", "memory", "network", "convert")


def _typed(
    raw: Mapping[str, Any], section: str, where: str, find: Find, walked: Walked
) -> tuple[str, Any, Walked]:
    """Walk `[architecture]` or `[network]` along the class of the plugin that `type` names."""
    table = raw.get(section, {})
    faults = list(walked.faults)
    if section not in raw or not isinstance(table, Mapping):
        raise InferBenchError(faults)
    kind = table.get("type")
    if not isinstance(kind, str):
        plugins = "architecture" if section == "architecture" else "workload"
        remedy = f"add `type`, the name of an installed {plugins} plugin"
        raise InferBenchError([*faults, Fault(f"{where}: {section}.type", "missing key", remedy)])
    try:
        plugin = find(kind)
    except InferBenchError as error:
        named = (attrs.evolve(fault, where=f"{where}: {section}.type = '{kind}'") for fault in error.faults)
        raise InferBenchError([*faults, *named]) from None
    rest = {key: value for key, value in table.items() if key != "type"}
    inner = walk(rest, plugin.params, where, sources=walked.sources, default=walked.default, path=section)
    return kind, plugin, inner


def _raise_if(faults: Iterable[Fault]) -> None:
    listed = list(faults)
    if listed:
        raise InferBenchError(listed)


def chip_from(text: bytes, name: str, where: str, find: Find, warn: Callable[[Fault], None]) -> Chip:
    """Build a chip.

    Args:
        text: The file.
        name: Its stem.
        where: How messages call it.
        find: Architecture plugin by name.
        warn: Takes doubts that are no errors: a peak that looks sparse.

    Raises:
        InferBenchError: With every fault of the file.
    """
    raw, _ = read_toml(text, where)
    outer = walk(raw, ChipFile, where)
    kind, plugin, inner = _typed(raw, "architecture", where, find, outer)
    faults = [*outer.faults, *inner.faults]
    faults += [
        Fault(
            f"{where}: peak.{key}",
            "unknown number format",
            suggest(key, FORMATS) or f"known: {', '.join(FORMATS)}",
        )
        for key in outer.values.get("peak", {})
        if key not in FORMATS
    ]
    if outer.values.get("memory") == {}:
        faults.append(
            Fault(f"{where}: memory", "no memory level", "add at least one, for example [memory.hbm]")
        )
    _raise_if(faults)
    file: ChipFile = structure(outer.values, ChipFile, where)
    chip = Chip(
        name=name,
        title=file.title,
        vendor=file.vendor,
        architecture_type=kind,
        architecture=structure(inner.values, plugin.params, where, "architecture"),
        peak=file.peak,
        memory=file.memory,
        interconnect=file.interconnect,
        power=file.power,
        price=file.price,
        silicon=file.silicon,
        facts={**outer.facts, **inner.facts},
        note=file.note,
        origin=where,
    )
    for doubt in peak_doubts(chip, where):
        warn(doubt)
    return chip


def peak_doubts(chip: Chip, where: str) -> Iterable[Fault]:
    """Yield doubts about peaks: dense figures of 8 bits are between one and about two times those of 16."""
    base = chip.peak.get("bf16", chip.peak.get("fp16", math.nan))
    for key in ("fp8", "int8"):
        peak = chip.peak.get(key, math.nan)
        noted = bool(chip.facts.get(f"peak.{key}") and chip.facts[f"peak.{key}"].note)
        if peak > 2.2 * base and not noted:
            yield Fault(
                f"{where}: peak.{key}",
                f"{peak / base:.2g} times the 16-bit peak looks like a sparse figure; peaks are dense",
                "give the dense peak, or a `note` that explains it",
            )
        elif peak < base and not noted:
            yield Fault(
                f"{where}: peak.{key}", "below the 16-bit peak", "check it, or add a `note` that explains it"
            )
        elif peak == base and not noted:
            yield Fault(
                f"{where}: peak.{key}",
                "equal to the 16-bit peak",
                "add a `note` that says so, or leave it out: the tool falls back by itself",
            )


def network_from(text: bytes, name: str, where: str, find: Find) -> Network:
    """Build a network; `find` gives the workload plugin by name."""
    raw, _ = read_toml(text, where)
    return _network(raw, name, where, find)


def network_from_config(config: Mapping[str, Any], path: str, workloads: Iterable[Workload]) -> Network:
    """Build a network from a Hugging Face `config.json` that some workload plugin understands."""
    for workload in workloads:
        table = _read_config(workload, config, path)
        if table is not None:
            title = str(config.get("_name_or_path") or path)
            raw = {"title": title, "network": {"type": workload.name, **table}}
            return _network(raw, path, path, lambda _, found=workload: found)  # type: ignore[misc]
    kind = config.get("model_type", "(none)")
    raise InferBenchError.at(
        path, f"no installed workload reads configs of model_type '{kind}'", "see `inferbench list workloads`"
    )


def _read_config(workload: Workload, config: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """Ask one workload; its faults name the file that was given, and nothing in a file is our bug."""
    try:
        return workload.read_config(config)
    except InferBenchError as error:
        named = (
            attrs.evolve(fault, where=fault.where.replace("config.json", path, 1)) for fault in error.faults
        )
        raise InferBenchError(named) from None
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        said = f"the workload '{workload.name}' can't read it: {type(error).__name__}: {error}"
        raise InferBenchError.at(
            path, said, "take the complete config.json that the network was published with"
        ) from error


def _network(raw: Mapping[str, Any], name: str, where: str, find: Find) -> Network:
    outer = walk(raw, NetworkFile, where)
    kind, plugin, inner = _typed(raw, "network", where, find, outer)
    _raise_if([*outer.faults, *inner.faults])
    file: NetworkFile = structure(outer.values, NetworkFile, where)
    return Network(
        name=name,
        title=file.title,
        type=kind,
        params=structure(inner.values, plugin.params, where, "network"),
        published=file.published,
        facts={**outer.facts, **inner.facts},
        note=file.note,
        origin=where,
    )


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
    _raise_if(faults)
    bare = {**values, **{key: {} for key in ("efficiency", "kernel_energy", *tables)}}
    file: StackFile = structure(bare, StackFile, where)
    stack = Stack(
        name=name,
        title=file.title,
        architectures=file.architectures,
        efficiency=efficiency,
        **tables,
        host=file.host,
        tuning=file.tuning,
        energy=file.energy,
        kernel_energy=spent,
        domain=file.domain,
        fit=file.fit,
        based_on=file.based_on,
        software=file.software,
        facts=outer.facts,
        note=file.note,
        origin=where,
    )
    _raise_if(key_faults(stack, where))
    return _inherit(stack, find(file.based_on), raw) if file.based_on else stack


def _inherit(stack: Stack, base: Stack, raw: Mapping[str, Any]) -> Stack:
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
        host=stack.host if "host" in raw else base.host,
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


def _fraction(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 < raw <= 1:
        raise ValueError(f"{raw!r} is no efficiency; a number above 0 and up to 1 was expected")
    return float(raw)


def _fraction_or_none(raw: Any) -> float:
    """A fraction, or inf: no pass over the activations at all."""
    return raw if raw == math.inf else _fraction(raw)


def _exponent(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not raw >= 1:
        raise ValueError(f"{raw!r} is no overlap exponent; a number of at least 1, or inf, was expected")
    return float(raw)


def _share(raw: Any) -> float:
    """A share, or "none" (-1): arithmetic and loop overlap as where there is no entry."""
    if raw == "none":
        return -1.0
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 <= raw <= 1:
        raise ValueError(f"{raw!r} is no share; a number from 0 to 1, or 'none', was expected")
    return float(raw)


def _steps(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not raw >= 1:
        raise ValueError(f"{raw!r} is no number of steps; at least 1, or inf, was expected")
    return float(raw)


def scenario_from(text: bytes, name: str, where: str) -> Scenario:
    """Build an economic scenario."""
    raw, _ = read_toml(text, where)
    walked = walk(raw, ScenarioFile, where)
    _raise_if(walked.faults)
    file: ScenarioFile = structure(walked.values, ScenarioFile, where)
    return Scenario(
        name=name,
        title=file.title,
        depreciation=file.depreciation,
        electricity=file.electricity,
        pue=file.pue,
        wall_overhead=file.wall_overhead,
        system_factor=file.system_factor,
        utilization=file.utilization,
        facts=walked.facts,
        note=file.note,
        origin=where,
    )


def suite_from(text: bytes, name: str, where: str) -> Suite:
    """Build a suite of workload points."""
    raw, _ = read_toml(text, where)
    walked = walk(raw, SuiteFile, where)
    _raise_if(walked.faults)
    file: SuiteFile = structure(walked.values, SuiteFile, where)
    return Suite(name=name, title=file.title, points=file.points, note=file.note, origin=where)


def claims_from(text: bytes, where: str) -> tuple[str, tuple[Claim, ...]]:
    """Build a ledger: its title and its claims."""
    raw, _ = read_toml(text, where)
    walked = walk(raw, ClaimFile, where)
    _raise_if(walked.faults)
    file: ClaimFile = structure(walked.values, ClaimFile, where)
    ids = [claim.id for claim in file.claims]
    _raise_if(
        Fault(f"{where}: {one}", "the id stands twice", "give each claim an id of its own")
        for one in sorted({i for i in ids if ids.count(i) > 1})
    )
    return file.title, file.claims
