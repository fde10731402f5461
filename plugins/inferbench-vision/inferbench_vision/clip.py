"""CLIP: an image tower and a text tower that meet in one space (Radford et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import inferbench as ib
from inferbench_vision.builder import OpBuilder, Options, axis, layer
from inferbench_vision.config import read_clip
from inferbench_vision.vit import embed, tokens


@ib.frozen
class Tower:
    """One of the two encoders, as in Hugging Face's `CLIPVisionConfig` and `CLIPTextConfig`."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int


@ib.frozen
class ClipParams:
    """Hyper-parameters as in Hugging Face's `CLIPConfig`, the towers' own in tables of their own."""

    vision: Tower
    text: Tower
    patch_size: int
    projection_dim: int
    vocab_size: int
    max_position_embeddings: int = 77
    image_size: int = 224
    num_channels: int = 3


class Clip(ib.Workload):
    """Contrastive image-text encoder.

    `forward` encodes image-text pairs, `image` and `text` one side. The text tower is causal and always
    runs at its full padded length.
    """

    name = "clip"
    title = "Contrastive image-text encoder"
    params = ClipParams
    options = Options
    phases = (
        ib.Phase("forward", "latency_s", "pair", {"batch": 1.0, "pixels": 224.0}),
        ib.Phase("image", "latency_s", "image", {"batch": 1.0, "pixels": 224.0}),
        ib.Phase("text", "latency_s", "text", {"batch": 1.0}),
    )

    def graph(self, network: ib.Network, at: ib.Point, phase: str, options: Options) -> Iterator[ib.Op]:
        """Yield the towers that the phase has."""
        builder, batch = OpBuilder(at.precision, options), axis(at, "batch", 1.0)
        if phase in ("forward", "image"):
            patches = tokens(at, network.params.patch_size, network.name)
            yield from _image(builder, network.params, batch, patches)
        if phase in ("forward", "text"):
            yield from _text(builder, network.params, batch)

    def items(self, network: ib.Network, at: ib.Point, phase: str) -> ib.Numeric:
        """Pairs, images or texts."""
        return axis(at, "batch", 1.0)

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a config of its kind into a `[network]` table, else None."""
        return read_clip(config)


def _image(builder: OpBuilder, net: ClipParams, batch: ib.Numeric, patches: ib.Numeric) -> Iterator[ib.Op]:
    """Write the image tower: a norm before and after, no bias in the patch embedding."""
    width, length = net.vision.hidden_size, patches + 1
    stored = (net.image_size // net.patch_size) ** 2
    inputs = net.num_channels * net.patch_size**2
    yield from embed(builder, batch, patches, inputs, width, stored, bias=False)
    yield from builder.on("image.").each("norm", batch * length * width, held=2 * width)
    yield from _tower(builder.on("image.", net.vision.num_hidden_layers), net.vision, batch, length)
    yield from builder.on("image.").each("pooled", batch * width, held=2 * width)
    yield from _project(builder.on("image.", unit="head"), batch, width, net.projection_dim)


def _text(builder: OpBuilder, net: ClipParams, batch: ib.Numeric) -> Iterator[ib.Op]:
    """Write the text tower: lookup, positions, causal layers, projection of the last token."""
    width, length = net.text.hidden_size, float(net.max_position_embeddings)
    if builder.options.embedding:
        yield ib.Move(
            name="text.lookup",
            precision=builder.precision,
            unit="embedding",
            elements=batch * length * width,
            held=float(net.vocab_size * width),
        )
        yield from builder.on("text.").each(
            "positions", batch * length * width, reads=2.0, held=length * width
        )
    yield from _tower(builder.on("text.", net.text.num_hidden_layers), net.text, batch, length)
    yield from builder.on("text.").each("norm", batch * length * width, held=2 * width)
    yield from _project(builder.on("text.", unit="head"), batch, width, net.projection_dim)


def _tower(builder: OpBuilder, tower: Tower, batch: ib.Numeric, length: ib.Numeric) -> Iterator[ib.Op]:
    yield from layer(
        builder, batch, length, tower.hidden_size, tower.num_attention_heads, tower.intermediate_size
    )


def _project(builder: OpBuilder, batch: ib.Numeric, width: int, out: int) -> Iterator[ib.Op]:
    if builder.options.head:
        size = batch * out * builder.precision.activations
        yield from builder.linear("projection", batch, width, out, bias=0.0, graph_bytes=size)
