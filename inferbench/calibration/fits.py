"""One way to every fit: a recipe in, the stack that it gives out, with what was fitted and how well."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from inferbench.calibration.calibrate import calibrate
from inferbench.calibration.energies import energies_of
from inferbench.calibration.forms import SHARE, step_form
from inferbench.calibration.lines import lines_of
from inferbench.calibration.outcome import (
    FittedStack,
    Parameter,
    chip_of,
    files_of,
    labels_of,
    stack_of,
)
from inferbench.calibration.pooled import pooled_stack
from inferbench.calibration.recipe import Recipe
from inferbench.calibration.step_writing import step_domain, step_toml
from inferbench.calibration.steps import StepFit, fit_step
from inferbench.calibration.writing import Labels, stack_toml
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import read_rows
from inferbench.records.fit import Fit
from inferbench.records.measurement import Measurement
from inferbench.records.stack import Stack

__all__ = ["FittedStack", "fit_recipe"]

Progress = Callable[[str], None]
Rows = Sequence[tuple[str, Measurement]]


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
    recipe = attrs.evolve(recipe, stack=recipe.name)
    doing = {"kernels": _kernels, "serving": _serving, "power": energies_of, "class": pooled_stack}
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
        without=recipe.without,
        tuning=tuning,
        base=registry.stack(recipe.based_on) if recipe.based_on else None,
        progress=progress,
    )
    words = labels_of(labels, recipe, f"{recipe.name}: kernels on {chip.title}")
    text = stack_toml(found, words)
    parameters = tuple(
        Parameter(f"{one.kernel.key} {free.path}", value, free.unit, deviation)
        for one in found.fits
        for free, value, deviation in zip(one.frees, one.values, one.part.deviations, strict=True)
    )
    stack = stack_of(text, recipe, registry)
    return FittedStack(recipe, chip, text, stack, parameters, found.left, found.warnings, kernels=found)


def _serving(
    recipe: Recipe, registry: Registry, labels: Labels | None, progress: Progress | None
) -> FittedStack:
    if not recipe.based_on:
        raise InferBenchError.at(
            "--based-on",
            "steps are fitted on top of a stack of kernels, and none is named",
            "name one, as in --based-on trtllm-1.3",
        )
    kernels, frees = recipe.based_on, step_form(recipe.free)
    rows = [(Path(file).name, row) for file in recipe.files for row in read_rows(file, registry)]
    chip = chip_of(recipe, rows, registry)
    recipe = attrs.evolve(recipe, chip=chip.name)
    if progress is not None:
        progress(f"steps on {chip.name}")
    base = registry.stack(kernels)
    stacks = {chip.name: kernels, **recipe.pool, **recipe.join}
    for network in recipe.networks:
        registry.network(network)
    lines, left = lines_of(rows, stacks, recipe.software, SHARE in frees, registry, recipe.networks)
    software = _one_software([line.software for line in lines if line.chip == chip.name], recipe)
    recipe = attrs.evolve(recipe, software=software)
    found = fit_step(chip.name, lines, frees, tuple(recipe.join))
    words = labels_of(labels, recipe, f"{' and '.join(software)} on {chip.title}")
    fit = _record(found, recipe, base, words)
    own = [line for line in found.lines if line.chip == chip.name]
    text = step_toml(found, fit, step_domain(own, recipe.phases, found.widening), words)
    parameters = tuple(Parameter(free.path, found.values[free.path], free.unit) for free in frees)
    doubts = _doubts(found)
    return FittedStack(
        recipe, chip, text, stack_of(text, recipe, registry), parameters, left, doubts, steps=found
    )


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
        on=f"{labels.cite + ': ' if labels.cite else ''}{len(found.lines)} rows of"
        f" {', '.join(dict.fromkeys([str(recipe.chip), *recipe.join]))} under "
        f"{', '.join(recipe.software)}: {networks}",
        files=files_of(recipe.files, [line.file for line in found.lines]),
        command=recipe.command,
        date=datetime.date.today().isoformat(),
        error=found.error,
        kernels={name: 0.0 for name in base.fit.kernels if not name.startswith("collective")},
        step=found.step,
        power=found.power,
        energy=found.energy,
        parts=found.parts,
    )


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
