"""Diffusion transformers over image tokens; a prompt enters by cross attention, a class by its embedding.

Peebles and Xie 2023 (DiT), Chen et al. 2024 (PixArt-Sigma), Li et al. 2024 (Hunyuan-DiT), Xie et al. 2025
(SANA 1.5, linear attention), Wan Team 2025 (Wan 2.1, over frames).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

import inferbench as ib
from inferbench_diffusion.builder import OpBuilder
from inferbench_diffusion.config import read_dit
from inferbench_diffusion.mmdit import FREQUENCIES, patches, rotate, timestep, way_out
from inferbench_diffusion.parts import TextEncoder
from inferbench_diffusion.sampler import Latent, Sampler, phases


@ib.frozen(kw_only=True)
class DiTParams:
    """Hyper-parameters, named as in diffusers' transformer configs where it has a name.

    Attributes:
        modulation: `block`: six vectors per block from a matrix of its own (DiT); `single`: from one matrix
            for all blocks and a table per block (PixArt, SANA, Wan); `shift`: one vector per block from a
            matrix of its own (Hunyuan).
        attention: Self attention by `softmax`, or `linear`.
        feed_forward: Two matrices (`mlp`), or a gated pair with a depth-wise 3 x 3 convolution between
            (`glumbconv`).
        ffn_dim: Inner width of the perceptron; of one half of it, where it is gated.
        caption_channels: Width of the prompt's tokens as they come; 0: no prompt but one of `num_classes`.
        caption_inner: Inner width of their projection; 0: the width of a token.
        cross_attention_dim: Width of the prompt's tokens after their projection; 0: no cross attention.
        text_tokens: Tokens of the prompt that cross attention sees, padded.
        projected_tokens: Those of them that are projected first; 0: all.
        pooled_tokens: Tokens of a prompt pooled by attention into the time step's embedding (Hunyuan); 0:
            none.
        pooled_dim: Width of that pooled vector.
        cross_heads: Heads of cross attention; 0: those of self attention.
        qk_norm: Norm of queries and keys: per head (`layer_norm`), or over all heads
            (`rms_norm_across_heads`).
        qkv_bias: Whether self attention's queries, keys and values have a bias.
        rotary: How queries and keys of self attention are rotated: `stacked` (Hunyuan, queries of cross
            attention too), in `halves` (Wan), or `none`.
        rescales: Whether softmax attention ends with a division by a factor of one, a kernel of its own.
        affine: Norms that have parameters of their own: all, the one before cross attention, none.
        fp32_norms: Whether norms are computed in fp32, with casts around them.
        skips: Whether blocks of the second half take the output of one of the first (Hunyuan).
        steps, pixels: Defaults of the pipeline.
    """

    num_layers: int
    num_attention_heads: int
    attention_head_dim: int
    ffn_dim: int
    steps: int
    latent_channels: int
    out_channels: int
    patch_size: int = 2
    modulation: Literal["block", "single", "shift"] = "single"
    attention: Literal["softmax", "linear"] = "softmax"
    feed_forward: Literal["mlp", "glumbconv"] = "mlp"
    num_classes: int = 0
    caption_channels: int = 0
    caption_inner: int = 0
    caption_norm: bool = False
    cross_attention_dim: int = 0
    cross_heads: int = 0
    text_tokens: int = 0
    projected_tokens: int = 0
    pooled_tokens: int = 0
    pooled_dim: int = 0
    qk_norm: Literal["none", "layer_norm", "rms_norm_across_heads"] = "none"
    qkv_bias: bool = True
    rotary: Literal["none", "stacked", "halves"] = "none"
    rescales: bool = True
    affine: Literal["all", "cross", "none"] = "none"
    fp32_norms: bool = False
    skips: bool = False
    vae_scale: int = 8
    pixels: int = 1024
    vae: Literal["kl-f8", "dc-ae-f32c32", "other"] = "kl-f8"
    text_encoders: tuple[TextEncoder, ...] = ()

    @property
    def width(self) -> int:
        """Width of a token."""
        return self.num_attention_heads * self.attention_head_dim


class DiT(Sampler):
    """Image generation by a diffusion transformer.

    T image tokens, width D, perceptron F, S text tokens of width C. A block does 2 T (4 D^2 + 2 D F) + 4
    T^2 D operations, cross attention 2 T 2 D^2 + 2 S 2 C D + 4 T S D more.
    """

    name = "dit"
    title = "Diffusion transformer"
    params = DiTParams
    phases = phases("image", {"pixels": 1024.0}, 20.0)

    def layers(self, network: ib.Network) -> int:
        """Blocks."""
        count: int = network.params.num_layers
        return count

    def step(self, network: ib.Network, builder: OpBuilder, latent: Latent) -> Iterator[ib.Op]:
        """Yield embeddings, blocks and the way out."""
        net: DiTParams = network.params
        grid = (latent.frames * latent.height / net.patch_size, latent.width / net.patch_size)
        tokens = grid[0] * grid[1]
        if builder.options.conditioning:
            yield from _conditions(builder.on("condition.", unit="embedding"), net, latent.batch)
        if builder.options.embedding:
            front = builder.on("embedding.", unit="embedding")
            yield from patches(front, latent, tokens, net.patch_size, net.width)
            yield from _prompt(front, net, latent.batch)
        second = net.num_layers - net.num_layers // 2 - 1 if net.skips else 0
        if second:
            skips = builder.on("skip.", second)
            both = latent.batch * tokens * 2 * net.width
            yield from skips.each("concatenate", both)
            yield from skips.norm("norm", both, stored=4 * net.width, fp32=net.fp32_norms)
            yield from skips.linear("linear", latent.batch * tokens, 2 * net.width, net.width, split=())
        block = _Block(net, builder.on("", net.num_layers), latent.batch, grid)
        yield from block.ops()
        own = net.modulation != "single"
        yield from way_out(
            builder,
            net.width,
            latent,
            tokens,
            net.patch_size,
            channels=float(net.out_channels),
            modulated=own,
        )

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a config of its kind into a `[network]` table, else None."""
        return read_dit(config)


@attrs.frozen
class _Block:
    """Equal blocks: their builder, the batch and the grid of tokens."""

    net: DiTParams
    builder: OpBuilder
    batch: ib.Numeric
    grid: tuple[ib.Numeric, ib.Numeric]

    @property
    def rows(self) -> ib.Numeric:
        """Tokens of all sequences."""
        return self.batch * self.grid[0] * self.grid[1]

    def ops(self) -> Iterator[ib.Op]:
        """Write modulation, self attention, cross attention and perceptron."""
        net, builder = self.net, self.builder
        chunks = {"block": 6, "single": 0, "shift": 1}[net.modulation]
        if builder.options.conditioning and chunks:
            yield from builder.linear("modulation", self.batch, net.width, chunks * net.width, split=())
        yield from self.self_attention()
        if net.cross_attention_dim:
            yield from self.cross_attention()
        yield from self.perceptron()

    def norm(self, name: str, affine: bool, modulated: bool = True) -> Iterator[ib.Op]:
        """Write a norm, and its modulation."""
        net, size = self.net, self.rows * self.net.width
        stored = 2.0 * net.width if affine else 0.0
        yield from self.builder.norm(name, size, stored=stored, fp32=net.fp32_norms)
        if modulated:
            yield from self.builder.modulate(name, size, shift_only=net.modulation == "shift")

    def qk_norm(self, name: str, elements: ib.Numeric) -> Iterator[ib.Op]:
        """Write the norms of queries and of keys, `elements` of both."""
        net, builder, half = self.net, self.builder, elements / 2
        if net.qk_norm == "layer_norm":
            yield from builder.norm(name, half, stored=4 * net.attention_head_dim, tensors=2.0)
        elif net.qk_norm == "rms_norm_across_heads":
            yield from builder.rms_norm(name, half, stored=2 * net.width, tensors=2.0)

    def rotate(self, name: str, tensors: float) -> Iterator[ib.Op]:
        """Write the rotation of queries, and of keys where `tensors` is two.

        In halves: each half of a result is two products in fp32 (1/2 in, 1 out each), their difference or sum
        (2, 1), and a cast into its place (1, 1/2): 8 in and 7 out.
        """
        size = self.rows * self.net.width
        if self.net.rotary == "stacked":
            yield from rotate(self.builder, name, size, tensors)
        elif self.net.rotary == "halves":
            yield from self.builder.each(
                f"{name}.rotate", size, reads=1.0, writes=7 / 8, split=("heads",), kernels=8.0 * tensors
            )

    def self_attention(self) -> Iterator[ib.Op]:
        """Write self attention; the table of `single` modulation counts with its norm."""
        net, builder, width = self.net, self.builder, self.net.width
        tokens, gated = self.grid[0] * self.grid[1], net.modulation != "shift"
        yield from self.norm("norm1", net.affine == "all")
        if net.modulation == "single":
            yield from builder.each("table", self.batch * 6 * width, stored=6 * width)
        yield from builder.linear("qkv", self.rows, width, 3 * width, bias=net.qkv_bias)
        yield from self.qk_norm("qk_norm", 2 * self.rows * width)
        yield from self.rotate("qk", 2.0)
        heads, dim = net.num_attention_heads, net.attention_head_dim
        if net.attention == "linear":
            yield from self.linear_attention()
        else:
            yield from builder.attend("attention", self.batch, heads, tokens, tokens, dim)
        yield from builder.linear("out", self.rows, width, width, split=("k",))
        if net.attention == "softmax" and net.rescales:
            yield from builder.rescale("attention", self.rows * width)
        yield from builder.rejoin("attention", self.rows * width, gated=gated)

    def linear_attention(self) -> Iterator[ib.Op]:
        """Write linear attention in fp32, as diffusers' SanaLinearAttnProcessor spells it.

        Before: ReLU of q and of k (1 in, 1 out each), q, k and v cast up (1, 2 each), v padded by a row
        of ones (2, 2), q and k copied into order (2, 2 each). After: epsilon, division (2, 2), cast down
        (2, 1), copied into order (1, 1), and the bias of a projection that could not take it (1, 1). In
        16-bit elements.
        """
        net, builder, size = self.net, self.builder, self.rows * self.net.width
        heads, dim = net.num_attention_heads, net.attention_head_dim
        split = ("heads",)
        yield from builder.each("attention.cast", size, reads=11 / 8, writes=14 / 8, split=split, kernels=8.0)
        yield from builder.attend_linearly("attention", self.batch, heads, self.grid[0] * self.grid[1], dim)
        yield from builder.each("attention.uncast", size, reads=6 / 5, writes=1.0, split=split, kernels=5.0)

    def cross_attention(self) -> Iterator[ib.Op]:
        """Write cross attention over the prompt, whose keys and values are projected in every step."""
        net, builder, width = self.net, self.builder, self.net.width
        prompt, heads = self.batch * net.text_tokens, net.cross_heads or net.num_attention_heads
        if net.affine != "none":
            yield from self.norm("norm_cross", True, modulated=False)
        yield from builder.linear("cross.q", self.rows, width, width)
        yield from builder.linear("cross.kv", prompt, net.cross_attention_dim, 2 * width)
        yield from self.qk_norm("cross.qk_norm", (self.rows + prompt) * width)
        if net.rotary == "stacked":
            yield from self.rotate("cross.q", 1.0)
        tokens = self.grid[0] * self.grid[1]
        yield from builder.attend("cross", self.batch, heads, tokens, float(net.text_tokens), width / heads)
        yield from builder.linear("cross.out", self.rows, width, width, split=("k",))
        if net.rescales:
            yield from builder.rescale("cross", self.rows * width)
        yield from builder.rejoin("cross", self.rows * width, gated=False)

    def perceptron(self) -> Iterator[ib.Op]:
        """Write the perceptron."""
        net, builder, width, rows = self.net, self.builder, self.net.width, self.rows
        gated = net.modulation != "shift"
        yield from self.norm("norm2", net.affine == "all", modulated=gated)
        if net.feed_forward == "mlp":
            yield from builder.linear("up", rows, width, net.ffn_dim)
            yield from builder.each("gelu", rows * net.ffn_dim, split=("n",))
            yield from builder.linear("down", rows, net.ffn_dim, width, split=("k",))
        else:
            both = 2 * net.ffn_dim
            yield from builder.linear("up", rows, width, both)
            yield from builder.each("silu", rows * both, split=("n",))
            yield from builder.conv("depthwise", self.batch, self.grid, (both, both), groups=both)
            yield from builder.each("gate.silu", rows * net.ffn_dim, split=("n",))
            yield from builder.each("gate", rows * net.ffn_dim, reads=2.0, split=("n",))
            yield from builder.linear("down", rows, net.ffn_dim, width, bias=False, split=("k",))
        yield from builder.rejoin("perceptron", rows * width, gated=gated)


def _conditions(builder: OpBuilder, net: DiTParams, batch: ib.Numeric) -> Iterator[ib.Op]:
    """Write embeddings of time step, class and pooled prompt, and the modulation that all blocks share."""
    width = net.width
    yield from timestep(builder, "time", batch, FREQUENCIES, width)
    if net.num_classes:
        yield ib.Move(
            name=f"{builder.prefix}class",
            precision=builder.precision,
            repeat=builder.loops,
            copies=1.0,
            unit=builder.unit,
            elements=batch * width,
            stored=float((net.num_classes + 1) * width),  # one more for "no class", which guidance needs
        )
    if net.modulation == "single":
        yield from builder.linear("modulation", batch, width, 6 * width, split=())
        yield from builder.on("out.", unit="head").each("table", batch * 2 * width, stored=2 * width)
    if net.pooled_tokens:
        yield from _pooled(builder, net, batch)


def _pooled(builder: OpBuilder, net: DiTParams, batch: ib.Numeric) -> Iterator[ib.Op]:
    """Write attention of the mean token over all of a prompt, eight heads, and a perceptron of inner
    width 4 D.
    """
    width, tokens = net.caption_channels, net.pooled_tokens + 1.0
    yield from builder.each("pool.positions", batch * tokens * width, reads=2.0, stored=tokens * width)
    yield from builder.linear("pool.q", batch, width, width, split=())
    yield from builder.linear("pool.kv", batch * tokens, width, 2 * width, split=())
    yield from builder.attend("pool", batch, 8, 1.0, tokens, width / 8)
    yield from builder.linear("pool.out", batch, width, net.pooled_dim, split=())
    yield from builder.linear("extra.1", batch, net.pooled_dim, 4 * net.width, split=())
    yield from builder.linear("extra.2", batch, 4 * net.width, net.width, split=())


def _prompt(builder: OpBuilder, net: DiTParams, batch: ib.Numeric) -> Iterator[ib.Op]:
    """Write the projection of the prompt's tokens, and the padding that stands in for absent ones."""
    if not net.caption_channels:
        return
    rows, width = batch * (net.projected_tokens or net.text_tokens), net.cross_attention_dim
    inner = net.caption_inner or width
    yield from builder.linear("text.1", rows, net.caption_channels, inner, split=())
    yield from builder.each("text.activation", rows * inner)
    yield from builder.linear("text.2", rows, inner, width, split=())
    if net.caption_norm:
        yield from builder.rms_norm("text.norm", rows * width, stored=width)
    if net.projected_tokens:
        size = net.text_tokens * width
        yield from builder.each("text.padding", batch * size, reads=2.0, stored=size)
