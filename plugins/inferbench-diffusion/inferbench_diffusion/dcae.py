"""DC-AE f32c32, the deep-compression autoencoder of SANA: its decoder, 32 pixels per latent position and
side.

Chen et al., Deep Compression Autoencoder for Efficient High-Resolution Diffusion Models (2024); shapes as
in diffusers' AutoencoderDC, configured as its conversion script does for dc-ae-f32c32-sana-1.0; 1.1 keeps
the architecture.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

import inferbench as ib
from inferbench_diffusion.builder import OpBuilder

WIDTHS = (1024, 1024, 512, 512, 256, 128)
"""Channels by level, from the latents to the pixels."""
ATTENTIVE = 3
"""Levels of EfficientViT blocks, the first ones; the others have residual blocks."""
LAYERS = 3
"""Blocks of a level."""
HEAD = 32
SCALES = 2
"""Sets of queries, keys and values: of a position, and of the 5 x 5 positions around it."""


@attrs.frozen
class _Level:
    """Equal blocks: their builder, the batch, the grid of positions and the channels."""

    builder: OpBuilder
    batch: ib.Numeric
    side: tuple[ib.Numeric, ib.Numeric]
    width: int

    @property
    def rows(self) -> ib.Numeric:
        """Positions of all images."""
        return self.batch * self.side[0] * self.side[1]

    def residual(self) -> Iterator[ib.Op]:
        """Write residual blocks of two convolutions."""
        builder, width, size = self.builder, self.width, self.rows * self.width
        yield from builder.conv("conv1", self.batch, self.side, (width, width))
        yield from builder.each("silu", size)
        yield from builder.conv("conv2", self.batch, self.side, (width, width), bias=False)
        yield from builder.rms_norm("norm", size, stored=2 * width, bias=True)
        yield from builder.rejoin("block", size, gated=False)

    def attention(self) -> Iterator[ib.Op]:
        """Write linear attention over queries, keys and values of two scales, in fp32.

        With T positions of C channels: 2 T (3 C^2 + 75 C + 96 C) operations for the two scales, 4 T 2 C 33 of
        attention, 4 T C^2 on the way out.
        """
        builder, width, rows, three = self.builder, self.width, self.rows, 3 * self.width
        both = rows * SCALES * width
        yield from builder.linear("qkv", rows, width, three, bias=False, split=())
        yield from builder.each("concatenate", rows * three)
        yield from builder.conv(
            "around", self.batch, self.side, (three, three), size=5, groups=three, bias=False
        )
        yield from builder.conv(
            "heads", self.batch, self.side, (three, three), size=1, groups=three / HEAD, bias=False
        )
        yield from builder.each("scales", 3 * both)
        # Cast q, k, v up (3 in, 6 out), ReLU of q and k (4, 4), v padded by ones (2, 2); then epsilon,
        # divide, cast.
        yield from builder.each("attention.cast", both, reads=9 / 4, writes=12 / 4, kernels=4.0)
        tokens, heads = self.side[0] * self.side[1], SCALES * width / HEAD
        yield from builder.attend_linearly("attention", self.batch, heads, tokens, HEAD, split=())
        yield from builder.each("attention.uncast", both, reads=4 / 3, writes=1.0, kernels=3.0)
        yield from builder.linear("out", rows, SCALES * width, width, bias=False, split=())
        yield from builder.rms_norm("attention.norm", rows * width, stored=2 * width, bias=True)
        yield from builder.rejoin("attention", rows * width, gated=False)

    def perceptron(self) -> Iterator[ib.Op]:
        """Write the gated perceptron with a depth-wise convolution inside: 2 T (12 C^2 + 72 C) operations."""
        builder, width, rows = self.builder, self.width, self.rows
        inner, both = 4 * width, 8 * width
        yield from builder.conv("up", self.batch, self.side, (width, both), size=1)
        yield from builder.each("silu", rows * both)
        yield from builder.conv("depthwise", self.batch, self.side, (both, both), groups=both)
        yield from builder.each("gate.silu", rows * inner)
        yield from builder.each("gate", rows * inner, reads=2.0)
        yield from builder.conv("down", self.batch, self.side, (inner, width), size=1, bias=False)
        yield from builder.rms_norm("perceptron.norm", rows * width, stored=2 * width, bias=True)
        yield from builder.rejoin("perceptron", rows * width, gated=False)


def decode_dcae(
    builder: OpBuilder, batch: ib.Numeric, side: tuple[ib.Numeric, ib.Numeric], channels: float
) -> Iterator[ib.Op]:
    """Write the decoder.

    Args:
        builder: Its builder, named and placed.
        batch: Images.
        side: Latent positions, height and width.
        channels: Latent channels.
    """
    prefix, first = builder.prefix, WIDTHS[0]
    size = batch * side[0] * side[1] * first
    yield from builder.each("in.repeat", size, reads=channels / first)
    yield from builder.conv("in", batch, side, (channels, first))
    yield from builder.rejoin("in", size, gated=False)
    width = first
    for number, out in enumerate(WIDTHS):
        body = builder.on(f"{prefix}level{number}.", LAYERS, builder.unit)
        if number:
            side = (2 * side[0], 2 * side[1])
            yield from _upsample(
                builder.on(f"{prefix}up{number}.", 1, builder.unit), batch, side, (width, out)
            )
        width = out
        level = _Level(body, batch, side, width)
        if number < ATTENTIVE:
            yield from level.attention()
            yield from level.perceptron()
        else:
            yield from level.residual()
    size = batch * side[0] * side[1] * width
    yield from builder.rms_norm("norm", size, stored=2 * width, bias=True)
    yield from builder.each("relu", size)
    picture = batch * side[0] * side[1] * 3 * builder.precision.activations
    yield from builder.conv("out", batch, side, (width, 3), graph_bytes=picture)


def _upsample(
    builder: OpBuilder, batch: ib.Numeric, side: tuple[ib.Numeric, ib.Numeric], channels: tuple[int, int]
) -> Iterator[ib.Op]:
    """Write nearest-neighbour upsampling and a convolution, beside a shortcut that turns channels into
    pixels.
    """
    rows, (width, out) = batch * side[0] * side[1], channels
    yield from builder.each("nearest", rows * width, reads=0.25)
    yield from builder.conv("conv", batch, side, channels)
    yield from builder.each("repeat", rows * out, reads=width / (4 * out))
    yield from builder.each("shuffle", rows * out)
    yield from builder.rejoin("shortcut", rows * out, gated=False)
