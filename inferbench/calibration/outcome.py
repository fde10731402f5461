"""What a fit gives: the stack as a file and as a record, its parameters, and what is common to all fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from inferbench.calibration.calibrate import Calibration, file_of
from inferbench.calibration.recipe import Recipe
from inferbench.calibration.steps import StepFit
from inferbench.calibration.writing import Labels
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.records.chip import Chip
from inferbench.records.fit import Fit, FitFile
from inferbench.records.measurement import Measurement
from inferbench.records.stack import Stack
from inferbench.specs.assemble_stack import stack_from

__all__ = ["FittedStack", "Parameter", "Rows", "chip_of", "files_of", "labels_of", "stack_of"]

Rows = Sequence[tuple[str, Measurement]]


@attrs.frozen
class Parameter:
    """One parameter that was fitted.

    Attributes:
        path: Where it stands: `host.step`, `gemm.fp8 launch`.
        value: In SI units.
        unit: Its symbol; empty for shares and factors.
        deviation: Relative standard error; NaN where it isn't known.
    """

    path: str
    value: float
    unit: str = ""
    deviation: float = math.nan


@attrs.frozen(eq=False)
class FittedStack:
    """What a fit gives.

    Attributes:
        recipe: What was asked for, names filled in.
        chip: Fitted on.
        toml: The stack's file.
        stack: What that file reads as.
        parameters: What was fitted.
        left: Rows that were not taken, by reason.
        warnings: What makes one doubt.
        kernels: Of a fit of kernels, each with its rows; None else.
        steps: Of a fit of whole steps; None else.
        energies: Of a fit of kernels' energies the tables alone, to replace those of a stack's file.

    Example:
        >>> recipe = Recipe(kind="serving", files=("runs.csv",), chip="h100-sxm",
        ...     based_on="trtllm-1.3")
        >>> fit_recipe(recipe, installed()).stack.host.step                      # doctest: +SKIP
        0.0015787
    """

    recipe: Recipe
    chip: Chip
    toml: str
    stack: Stack
    parameters: tuple[Parameter, ...]
    left: Mapping[str, int]
    warnings: tuple[str, ...] = ()
    kernels: Calibration | None = None
    steps: StepFit | None = None
    energies: str = ""

    @property
    def fit(self) -> Fit:
        """The record of the fit."""
        return self.stack.energy_fit if self.recipe.kind == "power" else self.stack.fit

    def to_dict(self) -> dict[str, Any]:
        """Plain data; None where a figure isn't known."""
        found = {
            "chip": self.chip.name,
            "stack": self.recipe.name,
            "command": self.recipe.command,
            "files": [attrs.asdict(file) for file in self.fit.files],
            "parameters": [attrs.asdict(one) for one in self.parameters],
            "parts": {name: attrs.asdict(part) for name, part in self.fit.parts.items()},
            "not_taken": dict(self.left),
            "warnings": list(self.warnings),
        }
        plain: dict[str, Any] = _known(found)
        return plain


def _known(value: Any) -> Any:
    """A value without NaN, at any depth."""
    if isinstance(value, dict):
        return {key: _known(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_known(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def labels_of(labels: Labels | None, recipe: Recipe, title: str) -> Labels:
    """The words of a file, with what the recipe says filled in."""
    words = labels or Labels("")
    return attrs.evolve(
        words,
        title=words.title or title,
        based_on=recipe.based_on,
        software=words.software or recipe.software,
        command=recipe.command,
    )


def stack_of(text: str, recipe: Recipe, registry: Registry) -> Stack:
    """What a stack's file reads as."""
    return stack_from(text.encode(), recipe.name, f"{recipe.name}.toml", registry.stack, registry.time_model)


def chip_of(recipe: Recipe, rows: Rows, registry: Registry) -> Chip:
    """The chip that was named, or the only one that the rows have.

    Raises:
        InferBenchError: The rows are of several.
    """
    if recipe.chip:
        return registry.chip(recipe.chip)
    names = sorted({registry.alias("chips", row.chip) for _, row in rows})
    if len(names) != 1:
        raise InferBenchError.at("--chip", f"rows of {', '.join(names)}", "name the one to fit")
    return registry.chip(names[0])


def files_of(paths: Sequence[str], used: Sequence[str]) -> tuple[FitFile, ...]:
    """The files of a fit.

    Args:
        paths: Where they are.
        used: Name of the file of every row that took part.
    """
    return tuple(file_of(path, used.count(Path(path).name)) for path in paths)
