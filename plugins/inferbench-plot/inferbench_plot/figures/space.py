"""Maps over batch and context: how well each system does, and who is best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import inferbench as ib
from inferbench_plot.figures.shared import Z, columns_of, compared, footer, system_name

__all__ = ["PLOT", "best_of", "draw"]

BATCHES, CONTEXTS = "1:256:x2", "512:32768:x2"
SURE = 0.9
Map = Any


def ask(systems: Sequence[str], workload: Sequence[str], **settings: Any) -> ib.Comparison:
    """Compare on a grid of batches and contexts, 1 to 256 and 512 to 32k where none is given."""
    registry = settings["registry"]
    work = workload or ("llama3-70b/decode",)
    name, slash, phase = work[0].rpartition("/")
    one = work[0] if slash else f"{phase}/decode"
    if len(work) > 1:
        found = f"a map is of one workload, not of {len(work)}"
        raise ib.InferBenchError.of_argument("workload", found, workload=one)
    network = registry.network(name or phase)
    kind = registry.workload(network.type)
    axes = kind.defaults(network, one.rpartition("/")[2]) if slash or name else {"batch": 1, "context": 1}
    grid = {"batch": BATCHES, "context": CONTEXTS}
    settings = {**{axis: text for axis, text in grid.items() if axis in axes}, **settings}
    return compared(systems, (one,), **settings)


def draw(answer: ib.Comparison | ib.Run) -> ib.Figure:
    """Draw a map per system, and one of who is best where there are several."""
    runs = [column[0][1] for column in columns_of(answer)]
    axes = [name for name, values in runs[0].grid.axes.items() if len(values) > 1]
    if len(axes) != 2:
        found = f"a map needs two axes with several values, and {len(axes)} have some"
        raise ib.InferBenchError.of_argument("axes", found, batch="1:256:x2", context="512:32768:x2")
    batch = "batch" if "batch" in axes else axes[0]
    other = next(name for name in axes if name != batch)
    values = [oriented(run, _rate(run), batch, other) for run in runs]
    x, y = (ib.Scale(name, names=[_count(v) for v in runs[0].grid.axes[name]]) for name in (batch, other))
    panels = []
    if len(runs) > 1:
        spreads = [oriented(run, _log_error(run), batch, other) for run in runs]
        panels.append(_winners(runs, values, spreads, x, y))
    for run in runs:
        used = oriented(run, run["utilization"], batch, other)
        panels.append(ib.Panel(x, y, (_shares(used),), f"{system_name(run)}: utilization, %"))
    notes = ["Empty fields do not fit."]
    if len(runs) > 1:
        notes.insert(0, "Hatched, or with a question mark: nobody is the best with 90% probability.")
    work = f"{ib.short(runs[0].network.title, 30)} {runs[0].phase}"
    what = "who yields most tokens per second and chip" if len(runs) > 1 else "utilization"
    return ib.Figure("space", f"{work}: {what}", tuple(panels), footer=footer(runs), notes=tuple(notes))


def oriented(run: ib.Run, array: object, batch: str, other: str) -> Map:
    """An array as rows of one axis (upwards) and columns of the other; other axes at their first point."""
    full = np.asarray(array, dtype=np.float64)
    names = [*run.grid.axes, "precision"]
    index = tuple(slice(None) if name in (batch, other) else 0 for name in names)
    kept = [name for name in names if name in (batch, other)]
    found = full[index]
    return found.T if kept[0] == batch else found


def _rate(run: ib.Run) -> Map:
    """Items per second and chip; NaN where nothing fits."""
    rate = run.values(run.items) / run.values(run.seconds) / run.system.count
    return np.where(run.values(run.feasible), rate, np.nan)


def _log_error(run: ib.Run) -> Map:
    low, high = run.interval(run.latency)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(high / low) / (2.0 * Z)


def best_of(values: Sequence[Map], spreads: Sequence[Map]) -> Map:
    """Probability of each that it is the largest, errors of the logarithms normal and independent.

    Args:
        values: Of each system, above zero; NaN where it has none: it can't be best there.
        spreads: Standard errors of the logarithms; NaN or 0 is taken as none.

    Returns:
        One array per system, of the shape of theirs; they sum to one where any has a value.

    Example:
        Equal ones with equal errors are best with even odds.

        >>> one = np.array([10.0])
        >>> [round(float(p[0]), 3) for p in best_of([one, one], [one * 0.02, one * 0.02])]
        [0.5, 0.5]
    """
    steps = np.linspace(-5.0, 5.0, 161)
    weights = np.exp(-(steps**2) / 2.0)
    weights /= weights.sum()
    logs = [np.log(np.where(np.asarray(v) > 0, v, np.nan)) for v in values]
    errors = [np.where(np.asarray(s) > 0, s, 1e-9) for s in spreads]
    found = []
    for i, (mean, error) in enumerate(zip(logs, errors, strict=True)):
        at = mean[..., None] + error[..., None] * steps
        chance = np.ones_like(at)
        for j, (theirs, wide) in enumerate(zip(logs, errors, strict=True)):
            if j != i:
                below = _normal((at - theirs[..., None]) / wide[..., None])
                chance = chance * np.where(np.isnan(theirs)[..., None], 1.0, below)
        found.append(np.where(np.isnan(mean), 0.0, np.nan_to_num(chance) @ weights))
    whole = sum(found)
    return [np.where(whole > 0, one / np.where(whole > 0, whole, 1.0), np.nan) for one in found]


_ERF = np.vectorize(math.erf, otypes=[np.float64])


def _normal(deviations: Map) -> Map:
    """The normal distribution function, of a table: a map has 161 deviations per pair and field."""
    grid = np.linspace(-6.0, 6.0, 1201)
    table = 0.5 * (1.0 + _ERF(grid / math.sqrt(2.0)))
    return np.interp(deviations, grid, table)


def _winners(
    runs: Sequence[ib.Run], values: Sequence[Map], spreads: Sequence[Map], x: ib.Scale, y: ib.Scale
) -> ib.Panel:
    odds = np.stack(best_of(values, spreads))
    known = np.isfinite(odds).any(axis=0)
    first = np.argmax(np.nan_to_num(odds), axis=0)
    top = np.nan_to_num(odds).max(axis=0)
    ranked = [not run.stack.ideal for run in runs]
    several = sum(np.isfinite(value).astype(int) for value in values) > 1
    unsure = known & ((top < SURE) & several | ~np.asarray(ranked)[first])
    return ib.Panel(
        x,
        y,
        (
            ib.Heat(
                tuple(tuple(row) for row in np.where(known, first, np.nan).astype(float).tolist()),
                texts=tuple(
                    tuple(f"{100 * p:.0f} %" if k else "" for p, k in zip(ps, ks, strict=True))
                    for ps, ks in zip(top.tolist(), known.tolist(), strict=True)
                ),
                names=tuple(system_name(run) for run in runs),
                hatched=tuple(tuple(row) for row in unsure.tolist()),
            ),
        ),
        "who is best, and how sure that is",
    )


def _shares(used: Map) -> ib.Heat:
    return ib.Heat(
        tuple(tuple(row) for row in used.tolist()),
        tuple(tuple("" if math.isnan(v) else f"{100 * v:.2g}" for v in row) for row in used.tolist()),
    )


def _count(value: float) -> str:
    return f"{value / 1024:.0f}k" if value >= 1024 and value % 1024 == 0 else f"{value:,.0f}"


PLOT = ib.Plot(
    "space",
    "maps over batch and context: who is best, and how well each does",
    ask,
    draw,
    ("Comparison", "Run"),
)
