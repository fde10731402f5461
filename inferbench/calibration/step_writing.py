"""What whole steps fixed, as the TOML file of a stack."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from inferbench.calibration.kernels import PLAIN
from inferbench.calibration.line import Line
from inferbench.calibration.steps import StepFit
from inferbench.calibration.text import files_lines, key_text, listed, part_lines, quoted, short
from inferbench.calibration.writing import Labels, head_lines
from inferbench.records.fit import Domain, Fit
from inferbench.records.free import Free

__all__ = ["step_domain", "step_toml"]

# Digits of what is written, beyond which the rows say nothing.
MICROSECONDS = {
    "host.step": ".1f",
    "host.sequence": ".2f",
    "host.kernel": ".2f",
    "host.gap": ".3f",
    "host.exchange": ".3f",
    "host.eager": ".3f",
}
SHARES = {"efficiency.memory": ".3f", "energy.ops": ".2f"}
DIGITS = {"error": ".2f", "step": ".4f", "power": ".4f", "energy": ".4f"}


def step_toml(found: StepFit, fit: Fit, domain: Domain, labels: Labels) -> str:
    """Write a stack that adds to its kernels what whole steps showed.

    Args:
        found: From `fit_step`.
        fit: Its record, with files and command.
        domain: From `step_domain`.
        labels: Title, note, citation, and the stack of the kernels.

    Returns:
        TOML that `--stack` reads.
    """
    lines = head_lines(labels, labels.software)
    lines += _values(found.frees, found.values)
    lines += _domain(domain)
    lines += ["", "[fit]", f"rows = {fit.rows}", f"on = {quoted(fit.on)}", *files_lines("files", fit.files)]
    lines += [f"command = {quoted(fit.command)}"] if fit.command else []
    lines += [f"date = {quoted(fit.date)}"]
    for name, digits in DIGITS.items():
        value = getattr(fit, name)
        lines += [f"{name} = {value:{digits}}"] if math.isfinite(value) else []
    if fit.kernels:
        lines += ["", "[fit.kernels]"]
        lines += [f"{key_text(name)} = {short(value)}" for name, value in fit.kernels.items()]
    for name, part in fit.parts.items():
        lines += ["", f"[fit.parts.{key_text(name)}]", *part_lines(part)]
    return "\n".join(lines) + "\n"


def _values(frees: Sequence[Free], values: Mapping[str, float]) -> list[str]:
    """A table per owner of parameters."""
    tables: dict[str, list[str]] = {}
    for free in frees:
        table, _, name = free.table.rpartition(".")
        value = values[free.path]
        if free.table in MICROSECONDS:
            tables.setdefault(table, []).append(f'{name} = "{value * 1e6:{MICROSECONDS[free.table]}} us"')
        elif free.of:
            tables.setdefault(f"time.{free.table}", []).append(f"{free.of} = {value:{SHARES[free.table]}}")
        else:
            tables.setdefault(table, []).append(f"{name} = {value:{SHARES[free.table]}}")
    return [line for table, entries in tables.items() for line in ("", f"[{table}]", *entries)]


def _domain(domain: Domain) -> list[str]:
    lines = ["", "[domain]", f"chips = {listed(map(quoted, domain.chips))}"]
    lines += [f"counts = {listed(short(count) for count in domain.counts)}"]
    lines += [f"precisions = {listed(map(quoted, domain.precisions))}"]
    lines += [f"phases = {listed(map(quoted, domain.phases))}"]
    lines += ["loaded = true"] if domain.loaded else []
    lines += ["", "[domain.axes]"]
    lines += [f"{name} = [{short(low, 9)}, {short(high, 9)}]" for name, (low, high) in domain.axes.items()]
    if domain.widening:
        lines += ["", "[domain.widening]"]
        lines += [f"{name} = [{low:.3f}, {high:.3f}]" for name, (low, high) in domain.widening.items()]
    for kind, box in domain.ops.items():
        lines += ["", f"[domain.ops.{key_text(kind)}]"]
        lines += [f"{name} = [{short(low)}, {short(high)}]" for name, (low, high) in box.items()]
    return lines


def step_domain(
    lines: Sequence[Line],
    phases: Sequence[str] = (),
    widening: Mapping[str, tuple[float, float]] | None = None,
) -> Domain:
    """The box in which some lines of one chip lie.

    Args:
        lines: What was fitted.
        phases: Of the stack; none: those of the lines.
        widening: Log standard errors per doubling below and above an axis.
    """
    axes: dict[str, tuple[float, float]] = {}
    groups: dict[str, dict[str, tuple[float, float]]] = {}
    for line in lines:
        for name, value in line.axes.items():
            # What is generated is held beside the prompt in the end.
            more = line.axes.get("output", 0.0) if name == "context" else 0.0
            low, high = axes.get(name, (value, value))
            axes[name] = (min(low, value), max(high, value + more))
        for kind, value in line.groups.items():
            low, high = groups.setdefault(kind, {}).get("group", (value, value))
            groups[kind]["group"] = (min(low, value), max(high, value))
    seen = dict.fromkeys(line.precision for line in lines)
    precisions = (*(PLAIN if any(one in PLAIN for one in seen) else ()), *(p for p in seen if p not in PLAIN))
    counts = sorted({line.chips for line in lines})
    return Domain(
        chips=tuple(dict.fromkeys(line.chip for line in lines)),
        counts=(counts[0], counts[-1]),
        precisions=precisions,
        phases=tuple(phases) or tuple(dict.fromkeys(line.phase for line in lines)),
        axes=axes,
        ops=groups,
        widening=dict(widening or {}),
        loaded=any(not math.isnan(line.together) for line in lines),
    )
