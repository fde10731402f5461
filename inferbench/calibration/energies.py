"""A recipe of power: energies of whole steps by a power model, or of kernels alone for a stack."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from inferbench.calibration.kernel_power import KernelEnergies, fit_kernel_energies
from inferbench.calibration.outcome import (
    FittedStack,
    Parameter,
    Rows,
    chip_of,
    files_of,
    labels_of,
    stack_of,
)
from inferbench.calibration.power import declared, fit_power, readings_of
from inferbench.calibration.power_writing import kernel_energy_toml, power_toml
from inferbench.calibration.recipe import Recipe
from inferbench.calibration.writing import Labels, head_lines
from inferbench.discovery.registry import Registry
from inferbench.evidence.matching import read_rows
from inferbench.records.chip import Chip
from inferbench.records.fit import Fit, FitFile

__all__ = ["energies_of"]

IDEAL = "ideal"


def energies_of(
    recipe: Recipe, registry: Registry, labels: Labels | None, progress: Callable[[str], None] | None
) -> FittedStack:
    """Fit energies to readings of power: of single kernels where a row is of one, else of whole steps.

    Args:
        recipe: With files, chip, and the stack that the energies are for.
        registry: Of plugins.
        labels: Words of the file.
        progress: Told what is fitted before it is.
    """
    rows = [(Path(file).name, row) for file in recipe.files for row in read_rows(file, registry)]
    chip = chip_of(recipe, rows, registry)
    recipe = attrs.evolve(recipe, chip=chip.name)
    if progress is not None:
        progress(f"energies on {chip.name}")
    words = labels_of(labels, recipe, f"Energies on {chip.title}")
    doing = _of_kernels if any(row.op for _, row in rows) else _of_steps
    return doing(recipe, rows, chip, registry, words)


def _of_steps(recipe: Recipe, rows: Rows, chip: Chip, registry: Registry, labels: Labels) -> FittedStack:
    chips = [chip.name, *recipe.pool]
    stack = recipe.based_on or IDEAL
    readings, left = readings_of(rows, chips, recipe.software, stack, registry, recipe.precisions)
    found = fit_power(chip, readings, registry)
    networks = sorted({reading.network for reading in found.readings})
    files = files_of(recipe.files, [reading.file for reading in found.readings])
    on = f"{len(found.readings)} readings of {chip.name}: {', '.join(networks)}"
    fit = _record(recipe, len(found.readings), on, files, found.error)
    fit = attrs.evolve(fit, parts={"power": found.part})
    text = power_toml(found, fit, chip.name, labels)
    parameters = tuple(Parameter(free.table, found.values[free.table], free.unit) for free in found.frees)
    parameters = (*parameters, Parameter("log_error", found.log_error))
    doubts = (
        ()
        if len(networks) > 1
        else (f"all readings are of {networks[0]}: how far other networks are off is not known",)
    )
    return FittedStack(recipe, chip, text, stack_of(text, recipe, registry), parameters, left, doubts)


def _record(recipe: Recipe, rows: int, on: str, files: Sequence[FitFile], error: float) -> Fit:
    today = datetime.date.today().isoformat()
    return Fit(rows=rows, on=on, files=tuple(files), command=recipe.command, date=today, error=error)


def _of_kernels(recipe: Recipe, rows: Rows, chip: Chip, registry: Registry, labels: Labels) -> FittedStack:
    frees = declared(chip, registry, alone=True)[1]
    found = fit_kernel_energies(rows, chip, registry, frees, recipe.software, recipe.precisions, recipe.kinds)
    used = [name for name, count in found.files.items() for _ in range(count)]
    on = f"{len(used)} readings of kernels alone on {chip.name}"
    fit = _record(recipe, len(used), on, files_of(recipe.files, used), float("nan"))
    fit = attrs.evolve(fit, parts=found.parts)
    head = "\n".join(head_lines(labels, ())) + f'\n\n[domain]\nchips = ["{chip.name}"]\n\n'
    tail = kernel_energy_toml(found, {free.table: free for free in frees}, fit)
    text = head + tail
    parameters = _parameters(found)
    stack = stack_of(text, recipe, registry)
    return FittedStack(recipe, chip, text, stack, parameters, found.left, energies=tail)


def _parameters(found: KernelEnergies) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(f"{key} {action}", value, "W" if action == "baseline" else "J")
        for action, table in found.energies.items()
        for key, value in table.items()
    )
