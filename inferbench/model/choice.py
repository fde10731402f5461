"""Which stack stands for a system's software: the one written, or the nearest that was measured.

`best` takes, of the stacks that were fitted on measurements and serve the phase, one of this chip; else
one of a sibling (vendor, architecture and kind of memory alike, at most four years apart); else the prior
of its class; else none, and what is left is the bound. Of several as near it takes the one whose standard
error would be smallest at the point asked for: the stack's own, more for a precision or phase that it was
not fitted in, for operators that it has no figure of, and for a sibling the less its peak, bandwidth and
formats are like the chip's. Software of which a newer version was measured on as near a chip is left to
measurements that cite it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import attrs
import numpy as np

from inferbench.errors import InferBenchError, suggest
from inferbench.model.fitted_on import fitted_on
from inferbench.model.intervals import HOSTLESS, PER_DOUBLING, UNSEEN
from inferbench.records.chip import Chip
from inferbench.records.choice import Choice
from inferbench.records.immutable import frozen
from inferbench.records.network import Network
from inferbench.records.op import Op
from inferbench.records.stack import Stack
from inferbench.specs.heads import Headed

if TYPE_CHECKING:
    from inferbench.discovery.registry import Registry

__all__ = ["BEST", "IDEAL", "ForeignStack", "choose", "likeness", "scaled", "serving"]

BEST, IDEAL = "best", "ideal"
# Likeness of a chip to those that a stack was fitted on.
SAME, SIBLING, VENDOR, ARCHITECTURE = range(4)
# Chips of one vendor more years apart than this share little of their kernels.
GENERATION = 4
WIDE = ("bf16", "fp16", "fp8", "int8")
# A stack without a figure for half of a step's roofline time is not of this kind of workload.
LEAST_COVERED = 0.5


class ForeignStack(InferBenchError):
    """A stack, or all stacks of a family, that can't serve a chip: they are of another architecture."""


@frozen(eq=False)
class _Asked:
    """What software is wanted for."""

    chip: Chip
    network: Network | None
    phases: tuple[str, ...]
    precisions: tuple[str, ...]
    count: int
    kind: str
    registry: Registry
    _shares: dict[str, float] = attrs.field(factory=dict, init=False)
    _work: list[tuple[Op, float]] = attrs.field(factory=list, init=False)

    def covered(self, stack: Stack) -> float:
        """Share of a step's roofline time in operators that a stack has figures of; of one kind 0 or 1."""
        if self.network is None:
            return float(not self.kind or _has_figures(stack, self.kind))
        if stack.name not in self._shares:
            if not self._work:
                self._work.extend(_work(self))
            known = sum(seconds * float(np.all(stack.knows(op))) for op, seconds in self._work)
            total = sum(seconds for _, seconds in self._work)
            self._shares[stack.name] = known / total if total > 0 else 1.0
        return self._shares[stack.name]


def choose(
    wanted: str,
    chip: Chip,
    network: Network | None,
    phase: str | Sequence[str],
    precision: str | Sequence[str],
    registry: Registry,
    count: int = 1,
    where: str = "",
    kind: str = "",
) -> Choice:
    """Find the stack that a system's software stands for.

    Args:
        wanted: `best`, `ideal`, a stack's name or TOML file, a family (`vllm`); several with commas between
            them are taken in turn, the first that serves the chip.
        chip: That must run it.
        network: What runs on it; None asks for no coverage of operators.
        phase: Of the workload, or all that one stack must serve.
        precision: Names of formats.
        registry: Of stacks.
        count: Chips at once.
        where: What messages call the place; `CHIP@WANTED` by default.
        kind: Of operator, where no network but a single operator runs.

    Raises:
        ForeignStack: The stack, or all of the family, are of another architecture; says which serve it.
        InferBenchError: No stack and no family has the name; says the closest, and which serve the chip.

    Example:
        >>> import inferbench as ib
        >>> known = ib.installed()
        >>> found = choose("vllm", known.chip("h200"), known.network("llama3-8b"), "decode", "bf16", known)
        >>> found.stack.name, found.grade
        ('vllm-serving-h200', 'calibrated')
    """
    phases = (phase,) if isinstance(phase, str) else tuple(phase)
    formats = (precision,) if isinstance(precision, str) else tuple(precision)
    asked = _Asked(chip, network, phases, formats, count, kind, registry)
    parts = [part.strip() for part in wanted.split(",") if part.strip()]
    if not parts:
        raise InferBenchError.at(
            where or "stack", "no software is named", f"write {BEST}, {IDEAL} or a stack"
        )
    for i, part in enumerate(parts):
        try:
            return _one(part, asked, where or f"{chip.name}@{part}")
        except ForeignStack:
            if i == len(parts) - 1:
                raise
    raise AssertionError("a list of stacks has a last one")


def _one(wanted: str, asked: _Asked, where: str) -> Choice:
    known = asked.registry
    if wanted == BEST:
        return _best(asked)
    if wanted in known.entries("stacks") or wanted.endswith(".toml"):
        return _named(known.stack(wanted), asked, where)
    alias = known.alias("stacks", wanted)
    if alias in known.entries("stacks"):
        return _named(known.stack(alias), asked, where)
    named = [head for head in known.heads() if head.family == wanted.lower()]
    first = next(filter(None, known.rounds("stacks", named, asked.chip)), [])
    family = [known.stack(head.name) for head in first]
    if not family:
        raise InferBenchError.at(
            where, f"no stack and no family is called '{wanted}'", _taught(wanted, asked)
        )
    able = [stack for stack in family if runs_on(stack, asked.chip)]
    if not able:
        raise ForeignStack.at(
            where, f"no stack of '{wanted}' runs on {asked.chip.architecture_type} chips", _serve(asked)
        )
    fitting = _newest([stack for stack in able if _of_this_kind(stack, asked)], asked) or able
    found = min(fitting, key=lambda stack: (likeness(stack, asked.chip, known), *_doubt(stack, asked)))
    return _chosen(found, asked, f"the nearest stack of {wanted}")


def _named(stack: Stack, asked: _Asked, where: str) -> Choice:
    if not runs_on(stack, asked.chip):
        found = f"'{stack.name}' applies to {', '.join(stack.architectures)}"
        raise ForeignStack.at(
            where, f"{found}; {asked.chip.name} is {asked.chip.architecture_type}", _serve(asked)
        )
    return Choice.of(stack, asked.chip.name)


def _best(asked: _Asked) -> Choice:
    known = asked.registry
    for heads in known.rounds("stacks", known.heads(), asked.chip):
        tiers: dict[int, list[Headed]] = {}
        for head in _serving(heads, asked.chip):
            tiers.setdefault(likeness(head, asked.chip, known), []).append(head)
        for near in sorted(tier for tier in tiers if tier <= SIBLING):
            if fitting := _fitting(tiers[near], asked):
                found = min(fitting, key=lambda stack: _doubt(stack, asked))
                why = "fitted on this chip" if near == SAME else "fitted on a sibling of this chip"
                return _chosen(found, asked, why)
        priors = [head for head in heads if head.grade and _prior_of(head, asked.chip)]
        if priors:
            prior = min(priors, key=lambda head: (not head.vendors, not head.architectures, head.name))
            found = known.stack(prior.name)
            return _chosen(found, asked, "no software of it or a sibling was measured")
    found = known.stack(IDEAL)
    return _chosen(found, asked, "no software of this chip or its class was measured")


def _fitting(heads: Sequence[Headed], asked: _Asked) -> Sequence[Stack]:
    """Stacks of a kind of work. Where a server of today is among them, kernels alone are not even read."""

    def read(some: Iterable[Headed]) -> list[Stack]:
        stacks = (asked.registry.stack(head.name) for head in some if _may_be_of_this_kind(head, asked))
        return _newest([stack for stack in stacks if _of_this_kind(stack, asked)], asked)

    served = read(head for head in heads if head.versions)
    return served if any(map(current, served)) else _whole(read(heads))


def _newest(stacks: Sequence[Stack], asked: _Asked) -> list[Stack]:
    """Stacks without those of which a newer version was measured on as near a chip."""

    def rank(stack: Stack) -> tuple[str, int]:
        return stack.family, likeness(stack, asked.chip, asked.registry)

    today = {rank(stack) for stack in stacks if stack.versions and not stack.versions[-1]}
    return [stack for stack in stacks if rank(stack) not in today or current(stack)]


def _whole(stacks: Sequence[Stack]) -> Sequence[Stack]:
    """Stacks without those of kernels alone, where a server of today is among them."""
    return [one for one in stacks if one.versions] if any(map(current, stacks)) else stacks


def current(stack: Stack) -> bool:
    """Whether a stack is of the newest versions that there are."""
    return bool(stack.versions) and not stack.versions[-1]


def _chosen(stack: Stack, asked: _Asked, why: str) -> Choice:
    found = scaled(stack, asked.network, asked.precisions, asked.registry)
    return Choice.of(found, asked.chip.name, why)


def serving(chip: Chip, registry: Registry) -> list[Headed]:
    """Return the heads of the stacks fitted on measurements that run on a chip's architecture; no priors.

    Example:
        >>> import inferbench as ib
        >>> [stack.name for stack in serving(ib.installed().chip("wse-3"), ib.installed())]
        ['cerebras-2024', 'groq-2024']
    """
    return _serving(registry.heads(), chip)


def _serving(heads: Iterable[Headed], chip: Chip) -> list[Headed]:
    return [head for head in heads if head.fit.rows and not head.grade and runs_on(head, chip)]


def likeness(stack: Headed, chip: Chip, registry: Registry) -> int:
    """Return how near a chip is to those that a stack was fitted on.

    Returns:
        0 the same (or none is named), 1 a sibling (vendor, architecture and kind of memory alike, at most
        four years apart), 2 the same vendor, 3 only the same architecture.
    """
    names = stack.domain.chips
    if not names or chip.name in names:
        return SAME
    return min((_likeness(chip, one) for one in fitted_on(stack, registry)), default=ARCHITECTURE)


def _likeness(one: Chip, other: Chip) -> int:
    if one.vendor != other.vendor or one.architecture_type != other.architecture_type:
        return ARCHITECTURE
    made, beside = one.silicon.year, other.silicon.year
    near = made == beside if made is None or beside is None else abs(made - beside) <= GENERATION
    return SIBLING if one.main == other.main and near else VENDOR


def runs_on(stack: Headed, chip: Chip) -> bool:
    """Whether a stack is of a chip's architecture."""
    return not stack.architectures or chip.architecture_type in stack.architectures


def has_phases(stack: Headed, phases: Iterable[str]) -> bool:
    """Whether a stack holds in all of some phases."""
    return not stack.domain.phases or set(phases) <= set(stack.domain.phases)


def _prior_of(stack: Headed, chip: Chip) -> bool:
    return runs_on(stack, chip) and (not stack.vendors or chip.vendor in stack.vendors)


def _may_be_of_this_kind(stack: Headed, asked: _Asked) -> bool:
    """What the head of a stack says of whether it is."""
    if not stack.fit.rows or stack.grade or (stack.based_on and not stack.software):
        return False
    return not stack.domain.phases or bool(set(asked.phases) & set(stack.domain.phases))


def _of_this_kind(stack: Stack, asked: _Asked) -> bool:
    """Whether a stack is of the kind of workload; a variant for one format is taken with its base."""
    return _may_be_of_this_kind(stack, asked) and asked.covered(stack) >= LEAST_COVERED


def _doubt(stack: Stack, asked: _Asked) -> tuple[float, float]:
    """Standard error that a stack would have at the point, and its error on rows left out."""
    step = HOSTLESS if math.isnan(stack.fit.step) else stack.fit.step
    known = stack.domain.precisions
    unseen = UNSEEN * any(name not in known for name in asked.precisions) if known else 0.0
    missing = 0.0 if has_phases(stack, asked.phases) else UNSEEN
    near = likeness(stack, asked.chip, asked.registry)
    unlike = UNSEEN * _unlike(stack, asked.chip, asked.registry) if near != SAME else 0.0
    counts = stack.domain.counts
    outside = max(asked.count / counts[-1], counts[0] / asked.count) if counts else 1.0
    beyond = PER_DOUBLING * max(0.0, math.log2(outside))
    error = math.inf if math.isnan(stack.fit.error) else stack.fit.error
    open_ = _open(stack, 1.0 - asked.covered(stack))
    return math.hypot(step, unseen, missing, unlike, beyond, open_), error


def _open(stack: Stack, share: float) -> float:
    """Standard error for a share of the work that a stack has no figure of; infinite where nobody knows."""
    error = stack.unfitted.kernel
    return 0.0 if not share else math.inf if math.isnan(error) else error * share


def _has_figures(stack: Stack, kind: str) -> bool:
    """Whether a stack knows a kind of operator: by a figure of its own, or without any by kind."""
    tables = stack.lasting
    return not tables or any(key.split(".")[0] in (kind, "default") for table in tables for key in table)


def scaled(stack: Stack, network: Network | None, precisions: Sequence[str], registry: Registry) -> Stack:
    """Return the stack that takes this one's place for scales per block of weights, where such are meant and
    one says it does: the same format runs in other kernels.

    Args:
        stack: The software.
        network: What runs; its fp8 checkpoint may have such scales.
        precisions: As a user or a source writes them.
        registry: Of stacks.

    Example:
        >>> import inferbench as ib
        >>> known = ib.installed()
        >>> scaled(known.stack("trtllm-1.3"), known.network("deepseek-v3"), ["fp8"], known).name
        'trtllm-1.3-block'
    """
    own = network is not None and network.block_scales
    blocks = [one.endswith("_block") or (own and one.startswith("fp8")) for one in precisions]
    if not (blocks and all(blocks)):
        return stack
    own = registry.strange("stacks", stack.name)
    variants = (head.name for head in registry.heads() if head.block_scales_of == stack.name)
    variant = next((name for name in variants if own or not registry.strange("stacks", name)), "")
    return registry.stack(variant) if variant else stack


def _unlike(stack: Stack, chip: Chip, registry: Registry) -> float:
    """Doublings between peaks and bandwidths, and formats that one of two chips has and the other lacks: the
    mark of a generation. Of the most alike chip that a stack was fitted on.
    """
    fitted = fitted_on(stack, registry)
    return min((_distance(chip, one) + len(set(chip.peak) ^ set(one.peak)) for one in fitted), default=0.0)


def farness(stack: Stack, chip: Chip, registry: Registry) -> float:
    return min((_distance(chip, one) for one in fitted_on(stack, registry)), default=0.0)


def _distance(one: Chip, other: Chip) -> float:
    """How unlike two chips are: doublings between their peaks in the widest matrix format that both have and
    between their memories' bandwidths, together.

    Infinite where they have no such format, or where a bandwidth is not known.
    """
    common = next((name for name in WIDE if name in one.peak and name in other.peak), "")
    peaks = one.peak.get(common, math.nan), other.peak.get(common, math.nan)
    total = 0.0
    for pair in (peaks, (_streamed(one), _streamed(other))):
        if not all(math.isfinite(value) and value > 0 for value in pair):
            return math.inf
        total += abs(math.log2(pair[0] / pair[1]))
    return total


def _streamed(chip: Chip) -> float:
    return chip.memory[chip.main].bandwidth


def _work(asked: _Asked) -> Iterator[tuple[Op, float]]:
    """Operators of one step at the phases' default points, each with its roofline time on one chip."""
    from inferbench.records.grid import Grid

    network, chip = asked.network, asked.chip
    assert network is not None
    workload, peak = asked.registry.workload(network.type), max(chip.peak.values(), default=math.nan)
    options = workload.options()
    for phase in {one.name for one in workload.phases} & set(asked.phases):
        axes = {name: [value] for name, value in workload.defaults(network, phase).items()}
        at = Grid.of(axes, list(asked.precisions[:1] or ("bf16",))).at
        for op in workload.graph(network, at, phase, options):
            seconds = np.fmax(op.useful / peak, op.bytes.total / _streamed(chip)) * op.repeat
            yield op, float(np.nan_to_num(np.ravel(seconds)[0], posinf=0.0))


def _taught(wanted: str, asked: _Asked) -> str:
    heads = list(asked.registry.heads())
    names = {BEST, *(head.name for head in heads), *(head.family for head in heads if head.family)}
    near = suggest(wanted, sorted(names))
    return " · ".join(part for part in (near, _serve(asked)) if part)


def _serve(asked: _Asked) -> str:
    """Which stacks serve the chip: those fitted on it or its siblings first."""
    known = asked.registry
    heads = serving(asked.chip, known)
    found = [head for head in heads if _of_this_kind(known.stack(head.name), asked)]
    near = sorted((likeness(stack, asked.chip, asked.registry), stack.name) for stack in found)
    listed = ", ".join([*[name for rank, name in near if rank <= SIBLING][:6], BEST, IDEAL])
    return f"{asked.chip.name} is served by {listed}"
