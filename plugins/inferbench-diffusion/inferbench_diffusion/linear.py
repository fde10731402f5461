"""Linear attention as an operator kind of its own, which lowers to two products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import ClassVar

import inferbench as ib


@ib.frozen(kw_only=True, slots=False, eq=False)
class LinearAttention(ib.Op):
    """Attention whose softmax is replaced by a kernel of q and of k, so that keys x values are summed first.

    Per head, with f the kernel (a ReLU in SANA): S = [v; 1] f(k)^T, a (v_dim + 1) x qk_dim matrix, then
    [o; z] = S f(q) and o / z. The row of ones carries the normaliser. Work grows with tokens, not with
    their square.

    Attributes:
        batch: Sequences.
        heads: Heads.
        tokens: Positions per sequence.
        qk_dim, v_dim: Width of a query/key and of a value, per head.

    Example:
        >>> a = LinearAttention(name="a", precision=ib.Precision.of(["bf16"]), batch=1.0, heads=70.0,
        ...     tokens=1024.0,
        ...                     qk_dim=32.0, v_dim=32.0)
        >>> a.useful
        302776320.0
    """

    batch: ib.Numeric
    heads: ib.Numeric
    tokens: ib.Numeric
    qk_dim: ib.Numeric
    v_dim: ib.Numeric

    divides: ClassVar[Mapping[str, tuple[str, ...]]] = {"heads": ("heads",)}

    @cached_property
    def useful(self) -> ib.Numeric:
        """Two products of tokens x qk_dim x (v_dim + 1) per head."""
        return 4.0 * self.batch * self.heads * self.tokens * self.qk_dim * (self.v_dim + 1.0)

    @cached_property
    def bytes(self) -> ib.Bytes:
        """Queries, keys and values in, results out; the summed matrix stays on chip."""
        act, rows = self.precision.activations, self.batch * self.heads * self.tokens
        return ib.Bytes(inputs=rows * (2.0 * self.qk_dim + self.v_dim) * act, outputs=rows * self.v_dim * act)

    def lower(self) -> Iterator[ib.Op]:
        """Yield the two products, the summed matrix between them in memory."""
        shapes = {
            "sum": (self.v_dim + 1.0, self.qk_dim, self.tokens),
            "apply": (self.tokens, self.v_dim + 1.0, self.qk_dim),
        }
        for part, (m, n, k) in shapes.items():
            yield ib.Gemm(
                name=f"{self.name}.{part}",
                precision=self.precision,
                unit=self.unit,
                m=m,
                n=n,
                k=k,
                count=self.batch * self.heads,
                second="inputs",
            )
