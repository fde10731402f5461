"""What encoders of image-text pairs share: two towers, and the text tower."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import inferbench as ib
from inferbench_vision.builder import OpBuilder, Options, axis, layer
from inferbench_vision.vit import tokens


@ib.frozen
class Tower:
    """One of the two encoders, as in Hugging Face's `CLIPVisionConfig` and `CLIPTextConfig`."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int


class TwoTowers(ib.Workload):
    """Contrastive image-text encoder: `forward` encodes image-text pairs, `image` and `text` one side."""

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
            yield from self.image(builder, network, batch, patches)
        if phase in ("forward", "text"):
            yield from self.text(builder, network, batch)

    @abstractmethod
    def image(
        self, builder: OpBuilder, network: ib.Network, batch: ib.Numeric, patches: ib.Numeric
    ) -> Iterator[ib.Op]:
        """Yield the image tower."""

    def text(self, builder: OpBuilder, network: ib.Network, batch: ib.Numeric) -> Iterator[ib.Op]:
        """Yield the text tower: lookup, positions, layers, projection of the last token."""
        net = network.params
        width, length = net.text.hidden_size, float(net.max_position_embeddings)
        if builder.options.embedding:
            yield ib.Move(
                name="text.lookup",
                precision=builder.precision,
                unit="embedding",
                elements=batch * length * width,
                stored=float(net.vocab_size * width),
            )
            spots = batch * length * width
            yield from builder.on("text.").each("positions", spots, reads=2.0, stored=length * width)
        yield from layers(builder.on("text.", net.text.num_hidden_layers), net.text, batch, length)
        yield from builder.on("text.").each("norm", batch * length * width, stored=2 * width)
        yield from self.project(builder.on("text.", unit="head"), network, batch, width)

    @abstractmethod
    def project(
        self, builder: OpBuilder, network: ib.Network, batch: ib.Numeric, width: int
    ) -> Iterator[ib.Op]:
        """Yield the projection into the space in which the towers meet."""

    def items(self, network: ib.Network, at: ib.Point, phase: str) -> ib.Numeric:
        """Pairs, images or texts."""
        return axis(at, "batch", 1.0)


def layers(builder: OpBuilder, tower: Tower, batch: ib.Numeric, length: ib.Numeric) -> Iterator[ib.Op]:
    """Write the layers of a tower."""
    yield from layer(
        builder, batch, length, tower.hidden_size, tower.num_attention_heads, tower.intermediate_size
    )


def projected(builder: OpBuilder, batch: ib.Numeric, width: int, out: int, bias: float) -> Iterator[ib.Op]:
    """Write a projection that ends the graph, unless heads are left out."""
    if builder.options.head:
        size = batch * out * builder.precision.activations
        yield from builder.linear("projection", batch, width, out, bias=bias, graph_bytes=size)
