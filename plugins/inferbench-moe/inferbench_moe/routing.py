"""How many distinct experts a step touches."""

from __future__ import annotations

from functools import lru_cache

import inferbench as ib

__all__ = ["distinct_experts", "inclusion"]


@lru_cache(maxsize=256)
def inclusion(experts: int, chosen: int, exponent: float) -> tuple[float, ...]:
    """Probability of each expert to be among those that a token goes to.

    Popularity falls as i^-exponent; a probability is at most 1, and all together are `chosen`: experts that
    every token wants are full, and the others share what is left.

    Example:
        >>> inclusion(4, 2, 0.0)
        (0.5, 0.5, 0.5, 0.5)
        >>> [round(q, 3) for q in inclusion(4, 2, 2.0)]
        [1.0, 0.59, 0.262, 0.148]
    """
    wanted = [float(i) ** -exponent for i in range(1, experts + 1)]
    full = 0
    while True:
        scale = (chosen - full) / sum(wanted[full:]) if full < chosen else 0.0
        if full >= chosen or scale * wanted[full] <= 1.0:
            return tuple([1.0] * full + [scale * weight for weight in wanted[full:]])
        full += 1


def distinct_experts(experts: float, chosen: float, tokens: ib.Numeric, exponent: float = 0.0) -> ib.Numeric:
    """Expected number of experts that at least one of so many tokens goes to.

    Tokens choose independently: sum over experts of 1 - (1 - q_i)^tokens; with all q_i = chosen / experts
    that is `experts (1 - (1 - chosen / experts)^tokens)`.

    Args:
        experts: Routed experts of a layer.
        chosen: Experts per token.
        tokens: Tokens of the step, at least 1; an array broadcasts.
        exponent: Of the popularity's power law; 0: uniform.

    Example:
        Mixtral, 8 experts of which a token takes 2, two tokens: 8 (1 - 0.75^2).

        >>> distinct_experts(8.0, 2.0, 2.0)
        3.5
    """
    if not exponent:
        return experts * (1.0 - (1.0 - chosen / experts) ** tokens)
    total: ib.Numeric = 0.0
    for probability in inclusion(int(experts), int(chosen), float(exponent)):
        total = total + (1.0 - (1.0 - probability) ** tokens)
    return total
