"""`OpBuilder`: writes the operators of encoder layers with one precision, one repeat and one set of
options.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

import inferbench as ib


@ib.frozen
class Options:
    """Which parts of a network count.

    Attributes:
        embedding: Patch or token embedding, or the convolutions in front.
        head: Classifier, projection or vocabulary.
        elementwise: Norms, activations, residuals and position embeddings, each an eager kernel of its own.
        fused_attention: Scores stay on chip; otherwise they are written and read back (two products, one
            softmax).
    """

    embedding: bool = True
    head: bool = True
    elementwise: bool = True
    fused_attention: bool = True


@ib.frozen
class OpBuilder:
    """Writes operators.

    Attributes:
        precision: The precision axis.
        options: Which parts count.
        prefix: Put before every name.
        repeat: Equal layers.
        loops: Times all of it runs with the same weights (tokens of a decoder).
        unit: What a pipeline stage may not cut.
    """

    precision: ib.Precision
    options: Options
    prefix: str = ""
    repeat: float = 1.0
    loops: ib.Numeric = 1.0
    unit: str = "layer"

    def on(self, prefix: str, repeat: float = 1.0, unit: str = "layer") -> OpBuilder:
        """Return a builder for another part of the network."""
        return attrs.evolve(self, prefix=prefix, repeat=float(repeat), unit=unit)

    def _placed(self, name: str, kernels: float = 1.0) -> dict[str, Any]:
        """What all operators of a part share: where they stand, how often they run and how many copies are
        held.
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
        m: ib.Numeric,
        k: float,
        n: float,
        *,
        bias: float = 1.0,
        split: tuple[str, ...] = ("n",),
        tied: bool = False,
        graph_bytes: ib.Numeric = 0.0,
    ) -> Iterator[ib.Op]:
        """Write a linear layer; `bias` is the share of its outputs that have one, `tied` weights are held
        elsewhere.
        """
        yield ib.Gemm(
            **self._placed(name),
            split=split,
            m=m,
            n=float(n),
            k=float(k),
            held=0.0 if tied else 1.0,
            bias=float(n) * bias,
            graph_bytes=graph_bytes,
        )

    def each(
        self,
        name: str,
        elements: ib.Numeric,
        *,
        reads: float = 1.0,
        held: float = 0.0,
        split: tuple[str, ...] = (),
        kernels: float = 1.0,
    ) -> Iterator[ib.Op]:
        """Write an element-wise kernel, unless such kernels are left out; `held` counts parameters."""
        if self.options.elementwise:
            yield ib.Elementwise(
                **self._placed(name, kernels),
                split=split,
                elements=elements,
                reads=reads,
                held=float(held),
            )

    def attend(
        self,
        name: str,
        batch: ib.Numeric,
        heads: float,
        queries: ib.Numeric,
        keys: ib.Numeric,
        dim: float,
        *,
        pairs: ib.Numeric | None = None,
        cached: bool = False,
    ) -> Iterator[ib.Op]:
        """Write attention, fused or as two products with the scores in memory between them."""
        if not self.options.fused_attention and not cached:
            yield from self._unfused(name, batch * heads, queries, keys, dim)
            return
        yield ib.Attention(
            **self._placed(name),
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

    def _unfused(
        self, name: str, count: ib.Numeric, queries: ib.Numeric, keys: ib.Numeric, dim: float
    ) -> Iterator[ib.Op]:
        """Write scores = q k^T, a softmax, and scores x v."""
        shapes = {"scores": (queries, keys, dim), "values": (queries, dim, keys)}
        for part, (m, n, k) in shapes.items():
            yield ib.Gemm(
                name=f"{self.prefix}{name}.{part}",
                precision=self.precision,
                repeat=self.repeat * self.loops,
                copies=self.repeat,
                unit=self.unit,
                split=("heads",),
                m=m,
                n=n,
                k=k,
                count=count,
                second="inputs",
            )
            if part == "scores":
                yield from self.each(f"{name}.softmax", count * queries * keys, split=("heads",))


def layer(
    builder: OpBuilder,
    batch: ib.Numeric,
    tokens: ib.Numeric,
    width: float,
    heads: float,
    hidden: float,
    key_bias: bool = True,
) -> Iterator[ib.Op]:
    """Write pre-norm encoder layers: attention and a two-layer perceptron, each with norm and residual.

    Per token 2 (4 width^2 + 2 width hidden) operations in products, and 4 tokens width in attention.
    """
    rows = batch * tokens
    yield from builder.each("norm1", rows * width, held=2 * width)
    yield from builder.linear("qkv", rows, width, 3 * width, bias=1.0 if key_bias else 2 / 3)
    yield from builder.attend("attention", batch, heads, tokens, tokens, width / heads)
    yield from builder.linear("out", rows, width, width, split=("k",))
    yield from builder.each("residual1", rows * width, reads=2.0)
    yield from perceptron(builder, rows, width, hidden)


def perceptron(builder: OpBuilder, rows: ib.Numeric, width: float, hidden: float) -> Iterator[ib.Op]:
    """Write norm, up, activation, down, residual."""
    yield from builder.each("norm2", rows * width, held=2 * width)
    yield from builder.linear("up", rows, width, hidden)
    yield from builder.each("activation", rows * hidden, split=("n",))
    yield from builder.linear("down", rows, hidden, width, split=("k",))
    yield from builder.each("residual2", rows * width, reads=2.0)


def axis(at: ib.Point, name: str, default: float) -> ib.Numeric:
    """Return a coordinate, or the default of an axis that the point doesn't have."""
    return at.coordinates.get(name, default)


def grid(pixels: ib.Numeric, unit: int, why: str) -> ib.Numeric:
    """Return how many units of so many pixels lie along the side of a square image.

    Args:
        pixels: Side of the image.
        unit: Pixels that a side must be a multiple of.
        why: What demands that, for the message.

    Raises:
        InferBenchError: Some side is not a multiple of the unit.

    Example:
        >>> float(grid(224.0, 16, "vit-b cuts images into patches of 16"))
        14.0
    """
    sides = ib.ceil_div(pixels, unit)
    odd = float(np.max(ib.where(sides * unit == pixels, 0.0, pixels)))
    if odd:
        low = unit * (odd // unit)
        raise ib.InferBenchError.of_argument(
            "pixels",
            f"{odd:g} pixels don't tile: {why}",
            f"use {f'{low:g} or ' if low else ''}{low + unit:g}",
        )
    return sides
