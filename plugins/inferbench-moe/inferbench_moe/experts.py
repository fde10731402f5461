"""The operators of routed and shared experts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import attrs
from inferbench_llm import Layers

import inferbench as ib
from inferbench_moe.params import MoeOptions, MoeParams
from inferbench_moe.routing import Route

__all__ = ["ExpertGemm", "ExpertLayers", "SharedDown"]


@attrs.frozen(kw_only=True, slots=False, eq=False)
class ExpertGemm(ib.Gemm):
    """One matrix of every touched expert: `count` products of the mean rows an expert gets. Costs are those
    of `Gemm`.

    Attributes:
        tokens: Tokens that are routed: of one data-parallel rank, or of all ranks that share the experts.
        route: How tokens choose experts.
        part: `up` sends tokens to the chips of their experts before, `down` their results back after.
        alone: Whether nothing else of the layer (shared experts) is summed over a tensor-parallel group.
        phase: `context` or `generation`.
        shared: Whether chips with tokens of their own share the experts: tokens are sent to them.
    """

    tokens: ib.Numeric
    route: Route
    part: Literal["up", "down"]
    alone: bool = True
    phase: str = ""
    shared: bool = False

    @property
    def variant(self) -> str:
        """Where chips with tokens of their own share the experts, other kernels may run than in a group."""
        return ".".join(filter(None, ("experts.wide", self.phase))) if self.shared else ""

    @property
    def experts(self) -> float:
        """Routed experts of the layer."""
        return self.route.experts

    @property
    def routed(self) -> ib.Numeric:
        """Tokens that the layer routes."""
        return self.tokens

    @property
    def chosen(self) -> float:
        """Experts per token."""
        return self.route.chosen

    def shard(self, layout: ib.Layout) -> ib.Op:
        """Return the busiest chip's share.

        It touches the mean number of experts, at least a whole one: with few tokens most chips have no
        expert to run, and the step waits for one that has. Its rows are the mean's times `route.imbalance`.
        Beyond a tensor-parallel group every chip holds a whole number of experts, some of them twice where
        they don't divide (DeepSeek's 256 experts take 288 places on 72 chips).

        Raises:
            InferBenchError: The experts don't divide over the expert-parallel chips.
        """
        self._check(layout)
        mine = super().shard(layout)
        if not isinstance(mine, ExpertGemm) or layout.ep * layout.cp == 1:
            return mine
        if layout.cp > 1 and not self.spans_ranks(layout):
            tokens = ib.maximum(self.tokens / layout.cp, 1.0)
            touched = self.route.touched(tokens)
            rows = tokens * self.route.chosen / touched
            mine = attrs.evolve(mine, tokens=tokens, count=touched / layout.ep, m=rows)
        if layout.ep == 1:
            return mine
        uneven = self.route.imbalance
        spans, places = self.spans_ranks(layout), self.route.places
        stored = ib.ceil_div(places, layout.ep) if spans else places / layout.ep
        count = ib.maximum(mine.count, 1.0)
        return attrs.evolve(mine, m=mine.m * uneven, count=count, stored=stored, busiest=uneven, shared=spans)

    def _check(self, layout: ib.Layout) -> None:
        experts = self.route.experts
        if layout.ep <= layout.tp and experts % layout.ep:
            said = f"{experts:g} experts do not divide over ep{layout.ep}"
            raise ib.InferBenchError.at(f"layout {layout}", said, f"choose ep so that it divides {experts:g}")
        if layout.ep > self.route.places:
            said = f"ep{layout.ep} has more chips than the {self.route.places:g} experts of a layer"
            remedy = f"choose ep up to {self.route.places:g}, or hold some twice: --option redundant=…"
            raise ib.InferBenchError.at(f"layout {layout}", said, remedy)

    def exchanges(self, layout: ib.Layout) -> Iterator[ib.Collective]:
        """Yield what chips exchange.

        Inside a tensor-parallel group every chip has all tokens already: one sum over the group, of one
        vector per token, holds all experts, and shared ones too. Beyond it, tokens are sent to the chips of
        their experts, one copy to each chip however many of them it holds, and results come back.
        """
        vector = (self.k if self.part == "up" else self.n) * self.precision.activations
        if not self.spans_ranks(layout):
            if self.part == "down" and layout.tp > 1:
                yield self.exchange("all_reduce", self.tokens * vector, layout.tp)
            return
        sent = self.tokens / layout.ep * vector * self.route.imbalance
        yield self.exchange(
            "all_to_all", sent, layout.ep, visits=self.route.visits, split=("experts",), busiest=self.busiest
        )
        if self.part == "down" and layout.tp > 1 and self.alone:
            each = self.tokens / (layout.sharing * layout.cp) * vector
            yield self.exchange("all_gather", each, layout.tp)


@attrs.frozen(kw_only=True, slots=False, eq=False)
class SharedDown(ib.Gemm):
    """The last matrix of shared experts: its partial results are summed together with those of the routed
    ones, where these are summed over the same chips.
    """

    def exchanges(self, layout: ib.Layout) -> Iterator[ib.Collective]:
        """Yield nothing where the routed experts' sum has it too."""
        if layout.ep > layout.tp:
            yield from super().exchanges(layout)


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
            for op in base.mlp(layers, p.shared_width, "shared_"):
                yield SharedDown(**attrs.asdict(op, recurse=False)) if "k" in op.split else op
            if p.shared_expert_gate:
                yield base.gemm("shared_gate", layers, 1.0, p.hidden_size)
        if base.options.elementwise:
            reads = p.num_experts_per_tok + (1.0 if p.shared_width else 0.0)
            width = p.expert_hidden_size or p.hidden_size
            op = base.elementwise(
                "combine", layers, width, reads=reads, split=("n",), of="experts", joined=True
            )
            rows = base.sweep.rows * p.num_experts_per_tok
            yield ib.ExpertSum(
                **attrs.asdict(op, recurse=False),
                rows=rows,
                inner=p.moe_intermediate_size,
                hidden=width,
                phase=self._phase,
            )

    @property
    def _phase(self) -> str:
        return "generation" if self.base.sweep.decoding else "context"

    def _routed(self, layers: float) -> Iterator[ib.Op]:
        p, base = self.params, self.base
        width = p.expert_hidden_size or p.hidden_size
        inner = p.moe_intermediate_size * (2.0 if p.gated_mlp else 1.0)
        route = Route.of(p, self.options)
        touched = route.touched(base.sweep.rows)
        rows = base.sweep.rows * p.num_experts_per_tok / touched
        precision = base.of("experts").precision
        precision = _stored(precision, p.expert_format) if p.expert_format else precision
        yield self._expert("up", (layers, inner, width), touched, rows, (route, precision))
        if base.options.elementwise:
            active = p.num_experts_per_tok * p.moe_intermediate_size
            reads = inner / p.moe_intermediate_size
            cut = ("experts", "n")
            yield base.elementwise("expert_activation", layers, active, reads=reads, split=cut, joined=True)
        narrow = (layers, width, p.moe_intermediate_size)
        yield self._expert("down", narrow, touched, rows, (route, precision))

    def _expert(
        self,
        part: Literal["up", "down"],
        shape: tuple[float, float, float],
        touched: ib.Numeric,
        rows: ib.Numeric,
        kind: tuple[Route, ib.Precision],
    ) -> ib.Op:
        p, sweep, (layers, n, k), (route, precision) = self.params, self.base.sweep, shape, kind
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
            stored=p.num_experts,
            bias=n if p.expert_bias else 0.0,
            tokens=sweep.rows,
            route=route,
            part=part,
            joined=part == "down",
            alone=not p.shared_width,
            phase=self._phase,
        )
