"""One way to every fit: a recipe in, the stack that it gives out, with what was fitted and how well."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from inferbench.calibration.calibrate import Calibration, calibrate, file_of
from inferbench.calibration.forms import SHARE, step_form
from inferbench.calibration.lines import lines_of
from inferbench.calibration.recipe import Recipe
from inferbench.calibration.step_writing import step_domain, step_toml
from inferbench.calibration.steps import StepFit, fit_step
from inferbench.calibration.writing import Labels, stack_toml
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import read_rows
from inferbench.records.chip import Chip
from inferbench.records.fit import Fit, FitFile
from inferbench.records.measurement import Measurement
from inferbench.records.stack import Stack
from inferbench.specs.assemble_stack import stack_from

__all__ = ["FittedStack", "Parameter", "fit_recipe"]

Progress = Callable[[str], None]
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
    deviation: float = float("nan")


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

    @property
    def fit(self) -> Fit:
        """The record of the fit."""
        return self.stack.fit

    def to_dict(self) -> dict[str, Any]:
        """Plain data; None where a figure isn't known."""
        found = {
            "chip": self.chip.name,
            "stack": self.recipe.stack,
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


def fit_recipe(
    recipe: Recipe,
    registry: Registry,
    labels: Labels | None = None,
    progress: Progress | None = None,
) -> FittedStack:
    """Fit what a recipe says.

    Args:
        recipe: Files, chip and what to fit.
        registry: Of plugins.
        labels: Words of the stack's file; None: plain ones.
        progress: Told what is fitted before it is.

    Returns:
        The stack as a file and as a record, with what was fitted.

    Raises:
        InferBenchError: No file, chip or row; too few rows; SciPy is missing.
    """
    if not recipe.files:
        raise InferBenchError.at(
            "calibrate", "no file to fit", "give files of measurements, or --shipped STACK"
        )
    recipe = attrs.evolve(recipe, stack=recipe.stack or "mine")
    doing = {"kernels": _kernels, "serving": _serving}
    return doing[recipe.kind](recipe, registry, labels, progress)


def _kernels(
    recipe: Recipe, registry: Registry, labels: Labels | None, progress: Progress | None
) -> FittedStack:
    if not recipe.chip:
        raise InferBenchError.at("--chip", "kernels are fitted on one chip", "name it, as in --chip h100-sxm")
    chip = registry.chip(recipe.chip)
    tuning = registry.stack(recipe.tuning).tuning.get(chip.architecture_type) if recipe.tuning else None
    found = calibrate(
        recipe.files,
        chip,
        registry,
        software=recipe.software,
        spellings=recipe.precisions,
        kinds=recipe.kinds,
        tuning=tuning,
        base=registry.stack(recipe.based_on) if recipe.based_on else None,
        progress=progress,
    )
    words = _labels(labels, recipe, f"{recipe.stack}: kernels on {chip.title}")
    text = stack_toml(found, words)
    parameters = tuple(
        Parameter(f"{one.kernel.key} {free.path}", value, free.unit, deviation)
        for one in found.fits
        for free, value, deviation in zip(one.frees, one.values, one.part.deviations, strict=True)
    )
    stack = _read(text, recipe, registry)
    return FittedStack(recipe, chip, text, stack, parameters, found.left, found.warnings, kernels=found)


def _labels(labels: Labels | None, recipe: Recipe, title: str) -> Labels:
    """The words of a file, with what the recipe says filled in."""
    words = labels or Labels("")
    return attrs.evolve(
        words,
        title=words.title or title,
        based_on=recipe.based_on,
        software=words.software or recipe.software,
        command=recipe.command,
    )


def _read(text: str, recipe: Recipe, registry: Registry) -> Stack:
    return stack_from(text.encode(), recipe.stack, f"{recipe.stack}.toml", registry.stack)


def _serving(
    recipe: Recipe, registry: Registry, labels: Labels | None, progress: Progress | None
) -> FittedStack:
    if not recipe.based_on:
        raise InferBenchError.at(
            "--based-on",
            "steps are fitted on top of a stack of kernels, and none is named",
            "name one, as in --based-on trtllm-1.3",
        )
    frees = step_form(recipe.free)
    rows = [(Path(file).name, row) for file in recipe.files for row in read_rows(file, registry)]
    chip = _the_chip(recipe, rows, registry)
    recipe = attrs.evolve(recipe, chip=chip.name)
    if progress is not None:
        progress(f"steps on {chip.name}")
    stacks = {chip.name: recipe.based_on, **recipe.pool}
    lines, left = lines_of(rows, stacks, recipe.software, SHARE in frees, registry)
    software = _one_software([line.software for line in lines if line.chip == chip.name], recipe)
    recipe = attrs.evolve(recipe, software=software)
    found = fit_step(chip.name, lines, frees)
    base = registry.stack(recipe.based_on)
    words = _labels(labels, recipe, f"{' and '.join(software)} on {chip.title}")
    fit = _record(found, recipe, base, words)
    text = step_toml(found, fit, step_domain(found.lines, recipe.phases), words)
    parameters = tuple(Parameter(free.path, found.values[free.path], free.unit) for free in frees)
    doubts = _doubts(found)
    return FittedStack(
        recipe, chip, text, _read(text, recipe, registry), parameters, left, doubts, steps=found
    )


def _the_chip(recipe: Recipe, rows: Rows, registry: Registry) -> Chip:
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


def _one_software(names: Sequence[str], recipe: Recipe) -> tuple[str, ...]:
    """What the rows say of software, where the recipe says nothing.

    Raises:
        InferBenchError: No row, or rows of several.
    """
    found = tuple(dict.fromkeys(names))
    if not found:
        raise InferBenchError.at(
            "--serving",
            f"no row of {recipe.chip} can be fitted",
            "inferbench validate FILE says of each row why",
        )
    if not recipe.software and len(found) > 1:
        raise InferBenchError.at(
            "--software", f"measured under {', '.join(found)}", f"choose one, as in --software '{found[0]}'"
        )
    return recipe.software or found


def _record(found: StepFit, recipe: Recipe, base: Stack, labels: Labels) -> Fit:
    """The record of the fit. A step's error has that of its kernels in it: these get none."""
    networks = ", ".join(sorted({line.network for line in found.lines}))
    return Fit(
        rows=len(found.lines),
        on=f"{labels.cite + ': ' if labels.cite else ''}{len(found.lines)} rows of {recipe.chip} under "
        f"{', '.join(recipe.software)}: {networks}",
        files=_files(recipe.files, [line.file for line in found.lines]),
        command=recipe.command,
        date=datetime.date.today().isoformat(),
        error=found.error,
        kernels={name: 0.0 for name in base.fit.kernels if not name.startswith("collective")},
        step=found.step,
        power=found.power,
        energy=found.energy,
        parts=found.parts,
    )


def _files(paths: Sequence[str], used: Sequence[str]) -> tuple[FitFile, ...]:
    return tuple(file_of(path, used.count(Path(path).name)) for path in paths)


def _doubts(found: StepFit) -> tuple[str, ...]:
    """What makes one doubt a fit of steps."""
    networks = {line.network for line in found.lines}
    doubts = []
    if len(networks) < 2:
        doubts.append(
            f"all rows are of {next(iter(networks))}: how far other networks are off is not known, and the"
            " error is that of rows left out"
        )
    doubts += [
        f"{free.path} ends at {found.values[free.path]:.3g}, the end of its range: the data can't fix it"
        for free in found.frees
        if free.ticks and found.values[free.path] in (free.low, free.high)
    ]
    return tuple(doubts)
