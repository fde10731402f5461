"""A synthetic family of dense transformers, 1B to 200B parameters, for sweeps over network size.

The rule, from a number of parameters N to a shape:

- Heads of 128, 8 key/value heads, three feed-forward matrices of width 3.5 d, a vocabulary of 128,256: as in
Llama 3
  8B and 70B (Grattafiori et al. 2024, arXiv 2407.21783, table 3). Below 4B the head reads the embedding's
  table, as in Llama 3.2 1B and 3B.
- Width over depth: loss hardly depends on it within a wide range (Kaplan et al. 2020, arXiv 2001.08361,
section 3.1,
  figure 5), so one ratio serves all sizes: 102.4, that of Llama 3 70B (8,192 / 80).
- Width d is a multiple of 1,024 (8 query heads for every key/value head, or a multiple of it), the one for
which
  layers that fill up N give a ratio nearest to 102.4; layers L are then what comes nearest to N.

A layer has `2 d^2 + 2 d 1024 + 3 (3.5 d) d` weights (q and o, k and v, feed-forward), the tables `2 x
128256 d`, or half of it where they are one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import inferbench as ib
from inferbench_llm.params import TransformerParams

__all__ = ["SIZES", "dense", "family"]

SIZES = (1, 2, 4, 8, 16, 32, 70, 130, 200)
"""Billions of parameters."""

_VOCABULARY = 128256.0
_HEAD = 128.0
_KV_HEADS = 8.0
_RATIO = 102.4
_STEP = 1024.0
_TIED_BELOW = 4e9


def _layers(parameters: float, width: float, tables: float) -> float:
    layer = 2.0 * width**2 + 2.0 * width * _KV_HEADS * _HEAD + 3.0 * 3.5 * width**2
    return max(1.0, float(round((parameters - tables * _VOCABULARY * width) / layer)))


def dense(parameters: float) -> TransformerParams:
    """Shape a network of so many parameters by the family's rule.

    Example:
        >>> shape = dense(8e9)
        >>> shape.hidden_size, shape.num_hidden_layers, shape.intermediate_size
        (4096.0, 32.0, 14336.0)
    """
    tied = parameters < _TIED_BELOW
    widths = [_STEP * i for i in range(1, 65)]
    fitting = [width for width in widths if (1 if tied else 2) * _VOCABULARY * width < 0.8 * parameters]

    def distance(width: float) -> float:
        return abs(math.log(width / _layers(parameters, width, 1.0 if tied else 2.0) / _RATIO))

    width = min(fitting or widths[:1], key=distance)
    return TransformerParams(
        hidden_size=width,
        num_hidden_layers=_layers(parameters, width, 1.0 if tied else 2.0),
        num_attention_heads=width / _HEAD,
        num_key_value_heads=_KV_HEADS,
        head_dim=_HEAD,
        intermediate_size=3.5 * width,
        vocab_size=_VOCABULARY,
        tie_word_embeddings=tied,
    )


def family() -> Iterator[ib.Network]:
    """Yield the networks `dense-1b` to `dense-200b`."""
    for size in SIZES:
        yield ib.Network(
            name=f"dense-{size}b",
            title=f"Dense {size}B (synthetic)",
            type="transformer",
            params=dense(size * 1e9),
            note="Synthetic: shaped by the rule in inferbench_llm.family, no trained network.",
            origin="inferbench-llm",
        )
