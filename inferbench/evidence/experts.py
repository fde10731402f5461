"""A measured layer of experts as operators: what the busiest chip runs, drawn as the benchmarks draw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import attrs
import numpy as np

from inferbench.num import Array, Numeric
from inferbench.records.expert_sum import ExpertSum
from inferbench.records.measurement import Measurement
from inferbench.records.op import Elementwise, Gemm, Op
from inferbench.records.precision import Precision

__all__ = ["LayerGemm", "busiest", "expert_layer", "exponent"]

DRAWS = 64
SEED = 7
POWER = "power_law_"


@attrs.frozen(kw_only=True, slots=False, eq=False)
class LayerGemm(Gemm):
    """A product of grouped experts, with what the layer is given.

    Attributes:
        routed: Tokens of the layer, on all chips that share the experts.
    """

    routed: Numeric


def exponent(distribution: str) -> float | None:
    """Exponent of a source's name of a routing: 0 where all experts are wanted alike; None for one not known.

    Example:
        >>> exponent("power_law_1.2"), exponent("balanced")
        (1.2, 0.0)
    """
    if distribution in ("", "balanced"):
        return 0.0
    try:
        return float(distribution.removeprefix(POWER)) if distribution.startswith(POWER) else None
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def busiest(tokens: int, chosen: int, experts: int, chips: int, power: float) -> tuple[float, float]:
    """Experts touched on the chip that gets most tokens, and the tokens that it gets (one per expert chosen).

    Balanced, every expert gets the same. Else expert loads are drawn from the density x^-power between 1
    and 0.8 tokens (0.01 and 2 where there are fewer tokens than experts), scaled to the sum and rounded,
    as ai-dynamo/aiconfigurator draws them for its measurements; medians of 64 draws.

    Example:
        Eight tokens to two of eight experts each, on two chips: 8 of 16 on either, and all four experts.

        >>> busiest(8, 2, 8, 2, 0.0)
        (4.0, 8.0)
    """
    share, every = experts // chips, tokens * chosen
    if power == 0.0:
        received = max(every / chips, 1.0)
        return float(min(share, received)), received
    loads = _rounded(_drawn(tokens, every, experts, power), every)
    by_chip = loads.reshape(DRAWS, chips, share)
    top = by_chip[np.arange(DRAWS), by_chip.sum(axis=2).argmax(axis=1)]
    return float(np.median((top > 0).sum(axis=1))), float(np.median(top.sum(axis=1)))


def _drawn(tokens: int, every: int, experts: int, power: float) -> Array:
    low, high = (1.0, max(0.8 * tokens, 1.0 + 1e-9)) if every > experts else (0.01, 2.0)
    uniform = np.random.default_rng(SEED).random((DRAWS, experts))
    end = 1.0 - power if power != 1.0 else 1e-9
    loads = ((high**end - low**end) * uniform + low**end) ** (1.0 / end)
    return np.asarray(np.minimum(loads / loads.sum(axis=1, keepdims=True) * every, tokens))


def _rounded(loads: Array, every: int) -> Array:
    """Whole tokens with the same sum: the largest remainders are rounded up."""
    whole = np.floor(loads)
    short = every - whole.sum(axis=1)
    rank = np.argsort(np.argsort(whole - loads, axis=1), axis=1)
    more = np.floor(short / loads.shape[1])[:, None]
    return np.asarray(whole + more + (rank < (short % loads.shape[1])[:, None]))


def expert_layer(c: Mapping[str, Any], precision: Precision, rows: Sequence[Measurement]) -> list[Op]:
    """Yield what one chip does in a layer of gated experts: both products, what is between, and the weighted
    sum.

    Args:
        c: Columns of shape (1, rows): tokens, hidden, inter, topk, experts, tp, ep.
        precision: Of the products.
        rows: For the routing's name.
    """
    names = ("tokens", "topk", "experts", "ep")
    shapes = zip(*(c[name][0].astype(int).tolist() for name in names), strict=True)
    powers = (exponent(str(row.extra.get("distribution", ""))) or 0.0 for row in rows)
    drawn = np.array([busiest(*shape, power) for shape, power in zip(shapes, powers, strict=True)])
    touched, received = drawn[:, 0][None, :], drawn[:, 1][None, :]
    wide = 2.0 / precision.activations
    inner, each, every = c["inter"] / c["tp"], received / touched, c["tokens"] * c["topk"]
    return [
        LayerGemm(
            name="up",
            routed=c["tokens"],
            precision=precision,
            m=each,
            n=2.0 * inner,
            k=c["hidden"],
            count=touched,
            split=("experts", "n"),
        ),
        Elementwise(name="activation", precision=precision, elements=received * inner, reads=2.0),
        LayerGemm(
            name="down",
            routed=c["tokens"],
            precision=precision,
            m=each,
            n=c["hidden"],
            k=inner,
            count=touched,
            split=("experts", "k"),
        ),
        # Results are summed in 16 bits: the rows that this chip's experts made are read, every token's is
        # written.
        ExpertSum(
            name="combine",
            precision=precision,
            elements=c["tokens"] * c["hidden"],
            of="experts",
            reads=received / c["tokens"] * wide,
            writes=wide,
            rows=every,
            inner=inner,
            hidden=c["hidden"],
            away=np.maximum(1.0 - received / every, 0.0),
        ),
    ]
