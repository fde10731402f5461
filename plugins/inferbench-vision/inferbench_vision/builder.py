"""`OpBuilder`: writes the operators of encoder layers with one precision, one repeat and one set of
options.
"""

from __future__ import annotations

from collections.abc import Iterator

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
class OpBuilder(ib.plugin.OpBuilder[Options]):
    """Writes operators as encoders have them: attention may be two products with a softmax between."""

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
        if self.options.fused_attention or cached:
            yield from super().attend(name, batch, heads, queries, keys, dim, pairs=pairs, cached=cached)
        else:
            yield from self._unfused(name, batch * heads, queries, keys, dim)

    def _unfused(
        self, name: str, count: ib.Numeric, queries: ib.Numeric, keys: ib.Numeric, dim: float
    ) -> Iterator[ib.Op]:
        """Write scores = q k^T, a softmax, and scores x v."""
        shapes = {"scores": (queries, keys, dim), "values": (queries, dim, keys)}
        for part, (m, n, k) in shapes.items():
            yield ib.Gemm(
                **self.place(f"{name}.{part}"),
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
    yield from builder.each("norm1", rows * width, stored=2 * width)
    yield from builder.linear("qkv", rows, width, 3 * width, bias=1.0 if key_bias else 2 / 3)
    yield from builder.attend("attention", batch, heads, tokens, tokens, width / heads)
    yield from builder.linear("out", rows, width, width, split=("k",))
    yield from builder.each("residual1", rows * width, reads=2.0)
    yield from perceptron(builder, rows, width, hidden)


def perceptron(builder: OpBuilder, rows: ib.Numeric, width: float, hidden: float) -> Iterator[ib.Op]:
    """Write norm, up, activation, down, residual."""
    yield from builder.each("norm2", rows * width, stored=2 * width)
    yield from builder.linear("up", rows, width, hidden)
    yield from builder.each("activation", rows * hidden, split=("n",))
    yield from builder.linear("down", rows, hidden, width, split=("k",))
    yield from builder.each("residual2", rows * width, reads=2.0)


def axis(at: ib.Point, name: str, default: float) -> ib.Numeric:
    """Return a coordinate, or the default of an axis that the point doesn't have."""
    return at.coordinates.get(name, default)
