"""From a stack's file to its record: figures of a time model, and what is inherited from another stack."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from inferbench.errors import Fault, InferBenchError, raise_if
from inferbench.records.kernel_tables import inherited, lent
from inferbench.records.roofline import ROOFLINE
from inferbench.records.stack import Stack, StackFile
from inferbench.records.time_model import TimeModel
from inferbench.specs.stack_keys import key_faults
from inferbench.specs.structure import structure
from inferbench.specs.toml import Find, Walked, read_toml, walk

__all__ = ["UnknownTimeModel", "core_model", "energies_alone", "family_of", "stack_from"]


class UnknownTimeModel(InferBenchError):
    """A stack names a time model that is not installed."""


def core_model(name: str) -> TimeModel:
    """The time model that the core brings.

    Raises:
        InferBenchError: Any other name.
    """
    if name != ROOFLINE.name:
        raise InferBenchError.at(name, f"unknown time model; the core has {ROOFLINE.name}")
    return ROOFLINE


def stack_from(text: bytes, name: str, where: str, find: Find, model: Find = core_model) -> Stack:
    """Build a stack; one that is `based_on` another takes that one's entries where it has none itself.

    Args:
        text: The file.
        name: Its stem.
        where: How messages call it.
        find: Stack by name.
        model: Time model by name.

    Raises:
        UnknownTimeModel: The file names a time model that is not installed.
        InferBenchError: With every other fault of the file.
    """
    raw, _ = read_toml(text, where)
    old = {key for key in raw if key in _OLD}
    outer = walk({key: value for key, value in raw.items() if key not in old}, StackFile, where)
    faults = [*_old_layout(old, where), *outer.faults]
    base = _base(raw.get("based_on"), find, faults)
    other = _base(raw.get("kernels"), find, faults)
    lenders, others = (
        [_base(one, find, faults) for one in _listed(raw.get(key))] for key in ("collectives", "beside")
    )
    chosen, table = _model(raw.get("time", {}), base, model, where, faults)
    inner = walk(table, chosen.figures, where, sources=outer.sources, default=outer.default, path="time")
    raise_if([*faults, *inner.faults])
    figures = structure(inner.values, chosen.figures, where, "time")
    stack = _stack(outer, inner, where, name=name, time_model=chosen, figures=figures)
    raise_if(key_faults(stack, where))
    if base is not None and other is not None:
        return _with_kernels(stack, base, other)
    whole = stack if base is None else _inherit(stack, base, raw)
    for lender in filter(None, lenders):
        whole = attrs.evolve(whole, figures=lent(whole.figures, lender.figures, "collective"))
    for lender in filter(None, others):
        errors = {**lender.fit.kernels, **whole.fit.kernels}
        whole = attrs.evolve(
            whole, figures=lent(whole.figures, lender.figures), fit=attrs.evolve(whole.fit, kernels=errors)
        )
    return whole


def _listed(names: object) -> list[object]:
    return names if isinstance(names, list) else []


def _stack(outer: Walked, inner: Walked, where: str, **own: Any) -> Stack:
    values = {key: value for key, value in outer.values.items() if key != "time"}
    file: StackFile = structure(values, StackFile, where)
    same = {
        field.name: getattr(file, field.name)
        for field in attrs.fields(StackFile)
        if field.name not in ("source", "sources", "time", "kernels", "collectives", "beside")
    }
    same["family"] = file.family or family_of(file.software)
    return Stack(**same, **own, facts={**outer.facts, **inner.facts}, origin=where)


def _base(name: object, find: Find, faults: list[Fault]) -> Stack | None:
    """The stack that another one is based on; a fault of it is told beside the file's own."""
    if not isinstance(name, str) or not name:
        return None
    try:
        found: Stack = find(name)
    except InferBenchError as error:
        raise type(error)([*faults, *error.faults]) from None
    except RecursionError:
        found_out = f"'{name}' is based on itself, perhaps by way of others"
        raise InferBenchError.at(name, found_out, "let the last of them stand alone") from None
    return found


def _model(
    table: object, base: Stack | None, find: Find, where: str, faults: list[Fault]
) -> tuple[TimeModel, Mapping[str, object]]:
    """The time model of a file, and the keys that it has for it."""
    usual = ROOFLINE if base is None else base.time_model
    if not isinstance(table, Mapping):
        return usual, {}  # told by the walk of the file
    rest = {key: value for key, value in table.items() if key != "model"}
    name = table.get("model")
    if name is None:
        if rest and base is None:
            remedy = f'add model = "{usual.name}", or another one: inferbench list time_models'
            faults.append(Fault(f"{where}: time.model", "missing key", remedy))
        return usual, rest
    if not isinstance(name, str):
        faults.append(Fault(f"{where}: time.model", f"{name!r} is not text", f'write model = "{usual.name}"'))
        return usual, rest
    try:
        return find(name), rest
    except InferBenchError as error:
        named = (attrs.evolve(fault, where=f"{where}: time.model = '{name}'") for fault in error.faults)
        raise UnknownTimeModel([*faults, *named]) from None


# Tables that stood beside each other before a stack named its time model, and how they are called now.
_OLD = {
    "efficiency": "efficiency",
    "overlap": "overlap",
    "launch": "launch",
    "startup": "min_time",
    "depth": "loop_overlapped",
    "serial": "loop_exposed",
    "tail": "tail_share",
    "piece": "min_split",
    "ramp": "ramp_time",
    "ramp_bytes": "ramp_bytes",
}


def _old_layout(keys: set[str], where: str) -> Iterator[Fault]:
    for key in sorted(keys):
        also = "; [efficiency.convert] is [time.quantize]" if key == "efficiency" else ""
        yield Fault(
            f"{where}: {key}",
            "figures of kernels stand below [time] now",
            f'write [time] model = "…" once, and [time.{_OLD[key]}] for [{key}]{also}',
        )


def family_of(software: tuple[str, ...]) -> str:
    """The letters that a software's name begins with: `vllm` of `vLLM-0.24.0:vLLM_custom_graph`."""
    found = re.match(r"[a-z]*", software[0].lower()) if software else None
    return found.group() if found else ""


# All that a stack of energies alone says: in everything else it is what it is based on.
_ENERGY_ALONE = {"title", "note", "source", "sources", "based_on", "power", "energy_fit"}


def energies_alone(raw: Mapping[str, object]) -> bool:
    """Whether a file has energies alone: in everything else its stack is what it is based on."""
    return "power" in raw and set(raw) <= _ENERGY_ALONE


def _with_kernels(stack: Stack, base: Stack, other: Stack) -> Stack:
    """What was fitted on top of some kernels, on top of others."""
    own = {
        name: getattr(stack, name) for name in ("name", "title", "facts", "note", "origin", "block_scales_of")
    }
    figures = {"time_model": other.time_model, "figures": other.figures, "tuning": other.tuning}
    return attrs.evolve(base, **own, **figures, based_on=base.name)


def _inherit(stack: Stack, base: Stack, raw: Mapping[str, Any]) -> Stack:
    power = _both(base.power, stack.power)
    if energies_alone(raw):
        own = {
            name: getattr(stack, name) for name in ("name", "title", "energy_fit", "facts", "note", "origin")
        }
        return attrs.evolve(base, **own, based_on=base.name, power=power)
    spent: dict[str, Any] = _both(base.kernel_energy, stack.kernel_energy)
    kernel = base.fit.kernel if math.isnan(stack.fit.kernel) else stack.fit.kernel
    energy = stack.fit if stack.energy else base.fit  # errors go with the energies that they are of
    return attrs.evolve(
        stack,
        figures=_figures(stack, base, raw.get("time", {})),
        fit=attrs.evolve(
            stack.fit,
            kernel=kernel,
            kernels={**base.fit.kernels, **stack.fit.kernels},
            power=energy.power,
            energy=energy.energy,
            kernel_power={**base.fit.kernel_power, **stack.fit.kernel_power},
        ),
        kernel_energy=spent,
        power=power,
        host=stack.host if "host" in raw else base.host,
        scheduler=stack.scheduler or base.scheduler,
        overlap_across=stack.overlap_across if "overlap_across" in raw else base.overlap_across,
        tuning=_both(base.tuning, stack.tuning),
        energy={**base.energy, **stack.energy},
        architectures=stack.architectures or base.architectures,
    )


def _both(theirs: Mapping[str, Mapping[str, Any]], mine: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Tables of both, entry by entry; ours count."""
    return {name: {**theirs.get(name, {}), **mine.get(name, {})} for name in {**theirs, **mine}}


def _figures(stack: Stack, base: Stack, given: Mapping[str, object]) -> Any:
    """Figures with those of the base beneath them, where the model has all that the base's has."""
    same = issubclass(type(stack.figures), type(base.figures))
    return inherited(stack.figures, base.figures, given) if same else stack.figures
