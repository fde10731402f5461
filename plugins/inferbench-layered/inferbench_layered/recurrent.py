"""Recurrent blocks: gated delta rules (gated delta net, Kimi delta attention) and selective state spaces
(Mamba 1 and 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import attrs
from inferbench_llm import Layers, Size

import inferbench as ib
from inferbench_layered.block import Block, resident_here
from inferbench_layered.ops import Recurrence, StatefulElementwise

__all__ = ["Delta", "Mamba", "SelectiveScan"]


@attrs.frozen(kw_only=True)
class _Recurrent(Block):
    """What recurrent blocks share: a short convolution and a number format of the state.

    Attributes:
        conv_kernel: Positions under the short convolution; all but one of them stay in memory.
        state_format: Number format of the state; empty: that of activations.
    """

    conv_kernel: ib.Count
    state_format: str = ""

    def __attrs_post_init__(self) -> None:
        """Check the format of the state.

        Raises:
            ValueError: No number format; the second line is the remedy.
        """
        super().__attrs_post_init__()
        if self.state_format and self.state_format not in ib.FORMATS:
            raise ValueError(
                f"state_format is '{self.state_format}'; one of {', '.join(ib.FORMATS)} was expected\n"
                "leave it out where the state is stored like activations"
            )

    def _convolution(self, build: Layers, channels: float, extra: float) -> Iterator[ib.Op]:
        """Yield the short convolution over each channel; `extra` elements of weights are held beside its
        own.
        """
        if not build.options.elementwise:
            return
        sweep, kept = build.sweep, self.conv_kernel - 1.0
        yield StatefulElementwise(
            name=sweep.prefix + "convolution",
            precision=build.precision,
            repeat=self.layers * sweep.executions,
            copies=self.layers,
            split=("heads",),
            of=f"convolution.{'generation' if sweep.decoding else 'context'}",
            elements=sweep.rows * channels,
            stored=channels * self.conv_kernel + extra,
            flops=2.0 * self.conv_kernel,
            state=sweep.batch * channels * kept if build.options.kv else 0.0,
            holds=resident_here(sweep),
            sequences=sweep.batch,
            channels=channels,
        )

    def _scan(
        self,
        build: Layers,
        heads: float,
        shape: tuple[float, float],
        products: float,
        operands: float,
        rule: str,
        split: tuple[str, ...] = ("heads",),
    ) -> Iterator[ib.Op]:
        sweep = build.sweep
        if not (build.options.attention or build.options.kv):
            return
        form = getattr(build.options, "state", "") or self.state_format
        stored = ib.FORMATS[form] if form else build.precision.activations
        yield Recurrence(
            name=sweep.prefix + "scan",
            precision=build.precision,
            repeat=self.layers * sweep.executions,
            copies=self.layers if sweep.cache else 0.0,
            split=split,
            batch=sweep.batch,
            tokens=sweep.queries,
            heads=heads,
            key_dim=shape[0],
            value_dim=shape[1],
            products=products if build.options.attention else 0.0,
            operands=operands,
            element_bytes=stored if build.options.kv else 0.0 * stored,
            prompt=not sweep.decoding,
            rule=rule,
        )


@attrs.frozen(kw_only=True)
class Delta(_Recurrent):
    """A gated delta rule: a state per value head forgets, is corrected by what it predicts wrongly, and is
    read.

    Sources: Yang et al. 2024, "Gated Delta Networks" (arXiv 2412.06464), equation 10; Kimi Team 2025, "Kimi
    Linear" (arXiv 2510.26692), section 3, where the decay is per channel.

    Attributes:
        key_heads, value_heads: Heads of queries and keys; of values, each with a state.
        key_dim, value_dim: Shape of a state.
        decay: One per `head` (gated delta net) or per `channel` of the key (Kimi delta attention).
        decay_rank: Width between the two projections of a decay per channel.
        gate_rank: Width between the two projections of the output gate; 0: one projection.
    """

    key_heads: ib.Count
    value_heads: ib.Count
    key_dim: ib.Count
    value_dim: ib.Count
    decay: Literal["head", "channel"] = "head"
    decay_rank: Size = 0.0
    gate_rank: Size = 0.0

    def ops(self, build: Layers) -> Iterator[ib.Op]:
        """Yield projections, convolution, recurrence, gated norm and output."""
        hidden, layers = build.params.hidden_size, self.layers
        keys, values = self.key_heads * self.key_dim, self.value_heads * self.value_dim
        channels = 2.0 * keys + values
        decays = self.value_heads * (self.key_dim if self.decay == "channel" else 1.0)
        one_step = channels + self.value_heads  # queries, keys, values, strength of the correction
        one_step += 0.0 if self.gate_rank else values
        one_step += 0.0 if self.decay_rank else decays
        yield build.gemm("qkv", layers, one_step, hidden, split=("n",))
        for name, rank, width in (("decay", self.decay_rank, decays), ("gate", self.gate_rank, values)):
            if rank:
                yield build.gemm(f"{name}_a", layers, rank, hidden)
                yield build.gemm(f"{name}_b", layers, width, rank, split=("n",))
        yield from self._convolution(build, channels, decays + self.value_heads)
        operands = channels + decays + self.value_heads
        shape, rule = (self.key_dim, self.value_dim), "kda" if self.decay == "channel" else "delta"
        yield from self._scan(build, self.value_heads, shape, 3.0, operands, rule)
        if build.options.elementwise:
            yield build.elementwise("gated_norm", layers, values, self.value_dim, reads=2.0, split=("n",))
        yield build.gemm("o", layers, hidden, values, split=("k",))


@attrs.frozen(kw_only=True)
class Mamba(_Recurrent):
    """Mamba-2: a scalar decay per head, a state of `state_size` x `head_dim`.

    Source: Dao and Gu 2024, "Transformers are SSMs" (arXiv 2405.21060), sections 3 and 7.

    Attributes:
        heads, head_dim: Heads and their width.
        state_size: Width of B and C.
        groups: Groups of heads that share B and C.
        gated_norm: A norm with weights before the output.
        conv_bias, proj_bias: Biases of the convolution; of the two projections.
    """

    heads: ib.Count
    head_dim: ib.Count
    state_size: ib.Count
    groups: ib.Count = 1.0
    gated_norm: bool = True
    conv_bias: bool = True
    proj_bias: bool = False

    def ops(self, build: Layers) -> Iterator[ib.Op]:
        """Yield projection, convolution, scan, gated norm and output."""
        hidden, layers, inner = build.params.hidden_size, self.layers, self.heads * self.head_dim
        shared = 2.0 * self.groups * self.state_size
        width = 2.0 * inner + shared + self.heads
        yield build.gemm("in", layers, width, hidden, split=("n",), bias=width if self.proj_bias else 0.0)
        channels = inner + shared
        scalars = 3.0 * self.heads + (channels if self.conv_bias else 0.0)
        yield from self._convolution(build, channels, scalars)
        shape, operands = (self.state_size, self.head_dim), channels + self.heads
        yield from self._scan(build, self.heads, shape, 2.0, operands, "mamba2")
        if build.options.elementwise:
            stored = inner if self.gated_norm else 0.0
            yield build.elementwise("gated_norm", layers, inner, stored, reads=2.0, split=("n",))
        bias = hidden if self.proj_bias else 0.0
        yield build.gemm("out", layers, hidden, inner, split=("k",), bias=bias)


@attrs.frozen(kw_only=True)
class SelectiveScan(_Recurrent):
    """Mamba-1: a decay per channel and state; B and C are the same for all channels.

    Source: Gu and Dao 2023, "Mamba" (arXiv 2312.00752), algorithm 2. The sum over the state that C reads out
    is a product of a vector with a matrix of `state_size` x channels, and B and the input add one of the same
    shape.

    Attributes:
        channels: Inner width.
        state_size: Width of B and C.
        step_rank: Width that step sizes are projected from.
        step_norms: Norms on the step sizes, B and C (Jamba).
        conv_bias, proj_bias: Biases of the convolution; of the two projections.
    """

    channels: ib.Count
    state_size: ib.Count
    step_rank: ib.Count
    step_norms: bool = False
    conv_bias: bool = True
    proj_bias: bool = False

    def ops(self, build: Layers) -> Iterator[ib.Op]:
        """Yield projections, convolution, scan, gate and output."""
        hidden, layers, inner = build.params.hidden_size, self.layers, self.channels
        bias = 2.0 * inner if self.proj_bias else 0.0
        yield build.gemm("in", layers, 2.0 * inner, hidden, split=("n",), bias=bias)
        weights = inner * (self.state_size + 1.0) + (inner if self.conv_bias else 0.0)
        yield from self._convolution(build, inner, weights)
        small = self.step_rank + 2.0 * self.state_size
        yield build.gemm("x", layers, small, inner, split=("k",), bias=small if self.step_norms else 0.0)
        yield build.gemm("step", layers, inner, self.step_rank, split=("n",), bias=inner)
        operands = 2.0 * inner + 2.0 * self.state_size
        yield from self._scan(build, 1.0, (self.state_size, inner), 2.0, operands, "mamba", split=("n",))
        if build.options.elementwise:
            yield build.elementwise("gate", layers, inner, reads=2.0, split=("n",))
        bias = hidden if self.proj_bias else 0.0
        yield build.gemm("out", layers, hidden, inner, split=("k",), bias=bias)
