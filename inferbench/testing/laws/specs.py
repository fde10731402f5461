"""Laws of specs: figures with sources, physics that adds up, and figures that fit those of record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from inferbench.discovery.ownership import Trust, trust
from inferbench.errors import InferBenchError
from inferbench.records.chip import Chip, Link
from inferbench.records.interfaces import Architecture
from inferbench.testing.laws.law import Broken, Subject, law
from inferbench.units import Range, show

__all__: list[str] = []

# Bit cells of SRAM in square metres by process: 28 nm and 16 nm by TSMC's papers at IEDM, 14 nm Samsung's, 7
# nm and 5 nm by TSMC's at ISSCC 2017 and 2020. Newer processes have shrunk logic and hardly the cell.
CELLS = {
    28e-9: 0.127e-12,
    16e-9: 0.070e-12,
    14e-9: 0.064e-12,
    7e-9: 0.027e-12,
    5e-9: 0.021e-12,
    0.0: 0.0199e-12,
}
ON_CHIP = ("sram", "l2", "l1", "cache")
# Joules of one operation, half of a multiplier and its adder: Jouppi et al., Ten Lessons From Three
# Generations, ISCA 2021, table 2 (7 nm). Better processes and design are given a factor of three.
MULTIPLIERS = {"bf16": 0.295e-12, "fp16": 0.36e-12, "int8": 0.0385e-12}
LEEWAY = 3.0
# Bits per second of the fastest pin: HBM4 as announced by its makers (JESD270-4 itself says 8 Gbit/s), and
# the highest class of GDDR7, JESD239.
HBM_PIN = 12.8e9
ANY_PIN = 48e9


def _facts(subject: Subject) -> Mapping[str, Any]:
    return getattr(subject.record, "facts", None) or {}


def figures_have_sources(subject: Subject) -> Iterator[Broken]:
    """Every number of a spec says where it comes from, or why it is missing."""
    facts = _facts(subject)
    if not facts and subject.kind == "chips":
        yield Broken(
            "", "a chip made by code has no facts to show", "describe it in a TOML file with sources"
        )
    for path, fact in facts.items():
        if isinstance(fact.value, str | bool) or fact.missing or fact.source:
            continue
        if fact.value is not None and not _structural(path):
            yield Broken(
                path, f"{_shown(fact)} has no source", "cite one: `[sources]`, and `source` or `[key]`"
            )


def _structural(path: str) -> bool:
    """Numbers that say how the spec is built, not what somebody published."""
    return path.rpartition(".")[2] in ("dimensions", "rounding", "size", "year") or path.startswith(
        "network."
    )


def _shown(fact: Any) -> str:
    return show(fact.value, fact.unit) if isinstance(fact.value, float) else f"{fact.value}"


for _kind in ("chips", "systems", "scenarios"):
    law(_kind, quick=_kind == "chips")(figures_have_sources)


def _numbers(chip: Chip) -> Iterator[tuple[str, Any, bool]]:
    """Every figure: key path, value, and whether it may be zero."""
    yield from ((f"peak.{name}", value, False) for name, value in chip.peak.items())
    for name, level in chip.memory.items():
        yield f"memory.{name}.capacity", level.capacity, False
        yield f"memory.{name}.bandwidth", level.bandwidth, False
    for name, link in chip.interconnect.items():
        yield f"interconnect.{name}.bandwidth", link.bandwidth, False
        yield f"interconnect.{name}.latency", link.latency, True
    yield "power.tdp", chip.power.tdp, False
    yield "power.idle", chip.power.idle, True
    yield "silicon.area", chip.silicon.area, False
    yield "silicon.node", chip.silicon.node, False


@law("chips", quick=True)
def figures_of_a_chip_are_numbers(subject: Subject) -> Iterator[Broken]:
    """Every figure of a chip is positive and finite, or missing; memory there is at least one."""
    chip: Chip = subject.record
    if not chip.memory:
        yield Broken("memory", "the chip has none", "add [memory.<level>] with capacity and bandwidth")
    for path, value, zero in _numbers(chip):
        if isinstance(value, str):
            yield Broken(path, f"'{value:.30}' is no number", "give SI units: 96e9, not '96 GB'")
        elif math.isinf(value) or value < 0 or (value == 0 and not zero):
            yield Broken(path, f"it is {value:g}", "positive and finite, or { missing = 'why' }")


@law("chips")
def ranges_have_a_low_and_a_high_end(subject: Subject) -> Iterator[Broken]:
    """A range of prices contains its middle: the low end is not above the high one."""
    price = subject.record.price
    rental = price.rental
    for path, value in (
        ("price.purchase", price.purchase),
        ("price.ownership", price.ownership),
        ("price.rental.on_demand", rental.on_demand),
        ("price.rental.reserved_1y", rental.reserved_1y),
        ("price.rental.reserved_3y", rental.reserved_3y),
    ):
        if isinstance(value, Range) and not math.isnan(value.low) and not 0 <= value.low <= value.high:
            yield Broken(path, f"{value.low:g} to {value.high:g}", "write the lower figure first")


@law("chips", quick=True)
def idle_is_below_the_limit(subject: Subject) -> Iterator[Broken]:
    """A chip that does nothing draws less than its power limit."""
    power = subject.record.power
    if power.idle >= power.tdp:
        yield Broken(
            "power.idle",
            f"idle {power.idle:g} W, TDP {power.tdp:g} W",
            "check both; idle is with nothing to do",
        )


PER: Mapping[str, Callable[[Chip], float]] = {
    "TDP": lambda chip: chip.power.tdp,
    "die": lambda chip: chip.silicon.area,
}


@law("chips", doubt=True)
def peaks_are_of_dense_products(subject: Subject) -> Iterator[Broken]:
    """A peak costs at least the energy of its multipliers, and is not far ahead of all chips of its year in
    operations per joule or per area: peaks of sparse products are.
    """
    chip: Chip = subject.record
    noted = {path for path, fact in _facts(subject).items() if fact.note}
    models = subject.registry.entries("architectures")
    own = type(models[chip.architecture_type].record) if chip.architecture_type in models else Architecture
    if own.peak is not Architecture.peak:
        return  # it computes peaks itself: no multipliers
    for name, joules in MULTIPLIERS.items():
        peak = chip.peak.get(name, math.nan)
        each = chip.power.tdp / peak
        if each < joules / LEEWAY and f"peak.{name}" not in noted:
            yield Broken(
                f"peak.{name}",
                f"{each * 1e12:.3g} pJ per operation at the TDP; multipliers take {joules * 1e12:.3g}",
                "give the dense peak, and the TDP of the same boundary",
            )
    year = chip.silicon.year or 10000
    for name in (name for name in chip.peak if f"peak.{name}" not in noted):
        for what, per in PER.items():
            mine = chip.peak[name] / per(chip)
            known = [
                (other.peak[name] / per(other), other.name)
                for other in _of_record(subject)
                if name in other.peak and (other.silicon.year or 0) <= year + 1
                if other.architecture_type == chip.architecture_type
            ]
            known = [one for one in known if math.isfinite(one[0])]
            if len(known) >= 3 and mine > 1.25 * max(known)[0]:
                yield Broken(
                    f"peak.{name}",
                    f"{mine / max(known)[0]:.2f} times the peak per {what} of {max(known)[1]}, the best of"
                    f" record by {year if year < 10000 else 'today'}",
                    "give the dense peak (1 multiply-add = 2 operations), or a note that explains it",
                )


@law("chips", doubt=True)
def peaks_are_units_times_clock(subject: Subject) -> Iterator[Broken]:
    """A peak is units times clock times operations per cycle: of a multiprocessor a power of two, or one and
    a half times one; of systolic arrays twice their cells.
    """
    chip: Chip = subject.record
    table = chip.architecture
    clock = getattr(table, "clock", math.nan)
    noted = {path for path, fact in _facts(subject).items() if fact.note}
    for name, peak in chip.peak.items():
        if f"peak.{name}" in noted or "architecture.clock" in noted or name in ("fp32", "tf32", "fp64"):
            continue
        if getattr(table, "sms", 0):
            each = peak / (table.sms * clock)
            near = min(abs(each / (step * 2.0**power) - 1) for power in range(5, 18) for step in (1, 1.5))
            wants = "a power of two, or one and a half"
        elif all(getattr(table, key, 0) for key in ("rows", "columns", "arrays")):
            each = peak / (table.rows * table.columns * table.arrays * clock) / 2
            near = min(abs(each / step - 1) for step in (0.25, 0.5, 1, 2, 4, 8))
            wants = "one multiply-add, or a power of two of them"
        else:
            continue
        if near > 0.08:
            yield Broken(
                f"peak.{name}",
                f"{show(peak, 'OP/s')} is {each:.4g} operations per unit and cycle; {wants} is usual",
                "check units, clock and peak, or say in a note how it was published",
            )


@law("chips", doubt=True)
def bandwidth_is_pins_times_rate(subject: Subject) -> Iterator[Broken]:
    """The bandwidth of a memory is its pins times the rate of one; no pin is faster than any that exists."""
    noted = {path for path, fact in _facts(subject).items() if fact.note}
    for name, level in subject.record.memory.items():
        path = f"memory.{name}.bandwidth"
        if level.pins is None or math.isnan(level.bandwidth) or path in noted:
            continue
        each = 8 * level.bandwidth / level.pins
        fastest = HBM_PIN if name == "hbm" else ANY_PIN
        if math.isfinite(level.rate) and abs(each / level.rate - 1) > 0.03:
            carried = show(level.pins * level.rate / 8, "B/s")
            found = f"{level.pins:,} pins at {show(level.rate, 'bit/s')} carry {carried}"
            yield Broken(
                path, f"{show(level.bandwidth, 'B/s')}, and {found}", "check all three, or say why in a note"
            )
        elif each > fastest:
            found = f"each of {level.pins:,} pins would carry {show(each, 'bit/s')}"
            limit = f"the fastest carry {show(fastest, 'bit/s')}"
            yield Broken(path, f"{found}; {limit}", "give bytes per second of reads, and all pins")


@law("chips", doubt=True)
def memory_fits_on_the_die(subject: Subject) -> Iterator[Broken]:
    """Memory on the chip takes less area than the dies have: bits times the cell of the process."""
    chip: Chip = subject.record
    if math.isnan(chip.silicon.node) or math.isnan(chip.silicon.area):
        return
    cell = next(area for node, area in CELLS.items() if chip.silicon.node >= node * 0.99)
    for name, level in chip.memory.items():
        if name.startswith(ON_CHIP):
            area = 8 * level.capacity * cell
            if area > 0.8 * chip.silicon.area:
                yield Broken(
                    f"memory.{name}.capacity",
                    f"{show(level.capacity, 'B')} of cells take {area * 1e6:.4g} mm2 of"
                    f" {chip.silicon.area * 1e6:.4g}",
                    "check capacity, dies and process; only memory on the chip has such a name",
                )


UNLINKED = Link("none", math.nan)
RATIOS: tuple[tuple[str, str, Callable[[Chip], float], float], ...] = (
    (
        "price.purchase",
        "dollars per gigabyte of memory",
        lambda c: c.price.purchase.mid / c.memory[c.outermost].capacity * 1e9,
        4.0,
    ),
    ("price.purchase", "dollars per mm2", lambda c: c.price.purchase.mid / (c.silicon.area * 1e6), 4.0),
    (
        "memory.hbm.bandwidth",
        "reads of the whole HBM per second",
        lambda c: c.memory["hbm"].bandwidth / c.memory["hbm"].capacity if "hbm" in c.memory else math.nan,
        2.0,
    ),
    ("power.tdp", "W at most", lambda c: c.power.tdp, 4.0),
    (
        "power.tdp",
        "J per operation of the fastest format, at the TDP",
        lambda c: c.power.tdp / max(c.peak.values(), default=math.nan),
        4.0,
    ),
    ("power.idle", "of the TDP when idle", lambda c: c.power.idle / c.power.tdp, 4.0),
    ("silicon.area", "m2 of dies", lambda c: c.silicon.area, 4.0),
    ("silicon.node", "m of process", lambda c: c.silicon.node, 2.0),
    ("silicon.year", "years after 2000", lambda c: (c.silicon.year or math.nan) - 2000, 2.0),
    ("price.rental.on_demand", "dollars an hour", lambda c: c.price.rental.on_demand.mid, 4.0),
    ("interconnect.scale_up.bandwidth", "B/s to other chips", lambda c: _link(c).bandwidth, 4.0),
    ("interconnect.scale_up.latency", "s to other chips", lambda c: _link(c).latency, 10.0),
)


def _link(chip: Chip) -> Link:
    return chip.interconnect.get("scale_up", UNLINKED)


def _of_record(subject: Subject) -> list[Chip]:
    """Chips of packages of record, without the one that is judged."""
    found = []
    for name, entry in subject.registry.entries("chips").items():
        if trust(entry.owner) >= Trust.STRANGER or name == subject.name:
            continue
        try:
            found.append(subject.registry.chip(name))
        except InferBenchError:
            continue
    return found


@law("chips", doubt=True)
def figures_fit_those_of_record(subject: Subject) -> Iterator[Broken]:
    """Price, power, dies, links, year, and HBM's bandwidth per capacity lie near those of chips of record;
    a figure in another unit does not.
    """
    chip: Chip = subject.record
    for path, what, ratio, leeway in RATIOS:
        mine = ratio(chip)
        known = [value for value in map(ratio, _of_record(subject)) if math.isfinite(value)]
        if math.isnan(mine) or len(known) < 5 or min(known) / leeway <= mine <= max(known) * leeway:
            continue
        fact = _facts(subject).get(path)
        if fact is None or not fact.note:
            text = f"{mine:.4g} {what}; chips of record have {min(known):.4g} to {max(known):.4g}"
            yield Broken(path, text, "check the figure and its unit, or say in a note why it is so")


@law("chips", quick=True)
def links_name_installed_fabrics(subject: Subject) -> Iterator[Broken]:
    """A link names a fabric that some installed package provides."""
    known = subject.registry.names("fabrics")
    for key, link in subject.record.interconnect.items():
        if known and link.fabric not in known:
            text = f"no installed package provides the fabric '{link.fabric}'"
            yield Broken(f"interconnect.{key}.fabric", text, f"installed are {', '.join(known)}")


@law("scenarios")
def money_is_plausible(subject: Subject) -> Iterator[Broken]:
    """A scenario's factors are at least one, shares lie in (0, 1], and the rest is positive."""
    one = subject.record
    for name, low, high in (
        ("pue", 1.0, 5.0),
        ("system_factor", 1.0, 10.0),
        ("utilization", 1e-9, 1.0),
        ("depreciation", 86400.0, 1e10),
        ("electricity", 0.0, 10.0),
    ):
        value = getattr(one, name)
        if not low <= value <= high:
            yield Broken(
                name, f"it is {value:g}; between {low:g} and {high:g} was expected", "check the unit"
            )


@law("suites")
def points_can_be_run(subject: Subject) -> Iterator[Broken]:
    """A suite's points name networks that are installed."""
    known = subject.registry.names("networks")
    for point in subject.record.points:
        network = point.network
        if known and network not in known:
            yield Broken(point.network, f"no installed package provides '{network}'", "depend on its package")


@law("tables")
def a_table_is_what_it_says(subject: Subject) -> Iterator[Broken]:
    """A published table has the bytes of its hash and as many rows as it says."""
    import hashlib

    raw = subject.record.read()
    digest = hashlib.sha256(raw).hexdigest()
    if digest != subject.record.sha256:
        yield Broken("sha256", f"{digest[:12]}…, and {subject.record.sha256[:12]}… is given", "hash it again")
    rows = max(0, len(raw.decode("utf-8", "replace").strip().splitlines()) - 1)
    if rows != subject.record.rows:
        yield Broken("rows", f"{rows} rows, and {subject.record.rows} are given", "count them again")
