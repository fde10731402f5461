"""Hyper-parameters of a mixture-of-experts transformer and the options of its workloads."""

from __future__ import annotations

from typing import Literal

import attrs
from inferbench_llm import Options, Size, TransformerParams

import inferbench as ib

__all__ = ["MoeOptions", "MoeParams"]


@attrs.frozen(kw_only=True)
class MoeParams(TransformerParams):
    """A transformer whose feed-forward parts are experts that a router chooses from.

    Attributes:
        num_experts, num_experts_per_tok: Routed experts per layer, and how many of them a token goes to.
        moe_intermediate_size: Width inside a routed expert (`intermediate_size` is that of a dense layer).
        n_shared_experts: Experts that every token goes to, each as wide as a routed one.
        shared_expert_intermediate_size: Width of the shared part where it is given instead.
        shared_expert_gate: The shared part is weighted by a gate (Qwen2).
        n_group, topk_group: Groups of experts, and how many of them a token may choose from; 0: no groups.
        first_k_dense_replace: First layers that are dense.
        router_bias, expert_bias: Biases of the router; of the experts' matrices.
        expert_format: Number format in which the experts are published (gpt-oss: `mxfp4`); stored so in
            every run whose own weight format is not smaller.
        expert_hidden_size: Width that the routed experts read and write, where it is not `hidden_size`; 0: it
            is.
        active_counts: What the publisher's active count includes.

    Example:
        >>> MoeParams(hidden_size=64.0, num_hidden_layers=2.0, num_attention_heads=4.0,
        ...     num_key_value_heads=2.0,
        ...     head_dim=16.0, intermediate_size=128.0, vocab_size=1000.0, num_experts=8.0,
        ...     num_experts_per_tok=2.0,
        ...     moe_intermediate_size=32.0, n_shared_experts=1.0).shared_width
        32.0
    """

    num_experts: ib.Count
    num_experts_per_tok: ib.Count
    moe_intermediate_size: ib.Count
    n_shared_experts: Size = 0.0
    shared_expert_intermediate_size: Size = 0.0
    shared_expert_gate: bool = False
    n_group: Size = 0.0
    topk_group: Size = 0.0
    first_k_dense_replace: Size = 0.0
    router_bias: bool = False
    expert_bias: bool = False
    expert_format: str = ""
    expert_hidden_size: Size = 0.0
    active_counts: Literal["all", "no input embedding"] = "all"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.num_experts_per_tok > self.num_experts:
            raise ValueError(
                f"num_experts_per_tok is {self.num_experts_per_tok:g}; at most the {self.num_experts:g}"
                " experts was expected\ngive the experts that one token goes to"
            )
        if self.topk_group > self.n_group:
            raise ValueError(
                f"topk_group is {self.topk_group:g}; at most the {self.n_group:g} groups (n_group) was"
                " expected\ngive the groups that one token may choose from"
            )
        if self.first_k_dense_replace > self.num_hidden_layers:
            raise ValueError(
                f"first_k_dense_replace is {self.first_k_dense_replace:g}; at most the"
                f" {self.num_hidden_layers:g} layers was expected\ngive the layers before the first with"
                " experts"
            )
        if self.expert_format and self.expert_format not in ib.FORMATS:
            raise ValueError(
                f"expert_format is '{self.expert_format}'; one of {', '.join(ib.FORMATS)} was expected\n"
                "leave it out where the experts are stored like everything else"
            )

    @property
    def sparse_layers(self) -> float:
        """Layers with experts."""
        return float(self.num_hidden_layers) - float(self.first_k_dense_replace)

    @property
    def shared_width(self) -> float:
        """Width inside the shared experts, all together."""
        return self.shared_expert_intermediate_size or self.n_shared_experts * self.moe_intermediate_size


def _exponent(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0.0 <= value <= 10.0:
        raise ValueError(f"{attribute.name} is {value:g}; an exponent between 0 and 10 was expected")


def _ratio(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 1.0 <= value <= 1e3:
        raise ValueError(f"{attribute.name} is {value:g}; a ratio between 1 and 1000 was expected")


def _copies(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0.0 <= value <= 1e4:
        raise ValueError(f"{attribute.name} is {value:g}; a number between 0 and 10,000 was expected")


@attrs.frozen(kw_only=True)
class MoeOptions(Options):
    """Options of a language model, and how tokens spread over experts.

    Attributes:
        routing: Exponent s of the popularity of experts, the i-th being wanted as i^-s; 0: all alike.
        imbalance: Tokens of the busiest expert-parallel chip over the mean. The default is what engines
            that place experts by load, hot ones twice, reach under a power law of 1.2: at most 1.1 on nine
            of ten simulated steps on up to 32 chips (`moe_wide_ep` of inferbench-data, 288 places for 256
            experts). Without placement the same table has 1.4 on 8 chips and 2.6 on 32.
        redundant: Experts of a layer that are held twice, on all expert-parallel chips together: 32 in
            DeepSeek's prefill (technical report, arXiv 2412.19437, section 3.4). They take memory; what
            they gain is what `imbalance` says.
    """

    routing: float = attrs.field(default=0.0, validator=_exponent)
    imbalance: float = attrs.field(default=1.1, validator=_ratio)
    redundant: float = attrs.field(default=0.0, validator=_copies)
