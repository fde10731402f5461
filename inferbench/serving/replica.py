"""One replica of a network under serving: durations and power of its steps, all from the one operator model.

A mixed step (decoding sequences and a chunk of a prompt together) is a graph like any other: the products
with weights see the rows of both, attention is that of both, and the road from graph to seconds is the
usual one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import numpy as np

from inferbench.discovery.registry import Registry
from inferbench.model import partition
from inferbench.model.brief import Brief, brief
from inferbench.model.case import Case, prepare
from inferbench.model.evaluate import evaluate
from inferbench.num import Array, Mask, Numeric
from inferbench.records.chip import Chip
from inferbench.records.energy import ActivityCounts
from inferbench.records.grid import Grid
from inferbench.records.network import Network
from inferbench.records.reserve import Reserve
from inferbench.records.run import Run
from inferbench.records.scenario import Scenario
from inferbench.records.stack import Stack
from inferbench.records.system import Layout, System
from inferbench.serving.mixed import Mixed
from inferbench.serving.steady_state import Steps, Traffic
from inferbench.specs.options import structured

__all__ = [
    "Question",
    "Replica",
    "cache_bytes",
    "decoding",
    "idle_watts",
    "replica",
    "timed",
    "whole_replica",
]


@attrs.frozen(eq=False, kw_only=True)
class Question:
    """What a frontier asks of every system.

    Attributes:
        network: Whose tokens are served.
        traffic: The requests.
        batches: Decoding sequences of one replica, rising.
        open_ended: Whether they go on beyond the last, until no layout holds more.
        longest: Time per token, seconds, beyond which no point counts: prompts are not cut into chunks on
            replicas whose decode steps all take longer.
        precisions: Names.
        chunks: Sizes of a prompt's chunks, tokens; empty: no chunked policy.
        options: Of the workload.
        graphs: What was built of the network already, by work: no chip or software changes it.
        rooms: Chips with the memory that engines leave, as in `Case`.
        cases: Looked up already, by chip, role and options, of one chip or of several.
        tables: Steps tabulated already, by chip, layout and what requests reach.
        beside: Layouts of replicas that the search asks for, as in `Case`.
        declares: Whether metrics stand in a frontier: they may read whatever a run has.
    """

    network: Network
    traffic: Traffic
    batches: tuple[float, ...]
    precisions: tuple[str, ...]
    chunks: tuple[float, ...]
    stack: Stack
    scenario: Scenario | None
    registry: Registry
    options: Mapping[str, Any] = attrs.field(factory=dict)
    ignore_capacity: bool = False
    reserve: str | float | None = None
    open_ended: bool = False
    longest: float = math.inf
    graphs: dict[Any, dict[Any, Any]] = attrs.field(factory=dict, repr=False)
    rooms: dict[tuple[int, Reserve], tuple[Chip, Chip]] = attrs.field(factory=dict, repr=False)
    cases: dict[object, Case] = attrs.field(factory=dict, repr=False)
    tables: dict[Any, Any] = attrs.field(factory=dict, repr=False)
    beside: tuple[Layout, ...] = attrs.field(default=(), repr=False)
    declares: bool = attrs.field(init=False)

    @declares.default
    def _any_declared(self) -> bool:
        return any(one.shows("frontier") for one in self.registry.metrics())

    def case(self, system: System, role: Literal["prompt", "token"], **options: Any) -> Case:
        """Look up what a run of the phase of a role needs."""
        key = self.about(system.chip), role, str(options), system.count > 1
        if key not in self.cases:
            self.cases[key] = self._case(system, role, **options)
        asks = self.declares
        return attrs.evolve(
            self.cases[key], system=system, causes=asks, ideal=asks, rooms=self.rooms, beside=self.beside
        )

    def _case(self, system: System, role: Literal["prompt", "token"], **options: Any) -> Case:
        phase = self.registry.workload(self.network.type).of_role(role)
        assert phase is not None
        case = prepare(
            system,
            self.network,
            phase.name,
            stack=self.stack,
            registry=self.registry,
            options={**self.options, **options},
            scenario=self.scenario,
            ignore_capacity=self.ignore_capacity,
            reserve=self.reserve,
        )
        return attrs.evolve(case, graphs=self.built(phase.name, case.options))

    def about(self, chip: Chip) -> tuple[Any, ...]:
        """What tells apart what was looked up and evaluated for a chip already; whoever keeps something by it
        keeps its case or run too, so that no other object gets the same id.
        """
        objects = id(chip), id(self.network), id(self.stack), id(self.scenario), id(self.registry)
        return *objects, str(self.options), self.ignore_capacity, str(self.reserve)

    def built(self, work: str, options: Any, *more: float) -> dict[Any, Any]:
        """Graphs of a work that were built already, under its options."""
        return self.graphs.setdefault((id(self.network), work, str(options), *more), {})


@attrs.frozen(eq=False)
class Chunked:
    """A replica that processes prompts in chunks of one size, each beside a decode step.

    Attributes:
        steps: With the mixed step.
        watts: Mean power while a mixed step runs.
        fits: Where the cache of all sequences and of the chunk fits.
    """

    steps: Steps
    watts: Array
    fits: Mask


@attrs.frozen(eq=False, kw_only=True)
class Replica:
    """One copy of the network on a few chips; arrays of shape (batches, precisions) or broadcastable to it.

    Attributes:
        layout: Tensor, context, pipeline and expert parallelism; data parallelism only of ranks that share
            experts.
        batch: Decoding sequences.
        plain: Steps with whole prompts.
        chunks: What runs where prompts are processed in chunks, by their size in tokens.
        watts: Mean power of the replica while it decodes, processes a prompt, idles.
        fits: Where the cache of all sequences fits; `fits_prompt`: where a prompt's processing does.
        cache: Bytes of one prompt's cache.
        whole: Whether prompts are processed in one chunk (else in the largest of the sizes, for lack of
            room).
        doubt: Log standard errors of the times of `decode` and `prefill`, and of the `power` and `energy` of
            decode; NaN under software without an interval.
    """

    layout: Layout
    batch: Array
    plain: Steps
    chunks: Mapping[float, Chunked]
    decode: Run
    watts: Mapping[str, Array]
    fits: Mask
    fits_prompt: Mask
    cache: Numeric
    whole: bool
    doubt: Mapping[str, Array]


def replica(asked: Question, chip: Chip, layout: Layout) -> Replica:
    """Evaluate a replica's steps.

    Args:
        asked: Network, traffic, loads.
        chip: Of the replica.
        layout: How the network is spread over its chips.

    Raises:
        InferBenchError: A layout that an operator refuses; a network that has no prefill and decode.
    """
    return whole_replica(asked, *decoding(asked, chip, layout))


def decoding(asked: Question, chip: Chip, layout: Layout) -> tuple[Case, Run]:
    """Evaluate the decode steps of a replica alone: a search needs no more of one whose every step is too
    long.

    Args:
        asked, chip, layout: As of `replica`.

    Raises:
        InferBenchError: As `replica` does.
    """
    case = asked.case(System(chip, layout.chips, layout), "token")
    return case, _run(case, layout, asked.batches, asked.traffic.context, asked.precisions)


def whole_replica(asked: Question, case: Case, decode: Run) -> Replica:
    """A replica whose decode steps are known.

    Args:
        asked: As of `replica`.
        case: Of its tokens.
        decode: Its decode steps.

    Raises:
        InferBenchError: As `replica` does.
    """
    system, layout = case.system, decode.layouts[0]
    prompt, whole = _prompt(asked, system, layout)
    lanes = _lanes(case, asked, layout)
    batch = np.asarray(asked.batches)[:, None]
    seconds = _at(prompt, prompt.seconds)
    plain = Steps(
        batch=batch,
        decode=_at(decode, decode.seconds),
        prefill=seconds[:1],
        occupancy=seconds[-1:] / _depth(layout),
        lanes=lanes,
    )
    watts = {
        "decode": _at(decode, decode.energy.watts),
        "prefill": _at(prompt, prompt.watts)[-1:],
        "idle": idle_watts(case, asked),
    }
    chunks = {}
    counts = bool(np.any(plain.decode <= asked.longest)) or math.isinf(asked.longest)
    for size in asked.chunks if counts and _chunks(asked, system) else ():
        mixed, count = _mixed(asked, case, layout, size)
        joint = attrs.evolve(plain, mixed=_at(mixed, mixed.seconds), chunks=count)
        chunks[size] = Chunked(joint, _at(mixed, mixed.watts), _at(mixed, mixed.feasible) > 0)
    return Replica(
        layout=layout,
        batch=batch,
        plain=plain,
        chunks=chunks,
        decode=decode,
        watts=watts,
        fits=_at(decode, decode.feasible) > 0,
        fits_prompt=_at(prompt, prompt.feasible)[-1:] > 0,
        cache=cache_bytes(asked, case),
        whole=whole,
        doubt={
            "decode": _at(decode, decode.log_error),
            "prefill": _at(prompt, prompt.log_error)[-1:],
            "power": _at(decode, decode.power_log_error),
            "energy": _at(decode, decode.energy_log_error),
        },
    )


def _run(
    case: Case, layout: Layout, batches: Sequence[float], context: float, precisions: Sequence[str]
) -> Run:
    return evaluate(case, Grid.of({"batch": batches, "context": [context]}, precisions), [layout])


def _at(run: Run | Brief, values: Numeric | Mask) -> Array:
    """Values as (batches, precisions)."""
    numbers: Array = np.asarray(values, dtype=np.float64)
    found: Array = run.grid.full(numbers)[:, 0, :]
    return found


def _prompt(asked: Question, system: System, layout: Layout) -> tuple[Brief, bool]:
    """Prompts in one chunk, or where that doesn't fit in the largest chunks: one alone, and one per pipeline
    stage of every rank.
    """

    def grid(one: Layout) -> Grid:
        return Grid.of({"batch": [1.0, _depth(one)], "context": [asked.traffic.prompt]}, asked.precisions)

    def of(**options: Any) -> Brief:
        case = attrs.evolve(timed(asked.case(system, "prompt", **options)), asked_at=lambda one: grid(one).at)
        return brief(case, grid(layout), layout)

    run = of()
    if bool(np.asarray(run.feasible).all()) or not _chunks(asked, system):
        return run, True
    return of(chunk=max(asked.chunks)), False


def timed(case: Case) -> Case:
    """A case of which times with their errors, power and room are read, and no more.

    Args:
        case: Of prompts: what a point rests on is read of its decode steps.
    """
    return attrs.evolve(case, intervals=False, boxed=False, causes=False, ideal=False)


def _chunks(asked: Question, system: System) -> bool:
    """Whether the workload can process a prompt in chunks."""
    workload = asked.registry.workload(asked.network.type)
    return (
        bool(asked.chunks) and attrs.has(workload.options) and "chunk" in attrs.fields_dict(workload.options)
    )


def _depth(layout: Layout) -> float:
    """Prompts that a replica processes at a time: one per pipeline stage of every rank."""
    return float(layout.pp * layout.dp)


def _lanes(case: Case, asked: Question, layout: Layout) -> Array:
    grid = Grid.of({"batch": asked.batches}, ["bf16"])
    _, passes = partition.microbatch(grid.at, layout)
    lanes = layout.dp * np.asarray(passes, dtype=np.float64)
    return np.broadcast_to(lanes.reshape(-1, 1), (len(asked.batches), 1))


def _mixed(asked: Question, case: Case, layout: Layout, size: float) -> tuple[Brief, float]:
    prompt = asked.traffic.prompt
    chunks = float(np.ceil(prompt / size))
    options = structured(case.workload, {**asked.options, "chunk": size})
    graphs = asked.built("mixed", options, prompt)
    work = graphs.setdefault("work", Mixed(case.workload, prompt, prompt / chunks, options))
    joint = attrs.evolve(case, workload=work, graphs=graphs, bare=True, causes=False, ideal=False)
    grid = Grid.of({"batch": asked.batches, "context": [asked.traffic.context]}, asked.precisions)
    return brief(joint, grid, layout), chunks


def idle_watts(case: Case, asked: Question) -> Array:
    """Watts of the replica when nothing runs, as the power model says."""
    at = Grid.of({"batch": [1.0]}, asked.precisions).at
    if case.power is None:
        return np.full((1, len(asked.precisions)), np.nan)
    nothing = case.power.energy(ActivityCounts({}, 1.0, case.system.count, at.precision), case.system)
    return np.broadcast_to(
        np.asarray(nothing.watts, dtype=np.float64).reshape(1, -1), (1, len(asked.precisions))
    )


def cache_bytes(asked: Question, case: Case) -> Numeric:
    """Bytes of one prompt's keys and values, over all chips, per precision."""
    at = Grid.of({"batch": [1.0], "context": [asked.traffic.prompt]}, asked.precisions)
    total: Numeric = 0.0
    for op in case.graph(at.at):
        total = total + op.resident.state * op.instances
    cache: Array = at.full(np.asarray(total, dtype=np.float64))[0]
    return cache
