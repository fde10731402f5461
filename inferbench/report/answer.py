"""The first screen of `compare`: what one would really get, how sure that is, and the bound beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs

from inferbench.model.document import reason_at
from inferbench.model.expected import Estimate, Expected, chances, expected, ranks
from inferbench.records.chip import Chip
from inferbench.records.choice import BOUND, CLASS, GRADES, TRANSFERRED
from inferbench.records.immutable import frozen
from inferbench.records.run import Metric, Run
from inferbench.records.scenario import HourlyCost, Term, shared_term
from inferbench.records.system import System
from inferbench.report.grades import SYMBOLS, grade_legend
from inferbench.report.model import DASH, Cell, Table
from inferbench.units import show

__all__ = ["SHORT", "SURE", "Block", "answer", "compact", "percent", "short", "span", "unpriced", "unranked"]

# Terms of prices in the words that a label has room for.
SHORT = {
    Term.PURCHASE: "owned",
    Term.OWNERSHIP: "TCO",
    Term.ON_DEMAND: "rented",
    Term.RESERVED_1Y: "1 year",
    Term.RESERVED_3Y: "3 years",
}
# Letters of a chip's title that a column has room for, three of them in 80.
ROOM = 16
# How names of priors begin; their grade's symbol says it too.
PRIOR = "class-"
# Why a system has no answer, in one line; `run` says all of it.
REASONS = {"capacity": "needs {need:B}, has {has:B}: {bound_state} chips or more"}
# What a prior of a class is for.
NO_KIN = f"{GRADES[CLASS]}: no sibling measured"
# A winner is named from this chance on.
SURE = 0.9


@frozen(eq=False)
class Block:
    """One point of one piece of work, on all systems.

    Attributes:
        title: `single-user decode`.
        runs: One per system.
        index: Of the point, into `run.values(...)`.
        notes: Per system: why it is another than the one asked for.
    """

    title: str
    runs: tuple[Run, ...]
    index: tuple[int, ...]
    notes: tuple[tuple[str, ...], ...]

    @property
    def term(self) -> Term | None:
        """On what terms the systems' prices are compared."""
        return shared_term(run.cost.terms for run in self.runs)

    @property
    def points(self) -> tuple[Expected, ...]:
        """What one would get from each system."""
        shared = self.term
        return tuple(expected(run, self.index, shared) for run in self.runs)


def compact(value: float, digits: int = 3) -> str:
    """Write a number in few characters: `9.44`, `296`, `3.39k`, `98.3k`.

    Example:
        >>> compact(9.437), compact(296.2), compact(3393.0), compact(98332.0, 2), compact(0.0421)
        ('9.44', '296', '3.39k', '98k', '0.0421')
    """
    if not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if rounded >= 10.0**power:
            return f"{_plain(rounded / 10.0**power, digits)}{letter}"
    return _plain(rounded, digits)


def _plain(value: float, digits: int) -> str:
    decimals = max(0, digits - 1 - math.floor(math.log10(value)))
    return f"{value:.{min(decimals, 6)}f}"


def span(one: Estimate, unit: str = "") -> str:
    """A figure with its interval: `92.1 [84–101]`; with a unit, all three in the prefix of the figure.

    Ends have two digits, and three where two would lie beyond the limit at which the interval ends.

    Example:
        >>> span(Estimate(0.131, 0.092, 0.19), "s"), span(Estimate(0.0551, 0.039, 0.079))
        ('131 ms [92–190]', '0.0551 [.039–.079]')
        >>> span(Estimate(36.0, 30.0, 39.6, limit=39.6))
        '36.0 [30–39.6]'
    """
    if not one.known:
        return DASH
    scale, prefix = _prefix(one.value, unit) if unit else (1.0, "")
    text = compact(one.value / scale) + (f" {prefix}{unit}" if unit else "")
    if not (math.isfinite(one.low) and math.isfinite(one.high)) or one.low == one.high:
        return text
    ends = (_end(end, one.limit, one.value, scale) for end in (one.low, one.high))
    return f"{text} [{'–'.join(ends)}]"


def _end(end: float, limit: float, value: float, scale: float) -> str:
    """One end of an interval, which rounding takes beyond no limit."""
    rounded = float(f"{end / scale:.1e}") * scale
    beyond = rounded > limit if limit >= value else rounded < limit  # NaN: no limit is known
    return compact(end / scale, 3 if beyond else 2).removeprefix("0") or "0"


def _prefix(value: float, unit: str) -> tuple[float, str]:
    """The SI prefix of a value with a unit; of times only those below a second."""
    scales = ((1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
    for scale, prefix in scales[2 if unit == "s" else 0 :]:
        if value >= scale:
            return scale, prefix
    return 1e-9, "n"


def answer(blocks: Sequence[Block], title: str, metrics: Sequence[Metric] = ()) -> tuple[Table, ...]:
    """Return the tables of the screen: who is best and how sure that is, then the figures; of one system
    the figures alone.

    Args:
        blocks: The pieces of work in order, all on the same systems.
        title: Network, precision, context.
        metrics: Those that plugins want on this screen, a row each.
    """
    runs = blocks[0].runs
    layouts = _layouts(runs)
    heads = (
        Cell("[90 % interval]"),
        *(_head(run, _notes(blocks, k), layouts) for k, run in enumerate(runs)),
    )
    rows: list[tuple[Cell, ...]] = []
    for block in blocks:
        rows += [*_rows(block, [run.system.count for run in runs]), *_declared(block, metrics)]
    grades = {GRADES[point.grade] for block in blocks for point in block.points} - {GRADES[BOUND]}
    said = grade_legend(grades).replace(GRADES[CLASS], NO_KIN)
    legend = (f"{said}  ≤ ≥ bound",)
    if len(runs) == 1:  # nothing is the best of one
        return (Table(title, heads, tuple(rows), legend=legend, packed=True),)
    return (_verdicts(blocks, title), Table("", heads, tuple(rows), legend=legend, packed=True))


def short(chip: Chip) -> str:
    """A chip's title where a column has room for it, else its name."""
    mark = "*" if chip.title.endswith("*") else ""
    return chip.title if len(chip.title) <= ROOM else f"{chip.name}{mark}"


def _head(run: Run, notes: Sequence[str], layouts: Sequence[str]) -> Cell:
    count = f"{run.system.count}×" if run.system.count > 1 else ""
    if "resized" in run.flags:
        kind = "layout" if len(layouts) == 1 else "layouts"
        notes = (f"the fewest chips that hold the network, in the fastest {kind}: {', '.join(layouts)}",)
    return Cell(f"{count}{short(run.system.chip)}", tuple(notes))


def _notes(blocks: Sequence[Block], k: int) -> list[str]:
    """What the first block says of one system, but for why it has several chips; the column names it."""
    plain = [block.notes[k] for block in blocks if "resized" not in block.runs[k].flags and block.notes[k]]
    chip = blocks[0].runs[k].system.chip.title
    return [note.removeprefix(f"{chip}: ") for note in plain[0]] if plain else []


def _layouts(runs: Sequence[Run]) -> list[str]:
    """Layouts of the systems that were resized, in their order."""
    resized = [run for run in runs if "resized" in run.flags]
    return [str(run.layouts[int(run.values(run.layout).ravel()[0])]) for run in resized]


def _rows(block: Block, heads: Sequence[int]) -> Iterator[tuple[Cell, ...]]:
    """Rows of a block, below heads that say so many chips."""
    points = block.points
    first = block.runs[0]
    item = first.item
    software = [
        _software(run, point, block.index, head)
        for run, point, head in zip(block.runs, points, heads, strict=True)
    ]
    yield (Cell(block.title, best=True), *software)
    if len({float(run.values(run.batch)[block.index]) for run in block.runs}) > 1:
        yield (Cell("  batch"), *(Cell(_batch(run, block.index)) for run in block.runs))
    if first.latency == "tpot_s":
        yield _row(f"  {item}s/s per user", [p.per_user for p in points], points, True)
        yield (Cell("    bound"), *(_bound(1.0 / p.bound, "≤", "") for p in points))
    else:
        label = "  first token" if first.latency == "ttft_s" else "  latency"
        yield _row(label, [p.seconds for p in points], points, False, "s")
        yield (Cell("    bound"), *(_bound(p.bound, "≥", "s") for p in points))
    yield _row(f"  {item}s/s per chip", [p.per_chip for p in points], points, True)
    yield _dollars(block, points)
    spent = _row(f"  J/{item}, wall", [p.joules for p in points], points, False)
    yield (spent[0], *map(_because, spent[1:], points, block.runs))
    yield (Cell("  alg × hw × sw, %"), *(_chain(run, block.index) for run in block.runs))


def _declared(block: Block, metrics: Sequence[Metric]) -> Iterator[tuple[Cell, ...]]:
    """A row per metric that a plugin wants here."""
    for metric in metrics:
        if metric.shows("answer") and any(metric.applies(run) for run in block.runs):
            values = [float(run.values(metric.of(run))[block.index]) for run in block.runs]
            yield (Cell(f"  {metric.title}"), *(Cell(span(Estimate(v), metric.unit)) for v in values))


def _software(run: Run, point: Expected, index: tuple[int, ...], head: int) -> Cell:
    """The software's name and the grade's symbol; why a system has no answer, and from where figures come."""
    if not bool(run.values(run.feasible)[index]):
        said = "not served" if "stack" in {reason.code for reason in run.reasons} else "does not fit"
        return Cell(said, (reason_at(run, index, REASONS) or "",), unsure=True)
    more = (f"{run.system.count} chips here",) if run.system.count != head else ()
    remarks = "; ".join((*more, *_wider(run, index), *_origin(run, point)))
    notes = (remarks,) if remarks else ()
    if point.grade == BOUND:
        return Cell("bound only", notes, unsure=True)
    name = run.stack.family or run.stack.name
    name = name if len(name) <= ROOM - 2 else name.removeprefix(PRIOR)
    return Cell(f"{name} {SYMBOLS[GRADES[point.grade]]}", notes)


def _origin(run: Run, point: Expected) -> tuple[str, ...]:
    """From where figures come that were not measured on this chip at such points."""
    if point.grade == BOUND:  # where a prior came down to it, the head of the column says why
        return (run.choice.why,) if run.choice.grade == GRADES[BOUND] else ()
    if point.grade != TRANSFERRED:  # what a class is stands in the legend
        return ()
    if run.choice.grade == GRADES[TRANSFERRED]:
        return (f"figures of {run.choice.origin}",)
    return ("fitted on this chip, at other points than this",)


def _wider(run: Run, index: tuple[int, ...]) -> tuple[str, ...]:
    """Say that a chip computes in a wider format than the operands have."""
    if not bool(run.values(run.flags["precision-fallback"])[index]):
        return ()
    return (f"{run.grid.precisions[index[-1]]} runs in {run.formats[index[-1]]}",)


def _batch(run: Run, index: tuple[int, ...]) -> str:
    return f"{float(run.values(run.batch)[index]):,.0f}"


def _row(
    label: str, estimates: Sequence[Estimate], points: Sequence[Expected], higher: bool, unit: str = ""
) -> tuple[Cell, ...]:
    """Figures with intervals; the best is marked where it is sure, a bound is written as a limit."""
    odds = chances(estimates, higher, [ranks(point) for point in points])
    cells = [Cell(label)]
    for one, point, chance in zip(estimates, points, odds, strict=True):
        if not one.known:
            cells.append(Cell(DASH, unsure=True))
        elif point.grade == BOUND:
            cells.append(_bound(one.value, "≤" if higher else "≥", unit))
        else:
            cells.append(Cell(span(one, unit), best=chance >= SURE))
    return tuple(cells)


def _because(cell: Cell, point: Expected, run: Run) -> Cell:
    """A cell of joules; where they are not known, with the reason."""
    why = run.energy.why if ranks(point) and not point.joules.known else ""
    return attrs.evolve(cell, notes=(why.partition(";")[0],)) if why else cell


def _bound(value: float, sign: str, unit: str) -> Cell:
    return Cell(f"{sign} {span(Estimate(value), unit)}" if math.isfinite(value) else DASH, unsure=True)


def _dollars(block: Block, points: Sequence[Expected]) -> tuple[Cell, ...]:
    """Dollars per million items; ranked among the systems whose prices are of one kind."""
    shared, item = block.term, block.runs[0].item
    odds = chances([p.dollars for p in points], False, [ranks(p) and p.term is shared for p in points])
    side = {"tpot_s": " out", "ttft_s": " in"}.get(block.runs[0].latency, "")
    unit = f"$/Mtok{side}" if item == "token" else f"$/M{item}"
    cells = [Cell(f"  {unit}, {SHORT[shared]}" if shared is not None else f"  {unit}")]
    for point, run, chance in zip(points, block.runs, odds, strict=True):
        chip = run.system.chip
        if not point.dollars.known:
            lacks = point.term is None and point.seconds.known
            cells.append(Cell(DASH, (unpriced(chip),) if lacks else (), unsure=True))
            continue
        note: tuple[str, ...] = ()
        if point.term is not None and shared is not None and point.term is not shared:
            note = (unranked(point.term, shared),)
        if point.grade == BOUND:
            cells.append(Cell(f"≥ {compact(point.dollars.value)}", note, unsure=True))
        else:
            cells.append(Cell(span(point.dollars), note, best=chance >= SURE))
    return tuple(cells)


def unpriced(chip: Chip) -> str:
    """Why a chip has no dollars, which of its rates are of other terms, and what would supply one."""
    listed = HourlyCost.of_rates(System(chip)).listed
    others = [f"{SHORT[term]} {show(one.mid, 'USD/h')}" for term, one in listed.items() if one.mid >= 0]
    known = f"only {', '.join(others)} published" if others else "no price published"
    return f"{known}; give one with --price"


def unranked(term: Term, shared: Term) -> str:
    """Why a price is not ranked beside those of other terms."""
    return f"{term.said}, not ranked: no figure for {shared.said}"


def _chain(run: Run, index: tuple[int, ...]) -> Cell:
    """Algorithm, hardware and software, which multiply to the utilization."""
    if not bool(run.values(run.feasible)[index]):
        return Cell(DASH, unsure=True)
    useful, peak, roofline, model, seconds = (
        float(run.values(one)[index]) for one in (run.useful, run.peak, run.roofline, run.model, run.seconds)
    )
    factors = (useful / (peak * roofline), roofline / model, model / seconds)
    return Cell(" × ".join(compact(100.0 * one, 2) for one in factors))


def _verdicts(blocks: Sequence[Block], title: str) -> Table:
    """Who is fastest for one user, cheapest and most frugal, each with the chance that it is so."""
    busy = blocks[1] if len(blocks) > 1 and blocks[1].runs[0].phase == blocks[0].runs[0].phase else blocks[0]
    item = blocks[0].runs[0].item
    asked = (
        ("fastest for one user", blocks[0], "per_user", True),
        (f"cheapest per {item}", busy, "dollars", False),
        (f"most frugal per {item}", busy, "joules", False),
    )
    rows = tuple((Cell(label), Cell(_verdict(block, name, up))) for label, block, name, up in asked)
    return Table(title, (Cell(""), Cell("")), rows, packed=True)


def _verdict(block: Block, name: str, higher: bool) -> str:
    points, shared = block.points, block.term
    takes = [ranks(p) and (name != "dollars" or p.term is shared) for p in points]
    odds = chances([p.figures[name] for p in points], higher, takes)
    names = _names(block.runs)
    known = [(name, odd) for name, odd in zip(names, odds, strict=True) if math.isfinite(odd)]
    if not known:
        return "nobody can tell: fewer than two have a figure"
    first, *others = sorted(known, key=lambda pair: -pair[1])
    beside = f" ({shared.said})" if name == "dollars" and shared is not None else ""
    # Of a system that does not fit, or has a bound alone, its whole column says so.
    left = [
        name
        for name, odd, point in zip(names, odds, points, strict=True)
        if ranks(point) and not math.isfinite(odd)
    ]
    without = f"; no figure for {', '.join(left)}" if left else ""
    if first[1] >= SURE:
        return f"{first[0]}, {percent(first[1])} sure{beside}{without}"
    shown = ", ".join(f"{name} {percent(odd)}" for name, odd in (first, *others) if odd >= 0.05)
    return f"not sure: {shown}{beside}{without}"


def _names(runs: Sequence[Run]) -> list[str]:
    """Titles of the chips; with the software behind one that stands in several columns."""
    titles = [short(run.system.chip) for run in runs]
    if len(set(titles)) == 1 < len(titles):
        return [f"@{run.stack.name}" for run in runs]
    return [
        f"{title}@{run.stack.name}" if titles.count(title) > 1 else title
        for title, run in zip(titles, runs, strict=True)
    ]


def percent(chance: float) -> str:
    """Write a probability.

    Example:
        >>> percent(0.832), percent(0.998)
        ('83 %', '> 99 %')
    """
    return "> 99 %" if chance > 0.99 else f"{100 * chance:.0f} %"
