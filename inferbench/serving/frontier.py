"""The serving frontier: every layout, policy and load of a system, and what no other point of it beats.

Points are columns of arrays; a point is one precision, one layout (two where prompts have replicas of
their own), one policy and one load.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.model.intervals import INTERVAL
from inferbench.num import Array, Column, Indices, Mask, Numeric
from inferbench.records.choice import GRADES
from inferbench.records.run import Metric, Run
from inferbench.records.scenario import HourlyCost, Term
from inferbench.records.system import System
from inferbench.serving.errors import SCHEDULER
from inferbench.serving.notes import notes_on, unknown
from inferbench.serving.points import ABOUT, MONEY, PAIRS, QUANTITIES, Points
from inferbench.serving.replica import Question, Replica
from inferbench.serving.replicas import layouts_of, loads, per_byte, replicas_of, services
from inferbench.serving.steady_state import Service, disaggregated

__all__ = ["Frontier", "declared", "frontier", "goodput", "pareto", "points_of"]

# What keeps a point out, the last that applies: it doesn't keep up, or something doesn't fit.
REFUSED = (
    "",
    "prompts don't keep up with this load",
    "a prompt's processing doesn't fit",
    "the cache of all sequences doesn't fit",
)


@attrs.frozen(eq=False)
class Frontier:
    """All points of a system.

    Attributes:
        system: Its name.
        stack: Name of its software.
        chips: Their number.
        points: Columns of equal length.
        why: Column to the reason where it is not known anywhere.
        infeasible: Reason to number of points left out.
        notes: What a reader must know.
        picked: Index of the point of highest throughput within the limits asked for, if any.
        metrics: Metrics that plugins declare for this screen; their values stand in `points` under
            their names.
        most: Watts that all chips may draw; NaN: not known.
    """

    system: str
    chips: int
    stack: str
    points: Points
    why: Mapping[str, str]
    infeasible: Mapping[str, int]
    notes: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    picked: int | None = None
    most: float = math.nan

    @property
    def count(self) -> int:
        """Number of feasible points."""
        return len(self.points)

    def best(self, against: str = PAIRS[0].name) -> Indices:
        """Indices of the points that no other beats, the highest tokens per second and user first.

        Args:
            against: Column that tokens per second and user are set against.
        """
        lower = next((one.lower for one in QUANTITIES if one.name == against), False)
        return pareto(self.points.tokens_per_s_per_user, self.points[against], lower)


def pareto(speed: Array, value: Array, lower: bool = False) -> Indices:
    """Indices of the points that none equals or beats in both, the highest `speed` first; unknown values
    never are.

    Example:
        >>> pareto(np.array([1.0, 2.0, 3.0, 2.5]), np.array([9.0, 5.0, 1.0, 6.0])).tolist()
        [2, 3, 0]
    """
    gain = -np.asarray(value) if lower else np.asarray(value)
    known = np.flatnonzero(np.isfinite(gain) & np.isfinite(speed))
    order = known[np.lexsort((-gain[known], -np.asarray(speed)[known]))]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(gain[order])[:-1]])
    return order[gain[order] > before]


def goodput(found: Frontier, tpot: float, ttft: float) -> int | None:
    """Index of the point of highest throughput within both limits (seconds, infinite for none), or None."""
    good = np.flatnonzero((found.points.tpot_s <= tpot) & (found.points.ttft_s <= ttft))
    if not len(good):
        return None
    return int(good[np.argmax(found.points.tokens_per_s_per_chip[good])])


def frontier(
    asked: Question, system: System, watch: Callable[[float], None] = lambda share: None
) -> Frontier:
    """Evaluate a system under every layout that fits, every policy and every load.

    Args:
        asked: What is asked.
        system: With its number of chips.
        watch: Called with the share of the layouts that are done, 0 to 1.

    Raises:
        InferBenchError: Unknown names; a workload without prefill and decode.
    """
    layouts, refusals = layouts_of(asked, system)
    if asked.open_ended:
        asked = attrs.evolve(asked, batches=loads(asked, system, layouts))
    replicas, unfit = replicas_of(asked, system, layouts, watch)
    return points_of(asked, system, replicas, {**refusals, **unfit})


def _every(served: Service) -> bool:
    return True


def points_of(
    asked: Question,
    system: System,
    replicas: Sequence[Replica],
    refusals: Mapping[str, int] | None = None,
    worth: Callable[[Service], bool] = _every,
) -> Frontier:
    """Put replicas together to all points of a system.

    Args:
        asked: What is asked.
        system: With its number of chips.
        replicas: That it can be cut into.
        refusals: Layouts left out already, by reason.
        worth: Whether what a layout and policy yield over all loads is worth its columns; what isn't is
            left out in silence.
    """
    blocks = [block for one in replicas for block in _alone(asked, system, one, worth)]
    blocks += _disaggregated(asked, system, replicas, worth)
    columns = (
        {name: np.concatenate([block.columns[name] for block in blocks]) for name in blocks[0].columns}
        if blocks
        else {}
    )
    refused = np.concatenate([block.refused for block in blocks]) if blocks else np.empty(0, dtype=int)
    left_out = dict.fromkeys(refused[refused > 0].tolist())
    why = {REFUSED[code]: int(np.sum(refused == code)) for code in left_out}
    points = Points.of({name: values[refused == 0] for name, values in columns.items()})
    why_not = unknown(replicas[0].decode) if replicas else {}
    own = tuple(declared(asked.registry, replicas[0].decode)) if replicas else ()
    notes, name = notes_on(asked, system, replicas), asked.stack.name
    left = {**(refusals or {}), **why}
    most = system.chip.power.tdp * system.count
    return Frontier(str(system), system.count, name, points, why_not, left, notes, own, most=most)


@attrs.frozen(eq=False)
class _Block:
    """Points of one layout and policy over all loads, and by which rule some are left out: 0 for none, else
    a place in `REFUSED`.
    """

    columns: Mapping[str, Column]
    refused: Indices


def _alone(
    asked: Question, system: System, one: Replica, worth: Callable[[Service], bool]
) -> Iterator[_Block]:
    """Points of equal replicas that process prompts and tokens alike: interleaved, and chunked per size of
    chunk.
    """
    copies, steps = system.count // one.layout.chips, one.plain
    for served, busy, room, size in services(asked, system, one):
        if not worth(served):
            continue
        watts = served.share * busy + (1.0 - served.share) * one.watts["decode"]
        ratio = steps.occupancy * steps.batch / (asked.traffic.steps * steps.decode)
        extra = {
            "replicas": copies,
            "prompt_replicas": 0.0,
            "chunk": size,
            "prompt_chips_per_token_chip": ratio,
        }
        names = ("interleaved" if math.isnan(size) else "chunked", str(one.layout), "")
        yield _columns(asked, system, one, served, copies * watts, extra, names, room)


def _disaggregated(
    asked: Question, system: System, replicas: Sequence[Replica], worth: Callable[[Service], bool]
) -> Iterator[_Block]:
    """Points with some replicas for prompts and the others for tokens, as few for prompts as keep up."""
    for prompts in _worth(replicas):
        for tokens in replicas:
            if prompts.layout.chips + tokens.layout.chips <= system.count:
                yield from _split(asked, system, prompts, tokens, worth)


def _worth(replicas: Sequence[Replica]) -> list[Replica]:
    """Layouts for prompts that none equals in both chip-seconds per prompt and latency."""
    able = [one for one in replicas if np.all(one.fits_prompt)]
    figures = [
        (float(np.mean(one.plain.occupancy)) * one.layout.chips, float(np.mean(one.plain.prefill)))
        for one in able
    ]
    return [
        one
        for one, (effort, latency) in zip(able, figures, strict=True)
        if not any(e <= effort and t <= latency and (e, t) != (effort, latency) for e, t in figures)
    ]


def _split(
    asked: Question, system: System, prompts: Replica, tokens: Replica, worth: Callable[[Service], bool]
) -> Iterator[_Block]:
    steps, traffic = tokens.plain, asked.traffic
    ratio = (prompts.plain.occupancy * prompts.layout.chips) / (
        traffic.steps * steps.decode / steps.batch * tokens.layout.chips
    )
    wanted = np.ceil(system.count * ratio / (1.0 + ratio) / prompts.layout.chips)
    served, x, y = _serve(asked, system, prompts, tokens, wanted)
    less, fewer, more = _serve(asked, system, prompts, tokens, wanted - 1.0)
    take = less.sustained & (less.rate >= served.rate)
    served = Service(
        **{
            name: np.where(take, getattr(less, name), getattr(served, name))
            for name in attrs.fields_dict(Service)
        }
    )
    if not worth(served):
        return
    x, y = np.where(take, fewer, x), np.where(take, more, y)
    rest = system.count - x * prompts.layout.chips - y * tokens.layout.chips
    idle = tokens.watts["idle"] / tokens.layout.chips
    busy = np.minimum(served.share, 1.0)
    watts = (
        x * (busy * prompts.watts["prefill"] + (1.0 - busy) * prompts.watts["idle"])
        + y * tokens.watts["decode"]
        + rest * idle
    )
    extra: dict[str, Numeric] = {
        "replicas": y,
        "prompt_replicas": x,
        "chunk": math.nan,
        "prompt_chips_per_token_chip": ratio,
    }
    names = ("disaggregated", str(tokens.layout), str(prompts.layout))
    yield _columns(asked, system, tokens, served, watts, extra, names, (tokens.fits, prompts.fits_prompt))


def _serve(
    asked: Question, system: System, prompts: Replica, tokens: Replica, x: Array
) -> tuple[Service, Array, Array]:
    x = np.clip(x, 1.0, max(1.0, float((system.count - tokens.layout.chips) // prompts.layout.chips)))
    y = np.maximum(np.floor((system.count - x * prompts.layout.chips) / tokens.layout.chips), 1.0)
    served = disaggregated(
        prompts.plain, tokens.plain, asked.traffic, (x, y), _transfer(system, prompts, tokens)
    )
    return served, x, y


def _transfer(system: System, prompts: Replica, tokens: Replica) -> Numeric:
    """Seconds to move a prompt's cache over the links of the smaller replica; 0 where no link is
    published.
    """
    return tokens.cache * per_byte(system, min(prompts.layout.chips, tokens.layout.chips))


def _columns(
    asked: Question,
    system: System,
    one: Replica,
    served: Service,
    watts: Numeric,
    extra: Mapping[str, Numeric],
    names: tuple[str, str, str],
    room: tuple[Mask, Mask],
) -> _Block:
    """One flat array per quantity; loads slowest, precisions fastest."""
    shape = (len(asked.batches), len(asked.precisions))

    def flat(values: Numeric | Mask) -> Array:
        return np.full(shape, values, dtype=np.float64).reshape(-1)

    tokens = served.rate * asked.traffic.output
    numbers = {
        **_declared(asked, one.decode),
        ABOUT.batch.name: one.batch,
        ABOUT.users.name: served.users,
        ABOUT.requests_per_s.name: served.rate,
        ABOUT.ttft_s.name: served.ttft,
        ABOUT.tpot_s.name: served.tpot,
        ABOUT.tokens_per_s_per_user.name: 1.0 / served.tpot,
        ABOUT.tokens_per_s.name: tokens,
        ABOUT.tokens_per_s_per_chip.name: tokens / system.count,
        ABOUT.power_w.name: watts,
        ABOUT.joules_per_token.name: watts / tokens,
        ABOUT.wall_joules_per_token.name: system.wall(watts, one.decode.energy.limit) / tokens,
        **extra,
        **_dollars(asked, system, one.decode, watts, tokens),
        **_intervals(one.decode, served, tokens),
        **_doubts(asked, system, one, served, watts),
    }
    size = shape[0] * shape[1]
    texts = {
        field.name: np.full(size, text, dtype=object)
        for field, text in zip((ABOUT.policy, ABOUT.layout, ABOUT.prompt_layout), names, strict=True)
    }
    texts[ABOUT.precision.name] = np.tile(np.array(asked.precisions, dtype=object), shape[0])
    texts[ABOUT.grade.name] = np.array(GRADES, dtype=object)[one.decode.grade[:, 0, :].reshape(-1)]
    refused = np.zeros(size, dtype=np.int64)
    for code, fine in enumerate((served.sustained, room[1], room[0]), start=1):
        refused[flat(fine) == 0] = code
    return _Block({**texts, **{name: flat(values) for name, values in numbers.items()}}, refused)


def _doubts(
    asked: Question, system: System, one: Replica, served: Service, watts: Numeric
) -> dict[str, Numeric]:
    """What points rest on, and log standard errors: those of prompts and of tokens weigh by their time."""
    share = np.clip(served.share, 0.0, 1.0)
    time = share * one.doubt["prefill"] + (1.0 - share) * one.doubt["decode"]
    limit = one.decode.energy.limit
    cost = HourlyCost.under(asked.scenario, System(system.chip, system.count), watts, limit)
    price = {term: np.log(cost.of(term, "high") / cost.of(term, "low")) / (2.0 * INTERVAL) for term in Term}
    grams = asked.scenario.carbon(system, watts, limit) if asked.scenario else np.nan
    boards = system.boards_share(watts, limit)
    wall = boards * one.doubt["energy"] + (1.0 - boards) * time
    return {
        ABOUT.grams_co2_per_hour.name: grams,
        ABOUT.log_error.name: time,
        ABOUT.ttft_log_error.name: one.doubt["prefill"],
        ABOUT.power_log_error.name: one.doubt["power"],
        ABOUT.joules_log_error.name: one.doubt["energy"],
        ABOUT.wall_log_error.name: np.hypot(wall, system.wall_log_error),
        ABOUT.usd_log_error.name: np.hypot(time, price[Term.PURCHASE]),
        ABOUT.usd_cloud_log_error.name: np.hypot(time, price[Term.ON_DEMAND]),
    }


def declared(registry: Registry, run: Run) -> list[Metric]:
    """Metrics that ask to stand in a frontier and apply to a run: each is computed on the decode step
    of a load.
    """
    return [one for one in registry.metrics() if one.shows("frontier") and one.applies(run)]


def _declared(asked: Question, decode: Run) -> dict[str, Column]:
    """Values of the declared metrics as (batches, precisions)."""
    if not asked.declares:
        return {}
    return {one.name: decode.values(one.of(decode))[:, 0, :] for one in declared(asked.registry, decode)}


def _dollars(
    asked: Question, system: System, decode: Run, watts: Numeric, tokens: Numeric
) -> dict[str, Numeric]:
    """Dollars per hour and per million output tokens, owned and rented on demand, at the mean power."""
    cost = HourlyCost.under(asked.scenario, System(system.chip, system.count), watts, decode.energy.limit)
    return {
        one.name: cost.of(one.term) if one.per == "hour" else cost.per_million(one.term, tokens)
        for one in MONEY
        if one.term is not None
    }


def _intervals(decode: Run, served: Service, tokens: Numeric) -> dict[str, Numeric]:
    """Ends of 90% intervals, from the error of a step and what schedulers differ by; NaN under a bound."""
    error = decode.values(np.asarray(decode.log_error, dtype=np.float64))[:, 0, :]
    found: dict[str, Numeric] = {}
    for name, value, more in (
        (ABOUT.tpot_s.name, served.tpot, SCHEDULER["tpot_s"]),
        (ABOUT.ttft_s.name, served.ttft, SCHEDULER["ttft_s"]),
        (ABOUT.tokens_per_s.name, tokens, SCHEDULER["rate"]),
    ):
        wide = np.exp(INTERVAL * np.hypot(error, more))
        found[f"{name}_low"], found[f"{name}_high"] = value / wide, value * wide
    return found
