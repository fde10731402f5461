"""What stands around the denoiser: text encoders before it, the decoder from latents to pixels after it."""

from __future__ import annotations

from collections.abc import Iterator

import inferbench as ib
from inferbench_diffusion.builder import OpBuilder
from inferbench_diffusion.dcae import decode_dcae


@ib.frozen
class TextEncoder:
    """A transformer that encodes the prompt, padded to a fixed number of tokens.

    Attributes:
        name: As its publisher writes it.
        layers: Layers that run (a pipeline may take the penultimate one).
        gated: Whether the perceptron has a gate (T5 v1.1, Gemma) or two matrices (CLIP).
        num_key_value_heads: None for as many as query heads.
        bias: Whether linear layers have one.
        projection: Width of a final projection; 0 for none.
    """

    name: str
    layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    head_dim: int
    tokens: int
    vocab_size: int
    gated: bool = False
    num_key_value_heads: int | None = None
    bias: bool = False
    positions: int = 0
    projection: int = 0


def encode(builder: OpBuilder, network: ib.Network, batch: ib.Numeric) -> Iterator[ib.Op]:
    """Write the text encoders of a network.

    Raises:
        InferBenchError: Its encoders are not modelled.
    """
    encoders: tuple[TextEncoder, ...] = network.params.text_encoders
    if not encoders:
        raise ib.InferBenchError.of_argument(
            "options",
            f"no text encoders are described for {network.name}",
            "leave the option out",
            "text_encoder",
        )
    for encoder in encoders:
        yield from _encoder(builder.on(f"text.{encoder.name}.", unit="embedding"), encoder, batch)


def _encoder(builder: OpBuilder, net: TextEncoder, batch: ib.Numeric) -> Iterator[ib.Op]:
    """Write lookup, layers, final norm and projection of one encoder."""
    rows, width = batch * net.tokens, net.hidden_size
    yield ib.Move(
        name=f"{builder.prefix}lookup",
        precision=builder.precision,
        unit=builder.unit,
        elements=rows * width,
        stored=float((net.vocab_size + net.positions) * width),
    )
    body = builder.on(builder.prefix, net.layers, builder.unit)
    heads, dim = net.num_attention_heads, net.head_dim
    kv = net.num_key_value_heads or heads
    norm = 2 * width if net.bias else width
    layer_norm = body.norm if net.bias else body.rms_norm
    yield from layer_norm("norm1", rows * width, stored=norm)
    yield from body.linear("qkv", rows, width, (heads + 2 * kv) * dim, bias=net.bias)
    yield from body.attend("attention", batch, heads, float(net.tokens), float(net.tokens), dim)
    yield from body.linear("out", rows, heads * dim, width, bias=net.bias, split=("k",))
    yield from body.rejoin("attention", rows * width, gated=False)
    yield from layer_norm("norm2", rows * width, stored=norm)
    up = net.intermediate_size * (2 if net.gated else 1)
    yield from body.linear("up", rows, width, up, bias=net.bias)
    reads = 2.0 if net.gated else 1.0
    yield from body.each("activation", rows * net.intermediate_size, reads=reads, split=("n",))
    yield from body.linear("down", rows, net.intermediate_size, width, bias=net.bias, split=("k",))
    yield from body.rejoin("perceptron", rows * width, gated=False)
    yield from (builder.norm if net.bias else builder.rms_norm)("norm", rows * width, stored=norm)
    if net.projection:
        yield from builder.linear("projection", batch, width, net.projection, bias=False)


def decode(
    builder: OpBuilder,
    network: ib.Network,
    batch: ib.Numeric,
    side: tuple[ib.Numeric, ib.Numeric],
    channels: float,
) -> Iterator[ib.Op]:
    """Write the decoder that a network names.

    Raises:
        InferBenchError: It is not modelled.
    """
    writers = {"kl-f8": _decode_kl, "dc-ae-f32c32": decode_dcae}
    write = writers.get(network.params.vae)
    if write is None:
        found = f"the decoder of {network.name} is not modelled"
        raise ib.InferBenchError.of_argument("options", found, "leave the option out", "vae")
    yield from write(builder.on("vae.", unit="head"), batch, side, channels)


def _decode_kl(
    head: OpBuilder, batch: ib.Numeric, side: tuple[ib.Numeric, ib.Numeric], channels: float
) -> Iterator[ib.Op]:
    """Write the decoder of the autoencoder that all Stable Diffusion networks share, 8 pixels per latent
    position.
    """
    yield from head.conv("in", batch, side, (channels, 512))
    yield from _resnet(head.on("vae.middle.", 2, "head"), batch, side, 512, 512)
    yield from _attention(head, batch, side, 512)
    width = 512
    for level, out in enumerate((512, 512, 256, 128)):
        part = f"vae.up{level}."
        if out != width:
            yield from _resnet(head.on(f"{part}first.", 1, "head"), batch, side, width, out)
        yield from _resnet(head.on(part, 3 if out == width else 2, "head"), batch, side, out, out)
        width = out
        if level < 3:
            side = (2 * side[0], 2 * side[1])
            yield from head.on(part, 1, "head").each("upsample", batch * side[0] * side[1] * out, reads=0.25)
            yield from head.on(part, 1, "head").conv("upsample.conv", batch, side, (out, out))
    results = batch * side[0] * side[1]
    yield from head.norm("norm", results * width, stored=2 * width)
    yield from head.each("silu", results * width)
    picture = results * 3 * head.precision.activations
    yield from head.conv("out", batch, side, (width, 3), graph_bytes=picture)


def _resnet(
    builder: OpBuilder, batch: ib.Numeric, side: tuple[ib.Numeric, ib.Numeric], width: int, out: int
) -> Iterator[ib.Op]:
    """Write residual blocks of two convolutions without time step."""
    rows = batch * side[0] * side[1]
    for name, channels in (("1", (width, out)), ("2", (out, out))):
        yield from builder.norm(f"norm{name}", rows * channels[0], stored=2 * channels[0])
        yield from builder.each(f"silu{name}", rows * channels[0])
        yield from builder.conv(f"conv{name}", batch, side, channels)
    if width != out:
        yield from builder.conv("shortcut", batch, side, (width, out), size=1)
    yield from builder.rejoin("block", rows * out, gated=False)
    yield from builder.rescale("block", rows * out)


def _attention(
    builder: OpBuilder, batch: ib.Numeric, side: tuple[ib.Numeric, ib.Numeric], width: int
) -> Iterator[ib.Op]:
    """Write attention of one head over all latent positions."""
    tokens = side[0] * side[1]
    yield from builder.norm("attention.norm", batch * tokens * width, stored=2 * width)
    yield from builder.linear("attention.qkv", batch * tokens, width, 3 * width, split=())
    yield from builder.attend("attention", batch, 1, tokens, tokens, width)
    yield from builder.linear("attention.out", batch * tokens, width, width, split=())
    yield from builder.rejoin("attention", batch * tokens * width, gated=False)
    yield from builder.rescale("attention", batch * tokens * width)
