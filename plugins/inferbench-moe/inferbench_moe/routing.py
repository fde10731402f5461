"""How many distinct experts a step touches, and how many chips a token visits."""

from __future__ import annotations

import math
from functools import lru_cache

import attrs

import inferbench as ib
from inferbench_moe.params import MoeOptions, MoeParams

__all__ = ["Route", "distinct_experts", "distinct_parts", "inclusion"]


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


def _missed(total: float, part: float, draws: float) -> float:
    """Probability that so many draws without replacement all miss `part` of `total`."""
    missed = 1.0
    for taken in range(int(draws)):
        missed *= max(0.0, (total - part - taken) / (total - taken))
    return missed


def distinct_parts(
    parts: float, experts: float, chosen: float, groups: float = 1.0, allowed: float = 1.0
) -> float:
    """Mean number of equal parts of the experts (chips, nodes) that one token's experts lie in.

    All experts are wanted alike and lie in order. Without groups a part is missed with the probability that
    `chosen` draws without replacement all miss it. With groups a token first chooses `allowed` of them, and
    only their parts can be visited. A part that holds several groups is missed if none of them was chosen,
    or no expert in them.

    Args:
        parts: Equal parts.
        experts: Routed experts.
        chosen: Experts per token.
        groups: Groups of experts, and `allowed`: groups that a token's experts may lie in (DeepSeek-V3
            technical report, arXiv 2412.19437, section 2.1.2: node-limited routing).

    Example:
        Two of eight experts over four chips: 4 (1 - 6/8 5/7); over eight chips both are elsewhere.

        >>> round(distinct_parts(4.0, 8.0, 2.0), 4), distinct_parts(8.0, 8.0, 2.0)
        (1.8571, 2.0)
    """
    if groups <= 1 or allowed >= groups:
        return parts * (1.0 - _missed(experts, experts / parts, chosen))
    reach = experts * allowed / groups
    if parts >= groups:
        open_parts = parts * allowed / groups
        return open_parts * (1.0 - _missed(reach, experts / parts, chosen))
    own = groups / parts
    if own % 1:
        return min(allowed, parts * (1.0 - _missed(experts, experts / parts, chosen)))
    visited = 0.0
    for k in range(1, int(min(own, allowed)) + 1):
        chance = _chosen_groups(int(groups), int(own), int(allowed), k)
        visited += chance * (1.0 - _missed(reach, k * experts / groups, chosen))
    return parts * visited


def _chosen_groups(groups: int, own: int, allowed: int, k: int) -> float:
    """Probability that k of a part's own groups are among those chosen: hypergeometric."""
    return math.comb(own, k) * math.comb(groups - own, allowed - k) / math.comb(groups, allowed)


@attrs.frozen
class Route:
    """How the tokens of a layer choose experts.

    Attributes:
        experts, chosen: Routed experts, and how many of them a token goes to.
        groups, allowed: Groups of experts, and how many of them a token may choose from; 1: no groups.
        exponent: Of the popularity's power law; 0: uniform.
        imbalance: Load of the busiest chip over the mean of an expert-parallel group.
        redundant: Experts that such a group holds twice.
    """

    experts: float
    chosen: float
    groups: float = 1.0
    allowed: float = 1.0
    exponent: float = 0.0
    imbalance: float = 1.0
    redundant: float = 0.0

    @property
    def places(self) -> float:
        """Experts that an expert-parallel group holds, copies included."""
        return self.experts + self.redundant

    @classmethod
    def of(cls, params: MoeParams, options: MoeOptions) -> Route:
        """The routing of a network under a run's options."""
        return cls(
            params.num_experts,
            params.num_experts_per_tok,
            max(1.0, params.n_group),
            max(1.0, params.topk_group),
            options.routing,
            options.imbalance,
            options.redundant,
        )

    def touched(self, tokens: ib.Numeric) -> ib.Numeric:
        """Expected number of experts that at least one of so many tokens goes to."""
        return distinct_experts(self.experts, self.chosen, tokens, self.exponent)

    def visits(self, parts: float) -> float:
        """Mean number of so many equal parts of the chips that a token goes to."""
        return distinct_parts(parts, self.experts, self.chosen, self.groups, self.allowed)
