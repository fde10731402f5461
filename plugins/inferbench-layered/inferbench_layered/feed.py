"""Feed-forward blocks: dense, and experts that a router chooses from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import attrs
from inferbench_llm import Layers, Size
from inferbench_moe import ExpertLayers, MoeOptions, MoeParams

import inferbench as ib
from inferbench_layered.block import Block

__all__ = ["Dense", "Experts"]


@attrs.frozen(kw_only=True)
class Dense(Block):
    """A feed-forward part.

    Attributes:
        intermediate_size: Its inner width.
        gated: Three matrices (gate, up, down) instead of two.
        bias: Biases of its matrices.
    """

    intermediate_size: ib.Count
    gated: bool = True
    bias: bool = False

    part: ClassVar[str] = ""

    def ops(self, build: Layers) -> Iterator[ib.Op]:
        """Yield its products and its activation."""
        params = attrs.evolve(build.params, gated_mlp=self.gated, mlp_bias=self.bias)
        yield from attrs.evolve(build, params=params).mlp(self.layers, self.intermediate_size)


@attrs.frozen(kw_only=True)
class Experts(Block):
    """Routed experts, and a part that every token goes through.

    Attributes:
        num_experts, num_experts_per_tok: Routed experts per layer, and how many of them a token goes to.
        moe_intermediate_size: Inner width of a routed expert.
        shared_width: Inner width of the shared part; 0: none.
        shared_gate: The shared part is weighted by a gate.
        latent_size: Width that tokens are projected to before the routed experts and back after them; 0:
            none.
        latent_norm: A norm in that width.
        gated, router_bias, expert_bias: Three matrices instead of two; biases of the router; of the experts.
        n_group, topk_group: Groups of experts, and how many of them a token may choose from; 0: no groups.
        scales: Further weights per layer beside the router's matrix (Gemma 4).
        expert_format: Number format in which the experts are published; see `moe`.
        active_counts: What the publisher's active count includes.
    """

    num_experts: ib.Count
    num_experts_per_tok: ib.Count
    moe_intermediate_size: ib.Count
    shared_width: Size = 0.0
    shared_gate: bool = False
    latent_size: Size = 0.0
    latent_norm: bool = False
    gated: bool = True
    router_bias: bool = False
    expert_bias: bool = False
    n_group: Size = 0.0
    topk_group: Size = 0.0
    scales: Size = 0.0
    expert_format: str = ""
    active_counts: Literal["all", "no input embedding"] = "all"

    part: ClassVar[str] = ""

    def ops(self, build: Layers) -> Iterator[ib.Op]:
        """Yield router, projections to the experts' width and back, experts, shared part and the sum of
        results.
        """
        hidden, layers, options = build.params.hidden_size, self.layers, build.options
        assert isinstance(options, MoeOptions)
        shape = self._shape(build)
        if self.scales:
            yield build.elementwise("router_scale", layers, hidden, self.scales)
        if self.latent_size:
            norm = self.latent_size if self.latent_norm else 0.0
            yield build.gemm("latent_down", layers, self.latent_size, hidden, bias=norm)
        gated = attrs.evolve(build, params=attrs.evolve(build.params, gated_mlp=self.gated))
        yield from ExpertLayers(shape, gated, options).ops()
        if self.latent_size:
            yield build.gemm("latent_up", layers, hidden, self.latent_size)

    def _shape(self, build: Layers) -> MoeParams:
        """The block as a network of its own layers, for the builder of mixtures."""
        return MoeParams(
            hidden_size=build.params.hidden_size,
            num_hidden_layers=self.layers,
            num_attention_heads=1.0,
            num_key_value_heads=1.0,
            head_dim=1.0,
            intermediate_size=self.moe_intermediate_size,
            vocab_size=build.params.vocab_size,
            gated_mlp=self.gated,
            num_experts=self.num_experts,
            num_experts_per_tok=self.num_experts_per_tok,
            moe_intermediate_size=self.moe_intermediate_size,
            shared_expert_intermediate_size=self.shared_width,
            shared_expert_gate=self.shared_gate,
            router_bias=self.router_bias,
            expert_bias=self.expert_bias,
            n_group=self.n_group,
            topk_group=self.topk_group,
            expert_format=self.expert_format,
            expert_hidden_size=self.latent_size,
        )
