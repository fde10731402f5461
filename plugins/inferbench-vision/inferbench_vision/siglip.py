"""SigLIP: an image tower pooled by attention and a text tower that meet in one space (Zhai et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import inferbench as ib
from inferbench_vision.builder import OpBuilder, perceptron
from inferbench_vision.config import read_siglip
from inferbench_vision.towers import Tower, TwoTowers, layers, projected


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


class Siglip(TwoTowers):
    """Contrastive image-text encoder without a class token.

    A learned query attends to all patches and goes through a perceptron. The text tower sees both sides of
    a token and runs at its full padded length.
    """

    name = "siglip"
    title = "Contrastive image-text encoder pooled by attention"
    params = SiglipParams

    def image(
        self, builder: OpBuilder, network: ib.Network, batch: ib.Numeric, patches: ib.Numeric
    ) -> Iterator[ib.Op]:
        """Yield the image tower: patches with positions, layers, a norm, and pooling by attention."""
        net: SiglipParams = network.params
        width, inputs = net.vision.hidden_size, net.num_channels * net.patch_size**2
        stored = (net.image_size // net.patch_size) ** 2
        if builder.options.embedding:
            front = builder.on("embedding.", unit="embedding")
            pixels = batch * patches * inputs * builder.precision.activations
            yield from front.linear("patches", batch * patches, inputs, width, graph_bytes=pixels)
            yield from front.each("positions", batch * patches * width, reads=2.0, stored=stored * width)
        yield from layers(builder.on("image.", net.vision.num_hidden_layers), net.vision, batch, patches)
        yield from builder.on("image.").each("norm", batch * patches * width, stored=2 * width)
        yield from _pool(builder.on("pool."), net.vision, batch, patches)

    def project(
        self, builder: OpBuilder, network: ib.Network, batch: ib.Numeric, width: int
    ) -> Iterator[ib.Op]:
        """Yield a projection with bias."""
        yield from projected(builder, batch, width, network.params.projection_size, 1.0)

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a config of its kind into a `[network]` table, else None."""
        return read_siglip(config)


def _pool(builder: OpBuilder, tower: Tower, batch: ib.Numeric, patches: ib.Numeric) -> Iterator[ib.Op]:
    """Write attention of one learned query to all patches, and a perceptron."""
    width, heads = tower.hidden_size, tower.num_attention_heads
    yield from builder.each("probe", batch * width, stored=width)
    yield from builder.linear("q", batch, width, width)
    yield from builder.linear("kv", batch * patches, width, 2 * width)
    yield from builder.attend("attention", batch, heads, 1.0, patches, width / heads)
    yield from builder.linear("out", batch, width, width, split=("k",))
    yield from perceptron(builder, batch, width, tower.intermediate_size)
