"""`OpBuilder`: writes operators with one precision, one repeat and one set of options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

import inferbench as ib
from inferbench_diffusion.linear import LinearAttention


@ib.frozen
class Options:
    """What a step is made of, and which parts of it count.

    Attributes:
        cfg: Classifier-free guidance: every denoising step runs with and without the prompt, as one batch
            of twice the size.
        text_encoder: The text encoders, once per image (`image` and `video` only).
        vae: The decoder from latents to pixels, once per image (`image` only).
        elementwise: Norms, activations, modulations, residuals, casts: eager kernels of their own.
        conditioning: Projections of time step, pooled text and modulation: products that see no token.
        embedding: Patches in and out, and the projection of text tokens.
        attention: Scores and weighted sums.
    """

    cfg: bool = False
    text_encoder: bool = False
    vae: bool = False
    elementwise: bool = True
    conditioning: bool = True
    embedding: bool = True
    attention: bool = True


@ib.frozen
class OpBuilder:
    """Writes operators.

    Attributes:
        precision: The precision axis.
        options: Which parts count.
        prefix: Put before every name.
        repeat: Equal layers.
        loops: Times all of it runs with the same weights: sampling steps.
        unit: What a pipeline stage may not cut.
    """

    precision: ib.Precision
    options: Options
    prefix: str = ""
    repeat: float = 1.0
    loops: ib.Numeric = 1.0
    unit: str = "layer"

    def on(self, prefix: str, repeat: float = 1.0, unit: str = "layer") -> OpBuilder:
        """Return a builder for another part of the network."""
        return attrs.evolve(self, prefix=prefix, repeat=float(repeat), unit=unit)

    def _placed(self, name: str, kernels: float = 1.0) -> dict[str, Any]:
        """What all operators of a part share: where they stand, how often they run and how many copies are
        held.
        """
        return {
            "name": self.prefix + name,
            "precision": self.precision,
            "repeat": self.repeat * self.loops * kernels,
            "copies": self.repeat,
            "unit": self.unit,
        }

    def linear(
        self,
        name: str,
        m: ib.Numeric,
        k: float,
        n: float,
        *,
        bias: bool = True,
        split: tuple[str, ...] = ("n",),
        graph_bytes: ib.Numeric = 0.0,
    ) -> Iterator[ib.Op]:
        """Write a linear layer."""
        yield ib.Gemm(
            **self._placed(name),
            split=split,
            m=m,
            n=float(n),
            k=float(k),
            bias=float(n) if bias else 0.0,
            graph_bytes=graph_bytes,
        )

    def conv(
        self,
        name: str,
        batch: ib.Numeric,
        side: tuple[ib.Numeric, ib.Numeric],
        channels: tuple[float, float],
        *,
        size: int = 3,
        stride: int = 1,
        groups: float = 1.0,
        bias: bool = True,
        split: tuple[str, ...] = (),
        graph_bytes: ib.Numeric = 0.0,
    ) -> Iterator[ib.Op]:
        """Write a convolution; `side` is height and width of its result, `channels` in and out."""
        yield ib.Conv2d(
            **self._placed(name),
            split=split,
            batch=batch,
            height=side[0],
            width=side[1],
            in_channels=float(channels[0]),
            out_channels=float(channels[1]),
            kernel=(size, size),
            stride=(stride, stride),
            groups=float(groups),
            bias=bias,
            graph_bytes=graph_bytes,
        )

    def each(
        self,
        name: str,
        elements: ib.Numeric,
        *,
        reads: float = 1.0,
        writes: float = 1.0,
        held: float = 0.0,
        split: tuple[str, ...] = (),
        kernels: float = 1.0,
    ) -> Iterator[ib.Op]:
        """Write element-wise kernels, unless such kernels are left out.

        `reads` and `writes` are means over the `kernels`; `held` counts parameters.
        """
        if self.options.elementwise:
            yield ib.Elementwise(
                **self._placed(name, kernels),
                split=split,
                elements=elements,
                reads=reads,
                writes=writes,
                held=float(held),
            )

    def norm(
        self,
        name: str,
        elements: ib.Numeric,
        *,
        held: float = 0.0,
        fp32: bool = False,
        tensors: float = 1.0,
    ) -> Iterator[ib.Op]:
        """Write a norm of each of `tensors`; in fp32 it has casts around it, and its elements are twice as
        wide.

        Cast up reads 1 and writes 2, the norm reads 2 and writes 2, cast down reads 2 and writes 1 (in
        16-bit elements); weight and bias, where there are any, are cast too: launches that move next to
        nothing.
        """
        if fp32:
            kernels = 5.0 if held else 3.0
            moved = 5 / kernels
            yield from self.each(
                name, elements, reads=moved, writes=moved, held=held, kernels=kernels * tensors
            )
        else:
            yield from self.each(name, elements, held=held, kernels=tensors)

    def rms_norm(
        self,
        name: str,
        elements: ib.Numeric,
        *,
        held: float = 0.0,
        bias: bool = False,
        tensors: float = 1.0,
    ) -> Iterator[ib.Op]:
        """Write a root-mean-square norm of each of `tensors` as diffusers' and T5's modules spell it, in
        fp32.

        Cast up (1 in, 2 out), square (2, 2), mean (2, 0), epsilon and inverse root on one figure per
        token, times that root (1, 2), cast down (2, 1), times the weight (1, 1), plus the bias if there
        is one (1, 1), in 16-bit elements: 9 in and 8 out, 10 and 9 with bias.
        """
        kernels = 9.0 if bias else 8.0
        reads, writes = (10.0, 9.0) if bias else (9.0, 8.0)
        yield from self.each(
            name,
            elements,
            reads=reads / kernels,
            writes=writes / kernels,
            held=held,
            kernels=kernels * tensors,
        )

    def modulate(self, name: str, elements: ib.Numeric, *, shift_only: bool = False) -> Iterator[ib.Op]:
        """Write x (1 + scale) + shift: two kernels, and one on the vector 1 + scale; or x + shift alone."""
        if shift_only:
            yield from self.each(f"{name}.modulate", elements)
        else:
            yield from self.each(f"{name}.modulate", elements, reads=2 / 3, writes=2 / 3, kernels=3.0)

    def rescale(self, name: str, elements: ib.Numeric) -> Iterator[ib.Op]:
        """Write the division by a factor of one that diffusers' attention and residual blocks end with."""
        yield from self.each(f"{name}.rescale", elements)

    def rejoin(self, name: str, elements: ib.Numeric, *, gated: bool = True) -> Iterator[ib.Op]:
        """Write the gate (one kernel) and the residual addition (two operands)."""
        if gated:
            yield from self.each(f"{name}.gate", elements)
        yield from self.each(f"{name}.residual", elements, reads=2.0)

    def attend(
        self, name: str, batch: ib.Numeric, heads: float, queries: ib.Numeric, keys: ib.Numeric, dim: float
    ) -> Iterator[ib.Op]:
        """Write softmax attention over activations, scores kept on chip."""
        if self.options.attention:
            yield ib.Attention(
                **self._placed(name),
                split=("heads",),
                batch=batch,
                heads=float(heads),
                kv_heads=float(heads),
                queries=queries,
                keys=keys,
                pairs=queries * keys,
                qk_dim=float(dim),
                v_dim=float(dim),
                cached=False,
            )

    def attend_linearly(
        self,
        name: str,
        batch: ib.Numeric,
        heads: float,
        tokens: ib.Numeric,
        dim: float,
        *,
        split: tuple[str, ...] = ("heads",),
    ) -> Iterator[ib.Op]:
        """Write linear attention, without the kernels that prepare its operands."""
        if self.options.attention:
            yield LinearAttention(
                **self._placed(name),
                split=split,
                batch=batch,
                heads=float(heads),
                tokens=tokens,
                qk_dim=float(dim),
                v_dim=float(dim),
            )


def units(axis: str, amount: ib.Numeric, unit: int, why: str, first: int = 0) -> ib.Numeric:
    """Return how many units cover a side or a number of frames exactly.

    Args:
        axis: Name of the axis, for the message.
        amount: Pixels of a side, or frames.
        unit: What it must be a multiple of.
        why: What demands that, for the message.
        first: What stands before the first unit.

    Raises:
        InferBenchError: Some amount is not a multiple of the unit.

    Example:
        >>> float(units("pixels", 1024.0, 16, "sd3-medium works on tokens of 16 x 16 pixels"))
        64.0
    """
    count = ib.ceil_div(amount - first, unit)
    odd = float(np.max(ib.where(count * unit + first == amount, 0.0, amount)))
    if odd:
        low = first + unit * ((odd - first) // unit)
        noun = "frames" if axis == "frames" else "pixels"
        raise ib.InferBenchError.of_argument(
            axis,
            f"{odd:g} {noun} don't tile: {why}",
            f"use {f'{low:g} or ' if low > 0 else ''}{low + unit:g}",
        )
    return count
