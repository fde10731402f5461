"""The serving frontier: every layout, policy and load of a system, and what no other point of it beats.

Points are columns of arrays; a point is one precision, one layout (two where prompts have replicas of
their own), one policy and one load.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import attrs
import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.num import Array, Column, Indices, Mask, Numeric
from inferbench.records.run import Metric, Run
from inferbench.records.scenario import Term
from inferbench.records.system import System
from inferbench.serving.replica import Question, Replica
from inferbench.serving.replicas import MOST, layouts_of, loads, per_byte, replicas_of
from inferbench.serving.steady_state import Service, chunked, disaggregated, interleaved

__all__ = ["declared", "PAIRS", "Frontier", "frontier", "goodput", "pareto"]

PAIRS = ("tokens_per_s_per_chip", "usd_per_mtok", "joules_per_token")
"""What tokens per second and user are set against."""

TERMS = {Term.PURCHASE: "", Term.ON_DEMAND: "_cloud"}
"""Terms that a frontier shows to the end of their columns."""

_LOWER = {"usd_per_mtok", "usd_per_mtok_cloud", "joules_per_token"}


@attrs.frozen(eq=False)
class Frontier:
    """All points of a system.

    Attributes:
        system: Its name.
        stack: Name of its software.
        chips: Their number.
        points: Column to array of equal length; NaN where not known.
        why: Column to the reason where it is not known anywhere.
        infeasible: Reason to number of points left out.
        notes: What a reader must know.
        metrics: Metrics that plugins declare for this screen; their values stand in `points` under
            their names.
    """

    system: str
    chips: int
    points: Mapping[str, Column]
    why: Mapping[str, str]
    infeasible: Mapping[str, int]
    notes: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    stack: str = ""

    @property
    def count(self) -> int:
        """Number of feasible points."""
        return len(self.points["tpot_s"])

    def best(self, against: str = PAIRS[0]) -> Indices:
        """Indices of the points that no other beats, the highest tokens per second and user first."""
        return pareto(self.points["tokens_per_s_per_user"], self.points[against], against in _LOWER)


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
    good = np.flatnonzero((found.points["tpot_s"] <= tpot) & (found.points["ttft_s"] <= ttft))
    if not len(good):
        return None
    return int(good[np.argmax(found.points["tokens_per_s_per_chip"][good])])


def frontier(asked: Question, system: System) -> Frontier:
    """Evaluate a system under every layout that fits, every policy and every load.

    Raises:
        InferBenchError: Unknown names; a workload without prefill and decode.
    """
    layouts, refusals = layouts_of(asked, system)
    if asked.open_ended:
        asked = attrs.evolve(asked, batches=loads(asked, system, layouts))
    replicas, unfit = replicas_of(asked, system, layouts)
    refusals |= unfit
    blocks = [block for one in replicas for block in _alone(asked, system, one)]
    blocks += _apart(asked, system, replicas)
    names = list(blocks[0]) if blocks else list(_EMPTY)
    columns = {
        name: np.concatenate([block[name] for block in blocks]) if blocks else np.empty(0) for name in names
    }
    reasons = columns.pop("reason")
    good = reasons == ""
    why = {reason: int(np.sum(reasons == reason)) for reason in dict.fromkeys(reasons[~good].tolist())}
    points = {name: values[good] for name, values in columns.items()}
    unknown = _unknown(replicas[0].decode) if replicas else {}
    own = tuple(declared(asked.registry, replicas[0].decode)) if replicas else ()
    notes, name = _notes(asked, system, replicas), asked.stack.name
    return Frontier(str(system), system.count, points, unknown, {**refusals, **why}, notes, own, name)


_EMPTY = (
    "policy",
    "layout",
    "prompt_layout",
    "precision",
    "batch",
    "tokens_per_s_per_user",
    "tokens_per_s_per_chip",
    "tpot_s",
    "ttft_s",
    "usd_per_mtok",
    "joules_per_token",
    "reason",
)


def _alone(asked: Question, system: System, one: Replica) -> Iterator[dict[str, Column]]:
    """Points of equal replicas that process prompts and tokens alike: interleaved, and chunked per size of
    piece.
    """
    copies, steps = system.count // one.layout.chips, one.plain
    whole = interleaved(steps, asked.traffic), one.watts["prefill"], (one.fits, one.fits_prompt), math.nan
    pieces = [
        (chunked(piece.steps, asked.traffic), piece.watts, (piece.fits, np.asarray(True)), size)
        for size, piece in one.pieces.items()
    ]
    for served, busy, room, size in (whole, *pieces):
        watts = served.share * busy + (1.0 - served.share) * one.watts["decode"]
        ratio = steps.occupancy * steps.batch / (asked.traffic.steps * steps.decode)
        served = attrs.evolve(served, rate=copies * served.rate, users=copies * served.users)
        extra = {
            "replicas": copies,
            "prompt_replicas": 0.0,
            "chunk": size,
            "prompt_chips_per_token_chip": ratio,
        }
        names = ("interleaved" if math.isnan(size) else "chunked", str(one.layout), "")
        yield _columns(asked, system, one, served, copies * watts, extra, names, room)


def _apart(asked: Question, system: System, replicas: Sequence[Replica]) -> list[dict[str, Column]]:
    """Points with some replicas for prompts and the others for tokens, as few for prompts as keep up."""
    blocks = []
    for prompts in _worth(replicas):
        for tokens in replicas:
            if prompts.layout.chips + tokens.layout.chips <= system.count:
                blocks.append(_split(asked, system, prompts, tokens))
    return blocks


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


def _split(asked: Question, system: System, prompts: Replica, tokens: Replica) -> dict[str, Column]:
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
    return _columns(asked, system, tokens, served, watts, extra, names, (tokens.fits, prompts.fits_prompt))


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
) -> dict[str, Column]:
    """One flat array per quantity; loads slowest, precisions fastest."""
    shape = (len(asked.batches), len(asked.precisions))

    def flat(values: Numeric | Mask) -> Array:
        return np.array(np.broadcast_to(np.asarray(values, dtype=np.float64), shape)).reshape(-1)

    tokens = served.rate * asked.traffic.output
    numbers = {
        **_declared(asked, one.decode),
        "batch": one.batch,
        "users": served.users,
        "requests_per_s": served.rate,
        "ttft_s": served.ttft,
        "tpot_s": served.tpot,
        "tokens_per_s_per_user": 1.0 / served.tpot,
        "tokens_per_s": tokens,
        "tokens_per_s_per_chip": tokens / system.count,
        "power_w": watts,
        "joules_per_token": watts / tokens,
        **extra,
        **_dollars(asked, system, one.decode, watts, tokens, shape),
    }
    size = shape[0] * shape[1]
    texts = {
        name: np.full(size, text, dtype=object)
        for name, text in zip(("policy", "layout", "prompt_layout"), names, strict=True)
    }
    precision = np.tile(np.array(asked.precisions, dtype=object), shape[0])
    reason = np.full(size, "", dtype=object)
    for text, fine in (
        ("prompts don't keep up with this load", served.sustained),
        ("a prompt's processing doesn't fit", room[1]),
        ("the cache of all sequences doesn't fit", room[0]),
    ):
        reason[flat(fine) == 0] = text
    return {
        **texts,
        "precision": precision,
        **{name: flat(values) for name, values in numbers.items()},
        "reason": reason,
    }


def declared(registry: Registry, run: Run) -> list[Metric]:
    """Metrics that ask to stand in a frontier and apply to a run: each is computed on the decode step
    of a load.
    """
    return [one for one in registry.metrics() if one.shows("frontier") and one.applies(run)]


def _declared(asked: Question, decode: Run) -> dict[str, Column]:
    """Values of the declared metrics as (batches, precisions)."""
    return {one.name: decode.values(one.of(decode))[:, 0, :] for one in declared(asked.registry, decode)}


def _dollars(
    asked: Question, system: System, decode: Run, watts: Numeric, tokens: Numeric, shape: tuple[int, int]
) -> dict[str, Column]:
    """Dollars per hour and per million output tokens, owned and rented on demand, at the mean power."""
    spent = attrs.evolve(
        decode, system=System(system.chip, system.count), energy=attrs.evolve(decode.energy, watts=watts)
    )
    cost = spent.cost
    found: dict[str, Column] = {}
    for term, end in TERMS.items():
        found[f"usd_per_hour{end}"] = np.broadcast_to(cost.of(term), shape)
        found[f"usd_per_mtok{end}"] = np.broadcast_to(cost.per_million(term, tokens), shape)
    return found


def _unknown(run: Run) -> dict[str, str]:
    """Why power or money isn't known, per column."""
    spent = run.energy.why if np.all(np.isnan(np.asarray(run.energy.watts))) else ""
    why = {f"usd_per_mtok{end}": run.cost.why(term) for term, end in TERMS.items()}
    if run.scenario is None:
        why["usd_per_mtok"] = "needs an economic scenario"
    why["usd_per_mtok"] = why["usd_per_mtok"] or spent
    why["joules_per_token"] = spent
    return {name: text for name, text in why.items() if text}


def _notes(asked: Question, system: System, replicas: Sequence[Replica]) -> tuple[str, ...]:
    notes = []
    last = asked.batches[-1]
    if asked.open_ended and (asked.ignore_capacity or 1.5 * last > MOST):
        notes.append(f"{system}: loads beyond {last:,.0f} sequences a replica were not tried")
    pieces = [one for one in replicas if not one.whole]
    if pieces:
        notes.append(
            f"{system}: prompts are processed in pieces of {max(asked.chunks):,.0f} tokens where a whole one"
            " doesn't fit"
        )
    if any(bool(np.any(one.decode.flags.get("extrapolated", False))) for one in replicas):
        notes.append(
            f"{system}: the stack {asked.stack.name} is used beyond what it was fitted on at some points"
        )
    if replicas and replicas[0].decode.energy.estimated and replicas[0].decode.energy.why:
        notes.append(f"{system}: power: {replicas[0].decode.energy.why}")
    return tuple(notes)
