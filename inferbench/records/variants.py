"""Under which names a stack knows an operator: its kind, and before it what kind of that kind it is.

Software runs attention over a prompt, attention of one new token and attention of an encoder with
different kernels, and experts with another one than a dense product; a stack may hold figures for each,
and falls back to the kind.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from inferbench.num import Mask, Numeric
from inferbench.records.attention import Attention
from inferbench.records.op import Collective, Elementwise, Op

__all__ = ["Names", "variants", "length"]

Names = tuple[str, ...]

EXPERT_PRODUCTS = ("gemm.experts", "gemm")
WIDE = ("gemm.experts.wide", *EXPERT_PRODUCTS)
WIDE_CONTEXT = ("gemm.experts.wide.context", *WIDE)
WIDE_GENERATION = ("gemm.experts.wide.generation", *WIDE)
CONTEXT = ("attention.context", "attention")
ENCODER = ("attention.encoder", *CONTEXT)
GENERATION = ("attention.generation", "attention")
ALONE = ("attention.generation.mha", *GENERATION)
LATENT_CONTEXT = ("attention.context.mla", *CONTEXT)
LATENT = ("attention.generation.mla", *GENERATION)
NAMED: Mapping[str, tuple[str, ...]] = {
    kind: tuple(names[0].removeprefix(f"{kind}.") for names in some)
    for kind, some in {
        "gemm": (WIDE_CONTEXT, WIDE_GENERATION, WIDE, EXPERT_PRODUCTS),
        "attention": (LATENT, ALONE, GENERATION, LATENT_CONTEXT, CONTEXT, ENCODER),
    }.items()
}
"""Kind to the variants that it has, special to general."""
OPEN = ("elementwise", "collective")
"""Kinds whose variants are open: what the work is part of, or which collective among how many chips."""


def variants(op: Op) -> tuple[tuple[Names, Mask | bool], ...]:
    """Return the names of an operator, special to general, each with the mask of the points that they are
    for.

    - Attention: `attention.generation` where there is one query per sequence (with `.mha` before it where
    every query
      head has keys of its own: libraries have another kernel for grouped heads), `attention.encoder` where
      nothing is cached, else `attention.context`; where a latent is held in place of keys and values,
      `attention.generation.mla` and `attention.context.mla`.
    - Products of touched experts: `gemm.experts`; of experts that chips with tokens of their own share
      `gemm.experts.wide`, with the phase after it where that is known (`gemm.experts.wide.context`).
    - Element-wise work that is part of something: `elementwise.experts` (the weighted sum of experts'
    results).
    - Kinds of plugins: what their class calls a `variant`, each name without its last word after it.
    - Collectives: `collective.all_reduce.8` (of 8 chips), `collective.all_reduce`.

    Example:
        >>> from inferbench import Gemm, Precision
        >>> variants(Gemm(name="up", precision=Precision.of(["bf16"]), m=1.0, n=8.0, k=8.0))
        ((('gemm',), True),)
    """
    if isinstance(op, Attention):
        return _attention(op)
    if isinstance(op, Collective):
        name = f"collective.{op.collective}"
        return (((f"{name}.{op.group}", name, "collective"), True),)
    if op.kind == "gemm" and "experts" in op.split and not op.variant:
        return ((EXPERT_PRODUCTS, True),)
    own = op.of if isinstance(op, Elementwise) else op.variant
    words = own.split(".") if own else []
    names = [".".join((op.kind, *words[:count])) for count in range(len(words), -1, -1)]
    return ((tuple(names), True),)


def _attention(op: Attention) -> tuple[tuple[Names, Mask | bool], ...]:
    if not op.cached:
        return ((ENCODER, True),)
    single, alone = np.asarray(op.queries) <= 1, np.asarray(op.kv_heads) >= np.asarray(op.heads)
    if op.latent:
        latent = ((LATENT_CONTEXT, ~single), (LATENT, single))
        return tuple((names, True if mask.all() else mask) for names, mask in latent if mask.any())
    if not single.any():
        return ((CONTEXT, True),)
    if single.all() and (alone.all() or not alone.any()):
        return ((ALONE if alone.all() else GENERATION, True),)
    masks = ((CONTEXT, ~single), (GENERATION, single & ~alone), (ALONE, single & alone))
    return tuple((names, mask) for names, mask in masks if mask.any())


def length(op: Op) -> Numeric:
    """Steps of the loop that one tile of the result runs through: the reduced dimension, the keys; 0 where
    there is none.
    """
    return getattr(op, "k", getattr(op, "keys", 0.0))
