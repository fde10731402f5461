"""Figures and words as they stand in a stack's TOML."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from inferbench.records.fit import FitFile, FitPart

__all__ = ["files_lines", "key_text", "listed", "part_lines", "quoted", "short"]


# Counts that are written even where they are 0.
_COUNTS = ("rows", "scored", "screened")


def short(value: float, digits: int = 4) -> str:
    """A number of few digits, never in a form that TOML or the units don't know.

    Example:
        >>> short(0.123456), short(12.0), short(float("nan"))
        ('0.1235', '12', 'nan')
    """
    if not math.isfinite(value):
        return "inf" if value > 0 else "nan"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.{digits}g}"


def listed(items: Iterable[str]) -> str:
    """A list of what is written already."""
    return f"[{', '.join(items)}]"


def quoted(value: str) -> str:
    """Text in quotes."""
    return json.dumps(value, ensure_ascii=False)


def key_text(name: str) -> str:
    """A key, in quotes where it has a dot.

    Example:
        >>> key_text("gemm"), key_text("gemm.fp8")
        ('gemm', '"gemm.fp8"')
    """
    return name if name.replace("_", "").isalnum() else quoted(name)


def files_lines(name: str, files: Iterable[FitFile]) -> list[str]:
    """The files of a fit as a list of tables under a key; nothing where there are none."""
    rows = [
        f"  {{ name = {quoted(file.name)}, rows = {file.rows}, sha256 = {quoted(file.sha256)} }},"
        for file in files
    ]
    return [f"{name} = [", *rows, "]"] if rows else []


def part_lines(part: FitPart) -> list[str]:
    """The fields of a part that are known. What the data could not fix is among the defaults alone."""
    lines = []
    for name, value in attrs.asdict(_fixed_by_data(part), recurse=False).items():
        if isinstance(value, Mapping):
            if value:
                lines.append(f"{name} = {{ {', '.join(f'{k} = {short(v)}' for k, v in value.items())} }}")
        elif isinstance(value, tuple):
            if value:
                lines.append(f"{name} = {listed(_item(one) for one in value)}")
        elif isinstance(value, int):
            lines += [f"{name} = {value}"] if value or name in _COUNTS else []
        elif math.isfinite(value):
            lines.append(f"{name} = {short(value)}")
    return lines


def _fixed_by_data(part: FitPart) -> FitPart:
    """A part without the parameters that have no deviation."""
    kept = [place for place, one in enumerate(part.deviations) if math.isfinite(one)]
    if len(kept) == len(part.deviations):
        return part
    return attrs.evolve(
        part,
        parameters=tuple(part.parameters[place] for place in kept),
        deviations=tuple(part.deviations[place] for place in kept),
        correlation=tuple(tuple(part.correlation[row][place] for place in kept) for row in kept),
    )


def _item(value: Any) -> str:
    if isinstance(value, tuple):
        return listed(short(one, 2) for one in value)
    return quoted(value) if isinstance(value, str) else short(value)
