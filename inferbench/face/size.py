"""`size`: the fewest chips and the cheapest layout that meet a limit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError, suggest
from inferbench.face.answer import Answer
from inferbench.face.asked import duration, example_chips, find, listed, one_number, one_phase, scenario_of
from inferbench.model.choice import BEST, choose
from inferbench.records.interfaces import Phase
from inferbench.records.network import Network
from inferbench.records.system import SystemName
from inferbench.report.following import axis_words
from inferbench.report.model import Next, Report
from inferbench.report.sizing import sizing_report
from inferbench.serving.sizing import Demand, Sized
from inferbench.serving.sizing import size as of_chip
from inferbench.specs.ranges import Axis, points_of

__all__ = ["Sizing", "size"]

MOST_USERS = 10_000_000
_LIMITS = {"tpot_s": "tpot", "ttft_s": "ttft", "latency_s": "latency"}


@attrs.frozen(eq=False, repr=False)
class Sizing(Answer):
    """The smallest and the cheapest system of each chip that meets a demand.

    Attributes:
        chips: What was found for each chip.
        demand: What must be met.
        given: Axes as they were given, for the command proposed next.
    """

    chips: tuple[Sized, ...]
    demand: Demand
    given: Mapping[str, str]

    def report(self, verbose: bool = False) -> Report:
        """Return one table, chips as columns."""
        return sizing_report(self.chips, self.demand, self._next())

    def summary(self) -> str:
        """Name the work, the users and the smallest systems."""
        found = ", ".join(
            str(one.fewest.system if one.fewest else f"no {one.chip.name}") for one in self.chips
        )
        return f"of {self.demand.network.name}/{self.demand.phase} for {self.demand.users:,} users: {found}"

    def _next(self) -> Next:
        """The command that shows the smallest system found."""
        best = next((one.fewest for one in self.chips if one.fewest is not None), None)
        if best is None:
            return Next("list", ("chips",))
        work = f"{self.demand.network.name}/{self.demand.phase}"
        batch, axes = ("--batch", str(self.demand.users)), axis_words(self.demand.axes)
        system = f"{best.system}:{best.system.layout}@{best.run.stack.name}"
        return Next("run", (system, work, *batch, *axes, "--precision", self.demand.precision))


def size(
    workload: str,
    chips: str | Sequence[str],
    users: float | str,
    *,
    tpot: str | float | None = None,
    ttft: str | float | None = None,
    latency: str | float | None = None,
    precision: str | Sequence[str] = "fp8",
    stack: str = BEST,
    scenario: str = "reference",
    options: Mapping[str, object] | None = None,
    ignore_capacity: bool = False,
    reserve: str | float | None = None,
    registry: Registry | None = None,
    **axes: Axis,
) -> Sizing:
    """Find the fewest chips and the cheapest layout that serve so many users within a limit.

    Args:
        workload: `network/phase`.
        chips: Chips to choose from, without counts; `h100@vllm` names its software.
        users: Sequences at once, all copies together.
        tpot: Longest time per token, seconds or text like `20ms`; decode needs it.
        ttft: Longest time to the first token of a prompt alone; prefill needs it.
        latency: Longest step of any other phase.
        precision: One name.
        stack: Software of the chips that name none: a stack, its TOML file, a family or `best`.
        scenario: Economics.
        options: The workload's options.
        ignore_capacity: Pretend that everything fits.
        reserve: Memory that the engine keeps for itself, `0.1` or `"8 GB"` of each chip; None: what it
            usually keeps.
        registry: Of plugins; everything installed by default.
        **axes: `context=8192`, …: one value each; `batch` is what is looked for.

    Raises:
        InferBenchError: Unknown names, bad values, no limit, a limit that the phase hasn't.

    Example:
        >>> import inferbench as ib
        >>> found = ib.size("llama3-70b/decode", ["b200", "h200"], users=200, tpot="20ms")
        >>> [str(one.fewest.system) for one in found.chips]
        ['4xb200', '4xh200']
    """
    known = registry or installed()
    network, phase = one_phase(workload, known)
    limits = {
        name: duration(time, name) for name, time in (("tpot", tpot), ("ttft", ttft), ("latency", latency))
    }
    limit, first = _limits(workload, phase, limits)
    precisions = listed(precision)
    if len(precisions) != 1:
        found = "a sizing takes one precision"
        raise InferBenchError.of_argument("precision", found, precision=(*precisions, "fp8")[0])
    demand = Demand(
        network=network,
        phase=phase.name,
        users=_users(users),
        limit=limit,
        first=first,
        axes=_axes(known, network, phase, axes),
        precision=known.alias("precisions", precisions[0]),
        stack=known.stack("ideal"),
        scenario=scenario_of(known, scenario),
        registry=known,
        options=dict(options or {}),
        ignore_capacity=ignore_capacity,
        reserve=reserve,
    )
    names = listed(chips)
    if not names:
        raise InferBenchError.of_argument("chips", "no chip was named", chips=example_chips(known, 2))
    sized = tuple(_sized(demand, _bare(name), stack) for name in names)
    return Sizing(sized, demand, {name: str(points_of(values, name)) for name, values in axes.items()})


def _limits(workload: str, phase: Phase, limits: Mapping[str, float]) -> tuple[float, float]:
    """The limit of a step, and for decode that of the prompt before it."""
    mine = _LIMITS[phase.latency]
    give: Mapping[str, str] = {mine: "20ms"}
    for name, value in limits.items():
        extra = name == "ttft" and phase.role == "token"
        if math.isfinite(value) and name != mine and not extra:
            found, remedy = f"{workload} has no such time", "its limit is {give}"
            raise InferBenchError.of_argument(name, found, remedy, **{mine: None})
        if value == 0.0:
            raise InferBenchError.of_argument(name, "0 s is no limit that can be met", **{name: "20ms"})
    if not math.isfinite(limits[mine]):
        raise InferBenchError.of_argument(mine, "no limit was given", **give)
    return limits[mine], limits["ttft"] if phase.role == "token" else math.inf


def _axes(known: Registry, network: Network, phase: Phase, given: Mapping[str, Axis]) -> dict[str, float]:
    defaults = dict(known.workload(network.type).defaults(network, phase.name))
    for name in given:
        if name == "batch":
            found = "the number of sequences is what {give} says"
            raise InferBenchError.of_argument(name, found, "give {give}", users=200)
        if name not in defaults:
            remedy = suggest(name, defaults) or f"its axes are {', '.join(defaults)}"
            raise InferBenchError.of_argument(name, f"'{phase.name}' has no axis '{name}'", remedy)
    merged = {name: one_number(given.get(name, value), name, value) for name, value in defaults.items()}
    return {name: value for name, value in merged.items() if name != "batch"}


def _users(users: float | str) -> int:
    count = one_number(users, "users", 200.0)
    if count > MOST_USERS:
        found = f"{count:,.0f} is out of range"
        raise InferBenchError.of_argument("users", found, f"at most {MOST_USERS:,} at once were expected")
    return int(count)


def _sized(demand: Demand, name: SystemName, stack: str) -> Sized:
    """Size one chip under its own software."""
    known = demand.registry
    chip = find("chips", name.chip, known.chip)
    reads = known.workload(demand.network.type).of_role("prompt")
    phases = [demand.phase, *([reads.name] if reads and math.isfinite(demand.first) else [])]
    work = demand.network, phases, demand.precision, known
    if name.stack:
        chosen = choose(name.stack, chip, *work)
    else:
        chosen = find("stack", stack, lambda one: choose(one, chip, *work, where=one))
    return of_chip(attrs.evolve(demand, stack=chosen.stack), chip)


def _bare(name: str) -> SystemName:
    parsed = SystemName.parse(name)
    if parsed.count is not None or parsed.layout is not None:
        found = "the number of chips is what is asked for"
        raise InferBenchError.of_argument("chips", found, "", name, chips=[parsed.chip])
    return parsed
