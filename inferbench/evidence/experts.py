"""A measured layer of experts as operators: what the busiest chip runs, drawn as the benchmarks draw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import attrs
import numpy as np

from inferbench.evidence.spread import Spread, fallen
from inferbench.num import Array, Numeric
from inferbench.records.expert_sum import ExpertSum
from inferbench.records.measurement import Measurement
from inferbench.records.op import Elementwise, Gemm, Op
from inferbench.records.precision import Precision

__all__ = ["LayerGemm", "busiest", "expert_layer", "exponent"]

DRAWS = 64
SEED = 7
POWER = "power_law_"
EVENED = "_eplb"
ALL_TOKENS = ".context"


@attrs.frozen(kw_only=True, slots=False, eq=False)
class LayerGemm(Gemm):
    """A product of grouped experts, with what the layer is given.

    Attributes:
        routed: Tokens of the layer, on all chips that share the experts.
        shared: `wide` where chips with tokens of their own share the experts, with the phase after it where
            that is known; else empty.
    """

    routed: Numeric
    shared: str = ""

    @property
    def variant(self) -> str:
        """Which kernels run the layer: those of chips that share experts may be others."""
        return f"experts.{self.shared}" if self.shared else ""


def exponent(distribution: str) -> float | None:
    """Exponent of a source's name of a routing: 0 where all experts are wanted alike; None for one not known.

    Example:
        >>> exponent("power_law_1.2"), exponent("power_law_1.2_eplb"), exponent("balanced")
        (1.2, 1.2, 0.0)
    """
    if distribution in ("", "balanced", "uniform"):
        return 0.0
    try:
        written = distribution.removeprefix(POWER).removesuffix(EVENED)
        return float(written) if distribution.startswith(POWER) else None
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
        rows: For the routing's name, and how chips share the experts.
    """
    shared = str(rows[0].extra.get("variant", ""))
    drawn = _shared(rows) if shared else _grouped(c, rows)
    touched, received, tokens = (drawn[:, i][None, :] for i in range(3))
    inner, each, every = c["inter"] / c["tp"], received / touched, tokens * c["topk"]
    common: dict[str, Any] = {"routed": c["tokens"], "shared": shared, "precision": precision}
    common |= {"m": each, "count": touched}
    return [
        LayerGemm(name="up", n=2.0 * inner, k=c["hidden"], split=("experts", "n"), **common),
        Elementwise(name="activation", precision=precision, elements=received * inner, reads=2.0),
        LayerGemm(name="down", n=c["hidden"], k=inner, split=("experts", "k"), **common),
        _sum(c, precision, (received, tokens, every), shared),
    ]


def _grouped(c: Mapping[str, Any], rows: Sequence[Measurement]) -> Array:
    """Experts touched, rows and tokens of the busiest chip of a group all of whose tokens it has."""
    names = ("tokens", "topk", "experts", "ep")
    shapes = zip(*(c[name][0].astype(int).tolist() for name in names), strict=True)
    powers = (exponent(str(row.extra.get("distribution", ""))) or 0.0 for row in rows)
    drawn = [(*busiest(*shape, power), shape[0]) for shape, power in zip(shapes, powers, strict=True)]
    return np.array(drawn, dtype=np.float64)


def _shared(rows: Sequence[Measurement]) -> Array:
    """The same of chips with tokens of their own, which are sent to their experts."""
    found = []
    for row in rows:
        tokens, topk, experts, ep = (int(row.axes[name]) for name in ("tokens", "topk", "experts", "ep"))
        routing = str(row.extra.get("distribution", ""))
        slots, power = int(row.axes.get("slots", experts)), exponent(routing) or 0.0
        layer = Spread(tokens, topk, experts, slots, ep, power, routing.endswith(EVENED))
        touched, received, came = fallen(layer, row.axes.get("came", 0.0))
        # SGLang's benchmark of prompts hands the tokens of all chips to one, which goes through them.
        whole = str(row.extra.get("variant", "")).endswith(ALL_TOKENS)
        found.append((touched, received, float(tokens) if whole else came))
    return np.array(found, dtype=np.float64)


def _sum(c: Mapping[str, Any], precision: Precision, amounts: tuple[Array, Array, Array], shared: str) -> Op:
    """The weighted sum. Results are summed in 16 bits: the rows that this chip's experts made are read, every
    token's is written.
    """
    (received, tokens, every), wide = amounts, 2.0 / precision.activations
    return ExpertSum(
        name="combine",
        precision=precision,
        elements=tokens * c["hidden"],
        of=f"experts.{shared}" if shared else "experts",
        reads=received / tokens * wide,
        writes=wide,
        rows=every,
        inner=c["inter"] / c["tp"],
        hidden=c["hidden"],
        away=0.0 * received if shared else np.maximum(1.0 - received / every, 0.0),
    )
