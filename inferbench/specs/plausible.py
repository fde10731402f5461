"""What every measurement must obey, whoever read it: figures above zero, axes of at least one, chips for its
layout.

What can't be right for its unit is warned about, not refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from inferbench.errors import Fault, InferBenchError
from inferbench.records.measurement import DECODE, GENERATE, LANGUAGE, Condition, Measurement
from inferbench.records.system import Layout
from inferbench.units import SMALLEST

__all__ = ["doubts", "faults"]

FIGURES = ("latency_s", "ttft_s", "tpot_s", "tokens_per_s", "power_w", "energy_j")
# Slower and faster than anything plausible for a step of a language model: the fastest published decoding
# needs about 50 us per token, and a step longer than a minute is a time-out. Beyond these a unit was
# mistaken.
STEP = (10e-6, 60.0)
FIRST = (20e-6, 3600.0)
PLAUSIBLE = (
    ("a decode step", "latency_s", STEP, (DECODE,)),
    ("a time per output token", "tpot_s", STEP, LANGUAGE),
    ("a time to first token", "ttft_s", FIRST, LANGUAGE),
)
# How far first token and the others may be from the whole: medians don't add up, and clients wait too.
TOGETHER = 3.0
WHOLE = ("batch",)
COUNTS = frozenset(
    (
        "batch",
        "context",
        "output",
        "pixels",
        "height",
        "width",
        "steps",
        "frames",
        "m",
        "n",
        "k",
        "heads",
        "head_dim",
        "queries",
        "keys",
        "tokens",
        "hidden",
        "inter",
        "topk",
        "experts",
        "tp",
        "ep",
        "group",
        "payload",
    )
)
RATES = frozenset(("concurrency", "request_rate", "in_flight"))


def faults(row: Measurement) -> Iterator[Fault]:
    """Yield what makes a row unusable.

    Example:
        >>> [fault.found for fault in faults(Measurement(source="s", chip="c", latency_s=1.0,
        ...     axes={"batch": 0.0}))]
        ['batch is 0; at least 1 was expected']
    """
    measured = [name for name in FIGURES if not math.isnan(getattr(row, name))]
    for name in measured:
        value = getattr(row, name)
        if not SMALLEST <= value < math.inf:
            found = f"{name} is {value:g}; a figure above {SMALLEST if 0 < value < 1 else 0:g} was expected"
            yield Fault(row.source, found, "leave it out where it was not measured")
    if not measured and not row.refused:
        yield Fault(row.source, "measures nothing: no time, rate, power or energy", "remove the row")
    if row.chips < 1:
        yield Fault(row.source, f"{row.chips} chips; at least 1 was expected", "correct the number of chips")
    for name, value in row.axes.items():
        found = _axis(row, name, value)
        if found:
            yield Fault(row.source, found, "correct it, or leave it out where it is not known")
    if row.layout and not row.op:
        yield from _degrees(row)


def _axis(row: Measurement, name: str, value: float) -> str:
    """What is wrong with an axis; NaN is not known, which is no fault."""
    if math.isnan(value):
        return ""
    # A step after the first token of an empty prompt holds half a token on average.
    least = 0.0 if name == "context" and row.phase == DECODE else 1.0
    if name in COUNTS and not (least <= value < math.inf and value > 0.0):
        return f"{name} is {value:g}; at least 1 was expected"
    if not 0.0 <= value < math.inf or (name in RATES and value == 0.0):
        return f"{name} is {value:g}; a finite number above 0 was expected"
    averaged = row.queueing or Condition.STEADY_STATE in row.conditions
    if name in WHOLE and value != int(value) and not averaged:
        return (
            f"{name} is {value:g}; a whole number was expected, and no condition says that it is an average"
            " ('steady-state')"
        )
    return ""


def _degrees(row: Measurement) -> Iterator[Fault]:
    """Degrees that need more chips than there are; what else may be wrong with a layout is the row's own
    matter.
    """
    try:
        layout = Layout.parse(row.layout)
    except InferBenchError:
        return
    if layout.chips > row.chips:
        found = f"layout {layout} takes {layout.chips} chips, the row says {row.chips}"
        yield Fault(row.source, found, "correct the number of chips or the degrees of parallelism")


def doubts(rows: Iterable[Measurement]) -> list[Fault]:
    """Return one warning per kind of doubt, with the first row and the number of rows."""
    timed = [row for row in rows if not row.op and row.phase in LANGUAGE]
    found = []
    seen: set[tuple[str, float]] = set()
    for what, figure, (low, high), phases in PLAUSIBLE:
        hits = [row for row in timed if row.phase in phases and _outside(getattr(row, figure), low, high)]
        # A step's latency and its time per token are one figure: once is enough.
        hits = [row for row in hits if (row.source, getattr(row, figure)) not in seen]
        seen |= {(row.source, getattr(row, figure)) for row in hits}
        if hits:
            said = (
                f"{what} of {getattr(hits[0], figure):.3g} s can't be right for a language model: {low:g} to "
                f"{high:g} s is plausible; was the unit mistaken?{_more(hits)}"
            )
            remedy = "check whether the file gives seconds, milliseconds or nanoseconds"
            found.append(Fault(hits[0].source, said, remedy))
    return [*found, *_inconsistent([row for row in timed if row.phase == GENERATE])]


def _inconsistent(rows: Sequence[Measurement]) -> list[Fault]:
    """Rows whose parts don't make the whole: latency = TTFT + TPOT x (output - 1)."""
    hits = [row for row in rows if _outside(_whole(row) / row.latency_s, 1.0 / TOGETHER, TOGETHER)]
    if not hits:
        return []
    one = hits[0]
    said = (
        f"ttft + tpot x (output - 1) is {_whole(one):.3g} s, latency is {one.latency_s:.3g} s: "
        f"one of them is in another unit, or of other requests{_more(hits)}"
    )
    return [Fault(one.source, said, "check the units of the three columns")]


def _whole(row: Measurement) -> float:
    return row.ttft_s + row.tpot_s * (row.axes.get("output", math.nan) - 1.0)


def _more(hits: Sequence[Measurement]) -> str:
    return f" (and {len(hits) - 1} more rows)" if len(hits) > 1 else ""


def _outside(value: float, low: float, high: float) -> bool:
    return value < low or value > high
