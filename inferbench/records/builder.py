"""`OpBuilder`: writes the operators of a network's parts with one precision, one repeat and one set of
options.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, Self, TypedDict, TypeVar

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.num import Numeric, ceil_div, where
from inferbench.records.attention import Attention
from inferbench.records.convolution import Conv2d
from inferbench.records.op import Elementwise, Gemm, Op
from inferbench.records.precision import Precision

__all__ = ["OpBuilder", "Parts", "whole_units"]


class Parts(Protocol):
    """Which parts of a network count; a workload's options have more of them."""

    @property
    def elementwise(self) -> bool:
        """Whether norms, activations and residuals are kernels of their own."""


Options = TypeVar("Options", bound=Parts)


class Place(TypedDict):
    """What all operators of a part share."""

    name: str
    precision: Precision
    repeat: Numeric
    copies: Numeric
    unit: str


@attrs.frozen
class OpBuilder(Generic[Options]):
    """Writes operators; a workload may add its own by a subclass.

    Attributes:
        precision: The precision axis.
        options: Which parts count.
        prefix: Put before every name.
        repeat: Equal layers.
        loops: Times all of it runs with the same weights: sampling steps, tokens of a decoder.
        unit: What a pipeline stage may not cut.

    Example:
        >>> @attrs.frozen
        ... class All:
        ...     elementwise: bool = True
        >>> layers = OpBuilder(Precision.of(["fp8"]), All()).on("layer.", repeat=12)
        >>> [(op.name, op.repeat) for op in layers.linear("up", 8.0, 1024, 4096)]
        [('layer.up', 12.0)]
    """

    precision: Precision
    options: Options
    prefix: str = ""
    repeat: float = 1.0
    loops: Numeric = 1.0
    unit: str = "layer"

    def on(self, prefix: str, repeat: float = 1.0, unit: str = "layer") -> Self:
        """Return a builder for another part of the network."""
        return attrs.evolve(self, prefix=prefix, repeat=float(repeat), unit=unit)

    def place(self, name: str, kernels: float = 1.0) -> Place:
        """Say where an operator stands, how often it runs and how many copies of its weights are held.

        Args:
            name: Of the operator in its part.
            kernels: How many launches it stands for.
        """
        return {
            "name": self.prefix + name,
            "precision": self.precision,
            "repeat": self.repeat * self.loops * kernels,
            "copies": self.repeat,
            "unit": self.unit,
        }

    def linear(
        self,
        name: str,
        m: Numeric,
        k: float,
        n: float,
        *,
        bias: float = 1.0,
        split: tuple[str, ...] = ("n",),
        tied: bool = False,
        graph_bytes: Numeric = 0.0,
    ) -> Iterator[Op]:
        """Write a linear layer: (m, k) by (k, n).

        Args:
            name: In its part.
            m: Rows.
            k, n: Features in and out.
            bias: Share of the outputs that have one.
            split: What tensor parallelism may cut.
            tied: Whether its weights are held elsewhere.
            graph_bytes: Bytes that it reads or writes of the whole network's input or output.
        """
        yield Gemm(
            **self.place(name),
            split=split,
            m=m,
            n=float(n),
            k=float(k),
            stored=0.0 if tied else 1.0,
            bias=float(n) * bias,
            graph_bytes=graph_bytes,
        )

    def conv(
        self,
        name: str,
        batch: Numeric,
        side: tuple[Numeric, Numeric],
        channels: tuple[float, float],
        *,
        size: int = 3,
        stride: int = 1,
        groups: float = 1.0,
        bias: bool = True,
        split: tuple[str, ...] = (),
        graph_bytes: Numeric = 0.0,
    ) -> Iterator[Op]:
        """Write a convolution; `side` is height and width of its result, `channels` in and out."""
        yield Conv2d(
            **self.place(name),
            split=split,
            batch=batch,
            height=side[0],
            width=side[1],
            in_channels=float(channels[0]),
            out_channels=float(channels[1]),
            kernel=(size, size),
            stride=(stride, stride),
            groups=float(groups),
            bias=bias,
            graph_bytes=graph_bytes,
        )

    def each(
        self,
        name: str,
        elements: Numeric,
        *,
        reads: float = 1.0,
        writes: float = 1.0,
        stored: float = 0.0,
        split: tuple[str, ...] = (),
        kernels: float = 1.0,
    ) -> Iterator[Op]:
        """Write element-wise kernels, unless such kernels are left out.

        Args:
            name: In its part.
            elements: Of the result.
            reads, writes: Operands and results per element, means over the `kernels`.
            stored: Parameters.
            split: What tensor parallelism may cut.
            kernels: How many launches it stands for.
        """
        if self.options.elementwise:
            yield Elementwise(
                **self.place(name, kernels),
                split=split,
                elements=elements,
                reads=reads,
                writes=writes,
                stored=float(stored),
            )

    def attend(
        self,
        name: str,
        batch: Numeric,
        heads: float,
        queries: Numeric,
        keys: Numeric,
        dim: float,
        *,
        pairs: Numeric | None = None,
        cached: bool = False,
    ) -> Iterator[Op]:
        """Write softmax attention with as many heads of keys as of queries; scores stay on chip.

        Args:
            name: In its part.
            batch: Sequences.
            heads: Of queries, keys and values.
            queries, keys: Positions.
            dim: Of a head.
            pairs: Pairs of a query and a key; by default all.
            cached: Whether keys and values are state that outlives the step.
        """
        yield Attention(
            **self.place(name),
            split=("heads",),
            batch=batch,
            heads=float(heads),
            kv_heads=float(heads),
            queries=queries,
            keys=keys,
            pairs=queries * keys if pairs is None else pairs,
            qk_dim=float(dim),
            v_dim=float(dim),
            cached=cached,
        )


def whole_units(axis: str, amount: Numeric, unit: int, why: str, first: int = 0) -> Numeric:
    """Return how many units cover a side or a number of frames exactly.

    Args:
        axis: Name of the axis, for the message.
        amount: Pixels of a side, or frames.
        unit: What it must be a multiple of.
        why: What demands that, for the message.
        first: What stands before the first unit.

    Raises:
        InferBenchError: Some amount is not a multiple of the unit.

    Example:
        >>> float(whole_units("pixels", 224.0, 16, "vit-b cuts images into patches of 16"))
        14.0
    """
    count = ceil_div(amount - first, unit)
    odd = float(np.max(where(count * unit + first == amount, 0.0, amount)))
    if odd:
        low = first + unit * ((odd - first) // unit)
        noun = "frames" if axis == "frames" else "pixels"
        found = f"{odd:g} {noun} don't tile: {why}"
        remedy = f"use {f'{low:g} or ' if low > 0 else ''}{low + unit:g}"
        raise InferBenchError.of_argument(axis, found, remedy)
    return count
