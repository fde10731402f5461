"""Operators: what must be computed and which bytes it touches, knowing no chip.

Kinds are open: a plugin may subclass `Op`. Every kind either is one of the closed primitives below or
lowers to them, so that M kinds and N architectures cost M + N and not M x N.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal

import attrs

from inferbench.errors import InferBenchError
from inferbench.num import Numeric, ceil_div
from inferbench.records.immutable import frozen
from inferbench.records.precision import Precision
from inferbench.records.system import Layout

__all__ = ["Bytes", "Collective", "Elementwise", "Gemm", "Move", "Op", "Reduce", "ROLES"]

Role = Literal["weights", "state", "inputs", "outputs"]
ROLES: tuple[Role, ...] = ("weights", "state", "inputs", "outputs")


@frozen
class Bytes:
    """Bytes by role: weights, state (KV cache), inputs and outputs (activations)."""

    weights: Numeric = 0.0
    state: Numeric = 0.0
    inputs: Numeric = 0.0
    outputs: Numeric = 0.0

    @property
    def total(self) -> Numeric:
        """All roles together."""
        return self.weights + self.state + self.inputs + self.outputs


@frozen(kw_only=True, slots=False, eq=False)
class Op:
    """One operator of the whole model, unsharded; every figure is for one execution, `repeat` says how many.

    Attributes:
        name: Unique within the graph (`qkv`, `attention`, `down`).
        precision: The precision axis.
        repeat: Executions per step: the layers that have it, times the steps of a loop.
        copies: Instances with weights and state of their own; None: `repeat`. A loop over steps repeats
            without copies.
        unit: What a pipeline stage may not cut: `layer` (spread evenly), `embedding` (first stage), `head`
            (last stage).
        split: What parallelism may cut: `n`, `k`, `heads`, `vocab` (tensor parallel), `experts` (expert
            parallel); the workload knows it, nobody else. Empty: every chip of a tensor-parallel group
            does all of it. Operators with `experts` see the tokens of all data-parallel ranks that share
            the experts, all others those of their own rank.
        all_rows: Whether every context-parallel chip does all rows; else they share them.
        busiest: Operations of the busiest chip over those of the mean one; energy is that of the mean.
        graph_bytes: Bytes that enter or leave the network here: the only activations of the ideal roofline.
        joined: Whether kernels are measured as one with those of the operator before (a layer of experts), so
            that what lies between them is in their times.
    """

    name: str
    precision: Precision
    repeat: Numeric = 1.0
    copies: Numeric | None = None
    unit: str = "layer"
    split: tuple[str, ...] = ()
    graph_bytes: Numeric = 0.0
    all_rows: bool = False
    busiest: Numeric = 1.0
    joined: bool = False

    divides: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    kind: ClassVar[str] = "op"
    named: ClassVar[tuple[str, ...]] = ()
    """Variants of the kind that stacks may hold figures of: `context.delta`."""

    def __init_subclass__(cls) -> None:
        """Name the kind, which stacks and architectures dispatch on; a variant of it is costed like it."""
        super().__init_subclass__()
        if "kind" not in cls.__dict__:
            parent = cls.__mro__[1]
            cls.kind = parent.kind if parent is not Op and issubclass(parent, Op) else cls.__name__.lower()

    def __attrs_post_init__(self) -> None:
        for name, value in self.__dict__.items():
            if type(value) is float and not value >= 0.0:
                found, wanted = f"{value:g} is out of range", "a number of at least 0 was expected"
                raise InferBenchError.at(f"{self.kind} {self.name}: {name}", found, wanted)

    @property
    def variant(self) -> str:
        """Which of `named` it is, as software has a kernel of its own for it; empty: none of them."""
        return ""

    @property
    def beside(self) -> Mapping[str, Numeric]:
        """What software does beside what architectures count: action to count, for power models."""
        return {}

    @property
    def instances(self) -> Numeric:
        """How often its weights and state are held."""
        return self.repeat if self.copies is None else self.copies

    @cached_property
    def useful(self) -> Numeric:
        """Operations of matrix products that the algorithm needs (1 MAC = 2)."""
        return 0.0

    @cached_property
    def bytes(self) -> Bytes:
        """Bytes touched, each operand once."""
        return Bytes()

    @cached_property
    def parameters(self) -> Numeric:
        """Weights that must be resident, in elements."""
        return 0.0

    @cached_property
    def resident(self) -> Bytes:
        """Bytes that stay in memory between executions: weights and state."""
        return Bytes(weights=self.parameters * self.precision.weights)

    def lower(self) -> Iterator[Op]:
        """Yield primitives that compute the same; a primitive yields itself."""
        yield self

    def shard(self, layout: Layout) -> Op:
        """Return what one chip of the layout does: the fields that `split` names, divided and rounded up.

        Expert counts stay fractional: they are expectations already. Context-parallel chips share the rows.
        """
        changes: dict[str, Any] = {}
        shared = layout.cp > 1 and not self.all_rows and not self.spans_ranks(layout)
        for cut in (*self.split, "rows") if shared else self.split:
            degree = self.degree(cut, layout)
            if degree > 1:
                for field in self.divides.get(cut, ()):
                    value = changes.get(field, getattr(self, field))
                    changes[field] = value / degree if cut == "experts" else ceil_div(value, degree)
        return attrs.evolve(self, **changes) if changes else self

    def degree(self, cut: str, layout: Layout) -> int:
        """Ways a cut is divided: experts by ep, rows by cp, all else by tp (inside an expert by tp / ep)."""
        if cut == "experts":
            return layout.ep
        if cut == "rows":
            return layout.cp
        return max(1, layout.tp // layout.ep) if "experts" in self.split else layout.tp

    def spans_ranks(self, layout: Layout) -> bool:
        """Whether it works on the tokens of several data-parallel ranks: experts that these ranks share."""
        return "experts" in self.split and layout.ep > layout.tp

    def exchanges(self, layout: Layout) -> Iterator[Collective]:
        """Yield the collectives that the split needs after this operator; `self` is the sharded operator."""
        for cut in self.split:
            degree = self.degree(cut, layout)
            if degree > 1 and cut == "k":
                yield self.exchange("all_reduce", self.bytes.outputs, degree)
            if degree > 1 and cut == "vocab":
                yield self.exchange("all_gather", self.bytes.outputs * degree, degree)
            if degree > 1 and cut == "experts":
                yield self.exchange("all_to_all", self.bytes.outputs, degree)

    def exchange(self, collective: str, payload: Numeric, group: int, **fields: Any) -> Collective:
        """Return a collective of this operator, named after it and executed as often.

        Args:
            collective: Its kind.
            payload: Bytes of the full tensor per chip.
            group: Chips.
            fields: Of `Collective`, where they differ.
        """
        common = {"precision": self.precision, "repeat": self.repeat, "unit": self.unit}
        named = {"name": f"{self.name}.{collective}", "collective": collective}
        return Collective(**{**common, **named, "payload": payload, "group": group, **fields})


@frozen(kw_only=True, slots=False, eq=False)
class Gemm(Op):
    """`count` products of (m x k) by (k x n).

    Attributes:
        m: Rows of the streamed operand: tokens.
        n: Columns of the result.
        k: Reduced dimension.
        count: Independent products executed (heads, touched experts).
        stored: Second operands resident, if more than touched (all experts of a layer); None: `count`.
        second: Role of the (k x n) operand: `weights`, or `inputs` for a product of two activations.
        bias: Resident elements beside the matrix (biases), per product.
        drawn: Whether tokens are drawn from its rows by sorting them: power models then count `logits`.

    Example:
        >>> gemm = Gemm(name="up", precision=Precision.of(["bf16"]), m=1.0, n=4096.0, k=1024.0)
        >>> gemm.useful, float(gemm.bytes.weights[0])
        (8388608.0, 8388608.0)
    """

    m: Numeric
    n: Numeric
    k: Numeric
    count: Numeric = 1.0
    stored: Numeric | None = None
    second: Literal["weights", "inputs"] = "weights"
    bias: Numeric = 0.0
    drawn: bool = False

    whole: ClassVar[bool] = True
    """Whether it is a kernel by itself, whose result libraries cut into tiles; not a part of another one."""

    divides: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "n": ("n",),
        "k": ("k",),
        "vocab": ("n",),
        "heads": ("count",),
        "experts": ("count", "stored"),
        "rows": ("m",),
    }

    def __attrs_post_init__(self) -> None:
        Op.__attrs_post_init__(self)
        if self.stored is None and "experts" in self.split:
            object.__setattr__(self, "stored", self.count)

    @cached_property
    def useful(self) -> Numeric:
        """2 m n k per product."""
        return 2.0 * self.count * self.m * self.n * self.k

    @cached_property
    def bytes(self) -> Bytes:
        """Both operands once, the result once."""
        matrix = self.count * self.n * self.k
        inputs = self.count * self.m * self.k * self.precision.activations
        outputs = self.count * self.m * self.n * self.precision.activations
        if self.second == "weights":
            return Bytes(weights=matrix * self.precision.weights, inputs=inputs, outputs=outputs)
        return Bytes(inputs=inputs + matrix * self.precision.activations, outputs=outputs)

    @property
    def beside(self) -> Mapping[str, Numeric]:
        """The results that are sorted to draw tokens from them, if it is `drawn`."""
        return {"logits": self.count * self.m * self.n} if self.drawn else {}

    @cached_property
    def parameters(self) -> Numeric:
        """`stored` matrices and their biases; none for a product of activations."""
        if self.second != "weights":
            return 0.0
        stored = self.count if self.stored is None else self.stored
        return stored * (self.n * self.k + self.bias)


@frozen(kw_only=True, slots=False, eq=False)
class Elementwise(Op):
    """Per-element work: norms, activations, residual additions, rotations.

    Attributes:
        elements: Elements of the result.
        reads, writes: Activation tensors of that size read and written, in elements per element.
        stored: Resident weights it uses (a norm's scale), in elements.
        flops: Vector operations per element, not counted as useful.
        of: What it is a part of (`experts`), where software has a kernel of its own for that; else empty.
    """

    elements: Numeric
    reads: Numeric = 1.0
    writes: Numeric = 1.0
    stored: Numeric = 0.0
    flops: Numeric = 1.0
    of: str = ""

    divides: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "n": ("elements",),
        "heads": ("elements",),
        "experts": ("elements",),
        "rows": ("elements",),
    }

    @cached_property
    def bytes(self) -> Bytes:
        """Activations read and written, weights once."""
        act = self.precision.activations
        return Bytes(
            weights=self.stored * self.precision.weights,
            inputs=self.elements * self.reads * act,
            outputs=self.elements * self.writes * act,
        )

    def exchanges(self, layout: Layout) -> Iterator[Collective]:
        """Yield nothing: elements don't depend on each other."""
        return iter(())

    @cached_property
    def parameters(self) -> Numeric:
        """Resident weights."""
        return self.stored


@frozen(kw_only=True, slots=False, eq=False)
class Reduce(Op):
    """`elements` reduced to `results`: a softmax's maximum, a pooling."""

    elements: Numeric
    results: Numeric

    divides: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "n": ("elements", "results"),
        "heads": ("elements", "results"),
        "rows": ("elements", "results"),
    }

    @cached_property
    def bytes(self) -> Bytes:
        """Everything in, results out."""
        act = self.precision.activations
        return Bytes(inputs=self.elements * act, outputs=self.results * act)


@frozen(kw_only=True, slots=False, eq=False)
class Move(Op):
    """Bytes moved without arithmetic: an embedding lookup, a transpose.

    Attributes:
        elements: Elements read and written.
        stored: Resident table elements that it reads from (the embedding); 0: it moves activations.
    """

    elements: Numeric
    stored: Numeric = 0.0

    divides: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "vocab": ("stored",),
        "n": ("elements",),
        "rows": ("elements",),
    }

    @cached_property
    def bytes(self) -> Bytes:
        """Rows read from the table, and written."""
        act = self.precision.activations
        if isinstance(self.stored, float) and self.stored == 0.0:
            return Bytes(inputs=self.elements * act, outputs=self.elements * act)
        return Bytes(weights=self.elements * self.precision.weights, outputs=self.elements * act)

    @cached_property
    def parameters(self) -> Numeric:
        """The table."""
        return self.stored

    def exchanges(self, layout: Layout) -> Iterator[Collective]:
        """Sum the partial lookups of a table split by vocabulary."""
        if layout.tp > 1 and "vocab" in self.split:
            yield self.exchange("all_reduce", self.bytes.outputs, layout.tp)


@frozen(kw_only=True, slots=False, eq=False)
class Collective(Op):
    """Communication inside a group of chips; fabrics cost it, architectures never see it.

    Attributes:
        collective: `all_reduce`, `all_gather`, `reduce_scatter`, `all_to_all` or `send`.
        payload: Bytes of the full tensor per chip (after a gather, before a scatter); of an `all_to_all` what
            one chip sends in all, its own part included, or with `visits` one copy of what it sends.
        group: Chips that take part.
        stride: Distance between two of them, in chips numbered node by node.
        visits: Of an `all_to_all` whose parts go to several chips each (tokens to their experts): number of
            equal parts of the group to the mean number of them that a copy goes to.
    """

    collective: str
    payload: Numeric
    group: int
    stride: int = 1
    visits: Callable[[float], float] | None = None

    def __attrs_post_init__(self) -> None:
        Op.__attrs_post_init__(self)
        if self.group < 1 or self.stride < 1:
            found = f"{min(self.group, self.stride)} is out of range"
            wanted = "a group and its stride are whole numbers of at least 1"
            raise InferBenchError.at(f"collective {self.name}: group", found, wanted)

    def sent(self, parts: float) -> Numeric:
        """Bytes that one chip sends of an `all_to_all`, where each of so many parts of the group gets one
        copy at most.
        """
        return self.payload if self.visits is None else self.payload * self.visits(parts)

    @cached_property
    def bytes(self) -> Bytes:
        """What enters and leaves."""
        return Bytes(inputs=self.payload, outputs=self.payload)
