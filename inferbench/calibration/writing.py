"""A calibration as the TOML file of a stack."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from inferbench.calibration.calibrate import Calibration
from inferbench.calibration.entries import entries
from inferbench.records.fit import FitPart
from inferbench.records.stack import TIMES

__all__ = ["Labels", "energy_toml", "stack_toml"]


@attrs.frozen
class Labels:
    """What a stack's file says beside figures.

    Attributes:
        title: One line.
        note: What a reader must know.
        based_on: Stack that fills in what was not fitted.
        cite, url: Who measured, and where it is published.
        software: Beginnings of the names by which measurements cite it.
        command: What fits it again.
    """

    title: str
    note: str = ""
    based_on: str = ""
    cite: str = ""
    url: str = ""
    software: tuple[str, ...] = ()
    command: str = ""


def stack_toml(found: Calibration, labels: Labels) -> str:
    """Write a fitted stack.

    Args:
        found: From `calibrate`.
        labels: Title, note, citation.

    Returns:
        TOML that `--stack` reads; figures are rounded to four digits, efficiencies never above 1.
    """
    lines = [f"title = {_text(labels.title)}"]
    for name in ("note", "based_on"):
        if getattr(labels, name):
            lines.append(f"{name} = {_text(getattr(labels, name))}")
    lines.append(f"architectures = [{_text(found.chip.architecture_type)}]")
    software = labels.software or found.software
    lines.append(f"software = {_list(_text(one) for one in software)}")
    lines += ["", "[sources]"]
    cite = labels.cite or f"rows of {', '.join(found.files)}"
    url = f"url = {_text(labels.url)}, " if labels.url else ""
    lines.append(f'data = {{ title = {_text(cite)}, {url}basis = "measured" }}')
    lines += _tables(found)
    lines += ["", "[domain]", f"chips = {_list(map(_text, found.domain.chips))}"]
    lines.append(f"precisions = {_list(map(_text, found.domain.precisions))}")
    for kind, box in found.domain.ops.items():
        lines += ["", f"[domain.ops.{_key(kind)}]"]
        lines += [f"{name} = [{_short(low)}, {_short(high)}]" for name, (low, high) in box.items()]
    return "\n".join([*lines, *_fit(found, labels.command)]) + "\n"


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
    kept, waiting, taken = list[str](), list[str](), False
    for line in text.splitlines():
        if line.startswith("["):
            taken = line.startswith(("[kernel_energy", "[fit.kernel_power"))
        if not line.strip() or line.startswith("#"):
            waiting.append(line)
            continue
        kept += [*waiting, line] if taken else []
        waiting = []
    return "\n" + "\n".join(kept).strip() + "\n" if kept else ""


def _tables(found: Calibration) -> list[str]:
    """A table per kind of parameter, an entry per kernel."""
    tables = entries(found.fits, found.base)
    lines = _tuning(found)
    for table in sorted(tables, key=lambda name: (not name.startswith("efficiency"), name)):
        head = ".".join(_key(part) for part in table.split(".", 1))
        lines += ["", f"[{head}]", *(f"{_key(key)} = {_value(table, x)}" for key, x in tables[table].items())]
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


def _value(table: str, value: float) -> str:
    if math.isinf(value):
        return "inf"
    if table == "tail" and value < 0:
        return '"none"'
    if table == "ramp_bytes" and value == 0:
        return '"1 B"'
    if table in TIMES:
        if value == 0:
            return '"0 s"'
        for unit, size in (("us", 1e-6), ("ns", 1e-9), ("ps", 1e-12)):
            if value >= 0.1 * size or unit == "ps":
                return f'"{value / size:.4g} {unit}"'
    if table == "ramp_bytes":
        return f'"{value / 1e6:.4g} MB"'
    return f"{min(value, 1.0):.4g}" if table.startswith("efficiency") else f"{value:.4g}"


def _fit(found: Calibration, command: str) -> list[str]:
    fit = found.fit
    lines = ["", "[fit]", f"rows = {fit.rows}", f"on = {_text(fit.on)}"]
    lines += [f"command = {_text(command)}"] if command else []
    lines += [f"date = {_text(fit.date)}"]
    lines += [f"error = {_short(fit.error)}"] if math.isfinite(fit.error) else []
    lines += [f"kernel = {_short(fit.kernel)}", "", "[fit.kernels]"]
    lines += [f"{_key(name)} = {_short(value)}" for name, value in fit.kernels.items()]
    for key, part in fit.parts.items():
        lines += ["", f"[fit.parts.{_key(key)}]", *_part(part)]
    return lines


def _part(part: FitPart) -> list[str]:
    lines = []
    for name, value in attrs.asdict(part, recurse=False).items():
        if isinstance(value, Mapping):
            if value:
                lines.append(f"{name} = {{ {', '.join(f'{k} = {_short(v)}' for k, v in value.items())} }}")
        elif isinstance(value, tuple):
            if value:
                lines.append(f"{name} = {_list(_item(one) for one in value)}")
        elif isinstance(value, int) or math.isfinite(value):
            lines.append(f"{name} = {_short(value)}")
    return lines


def _item(value: Any) -> str:
    if isinstance(value, tuple):
        return _list(_short(one, 2) for one in value)
    return _text(value) if isinstance(value, str) else _short(value)


def _short(value: float, digits: int = 4) -> str:
    """A number of few digits, never in a form that TOML or the units don't know."""
    if not math.isfinite(value):
        return "inf" if value > 0 else "nan"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.{digits}g}"


def _list(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() else _text(name)
