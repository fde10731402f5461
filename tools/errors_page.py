"""Score whole steps by chip, software, phase, precision and network: docs/results/errors.md, and the gate.

    python tools/errors_page.py        write the page, and tests/validation/errors.csv

A test computes the same errors again. It fails where one has grown by more than a tenth: whoever changes the
model runs this tool, and shows in the change what got worse.
"""

from __future__ import annotations

import csv
import math
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np

import inferbench as ib
from inferbench.discovery.registry import Registry
from inferbench.evidence.matching import read_rows
from inferbench.face.validate import shipped
from inferbench.validation.validate import Row, validate

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/results/errors.md"
GATE = ROOT / "tests/validation/errors.csv"
# Tables of whole steps that are no measurement sets; what stacks were fitted on is marked row by row.
TABLES = ("serving_current", "serving", "nvidia_multichip")
# Errors up to this share larger are no fault, nor those of this many per cent more.
TENTH, LEAST = 0.10, 0.2
INTRO = (
    "Whole steps of the shipped measurements and of three shipped tables, the largest error first. Closed",
    "loops are replayed, request by request. `fitted`: a stack saw all of these rows; their error is no",
    "evidence. Errors of networks left out stand in [serving](serving.md). `calibrated`: they lie in the box",
    "of the stack. `transferred`: they lie outside. `prior`: no software was fitted. Beside the errors stand",
    "two predictors without a model. `constant` is the geometric mean of the other rows. `simple` is weights",
    "over bandwidth, or the power limit. All in per cent.",
)
VERSION = re.compile(r"[-_ v]*\d[\w.]*.*$")


@attrs.frozen
class Group:
    """Errors of rows alike; fractions, NaN where nothing can be said.

    Attributes:
        key: Chip, software, phase and figure, precision, network.
        rests: `fitted` (a stack saw all of these rows), `calibrated` (inside its box), `transferred` or
            `prior`.
        n: Rows.
        mape, median, bias, coverage: As `Score` of `validate` has them.
        constant, trivial: MAPE of the geometric mean of the other rows, and of weights over bandwidth or the
            limit.
    """

    key: tuple[str, ...]
    rests: str
    n: int
    mape: float
    median: float
    bias: float
    coverage: float
    constant: float
    trivial: float


def rows_of(registry: Registry, intervals: bool = True) -> list[Row]:
    """Everything of whole steps that ships, scored; ends of intervals take longest, and may be left out."""
    sets = dict(shipped(registry))
    with tempfile.TemporaryDirectory() as folder:
        for name in TABLES:
            sets[name] = read_rows(registry.get("tables", name).write(Path(folder)), registry)
    return [row for row in validate(sets, registry, intervals=intervals) if row.scored and not row.op]


def groups_of(rows: Iterable[Row], registry: Registry) -> list[Group]:
    """Group rows; the worst first."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        software = VERSION.sub("", row.software).strip() or row.stack
        key = (row.chip, software.lower(), f"{row.phase}, {row.metric}", row.precision, row.network)
        found.setdefault(key, []).append(row)
    groups = [_group(key, some, registry) for key, some in found.items()]
    return sorted(groups, key=lambda one: (-one.mape, one.key))


def _group(key: tuple[str, ...], rows: Sequence[Row], registry: Registry) -> Group:
    errors = np.array([row.error for row in rows])
    measured = np.log([row.measured for row in rows])
    others = (measured.sum() - measured) / max(len(rows) - 1, 1)
    covered = [row.covered for row in rows if math.isfinite(row.low)]
    trivial = [abs(value / row.measured - 1.0) for row in rows for value in _simple(row.trivial)]
    return Group(
        key,
        _rests(rows, registry),
        len(rows),
        float(np.mean(np.abs(errors))),
        float(np.median(np.abs(errors))),
        float(np.mean(errors)),
        float(np.mean(covered)) if covered else math.nan,
        float(np.mean(np.abs(np.expm1(others - measured)))) if len(rows) > 1 else math.nan,
        float(np.mean(trivial)) if trivial else math.nan,
    )


def _simple(trivial: Mapping[str, float]) -> list[float]:
    return [value for value in list(trivial.values())[:1] if math.isfinite(value)]


def _rests(rows: Sequence[Row], registry: Registry) -> str:
    """What the worst founded row rests on."""
    if any(registry.stack(row.stack).grade == "class" for row in rows if row.stack):
        return "prior"
    if not all(row.inside for row in rows):
        return "transferred"
    return "fitted" if all(row.fitted for row in rows) else "calibrated"


def _percent(value: float, sign: str = "") -> str:
    return "–" if math.isnan(value) else f"{100 * value:{sign}.1f}"


def page(groups: Sequence[Group]) -> str:
    """The page: all groups, the largest error first."""
    heads = (
        "chip|software|phase and figure|precision|network|rests on|n|MAPE|median|bias|in 90 %|constant|simple"
    )
    lines = [
        "# Errors by chip, software, phase, precision and network",
        "",
        "<!-- Generated by tools/errors_page.py: don't edit. -->",
        "",
        *INTRO,
        "",
        f"| {heads.replace('|', ' | ')} |",
        "|" + "---|" * (heads.count("|") + 1),
    ]
    for one in groups:
        figures = (_percent(one.mape), _percent(one.median), _percent(one.bias, "+"), _percent(one.coverage))
        cells = (*one.key, one.rests, str(one.n), *figures, _percent(one.constant), _percent(one.trivial))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def gate(groups: Iterable[Group]) -> list[tuple[str, int, float]]:
    """What the gate holds of each group: its name, rows, mean error in per cent."""
    return sorted((" · ".join(one.key), one.n, round(100 * one.mape, 2)) for one in groups)


def main() -> None:
    """Write the page and the gate."""
    registry = ib.installed()
    groups = groups_of(rows_of(registry), registry)
    PAGE.write_text(page(groups), encoding="utf-8")
    with GATE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("group", "rows", "error_percent"))
        writer.writerows(gate(groups))
    print(f"wrote {len(groups)} groups")


if __name__ == "__main__":
    main()
