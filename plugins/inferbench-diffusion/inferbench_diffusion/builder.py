"""`OpBuilder`: writes operators with one precision, one repeat and one set of options."""

from __future__ import annotations

from collections.abc import Iterator

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
class OpBuilder(ib.plugin.OpBuilder[Options]):
    """Writes operators as samplers have them, by a public builder and what diffusers' modules spell."""

    def norm(
        self,
        name: str,
        elements: ib.Numeric,
        *,
        stored: float = 0.0,
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
            kernels = 5.0 if stored else 3.0
            moved = 5 / kernels
            yield from self.each(
                name, elements, reads=moved, writes=moved, stored=stored, kernels=kernels * tensors
            )
        else:
            yield from self.each(name, elements, stored=stored, kernels=tensors)

    def rms_norm(
        self,
        name: str,
        elements: ib.Numeric,
        *,
        stored: float = 0.0,
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
            stored=stored,
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
        self,
        name: str,
        batch: ib.Numeric,
        heads: float,
        queries: ib.Numeric,
        keys: ib.Numeric,
        dim: float,
        *,
        pairs: ib.Numeric | None = None,
        cached: bool = False,
    ) -> Iterator[ib.Op]:
        """Write softmax attention over activations, unless attention is left out."""
        if self.options.attention:
            yield from super().attend(name, batch, heads, queries, keys, dim, pairs=pairs, cached=cached)

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
                **self.place(name),
                split=split,
                batch=batch,
                heads=float(heads),
                tokens=tokens,
                qk_dim=float(dim),
                v_dim=float(dim),
            )
