"""Durations and power of a replica's steps over a grid, evaluated once and then looked up.

A step has decoding sequences, tokens of prompts, or both. A joint step is a graph like any other: products
with weights see the rows of both. What attention adds with longer contexts, of tokens and of prompts that
continue behind others, is linear in them and added on top.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.model.evaluate import evaluate
from inferbench.num import Array, Mask, Numeric
from inferbench.records.attention import Attention
from inferbench.records.chip import Chip
from inferbench.records.grid import Grid, Point
from inferbench.records.interfaces import NoParams, Phase, Workload
from inferbench.records.network import Network
from inferbench.records.op import Op
from inferbench.records.run import Run
from inferbench.records.system import Layout, System
from inferbench.serving.replica import Question, idle_watts, timed

__all__ = ["Axis", "Joint", "Span", "StepTable", "tabulate"]

LEAST_TOKENS = 16.0


@attrs.frozen(eq=False)
class Joint(Workload):
    """Decoding sequences and `tokens` of a prompt in one step; asked like a decode phase.

    Attributes:
        inner: The network's own workload.
    """

    name: ClassVar[str] = "joint"
    title: ClassVar[str] = "decoding sequences and tokens of a prompt"
    params: ClassVar[type] = NoParams
    phases: ClassVar[tuple[Phase, ...]] = ()

    inner: Workload

    def graph(self, network: Network, at: Point, phase: str, options: Any) -> Iterator[Op]:
        """Yield the operators: weights once for the rows of both, attention of each."""
        tokens = at["tokens"]
        alone = tuple(self.inner.graph(network, at, phase, options))
        rows = at["batch"] + tokens * at.coordinates.get("ranks", 1.0)
        together = self.inner.graph(network, at.replace(batch=rows), phase, options)
        for op, joint in zip(alone, together, strict=True):
            yield op if isinstance(op, Attention) or op.unit == "head" else joint
        names = {op.name for op in alone}
        one = at.replace(batch=np.ones_like(at["batch"]), context=tokens)
        reads = self.inner.of_role("prompt")
        assert reads is not None
        for op in self.inner.graph(network, one, reads.name, options):
            if isinstance(op, Attention):
                yield attrs.evolve(op, name=f"prompt.{op.name}")
            elif op.name not in names:
                yield attrs.evolve(op, name=f"prompt.{op.name}", copies=0.0)

    def eager(self, network: Network, at: Point, phase: str, options: Any) -> Numeric:
        """All of it: the prompt's chunk has a shape of its own."""
        return self.passes(network, at, phase, options)

    def items(self, network: Network, at: Point, phase: str) -> Numeric:
        """New tokens of the decoding sequences."""
        return self.inner.items(network, at, phase)

    def layers(self, network: Network) -> int:
        """Layers that pipeline stages may divide."""
        return self.inner.layers(network)


@attrs.frozen(kw_only=True)
class Span:
    """What requests reach: the largest of each that a table must know.

    Attributes:
        batch: Decoding sequences of a replica.
        context: Positions held by one sequence.
        tokens: Of prompts in one step.
        mean: Mean positions of a sequence in the middle of its answer.
    """

    batch: float
    context: float
    tokens: float
    mean: float


class Axis:
    """Values of an axis, and between which two of them a number lies."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = [float(value) for value in values]

    def place(self, value: float) -> tuple[int, float]:
        """Index of the value below and the share of the way to the next; beyond the ends it goes on."""
        values = self.values
        if len(values) == 1:
            return 0, 0.0
        i = min(max(bisect_right(values, value) - 1, 0), len(values) - 2)
        return i, (value - values[i]) / (values[i + 1] - values[i])


Plane = list[list[float]]


def _between(plane: Plane, first: tuple[int, float], second: tuple[int, float]) -> float:
    (i, s), (j, t) = first, second
    if t == 0.0:
        low, high = plane[i][j], plane[i + 1][j] if s else 0.0
    else:
        row = plane[i]
        low, high = row[j] + t * (row[j + 1] - row[j]), 0.0
        if s:
            row = plane[i + 1]
            high = row[j] + t * (row[j + 1] - row[j])
    return low + s * (high - low) if s else low


@attrs.frozen(eq=False, kw_only=True)
class StepTable:
    """Steps of one replica; seconds and watts.

    Attributes:
        layout: Of the replica.
        decode: Of so many sequences (rows) at a mean context (columns).
        joint: With so many tokens of prompts per lane (rows) beside so many sequences (columns), at the
            context `mean`; less the same step without prompts.
        prompts: Of prompts alone, so many tokens (rows) behind so many positions (columns).
        deep: The same (first column) with a prompt in each of `depth` lanes, where a replica has several.
        decode_watts, joint_watts, prompt_watts: Mean power of those steps; NaN where not known.
        idle: Watts when nothing runs.
        decode_error, prompt_error: Log standard errors of the durations, by sequences at the context `mean`,
            and by tokens; NaN under a bound.
        outside: Whether a step of so many sequences there leaves the box in which the stack was fitted.
        room: Positions that the cache holds, all sequences together.
        least: Sequences and positions that a step computes at least, however few are there.
        run: Decode steps as evaluated, for cost and notes.
    """

    layout: Layout
    batches: Axis
    contexts: Axis
    tokens: Axis
    pasts: Axis
    mean: float
    decode: Plane
    joint: Plane
    prompts: Plane
    deep: list[float]
    decode_watts: Plane
    joint_watts: Plane
    prompt_watts: list[float]
    idle: float
    decode_error: list[float]
    prompt_error: list[float]
    outside: list[bool]
    room: float
    run: Run
    scale: float = 1.0
    least: tuple[float, float] = (0.0, 0.0)

    def later(self, seconds: float, prompts: bool = False) -> StepTable:
        """The same with every step so much longer, or those alone that process prompts."""

        def more(plane: Plane) -> Plane:
            return [[one + seconds for one in row] for row in plane]

        same = attrs.evolve(self, prompts=more(self.prompts), deep=[one + seconds for one in self.deep])
        if prompts:
            return attrs.evolve(same, joint=more(self.joint))
        return attrs.evolve(same, decode=more(self.decode))

    @property
    def depth(self) -> int:
        """Prompts that a replica processes side by side: one per pipeline stage of every rank."""
        return self.layout.pp * self.layout.dp

    def lanes(self, batch: float) -> float:
        """Microbatches of a step, each with room for tokens of a prompt."""
        return self.layout.dp * self._passes(batch)

    def side(self, batch: float, count: int) -> float:
        """How many lanes `count` prompts fill: a prompt lies in one rank, its chunks in all microbatches."""
        return min(count, self.layout.dp) * self._passes(batch)

    def _passes(self, batch: float) -> float:
        return min(float(self.layout.pp), max(batch / self.layout.dp, 1.0))

    def of_tokens(self, batch: float, context: float) -> tuple[float, float]:
        """Seconds and watts of a decode step."""
        batch, context = max(batch, self.least[0]), max(context, self.least[1])
        places = self.batches.place(batch), self.contexts.place(context)
        return self.scale * _between(self.decode, *places), _between(self.decode_watts, *places)

    def of_both(self, batch: float, context: float, tokens: float, past: float) -> tuple[float, float]:
        """Seconds and watts of a step with decoding sequences and tokens of prompts.

        Args:
            batch: Sequences.
            context: Their mean positions.
            tokens: Of prompts, per lane.
            past: Positions held before them; negative where several short prompts see nothing of each other.
        """
        batch, context = max(batch, self.least[0]), max(context, self.least[1])
        at_batch, at_tokens = self.batches.place(batch), self.tokens.place(tokens)
        plain = _between(self.decode, at_batch, self.contexts.place(context))
        more = max(_between(self.joint, at_tokens, at_batch), 0.0)
        seconds = plain + max(more + self._behind(at_tokens, past), 0.0)
        return self.scale * seconds, _between(self.joint_watts, at_tokens, at_batch)

    def of_prompts(self, tokens: float, past: float, count: int) -> tuple[float, float]:
        """Seconds and watts of a step of prompts alone, of `count` prompts together."""
        if self.least[1]:  # one after the other
            i, s = self.tokens.place(self.least[1])
            watts = self.prompt_watts[i] + s * (self.prompt_watts[i + 1] - self.prompt_watts[i])
            return self.scale * count * self._row(self.prompts, i, s), watts
        side = min(count, self.depth)
        each = tokens / side
        i, s = self.tokens.place(each)
        alone = self._row(self.prompts, i, s)
        if side > 1:
            all_lanes = self.deep[i] + s * (self.deep[i + 1] - self.deep[i])
            alone += (all_lanes - alone) * (side - 1.0) / (self.depth - 1.0)
        watts = self.prompt_watts[i] + s * (self.prompt_watts[i + 1] - self.prompt_watts[i])
        return self.scale * max(alone + self._behind((i, s), past), 0.25 * alone), watts

    def _row(self, plane: Plane, i: int, s: float) -> float:
        return plane[i][0] + s * (plane[i + 1][0] - plane[i][0])

    def _behind(self, at_tokens: tuple[int, float], past: float) -> float:
        """What a step takes longer for positions held before a prompt's tokens; linear in them."""
        if len(self.pasts.values) == 1 or past == 0.0:
            return 0.0
        i, s = at_tokens
        return _between(self.prompts, at_tokens, self.pasts.place(past)) - self._row(self.prompts, i, s)

    def error(self, batch: float, share: float) -> tuple[float, float]:
        """Log standard errors of the mean step and of a step of prompts.

        Args:
            batch: Mean sequences.
            share: Of the time that prompts take.
        """
        i, s = self.batches.place(max(batch, self.least[0]))
        tokens = self.decode_error[i] + s * (
            self.decode_error[min(i + 1, len(self.decode_error) - 1)] - self.decode_error[i]
        )
        prompts = self.prompt_error[-1]
        return (1.0 - share) * tokens + share * prompts, prompts

    def leaves_the_box(self, batch: float) -> bool:
        """Whether steps of so many sequences lie outside the box in which the stack was fitted."""
        return self.outside[round(sum(self.batches.place(max(batch, self.least[0]))))]


def _geometric(low: float, high: float, per_doubling: int = 1) -> list[float]:
    count = max(1, int(np.ceil(np.log2(max(high / low, 1.0)) * per_doubling)))
    values = np.geomspace(low, max(high, low * 1.001), count + 1)
    return sorted(set(np.round(values, 6).tolist()))


def _batches(most: float) -> list[float]:
    """Every batch up to 16, four per doubling beyond."""
    dense = [float(one) for one in range(1, int(min(most, 16.0)) + 1)]
    if most <= 16:
        return dense
    count = 1 + int(np.ceil(4 * np.log2(most / 16.0)))
    return sorted({*dense, *np.ceil(np.geomspace(16.0, most, max(count, 2))).tolist()})


def tabulate(asked: Question, chip: Chip, layout: Layout, span: Span, reserve: float = 0.0) -> StepTable:
    """Evaluate a replica's steps over what requests reach, each kind of step in one call.

    Args:
        asked: Network, software, options; one precision.
        chip: Of the replica.
        layout: How the network is spread over its chips.
        span: What requests reach.
        reserve: Share that is kept free of what the weights leave.

    Raises:
        InferBenchError: A layout that an operator refuses; weights that don't fit; a time that is not known.
    """
    system = System(chip, layout.chips, layout)
    case = asked.case(system, "token")
    ranks = float(layout.dp)
    batches = (
        [ranks * b for b in _batches(max(np.ceil(span.batch / ranks), 2.0))]
        if ranks > 1
        else _batches(max(span.batch, 2.0))
    )
    contexts = sorted({1.0, span.mean, *np.geomspace(min(64.0, span.context), span.context, 4).tolist()})
    decode = evaluate(case, Grid.of({"batch": batches, "context": contexts}, asked.precisions), [layout])
    steps = _at(decode, decode.seconds)
    if not np.isfinite(steps).all():
        raise InferBenchError.at(
            chip.name, f"a step's time is not known: {decode.unknown}", "complete the spec"
        )
    tokens = _geometric(LEAST_TOKENS, max(span.tokens, 2 * LEAST_TOKENS), 2)
    pasts = [0.0, *(np.array([0.5, 1.0]) * span.context).tolist()] if _continues(asked, system) else [0.0]
    prompts = [_prompts(asked, system, layout, tokens, past) for past in pasts]
    grid = Grid.of({"tokens": tokens, "batch": batches, "context": [span.mean]}, asked.precisions)
    together = attrs.evolve(case, workload=Joint(case.workload), bare=True, causes=False, ideal=False)
    joint = evaluate(together, grid, [layout])
    at = contexts.index(span.mean)
    first = prompts[0]
    deep = (
        first
        if layout.pp * layout.dp == 1
        else _prompts(asked, system, layout, tokens, 0.0, layout.pp * layout.dp)
    )
    return StepTable(
        layout=layout,
        batches=Axis(batches),
        contexts=Axis(contexts),
        tokens=Axis(tokens),
        pasts=Axis(pasts),
        mean=span.mean,
        decode=steps.tolist(),
        joint=(joint.values(joint.seconds)[:, :, 0, 0] - steps[None, :, at]).tolist(),
        prompts=np.stack([_flat(run, run.seconds) for run in prompts], axis=1).tolist(),
        deep=_flat(deep, deep.seconds).tolist(),
        decode_watts=_at(decode, decode.energy.watts).tolist(),
        joint_watts=joint.values(joint.energy.watts)[:, :, 0, 0].tolist(),
        prompt_watts=_flat(first, first.energy.watts).tolist(),
        idle=float(np.ravel(idle_watts(case, asked))[0]),
        decode_error=_at(decode, decode.log_error)[:, at].tolist(),
        prompt_error=_flat(first, first.log_error).tolist(),
        outside=(_at(decode, decode.flags.get("extrapolated", np.asarray(False)))[:, at] > 0).tolist(),
        room=_room(decode, asked, span, reserve),
        run=decode,
    )


def _at(run: Run, values: Numeric | Mask) -> Array:
    """Values as (batches, contexts)."""
    numbers: Array = np.asarray(values, dtype=np.float64)
    found: Array = run.values(numbers)[:, :, 0]
    return found


def _flat(run: Run, values: Numeric) -> Array:
    """Values along the lengths of prompts."""
    numbers: Array = np.asarray(values, dtype=np.float64)
    found: Array = run.values(numbers)[0, :, 0]
    return found


def _continues(asked: Question, system: System) -> bool:
    """Whether the workload can process tokens behind positions that are held already."""
    workload = asked.registry.workload(asked.network.type)
    known = attrs.fields_dict(workload.options) if attrs.has(workload.options) else {}
    taken = any(asked.options.get(name) for name in ("cached", "prefix_hit"))
    return "cached" in known and not taken


def _prompts(
    asked: Question, system: System, layout: Layout, tokens: Sequence[float], past: float, lanes: int = 1
) -> Run:
    """Prompts of so many new tokens behind `past` positions, `lanes` of them together."""
    more = {"cached": past} if past else {}
    case = timed(asked.case(system, "prompt", **more))
    lengths = past + np.asarray(tokens)
    return evaluate(case, Grid.of({"batch": [float(lanes)], "context": lengths}, asked.precisions), [layout])


def _room(run: Run, asked: Question, span: Span, reserve: float) -> float:
    """Positions that fit beside the weights.

    What the fullest chip holds is linear in the number of sequences; a sequence holds `span.mean` positions.
    """
    if asked.ignore_capacity:
        return np.inf
    chip, needed = run.system.chip, _at(run, run.needed)
    level = chip.memory[chip.main]
    contexts, batches = np.asarray(run.grid.axes["context"]), np.asarray(run.grid.axes["batch"])
    at_mean = np.array([np.interp(span.mean, contexts, row) for row in needed])
    each = (at_mean[-1] - at_mean[0]) / (batches[-1] - batches[0])
    fixed = at_mean[0] - each * batches[0]
    free = (level.capacity - fixed) * (1.0 - reserve)
    if np.isnan(free):
        return np.inf
    if free <= 0.0:
        raise InferBenchError.at(
            f"{run.system}:{run.system.layout}",
            f"the weights and one step need {fixed / 1e9:,.3g} GB a chip, which has"
            f" {level.capacity / 1e9:,.3g} GB",
            "take more chips or a narrower precision",
        )
    return float(free / each * span.mean) if each > 0 else np.inf
