"""CLIP: an image tower and a text tower that meet in one space (Radford et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import inferbench as ib
from inferbench_vision.builder import OpBuilder
from inferbench_vision.config import read_clip
from inferbench_vision.towers import Tower, TwoTowers, layers, projected
from inferbench_vision.vit import embed


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


class Clip(TwoTowers):
    """Contrastive image-text encoder. The text tower is causal and always runs at its full padded length."""

    name = "clip"
    title = "Contrastive image-text encoder"
    params = ClipParams

    def image(
        self, builder: OpBuilder, network: ib.Network, batch: ib.Numeric, patches: ib.Numeric
    ) -> Iterator[ib.Op]:
        """Yield the image tower: a norm before and after, no bias in the patch embedding."""
        net: ClipParams = network.params
        width, length = net.vision.hidden_size, patches + 1
        stored = (net.image_size // net.patch_size) ** 2
        inputs = net.num_channels * net.patch_size**2
        yield from embed(builder, batch, patches, inputs, width, stored, bias=False)
        yield from builder.on("image.").each("norm", batch * length * width, stored=2 * width)
        yield from layers(builder.on("image.", net.vision.num_hidden_layers), net.vision, batch, length)
        yield from builder.on("image.").each("pooled", batch * width, stored=2 * width)
        yield from self.project(builder.on("image.", unit="head"), network, batch, width)

    def project(
        self, builder: OpBuilder, network: ib.Network, batch: ib.Numeric, width: int
    ) -> Iterator[ib.Op]:
        """Yield a projection without bias."""
        yield from projected(builder, batch, width, network.params.projection_dim, 0.0)

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a config of its kind into a `[network]` table, else None."""
        return read_clip(config)
