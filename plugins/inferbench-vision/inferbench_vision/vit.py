"""Vision transformers: patches, a class token, encoder layers, a classifier (Dosovitskiy et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import inferbench as ib
from inferbench_vision.builder import OpBuilder, Options, axis, layer
from inferbench_vision.config import read_vit


@ib.frozen
class ViTParams:
    """Hyper-parameters as in Hugging Face's `ViTConfig`; `num_labels` 0 has no classifier."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    patch_size: int
    image_size: int = 224
    num_channels: int = 3
    num_labels: ib.WholeOrNone = 1000


class ViT(ib.Workload):
    """Classification of square images.

    T = (pixels / patch)^2 + 1 tokens; operations of the layers: layers x (2 T (4 D^2 + 2 D F) + 4 T^2 D).
    """

    name = "vit"
    title = "Vision transformer"
    params = ViTParams
    options = Options
    phases = (ib.Phase("forward", "latency_s", "image", {"batch": 1.0, "pixels": 224.0}),)

    def graph(self, network: ib.Network, at: ib.Point, phase: str, options: Options) -> Iterator[ib.Op]:
        """Yield patches, layers and classifier."""
        net: ViTParams = network.params
        batch = axis(at, "batch", 1.0)
        patches = tokens(at, net.patch_size, network.name)
        builder = OpBuilder(at.precision, options)
        stored = (net.image_size // net.patch_size) ** 2
        yield from embed(
            builder, batch, patches, net.num_channels * net.patch_size**2, net.hidden_size, stored
        )
        body = builder.on("", net.num_hidden_layers)
        yield from layer(
            body, batch, patches + 1, net.hidden_size, net.num_attention_heads, net.intermediate_size
        )
        tail = builder.on("head.", unit="head")
        yield from tail.each("norm", batch * (patches + 1) * net.hidden_size, stored=2 * net.hidden_size)
        if options.head and net.num_labels:
            out = batch * net.num_labels * at.precision.activations
            yield from tail.linear("classifier", batch, net.hidden_size, net.num_labels, graph_bytes=out)

    def items(self, network: ib.Network, at: ib.Point, phase: str) -> ib.Numeric:
        """Images."""
        return axis(at, "batch", 1.0)

    def layers(self, network: ib.Network) -> int:
        """Encoder layers."""
        count: int = network.params.num_hidden_layers
        return count

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a config of its kind into a `[network]` table, else None."""
        return read_vit(config)


def tokens(at: ib.Point, patch: int, network: str) -> ib.Numeric:
    """Return patches of a square image, 224 pixels where the point doesn't say."""
    why = f"{network} cuts images into patches of {patch} x {patch}"
    return ib.plugin.whole_units("pixels", axis(at, "pixels", 224.0), patch, why) ** 2


def embed(
    builder: OpBuilder,
    batch: ib.Numeric,
    patches: ib.Numeric,
    inputs: int,
    width: int,
    stored: int,
    bias: bool = True,
) -> Iterator[ib.Op]:
    """Write the patch embedding (a convolution whose stride is its filter: a product), class token,
    positions.
    """
    if not builder.options.embedding:
        return
    front = builder.on("embedding.", unit="embedding")
    pixels = batch * patches * inputs * builder.precision.activations
    yield from front.linear("patches", batch * patches, inputs, width, bias=float(bias), graph_bytes=pixels)
    yield from front.each("positions", batch * (patches + 1) * width, reads=2.0, stored=(stored + 2) * width)
