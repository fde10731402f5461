"""UNets over latents: convolutions that narrow and widen, with transformers that attend to the prompt
between them.

Rombach et al. 2022 (Stable Diffusion 1 and 2), Podell et al. 2023 (SDXL), Gupta et al. 2024 (SSD-1B).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

import inferbench as ib
from inferbench_diffusion.builder import OpBuilder
from inferbench_diffusion.config import read_unet
from inferbench_diffusion.mmdit import timestep
from inferbench_diffusion.parts import TextEncoder
from inferbench_diffusion.sampler import Latent, Sampler, phases

Side = tuple[ib.Numeric, ib.Numeric]


def _levels(instance: UNetParams, attribute: attrs.Attribute[Any], value: tuple[Any, ...]) -> None:
    """Check that a parameter has an entry per level."""
    if len(value) != len(instance.block_out_channels):
        raise ValueError(
            f"{attribute.name} has {len(value)} entries; one for each of the"
            f" {len(instance.block_out_channels)} levels of block_out_channels was expected"
        )


@ib.frozen(kw_only=True)
class UNetParams:
    """Hyper-parameters, named as in diffusers' `UNet2DConditionModel` where it has a name; levels from fine
    to coarse.

    Attributes:
        block_out_channels: Channels per level.
        attention_heads: Heads of the transformers per level.
        down_transformers, up_transformers: Transformer layers after each residual block, per level; 0: none
            there. The way up has one residual block more per level, listed in the order it runs.
        mid_transformers: Transformer layers in the middle.
        mid_blocks: Residual blocks in the middle.
        cross_attention_dim: Width of the prompt's tokens.
        text_tokens: Tokens of the prompt, padded.
        added_dim: Width of the vector added to the time step (pooled text and sizes of SDXL); 0: none.
        steps, pixels: Defaults of the pipeline.
    """

    block_out_channels: tuple[int, ...]
    attention_heads: tuple[int, ...] = attrs.field(validator=_levels)
    down_transformers: tuple[tuple[int, ...], ...] = attrs.field(validator=_levels)
    up_transformers: tuple[tuple[int, ...], ...] = attrs.field(validator=_levels)
    mid_transformers: ib.WholeOrNone
    cross_attention_dim: int
    pixels: int
    steps: int = 50
    layers_per_block: int = 2
    mid_blocks: int = 2
    text_tokens: int = 77
    added_dim: int = 0
    latent_channels: int = 4
    vae_scale: int = 8
    vae: Literal["kl-f8", "other"] = "kl-f8"
    text_encoders: tuple[TextEncoder, ...] = ()

    @property
    def patch_size(self) -> int:
        """Latent positions that the coarsest level takes together, per side."""
        count: int = 2 ** (len(self.block_out_channels) - 1)
        return count

    @property
    def time_dim(self) -> int:
        """Width of the time step's embedding."""
        return 4 * self.block_out_channels[0]


class UNet(Sampler):
    """Image generation by a UNet over latents.

    Tensor parallelism splits each residual block's first convolution by its results and the second by its
    channels, and the transformers by heads and perceptron width.
    """

    name = "unet"
    title = "Latent diffusion UNet"
    params = UNetParams
    phases = phases("image", {"pixels": 1024.0}, 50.0)

    def step(self, network: ib.Network, builder: OpBuilder, latent: Latent) -> Iterator[ib.Op]:
        """Yield the way down, the middle and the way up."""
        net: UNetParams = network.params
        first = net.block_out_channels[0]
        side = (latent.height, latent.width)
        if builder.options.conditioning:
            front = builder.on("condition.", unit="embedding")
            yield from timestep(front, "time", latent.batch, first, net.time_dim)
            if net.added_dim:
                yield from timestep(front, "added", latent.batch, net.added_dim, net.time_dim)
        size = latent.elements * builder.precision.activations / builder.loops
        if builder.options.embedding:
            channels = (latent.channels, first)
            yield from builder.on("", unit="embedding").conv(
                "in", latent.batch, side, channels, graph_bytes=size
            )
        yield from _Path(net, builder, latent.batch, side).ops()
        head, rows = builder.on("out.", unit="head"), latent.batch * side[0] * side[1]
        yield from head.norm("norm", rows * first, stored=2 * first)
        yield from head.each("silu", rows * first)
        if builder.options.embedding:
            yield from head.conv("conv", latent.batch, side, (first, latent.channels), graph_bytes=size)

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a config of its kind into a `[network]` table, else None."""
        return read_unet(config)


@attrs.frozen
class _Path:
    """The way through the levels; `side` is that of the finest."""

    net: UNetParams
    builder: OpBuilder
    batch: ib.Numeric
    side: Side

    def at(self, level: int) -> Side:
        """Height and width at a level."""
        return self.side[0] / 2**level, self.side[1] / 2**level

    def ops(self) -> Iterator[ib.Op]:
        """Write all levels down, the middle, all levels up."""
        widths, skips = self.net.block_out_channels, [self.net.block_out_channels[0]]
        for level, width in enumerate(widths):
            yield from self.down(level, skips)
            if level < len(widths) - 1:
                down = self.builder.on(f"down{level}.")
                yield from down.conv("sample", self.batch, self.at(level + 1), (width, width), stride=2)
                skips.append(width)
        yield from self.middle()
        width = widths[-1]
        for level in reversed(range(len(widths))):
            yield from self.up(level, width, skips)
            width = widths[level]
            if level:
                yield from self.upsample(level, width)

    def down(self, level: int, skips: list[int]) -> Iterator[ib.Op]:
        """Write the blocks of one level on the way down; their results are kept for the way up."""
        width, depths = self.net.block_out_channels[level], self.net.down_transformers[level]
        for index in range(self.net.layers_per_block):
            builder = self.builder.on(f"down{level}.{index}.")
            yield from self.residual(builder, level, skips[-1], width)
            skips.append(width)
        yield from self.transformers(f"down{level}.", level, depths)

    def middle(self) -> Iterator[ib.Op]:
        """Write the coarsest blocks: residual ones around a transformer."""
        level, depth = len(self.net.block_out_channels) - 1, self.net.mid_transformers
        width = self.net.block_out_channels[-1]
        yield from self.residual(self.builder.on("middle.", self.net.mid_blocks), level, width, width)
        yield from self.transformers("middle.", level, (depth,))

    def up(self, level: int, width: int, skips: list[int]) -> Iterator[ib.Op]:
        """Write the blocks of one level on the way up; each takes what one on the way down left."""
        out, depths = self.net.block_out_channels[level], self.net.up_transformers[level]
        rows = self.batch * self.at(level)[0] * self.at(level)[1]
        for index in range(self.net.layers_per_block + 1):
            builder = self.builder.on(f"up{level}.{index}.")
            together = width + skips.pop()
            yield from builder.each("concatenate", rows * together)
            yield from self.residual(builder, level, together, out)
            width = out
        yield from self.transformers(f"up{level}.", level, depths)

    def upsample(self, level: int, width: int) -> Iterator[ib.Op]:
        """Write the doubling of both sides (each position read once, written four times) and a
        convolution.
        """
        builder, side = self.builder.on(f"up{level}."), self.at(level - 1)
        yield from builder.each("double", self.batch * side[0] * side[1] * width, reads=0.25)
        yield from builder.conv("sample", self.batch, side, (width, width))

    def residual(self, builder: OpBuilder, level: int, width: int, out: int) -> Iterator[ib.Op]:
        """Write residual blocks: norm, SiLU, convolution, time step added, norm, SiLU, convolution,
        shortcut.
        """
        side, batch = self.at(level), self.batch
        rows = batch * side[0] * side[1]
        yield from builder.norm("norm1", rows * width, stored=2 * width)
        yield from builder.each("silu1", rows * width)
        yield from builder.conv("conv1", batch, side, (width, out), split=("n",))
        if builder.options.conditioning:
            yield from builder.each("time.silu", batch * self.net.time_dim)
            yield from builder.linear("time", batch, self.net.time_dim, out)
            yield from builder.each("time.add", rows * out, split=("n",))
        yield from builder.norm("norm2", rows * out, stored=2 * out)
        yield from builder.each("silu2", rows * out, split=("n",))
        yield from builder.conv("conv2", batch, side, (out, out), split=("k",))
        if width != out:
            yield from builder.conv("shortcut", batch, side, (width, out), size=1)
        yield from builder.rejoin("block", rows * out, gated=False)
        yield from builder.rescale("block", rows * out)

    def transformers(self, prefix: str, level: int, depths: tuple[int, ...]) -> Iterator[ib.Op]:
        """Write the transformers after the residual blocks of a level, each with a projection before and
        after.

        They are of equal shape, so they stand together behind those blocks instead of one behind each.
        """
        if not any(depths):
            return
        builder = self.builder.on(prefix, sum(1 for depth in depths if depth))
        width, side = self.net.block_out_channels[level], self.at(level)
        tokens = side[0] * side[1]
        rows = self.batch * tokens
        yield from builder.norm("transformer.norm", rows * width, stored=2 * width)
        yield from builder.linear("transformer.in", rows, width, width, split=())
        body = builder.on(f"{prefix}layer.", sum(depths))
        heads = self.net.attention_heads[level]
        yield from self.attention(body, "self", rows, width, heads, tokens, tokens, 0)
        text = float(self.net.text_tokens)
        yield from self.attention(
            body, "cross", rows, width, heads, tokens, text, self.net.cross_attention_dim
        )
        yield from body.norm("norm3", rows * width, stored=2 * width)
        yield from body.linear("up", rows, width, 8 * width)
        yield from body.each("gelu", rows * 4 * width, split=("n",))
        yield from body.each("gate", rows * 4 * width, reads=2.0, split=("n",))
        yield from body.linear("down", rows, 4 * width, width, split=("k",))
        yield from body.rejoin("perceptron", rows * width, gated=False)
        yield from builder.linear("transformer.out", rows, width, width, split=())
        yield from builder.each("transformer.reorder", rows * width)
        yield from builder.rejoin("transformer", rows * width, gated=False)

    def attention(
        self,
        builder: OpBuilder,
        name: str,
        rows: ib.Numeric,
        width: int,
        heads: int,
        tokens: ib.Numeric,
        keys: ib.Numeric,
        text: int,
    ) -> Iterator[ib.Op]:
        """Write attention to itself, or to a prompt of width `text`; queries, keys and values have no
        bias.
        """
        yield from builder.norm(f"{name}.norm", rows * width, stored=2 * width)
        if text:
            yield from builder.linear(f"{name}.q", rows, width, width, bias=False)
            yield from builder.linear(f"{name}.kv", self.batch * keys, text, 2 * width, bias=False)
        else:
            yield from builder.linear(f"{name}.qkv", rows, width, 3 * width, bias=False)
        yield from builder.attend(name, self.batch, heads, tokens, keys, width / heads)
        yield from builder.linear(f"{name}.out", rows, width, width, split=("k",))
        yield from builder.rescale(name, rows * width)
        yield from builder.rejoin(name, rows * width, gated=False)
