"""Multimodal diffusion transformers: image and text tokens attend together, with weights of their own or
shared.

Esser et al. 2024 (Stable Diffusion 3: `num_layers` double blocks), Black Forest Labs 2024 (FLUX.1: double,
then `num_single_layers` single blocks), Kong et al. 2024 (HunyuanVideo: the same over frames, with a text
refiner).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

import inferbench as ib
from inferbench_diffusion.builder import OpBuilder
from inferbench_diffusion.config import read_mmdit
from inferbench_diffusion.parts import TextEncoder
from inferbench_diffusion.sampler import Latent, Sampler, phases

FREQUENCIES = 256  # sinusoidal features of a time step


@ib.frozen(kw_only=True)
class MMDiTParams:
    """Hyper-parameters, named as in diffusers' transformer configs where it has a name.

    Attributes:
        num_layers: Double blocks: image and text have weights of their own.
        num_single_layers: Single blocks: one set of weights, attention and perceptron in parallel.
        context_pre_only: Whether the last double block drops its text stream after attention (Stable
            Diffusion 3).
        text_tokens: Tokens of the prompt, padded.
        refiner_layers: Blocks that refine text tokens first (HunyuanVideo).
        guidance_embeds: Whether the guidance scale is an input (distilled guidance: one pass per step).
        latent_channels: Channels of the latents; `patch_size`^2 of them times this make a token.
        vae_scale: Pixels per latent position and side.
        steps, pixels: Defaults of the pipeline.
    """

    num_layers: int
    num_attention_heads: int
    attention_head_dim: int
    joint_attention_dim: int
    pooled_projection_dim: int
    text_tokens: int
    steps: int
    num_single_layers: int = 0
    context_pre_only: bool = False
    qk_norm: Literal["none", "rms_norm"] = "none"
    rotary: bool = False
    guidance_embeds: bool = False
    refiner_layers: int = 0
    mlp_ratio: int = 4
    latent_channels: int = 16
    patch_size: int = 2
    vae_scale: int = 8
    pixels: int = 1024
    vae: Literal["kl-f8", "other"] = "kl-f8"
    text_encoders: tuple[TextEncoder, ...] = ()

    @property
    def width(self) -> int:
        """Width of a token."""
        return self.num_attention_heads * self.attention_head_dim


class MMDiT(Sampler):
    """Image generation by a multimodal diffusion transformer.

    T = image + text tokens, D = width. A double block does 24 D^2 T + 4 T^2 D operations, and so does a
    single one.
    """

    name = "mmdit"
    title = "Multimodal diffusion transformer"
    params = MMDiTParams
    phases = phases("image", {"pixels": 1024.0}, 28.0)

    def layers(self, network: ib.Network) -> int:
        """Blocks of both kinds."""
        count: int = network.params.num_layers + network.params.num_single_layers
        return count

    def step(self, network: ib.Network, builder: OpBuilder, latent: Latent) -> Iterator[ib.Op]:
        """Yield embeddings, double blocks, single blocks and the way out."""
        net: MMDiTParams = network.params
        image = latent.frames * latent.height * latent.width / net.patch_size**2
        yield from _conditions(builder.on("condition.", unit="embedding"), net, latent.batch)
        yield from _tokens(builder, net, latent, image)
        double = _Block(
            net, builder.on("double.", net.num_layers), latent.batch, image, float(net.text_tokens)
        )
        if net.context_pre_only:
            last = attrs.evolve(double, builder=builder.on("last.", 1))
            double = attrs.evolve(double, builder=builder.on("double.", net.num_layers - 1))
            yield from double.double(last=False)
            yield from last.double(last=True)
        else:
            yield from double.double(last=False)
        if net.num_single_layers:
            single = attrs.evolve(double, builder=builder.on("single.", net.num_single_layers))
            yield from single.single()
        yield from way_out(builder, net.width, latent, image, net.patch_size)

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a config of its kind into a `[network]` table, else None."""
        return read_mmdit(config)


@attrs.frozen
class _Block:
    """Equal blocks: their builder, the batch and the tokens of image and text."""

    net: MMDiTParams
    builder: OpBuilder
    batch: ib.Numeric
    image: ib.Numeric
    text: ib.Numeric

    def double(self, last: bool) -> Iterator[ib.Op]:
        """Write blocks with a stream for the image and one for the text; `last` ends the text after
        attention.
        """
        builder, width = self.builder, self.net.width
        streams = {"image": self.image, "text": self.text}
        for stream, tokens in streams.items():
            rows = self.batch * tokens
            chunks = 2 if last and stream == "text" else 6
            if builder.options.conditioning:
                yield from builder.linear(f"{stream}.modulation", self.batch, width, chunks * width, split=())
            yield from builder.norm(f"{stream}.norm1", rows * width)
            yield from builder.modulate(f"{stream}.norm1", rows * width)
            yield from builder.linear(f"{stream}.qkv", rows, width, 3 * width)
            yield from self.prepare(stream, rows)
        yield from self.attention()
        for stream, tokens in streams.items():
            if not (last and stream == "text"):
                yield from self.after(stream, self.batch * tokens)

    def after(self, stream: str, rows: ib.Numeric) -> Iterator[ib.Op]:
        """Write what follows attention in one stream: projection, gate, perceptron, gate."""
        builder, width, inner = self.builder, self.net.width, self.net.width * self.net.mlp_ratio
        yield from builder.linear(f"{stream}.out", rows, width, width, split=("k",))
        yield from builder.rejoin(f"{stream}.attention", rows * width)
        yield from builder.norm(f"{stream}.norm2", rows * width)
        yield from builder.modulate(f"{stream}.norm2", rows * width)
        yield from builder.linear(f"{stream}.up", rows, width, inner)
        yield from builder.each(f"{stream}.gelu", rows * inner, split=("n",))
        yield from builder.linear(f"{stream}.down", rows, inner, width, split=("k",))
        yield from builder.rejoin(f"{stream}.perceptron", rows * width)

    def single(self) -> Iterator[ib.Op]:
        """Write blocks where attention and perceptron run side by side on all tokens and leave through
        one matrix.
        """
        net, builder, width = self.net, self.builder, self.net.width
        rows, inner = self.batch * (self.image + self.text), net.width * net.mlp_ratio
        if builder.options.conditioning:
            yield from builder.linear("modulation", self.batch, width, 3 * width, split=())
        yield from builder.each("join", rows * width)
        yield from builder.norm("norm", rows * width)
        yield from builder.modulate("norm", rows * width)
        yield from builder.linear("up", rows, width, inner)
        yield from builder.each("gelu", rows * inner, split=("n",))
        yield from builder.linear("qkv", rows, width, 3 * width)
        yield from self.prepare("all", rows)
        yield from self.attention(joined=True)
        yield from builder.each("concatenate", rows * (width + inner), split=("n",))
        yield from builder.linear("out", rows, width + inner, width, split=("k",))
        yield from builder.rejoin("out", rows * width)

    def prepare(self, stream: str, rows: ib.Numeric) -> Iterator[ib.Op]:
        """Write the norm of queries and keys, where there is one, and their rotation."""
        net, size = self.net, rows * self.net.width
        if net.qk_norm == "rms_norm":
            stored = net.attention_head_dim
            yield from self.builder.norm(f"{stream}.qk_norm", size, stored=2 * stored, tensors=2.0)
        if net.rotary:
            yield from rotate(self.builder, stream, size, tensors=2.0)

    def attention(self, joined: bool = False) -> Iterator[ib.Op]:
        """Write the concatenation of the streams' queries, keys and values, and attention over all tokens."""
        net, tokens = self.net, self.image + self.text
        if not joined:
            yield from self.builder.each(
                "concatenate", self.batch * tokens * net.width, split=("heads",), kernels=3.0
            )
        heads, dim = net.num_attention_heads, net.attention_head_dim
        yield from self.builder.attend("attention", self.batch, heads, tokens, tokens, dim)


def rotate(builder: OpBuilder, name: str, elements: ib.Numeric, tensors: float = 1.0) -> Iterator[ib.Op]:
    """Write the rotary embedding of each of `tensors` as diffusers spells it, eagerly and in fp32.

    Negate one half (1/2 in, 1/2 out), stack it with the other (1, 1), cast both up (1, 2 each), times
    cosine and times sine (2, 2 each), sum (4, 2), cast down (2, 1): 13.5 in and 12.5 out, in 16-bit
    elements.
    """
    yield from builder.each(
        f"{name}.rotate",
        elements,
        reads=13.5 / 8,
        writes=12.5 / 8,
        split=("heads",),
        kernels=8.0 * tensors,
    )


def timestep(builder: OpBuilder, name: str, batch: ib.Numeric, inputs: int, width: int) -> Iterator[ib.Op]:
    """Write a perceptron of two layers on one vector per sequence."""
    yield from builder.linear(f"{name}.1", batch, inputs, width, split=())
    yield from builder.linear(f"{name}.2", batch, width, width, split=())


def _conditions(builder: OpBuilder, net: MMDiTParams, batch: ib.Numeric) -> Iterator[ib.Op]:
    """Write embeddings of time step, pooled text and guidance scale."""
    if not builder.options.conditioning:
        return
    yield from timestep(builder, "time", batch, FREQUENCIES, net.width)
    yield from timestep(builder, "pooled", batch, net.pooled_projection_dim, net.width)
    if net.guidance_embeds:
        yield from timestep(builder, "guidance", batch, FREQUENCIES, net.width)


def _tokens(builder: OpBuilder, net: MMDiTParams, latent: Latent, image: ib.Numeric) -> Iterator[ib.Op]:
    """Write the embedding of patches (a convolution whose stride is its filter) and of text tokens."""
    if not builder.options.embedding:
        return
    front, width = builder.on("embedding.", unit="embedding"), net.width
    rows = latent.batch * net.text_tokens
    yield from patches(front, latent, image, net.patch_size, width)
    yield from front.linear("text", rows, net.joint_attention_dim, width, split=())
    if net.refiner_layers:
        yield from _refiner(builder, net, latent.batch)


def patches(
    builder: OpBuilder, latent: Latent, tokens: ib.Numeric, patch: int, width: int
) -> Iterator[ib.Op]:
    """Write the embedding of patches."""
    size = latent.elements * builder.precision.activations / builder.loops
    inputs = patch**2 * latent.channels
    yield from builder.linear("patches", latent.batch * tokens, inputs, width, split=(), graph_bytes=size)
    yield from builder.each("positions", latent.batch * tokens * width, reads=2.0)


def _refiner(builder: OpBuilder, net: MMDiTParams, batch: ib.Numeric) -> Iterator[ib.Op]:
    """Write blocks over text tokens alone, and their own embedding of time step and mean token."""
    width, inner, tokens = net.width, net.width * net.mlp_ratio, float(net.text_tokens)
    rows = batch * tokens
    if builder.options.conditioning:
        first = builder.on("refiner.condition.", unit="embedding")
        yield from timestep(first, "time", batch, FREQUENCIES, width)
        yield from timestep(first, "pooled", batch, net.joint_attention_dim, width)
    body = builder.on("refiner.", net.refiner_layers, "embedding")
    if builder.options.conditioning:
        yield from body.linear("modulation", batch, width, 2 * width, split=())
    yield from body.norm("norm1", rows * width, stored=2 * width)
    yield from body.linear("qkv", rows, width, 3 * width)
    yield from body.attend(
        "attention", batch, net.num_attention_heads, tokens, tokens, net.attention_head_dim
    )
    yield from body.linear("out", rows, width, width, split=("k",))
    yield from body.rejoin("attention", rows * width)
    yield from body.norm("norm2", rows * width, stored=2 * width)
    yield from body.linear("up", rows, width, inner)
    yield from body.each("silu", rows * inner, split=("n",))
    yield from body.linear("down", rows, inner, width, split=("k",))
    yield from body.rejoin("perceptron", rows * width)


def way_out(
    builder: OpBuilder,
    width: int,
    latent: Latent,
    tokens: ib.Numeric,
    patch: int,
    *,
    channels: float = 0.0,
    modulated: bool = True,
) -> Iterator[ib.Op]:
    """Write the last norm, its modulation and the projection of tokens to patches (of `channels`; 0: the
    latents').
    """
    head, rows = builder.on("out.", unit="head"), latent.batch * tokens
    if builder.options.conditioning and modulated:
        yield from head.linear("modulation", latent.batch, width, 2 * width, split=())
    yield from head.norm("norm", rows * width)
    yield from head.modulate("norm", rows * width)
    if builder.options.embedding:
        size = latent.elements * builder.precision.activations / builder.loops
        results = patch**2 * (channels or latent.channels)
        yield from head.linear("patches", rows, width, results, split=(), graph_bytes=size)
