"""Write the page of how priors of classes, and stacks that are drawn to them, came out on what was left out.

    python tools/priors_page.py [--check]

The stacks themselves are fitted by `inferbench calibrate --class`. `--check` writes nothing and fails if the
page is stale.
"""

from __future__ import annotations

import math
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import inferbench as ib
from inferbench.calibration.priors import LeftOut, Prior, left_out, priors
from inferbench.calibration.published_times import samples_of
from inferbench.calibration.samples import Sample

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/results/priors.md"
TABLES = (
    "other_vendors",
    "aws_neuron",
    "nvidia_multichip",
    "dataflow_published",
    "serving_current",
    "serving",
    "splitwise_a100",
    "llm_end_to_end",
)


def samples(known: ib.Registry, every: int = 1) -> tuple[list[Sample], Counter[str]]:
    """Samples of the shipped tables, or every so-manieth of a chip and software; why rows were left out."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(known.get("tables", name).write(Path(folder))) for name in TABLES]
        return samples_of(files, known, every)


def drawn(known: ib.Registry) -> list[ib.Stack]:
    """Stacks of chips that were drawn to a class."""
    return [one for one in known.stacks() if "--class" in shlex.split(one.fit.command) and not one.grade]


def share(some: Sequence[LeftOut]) -> str:
    """Share of the rows in their intervals, the same with every chip weighing alike, and how many."""
    chips = sorted({one.sample.chip for one in some})
    each = [np.mean([one.covered for one in some if one.sample.chip == chip]) for chip in chips]
    return (
        f"{np.mean([one.covered for one in some]):.0%} | {np.mean(each):.0%} | {len(some):,} | {len(chips)}"
    )


def page(
    found: Sequence[Prior], missed: Sequence[LeftOut], left: Counter[str], stacks: Sequence[ib.Stack]
) -> str:
    """The page of results."""
    lines = [
        HEAD,
        "| class | memory | arithmetic | links | kernel | exchange | chips |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for one in found:
        shares = " | ".join(f"{math.exp(value):.0%}" for value in one.figures[:3])
        waits = " | ".join(f"{1e6 * math.exp(value):.1f} µs" for value in one.figures[3:])
        lines.append(f"| `{one.name}` | {shares} | {waits} | {len(one.chips)} |")
    lines += [EFFECTS]
    for one in found:
        for phase, effects in one.effects.items():
            low, high = math.exp(-1.645 * effects.log_error), math.exp(1.645 * effects.log_error)
            sds = f"{effects.between:.2f} | {effects.software:.2f} | {effects.within:.2f}"
            lines.append(
                f"| `{one.name}` | {phase} | {effects.rows:,} | {effects.chips} | {sds}"
                f" | {low:.2f} to {high:.2f} |"
            )
    lines += [COVERAGE]
    groups = [
        *((name, [one for one in missed if one.sample.table == name]) for name in TABLES),
        ("**`other_vendors` and `serving_current`**", pooled(missed)),
        *(
            (f"`{name}`", [one for one in missed if one.prior == name])
            for name in sorted({o.prior for o in missed})
        ),
    ]
    lines += [f"| {name} | {share(some)} |" for name, some in groups if some]
    lines += [CHIPWISE]
    for chip in sorted({one.sample.chip for one in missed}):
        for phase in ("decode", "prefill"):
            some = [one for one in missed if one.sample.chip == chip and one.sample.phase == phase]
            if some:
                ratio = math.exp(float(np.median([one.error for one in some])))
                inside = np.mean([one.covered for one in some])
                lines.append(
                    f"| {chip} | {phase} | `{some[0].prior}` | {len(some)} | {ratio:.2f} | {inside:.0%} |"
                )
    lines += [STACKS, *_of_stacks(stacks)]
    lines += [LEFT, *(f"- {count:,}: {why}" for why, count in left.most_common(12)), ""]
    return "\n".join(lines)


def _of_stacks(stacks: Sequence[ib.Stack]) -> Iterator[str]:
    for stack in stacks:
        for phase, part in stack.fit.parts.items():
            errors = " | ".join(_percent(one) for one in (part.error, part.constant, part.roofline))
            cover = _percent(100.0 * part.coverage)
            yield (
                f"| `{stack.name}` | {phase} | {part.rows} | {part.scored} | {errors} | {cover}"
                f" | {math.exp(1.645 * part.log_error):.2f} |"
            )


def _percent(value: float) -> str:
    return f"{value:.0f}%" if math.isfinite(value) else "–"


def pooled(missed: Sequence[LeftOut]) -> list[LeftOut]:
    """The rows of the two tables that no stack was fitted on."""
    return [one for one in missed if one.sample.table in ("other_vendors", "serving_current")]


HEAD = """# Priors of classes of chips

Written by `python tools/priors_page.py`. `inferbench calibrate --shipped class-simt` fits a prior again.
[What a number rests on](../explanation/grades.md) says how priors are used, `inferbench.calibration.priors`
how they are fitted.

## Figures

Shares of the datasheet's rates that software reaches, and what it waits before each kernel and before each
exchange between chips.
"""
EFFECTS = """
## What is left

Standard deviations of the logarithm of predicted over measured: between chips, between versions of software
on a chip, and the rest. The factors are those between which nine in ten times of an unseen chip lie.

| class | step | rows | chips | between | software | rest | 90 % |
|---|---|--:|--:|--:|--:|--:|--:|"""
COVERAGE = """
## Chips left out

Every chip is predicted by the prior of its class as if nobody had measured it. Fit, variances and the width
of intervals use none of its rows. How many of its times lie in the 90 % interval:

| rows of | of all rows | chips alike | rows | chips |
|---|--:|--:|--:|--:|"""
CHIPWISE = """
Times of one chip err together, so that the column in which all chips weigh alike is the fair one. The chips
of `serving_current` are three of NVIDIA's largest, which are more alike than chips are in general. Their
intervals are wider than they need to be.

| chip | step | prior without it | rows | median predicted / measured | in the interval |
|---|---|---|--:|--:|--:|"""
STACKS = """
## Stacks of other vendors

Stacks of five figures, drawn to the class without their chips. The error is that of networks left out of the
fit. Of a stack with one network none could be left out, and its interval is the class's. Beside it stand a
constant, the geometric mean of the other rows, and the roofline. The last column is the factor of the 90 %
interval.

| stack | step | rows | scored | error | constant | roofline | in the interval | factor |
|---|---|--:|--:|--:|--:|--:|--:|--:|"""
LEFT = """
## Rows that took no part
"""


def main() -> int:
    """Write or check."""
    known = ib.installed()
    made, left = samples(known)
    missed = list(left_out(made))
    text = page(priors(made), missed, left, drawn(known))
    stale = not PAGE.exists() or PAGE.read_text() != text
    if stale and "--check" not in sys.argv:
        PAGE.write_text(text)
    print(f"{len(made):,} samples; in the interval, chips left out: {share(pooled(missed))}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
