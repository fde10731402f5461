"""A stack of few figures, drawn to its class, as TOML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs

from inferbench.calibration.outcome import files_of
from inferbench.calibration.recipe import Recipe
from inferbench.calibration.samples import Sample
from inferbench.calibration.text import files_lines, key_text, listed, part_lines, quoted, short
from inferbench.calibration.writing import Labels, head_lines
from inferbench.num import Array
from inferbench.records.fit import FitPart
from inferbench.records.measurement import DECODE, GENERATE, PREFILL

__all__ = ["Pooled", "figure_lines", "pooled_toml"]


@attrs.frozen(eq=False)
class Pooled:
    """The fit of some chips' software.

    Attributes:
        figures: Logarithms of five figures, as a prior has them.
        drawn_to: Name of the class.
        samples: Fitted.
        parts: By phase.
        error: MAPE in per cent, networks left out; NaN of one network.
        rest: Log standard error of a phase that no sample is of: the class's of prompts.
    """

    figures: Array
    drawn_to: str
    samples: tuple[Sample, ...]
    parts: Mapping[str, FitPart]
    error: float
    rest: float


def figure_lines(figures: Array) -> list[str]:
    """The five figures as tables of `[time]`.

    Args:
        figures: Their logarithms.
    """
    memory, compute, network, kernel, collective = (math.exp(value) for value in figures)
    lines = ["", "[time]", 'model = "roofline"']
    for name, value in (("memory", memory), ("compute", compute), ("network", network)):
        lines += ["", f"[time.efficiency.{name}]", f"default = {value:.3f}"]
    waits = [f'default = "{kernel * 1e6:.3g} us"', f'collective = "{collective * 1e6:.3g} us"']
    return [*lines, "", "[time.launch]", *waits]


def pooled_toml(found: Pooled, recipe: Recipe, labels: Labels | None, date: str) -> str:
    """Write the stack.

    Args:
        found: Fitted.
        recipe: That was asked for.
        labels: Title, note and citation; None: plain ones.
        date: When.
    """
    samples, chips = found.samples, listed_names([one.chip for one in found.samples])
    software = recipe.software or tuple(listed_names([one.software.split(" ")[0] for one in samples]))
    words = labels or Labels("")
    tables = ", ".join(listed_names([one.table for one in samples]))
    words = attrs.evolve(
        words,
        title=words.title or f"{' and '.join(software)} on {' and '.join(chips)}",
        cite=words.cite or f"inferbench-data, {tables}: each row has its source",
    )
    lines = head_lines(words, software, samples[0].architecture)
    lines += figure_lines(found.figures) + _domain(samples, chips) + _fit(found, recipe, date)
    return "\n".join(lines) + "\n"


def listed_names(names: Sequence[str]) -> list[str]:
    """Each name once, in their order."""
    return list(dict.fromkeys(names))


def _domain(samples: Sequence[Sample], chips: Sequence[str]) -> list[str]:
    counts = sorted({one.count for one in samples})
    seen = {one.phase for one in samples}
    phases = [*((DECODE, GENERATE) if DECODE in seen else ()), *((PREFILL,) if PREFILL in seen else ())]
    lines = ["", "[domain]", f"chips = {listed(map(quoted, chips))}", f"counts = [{counts[0]}, {counts[-1]}]"]
    lines += [f"precisions = {listed(map(quoted, listed_names([one.precision for one in samples])))}"]
    lines += [f"phases = {listed(map(quoted, phases))}", "", "[domain.axes]"]
    for axis in ("batch", "context"):
        values = [one.axes[axis] for one in samples]
        added = [one.axes.get("output", 0.0) if axis == "context" else 0.0 for one in samples]
        longest = [value + more for value, more in zip(values, added, strict=True)]
        lines.append(f"{axis} = [{short(min(values), 9)}, {short(max(longest), 9)}]")
    return lines


def _fit(found: Pooled, recipe: Recipe, date: str) -> list[str]:
    samples = found.samples
    networks = ", ".join(sorted({one.network for one in samples}))
    files = files_of(recipe.files, [f"{one.table}.csv" for one in samples])
    on = f"{len(samples)} published times of whole steps: {networks}"
    on += f"; drawn to {found.drawn_to} without these chips"
    rest = found.parts[PREFILL].log_error if PREFILL in found.parts else found.rest
    lines = ["", "[fit]", f"rows = {len(samples)}", f"on = {quoted(on)}", *files_lines("files", files)]
    lines += [f"command = {quoted(recipe.command)}", f"date = {quoted(date)}"]
    lines += [f"error = {found.error:.2f}"] if math.isfinite(found.error) else []
    lines += [f"step = {rest:.4f}"]
    if DECODE in found.parts:
        log_error = found.parts[DECODE].log_error
        lines += ["", "[fit.steps]", f"{DECODE} = {log_error:.4f}", f"{GENERATE} = {log_error:.4f}"]
    for name, part in found.parts.items():
        lines += ["", f"[fit.parts.{key_text(name)}]", *part_lines(part)]
    return lines
