"""`size`: the fewest chips and the cheapest layout that meet a limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import attrs

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError, suggest
from inferbench.face.answer import Answer
from inferbench.face.asked import (
    duration,
    example_chips,
    find,
    listed,
    one_number,
    one_phase,
    scenario_of,
    serves,
)
from inferbench.face.fleet import Fleets, sized
from inferbench.face.verb import verb
from inferbench.model.choice import BEST, choose
from inferbench.model.own_formats import own_formats
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


@verb
def size(
    workload: str,
    chips: str | Sequence[str],
    users: float | str | None = None,
    *,
    rate: float | str | None = None,
    prompt: float | str | None = None,
    output: float | str | None = None,
    tpot: str | float | None = None,
    ttft: str | float | None = None,
    latency: str | float | None = None,
    precision: str | Sequence[str] = "fp8",
    stack: str = BEST,
    scenario: str | None = "reference",
    options: Mapping[str, object] | None = None,
    ignore_capacity: bool = False,
    reserve: str | float | None = None,
    watch: Callable[[int, int], None] = lambda done, total: None,
    registry: Registry | None = None,
    **axes: Axis,
) -> Sizing | Fleets:
    """Find the fewest chips and the cheapest layout that serve so many users within a limit.

    Of a language model prompts are counted: `network` alone, or `network/decode`. Any other phase is a step.

    Args:
        workload: `network`, or `network/phase`.
        chips: Chips to choose from, without counts; `h100@vllm` names its software.
        users: Requests at once, all copies together.
        rate: Requests per second instead (`4/s`).
        prompt, output: Tokens of a prompt (2,048) and of an answer (1,024).
        tpot: Longest mean time per token, seconds or text like `20ms`; decode needs it.
        ttft: Longest mean time to the first token; prefill needs it.
        latency: Longest step of any other phase.
        precision: One name.
        stack: Software of the chips that name none: a stack, its TOML file, a family or `best`.
        scenario: Economics; None: no figure in dollars is asked for.
        options: The workload's options.
        ignore_capacity: Pretend that everything fits.
        reserve: Memory that the engine keeps for itself, `0.1` or `"8 GB"` of each chip; None: what it
            usually keeps.
        watch: Called with the per cent of the search that are done, and 100; only where prompts are counted.
        registry: Of plugins; everything installed by default.
        **axes: `context=8192`, …: one value each; `batch` is what is looked for. Of a served model the
            context is the prompt's.

    Raises:
        InferBenchError: Unknown names, bad values, no limit, a limit that the phase hasn't.

    Example:
        >>> import inferbench as ib
        >>> found = ib.size("llama3-70b/decode", ["b200", "h200"], users=200, tpot="20ms")
        >>> [str(one.fewest.system) for one in found.chips]
        ['6xb200', '12xh200']
    """
    known = registry or installed()
    network, phase = one_phase(workload if "/" in workload else f"{workload}/decode", known)
    given_limits = {"tpot": tpot, "ttft": ttft, "latency": latency}
    limits = {name: duration(time, name) for name, time in given_limits.items()}
    limit, first = _limits(workload, phase, limits)
    one = _one_precision(listed(precision))
    names = tuple(_bare(name) for name in listed(chips))
    if not names:
        raise InferBenchError.of_argument("chips", "no chip was named", chips=example_chips(known, 2))
    if phase.role == "token" and serves(network, known):
        given = _axes(known, network, phase, axes)
        first_tokens = given["context"] if prompt is None else prompt
        settings = one, stack, scenario, options or {}, ignore_capacity
        lengths, load = (first_tokens, output), (users, rate)
        return sized(network, names, load, lengths, (limit, first), settings, known, watch)
    if users is None or any(one is not None for one in (rate, prompt, output)):
        found = f"{workload} is sized by its users alone"
        raise InferBenchError.of_argument("users", found, "give {give}", users=200)
    demand = attrs.evolve(
        _demand(network, phase, one, (limit, first), known),
        users=_users(users),
        axes=_axes(known, network, phase, axes),
        scenario=scenario_of(known, scenario),
        options=dict(options or {}),
        ignore_capacity=ignore_capacity,
        reserve=reserve,
    )
    found_each = tuple(_sized(demand, name, stack) for name in names)
    return Sizing(found_each, demand, {name: str(points_of(values, name)) for name, values in axes.items()})


def _demand(
    network: Network, phase: Phase, precision: str, limits: tuple[float, float], known: Registry
) -> Demand:
    """A demand of one user, without axes and economics."""
    return Demand(
        network=network,
        phase=phase.name,
        users=1,
        limit=limits[0],
        first=limits[1],
        axes={},
        precision=known.alias("precisions", precision),
        stack=known.stack("ideal"),
        scenario=None,
        registry=known,
    )


def _one_precision(names: Sequence[str]) -> str:
    if len(names) != 1:
        found = "a sizing takes one precision"
        raise InferBenchError.of_argument("precision", found, precision=(*names, "fp8")[0])
    return names[0]


def _limits(workload: str, phase: Phase, limits: Mapping[str, float]) -> tuple[float, float]:
    """The limit of a step, and for decode that of the prompt before it."""
    mine = _LIMITS[phase.latency]
    give: Mapping[str, str] = {mine: "20ms"}
    for name, value in limits.items():
        extra = name == "ttft" and phase.role == "token"
        if math.isfinite(value) and name != mine and not extra:
            found, remedy = f"{workload} has no such time", "its limit is {give}"
            raise InferBenchError.of_argument(name, found, remedy, **{mine: None})
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
    (one,), own = own_formats([demand.precision], chip, known)
    work = demand.network, phases, one, known
    if name.stack:
        chosen = choose(name.stack, chip, *work)
    else:
        chosen = find("stack", stack, lambda one: choose(one, chip, *work, where=one))
    found = of_chip(attrs.evolve(demand, stack=chosen.stack, precision=one), chip)
    return attrs.evolve(found, notes=tuple(own.values()))


def _bare(name: str) -> SystemName:
    parsed = SystemName.parse(name)
    if parsed.count is not None or parsed.layout is not None:
        found = "the number of chips is what is asked for"
        raise InferBenchError.of_argument("chips", found, "", name, chips=[parsed.chip])
    return parsed
