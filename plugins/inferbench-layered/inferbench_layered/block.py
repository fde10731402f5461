"""`Block`: one kind of part that some layers have, with the operators it yields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import attrs
from inferbench_llm import CachedAttention, Layers, Size, Sweep

import inferbench as ib

__all__ = ["Block", "Indexer", "attend", "check_whole", "per_head", "resident_here"]


def check_whole(record: attrs.AttrsInstance) -> None:
    """Refuse counts that are not whole.

    Raises:
        ValueError: With the field's name; the second line is the remedy.
    """
    for field in attrs.fields(type(record)):
        value = getattr(record, field.name)
        if isinstance(value, float) and value % 1 > 0:
            raise ValueError(
                f"{field.name} is {value:g}; a whole number was expected\nwrite it like {value // 1:.0f}"
            )


@attrs.frozen(kw_only=True)
class Block:
    """A part that stands in a number of layers: an attention, a recurrence, a feed-forward part.

    Attributes:
        layers: Layers that have it.
        norms: Norms over the residual stream that it comes with: before it, and perhaps after it.
    """

    layers: ib.Count
    norms: Size = 1.0

    part: ClassVar[str] = "attention"
    """Part of a network whose published format holds for it; empty where it says so itself."""

    def __attrs_post_init__(self) -> None:
        check_whole(self)

    def ops(self, build: Layers) -> Iterator[ib.Op]:
        """Yield its operators in all its layers; `build` knows the sweep, the precision and the options."""
        raise NotImplementedError

    def resized(self, layers: float) -> Block:
        """Return the block in another number of layers, every one of which chooses for itself."""
        indexer = getattr(self, "indexer", None)
        changes = {"indexer": attrs.evolve(indexer, layers=0.0)} if indexer else {}
        return attrs.evolve(self, layers=layers, **changes)


@attrs.frozen(kw_only=True)
class Indexer:
    """The lightning indexer of sparse attention: small heads that score every cached position for each query.

    Source: DeepSeek-AI 2025, "DeepSeek-V3.2" (arXiv 2512.02556), section 2.1, equations 1 and 2.

    Attributes:
        num_heads, head_dim: Its query heads; one key of `head_dim` is cached per position.
        top_k: Positions (blocks, where `block` is above 1) that a query attends to.
        layers: Layers that score by themselves; others reuse a choice. 0: all layers of the block.
        block: Positions chosen together.
        weighted: Heads are weighted by a projection of the query's token.
        norms: Elements of the norms of queries and keys.
        key_bytes: Bytes of a cached key whatever the precision of a run; 0: like the rest of the cache.
            DeepSeek's keys are in FP8 with a scale of four bytes.
    """

    num_heads: ib.Count
    head_dim: ib.Count
    top_k: ib.Count
    layers: Size = 0.0
    block: ib.Count = 1.0
    weighted: bool = True
    norms: Size = 0.0
    key_bytes: Size = 0.0

    def __attrs_post_init__(self) -> None:
        check_whole(self)

    @property
    def reach(self) -> float:
        """Positions that a query attends to at most."""
        return self.top_k * self.block

    def ops(self, build: Layers, layers: float, query_input: float, ratio: float = 1.0) -> Iterator[ib.Op]:
        """Yield projections, scores and choice.

        Chips of a tensor-parallel group do all of it each, as deployed software does.

        Args:
            build: For the sweep and the precision.
            layers: Layers of the block.
            query_input: Width that queries are projected from.
            ratio: Positions per cached key (compressed caches).
        """
        sweep, layers, hidden = build.sweep, self.layers or layers, build.params.hidden_size
        yield build.gemm("index_q", layers, self.num_heads * self.head_dim, query_input)
        extra = self.num_heads if self.weighted else 0.0
        if ratio == 1.0:
            yield build.gemm("index_k", layers, self.head_dim + extra, hidden, bias=self.norms)
        else:
            yield build.gemm("index_weights", layers, extra, hidden)
        if build.options.attention or build.options.kv:
            yield self._scores(build, layers, ratio)
        if build.options.elementwise:
            yield ib.Reduce(
                name=sweep.prefix + "index_top_k",
                precision=build.precision,
                repeat=layers * sweep.executions,
                elements=sweep.batch * sweep.pairs(0.0) / (ratio * self.block),
                results=sweep.batch * sweep.pairs(self.reach * ratio) / (ratio * self.block),
            )

    def _scores(self, build: Layers, layers: float, ratio: float) -> ib.Op:
        width = self.key_bytes / build.precision.kv if self.key_bytes else self.head_dim
        heads = (self.num_heads, 1.0, self.head_dim, 0.0, width)
        sweep = build.sweep
        pairs, keys, stored = sweep.pairs(0.0) / ratio, sweep.keys(0.0) / ratio, sweep.stored(0.0) // ratio
        return attend(build, "index_scores", layers, heads, (pairs, keys, stored), split=())


def attend(
    build: Layers,
    name: str,
    layers: float,
    heads: tuple[float, float, float, float, ib.Numeric | None],
    amounts: tuple[ib.Numeric, ib.Numeric, ib.Numeric],
    split: tuple[str, ...] = ("heads",),
) -> ib.Op:
    """Return attention in so many layers.

    Args:
        build: For the sweep, the precision and which parts count.
        name: Of the operator.
        layers: Layers that have it.
        heads: Query heads, key/value heads, width of a query, width of a value, elements cached per position
            whatever the heads; None: keys and values of all heads, which chips divide with them.
        amounts: Query-key pairs per sequence and head, positions touched per sequence, positions held at the
            end.
        split: What may be cut.
    """
    sweep, options = build.sweep, build.options
    (count, kv_heads, qk, v, width), (pairs, keys, stored) = heads, amounts
    return CachedAttention(
        name=sweep.prefix + name,
        precision=build.precision,
        repeat=layers * sweep.executions,
        copies=layers if sweep.cache else 0.0,
        split=split,
        batch=sweep.batch,
        heads=count,
        kv_heads=kv_heads,
        queries=sweep.queries,
        keys=keys,
        pairs=pairs if options.attention else 0.0,
        qk_dim=qk,
        v_dim=v,
        width=width if options.kv else 0.0,
        stored=stored,
    )


def per_head(build: Layers, name: str, layers: float, heads: float, n: float, k: float) -> ib.Op:
    """Return one product per head of every row."""
    return build.gemm(name, layers, n, k, count=heads, split=("heads",))


def resident_here(sweep: Sweep) -> tuple[str, ...]:
    """Say what counts as resident in a sweep: the graph's weights, its state, or both."""
    return tuple(role for role, here in (("weights", sweep.weights), ("state", sweep.cache)) if here)
