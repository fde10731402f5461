"""Workload options and stack tuning: small tables typed by a plugin's own attrs class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from inferbench.errors import InferBenchError, blamed_on
from inferbench.records.chip import Chip
from inferbench.records.interfaces import Architecture, PowerModel, Workload
from inferbench.records.stack import Stack
from inferbench.specs.structure import structure
from inferbench.specs.toml import walk

__all__ = ["figures_of", "power_under", "read_option", "structured", "structured_tuning"]


def structured(workload: Workload, options: Mapping[str, object]) -> Any:
    """Type a workload's options; unknown names are refused with the closest spelling."""
    if options:
        return _typed(options, workload.options, f"options of {workload.name}")
    with blamed_on(f"{type(workload).__module__}: {workload.name}.options"):
        return workload.options()


class Remembers(Protocol):
    """What earlier starts have typed: see `inferbench.discovery.kept`, which lies above."""

    def get(self, kind: str, name: str, file: Any) -> tuple[Any, Any] | None:
        """What was kept under a name, with doubts about it."""

    def add(self, kind: str, name: str, file: Any, record: Any) -> None:
        """Keep something."""


def structured_tuning(architecture: Architecture, stack: Stack, kept: Remembers | None = None) -> Any:
    """Type a stack's `[tuning.<architecture>]`, or take the defaults.

    Args:
        architecture: Whose.
        stack: With the table.
        kept: What earlier starts have typed.
    """
    table = stack.tuning.get(architecture.name)
    if not table:
        with blamed_on(f"{type(architecture).__module__}: {architecture.name}.tuning"):
            return architecture.tuning()
    where = f"{stack.origin or stack.name}: tuning.{architecture.name}"
    return _remembered(table, architecture.tuning, where, kept)


def power_under(model: PowerModel, chip: Chip, stack: Stack, kept: Remembers | None = None) -> PowerModel:
    """The power model with a stack's figures in it, where the stack has some of the chip.

    Args:
        model: As installed.
        chip: Whose power.
        stack: With figures of chips.
        kept: What earlier starts have typed.
    """
    table = dict(stack.power.get(model.name, {}))
    chips: Any = table.pop("chips", stack.domain.chips)
    if not table or chip.name not in chips:
        return model
    where = f"{stack.origin or stack.name}: power.{model.name}"
    return model.under(chip, _remembered(table, model.figures, where, kept))


def figures_of(model: PowerModel, table: Mapping[str, Any], where: str) -> Any:
    """Type a table of a power model's figures.

    Args:
        model: Whose they are.
        table: Raw, as a stack has it.
        where: How messages call it.
    """
    return _typed(table, model.figures, where)


def _remembered(table: Mapping[str, object], cls: type, where: str, kept: Remembers | None) -> Any:
    """A typed table: what an earlier start made of the same one, else typed and kept."""
    name, text = f"{cls.__module__}.{cls.__qualname__}", repr(table)
    found = None if kept is None else kept.get("options", name, text)
    if found is not None:
        return found[0]
    made = _typed(table, cls, where)
    if kept is not None:
        kept.add("options", name, text, made)
    return made


def _typed(table: Mapping[str, object], cls: type, where: str) -> Any:
    if not attrs.fields(cls):
        raise InferBenchError.at(where, f"no options are known; {', '.join(table)} was given")
    walked = walk(table, cls, where, sources={})
    if walked.faults:
        raise InferBenchError(walked.faults)
    return structure(walked.values, cls, where)


def read_option(text: str) -> tuple[str, Any]:
    """Read `key=value` from the command line: true, false, a number or text."""
    key, sign, value = text.partition("=")
    if not sign:
        raise InferBenchError.at("--option", f"'{text}' has no value", "write it like --option kv=false")
    if value in ("true", "false"):
        return key, value == "true"
    try:
        number = float(value)
    except ValueError:
        return key, value
    return key, int(number) if math.isfinite(number) and number == int(
        number
    ) and "." not in value else number
