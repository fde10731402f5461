"""A prior as a stack's TOML: five figures, what they were fitted on, and how chips left out came out."""

from __future__ import annotations

from collections.abc import Sequence

from inferbench.calibration.pooled_writing import figure_lines
from inferbench.calibration.priors import Prior
from inferbench.calibration.text import files_lines, quoted
from inferbench.records.fit import FitFile
from inferbench.records.measurement import DECODE, GENERATE

__all__ = ["prior_stack"]

# Phases of language models that run one token at a time; all others take the other figure.
STEPWISE = (DECODE, GENERATE)


def prior_stack(prior: Prior, title: str, files: Sequence[FitFile], command: str, date: str) -> str:
    """Write a prior as the TOML of a stack of grade `class`.

    Args:
        prior: Fitted.
        title: What the class is called.
        files: Of the samples.
        command: What fits them again.
        date: When.
    """
    rows = sum(one.rows for one in prior.effects.values())
    steps = "\n".join(f"{phase} = {prior.effects['decode'].log_error:.3f}" for phase in STEPWISE)
    told = f"What software reaches on an unmeasured chip of the class, from {len(prior.chips)} measured ones."
    figures = "\n".join(figure_lines(prior.figures))
    listed = "".join(f"{line}\n" for line in files_lines("files", files))
    return f'''title = "{title}"
grade = "class"
note = """{told}
Their intervals are set by chips left out."""
architectures = {_list((prior.architecture,))}
vendors = {_list((prior.vendor,))}
source = "fit"

[sources]
fit = {{ title = "Fitted to the tables of inferbench-data", basis = "estimate" }}
{figures}

[fit]
rows = {rows}
on = "published times of whole steps, rows beyond the roofline left out"
{listed}command = {quoted(command)}
date = "{date}"
step = {prior.effects["prefill"].log_error:.3f}

[fit.steps]
{steps}
{"".join(_part(prior, phase) for phase in prior.effects)}'''


def _list(names: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names if name) + "]"


def _part(prior: Prior, phase: str) -> str:
    """One phase: how its errors part."""
    one = prior.effects[phase]
    if not one.rows:
        return ""
    return f"""
[fit.parts.{phase}]
rows = {one.rows}
chips = {one.chips}
between = {one.between:.3f}
software = {one.software:.3f}
sd = {one.within:.3f}
log_error = {one.log_error:.3f}
"""
