"""Energies as TOML: those of a power model for whole steps, and those of kernels alone in a stack's file."""

from __future__ import annotations

from collections.abc import Mapping

from inferbench.calibration.kernel_power import KernelEnergies
from inferbench.calibration.power import PowerFit
from inferbench.calibration.text import files_lines, key_text, part_lines, quoted, short
from inferbench.calibration.writing import Labels, head_lines
from inferbench.records.fit import Fit
from inferbench.records.free import Free

__all__ = ["MARK", "kernel_energy_toml", "power_toml", "scaled"]

MARK = "# Energies of kernels alone in a loop, written by inferbench calibrate --power."
# Unit of a parameter to the one it is written in, how many of these it is, and the digits of a kernel's.
WRITTEN = {
    "W": ("W", 1.0, ".1f"),
    "J/OP": ("pJ/OP", 1e12, ".4f"),
    "J/B": ("pJ/B", 1e12, ".1f"),
    "J": ("nJ", 1e9, ".1f"),
}


def scaled(free: Free, value: float) -> str:
    """A value with its unit, in four digits.

    Example:
        >>> scaled(Free("op", 1e-12, 0.0, 1e-11, 0.0, "", unit="J/OP"), 6.9249e-13)
        '"0.6925 pJ/OP"'
    """
    unit, times, _ = WRITTEN[free.unit]
    return f'"{short(value * times)} {unit}"'


def power_toml(found: PowerFit, fit: Fit, chip: str, labels: Labels) -> str:
    """Write a stack of energies alone: in everything else it is what it is based on.

    Args:
        found: From `fit_power`.
        fit: Its record, with files and command.
        chip: Whose figures they are.
        labels: Title, note, citation, and the stack that it is based on.
    """
    lines = head_lines(labels, ())
    name = found.model.name
    tables: dict[str, list[str]] = {"": [f"chips = [{quoted(chip)}]"]}
    for free in found.frees:
        table, _, field = free.table.rpartition(".")
        tables.setdefault(table, []).append(f"{field} = {scaled(free, found.values[free.table])}")
    tables[""].append(f"log_error = {short(found.log_error)}")
    for table, entries in sorted(tables.items()):
        lines += ["", f"[power.{key_text(name)}{'.' + table if table else ''}]", *entries]
    return "\n".join([*lines, *_record(fit)]) + "\n"


def kernel_energy_toml(found: KernelEnergies, frees: Mapping[str, Free], fit: Fit) -> str:
    """The tables of energies of kernels, to stand at the end of a stack's file.

    Args:
        found: From `fit_kernel_energies`.
        frees: The parameters, by their tables.
        fit: The record of the fit.
    """
    lines = [MARK]
    for action, table in found.energies.items():
        unit, times, digits = WRITTEN[frees[action].unit]
        lines += ["", f"[kernel_energy.{key_text(action)}]"]
        lines += [f'{key_text(key)} = "{value * times:{digits}} {unit}"' for key, value in table.items()]
    lines += ["", "[fit.kernel_power]"]
    lines += [f"{key_text(key)} = {value:.4f}" for key, value in found.errors.items()]
    return "\n".join([*lines, *_record(fit)]) + "\n"


def _record(fit: Fit) -> list[str]:
    """The record of a fit of energies."""
    lines = ["", "[energy_fit]", f"rows = {fit.rows}", f"on = {quoted(fit.on)}"]
    lines += [
        *files_lines("files", fit.files),
        f"command = {quoted(fit.command)}",
        f"date = {quoted(fit.date)}",
    ]
    for name, part in fit.parts.items():
        lines += ["", f"[energy_fit.parts.{key_text(name)}]", *part_lines(part)]
    return lines
