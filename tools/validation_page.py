"""Generate docs/results/validation.md and its parity plots by running the validation.

    python tools/validation_page.py [--check]

`--check` writes nothing and exits with 1 if the page is stale.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from parity import parity
from validation_words import BARS, COVERAGE, KERNEL_BARS, KERNEL_POWER, intervals

import inferbench as ib
from inferbench.discovery.registry import Registry
from inferbench.face.validate import shipped
from inferbench.records.fit import FitPart
from inferbench.records.stack import Stack
from inferbench.validation.scoring import Score, scores
from inferbench.validation.validate import KINDS, RULES, Row, validate

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/results/validation.md"
IMAGES = ROOT / "docs/images"
WRONG = Path(__file__).with_name("validation_wrong.md")


def percent(value: float) -> str:
    """Per cent with one digit; a dash where it is not known."""
    return "–" if math.isnan(value) else f"{100 * value:.1f}"


def digit(value: float) -> str:
    """A figure that is in per cent already."""
    return percent(value / 100)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def fitted(registry: Registry) -> list[Stack]:
    """Stacks that were fitted."""
    return [stack for name in registry.names("stacks") if (stack := registry.stack(name)).fit.rows]


def bars(registry: Registry) -> Iterator[list[str]]:
    """Rows of what must hold: the mean over stacks, weighted by their rows."""
    for title, names, part, most in BARS:
        found = parts_of(registry, names, (part,) if isinstance(part, str) else part)
        found = [one for one in found if not math.isnan(one.error)]  # of one network none is left out
        n = sum(one.rows for one in found)
        if n:
            mean, rows, constant, roofline = (
                sum(getattr(one, key) * one.rows for one in found) / n
                for key in ("error", "error_rows", "constant", "roofline")
            )
            verdict = "yes" if mean <= most else "**no**"
            figures = (mean, rows, most)
            yield [title, str(n), *map(digit, figures), verdict, digit(constant), digit(roofline)]


def power(registry: Registry) -> Iterator[tuple[str, list[FitPart], float]]:
    """Fits of power: what, their parts, and the mean error that they may have at most."""
    models = [registry.get("power_models", name) for name in registry.names("power_models")]
    steps = [fit.parts["power"] for model in models for fit, _ in model.fitted().values()]
    if steps:
        yield "language models, mean power, network left out", steps, 8.0
    stacks = [registry.stack(name) for name in registry.names("stacks")]
    parts = [pair for stack in stacks for pair in stack.energy_fit.parts.items()]
    for begins, title in KERNEL_POWER.items():
        found = [part for name, part in parts if name.startswith(begins)]
        if found:
            yield title, found, math.nan


def power_bars(registry: Registry) -> Iterator[list[str]]:
    """Rows of the fits of power: the mean over chips and kernels, weighted by their readings."""
    for title, found, most in power(registry):
        n = sum(part.rows for part in found)
        mean, rows, constant = (
            sum(getattr(part, key) * part.rows for part in found) / n
            for key in ("error", "error_rows", "constant")
        )
        verdict = "–" if math.isnan(most) else "yes" if mean <= most else "**no**"
        yield [title, str(n), *map(digit, (mean, rows, most)), verdict, digit(constant), "–"]


def kernel_parts(registry: Registry) -> Iterator[list[str]]:
    """Rows of stacks fitted on kernels; a stack's collectives in one row, weighted by their measurements."""
    for stack in fitted(registry):
        exchanges = []
        for name, part in stack.fit.parts.items():
            if name.startswith("collective"):
                exchanges.append(part)
            elif name.split(".")[0] not in ("generate", "decode", "prefill", "image"):
                yield [stack.name, name, *_part([part], kernel_bar(stack.name, name))]
        if exchanges:
            title = f"collectives ({len(exchanges)} fits)"
            yield [stack.name, title, *_part(exchanges, kernel_bar(stack.name, title))]


def kernel_bar(stack: str, kernel: str) -> float:
    """Mean error that a kernel may have at most; NaN where none is set."""
    found = (most for one, other, most in KERNEL_BARS if stack.startswith(one) and kernel.startswith(other))
    return next(found, math.nan)


def _part(parts: Sequence[FitPart], most: float) -> list[str]:
    scored = [part.scored or part.rows for part in parts]  # fits of whole steps score every row
    rows = sum(scored)
    names = ("error", "error_rows", "error_all", "constant", "roofline")
    error, *others = (
        sum(getattr(part, name) * n for part, n in zip(parts, scored, strict=True)) / rows for name in names
    )
    verdict = "–" if math.isnan(most + error) else "yes" if error <= most else "**no**"
    screened = str(sum(part.screened for part in parts))
    inside = sum(part.coverage * n for part, n in zip(parts, scored, strict=True)) / rows
    figure = f"{error:.2f}" if 0.0 < abs(error - most) < 0.2 else digit(error)
    return [
        str(rows),
        screened,
        figure,
        digit(most),
        verdict,
        *map(digit, others),
        f"{100 * inside:.0f}" if inside == inside else "–",
    ]


def parts_of(registry: Registry, names: tuple[str, ...], wanted: tuple[str, ...]) -> list[FitPart]:
    """Parts of the stacks whose names begin so; those that several stacks share once."""
    found = {
        (stack.fit.command, name): part
        for stack in fitted(registry)
        if stack.name.startswith(names)
        for name, part in stack.fit.parts.items()
        if name in wanted
    }
    return list(found.values())


def covered(registry: Registry) -> Iterator[list[str]]:
    """Rows of how many left-out measurements lie in their intervals."""
    counted: list[tuple[str, list[FitPart]]] = []
    for title, names, wanted in COVERAGE:
        counted.append((title, parts_of(registry, names, wanted)))
    counted += [(title.partition(", mean")[0] + ", mean power", found) for title, found, _ in power(registry)]
    for title, found in counted:
        found = [part for part in found if not math.isnan(part.coverage)]  # of one network none is left out
        n = sum(part.rows for part in found)
        inside = round(sum(part.coverage * part.rows for part in found))
        yield [title, str(inside), str(n), f"{100 * inside / n:.0f}"]


def hits(rows: Sequence[Row], spent: bool) -> str:
    """Rows inside their intervals, of times or of power and energy: `76 of 83`."""
    some = [row for row in rows if (row.metric in KINDS) is spent]
    return f"{sum(row.covered for row in some)} of {len(some)}"


def scored(score: Score) -> list[str]:
    """One row of the table of shipped measurements."""
    where = f"{score.stack}{' (extrapolated)' if score.domain == 'extrapolated' else ''}"
    screened = f"{percent(score.mape_all)} ({score.screened})" if score.screened else "–"
    return [
        score.chip,
        where,
        score.phase,
        score.metric.rpartition("_")[0],
        str(score.n),
        str(score.fitted),
        percent(score.mape),
        percent(score.median),
        f"{100 * score.bias:+.1f}",
        percent(score.coverage),
        screened,
        percent(score.constant),
        percent(score.bandwidth if math.isnan(score.tdp) else score.tdp),
    ]


def unscored(rows: Sequence[Row]) -> Iterator[list[str]]:
    """Rules with the figures that they keep out."""
    for code, rule in RULES.items():
        n = sum(row.code == code for row in rows)
        which = sorted(
            {row.why for row in rows if row.code == code and code in ("name", "no-stack", "not-modelled")}
        )
        yield [f"`{code}`", rule, str(n), "; ".join(which[:4]) + ("; …" if len(which) > 4 else "")]


def plots(rows: Sequence[Row]) -> dict[str, str]:
    """File name to SVG."""
    good = [row for row in rows if row.scored and row.predicted > 0]
    times = [row for row in good if row.metric in ("latency_s", "ttft_s", "tpot_s")]
    power = [row for row in good if row.metric == "power_w"]
    return {"parity-time.svg": parity(times, "s"), "parity-power.svg": parity(power, "W")}


def _kernels(registry: Registry) -> list[str]:
    """The table of kernel fits; nothing where no fitted stack is installed."""
    parts = list(kernel_parts(registry))
    heads = (
        "stack",
        "kernel",
        "n",
        "screened",
        "groups left out",
        "at most",
        "holds",
        "rows left out",
        "with screened",
        "constant",
        "roofline",
        "in 90%",
    )
    return ["### Kernels", "", *table(heads, parts)] if parts else []


def _must_hold(registry: Registry) -> list[str]:
    """The head of the page, and what must hold."""
    return [
        "# Validation",
        "",
        (
            "<!-- Generated by tools/validation_page.py: don't edit. The section at the end is"
            " tools/validation_wrong.md. -->"
        ),
        "",
        (
            "Predictions against published measurements. Anyone can repeat it with `inferbench validate`;"
            " `inferbench validate FILE` does the"
        ),
        "same for any file that an importer reads, and `--format json` gives every row.",
        "",
        "## What must hold, on rows left out of the fits",
        "",
        (
            "Mean absolute error in per cent; each stack's fit was repeated without one network and scored on"
            " it (`rows`: without a fifth of"
        ),
        (
            "the rows at random instead, an easier test). Beside it a constant (the geometric mean of the"
            " other rows) and the physical floor."
        ),
        "",
        *table(
            ("what", "n", "network left out", "rows left out", "at most", "holds", "constant", "floor"),
            [*bars(registry), *power_bars(registry)],
        ),
        "How far to trust the errors of power says docs/explanation/power.md.",
        "`inferbench calibrate --shipped all` makes every fit again.",
        "",
    ]


def _shipped(rows: Sequence[Row], counted: Sequence[Row], registry: Registry) -> list[str]:
    """The measurements that are shipped, and how far they are off."""
    return [
        "## The measurements that are shipped",
        "",
        (
            f"{len(rows)} figures of {len(registry.names('measurements'))} sets, {len(counted)} scored."
            " `fitted` counts figures that took part"
        ),
        "in fitting the stack that scores them: their errors are not evidence. In per cent.",
        "",
        *table(
            (
                "chip",
                "stack",
                "phase",
                "figure",
                "n",
                "fitted",
                "MAPE",
                "median",
                "bias",
                "in interval",
                "with screened",
                "constant",
                "weights/bandwidth or TDP",
            ),
            (scored(one) for one in scores(rows, by_network=False) if one.n),
        ),
        (
            "![Times, predicted over measured](../images/parity-time.svg) ![Power, predicted over"
            " measured](../images/parity-power.svg)"
        ),
        "",
        "The line is equality, the dashed ones are 10% off.",
        "",
    ]


def _covered(counted: Sequence[Row], registry: Registry) -> list[str]:
    """Intervals, and what they cover."""
    inside = [row for row in counted if row.inside and math.isfinite(row.low)]
    unseen = [row for row in inside if not row.fitted]
    return [
        "## Intervals",
        "",
        *intervals(),
        (
            f"Inside the boxes {hits(inside, False)} shipped times and {hits(inside, True)} powers and"
            " energies lie in their intervals; of those"
        ),
        f"that no fit has seen {hits(unseen, False)} times and {hits(unseen, True)} powers and energies.",
        "",
        "With their networks left out of the fit, in per cent of the measurements that should be 90:",
        "",
        *table(("what", "in their intervals", "of", "%"), covered(registry)),
    ]


def page(rows: Sequence[Row], registry: Registry) -> str:
    """The whole page."""
    counted = [row for row in rows if row.scored]
    lines = [
        *_must_hold(registry),
        *_kernels(registry),
        *_shipped(rows, counted, registry),
        *_covered(counted, registry),
        "## Rows that are not scored",
        "",
        "The rules don't look at predictions. None drops a row silently: `validate -v` lists each.",
        "",
        *table(("rule", "what it keeps out", "figures", "which"), unscored(rows)),
        WRONG.read_text().strip(),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    registry = ib.installed()
    rows = validate(shipped(registry), registry)
    files = {PAGE: page(rows, registry), **{IMAGES / name: text for name, text in plots(rows).items()}}
    stale = [file for file, text in files.items() if not file.exists() or file.read_text() != text]
    for file in stale:
        print(f"{'stale' if given.check else 'wrote'}: {file.relative_to(ROOT)}")
        if not given.check:
            file.parent.mkdir(exist_ok=True)
            file.write_text(files[file])
    return 1 if given.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
