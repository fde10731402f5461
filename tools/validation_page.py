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

import inferbench as ib
from inferbench.discovery.registry import Registry
from inferbench.face.validate import shipped
from inferbench.model.intervals import HOSTLESS, ISOLATED, MATERIAL
from inferbench.records.fit import FitPart
from inferbench.records.stack import Stack
from inferbench.records.trust import OTHER_KERNEL, UNFITTED, UNFITTED_MOVES, WIDEST_GROUP
from inferbench.validation.scoring import Score, scores
from inferbench.validation.validate import KINDS, RULES, Row, validate

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/results/validation.md"
IMAGES = ROOT / "docs/images"
WRONG = Path(__file__).with_name("validation_wrong.md")
SIZE, MARGIN = 320, 44
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7f7f7f",
    "#000000",
    "#882255",
    "#44aa99",
)
# What must hold on rows left out of the fit: parts of stacks whose names begin so, and the mean error at
# most.
BARS = (
    ("language models, end to end, network left out", ("vllm-", "tensorrt-llm-"), "generate", 6.0),
    ("time per output token, network left out", ("vllm-", "tensorrt-llm-"), "decode", 6.0),
    ("time to first token, network left out", ("vllm-", "tensorrt-llm-"), "prefill", 8.0),
    ("UNets, seconds, network left out", ("diffusers-",), "image", 6.0),
    ("UNets, joules, network left out", ("diffusers-",), "image.joules", 8.0),
    ("diffusion transformers, seconds, network left out", ("xdit-",), "image", 12.0),
    ("diffusion transformers, joules, network left out", ("xdit-",), "image.joules", 12.0),
    (
        "layers of experts, all chips and formats, network left out",
        ("trtllm-",),
        ("gemm.experts", "gemm.experts.fp8"),
        16.0,
    ),
)

# The same for kernels: beginnings of a stack's name and of a kernel's, and the mean error at most; the first
# that fits.
KERNEL_BARS = (
    ("vllm-collectives-", "collectives", 15.0),
    ("", "collectives", 9.0),
    ("", "gemm.experts", 16.0),
    ("", "gemm.int8", math.nan),
    ("trtllm-1.3-b200-block", "gemm", 12.0),
    ("trtllm-1.3-block", "gemm", 12.0),
    ("", "gemm.w", 12.0),
    ("", "gemm.nvfp4", 12.0),
    ("trtllm-1.3-b200", "gemm", 9.0),
    ("", "gemm", 6.0),
    ("", "attention.context", 4.0),
    ("", "attention.generation", 12.0),
)
# Not in any stack: plugins/inferbench-power/tools/fit_power.py prints it (docs/explanation/power.md).
POWER = (
    "language models, mean power, network left out",
    "26",
    "7.2",
    "–",
    "8.0",
    "yes",
    "9.2",
    "–",
)
# The same of tools/fit_kernel_power.py, with shapes or heads left out; no bar is set.
KERNEL_POWER = (
    ("matrix products on B200, mean power, shape left out", "376", "13.0", "12.7", "–", "–", "31.3", "–"),
    ("attention over prompts on B200, mean power, heads left out", "505", "4.9", "4.9", "–", "–", "5.1", "–"),
)
# Parts of stacks whose left-out measurements are counted in their 90% intervals, and which tool counted.
COVERAGE = (
    (
        "language models, times",
        ("vllm-", "tensorrt-llm-"),
        ("generate", "decode", "prefill"),
        "inferbench calibrate --serving",
    ),
    ("UNets, seconds", ("diffusers-",), ("image",), "inferbench calibrate --serving"),
    ("UNets, mean power", ("diffusers-",), ("image.power",), "inferbench calibrate --serving"),
    ("UNets, joules", ("diffusers-",), ("image.joules",), "inferbench calibrate --serving"),
    ("diffusion transformers, seconds", ("xdit-",), ("image",), "inferbench calibrate --serving"),
    ("diffusion transformers, mean power", ("xdit-",), ("image.power",), "inferbench calibrate --serving"),
    ("diffusion transformers, joules", ("xdit-",), ("image.joules",), "inferbench calibrate --serving"),
)
# Power's are in no stack: the tools print them, and tests/validation/test_validation_page.py holds this page
# to what they print.
POWER_COVERAGE = (
    ("language models, mean power", 23, 26, "plugins/inferbench-power/tools/fit_power.py"),
    ("matrix products on B200, mean power", 345, 376, "plugins/inferbench-power/tools/fit_kernel_power.py"),
    (
        "attention over prompts on B200, mean power",
        459,
        505,
        "plugins/inferbench-power/tools/fit_kernel_power.py",
    ),
)


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
        n = sum(one.rows for one in found)
        if n:
            mean, rows, constant, roofline = (
                sum(getattr(one, key) * one.rows for one in found) / n
                for key in ("error", "error_rows", "constant", "roofline")
            )
            verdict = "yes" if mean <= most else "**no**"
            figures = (mean, rows, most)
            yield [title, str(n), *map(digit, figures), verdict, digit(constant), digit(roofline)]


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
    verdict = "–" if math.isnan(most) else "yes" if error <= most else "**no**"
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
    """Parts of the stacks whose names begin so."""
    return [
        part
        for stack in fitted(registry)
        if stack.name.startswith(names)
        for name, part in stack.fit.parts.items()
        if name in wanted
    ]


def covered(registry: Registry) -> Iterator[list[str]]:
    """Rows of how many left-out measurements lie in their intervals."""
    counted = []
    for title, names, wanted, tool in COVERAGE:
        found = parts_of(registry, names, wanted)
        n = sum(part.rows for part in found)
        counted.append((title, round(sum(part.coverage * part.rows for part in found)), n, tool))
    for title, inside, n, tool in (*counted, *POWER_COVERAGE):
        yield [title, str(inside), str(n), f"{100 * inside / n:.0f}", f"`{tool}`"]


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


def parity(rows: Sequence[Row], unit: str) -> str:
    """An SVG of predicted over measured, both logarithmic, a colour per chip and stack; grey lines at 10%."""
    points = [(math.log10(r.measured), math.log10(r.predicted), f"{r.chip} · {r.stack}") for r in rows]
    low = min(min(x, y) for x, y, _ in points) - 0.1
    high = max(max(x, y) for x, y, _ in points) + 0.1
    names = sorted({name for _, _, name in points})
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}

    def at(value: float) -> float:
        return MARGIN + (SIZE - 2 * MARGIN) * (value - low) / (high - low)

    height = SIZE + 14 * len(names)
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{height}" viewBox="0 0 {SIZE}'
            f' {height}" font-family="sans-serif" font-size="10">'
        ),
        f'<rect width="{SIZE}" height="{height}" fill="white"/>',
    ]
    for shift, dash in ((0.0, ""), (math.log10(1.1), "3"), (-math.log10(1.1), "3")):
        a, b = low + max(0.0, -shift), high - max(0.0, shift)
        lines.append(
            f'<line x1="{at(a):.1f}" y1="{SIZE - at(a + shift):.1f}" x2="{at(b):.1f}"'
            f' y2="{SIZE - at(b + shift):.1f}" stroke="#999" stroke-dasharray="{dash}"/>'
        )
    for power in range(math.ceil(low), math.floor(high) + 1):
        text = f"{10.0**power:g}"
        lines.append(f'<text x="{at(power):.1f}" y="{SIZE - MARGIN + 14}" text-anchor="middle">{text}</text>')
        lines.append(f'<text x="{MARGIN - 6}" y="{SIZE - at(power) + 3:.1f}" text-anchor="end">{text}</text>')
    for x, y, name in points:
        lines.append(
            f'<circle cx="{at(x):.1f}" cy="{SIZE - at(y):.1f}" r="2.5" fill="{colour[name]}"'
            ' fill-opacity="0.7"/>'
        )
    lines.append(f'<text x="{SIZE / 2}" y="{SIZE - 8}" text-anchor="middle">measured, {unit}</text>')
    lines.append(
        f'<text transform="translate(12,{SIZE / 2}) rotate(-90)" text-anchor="middle">predicted,'
        f" {unit}</text>"
    )
    for i, name in enumerate(names):
        y = SIZE + 14 * i
        lines.append(
            f'<circle cx="20" cy="{y}" r="3" fill="{colour[name]}"/><text x="30" y="{y + 3}">{name}</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


def plots(rows: Sequence[Row]) -> dict[str, str]:
    """File name to SVG."""
    good = [row for row in rows if row.scored and row.predicted > 0]
    times = [row for row in good if row.metric in ("latency_s", "ttft_s", "tpot_s")]
    power = [row for row in good if row.metric == "power_w"]
    return {"parity-time.svg": parity(times, "s"), "parity-power.svg": parity(power, "W")}


def _intervals() -> list[str]:
    """How intervals are made, and what widens them."""
    return [
        (
            "Intervals are of 90%. For whole steps they are split-conformal: the 90th percentile of the"
            " errors of networks left out, stretched"
        ),
        (
            "by `sqrt(1 + 1/g)` for g networks. Kernels of different shape err independently, repeats of one"
            " shape together, in quadrature with"
        ),
        (
            "the step's. Outside the box in which a stack was fitted the log standard error grows by 0.25 for"
            " each of an unseen chip, precision or"
        ),
        (
            "phase and by 0.1 per doubling beyond an axis or a number of chips, in quadrature, and the result"
            " says `extrapolated`. On a chip of another"
        ),
        f"vendor it grows by {UNFITTED}: none of the kernels there is one that was fitted.",
        (
            "It says so too where operators outside the boxes of their kernels (more rows than the largest"
            " product, kinds without a figure) take"
        ),
        (
            f"more than {100 * MATERIAL:.0f}% of a step. A stack of kernels alone has no step residual: it is"
            f" given {HOSTLESS}, which reaches what the serving"
        ),
        (
            "stacks on the same kernels say. Kinds of kernels that such a stack has no figure of run at the"
            " roofline: they get a log standard"
        ),
        (
            f"error of {UNFITTED} (nine in ten published kernels take up to ten times the roofline),"
            f" {UNFITTED_MOVES} where they only move data. Generation attention"
        ),
        (
            f"with more than {WIDEST_GROUP} query heads per key head is another kernel: {OTHER_KERNEL}. Such"
            " errors are shared: the upper end of a step has all of"
        ),
        "these operators at theirs.",
        "",
        (
            "Power and energy: what the energies per action leave open at the true duration, joined in"
            " quadrature with the duration's error,"
        ),
        (
            "which moves energy by the baseline's share of it and power by the rest, the other way. Diffusion"
            " stacks bring the errors of whole"
        ),
        (
            "predicted steps instead. Neither passes what the power limit allows. docs/explanation/power.md"
            " has the rules that widen them; under the ideal"
        ),
        (
            "stack figures are bounds and have no interval. A kernel alone under energies of decoding:"
            f" {ISOLATED} in quadrature."
        ),
        "",
    ]


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


def page(rows: Sequence[Row], registry: Registry) -> str:
    """The whole page."""
    counted = [row for row in rows if row.scored]
    inside = [row for row in counted if row.inside and math.isfinite(row.low)]
    unseen = [row for row in inside if not row.fitted]
    lines = [
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
            [*bars(registry), POWER, *KERNEL_POWER],
        ),
        (
            "Power is from `plugins/inferbench-power/tools/fit_power.py`, over 26 runs, and from"
            " `fit_kernel_power.py` beside it; how far to trust"
        ),
        "it says docs/explanation/power.md.",
        "",
    ]
    lines += _kernels(registry)
    lines += [
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
        "## Intervals",
        "",
        *_intervals(),
        (
            f"Inside the boxes {hits(inside, False)} shipped times and {hits(inside, True)} powers and"
            " energies lie in their intervals; of those"
        ),
        f"that no fit has seen {hits(unseen, False)} times and {hits(unseen, True)} powers and energies.",
        "",
        "With their networks left out of the fit, in per cent of the measurements that should be 90:",
        "",
        *table(("what", "in their intervals", "of", "%", "printed by"), covered(registry)),
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
