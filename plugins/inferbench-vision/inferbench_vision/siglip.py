"""SigLIP: an image tower pooled by attention and a text tower that meet in one space (Zhai et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import inferbench as ib
from inferbench_vision.builder import OpBuilder, Options, axis, layer, perceptron
from inferbench_vision.clip import Tower
from inferbench_vision.config import read_siglip
from inferbench_vision.vit import tokens


@ib.frozen
class SiglipParams:
    """Hyper-parameters as in Hugging Face's `SiglipConfig`, the towers' own in tables of their own."""

    vision: Tower
    text: Tower
    patch_size: int
    projection_size: int
    vocab_size: int
    max_position_embeddings: int = 64
    image_size: int = 224
    num_channels: int = 3


class Siglip(ib.Workload):
    """Contrastive image-text encoder without a class token.

    `forward` encodes image-text pairs, `image` and `text` one side. A learned query attends to all patches
    and goes through a perceptron. The text tower sees both sides of a token and runs at its full padded
    length.
    """

    name = "siglip"
    title = "Contrastive image-text encoder pooled by attention"
    params = SiglipParams
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
        return read_siglip(config)


def _image(builder: OpBuilder, net: SiglipParams, batch: ib.Numeric, patches: ib.Numeric) -> Iterator[ib.Op]:
    """Write the image tower: patches with positions, layers, a norm, and pooling by attention."""
    width, inputs = net.vision.hidden_size, net.num_channels * net.patch_size**2
    stored = (net.image_size // net.patch_size) ** 2
    if builder.options.embedding:
        front = builder.on("embedding.", unit="embedding")
        pixels = batch * patches * inputs * builder.precision.activations
        yield from front.linear("patches", batch * patches, inputs, width, graph_bytes=pixels)
        yield from front.each("positions", batch * patches * width, reads=2.0, held=stored * width)
    yield from _tower(builder.on("image.", net.vision.num_hidden_layers), net.vision, batch, patches)
    yield from builder.on("image.").each("norm", batch * patches * width, held=2 * width)
    yield from _pool(builder.on("pool."), net.vision, batch, patches)


def _pool(builder: OpBuilder, tower: Tower, batch: ib.Numeric, patches: ib.Numeric) -> Iterator[ib.Op]:
    """Write attention of one learned query to all patches, and a perceptron."""
    width, heads = tower.hidden_size, tower.num_attention_heads
    yield from builder.each("probe", batch * width, held=width)
    yield from builder.linear("q", batch, width, width)
    yield from builder.linear("kv", batch * patches, width, 2 * width)
    yield from builder.attend("attention", batch, heads, 1.0, patches, width / heads)
    yield from builder.linear("out", batch, width, width, split=("k",))
    yield from perceptron(builder, batch, width, tower.intermediate_size)


def _text(builder: OpBuilder, net: SiglipParams, batch: ib.Numeric) -> Iterator[ib.Op]:
    """Write the text tower: lookup, positions, layers, projection of the last token."""
    width, length = net.text.hidden_size, float(net.max_position_embeddings)
    if builder.options.embedding:
        yield ib.Move(
            name="text.lookup",
            precision=builder.precision,
            unit="embedding",
            elements=batch * length * width,
            held=float(net.vocab_size * width),
        )
        spots = batch * length * width
        yield from builder.on("text.").each("positions", spots, reads=2.0, held=length * width)
    yield from _tower(builder.on("text.", net.text.num_hidden_layers), net.text, batch, length)
    yield from builder.on("text.").each("norm", batch * length * width, held=2 * width)
    if builder.options.head:
        out = batch * net.projection_size * builder.precision.activations
        head = builder.on("text.", unit="head")
        yield from head.linear("projection", batch, width, net.projection_size, graph_bytes=out)


def _tower(builder: OpBuilder, tower: Tower, batch: ib.Numeric, length: ib.Numeric) -> Iterator[ib.Op]:
    yield from layer(
        builder, batch, length, tower.hidden_size, tower.num_attention_heads, tower.intermediate_size
    )
