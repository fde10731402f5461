"""A calibration as the TOML file of a stack."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import attrs

from inferbench.calibration.calibrate import Calibration
from inferbench.calibration.entries import entries
from inferbench.calibration.text import files_lines, key_text, listed, part_lines, quoted, short
from inferbench.records.kernel_tables import ByKernel

__all__ = ["Labels", "energy_toml", "head_lines", "scheduler_toml", "stack_toml", "without_energies"]


@attrs.frozen
class Labels:
    """What a stack's file says beside figures.

    Attributes:
        title: One line.
        note: What a reader must know.
        based_on: Stack that fills in what was not fitted; None: no other.
        block_scales_of: Stack whose place it takes where weights have a scale per block.
        cite, url: Who measured, and where it is published.
        software: Beginnings of the names by which measurements cite it.
        command: What fits it again.
        family: Of its software.
        versions: Oldest and newest; empty: nothing is said of them.
    """

    title: str
    note: str = ""
    based_on: str | None = None
    cite: str = ""
    url: str = ""
    software: tuple[str, ...] = ()
    command: str = ""
    family: str = ""
    versions: tuple[str, ...] = ()
    block_scales_of: str = ""


def stack_toml(found: Calibration, labels: Labels) -> str:
    """Write a fitted stack.

    Args:
        found: From `calibrate`.
        labels: Title, note, citation.

    Returns:
        TOML that `--stack` reads; figures are rounded to four digits, efficiencies never above 1.
    """
    cite = labels.cite or f"rows of {', '.join(file.name for file in found.files)}"
    software = labels.software or found.software
    lines = head_lines(attrs.evolve(labels, cite=cite), software, found.chip.architecture_type)
    lines += _tables(found)
    lines += ["", "[domain]", f"chips = {listed(map(quoted, found.domain.chips))}"]
    lines.append(f"precisions = {listed(map(quoted, found.domain.precisions))}")
    for kind, box in found.domain.ops.items():
        lines += ["", f"[domain.ops.{key_text(kind)}]"]
        lines += [f"{name} = [{short(low)}, {short(high)}]" for name, (low, high) in box.items()]
    return "\n".join([*lines, *_fit(found, labels.command)]) + "\n"


def head_lines(labels: Labels, software: Sequence[str], architecture: str = "") -> list[str]:
    """The beginning of a stack's file: all that is words.

    Args:
        labels: What it says.
        software: Beginnings of the names by which measurements cite it.
        architecture: The only one that it is for; empty: as what it is based on.
    """
    lines = [f"title = {quoted(labels.title)}"]
    for name in ("note", "based_on", "block_scales_of"):
        if getattr(labels, name):
            lines.append(f"{name} = {quoted(getattr(labels, name))}")
    lines += [f"architectures = [{quoted(architecture)}]"] if architecture else []
    lines += [f"software = {listed(map(quoted, software))}"] if software else []
    lines += [f"versions = {listed(map(quoted, labels.versions))}"] if labels.versions else []
    lines += [f"family = {quoted(labels.family)}"] if labels.family else []
    if labels.cite:
        url = f"url = {quoted(labels.url)}, " if labels.url else ""
        lines += ["", "[sources]", f'data = {{ title = {quoted(labels.cite)}, {url}basis = "measured" }}']
    return lines


_ENERGIES = ("[kernel_energy", "[fit.kernel_power", "[energy_fit")


def energy_toml(text: str) -> str:
    """The energies of kernels in a stack's file, to stand at the end of another as they are; empty where it
    has none.

    Args:
        text: The file: its tables `kernel_energy` and `fit.kernel_power` with the comments before them are
            taken.

    Example:
        >>> print(energy_toml('title = "S"\\n[kernel_energy.ops]\\ngemm = "0.5 pJ/OP"').strip())
        [kernel_energy.ops]
        gemm = "0.5 pJ/OP"
    """
    return _tables_of(text, _ENERGIES)


def scheduler_toml(text: str) -> str:
    """How a stack's file says that its engine takes requests, to stand in another as it is; empty where it
    says nothing.

    Args:
        text: The file: its table `scheduler` with the comments before it is taken.

    Example:
        >>> print(scheduler_toml('title = "S"\\n[scheduler]\\nchunk = 2048').strip())
        [scheduler]
        chunk = 2048
    """
    return _tables_of(text, ("[scheduler]",))


def _tables_of(text: str, heads: tuple[str, ...]) -> str:
    """The tables whose heads begin so, each with the comments before it."""
    kept, waiting, taken = list[str](), list[str](), False
    for line in text.splitlines():
        if line.startswith("["):
            taken = line.startswith(heads)
        if not line.strip() or line.startswith("#"):
            waiting.append(line)
            continue
        kept += [*waiting, line] if taken else []
        waiting = []
    return "\n" + "\n".join(kept).strip() + "\n" if kept else ""


def without_energies(text: str) -> str:
    """A stack's file without the energies of kernels, to be followed by others."""
    kept, waiting, taken = list[str](), list[str](), True
    for line in text.splitlines():
        if line.startswith("["):
            taken = not line.startswith(_ENERGIES)
        if not line.strip() or line.startswith("#"):
            waiting.append(line)
            continue
        kept += [*waiting, line] if taken else []
        waiting = []
    return "\n".join(kept).strip() + "\n\n"


def _tables(found: Calibration) -> list[str]:
    """The time model, and a table per kind of parameter with an entry per kernel."""
    tables = entries(found.fits, found.base)
    model = found.fits[0].kernel.model
    lines = [*_tuning(found), "", "[time]", f"model = {quoted(model.name)}"]
    for table in sorted(tables, key=lambda name: (not name.startswith("efficiency"), name)):
        head, mark = ".".join(key_text(part) for part in table.split(".", 1)), model.mark(table)
        assert mark is not None
        lines += [
            "",
            f"[time.{head}]",
            *(f"{key_text(key)} = {_value(mark, x)}" for key, x in tables[table].items()),
        ]
    return lines


def _tuning(found: Calibration) -> list[str]:
    """The tuning as given, and over it what was fitted of it."""
    if not found.tuning:
        return []
    values: dict[str, Any] = dict(found.tuning)
    for fitted in found.fits:
        values |= {name: float(f"{value:.4g}") for name, value in fitted.tuned.items()}
    return [
        "",
        f"[tuning.{found.chip.architecture_type}]",
        *(f"{k} = {json.dumps(v)}" for k, v in values.items()),
    ]


# Prefixes in which figures of a unit are written, each from a tenth on.
_PREFIXES = {"s": (("us", 1e-6), ("ns", 1e-9), ("ps", 1e-12)), "B": (("MB", 1e6),)}


def _value(mark: ByKernel, value: float | None) -> str:
    """An entry in four digits, never beyond what is allowed."""
    if value is None:
        return "false"
    unit = mark.unit
    if unit.symbol and value == 0:
        return f'"0 {unit.symbol}"'
    for prefix, size in _PREFIXES.get(unit.symbol, ()):
        if value >= 0.1 * size or prefix in ("ps", "MB"):
            return f'"{value / size:.4g} {prefix}"'
    return "inf" if math.isinf(value) else f"{min(value, unit.top):.4g}{unit.symbol}"


def _fit(found: Calibration, command: str) -> list[str]:
    fit = found.fit
    lines = ["", "[fit]", f"rows = {fit.rows}", f"on = {quoted(fit.on)}"]
    lines += files_lines("files", fit.files)
    lines += [f"command = {quoted(command)}"] if command else []
    lines += [f"date = {quoted(fit.date)}"]
    lines += [f"error = {short(fit.error)}"] if math.isfinite(fit.error) else []
    lines += [f"kernel = {short(fit.kernel)}", "", "[fit.kernels]"]
    lines += [f"{key_text(name)} = {short(value)}" for name, value in fit.kernels.items()]
    for key, part in fit.parts.items():
        lines += ["", f"[fit.parts.{key_text(key)}]", *part_lines(part)]
    return lines
