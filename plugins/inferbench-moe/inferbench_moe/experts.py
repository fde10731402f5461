"""The operators of routed and shared experts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import attrs
from inferbench_llm import Layers

import inferbench as ib
from inferbench_moe.params import MoeOptions, MoeParams
from inferbench_moe.routing import distinct_experts

__all__ = ["ExpertGemm", "ExpertLayers"]


@attrs.frozen(kw_only=True, slots=False, eq=False)
class ExpertGemm(ib.Gemm):
    """One matrix of every touched expert: `count` products of the mean rows an expert gets. Costs are those
    of `Gemm`.

    Attributes:
        experts: Routed experts of the layer; they must divide over expert-parallel chips.
        chosen: Experts per token.
        part: `up` sends tokens to the chips of their experts before, `down` their results back after.
    """

    experts: float
    chosen: float
    part: Literal["up", "down"]

    def shard(self, layout: ib.Layout) -> ib.Op:
        """Return the busiest chip's share: the mean of touched experts, and at least one whole expert.

        With few tokens most chips have no expert to run, and the step waits for one that has; how unevenly
        experts fall beyond that is not modelled, so the share is a lower bound.

        Raises:
            InferBenchError: The experts don't divide over the expert-parallel chips.
        """
        if self.experts % layout.ep:
            raise ib.InferBenchError.at(
                f"layout {layout}",
                f"{self.experts:g} experts do not divide over ep{layout.ep}",
                f"choose ep so that it divides {self.experts:g}",
            )
        mine = super().shard(layout)
        if layout.ep > 1 and isinstance(mine, ExpertGemm):
            mine = attrs.evolve(mine, count=ib.maximum(mine.count, 1.0))
        return mine

    def exchanges(self, layout: ib.Layout) -> Iterator[ib.Collective]:
        """Yield dispatch and combine over ep, and the sum of partial results over the chips of an expert.

        Results of a token's experts are added before they are summed over chips, so that sum moves one vector
        per token, not one per expert.
        """
        inside = self.degree("k", layout)
        if self.part == "down" and inside > 1:
            yield self._collective("all_reduce", self.bytes.outputs / self.chosen, inside)
        if layout.ep > 1:
            dispatched = self.bytes.inputs if self.part == "up" else self.bytes.outputs
            yield self._collective("all_to_all", dispatched, layout.ep)

    def _collective(self, collective: str, payload: ib.Numeric, group: int) -> ib.Collective:
        return ib.Collective(
            name=f"{self.name}.{collective}",
            precision=self.precision,
            repeat=self.repeat,
            unit=self.unit,
            collective=collective,
            payload=payload,
            group=group,
        )


def _stored(axis: ib.Precision, wanted: str) -> ib.Precision:
    """Return the precision axis with weights in the published format wherever that is the smaller one."""
    points = tuple(
        attrs.evolve(point, weights=wanted) if ib.FORMATS[wanted] < ib.FORMATS[point.weights] else point
        for point in axis.points
    )
    weights = axis.along_axis([ib.FORMATS[point.weights] for point in points])
    return ib.Precision(points, weights, axis.activations, axis.kv)


@attrs.frozen(eq=False)
class ExpertLayers:
    """Builds the feed-forward operators of the layers with experts.

    Attributes:
        params: The network's hyper-parameters.
        base: Builder of everything that a dense network has too.
        options: With the routing.
    """

    params: MoeParams
    base: Layers
    options: MoeOptions

    def ops(self) -> Iterator[ib.Op]:
        """Yield router, routed experts, shared experts, and the weighted sum of their results."""
        p, base, layers = self.params, self.base, self.params.sparse_layers
        bias = p.num_experts if p.router_bias else 0.0
        yield base.gemm("router", layers, p.num_experts, p.hidden_size, bias=bias)
        yield from self._routed(layers)
        if p.shared_width:
            yield from base.mlp(layers, p.shared_width, "shared_")
            if p.shared_expert_gate:
                yield base.gemm("shared_gate", layers, 1.0, p.hidden_size)
        if base.options.elementwise:
            reads = p.num_experts_per_tok + (1.0 if p.shared_width else 0.0)
            width = p.expert_hidden_size or p.hidden_size
            yield base.elementwise("combine", layers, width, reads=reads, split=("n",), of="experts")

    def _routed(self, layers: float) -> Iterator[ib.Op]:
        p, base = self.params, self.base
        width = p.expert_hidden_size or p.hidden_size
        inner = p.moe_intermediate_size * (2.0 if p.gated_mlp else 1.0)
        touched = distinct_experts(
            p.num_experts, p.num_experts_per_tok, base.sweep.rows, self.options.routing
        )
        rows = base.sweep.rows * p.num_experts_per_tok / touched
        precision = base.of("experts").precision
        precision = _stored(precision, p.expert_format) if p.expert_format else precision
        yield self._expert("up", (layers, inner, width), touched, rows, precision)
        if base.options.elementwise:
            active = p.num_experts_per_tok * p.moe_intermediate_size
            reads = inner / p.moe_intermediate_size
            yield base.elementwise("expert_activation", layers, active, reads=reads, split=("n",))
        yield self._expert("down", (layers, width, p.moe_intermediate_size), touched, rows, precision)

    def _expert(
        self,
        part: Literal["up", "down"],
        shape: tuple[float, float, float],
        touched: ib.Numeric,
        rows: ib.Numeric,
        precision: ib.Precision,
    ) -> ib.Op:
        p, sweep, (layers, n, k) = self.params, self.base.sweep, shape
        return ExpertGemm(
            name=f"{sweep.prefix}experts_{part}",
            precision=precision,
            repeat=layers * sweep.executions,
            copies=layers if sweep.weights else 0.0,
            split=("experts", "n" if part == "up" else "k"),
            m=rows,
            n=n,
            k=k,
            count=touched,
            held=p.num_experts,
            bias=n if p.expert_bias else 0.0,
            experts=p.num_experts,
            chosen=p.num_experts_per_tok,
            part=part,
        )
