"""A prior as a stack's TOML: five figures, what they were fitted on, and how chips left out came out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from inferbench.calibration.priors import LeftOut, Prior
from inferbench.records.measurement import DECODE, GENERATE

__all__ = ["stack_text"]

# Phases of language models that run one token at a time; all others take the other figure.
STEPWISE = (DECODE, GENERATE)


def stack_text(prior: Prior, title: str, missed: Sequence[LeftOut], on: str, command: str, date: str) -> str:
    """Write a prior as the TOML of a stack of grade `class`.

    Args:
        prior: Fitted.
        title: What the class is called.
        missed: Samples that the prior's class would have been asked for, their chip left out.
        on: What the samples are of.
        command: What fits them again.
        date: When.
    """
    memory, compute, network, kernel, collective = (math.exp(value) for value in prior.figures)
    rows = sum(one.rows for one in prior.effects.values())
    steps = "\n".join(f"{phase} = {prior.effects['decode'].spread:.3f}" for phase in STEPWISE)
    told = f"What software reaches on an unmeasured chip of the class, from {len(prior.chips)} measured ones."
    return f'''title = "{title}"
grade = "class"
note = """{told}
Written by {command}."""
architectures = {_list((prior.architecture,))}
vendors = {_list((prior.vendor,))}
source = "fit"

[sources]
fit = {{ title = "Fitted to the tables of inferbench-data: {command}", basis = "estimate" }}

[time]
model = "roofline"

[time.efficiency.memory]
default = {memory:.3f}

[time.efficiency.compute]
default = {compute:.3f}

[time.efficiency.network]
default = {network:.3f}

[time.launch]
default = "{kernel * 1e6:.3g} us"
collective = "{collective * 1e6:.3g} us"

[fit]
rows = {rows}
on = "{on}"
command = "{command}"
date = "{date}"
step = {prior.effects["prefill"].spread:.3f}

[fit.steps]
{steps}
{"".join(_part(prior, phase, missed) for phase in prior.effects)}'''


def _list(names: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names if name) + "]"


def _part(prior: Prior, phase: str, missed: Sequence[LeftOut]) -> str:
    """One phase: how its errors part, and the share of left-out rows in their intervals."""
    one = prior.effects[phase]
    seen = [left.covered for left in missed if left.sample.phase == phase and left.prior == prior.name]
    if not one.rows:
        return ""
    coverage = f"\ncoverage = {sum(seen) / len(seen):.3f}" if seen else ""
    return f"""
[fit.parts.{phase}]
rows = {one.rows}
scored = {len(seen)}
chips = {one.chips}
between = {one.between:.3f}
software = {one.software:.3f}
sd = {one.within:.3f}
spread = {one.spread:.3f}{coverage}
"""
