"""Operators with a state of constant size: recurrences, and per-element work that remembers the last
positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

import attrs
import numpy as np

import inferbench as ib

__all__ = ["Recurrence", "StateProduct", "StatefulElementwise"]


@attrs.frozen(kw_only=True, slots=False, eq=False)
class StateProduct(ib.Gemm):
    """The products of a recurrence as one primitive, whose second operand is the state. Costs are those of
    `Gemm`.

    Attributes:
        touched: Bytes that one execution reads and writes.
        kept: Bytes of state that stay resident.
    """

    touched: ib.Bytes
    kept: ib.Numeric

    whole: ClassVar[bool] = False

    @cached_property
    def bytes(self) -> ib.Bytes:
        """What the recurrence touches: intermediate products stay on the chip."""
        return self.touched

    @cached_property
    def resident(self) -> ib.Bytes:
        """The state."""
        return ib.Bytes(state=self.kept)


# Rules of recurrences that libraries have kernels of their own for.
RULES = ("delta", "kda", "mamba2", "mamba")
SHARES = ("context", "generation")


def _recurrence(c: Mapping[str, ib.Numeric], precision: ib.Precision, words: Mapping[str, str]) -> ib.Op:
    """Build a recurrence from the numbers that say one; operands are queries, keys and values."""
    heads, key_dim, value_dim = c["heads"], c["key_dim"], c["value_dim"]
    return Recurrence(
        name="recurrence",
        precision=precision,
        batch=c["batch"],
        tokens=c["tokens"],
        heads=heads,
        key_dim=key_dim,
        value_dim=value_dim,
        products=c["products"],
        operands=heads * (2.0 * key_dim + value_dim),
        element_bytes=c["element_bytes"],
        prompt=bool(np.all(np.asarray(c["tokens"]) > 1)),
        rule=words["rule"],
    )


_NUMBERS = {
    "batch": ib.Field(1.0),
    "tokens": ib.Field(1.0),
    "heads": ib.Field(),
    "key_dim": ib.Field(128.0),
    "value_dim": ib.Field(128.0),
    "products": ib.Field(3.0),
    "element_bytes": ib.Field(2.0),
}


@attrs.frozen(kw_only=True, slots=False, eq=False)
class Recurrence(ib.Op):
    """A linear recurrence over positions: per head a state of `key_dim` x `value_dim`, the same at any
    context.

    A position reads the state out (query times state) and adds to it (key times value); a delta rule first
    asks what the state predicts for the key. These products are the useful operations, in decode and for a
    prompt alike: a kernel that works on chunks does more of them, which no bound counts. The state is read
    and written once per execution.

    Attributes:
        batch: Sequences.
        tokens: Positions per sequence and execution.
        heads: States per sequence.
        key_dim, value_dim: Shape of a state.
        products: Products of `key_dim` x `value_dim` per position and head: 2, or 3 with a delta rule.
        operands: Elements read per position: queries, keys, values, gates.
        element_bytes: Stored bytes per element of a state.
        prompt: Its positions are a prompt's: context-parallel chips share them, and hand their states on.
            Else these chips share the sequences.
        rule: Which rule, where a stack may hold figures of its kernels: `delta` (a decay per head), `kda`
            (per channel), `mamba2`, `mamba`; empty where it is not said.
        ranks: Chips that share the positions.

    Example:
        One position, 64 heads of 128 x 128 under a delta rule: 64 x 3 x 2 x 128 x 128 operations, and 4 MiB
            of fp32 state.

        >>> scan = Recurrence(name="scan", precision=ib.Precision.of(["bf16"]), batch=1.0, tokens=1.0,
        ...     heads=64.0, key_dim=128.0, value_dim=128.0, products=3.0, operands=24576.0, element_bytes=4.0)
        >>> scan.useful, scan.resident.state
        (6291456.0, 4194304.0)
    """

    batch: ib.Numeric
    tokens: ib.Numeric
    heads: ib.Numeric
    key_dim: ib.Numeric
    value_dim: ib.Numeric
    products: ib.Numeric
    operands: ib.Numeric
    element_bytes: ib.Numeric
    prompt: bool = False
    rule: str = ""
    ranks: int = 1

    described: ClassVar[ib.Kind] = ib.Kind(
        "recurrence", _NUMBERS, _recurrence, {"rule": ""}, decisive=("tokens",)
    )
    named: ClassVar[tuple[str, ...]] = tuple(
        f"{share}.{rule}" if rule else share for share in SHARES for rule in (*RULES, "")
    )

    divides: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "heads": ("heads", "operands"),
        "n": ("value_dim", "operands"),
    }

    @property
    def variant(self) -> str:
        """`context.delta` or `generation.delta`: a prompt in chunks, and a step at a time."""
        share = SHARES[0 if self.prompt else 1]
        return f"{share}.{self.rule}" if self.rule else share

    @cached_property
    def useful(self) -> ib.Numeric:
        """2 x key_dim x value_dim per product, position and head."""
        per_head = 2.0 * self.products * self.key_dim * self.value_dim
        return self.batch * self.tokens * self.heads * per_head

    @cached_property
    def state(self) -> ib.Numeric:
        """Bytes of the states of all sequences."""
        return self.batch * self.heads * self.key_dim * self.value_dim * self.element_bytes

    @cached_property
    def bytes(self) -> ib.Bytes:
        """Operands in, results out; the state once in and once out."""
        act, rows = self.precision.activations, self.batch * self.tokens
        outputs = rows * self.heads * self.value_dim * act
        return ib.Bytes(state=2.0 * self.state, inputs=rows * self.operands * act, outputs=outputs)

    @cached_property
    def resident(self) -> ib.Bytes:
        """The states."""
        return ib.Bytes(state=self.state)

    def shard(self, layout: ib.Layout) -> ib.Op:
        """Return one chip's share: heads by tp; over cp, positions of a prompt, else sequences."""
        mine = super().shard(layout)
        if layout.cp == 1 or not isinstance(mine, Recurrence):
            return mine
        share: dict[str, Any] = {"batch": ib.ceil_div(mine.batch, layout.cp)}
        if self.prompt:
            share = {"tokens": mine.tokens / layout.cp, "ranks": layout.cp}
        return attrs.evolve(mine, **share)

    def exchanges(self, layout: ib.Layout) -> Iterator[ib.Collective]:
        """Yield the states that chips with pieces of a prompt hand on: linear in the state before, so each
        piece runs by itself and all are joined in one exchange (Sun et al. 2025, LASP-2, arXiv 2502.07563).
        """
        yield from super().exchanges(layout)
        if self.ranks > 1:
            states = self.state * self.ranks
            named = f"{self.name}.pass_states"
            yield self.exchange("all_gather", states, self.ranks, name=named, stride=layout.tp)

    def lower(self) -> Iterator[ib.Op]:
        """Yield its products as one primitive that touches the same bytes."""
        yield StateProduct(
            name=self.name,
            precision=self.precision,
            unit=self.unit,
            m=self.tokens,
            n=self.value_dim,
            k=self.key_dim,
            count=self.batch * self.heads * self.products,
            second="inputs",
            touched=self.bytes,
            kept=self.state,
        )


def _convolution(c: Mapping[str, ib.Numeric], precision: ib.Precision, words: Mapping[str, str]) -> ib.Op:
    """Build a short convolution from the numbers that say one."""
    channels, taps, prompt = c["channels"], c["taps"], bool(np.all(np.asarray(c["tokens"]) > 1))
    return StatefulElementwise(
        name="convolution",
        precision=precision,
        of=f"convolution.{SHARES[0 if prompt else 1]}",
        elements=c["batch"] * c["tokens"] * channels,
        stored=channels * taps,
        flops=2.0 * taps,
        state=c["batch"] * channels * (taps - 1.0),
        sequences=c["batch"],
        channels=channels,
    )


_CONVOLVED = {
    "batch": ib.Field(1.0),
    "tokens": ib.Field(1.0),
    "channels": ib.Field(),
    "taps": ib.Field(4.0),
}


@attrs.frozen(kw_only=True, slots=False, eq=False)
class StatefulElementwise(ib.Elementwise):
    """Per-element work that keeps the last positions of every sequence: a short convolution, a pooling
    window.

    Attributes:
        state: Elements kept, all sequences together; read and written once per execution, stored like
            activations.
        holds: What counts as resident here, once per graph: `weights`, `state` or both.
        sequences, channels: Of a short convolution, which goes through the positions of one channel of one
            sequence after the other; 0 where that is not said.
    """

    state: ib.Numeric
    holds: tuple[str, ...] = ("weights", "state")
    sequences: ib.Numeric = 0.0
    channels: ib.Numeric = 0.0

    described: ClassVar[ib.Kind] = ib.Kind("convolution", _CONVOLVED, _convolution, decisive=("tokens",))

    divides: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "n": ("elements", "state", "stored", "channels"),
        "heads": ("elements", "state", "stored", "channels"),
        "rows": ("elements", "state"),
    }

    @cached_property
    def bytes(self) -> ib.Bytes:
        """As any per-element work, and the state in and out."""
        act = self.precision.activations
        return ib.Bytes(
            weights=self.stored * self.precision.weights,
            state=2.0 * self.state * act,
            inputs=self.elements * self.reads * act,
            outputs=self.elements * self.writes * act,
        )

    @cached_property
    def parameters(self) -> ib.Numeric:
        """Its weights, where they count here."""
        return self.stored if "weights" in self.holds else 0.0

    @cached_property
    def resident(self) -> ib.Bytes:
        """Weights, and the positions kept."""
        kept = self.state * self.precision.activations if "state" in self.holds else 0.0
        return ib.Bytes(weights=self.parameters * self.precision.weights, state=kept)
