"""The one road: graph -> shard -> place -> plan -> cost -> time -> energy. No special cases, no chip's
formula.

utilization = useful / (peak x seconds) = algorithm x hardware x software; algorithm = (useful / peak) /
roofline, hardware = roofline / model, software = model / seconds. `model` runs operators one after the other
on ideal software; `bound_seconds`, beside it, lets them overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.model import partition
from inferbench.model.case import Case, prepare
from inferbench.model.intervals import MATERIAL, inside, step_log_errors
from inferbench.model.outside import strange_operators, unlike
from inferbench.model.refusal import idle_ranks, unfit, unsupported
from inferbench.model.step import Pass, one_layout, placed
from inferbench.num import Array, Indices, Mask, Numeric, fix
from inferbench.records.energy import Energy
from inferbench.records.grid import Grid, Point
from inferbench.records.op import ROLES, Op
from inferbench.records.placement import Footprint, Placement, Reason, Site
from inferbench.records.precision import WIDER
from inferbench.records.run import OpRow, Run
from inferbench.records.system import Layout

# Arrays that a run takes from the layout chosen at each point.
_SHARED = ("seconds", "model", "bound_seconds", "roofline", "silicon", "compulsory", "needed", "away")

REMEMBERED = 20_000
"""Points up to which the graphs of all layouts are kept in memory."""

__all__ = ["Case", "evaluate", "holds", "layouts_of", "placed", "prepare", "whole_chip"]


def evaluate(case: Case, grid: Grid, layouts: Sequence[Layout] | None = None, prefer: str = "latency") -> Run:
    """Evaluate a case at every point of a grid in one call.

    Args:
        case: From `prepare`.
        grid: Axes and precisions; float64, each axis in a dimension of its own.
        layouts: Candidates; None takes the system's own or searches all of its chip count. Point by point
            the fastest that fits is taken.
        prefer: `latency` (shortest step) or `throughput` (most items per second).

    Returns:
        A `Run` whose arrays broadcast to `grid.shape`; infeasible points keep their values and are masked by
        `feasible`.
    """
    at = grid.at
    if (
        case.graphs is None and grid.size <= REMEMBERED
    ):  # layouts share graphs: those that cut the batch alike
        case = attrs.evolve(case, graphs={})
    whole = case.graph(at)
    items = case.workload.items(case.network, at, case.phase.name)
    best = _search(
        case, at, whole, layouts or layouts_of(case, whole), items if prefer == "throughput" else None
    )
    given = case.system.layout if not layouts else None
    run = _run(case, grid, whole, items, best, idle_ranks(at, given))
    for record in (run, run.energy, run.footprint):  # no metric may change what the next one sees
        fix(attrs.astuple(record, recurse=False))
    return run


def holds(case: Case, at: Point, layout: Layout) -> Mask:
    """Mask of the points whose footprint fits, without costing anything."""
    return np.asarray(case.ignore_capacity | np.asarray(placed(case, at, layout)[0].placement.fits))


def layouts_of(case: Case, whole: Sequence[Op]) -> list[Layout]:
    """Layouts to try: the system's own, or all of its chip count.

    Raises:
        InferBenchError: The system's own spreads experts, and the network has none.
    """
    experts = any("experts" in op.split for op in whole)
    layout = case.system.layout
    if layout:
        if layout.ep > 1 and not experts:
            where, without = f"{case.system}:{layout}", f"{case.system}:{attrs.evolve(layout, ep=1)}"
            said = f"ep{layout.ep}: {case.network.name} has no experts to spread"
            raise InferBenchError.at(where, said, f"leave ep out: {without}")
        return [layout]
    if case.system.count == 1:
        return [Layout()]
    widest = partition.widest_tp(whole)
    return partition.candidates(case.system.count, case.layers, widest, experts, partition.attends(whole))


@attrs.define(eq=False)
class Best:
    """The best layout so far at every point; only two passes are ever in memory.

    Attributes:
        first: First pass, for what all layouts share.
        fields: Name to array, of the layout chosen at each point.
        rank: What is minimised, infinite where nothing fits yet; None until there is a choice.
        layouts: Layouts tried; `unlike` of each, where few points are asked.
        chosen: Index into them.
        rows: Breakdown of the layout that won everywhere, if one did.
    """

    first: Pass
    fields: dict[str, Numeric]
    rank: Numeric | None
    layouts: tuple[Layout, ...]
    chosen: Indices
    rows: tuple[OpRow, ...]
    unlike: tuple[Numeric | None, ...]

    @classmethod
    def start(cls, done: Pass) -> Best:
        """Begin with the first pass."""
        none = np.zeros((), dtype=np.intp)
        return cls(done, _fields(done), None, (done.layout,), none, done.rows, (_few(done.unlike),))

    @property
    def everywhere(self) -> bool:
        """Whether all points have a layout that fits and a time."""
        return bool(np.all(self.fields["fits"]) and np.all(np.isfinite(self.fields["seconds"])))

    def add(self, done: Pass, items: Numeric | None) -> None:
        """Take another pass where it is faster and fits, or where nothing fits and it needs less per chip."""
        before = _rank(self.first, items) if self.rank is None else self.rank
        self.rank = before
        fields, rank = _fields(done), _rank(done, items)
        homeless = np.isinf(rank) & np.isinf(before)
        better = (rank < before) | (homeless & (fields["needed"] < self.fields["needed"]))
        self.layouts, self.unlike = (*self.layouts, done.layout), (*self.unlike, _few(done.unlike))
        least = _least_bound(self.fields, fields)
        self._take(better, fields, rank, done)
        self.fields["bound_seconds"] = least

    def _take(self, better: Mask, fields: dict[str, Numeric], rank: Numeric, done: Pass) -> None:
        if not np.any(better):
            return
        last = len(self.layouts) - 1
        if np.all(better):
            self.fields, self.rank, self.chosen, self.rows = fields, rank, np.array(last), done.rows
            return
        names = dict.fromkeys([*self.fields, *fields])
        self.fields = {
            name: np.where(better, fields.get(name, 0.0), self.fields.get(name, 0.0)) for name in names
        }
        kept = np.inf if self.rank is None else self.rank
        self.rank, self.chosen = np.where(better, rank, kept), np.where(better, last, self.chosen)
        self.rows = ()


def _few(share: Numeric | None) -> Numeric | None:
    """A share that is kept of every layout: none of many points."""
    return None if share is None or np.size(share) > REMEMBERED else share


def _fields(done: Pass) -> dict[str, Numeric]:
    named = {name: getattr(done, name) for name in (*_SHARED, "fits", "log_error")}
    said = done.energy
    needs = done.footprint
    memory = {"weights": needs.weights, "state": needs.state, "activations": needs.activations}
    energy = {
        "joules": said.joules,
        "watts": said.watts,
        "throttle": said.throttle,
        "doubt": said.log_error,
        "waiting": said.parts.get("idle", np.nan),
    }
    return {
        **named,
        **memory,
        **energy,
        **{f"busy {engine}": seconds for engine, seconds in done.busy.items()},
        **{f"cause {name}": seconds for name, seconds in done.causes.items()},
    }


def _least_bound(one: dict[str, Numeric], other: dict[str, Numeric]) -> Numeric:
    """Return the shorter bound of two layouts that fit: a system whose layout is free has the least of
    all.
    """
    mine, theirs = one["bound_seconds"], other["bound_seconds"]
    least = np.fmin(mine, theirs)
    fits = np.asarray(one["fits"]), np.asarray(other["fits"])
    return np.where(fits[0] == fits[1], least, np.where(fits[0], mine, theirs))


def _rank(done: Pass, items: Numeric | None) -> Numeric:
    rank = done.seconds if items is None else done.seconds / items
    return np.where(done.fits, np.where(np.isnan(rank), np.inf, rank), np.inf)


def _search(
    case: Case, at: Point, whole: tuple[Op, ...], layouts: Sequence[Layout], items: Numeric | None
) -> Best:
    """Evaluate the layouts; one of several that an operator refuses (experts that don't divide) is left out.
    So is one that holds no point, once all points have a layout: until then it says what such points need.
    """
    best: Best | None = None
    refused: InferBenchError | None = None
    holding = _holding(attrs.evolve(case, beside=tuple(layouts)), at, layouts)
    case = attrs.evolve(case, beside=tuple(holding)) if len(holding) > 1 else case
    for layout in holding:
        try:
            if best is not None and best.everywhere and not holds(case, at, layout).any():
                continue
            done = one_layout(case, at, whole, layout)
        except InferBenchError as error:
            refused = error
            continue
        if best is None:
            best = Best.start(done)
        else:
            best.add(done, items)
    if best is None:
        assert refused is not None
        raise refused
    return best


def _holding(case: Case, at: Point, layouts: Sequence[Layout]) -> Sequence[Layout]:
    """Layouts that hold some point, where every point is held by one of them; else all, which say what the
    points need. Looked up only where graphs are kept, as then it costs nothing to ask twice.
    """
    if case.graphs is None or len(layouts) == 1:
        return layouts
    some, covered = [], np.zeros((), dtype=bool)
    for layout in layouts:
        try:
            mask = holds(case, at, layout)
        except InferBenchError:  # refused when it is costed, too
            continue
        covered = covered | mask
        some += [layout] if mask.any() else []
    return some if bool(np.all(covered)) else layouts


def whole_chip(case: Case) -> Site:
    """One chip with everything in its main memory: what peaks and ridge points are stated for."""
    anywhere = Placement(dict.fromkeys(ROLES, case.chip.main), {})
    return case.architecture.site(case.chip, placement=anywhere)


def _merged_energy(best: Best) -> Energy:
    """The energy of the layouts chosen; its parts where all points have one layout."""
    fields = best.fields
    return attrs.evolve(
        best.first.energy,
        joules=fields["joules"],
        watts=fields["watts"],
        throttle=fields["throttle"],
        log_error=fields["doubt"],
        parts=best.first.energy.parts if len(best.layouts) == 1 else {},
    )


def _feasible(
    case: Case, whole: tuple[Op, ...], best: Best, rate: Numeric, site: Site, idle: Reason | None
) -> tuple[Mask, tuple[Reason, ...]]:
    """Mask of the points that can be, and why the others can't."""
    fits = np.asarray(best.fields["fits"])
    feasible, reasons = np.logical_and(fits, np.isfinite(rate)), (idle,) if idle else ()
    if idle:
        feasible = feasible & ~idle.where
    if not feasible.all():
        small, unknown = (
            unfit(case, whole, best.first.reasons, np.asarray(best.fields["needed"]), ~fits),
            unsupported(np.isfinite(rate), site.peak),
        )
        reasons = (*reasons, *small, *unknown)
    return feasible, reasons


def _group(merged: dict[str, Numeric], group: str) -> dict[str, Array]:
    """Seconds per engine, or per cause, among the fields of the layouts chosen."""
    names = [name for name in merged if name.startswith(f"{group} ")]
    return {name.removeprefix(f"{group} "): np.asarray(merged[name], dtype=np.float64) for name in names}


def _run(
    case: Case, grid: Grid, whole: tuple[Op, ...], items: Numeric, best: Best, idle: Reason | None = None
) -> Run:
    first, merged = best.first, best.fields
    energy = _merged_energy(best)
    site = whole_chip(case)
    rate = site.rate_at(grid.at.precision)  # not of an operator: parts may be stored otherwise
    home = next(iter(first.chain["placement"].homes.values()), case.chip.main)
    feasible, reasons = _feasible(case, whole, best, rate, site, idle)
    at = grid.at
    formats = tuple(site.computes_in(point.compute) for point in at.precision.points)
    strange, said = _strange(case, at, best)
    log_error, of_power, of_energy = _log_errors(case, at, merged, energy)
    shared: dict[str, Any] = {name: merged[name] for name in _SHARED}
    return Run(
        system=case.system,
        network=case.network,
        workload=case.workload.name,
        phase=case.phase.name,
        latency=case.phase.latency,
        item=case.phase.item,
        choice=case.choice,
        scenario=case.scenario,
        grid=grid,
        **shared,
        footprint=Footprint(merged["weights"], merged["state"], merged["activations"]),
        useful=np.asarray(sum((op.useful * op.repeat for op in whole), 0.0), dtype=np.float64),
        peak=rate * case.system.count,
        ridge=rate / site.bandwidth(home),
        items=np.asarray(items, dtype=np.float64),
        batch=np.asarray(at["batch"], dtype=np.float64),
        busy=_group(merged, "busy"),
        causes=_group(merged, "cause"),
        energy=energy,
        feasible=feasible,
        reasons=reasons,
        layouts=best.layouts,
        layout=best.chosen,
        formats=formats,
        log_error=log_error,
        power_log_error=of_power,
        energy_log_error=of_energy,
        reserve=case.reserve,
        options=_named(case),
        flags=_flags(case, at, energy, formats, strange) | _spilled(merged["away"]),
        strange=said,
        ops=best.rows,
        chain=first.chain,
    )


def _log_errors(
    case: Case, at: Point, merged: dict[str, Numeric], energy: Energy
) -> tuple[Numeric, Numeric, Numeric]:
    """Log standard errors of time, power and energy; of the latter two NaN where nobody asks."""
    log_error = merged["log_error"]
    if not case.intervals or case.bare or not case.stack.fit.rows:
        return log_error, np.asarray(np.nan), np.asarray(np.nan)
    return log_error, *step_log_errors(case, at, log_error, energy, merged["waiting"])


def _named(case: Case) -> dict[str, object]:
    """Workload options that differ from their defaults: a result always names them."""
    default = type(case.options)()
    pairs = {field.name: getattr(case.options, field.name) for field in attrs.fields(type(case.options))}
    return {name: value for name, value in pairs.items() if value != getattr(default, name)}


def _strange(case: Case, at: Point, best: Best) -> tuple[Mask, tuple[str, ...]]:
    """Whether a step's operators leave the boxes they were fitted in, and which of them do."""
    if not case.stack.fit.rows or case.stack.grade or case.bare or not case.boxed:
        return np.asarray(False), ()
    strange: Mask = np.asarray(False)
    said: tuple[str, ...] = ()
    for index in set(np.ravel(best.chosen).tolist()):
        mine, share = best.chosen == index, best.unlike[int(index)]
        if share is None:
            site, graph, _, _ = placed(case, at, best.layouts[int(index)])
            share = unlike(case.stack, graph.ops, site)
        here = mine & (share > MATERIAL)
        strange = np.where(mine, here, strange)
        if np.any(here):
            graph = placed(case, at, best.layouts[int(index)])[1]
            said = (*said, *strange_operators(case.stack, graph.ops))
    return strange, tuple(dict.fromkeys(said))


def _spilled(away: Numeric) -> dict[str, Mask]:
    """Where something lives in a slower level of memory than the first; nothing if it does nowhere."""
    beyond = np.asarray(away) > 0
    return {"spilled": beyond} if beyond.any() else {}


def _flags(case: Case, at: Point, energy: Energy, formats: tuple[str, ...], strange: Mask) -> dict[str, Mask]:
    """Masks of what a reader must know about a point."""
    points = at.precision.points
    fallback = [float(WIDER[p.compute][0] != name) for p, name in zip(points, formats, strict=True)]
    flags: dict[str, Mask] = {"precision-fallback": at.precision.along_axis(fallback) > 0}
    capacity = case.chip.capacity
    if case.ignore_capacity:
        flags["capacity-ignored"] = np.asarray(True)
    elif np.isnan(capacity):
        flags["capacity-unknown"] = np.asarray(True)
    flags["throttled"] = np.asarray(energy.throttle) > 1.0 + 1e-12
    if energy.estimated:
        flags["power-estimated"] = np.asarray(True)
    if case.stack.fit.rows and case.boxed and not case.bare:
        flags["extrapolated"] = ~inside(case, at) | strange
    return flags
