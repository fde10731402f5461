"""The tables of `list chips` and `list stacks`: one line each."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from inferbench.discovery.entries import FILE
from inferbench.discovery.ownership import Trust, trust
from inferbench.discovery.registry import Entry, Problem, Registry
from inferbench.errors import InferBenchError
from inferbench.model.choice import BEST, choose
from inferbench.model.own_formats import own_formats
from inferbench.records.chip import Chip
from inferbench.records.fit import Domain
from inferbench.records.network import Network
from inferbench.records.scenario import HourlyCost, Term
from inferbench.records.stack import Stack
from inferbench.records.system import System
from inferbench.report.answer import compact
from inferbench.report.grades import SYMBOLS, grade_legend
from inferbench.report.model import DASH, Cell, Table

__all__ = ["TABLES", "box_of", "chip_row", "chips_table", "stack_row", "stacks_table", "version_of"]

EIGHT_BITS = ("fp8", "int8")
# On what a chip's software is judged: the first point of this suite, else nothing in particular.
SUITE = "reference"
# Numbers of a version behind the name of a library: `TRTLLM-1.3`, `vLLM 0.14`, `NCCL 2.29`.
_VERSION = re.compile(r"[A-Za-z][ -](?:\w+ )?(\d+(?:\.\d+)+)")
_YEAR = re.compile(r"\b(20\d\d)\b")
# Phases that are all of a language model's, and so say little in one line.
LANGUAGE = {"prefill", "decode", "generate"}

# Products, attention and collectives together are all that a network runs.
ALL_KINDS = 3
# Axes of a box that one line has room for.
FORMATS_LISTED = 2
MOST_AXES = 2

Row = dict[str, Any]


def chip_row(chip: Chip, registry: Registry) -> Row:
    """Return one chip as plain data, SI; None where nobody published a figure.

    Args:
        chip: As its spec has it.
        registry: Of architectures, which may derive a peak, and of stacks.
    """
    architecture = registry.architecture(chip.architecture_type)
    peaks = {name: float(architecture.peak(chip, name)) for name in EIGHT_BITS if name in chip.peak}
    fastest = max(peaks, key=lambda name: peaks[name], default=None)
    memory, price = chip.memory[chip.main], chip.price
    chosen = choose(BEST, chip, *_asked(chip, registry), registry)
    return {
        "title": chip.title,
        "vendor": chip.vendor,
        "architecture": chip.architecture_type,
        "year": chip.silicon.year,
        "memory": chip.main,
        "memory_bytes": _known(memory.capacity),
        "bandwidth_bytes_per_s": _known(memory.bandwidth),
        "peak_8_bit_ops_per_s": peaks.get(fastest) if fastest else None,
        "peak_8_bit_format": fastest,
        "tdp_w": _known(chip.power.tdp),
        "idle_w": _known(chip.power.idle),
        "power_boundary": chip.power.boundary,
        "usd_purchase": _known(price.purchase.mid),
        **{
            _hourly(term): _known(rate.mid) for term, rate in HourlyCost.of_rates(System(chip)).listed.items()
        },
        "best_stack": chosen.stack.name,
        "grade": chosen.grade,
    }


def _hourly(term: Term) -> str:
    """Column of what a chip's hour costs on a term."""
    return f"usd_per_hour_{term}"


def _owned(entry: Entry) -> Row:
    return {"name": entry.name, "package": entry.owner, "version": entry.version}


def _asked(chip: Chip, registry: Registry) -> tuple[Network | None, str, str]:
    """Network, phase and format by which software for a chip is chosen; no network where none can be read."""
    if SUITE not in registry.entries("suites"):
        return None, "decode", "fp8"
    point = registry.get("suites", SUITE).points[0]
    network = None
    if point.network in registry.entries("networks"):
        with suppress(InferBenchError):  # its workload is another package's
            network = registry.network(point.network)
    own = own_formats([point.precision], chip, registry)[0][0]
    return network, point.phase, own


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _scaled(unit: float, digits: int = 3) -> Callable[[float | None], str]:
    return lambda value: DASH if value is None else f"{float(f'{value / unit:.{digits}g}'):,.10g}"


def _price(row: Row) -> str:
    """What it costs to buy, else to rent for an hour."""
    if row["usd_purchase"] is not None:
        return compact(row["usd_purchase"])
    rent = row[_hourly(Term.ON_DEMAND)]
    return DASH if rent is None else f"{compact(rent)}/h"


def _readable(registry: Registry) -> Iterator[Row]:
    """Yield a row per chip; one whose file is faulty costs only itself, and its package is told."""
    for name, entry in sorted(registry.entries("chips").items()):
        try:
            row = chip_row(registry.chip(name), registry)
        except InferBenchError as error:
            faults = [Problem(entry.owner, one.place, one.found, one.remedy) for one in error.faults]
            registry.problems += [one for one in faults if one not in registry.problems]
        else:
            yield {"kind": "chips", **_owned(entry), **row}


def chips_table(registry: Registry, long: bool = False) -> tuple[Table, tuple[Row, ...]]:
    """Return a line per chip, and the same as data.

    Args:
        registry: Whose chips.
        long: With power at rest, prices by term, the stack's and the package's names.
    """
    rows = tuple(_readable(registry))
    columns: dict[str, Callable[[Row], str]] = {
        "chip": lambda row: row["name"],
        "vendor": lambda row: row["vendor"].partition(" (")[0],
        "year": lambda row: str(row["year"] or DASH),
        "GB": lambda row: _scaled(1e9)(row["memory_bytes"]),
        "TB/s": lambda row: _scaled(1e12)(row["bandwidth_bytes_per_s"]),
        "TOPS": lambda row: _scaled(1e12)(row["peak_8_bit_ops_per_s"]),
        "W": lambda row: _scaled(1.0)(row["tdp_w"]),
        "price": _price,
        "best": lambda row: f"{SYMBOLS[row['grade']]}",
    }
    if long:
        columns |= {
            "stack": lambda row: row["best_stack"],
            "architecture": lambda row: row["architecture"],
            "memory": lambda row: row["memory"],
            "8-bit": lambda row: row["peak_8_bit_format"] or DASH,
            "idle W": lambda row: _scaled(1.0)(row["idle_w"]),
            "buy $": lambda row: _scaled(1.0)(row["usd_purchase"]),
            "TCO $/h": lambda row: _scaled(1.0)(row[_hourly(Term.OWNERSHIP)]),
            "rent $/h": lambda row: _scaled(1.0)(row[_hourly(Term.ON_DEMAND)]),
            "1 y $/h": lambda row: _scaled(1.0)(row[_hourly(Term.RESERVED_1Y)]),
            "3 y $/h": lambda row: _scaled(1.0)(row[_hourly(Term.RESERVED_3Y)]),
            "package": lambda row: row["package"],
        }
        del columns["price"]
    legend = (
        "GB and TB/s: largest memory   TOPS: dense, fastest 8-bit format   W: TDP",
        "price: $ to buy, else to rent for an hour on demand   – none published",
        f"best: grade under the nearest software   {grade_legend(row['grade'] for row in rows)}",
    )
    return _table(f"chips ({len(rows)})", *_with_owners(columns, rows, legend, long), rows), rows


def _foreign(row: Row) -> bool:
    """Whether a record is neither of the project nor of a file that the user names."""
    return row["version"] != FILE and trust(row["package"]) > Trust.PROJECT


def _with_owners(
    columns: Mapping[str, Callable[[Row], str]], rows: tuple[Row, ...], legend: tuple[str, ...], long: bool
) -> tuple[Mapping[str, Callable[[Row], str]], tuple[str, ...]]:
    """Add a column that says whose a record is, if one is not of the project; the long table says it anyway.

    Its numbers lead to names below the table, and it takes the place of the year: 80 columns have no more.
    """
    others = sorted({row["package"] for row in rows if _foreign(row)})
    if long or not others:
        return columns, legend
    number = {name: str(place) for place, name in enumerate(others, 1)}
    named = "   ".join(f"{place} {name}" for name, place in number.items())
    of: dict[str, Callable[[Row], str]] = {"of": lambda row: number.get(row["package"], "")}
    kept = {name: write for name, write in columns.items() if name != "year"}
    return {**kept, **of}, (*legend, f"of: package, if not of the project   {named}")


def stack_row(stack: Stack) -> Row:
    """Return one stack as plain data: whom it was fitted on, how well, and the box in which it holds.

    Args:
        stack: Fitted or not.
    """
    fit = stack.fit
    return {
        "title": stack.title,
        "chips": list(stack.domain.chips),
        "architectures": list(stack.architectures),
        "family": stack.family or None,
        "software_version": version_of(stack) or None,
        "grade": stack.grade or None,
        "based_on": stack.based_on or None,
        "rows": fit.rows,
        "error": _known(fit.error / 100.0),
        "log_error": _known(fit.step if math.isfinite(fit.step) else fit.kernel),
        "date": fit.date or None,
        "box": box_of(stack.domain),
    }


def version_of(stack: Stack) -> str:
    """Return the version of a stack's software, or the year that stands for it; empty where it has none.

    Example:
        >>> version_of(Stack(name="a", title="TensorRT-LLM 1.3 on the B200"))
        '1.3'
        >>> version_of(Stack(name="b", title="Groq compiler, 2024"))
        '2024'
    """
    for text in (stack.title, *stack.software):
        if found := _VERSION.search(text):
            return found[1]
    year = _YEAR.search(stack.title)
    return year[1] if year else ""


def box_of(domain: Domain, short: bool = False) -> str:
    """Write in few words where a stack was seen to hold: phases, formats, axes, kinds of operator.

    Args:
        domain: The box.
        short: In fewer still, for a column: the first formats, and counts rounded.

    Example:
        >>> box_of(Domain(phases=("decode",), precisions=("fp8",), axes={"batch": (1.0, 1640.0)}))
        'fp8; batch 1–1,640'
        >>> box_of(Domain(precisions=("bf16", "fp8", "int8"), axes={"batch": (1.0, 1640.0)}), short=True)
        'bf16, fp8 +1; batch 1–1.6k'
    """
    count = _rounded if short else _count
    phases = [] if set(domain.phases) & LANGUAGE else list(domain.phases)
    axes = [
        f"{name} {count(low)}" if low == high else f"{name} {count(low)}–{count(high)}"
        for name, (low, high) in list(domain.axes.items())[:MOST_AXES]
    ]
    kinds = list(dict.fromkeys(key.split(".")[0] for key in domain.ops))
    kinds = kinds if len(kinds) < ALL_KINDS else ["all kernels"]
    parts = (
        ", ".join(phases),
        _first(domain.precisions, FORMATS_LISTED) if short else ", ".join(domain.precisions),
        ", ".join(axes),
        "" if axes else ", ".join(kinds),
    )
    return "; ".join(part for part in parts if part)


def _first(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" +{more}" if more > 0 else "")


def _rounded(value: float) -> str:
    """A count in two digits: 1.6k."""
    return f"{float(f'{value:.2g}') / 1e3:g}k" if value >= 1e3 else f"{value:.0f}"


def _count(value: float) -> str:
    return compact(value) if value >= 1e5 else f"{value:,.0f}"


def stacks_table(registry: Registry, long: bool = False) -> tuple[Table, tuple[Row, ...]]:
    """Return a line per stack, and the same as data.

    Args:
        registry: Whose stacks.
        long: With the stack's title, what it is based on, rows and date.
    """
    entries = registry.entries("stacks")
    rows = tuple(
        {"kind": "stacks", **_owned(entries[name]), **stack_row(registry.stack(name))}
        for name in registry.names("stacks")
    )
    columns: dict[str, Callable[[Row], str]] = {
        "stack": lambda row: row["name"],
        "chip": lambda row: _first(row["chips"], 1) or (f"any {_types(row)}" if row["grade"] else DASH),
        "software": lambda row: row["family"] or DASH,
        "version": lambda row: row["software_version"] or DASH,
        "error": _error,
        "box": lambda row: box_of(registry.stack(row["name"]).domain, short=not long) or DASH,
    }
    if long:
        columns |= {
            "title": lambda row: row["title"],
            "based on": lambda row: row["based_on"] or DASH,
            "rows": lambda row: f"{row['rows']:,}" if row["rows"] else DASH,
            "fitted": lambda row: row["date"] or DASH,
            "package": lambda row: row["package"],
        }
    legend = (
        "error: mean over rows left out; × the factor within which nine in ten lie",
        "box: phases, formats, axes, operators that it was fitted on",
    )
    return _table(f"stacks ({len(rows)})", *_with_owners(columns, rows, legend, long), rows), rows


def _types(row: Row) -> str:
    return ", ".join(row["architectures"]) or "chip"


def _error(row: Row) -> str:
    if row["error"] is not None:
        return f"{100 * row['error']:.2g} %"
    if row["log_error"] is not None:
        return f"× {math.exp(1.645 * row['log_error']):.2g}"
    return DASH


def _table(
    title: str, columns: Mapping[str, Callable[[Row], str]], legend: tuple[str, ...], rows: tuple[Row, ...]
) -> Table:
    """Rows as text; numbers end below each other."""
    written = [[write(row) for row in rows] for write in columns.values()]
    aligned = []
    for texts in written:
        width = max((len(text) for text in texts if text[:1].isdigit()), default=0)
        aligned.append([_cell(text.rjust(width) if text[:1].isdigit() else text) for text in texts])
    return Table(
        title, tuple(Cell(name) for name in columns), tuple(zip(*aligned, strict=True)), legend=legend
    )


def _cell(text: str) -> Cell:
    return Cell(text, unsure=text == DASH)


TABLES = {"chips": chips_table, "stacks": stacks_table}
