"""`size` of a language model: how many chips serve so many users or requests, prompts counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import attrs

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.face.answer import Answer
from inferbench.face.asked import find, one_number, scenario_of
from inferbench.model.choice import choose
from inferbench.model.own_formats import own_formats
from inferbench.records.network import Network
from inferbench.records.system import SystemName
from inferbench.report.fleet import fleet_report
from inferbench.report.model import Next, Report
from inferbench.serving.fleet import Fleet, Need, fleet
from inferbench.serving.replica import Question
from inferbench.serving.steady_state import Traffic

__all__ = ["Fleets", "shares", "sized"]

LOADS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
CHUNKS = (512.0, 2048.0)
MOST_USERS = 10_000_000
Number = float | str


@attrs.frozen(eq=False, repr=False)
class Fleets(Answer):
    """The smallest and the cheapest system of each chip that carries a load within limits.

    Attributes:
        chips: What was found for each chip.
        asked: Network, traffic, precision.
        need: Load and limits.
    """

    chips: tuple[Fleet, ...]
    asked: Question
    need: Need

    def report(self, verbose: bool = False) -> Report:
        """Return one table, chips as columns."""
        return fleet_report(self.chips, self.asked, self.need, self._next())

    def summary(self) -> str:
        """Name the work, the load and the smallest systems."""
        found = ", ".join(
            str(one.fewest.system if one.fewest else f"no {one.chip.name}") for one in self.chips
        )
        load = (
            f"{self.need.load:,.0f} users"
            if self.need.column == "users"
            else f"{self.need.rate:g} requests/s"
        )
        return f"of {self.asked.network.name} for {load}: {found}"

    def _next(self) -> Next:
        """The frontier of the smallest system found, within the same limits."""
        best = next((one for one in self.chips if one.fewest is not None), None)
        if best is None or best.fewest is None:
            return Next("list", ("chips",))
        traffic, need = self.asked.traffic, self.need
        lengths = ("--context", f"{traffic.prompt:.0f}", "--output", f"{traffic.output:.0f}")
        limits = [
            part
            for name, limit in (("--slo-tpot", need.tpot), ("--slo-ttft", need.ttft))
            if math.isfinite(limit)
            for part in (name, f"{1e3 * limit:g}ms")
        ]
        name = f"{best.fewest.system}@{best.stack}"
        return Next("frontier", (name, "-w", self.asked.network.name, *lengths, *limits))


def sized(
    network: Network,
    chips: tuple[SystemName, ...],
    load: tuple[Number | None, Number | None],
    lengths: tuple[Number | None, Number | None],
    limits: tuple[float, float],
    settings: tuple[str, str, str | None, Mapping[str, object], bool],
    known: Registry,
    watch: Callable[[int, int], None],
) -> Fleets:
    """Size a served network on each chip.

    Args:
        network: With prompts and tokens.
        chips: Without counts; each may name its software.
        load: Users, requests per second; one of them.
        lengths: Tokens of a prompt and of an answer; 2,048 and 1,024 by default.
        limits: Longest time per token and to the first token, seconds.
        settings: Precision, stack, scenario, the workload's options, whether everything fits.
        known: Of plugins.
        watch: Called with the per cent that are done, and 100.

    Raises:
        InferBenchError: No load or two, bad values, unknown names.
    """
    precision, stack, scenario, options, ignore_capacity = settings
    users, rate = load
    if (users is None) == (rate is None):
        found = "no load was given" if users is None else "users and a rate were given"
        raise InferBenchError.of_argument("users", found, "give {give}, or a rate (4/s)", users=200)
    need = Need(
        users=math.nan if users is None else _users(users),
        rate=math.nan if rate is None else _rate(rate),
        tpot=limits[0],
        ttft=limits[1],
    )
    asked = Question(
        network=network,
        traffic=Traffic(
            prompt=one_number(lengths[0], "prompt", 2048.0), output=one_number(lengths[1], "output", 1024.0)
        ),
        batches=tuple(float(one) for one in LOADS),
        precisions=(known.alias("precisions", precision),),
        chunks=CHUNKS,
        stack=known.stack("ideal"),
        scenario=scenario_of(known, scenario),
        registry=known,
        options=dict(options),
        ignore_capacity=ignore_capacity,
    )
    of_each = (shares(watch, i, len(chips)) for i in range(len(chips)))
    fleets = tuple(
        _of_chip(asked, name, stack, need, told) for name, told in zip(chips, of_each, strict=True)
    )
    return Fleets(fleets, asked, need)


def shares(watch: Callable[[int, int], None], i: int, count: int) -> Callable[[float], None]:
    """Turn the share that is done of one of several searches into per cent of all.

    Args:
        watch: Called with per cent, and 100.
        i: Which of them, from 0.
        count: Of all.

    Example:
        >>> shares(lambda done, total: print(done, total), 1, 2)(0.5)
        75 100
    """
    return lambda share: watch(round(100.0 * (i + share) / count), 100)


def _of_chip(
    asked: Question, name: SystemName, stack: str, need: Need, watch: Callable[[float], None]
) -> Fleet:
    """Size one chip under its own software."""
    known = asked.registry
    chip = find("chips", name.chip, known.chip)
    phases = [one.name for one in known.workload(asked.network.type).phases if one.role]
    formats, own = own_formats(asked.precisions, chip, known)
    work = asked.network, phases, formats, known
    if name.stack:
        chosen = choose(name.stack, chip, *work)
    else:
        chosen = find("stack", stack, lambda one: choose(one, chip, *work, where=one))
    mine = attrs.evolve(asked, stack=chosen.stack, precisions=tuple(formats))
    return attrs.evolve(fleet(mine, chip, need, watch), notes=tuple(own.values()))


def _users(users: Number) -> float:
    count = one_number(users, "users", 200.0)
    if count > MOST_USERS:
        found = f"{count:,.0f} is out of range"
        raise InferBenchError.of_argument("users", found, f"at most {MOST_USERS:,} at once were expected")
    return count


def _rate(rate: Number) -> float:
    text = str(rate).strip().removesuffix("/s").strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise InferBenchError.of_argument("rate", f"'{rate}' is no rate above 0", rate="4/s")
    return value
