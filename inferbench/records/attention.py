"""`Attention`: queries against keys and values, and how chips share them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import ClassVar

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.num import Numeric
from inferbench.records.immutable import frozen
from inferbench.records.op import Bytes, Collective, Op
from inferbench.records.system import Layout

__all__ = ["Attention"]


@frozen(kw_only=True, slots=False, eq=False)
class Attention(Op):
    """Scaled dot-product attention, scores kept on chip.

    Attributes:
        batch: Sequences.
        heads, kv_heads: Query heads and key/value heads.
        queries: Query positions per sequence.
        keys: Key/value positions held per sequence (window-limited where there is a window).
        pairs: Query-key pairs computed per sequence and head: `queries * keys`, about half of it if causal.
        qk_dim, v_dim: Width of a query/key and of a value.
        width: Elements of state per position and layer; None: `kv_heads * (qk_dim + v_dim)` (MLA stores a
            latent).
        cached: Whether keys and values are state (a KV cache) or plain activations (an encoder).
        cp_ranks: Context-parallel chips that the resident positions are spread over.
        ring: 1 where keys and values go round those chips, 0 where queries do and partial results are
            merged.

    Example:
        One query against 2,048 positions, 64 heads of 128: 4 x 64 x 128 x 2048 operations.

        >>> from inferbench.records.precision import Precision
        >>> p = Precision.of(["bf16"])
        >>> Attention(name="a", precision=p, batch=1.0, heads=64.0, kv_heads=8.0, queries=1.0, keys=2048.0,
        ...           pairs=2048.0, qk_dim=128.0, v_dim=128.0).useful
        67108864.0
    """

    batch: Numeric
    heads: Numeric
    kv_heads: Numeric
    queries: Numeric
    keys: Numeric
    pairs: Numeric
    qk_dim: Numeric
    v_dim: Numeric
    width: Numeric | None = None
    cached: bool = True
    cp_ranks: float = 1.0
    ring: Numeric = 1.0

    divides: ClassVar[Mapping[str, tuple[str, ...]]] = {"heads": ("heads", "kv_heads")}

    def __attrs_post_init__(self) -> None:
        Op.__attrs_post_init__(self)
        if type(self.heads) is float and type(self.kv_heads) is float and self.heads < self.kv_heads:
            found = f"{self.kv_heads:g} is more than the {self.heads:g} query heads"
            raise InferBenchError.at(f"attention {self.name}: kv_heads", found, "query heads share KV heads")

    @cached_property
    def useful(self) -> Numeric:
        """Scores and weighted sum: 2 (qk_dim + v_dim) per pair and head."""
        return 2.0 * self.batch * self.heads * self.pairs * (self.qk_dim + self.v_dim)

    @cached_property
    def state_width(self) -> Numeric:
        """Elements of keys and values per position."""
        return self.kv_heads * (self.qk_dim + self.v_dim) if self.width is None else self.width

    @property
    def latent(self) -> bool:
        """Whether a latent is held per position instead of the keys and values computed with (MLA)."""
        width = np.asarray(self.state_width)
        return bool(np.any((width > 0) & (width != self.kv_heads * (self.qk_dim + self.v_dim))))

    @cached_property
    def bytes(self) -> Bytes:
        """Queries in, results out; every held position once (old ones read, new ones written)."""
        act = self.precision.activations
        positions = self.batch * self.keys * self.state_width
        inputs = self.batch * self.queries * self.heads * self.qk_dim * act
        outputs = self.batch * self.queries * self.heads * self.v_dim * act
        if self.cached:
            return Bytes(state=positions * self.precision.kv, inputs=inputs, outputs=outputs)
        return Bytes(inputs=inputs + positions * act, outputs=outputs)

    @cached_property
    def resident(self) -> Bytes:
        """The KV cache."""
        if not self.cached:
            return Bytes()
        keys = self.keys * (self.ring / self.cp_ranks + (1.0 - self.ring))
        return Bytes(state=self.batch * keys * self.state_width * self.precision.kv)

    @property
    def keys_bytes(self) -> Numeric:
        """Bytes of all keys and values."""
        width = self.precision.kv if self.cached else self.precision.activations
        return self.batch * self.keys * self.state_width * width

    def queries_bytes(self, dim: Numeric) -> Numeric:
        """Bytes of a tensor as wide as `dim` per head and query."""
        return self.batch * self.queries * self.heads * dim * self.precision.activations

    def shard(self, layout: Layout) -> Op:
        """Return one chip's share: heads by tp; over cp, positions of the keys and pairs of queries and keys.

        Every query must meet every key. Either keys and values go round (each chip has its share of the
        queries and reads all keys), or queries do (each chip has its share of the keys, and the parts of a
        result are merged): whichever moves fewer bytes, point by point. Prompts mostly pass keys, token
        steps queries (Yang et al. 2024, arXiv 2411.01783, section 3).
        """
        mine = super().shard(layout)
        if layout.cp == 1 or not isinstance(mine, Attention):
            return mine
        cp = float(layout.cp)
        ring = np.where(mine.keys_bytes <= mine.queries_bytes(mine.qk_dim + mine.v_dim), 1.0, 0.0)
        return attrs.evolve(
            mine,
            queries=mine.queries * np.where(ring > 0, 1.0 / cp, 1.0),
            keys=mine.keys * np.where(ring > 0, 1.0, 1.0 / cp),
            pairs=mine.pairs / cp,
            cp_ranks=cp,
            ring=ring,
        )

    def exchanges(self, layout: Layout) -> Iterator[Collective]:
        """Yield what context-parallel chips exchange: keys and values, or queries and parts of results."""
        yield from super().exchanges(layout)
        if layout.cp > 1:
            cp, tp = layout.cp, layout.tp
            keys, queries = self.repeat * self.ring, self.repeat * (1.0 - self.ring)
            wide, results = self.queries_bytes(self.qk_dim), self.queries_bytes(self.v_dim)
            for name, kind, payload, repeat in (
                ("pass_keys", "all_gather", self.keys_bytes, keys),
                ("pass_queries", "all_gather", wide, queries),
                ("merge", "reduce_scatter", results, queries),
            ):
                named = f"{self.name}.{name}"
                yield self.exchange(kind, payload, cp, name=named, repeat=repeat, stride=tp)
