"""Workload options and stack tuning: small tables typed by a plugin's own attrs class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from inferbench.errors import InferBenchError
from inferbench.records.chip import Chip
from inferbench.records.interfaces import Architecture, PowerModel, Workload
from inferbench.records.stack import Stack
from inferbench.specs.toml import structure, walk

__all__ = ["figures_of", "power_under", "read_option", "structured", "structured_tuning"]


def structured(workload: Workload, options: Mapping[str, object]) -> Any:
    """Type a workload's options; unknown names are refused with the closest spelling."""
    return _typed(options, workload.options, f"options of {workload.name}") if options else workload.options()


def structured_tuning(architecture: Architecture, stack: Stack) -> Any:
    """Type a stack's `[tuning.<architecture>]`, or take the defaults."""
    table = stack.tuning.get(architecture.name)
    if not table:
        return architecture.tuning()
    return _typed(table, architecture.tuning, f"{stack.origin or stack.name}: tuning.{architecture.name}")


def power_under(model: PowerModel, chip: Chip, stack: Stack) -> PowerModel:
    """The power model with a stack's figures in it, where the stack has some of the chip."""
    table = dict(stack.power.get(model.name, {}))
    chips: Any = table.pop("chips", stack.domain.chips)
    if not table or chip.name not in chips:
        return model
    return model.under(chip, figures_of(model, table, f"{stack.origin or stack.name}: power.{model.name}"))


def figures_of(model: PowerModel, table: Mapping[str, Any], where: str) -> Any:
    """Type a table of a power model's figures.

    Args:
        model: Whose they are.
        table: Raw, as a stack has it.
        where: How messages call it.
    """
    return _typed(table, model.figures, where)


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
